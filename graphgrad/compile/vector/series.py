"""Floating-point types and the series that the elementary functions use in them.

The coefficients are computed here, in exact fractions: Taylor's for exp, those of atanh for log,
both economized by Chebyshev polynomials.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from fractions import Fraction
from functools import cache


@dataclass(frozen=True)
class Kind:
    """What the functions need to know about a floating-point type."""

    bits: int
    mantissa: int  # stored bits
    bias: int
    exp_degree: int  # of the series for (e^r - 1 - r) / r²
    log_degree: int  # of the series for (2·atanh s - 2s) / s³, in powers of s²
    ln2_high: float  # few enough bits that n·ln2_high is exact
    exp_low: float  # below it exp is 0
    exp_high: float  # above it exp is infinite
    tanh_high: float  # above it tanh is 1

    @property
    def exp_series(self) -> list[float]:
        """The coefficients of (e^r - 1 - r) / r² for |r| ≤ ln 2 / 2."""
        return _exp_series(self.exp_degree)

    @property
    def log_series(self) -> list[float]:
        """The coefficients of (2·atanh s - 2s) / s³ in powers of s² ≤ 1/25."""
        return _log_series(self.log_degree)

    @property
    def ln2_low(self) -> float:
        """What is missing from `ln2_high`, good to twice the type's precision."""
        return float(_LN2 - Fraction(self.ln2_high))

    @property
    def tiny(self) -> float:
        """The smallest normal number."""
        return math.ldexp(1.0, 1 - self.bias)

    @property
    def rounder(self) -> float:
        """A number to which adding a small one rounds that to a whole number."""
        return math.ldexp(1.5, self.mantissa)


@cache
def _exp_series(degree: int) -> list[float]:
    """Return the Taylor series of (e^r - 1 - r) / r² for |r| ≤ ln 2 / 2, economized."""
    terms = [Fraction(1, math.factorial(k + 2)) for k in range(degree + 9)]
    return _economized(terms, _LN2 / 2, degree)


@cache
def _log_series(degree: int) -> list[float]:
    """Return the series of (2·atanh s - 2s) / s³ in powers of s² ≤ 1/25, economized."""
    terms = [Fraction(2, 2 * k + 3) for k in range(degree + 9)]
    return _economized(terms, Fraction(1, 25), degree)


def _economized(series: list[Fraction], bound: Fraction, degree: int) -> list[float]:
    """Return the coefficients of a polynomial of this degree that is near a series.

    A term c·r^k is replaced by what remains of it without c·T_k, the Chebyshev polynomial, which
    is the smallest there is with this term on |r| ≤ bound.
    """
    while len(series) > degree + 1:
        k = len(series) - 1
        factor = series[k] * bound**k / 2 ** (k - 1)
        for power, coefficient in enumerate(_chebyshev(k)):
            series[power] -= factor * coefficient / bound**power
        series.pop()
    return [float(coefficient) for coefficient in series]


def _chebyshev(k: int) -> list[int]:
    """Return the coefficients of the Chebyshev polynomial T_k, k ≥ 1."""
    before, now = [1], [0, 1]
    for _ in range(k - 1):
        doubled = [0, *(2 * coefficient for coefficient in now)]
        padded = [*before, *[0] * (len(doubled) - len(before))]
        before, now = now, [a - b for a, b in zip(doubled, padded, strict=True)]
    return now


_LN2 = Fraction("0.693147180559945309417232121458176568075500134360255254120680009")
SINGLE = Kind(32, 23, 127, 4, 3, math.ldexp(45426, -16), -104.0, 89.0, 10.0)
DOUBLE = Kind(64, 52, 1023, 9, 7, math.ldexp(0x162E42FEFA, -37), -746.0, 710.0, 20.0)
