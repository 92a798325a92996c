"""What is known of a backward pass while it is judged, and the claim that a verdict goes with."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from math import prod
from typing import Any

from graphgrad.autodiff import cotangent_prefix
from graphgrad.dims import concrete
from graphgrad.proof.certificate import Instance
from graphgrad.proof.question import Question, Side
from graphgrad.proof.result import Claim
from graphgrad.system import System
from graphgrad.unfold import Dag, checked_lengths


@dataclass(frozen=True)
class Fault:
    """A local identity that does not hold: where, and what is left over."""

    instance: Instance
    entry: tuple[int, ...]
    residual: str

    def text(self, called: Callable[[str], str] = str) -> str:
        """Return where it is, with what the cotangent is called: `d_h[2] entry [0]`."""
        name, step = self.instance
        where = called(name) + ("" if step is None else f"[{step}]")
        return where + (f" entry {list(self.entry)}" if self.entry else "")


@dataclass
class Findings:
    """What is known of a backward pass so far: gradients proved and refuted, and what is at fault.

    `apart` are the instances whose claimed cotangents provably differ from the true ones.
    """

    proved: set[str] = field(default_factory=set)
    refuted: dict[str, Claim] = field(default_factory=dict)
    apart: set[Instance] = field(default_factory=set)
    blamed: dict[str, Fault] = field(default_factory=dict)
    reason: str = ""

    def left(self, names: Iterable[str]) -> list[str]:
        """Return the gradients that are neither proved nor refuted."""
        return [name for name in names if name not in self.proved and name not in self.refuted]


def blank(question: Question, side: Side, name: str) -> Claim:
    """Return the claim that a gradient is right, as if it were proved."""
    return Claim(
        side.prefix + name,
        f"∂{question.shown}/∂{name}",
        side.origin,
        "proved",
        prod(shape_of_gradient(side.dag, name)),
        by=name,
        indexed=_index(side.dag.system, name) is not None,
    )


def unanswered(
    question: Question, origin: str, name: str, tau: Any, sizes: Mapping[str, int], reason: str
) -> Claim:
    """Return the undecided claim about a gradient of which there are no equations yet."""
    system = question.opened.check()
    index = _index(system, name)
    lead = 1 if index is None else checked_lengths(system, tau)[index]
    return Claim(
        cotangent_prefix(system.declared.names()) + name,
        f"∂{question.shown}/∂{name}",
        origin,
        "undecided",
        lead * prod(_shape(system, sizes, name)),
        reason,
        by=name,
        indexed=index is not None,
    )


def shape_of_gradient(dag: Dag, name: str) -> tuple[int, ...]:
    """Return the shape of a gradient, time first for an indexed input."""
    index = _index(dag.system, name)
    shape = shape_of(dag, name)
    return shape if index is None else (dag.tau[index], *shape)


def shape_of(dag: Dag, name: str) -> tuple[int, ...]:
    """Return the shape of a parameter, or of one instance of an input or variable."""
    return _shape(dag.system, dag.sizes, name)


def _shape(system: System, sizes: Mapping[str, int], name: str) -> tuple[int, ...]:
    kind = system.type_of(name)
    assert isinstance(kind, tuple)
    return concrete(kind, sizes)


def _index(system: System, name: str) -> str | None:
    declared = system.inputs.get(name)
    return None if declared is None else declared.index
