"""Gradients of the gallery, of both orders, against complex steps and exact differences."""

from __future__ import annotations

import re
from collections.abc import Callable
from fractions import Fraction
from typing import Any

import mpmath
import numpy as np
import pytest

import graphgrad as gg
from tests.autodiff.derivatives import LENGTHS, complex_step, gallery, moved, parts
from tests.naive import Naive, lifted

KINKS = {"relu_rnn", "hinge"}
GALLERY = [name for name in gg.cells.names() if "loss" in gg.cells.load(name).equations]


@pytest.mark.parametrize("name", sorted(set(GALLERY) - KINKS))
def test_gallery_against_complex_step(name: str) -> None:
    """All parameters, and all inputs but tokens; distributions move off their simplex."""
    circuit, dag, values = gallery(name)
    inputs = [n for n, each in circuit.inputs.items() if each.kind != "token"]
    found = dag.grad(wrt=[*circuit.params, *inputs]).evaluate(values)
    seen = 0.0
    for target in [*circuit.params, *inputs]:
        if circuit.inputs.get(target) and circuit.inputs[target].kind == "distribution":
            continue
        expected = complex_step(dag, values, target)
        np.testing.assert_allclose(found["d_" + target], expected, rtol=1e-10, atol=1e-14)
        seen += np.abs(expected).sum()
    assert seen > 1e-3, "something was compared"


@pytest.mark.parametrize("name", sorted(KINKS))
def test_gallery_with_kinks_against_differences_of_many_digits(name: str) -> None:
    """Central differences with 60 digits, where the function is smooth between its kinks."""
    circuit, dag, values = gallery(name)
    found = dag.grad().evaluate(values)
    with mpmath.workdps(60):
        exact = {n: np.vectorize(mpmath.mpf, otypes=[object])(v) for n, v in values.items()}
        step = mpmath.mpf(10) ** -20
        for target in circuit.params:
            for position in np.ndindex(*np.shape(values[target])):
                ends = [
                    dag.evaluate(moved(exact, target, position, sign * step, object), over=MPMATH)
                    for sign in (1, -1)
                ]
                slope = float((ends[0]["loss"] - ends[1]["loss"]) / (2 * step))
                gradient = np.asarray(found["d_" + target])[position]
                assert gradient == pytest.approx(slope, rel=1e-12, abs=1e-15)
    ops = {template.op.name for template in dag.templates}
    assert ops & {"relu", "hinge"}


class _Mpmath(gg.algebras.ObjectAlgebra):
    """Numbers of many digits; their functions are those of mpmath."""

    def function(self, name: str) -> Callable[..., Any]:
        if name in ("relu", "abs", "maximum", "minimum", "stop_gradient"):
            return super().function(name)
        return getattr(mpmath, name)  # type: ignore[no-any-return]


MPMATH = _Mpmath()


@pytest.mark.parametrize("name", ["relu_rnn"])
def test_gallery_with_kinks_against_exact_differences(name: str) -> None:
    """relu and squares of rational numbers are rational: the derivative is exact."""
    circuit, dag, values = gallery(name, tau=3)
    exact = {
        n: np.vectorize(lambda u: Fraction(round(64 * u), 64), otypes=[object])(v)
        for n, v in values.items()
    }
    found = dag.grad().evaluate(exact)
    names = list(circuit.params)
    duals = {n: lifted(n, v) if n in names else v for n, v in exact.items()}
    sizes = {n: LENGTHS[n] for n in circuit.sizes}
    loss = Naive(circuit, {"t": 3}, sizes, duals).value("loss")
    for target in names:
        assert np.all(found["d_" + target] == parts(loss, target, exact[target]))


@pytest.mark.parametrize("name", sorted(set(GALLERY) - KINKS))
def test_gallery_second_order_against_complex_step(name: str) -> None:
    """Second derivatives through an added scalar parameter that scales the first one."""
    circuit, _, values = gallery(name, tau=3)
    if not circuit.params:
        pytest.skip("no parameter")
    # the first parameter p enters as p * scale, so that d_scale holds first derivatives
    target = next(iter(circuit.params))
    text = re.sub(rf"\b{target}\b(?!:)", f"(scale * {target})", str(circuit))
    scaled = gg.parse(text + "scale: param()\n")
    sizes = {n: LENGTHS[n] for n in circuit.sizes}
    first = scaled.unfold(3, **sizes).grad()
    values["scale"] = np.float64(0.7)
    second = first.grad("d_scale").evaluate(values)
    for name_ in circuit.params:
        expected = complex_step(first, values, name_, "d_scale")
        np.testing.assert_allclose(second["dd_" + name_], expected, rtol=1e-9, atol=1e-12)


SCALAR = ["two_step_scalar", "tied", "per_step", "state_space", "many_to_one"]


@pytest.mark.parametrize("name", SCALAR)
def test_hessian_of_scalar_parameters_against_complex_step(name: str) -> None:
    circuit, dag, values = gallery(name)
    first = dag.grad()
    for parameter, declared in circuit.params.items():
        if declared.shape:
            continue
        second = first.grad("d_" + parameter).evaluate(values)
        for target in circuit.params:
            expected = complex_step(first, values, target, "d_" + parameter)
            np.testing.assert_allclose(second["dd_" + target], expected, rtol=1e-9, atol=1e-13)
