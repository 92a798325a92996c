"""Simplification: equal value always, fewer operations where a person would write fewer."""

from __future__ import annotations

import random
from fractions import Fraction
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import graphgrad as gg
from graphgrad.errors import DomainError, NotationError
from graphgrad.ir import Expr, topological
from graphgrad.notation.text import expression_text
from graphgrad.simplify import is_one, is_zero, simplified, total
from tests.drawn import SIZES, Drawn
from tests.strategies import circuits


def typed(circuit: gg.Circuit, name: str) -> Expr:
    """The right side of a variable with every type known."""
    declared = circuit.declared()
    types = {n: v.shape for n, v in circuit.variables.items()}

    def leaf(expr: Expr) -> Expr:
        from graphgrad.system import leaf_type

        return Expr(expr.op, (), expr.attr, leaf_type(expr, declared, types))

    done: dict[int, Expr] = {}
    for expr in topological([declared.equations[name].root]):
        args = tuple(done[id(a)] for a in expr.args)
        done[id(expr)] = expr.op(*args, attr=expr.attr) if args else leaf(expr)
    return done[id(declared.equations[name].root)]


def count(expr: Expr) -> int:
    return len(topological([expr]))


@given(circuits("rational"), st.integers(0, 3))
def test_the_value_stays_the_same(drawn: Drawn, seed: int) -> None:
    """Every equation replaced by its simplified form: the same numbers, exactly."""
    circuit = gg.parse(drawn.text())
    values = drawn.values(seed)
    try:
        expected = circuit.unfold(drawn.steps, **SIZES).evaluate(values)
    except DomainError:
        return
    text = str(circuit)
    for name, equation in circuit.equations.items():
        if any(e.op.name in ("onehot", "lookup") for e in topological([equation.root])):
            continue
        smaller = simplified(typed(circuit, name))
        assert smaller.shape == typed(circuit, name).shape
        old = f"\n{name}[{equation.index}] = " if equation.index else f"\n{name} = "
        start = text.index(old)
        end = text.index("\n", start + 1)
        text = text[:start] + old + expression_text(smaller, circuit.declared()) + text[end:]
    for v in drawn.variables:
        # a simplified right side may be a scalar zero: shapes are declared
        declaration = f"{v.name}[{v.index}]: state(" if v.index else f"{v.name}: state("
        if v.shape and declaration not in text:
            text = f"{declaration}{', '.join(v.shape)})\n" + text
    lines = text.split("\n")
    lines.sort(key=lambda line: "steps(" not in line.split("=")[0])
    try:
        again = gg.parse("\n".join(lines))
    except gg.BoundaryError:
        return  # a read was simplified away, and with it the use of a boundary
    found = again.unfold(drawn.steps, **SIZES).evaluate(values)
    for name, value in expected.items():
        assert np.all(np.asarray(found[name]) == np.asarray(value)), name


@st.composite
def formulas(draw: Any, depth: int = 4) -> str:
    """A formula in scalars and vectors of one length with many numbers in it."""
    if depth == 0 or draw(st.integers(0, 3)) == 0:
        return str(
            draw(
                st.sampled_from(
                    ["k", "j", "v", "w", "x[1]", "1", "2", "3", "4", "6", "0", "0.5", "0.1",
                     "1.25", "(-1)", "(-0.3)", "ones(H)", "zeros(H)", "0.12345678901234567"]
                )
            )
        )  # fmt: skip
    left, right = draw(formulas(depth - 1)), draw(formulas(depth - 1))
    if draw(st.integers(0, 5)) == 0:
        return f"(-{left})"
    operator = draw(st.sampled_from("+-***/"))
    return f"({left} {operator} {right})"


@given(formulas(), st.integers(0, 3))
def test_formulas_with_many_numbers_keep_their_value(formula: str, seed: int) -> None:
    """Exactly, over Fractions, wherever the formula as written has a value; and it ends."""
    try:
        circuit = gg.parse(DECLARED.format(": state(H)\nout") + formula)
    except NotationError:
        return  # 1 / 0, as it stands
    smaller = simplified(typed(circuit, "out"))
    assert count(smaller) <= 2 * count(typed(circuit, "out"))
    source = random.Random(seed)
    sizes = {"H": 2, "K": 2}
    shapes = {"k": (), "j": (), "v": (2,), "w": (2,), "u": (2,), "M": (2, 2), "x": (1, 2)}
    values = {
        name: np.array(
            [Fraction(source.choice((-3, -2, 1, 2, 5)), 2) for _ in range(int(np.prod(shape)))],
            object,
        ).reshape(shape)
        for name, shape in shapes.items()
    }
    try:
        expected = circuit.unfold(1, **sizes).evaluate(values)["out"]
    except DomainError:
        return  # k / (k - k), which may have become k / 0
    again = gg.parse(
        DECLARED.format(": state(H)\nout") + expression_text(smaller, circuit.declared())
    )
    assert np.all(again.unfold(1, **sizes).evaluate(values)["out"] == expected)


DECLARED = (
    "k: param()\nj: param()\nv: param(H)\nw: param(H)\nu: param(K)\nM: param(H, H)\n"
    "x[t]: input(H)\nout{} = "
)


@pytest.mark.parametrize(
    ("written", "expected"),
    [
        ("v + zeros(H)", "v"),
        ("0 + v", "v"),
        ("zeros(H) + k", "k * ones(H)"),
        ("v - zeros(H)", "v"),
        ("0 - v", "-v"),
        ("v + -w", "v - w"),
        ("-v + w", "w - v"),
        ("v - -w", "v + w"),
        ("-(-v)", "v"),
        ("-(v - w)", "w - v"),
        ("1 * v", "v"),
        ("v * 1", "v"),
        ("ones(H) * v", "v"),
        ("v * ones(H)", "v"),
        ("zeros(H) * v", "zeros(H)"),
        ("0 * v", "zeros(H)"),
        ("-v * w", "-(v * w)"),
        ("v * -w", "-(v * w)"),
        ("2 * 3 * v", "6 * v"),
        ("(k * ones(H)) * v", "k * v"),
        ("v / 1", "v"),
        ("zeros(H) / v", "zeros(H)"),
        ("-v / w", "-(v / w)"),
        ("v ** 1", "v"),
        ("M.T.T @ v", "M @ v"),
        ("M @ zeros(H)", "zeros(H)"),
        ("M @ -v", "-(M @ v)"),
        ("sum(zeros(H))", "0"),
        ("sum(-v)", "-sum(v)"),
        ("sum(k * v)", "k * sum(v)"),
        ("sum(v * w)", "v @ w"),
        ("sum(k)", "k"),
        ("split(concat(v, u), H, K)[1]", "u"),
        ("concat(v, zeros(K)) + concat(zeros(H), u)", "concat(v, u)"),
        ("split(zeros(2*H), 2)[0]", "zeros(H)"),
        ("split(-concat(v, u), H, K)[0]", "-v"),
        ("at(-v, 1)", "-at(v, 1)"),
        ("at(split(v + w, 1, 2, H-3)[1], 1)", "at(v + w, 2)"),
        ("at(split(v + w, H-2, 2)[1], 1)", "at(split(v + w, H-2, 2)[1], 1)"),
        ("concat(zeros(H), zeros(K))", "zeros(H+K)"),
        ("where(k > 0, zeros(H), zeros(H))", "zeros(H)"),
        ("v + k * ones(H)", "v + k"),
        ("k * ones(H) - v", "k - v"),
        ("k * v + k * v", "2 * k * v"),
        ("k / 2 * v + k / 2 * v", "k * v"),
        ("1 / k * v", "v / k"),
        ("1 / k / j * v", "v / k / j"),
        ("v / k + w / k", "(v + w) / k"),
        ("-1 / k - j / k", "-((1 + j) / k)"),
        ("sum(v / k)", "sum(v) / k"),
        ("k * (j * v)", "k * j * v"),
        ("2 * (k * (3 * v))", "6 * k * v"),
        ("k * -1", "-k"),
        ("v * 3", "3 * v"),
        ("v * -1.5", "-(1.5 * v)"),
        ("v * (w / k)", "v * w / k"),
        ("2 * v / 2", "v"),
        ("2 * v / 4", "v / 2"),
        ("6 * (v / 4)", "3 * v / 2"),
        ("4 / 6 * v", "2 / 3 * v"),
        ("k / j / j", "k / j / j"),
        ("2 * v / (2 * sqrt(w))", "v / sqrt(w)"),
        ("6 * k * v / (4 * (j * w))", "3 * k * v / (2 * j * w)"),
        ("0.5 * 2 * v", "v"),
        ("0.1 * (v * 3)", "0.3 * v"),
        ("0.1 * k * 0.7 * (3 * j)", "0.21 * k * j"),
        ("2 * v * (0.01 * w)", "0.02 * v * w"),
        ("2 * v * (k * w)", "2 * v * (k * w)"),
        ("v * (ones(H) / k)", "v / k"),
        ("ones(H) / 2 * v + v * (ones(H) / 2)", "v"),
        ("v - ones(H) / k", "v - ones(H) / k"),
        ("M * (ones(H, H) / 3)", "M / 3"),
        ("sqrt(v) ** 2", "v"),
        ("w + (v - x[1])", "w + v - x[1]"),
        ("k + (j + k)", "k + j + k"),
        ("w * x[1] - v * x[1]", "(w - v) * x[1]"),
        ("x[1] + v * x[1]", "(1 + v) * x[1]"),
        (
            "sum(v * x[t] for t in steps) + sum(w * x[t] for t in steps)",
            "sum((v + w) * x[t] for t in steps)",
        ),
        ("sum(-x[t] for t in steps)", "-sum(x[t] for t in steps)"),
        ("sum(zeros(H) for t in steps)", "zeros(H)"),
    ],
)
def test_rules(written: str, expected: str) -> None:
    circuit = gg.parse(DECLARED.format("") + written)
    found = simplified(typed(circuit, "out"))
    assert expression_text(found, circuit.declared()) == expected
    assert found.shape == circuit.variables["out"].shape


@pytest.mark.parametrize(
    "written", ["v + w", "M @ v", "k * v", "v * w", "v / w", "v ** 2", "tanh(v) * w", "sum(v)",
                "v - w", "maximum(v, 0)", "v * v", "k * (j * v)"]
)  # fmt: skip
def test_what_cannot_be_simpler_stays(written: str) -> None:
    circuit = gg.parse(DECLARED.format("") + written)
    before = typed(circuit, "out")
    assert count(simplified(before)) <= count(before)
    values: dict[str, Any] = {
        "k": Fraction(2), "j": Fraction(3), "v": [Fraction(1), Fraction(-2)],
        "w": [Fraction(5), Fraction(7)], "u": [Fraction(1)],
        "M": [[Fraction(1), Fraction(2)], [Fraction(3), Fraction(4)]],
        "x": np.array([[Fraction(1), Fraction(1)]], object),
    }  # fmt: skip
    if "tanh" not in written:
        text = expression_text(simplified(before), circuit.declared())
        again = gg.parse(DECLARED.format("") + text)
        one, other = (c.unfold(1).evaluate(values)["out"] for c in (circuit, again))
        assert np.all(np.asarray(one) == np.asarray(other))


def test_what_is_shared_stays_shared() -> None:
    circuit = gg.parse(DECLARED.format("") + "v + 0")
    shared = typed(circuit, "out")
    root = gg.tanh(shared) * gg.sigmoid(shared)
    found = simplified(root)
    assert count(found) == 4
    memo: Any = {}
    assert simplified(shared, memo) is simplified(shared, memo)


def test_zero_and_one() -> None:
    assert is_zero(gg.zeros("H"))
    assert is_zero(gg.ir.constant(0))
    assert is_zero(gg.ir.constant(0.0))
    assert not is_zero(gg.ones("H"))
    assert is_one(gg.ones("H"))
    assert is_one(gg.ir.constant(1))
    assert not is_one(gg.ir.constant(2))


def test_total() -> None:
    circuit = gg.parse(DECLARED.format("") + "v * 2")
    v = typed(circuit, "out")
    zero = gg.zeros("H")
    assert is_zero(total([], v.shape))
    assert is_zero(total([zero, zero], v.shape))
    assert total([zero, v, zero], v.shape) is v
    assert is_zero(total([v, -v], v.shape))
    assert expression_text(total([v, v], v.shape), circuit.declared()) == "2 * (v * 2)"


def test_a_deep_expression_is_simplified_without_recursion() -> None:
    circuit = gg.parse(DECLARED.format("") + "v * 2")
    root: Any = typed(circuit, "out")
    for _ in range(5000):
        root = -(root + gg.zeros("H"))
    assert count(simplified(root)) == 3
