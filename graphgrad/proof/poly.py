"""The data of the field: polynomials, generators, and the budget of a decision."""

from __future__ import annotations

import time
from dataclasses import dataclass

from graphgrad.errors import GraphgradError

PRIME = 2**127 - 1
BITS = 16
HALF = 1 << (BITS - 1)
MAX_GENERATORS = 8000


class UndecidableError(GraphgradError):
    """The reason why a decision is given up; caught before it leaves this package."""


class ExhaustedError(UndecidableError):
    """A limit on time or work; unlike other reasons it may not hold for a later attempt."""


@dataclass(slots=True)
class Budget:
    """Limits on terms, on term products and on time, checked before the work is done."""

    max_terms: int = 200_000
    deadline: float | None = None
    work: int = 0

    @classmethod
    def start(cls, max_terms: int, time_limit: float | None) -> Budget:
        """A budget whose clock runs from now."""
        return cls(max_terms, None if time_limit is None else time.monotonic() + time_limit)

    def charge(self, products: int) -> None:
        """Account for work about to be done."""
        self.work += products
        if self.work > 60 * self.max_terms:
            raise ExhaustedError(f"more than {60 * self.max_terms:,} term products are needed")
        self.tick()

    def hold(self, terms: int) -> None:
        """Refuse a polynomial that is too long."""
        if terms > self.max_terms:
            raise UndecidableError(f"a polynomial has more than {self.max_terms:,} terms")
        self.tick()

    def tick(self) -> None:
        """Honour the time limit."""
        if self.deadline is not None and time.monotonic() > self.deadline:
            raise ExhaustedError("the time limit is reached")


@dataclass(slots=True)
class Poly:
    """Integer coefficients by packed monomial, over one common denominator."""

    terms: dict[int, int]
    den: int
    bound: int
    """An upper bound of every exponent's size."""
    value: int
    """The value modulo PRIME at the ring's random point."""


@dataclass(slots=True)
class Generator:
    """One generator; what it stands for tells its kind."""

    value: int
    positive: bool = False
    nonnegative: bool = False
    seed: tuple[int, int] | None = None
    """(h, n) where value = h**n, so that the value's k-th root is known for k that divide n."""
    definition: Poly | None = None
    degree: int = 0
    replacement: Poly | None = None

    @property
    def free(self) -> bool:
        """Whether negative exponents are allowed."""
        return self.degree == 0
