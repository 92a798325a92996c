"""Arguments of a wrong type are refused as other mistakes are: what is wrong, and a remedy."""

from __future__ import annotations

from collections.abc import Callable
from fractions import Fraction
from typing import Any

import numpy as np
import pytest

import graphgrad as gg
import viz

C = gg.cells.load("elman")


def nothing(x: Any) -> None:
    """Hand-written code that computes nothing."""


def only_a_boundary() -> gg.Circuit:
    """A circuit that is built in Python, with a boundary of a variable that has no equation."""
    circuit = gg.Circuit()
    circuit.var("h")[0] = 1
    return circuit


def built(equation: Callable[..., Any]) -> gg.Circuit:
    """A circuit built in Python: `equation` gets the circuit, x, W and h and writes the rest."""
    circuit = gg.Circuit("built")
    x = circuit.input("x", "D", index=gg.t)
    equation(circuit, x, circuit.param("W", "H", "H"), circuit.var("h"))
    return circuit


def plain_step(circuit: gg.Circuit, x: Any, W: Any, h: Any) -> None:
    h[gg.t] = gg.tanh(W @ h[gg.t - 1])


def numbers() -> tuple[dict[str, Any], dict[str, Any]]:
    return C.init(0, H=2, D=2, K=2), C.example(0, tau=3, H=2, D=2, K=2)


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
    "a choice by a value": lambda: built(lambda c, x, W, h: gg.choose(x[gg.t] > 0, 1, 0)),
    "a choice by a truth value": lambda: gg.choose(True, 1, 0),
    "a sum over a name": lambda: built(lambda c, x, W, h: gg.mean(x[gg.t], over="t")),
    "a sum where a function says so": lambda: built(
        lambda c, x, W, h: gg.sum(x[gg.t], over=gg.t, where=lambda t: t > 1)
    ),
    "an equation as an attribute": lambda: built(lambda c, x, W, h: setattr(c, "loss", x)),
    "a method of PyTorch": lambda: built(lambda c, x, W, h: h[gg.t - 1].tanh()),
    "a transpose of PyTorch": lambda: built(lambda c, x, W, h: W.t()),
    "a method of nobody": lambda: built(lambda c, x, W, h: h[gg.t - 1].squash()),
    "half a step of a graph": lambda: C.unfold(3)["h", 1.5],
    "a list of steps": lambda: C.unfold(3)["h", [1, 2]],
    "directions of nothing": lambda: gg.basis_directions(numbers()[0], "Q"),
    "slices of a circuit": lambda: gg.slices(C, {}),
    "LaTeX of nothing": lambda: C.latex(only=["q"]),
    "data by position": lambda: gg.value_and_grad(C)(*numbers()),
    "an option of an optimiser": lambda: gg.value_and_grad(C, learning_rate=0.1),
    "a misspelt option": lambda: gg.value_and_grad(C, back_end="numba"),
    "inputs where sizes are": lambda: C.compile("h")(numbers()[0], **numbers()[1]),
    "a picture of a name": lambda: viz.circuit("elman"),
    "an unfolded name": lambda: viz.unfolded("elman", 3),
    "gradients of a name": lambda: viz.backward("elman", 3),
    "a report of a name": lambda: viz.report("elman"),
    "a report with a verdict": lambda: viz.report(C, proof=True),
    "sensitivity without data": lambda: viz.sensitivity(C, numbers()[0], {}),
    "sensitivity by arrays": lambda: viz.sensitivity(C, *map(list, numbers())),
    "sensitivity to no step": lambda: viz.sensitivity(C, *numbers(), step=9),
    "sensitivity of a batch": lambda: viz.sensitivity(
        C, numbers()[0], C.example(0, 3, batch=(2,), H=2, D=2, K=2)
    ),
    "flow without data": lambda: viz.gradient_flow(C, numbers()[0], {}),
    "units without data": lambda: viz.saturation(C, numbers()[0], {}),
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


def test_attributes_that_expressions_lack_are_missing_to_python_too() -> None:
    h = gg.Circuit().var("h")
    assert not hasattr(h[gg.t], "tanh")
    with pytest.raises(gg.UnknownAttributeError) as caught:
        h[gg.t].tanh()  # type: ignore[operator]
    assert caught.value.remedy == "write tanh(u)"


def test_errors_about_circuits_built_in_python_quote_the_equation() -> None:
    def product(c: gg.Circuit, x: Any, W: Any, h: Any) -> None:
        plain_step(c, x, W, h)
        c["loss"] = gg.sum(gg.sum(W @ x[gg.t]), over=gg.t)

    def boundary(c: gg.Circuit, x: Any, W: Any, h: Any) -> None:
        plain_step(c, x, W, h)
        h[0] = W @ c.param("v", "D")

    with pytest.raises(gg.ShapeError) as caught:
        built(product).check()
    assert caught.value.message.endswith("\n    loss = sum(sum(W @ x[t]) for t in steps)")
    with pytest.raises(gg.ShapeError) as caught:
        built(boundary).check()
    assert caught.value.message.endswith("\n    h[0] = W @ v")


def test_parameters_and_inputs_may_come_in_either_order_where_they_are_joined() -> None:
    params, data = numbers()
    assert viz.sensitivity(C, data, params).svg == viz.sensitivity(C, params, data).svg


def test_a_sequence_of_numbers_for_a_vector_of_one_is_told_how_to_be_one() -> None:
    regression = gg.parse("x[t]: input(D)\nw: param(D)\nloss = sum(w @ x[t] for t in steps)")
    with pytest.raises(gg.DataError, match=r"if D is 1, give x\[:, None\]"):
        gg.value_and_grad(regression)({"w": [1.0]}, x=[1.0, 2.0, 3.0])
