"""Gradients as sums over paths: against the lecture, against reverse mode, term by term."""

from __future__ import annotations

import math
import time
from fractions import Fraction
from itertools import pairwise
from typing import Any

import numpy as np
import pytest
import sympy
from hypothesis import given
from hypothesis import strategies as st

import graphgrad as gg
from graphgrad.errors import DomainError
from graphgrad.paths import Paths, reduced
from tests.drawn import SIZES, Drawn
from tests.strategies import circuits

WITH_LOSS = [
    name
    for name in gg.cells.names()
    if "loss" in gg.cells.load(name).equations and gg.cells.load(name).params
]
SCALAR = (
    "x[t]: input()\nw: param()\nh[t] = w * h[t-1] + x[t]\nL[t] = h[t] ** 2\n"
    "loss = sum(L[t] for t in steps)"
)


def test_the_lecture() -> None:
    """Lecture notes "Recurrent Neural Networks", backpropagation with two steps (h₀ a constant)."""
    dag = gg.cells.load("vanilla").unfold(2)
    for name in ("W", "U", "b"):
        assert str(dag.paths(name)) == (
            f"∂L/∂{name} = ∂L₁/∂h₁ ∂h₁/∂{name} + ∂L₂/∂h₂ ∂h₂/∂h₁ ∂h₁/∂{name} + ∂L₂/∂h₂ ∂h₂/∂{name}"
        )
    assert str(dag.paths("V")) == "∂L/∂V = ∂L₁/∂V + ∂L₂/∂V"
    output = next(e.name for e in dag.system.declared.equations.values() if "V" in str(e))
    shown = str(dag.paths("V", through=output)).replace(f"∂{output}", "∂Y")
    assert shown == "∂L/∂V = ∂L₁/∂Y₁ ∂Y₁/∂V + ∂L₂/∂Y₂ ∂Y₂/∂V"


@given(circuits("polynomial"), st.integers(0, 3), st.data())
def test_the_terms_sum_to_the_gradient(drawn: Drawn, seed: int, data: Any) -> None:
    """Exactly, whichever variables are shown."""
    circuit = gg.parse(drawn.text())
    try:
        dag = circuit.unfold(drawn.steps, **SIZES)
    except DomainError:
        return
    variables = st.lists(st.sampled_from(list(circuit.variables)), unique=True)
    through = data.draw(st.none() | variables)
    values = drawn.values(seed)
    expected = dag.grad(wrt=[*circuit.params, "q"]).evaluate(values)
    for name in data.draw(st.lists(st.sampled_from([*circuit.params, "q"]), max_size=2)):
        try:
            paths = dag.paths(name, through=through, limit=200)
        except gg.GradientError:
            continue
        total: Any = np.zeros(np.shape(values[name]), object)
        for each in paths.evaluate(values):
            total = total + np.asarray(each, object)
        assert np.all(np.asarray(expected[f"d_{name}"], object) == total)


@given(circuits("polynomial", components=2, max_steps=3), st.integers(0, 3))
def test_a_term_is_the_product_of_its_local_derivatives(drawn: Drawn, seed: int) -> None:
    circuit = gg.parse(drawn.text())
    try:
        dag = circuit.unfold(drawn.steps, **SIZES)
        paths = dag.paths("W", limit=50)
    except (DomainError, gg.GradientError):
        return
    values = drawn.values(seed)
    local = paths.jacobians(values)
    for term, value in zip(paths, paths.evaluate(values), strict=True):
        assert all(one.by == other.of for one, other in pairwise(term.factors))
        product: Any = np.array(Fraction(1), object)
        for factor in term.factors:
            axes = np.ndim(product)
            product = np.tensordot(product, np.asarray(local[factor], object), axes)
        assert np.all(product == value)


@pytest.mark.parametrize("name", WITH_LOSS)
def test_the_gallery(name: str) -> None:
    circuit = gg.cells.load(name)
    steps: Any = dict.fromkeys(circuit.indices, 3)
    sizes = dict.fromkeys(circuit.sizes, 2)
    values = circuit.init(1, **sizes) | circuit.example(1, steps, **sizes)
    dag = circuit.unfold(steps)
    gradient = dag.grad().evaluate(values)
    for param in list(circuit.params)[:4]:
        paths = dag.paths(param)
        found = sum(paths.evaluate(values), np.zeros(np.shape(values[param])))
        expected = gradient[f"d_{param}"]
        np.testing.assert_allclose(found, expected, rtol=1e-12, atol=1e-15 * np.abs(expected).max())
        assert paths.latex().isascii()
        assert paths.latex().count("{") == paths.latex().count("}")
        assert str(paths).count("+ ") == max(0, len(paths) - 1)


def terms(paths: Paths) -> list[str]:
    return [str(term) for term in paths]


@pytest.mark.parametrize(
    ("text", "wrt", "expected"),
    [
        # a boundary value, and a parameter that is used there
        ("w: param()\nh[0] = w\nh[t] = h[t-1] ** 2\nloss = h[tau]", "w",
         ["∂h₂/∂h₁ ∂h₁/∂h₀ ∂h₀/∂w"]),
        # a gradient by one step of a state, and by a static input
        ("h[t] = 2 * h[t-1] + 1\nloss = sum(h[t] for t in steps)", ("h", 1),
         ["∂h₂/∂h₁", "∂⁺L/∂h₁"]),
        (SCALAR, ("h", 1), ["∂L₁/∂h₁", "∂L₂/∂h₂ ∂h₂/∂h₁"]),
        ("s: input()\nh[t] = s * h[t-1] + 1\nloss = sum(h[t] for t in steps)", "s",
         ["∂h₁/∂s", "∂h₂/∂h₁ ∂h₁/∂s", "∂h₂/∂s"]),
        # a mean: its terms have a derivative that is not 1
        (SCALAR.replace("loss = sum", "loss = mean"), "w",
         ["∂L/∂L₁ ∂L₁/∂h₁ ∂h₁/∂w", "∂L/∂L₂ ∂L₂/∂h₂ ∂h₂/∂h₁ ∂h₁/∂w",
          "∂L/∂L₂ ∂L₂/∂h₂ ∂h₂/∂w"]),
        # a mean whose terms have no name, with a factor, and with a penalty
        ("x[t]: input()\nw: param()\nloss = mean(2 * (w * x[t]) ** 2 for t in steps)", "w",
         ["∂L/∂L₁ ∂L₁/∂w", "∂L/∂L₂ ∂L₂/∂w"]),
        ("w: param()\nh[t] = w * h[t-1] + 1\n"
         "loss = w * w - mean(h[t] ** 2 for t in steps if t > 1)", "w",
         ["∂L/∂L₂ ∂L₂/∂h₂ ∂h₂/∂h₁ ∂h₁/∂w", "∂L/∂L₂ ∂L₂/∂h₂ ∂h₂/∂w", "∂⁺L/∂w"]),
        # the loss reads h₁ itself, and through h₂
        ("w: param()\nh[t] = w * h[t-1] + 1\nloss = mean(h[t] for t in steps)", "w",
         ["∂⁺L/∂h₁ ∂h₁/∂w", "∂L/∂h₂ ∂h₂/∂h₁ ∂h₁/∂w", "∂L/∂h₂ ∂h₂/∂w"]),
        # all of the gradient in one factor
        ("w: param()\nloss = sum(w * t for t in steps) ** 2", "w", ["∂⁺L/∂w"]),
        # a term of the loss without a name, and one that uses w directly
        ("w: param()\nh[t] = w * h[t-1] + 1\nloss = sum(h[t] ** 2 for t in steps) + w * w", "w",
         ["∂L₁/∂h₁ ∂h₁/∂w", "∂L₂/∂h₂ ∂h₂/∂h₁ ∂h₁/∂w", "∂L₂/∂h₂ ∂h₂/∂w", "∂⁺L/∂w"]),
        # L₁ is a term of the sum, and read once more
        ("w: param()\nL[t] = w * t\nloss = sum(L[t] for t in steps) + L[1] * L[1]", "w",
         ["∂L/∂L₁ ∂L₁/∂w", "∂L₂/∂w"]),
        # nothing flows
        ("w: param()\nh[t] = stop_gradient(w) + h[t-1]\nloss = h[tau]", "w", []),
        # backwards in time, and both ways
        ("w: param()\ng[t] = w * g[t+1] + 1\nloss = g[1]", "w", ["∂g₁/∂g₂ ∂g₂/∂w", "∂g₁/∂w"]),
        # names with subscripts
        ("w_h: param()\nh1[t] = w_h * h1[t-1] + 1\nloss = h1[tau]", "w_h",
         ["∂h1[2]/∂h1[1] ∂h1[1]/∂w_h", "∂h1[2]/∂w_h"]),
    ],
)  # fmt: skip
def test_forms(text: str, wrt: Any, expected: list[str]) -> None:
    assert terms(gg.parse(text).unfold(2).paths(wrt)) == expected


def test_what_is_shown_can_be_chosen() -> None:
    dag = gg.cells.load("elman").unfold(2)
    assert terms(dag.paths("W", through=[])) == ["∂L₁/∂W", "∂L₂/∂W"]
    assert terms(dag.paths("W", through=["o", "a"]))[0] == "∂L₁/∂o₁ ∂o₁/∂a₁ ∂a₁/∂W"
    assert terms(dag.paths("W", loss=("L", 2))) == ["∂L₂/∂h₂ ∂h₂/∂h₁ ∂h₁/∂W", "∂L₂/∂h₂ ∂h₂/∂W"]


def test_latex() -> None:
    paths = gg.parse(SCALAR).unfold(2).paths("w")
    assert paths.latex() == (
        "\\begin{align*}\n"
        r"  \frac{\partial L}{\partial w} &= \frac{\partial L_1}{\partial h_1} "
        r"\frac{\partial h_1}{\partial w} + \frac{\partial L_2}{\partial h_2} "
        r"\frac{\partial h_2}{\partial h_1} \frac{\partial h_1}{\partial w} + "
        r"\frac{\partial L_2}{\partial h_2} \frac{\partial h_2}{\partial w}"
        "\n\\end{align*}\n"
    )
    assert paths._repr_latex_() == paths.latex()
    assert paths._repr_html_() == paths.mathml()
    assert paths.mathml().count("<mfrac") == paths.latex().count(r"\frac")
    assert paths[1].latex().count(r"\frac") == 3
    direct = gg.parse("w: param()\nh[t] = w * h[t-1] + 1\nloss = h[tau] + w").unfold(1).paths("w")
    assert r"\frac{\partial^{+} L}{\partial w}" in direct.latex()


def test_values_by_hand() -> None:
    """h = 1, 2.5; ∂L/∂h = 2h; ∂h₂/∂h₁ = w; ∂h₂/∂w = h₁."""
    paths = gg.parse(SCALAR).unfold(2).paths("w")
    values = {"w": Fraction(1, 2), "x": [Fraction(1), Fraction(2)]}
    assert paths.evaluate(values) == [0, 0, 5]
    assert {paths.factor_text(f): v for f, v in paths.jacobians(values).items()} == {
        "∂L₁/∂h₁": 2, "∂h₁/∂w": 0, "∂L₂/∂h₂": 5, "∂h₂/∂h₁": Fraction(1, 2), "∂h₂/∂w": 1,
    }  # fmt: skip
    (*_, symbolic) = paths.evaluate({}, over="sympy")
    assert str(sympy.expand(symbolic)) == "2*w*x_1**2 + 2*x_1*x_2"


def test_too_many_paths_are_counted_and_refused() -> None:
    started = time.perf_counter()
    dag = gg.parse(SCALAR).unfold(100_000)
    with pytest.raises(gg.GradientError, match="5,000,050,000 paths, more than 1,000"):
        dag.paths("w")
    skip = SCALAR.replace("w * h[t-1]", "w * h[t-1] + h[t-2]")
    with pytest.raises(gg.GradientError, match=r"about 10\^\d+ paths"):
        gg.parse(skip).unfold(5000).paths("w")
    assert math.comb(13, 2) == len(gg.parse(SCALAR).unfold(12).paths("w"))
    assert time.perf_counter() - started < 120


def test_long_paths_cost_no_recursion() -> None:
    text = "w: param()\nh[0] = w\nh[t] = 1 * h[t-1]\nloss = h[tau]"
    paths = gg.parse(text).unfold(20_000).paths("w")
    assert len(paths[0].factors) == 20_001
    assert paths.evaluate({"w": 2.0}) == [1.0]


def test_too_much_between_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reduced, "MOST_VISITS", 10_000)
    text = "w: param()\nh[t] = w * h[t-1] + 1\ng[t] = g[t-1] + h[t]\nloss = g[tau]"
    with pytest.raises(gg.GradientError, match="between"):
        gg.parse(text).unfold(300).paths("w", through="g")


def test_bad_requests() -> None:
    dag = gg.cells.load("encoder_decoder").unfold({"s": 2, "t": 2})
    with pytest.raises(gg.UnknownNameError):
        dag.paths("nothing")
    with pytest.raises(gg.UnknownNameError):
        dag.paths("W", through=["nothing"])
    with pytest.raises(gg.GradientError, match="not one number"):
        dag.paths("W", loss=("h", 1))
    with pytest.raises(gg.GradientError, match="tokens"):
        dag.paths(("x", 1))
    with pytest.raises(gg.DataError, match="has a step"):
        dag.paths("h")
    with pytest.raises(gg.DataError, match="no instance at step 7"):
        dag.paths(("h", 7))
    with pytest.raises(gg.DataError, match="which has no step"):
        dag.paths(("W", 1))
    for wrong in (3, ("h",), ("h", "1"), None):
        with pytest.raises(gg.DataError, match="is not an instance"):
            dag.paths(wrong)  # type: ignore[arg-type]
