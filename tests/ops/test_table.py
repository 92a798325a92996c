"""Every op of the table: shape, value, derivatives of first and second order, number types."""

from __future__ import annotations

import pickle
from fractions import Fraction
from typing import Any

import numpy as np
import pytest

import graphgrad as gg
from graphgrad.dims import Dim
from graphgrad.errors import GraphgradError
from graphgrad.ir import OPS, Op, declare
from graphgrad.ops import FUNCTIONS, LOSSES
from tests.ops.cases import CASES, ELSEWHERE, SIZES, Case, Shape

COMBINATIONS = [(case, shapes) for case in CASES for shapes in case.shapes]
IDS = [
    f"{case.text}-{'-'.join(','.join(s) or '1' for s in shapes)}" for case, shapes in COMBINATIONS
]
every = pytest.mark.parametrize(("case", "shapes"), COMBINATIONS, ids=IDS)
NAMES = "abcd"
STEP = 1e-30


def circuit_of(case: Case, shapes: tuple[Shape, ...], *, scaled: bool = False) -> gg.Circuit:
    """`out` is the op on parameters, `loss` its entries weighted by fixed irregular numbers.

    With `scaled`, each operand is `k * operand`, so that the gradient of k contains all of J.
    """
    lines = [f"H: size({SIZES['H']})", f"K: size({SIZES['K']})", "k: param()"]
    lines += [f"{n}: param({', '.join(s)})" for n, s in zip(NAMES, shapes, strict=False)]
    written = [f"(k * {n})" if scaled else n for n in NAMES]
    lines.append(f"out = {case.text.format(*written)}")
    circuit = gg.parse("\n".join(lines))
    kind = circuit.variables["out"].shape
    weights = "out" if not kind else f"sum(r * out * {'ones' if kind else ''}"
    if kind:
        sizes = ", ".join(map(str, kind))
        return circuit.extend(f"r: input({sizes})\nloss = sum(r * out) + 0 * k")
    assert weights == "out"
    return circuit.extend("loss = out * 1.5 + 0 * k")


def values_of(circuit: gg.Circuit, case: Case, shapes: tuple[Shape, ...], seed: int) -> Any:
    values: dict[str, Any] = {"k": np.float64(1.1)}
    values |= dict(zip(NAMES, case.operands(shapes, seed), strict=False))
    if "r" in circuit.inputs:
        shape = tuple(int(dim.bind(SIZES)) for dim in circuit.inputs["r"].shape)
        values["r"] = np.linspace(0.7, -1.9, int(np.prod(shape))).reshape(shape)
    return values


def complex_step(dag: Any, values: dict[str, Any], name: str, output: str = "loss") -> Any:
    """The derivative of an output by every entry of a value, with an imaginary step."""
    found = np.empty(np.shape(values[name]))
    for position in np.ndindex(*found.shape):
        moved = {n: np.asarray(v, complex).copy() for n, v in values.items()}
        moved[name][position] += 1j * STEP
        result = dag.evaluate(moved, outputs=[output])[output]
        found[position] = np.imag(result) / STEP
    return found


def test_every_op_has_a_case_or_tests_elsewhere() -> None:
    assert {case.op for case in CASES} | ELSEWHERE >= set(OPS)
    assert not {case.op for case in CASES} & ELSEWHERE


def test_functions_of_the_notation() -> None:
    assert set(FUNCTIONS) <= set(OPS)
    assert set(FUNCTIONS) >= LOSSES
    for name, op in FUNCTIONS.items():
        assert getattr(gg, name) is op


@every
def test_value_and_shape(case: Case, shapes: tuple[Shape, ...]) -> None:
    circuit = circuit_of(case, shapes)
    for seed in range(3):
        values = values_of(circuit, case, shapes, seed)
        operands = [values[n] for n in NAMES[: len(shapes)]]
        found = circuit.unfold(1).evaluate(values)["out"]
        expected = case.meaning(*operands)
        assert np.shape(found) == np.shape(expected)
        kind = circuit.variables["out"].shape
        assert tuple(int(dim.bind(SIZES)) for dim in kind) == np.shape(found)
        np.testing.assert_allclose(found, expected, rtol=1e-13, atol=1e-15)
        assert np.asarray(found).dtype == np.float64


@every
def test_gradient_against_complex_step(case: Case, shapes: tuple[Shape, ...]) -> None:
    circuit = circuit_of(case, shapes)
    dag = circuit.unfold(1)
    backward = dag.grad()
    for seed in range(2):
        values = values_of(circuit, case, shapes, seed)
        found = backward.evaluate(values)
        for name in NAMES[: len(shapes)]:
            expected = complex_step(dag, values, name)
            assert np.shape(found["d_" + name]) == np.shape(values[name])
            np.testing.assert_allclose(found["d_" + name], expected, rtol=1e-11, atol=1e-14)


@every
def test_second_derivative_against_complex_step(case: Case, shapes: tuple[Shape, ...]) -> None:
    circuit = circuit_of(case, shapes, scaled=True)
    first = circuit.unfold(1).grad()
    second = first.grad("d_k")
    values = values_of(circuit, case, shapes, 5)
    found = second.evaluate(values)
    for name in ("k", *NAMES[: len(shapes)]):
        expected = complex_step(first, values, name, "d_k")
        np.testing.assert_allclose(found["dd_" + name], expected, rtol=1e-10, atol=1e-13)


@pytest.mark.parametrize(
    ("case", "shapes"),
    [pair for pair in COMBINATIONS if pair[0].rational],
    ids=[name for name, pair in zip(IDS, COMBINATIONS, strict=True) if pair[0].rational],
)
def test_gradient_against_exact_differences(case: Case, shapes: tuple[Shape, ...]) -> None:
    """Central differences over Fractions: exact between kinks, for degrees up to 2."""
    circuit = circuit_of(case, shapes)
    dag = circuit.unfold(1)
    values = {}
    for name, value in values_of(circuit, case, shapes, 1).items():
        entries = np.asarray(value, object)
        rounded = [Fraction(round(64 * entry), 64) for entry in entries.flat]
        values[name] = np.array(rounded, object).reshape(entries.shape)
    found = dag.grad().evaluate(values)
    step = Fraction(1, 10**6)
    for name in NAMES[: len(shapes)]:
        for position in np.ndindex(*np.shape(values[name])):
            ends = []
            for sign in (1, -1):
                moved = dict(values)
                moved[name] = values[name].copy()
                moved[name][position] += sign * step
                ends.append(dag.evaluate(moved)["loss"])
            expected = (ends[0] - ends[1]) / (2 * step)
            gradient = np.asarray(found["d_" + name], object)[position]
            assert isinstance(gradient, Fraction | int)
            assert gradient == expected


@pytest.mark.parametrize(
    ("case", "shapes"),
    [pair for pair in COMBINATIONS if pair[0].analytic],
    ids=[name for name, pair in zip(IDS, COMBINATIONS, strict=True) if pair[0].analytic],
)
def test_complex_continuation(case: Case, shapes: tuple[Shape, ...]) -> None:
    """At complex points off the axis the value is that of the same formula."""
    circuit = circuit_of(case, shapes)
    random = np.random.default_rng(3)
    values = {
        n: v + 0.1j * random.standard_normal(np.shape(v))
        for n, v in values_of(circuit, case, shapes, 2).items()
    }
    found = circuit.unfold(1).evaluate(values)["out"]
    expected = case.meaning(*(np.asarray(values[n]) for n in NAMES[: len(shapes)]))
    np.testing.assert_allclose(found, expected, rtol=1e-12)


@every
def test_float32_stays_float32(case: Case, shapes: tuple[Shape, ...]) -> None:
    circuit = circuit_of(case, shapes)
    values = values_of(circuit, case, shapes, 0)
    small = {n: np.asarray(v, np.float32) for n, v in values.items()}
    found = circuit.unfold(1).grad().evaluate(small)
    expected = circuit.unfold(1).grad().evaluate(values)
    for name, value in found.items():
        assert np.asarray(value).dtype == np.float32, name
        np.testing.assert_allclose(value, expected[name], rtol=1e-3, atol=1e-4)


@every
def test_nan_is_not_swallowed(case: Case, shapes: tuple[Shape, ...]) -> None:
    """A NaN among the operands shows in the value; only what a comparison decides may drop it."""
    circuit = circuit_of(case, shapes)
    dag = circuit.unfold(1)
    for name in NAMES[: len(shapes)]:
        if (
            (case.op == "where" and name in "abcd")
            or case.op == "part"
            or case.text == "at({0}, 1)"
        ):
            continue
        if case.text == "{0} ** 0":
            continue  # x ** 0 is 1, whatever x is: that of IEEE 754
        values = values_of(circuit, case, shapes, 0)
        broken = np.array(values[name], float)
        broken[(0,) * broken.ndim] = np.nan
        assert np.isnan(dag.evaluate({**values, name: broken})["out"]).any()


def test_nan_in_what_is_selected() -> None:
    circuit = gg.parse("a: param(H)\nb: param(H)\nout = where(a > 0, b, 1)\nc = at(b, 1)")
    values = {"a": np.array([1.0, -1.0, np.nan]), "b": np.array([np.nan, np.nan, np.nan])}
    found = circuit.unfold(1).evaluate(values)
    np.testing.assert_array_equal(found["out"], [np.nan, 1.0, 1.0])
    assert np.isnan(found["c"])


@every
def test_the_shape_rule_knows_numbers_and_names(case: Case, shapes: tuple[Shape, ...]) -> None:
    """The rule gives the same shape for sizes as names and as numbers."""
    circuit = circuit_of(case, shapes)
    numbers = [tuple(str(Dim.of(d).bind(SIZES)) for d in shape) for shape in shapes]
    text = "\n".join(f"{n}: param({', '.join(s)})" for n, s in zip(NAMES, numbers, strict=False))
    written = case.text.format(*NAMES).replace("K", str(SIZES["K"]))
    plain = gg.parse(f"{text}\nout = {written}")
    bound = tuple(dim.bind(SIZES) for dim in circuit.variables["out"].shape)
    assert plain.variables["out"].shape == bound


@pytest.mark.parametrize("op", OPS.values(), ids=lambda op: op.name)
def test_records(op: Op) -> None:
    assert pickle.loads(pickle.dumps(op)) is op
    assert repr(op) == f"<op {op.name}>"
    if op.name in {case.op for case in CASES}:
        assert op.forward is not None
        assert op.vjp is not None
    analytic = {case.op: case.analytic for case in CASES}
    if op.name in analytic:
        assert bool(op.kinks) == (not analytic[op.name]), "kinks are documented, and only kinks"


def test_the_table_cannot_be_overwritten() -> None:
    with pytest.raises(GraphgradError, match="the op tanh is declared twice"):
        declare(OPS["tanh"])
