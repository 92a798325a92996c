"""Arguments of a wrong type are refused as other mistakes are: what is wrong, and a remedy."""

from __future__ import annotations

from collections.abc import Callable
from fractions import Fraction
from typing import Any

import numpy as np
import pytest

import graphgrad as gg

C = gg.cells.load("elman")


def nothing(x: Any) -> None:
    """Hand-written code that computes nothing."""


def only_a_boundary() -> gg.Circuit:
    """A circuit that is built in Python, with a boundary of a variable that has no equation."""
    circuit = gg.Circuit()
    circuit.var("h")[0] = 1
    return circuit


MISUSE: dict[str, Callable[[], Any]] = {
    "parse nothing": lambda: gg.parse(None),
    "parse bytes": lambda: gg.parse(b"h[t] = 1"),
    "parse with a number as name": lambda: gg.parse("h[t] = 1", 3),
    "load a number": lambda: gg.load(3),
    "load bytes": lambda: gg.load(b"elman.rec"),
    "load a circuit": lambda: gg.load(C),
    "load a folder": lambda: gg.load("."),
    "a number of the gallery": lambda: gg.cells.load(3),
    "gradient of a name": lambda: gg.value_and_grad("x"),
    "gradient of a function": lambda: gg.value_and_grad(nothing),
    "prove a name": lambda: gg.prove("elman"),
    "prove the class": lambda: gg.prove(gg.Circuit),
    "loss of a proof": lambda: gg.prove(C, 3),
    "losses of a proof": lambda: gg.prove(C, ["loss"]),
    "claims in a list": lambda: gg.prove(C, claims=["d_W = 0"]),
    "claims in bytes": lambda: gg.prove(C, claims=b"d_W = 0"),
    "prove by a number": lambda: gg.prove(C, wrt=3),
    "prove by numbers": lambda: gg.prove(C, wrt=[3]),
    "steps in a text": lambda: gg.prove(C, tau="3", method="induction"),
    "sizes in a list": lambda: gg.prove(C, sizes=["H"]),
    "sizes without names": lambda: gg.prove(C, sizes={3: 2}),
    "time as text": lambda: gg.prove(C, time_limit="long"),
    "time that is no number": lambda: gg.prove(C, time_limit=float("nan")),
    "check against a name": lambda: gg.check_function("elman", nothing),
    "check nothing": lambda: gg.check_function(C, None),
    "check the other way round": lambda: gg.check_function(nothing, C),
    "check a loss": lambda: gg.check_function(C, nothing, loss=3),
    "check no loss": lambda: gg.check_function(C, nothing, loss=[]),
    "check sizes": lambda: gg.check_function(C, nothing, sizes=3),
    "check a batch": lambda: gg.check_function(C, nothing, batch="x"),
    "check arguments": lambda: gg.check_function(C, nothing, arguments=3),
    "check arguments by number": lambda: gg.check_function(C, nothing, arguments={3: "x"}),
    "check results": lambda: gg.check_function(C, nothing, results=3),
    "check without end": lambda: gg.check_function(C, nothing, time_limit=None),
    "check for long": lambda: gg.check_function(C, nothing, time_limit="long"),
    "unfold a text": lambda: C.unfold("3"),
    "unfold half a step": lambda: C.unfold(2.5),
    "unfold by number": lambda: C.unfold({3: 3}),
    "unfold with a size in words": lambda: C.unfold(3, H="two"),
    "adjoint of a number": lambda: C.adjoint(3),
    "adjoint of a list": lambda: C.adjoint(["loss"]),
    "adjoint by a number": lambda: C.adjoint(wrt=3),
    "adjoint by lists": lambda: C.adjoint(wrt=[["W"]]),
    "adjoint cut by a number": lambda: C.adjoint(truncate=3),
    "adjoint with a guard": lambda: C.adjoint(guard=["smart"]),
    "values in a list": lambda: C.unfold(3).evaluate([1, 2]),
    "texts of SymPy": lambda: C.unfold(1).evaluate({"b": [None, None]}, over="sympy"),
    "remainder by zero": lambda: gg.t % 0,
    "a boundary without a variable": lambda: only_a_boundary().check(),
    "a text that never ends": lambda: gg.parse("h[t] = 1\n" * 300_000),
    "a power too large for fractions": lambda: (
        gg.parse("w: param()\nloss = w ** 100000").unfold(1).evaluate({"w": Fraction(1, 2)})
    ),
    "values by number": lambda: C.unfold(3).evaluate({3: 1}),
}


@pytest.mark.parametrize("name", MISUSE)
def test_misuse_is_refused_with_a_remedy(name: str) -> None:
    with pytest.raises(gg.GraphgradError) as caught:
        MISUSE[name]()
    assert caught.value.message
    assert caught.value.remedy
    assert len(str(caught.value)) < 1000


def test_what_is_no_circuit_is_shown() -> None:
    with pytest.raises(gg.GraphgradError, match=r"'elman' is no circuit") as caught:
        gg.prove("elman")
    assert 'gg.cells.load("elman")' in (caught.value.remedy or "")


def test_unusual_arguments_that_are_right() -> None:
    tied = gg.cells.load("tied")
    proof = gg.prove(tied, wrt=(name for name in ["w"]), tau=np.int64(2), sizes={}, time_limit=30)
    assert proof.ok
    assert proof.request is not None
    assert (proof.request.wrt, proof.request.tau) == (["w"], 2)
