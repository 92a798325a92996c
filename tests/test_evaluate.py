"""The interpreter: number types, batches, what is asked for, and that it agrees with NumPy."""

from __future__ import annotations

from decimal import Decimal
from fractions import Fraction
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import graphgrad as gg
from graphgrad.algebras import FloatAlgebra, FractionAlgebra, OwnAlgebra, algebra_of
from graphgrad.errors import DataError, DomainError, UnknownNameError
from tests.drawn import SIZES, Drawn
from tests.strategies import circuits

RNN = gg.parse(
    "x[t]: input(D)\nW: param(H, H)\nU: param(H, D)\nb: param(H)\n"
    "h[t] = tanh(b + W @ h[t-1] + U @ x[t])\nloss = sum(sum(h[t] ** 2) for t in steps)"
)


def numpy_rnn(values: dict[str, Any]) -> Any:
    h, states = np.zeros(len(values["b"])), []
    for x in values["x"]:
        h = np.tanh(values["b"] + values["W"] @ h + values["U"] @ x)
        states.append(h)
    return np.array(states)


def example(tau: int = 5, batch: tuple[int, ...] = ()) -> dict[str, Any]:
    return RNN.init(3, H=4, D=3) | RNN.example(3, tau, batch, H=4, D=3)


def test_against_a_loop_in_numpy() -> None:
    values = example()
    found = RNN.unfold(5).evaluate(values)
    states = numpy_rnn(values)
    np.testing.assert_allclose(found["h"], states, rtol=1e-14)
    assert found["loss"] == pytest.approx((states**2).sum(), rel=1e-14)
    assert isinstance(found["loss"], float)
    assert set(found) == {"h", "loss"}


@pytest.mark.parametrize("batch", [(2,), (2, 3), (1,)])
def test_each_example_of_a_batch_by_itself(batch: tuple[int, ...]) -> None:
    values = example(4, batch)
    found = RNN.unfold(4).evaluate(values)
    assert found["h"].shape == (4, *batch, 4)
    assert found["loss"].shape == batch
    for one in np.ndindex(*batch):
        alone = RNN.unfold(4).evaluate({**values, "x": values["x"][(slice(None), *one)]})
        np.testing.assert_array_equal(found["h"][(slice(None), *one)], alone["h"])
        np.testing.assert_array_equal(found["loss"][one], alone["loss"])


def test_static_inputs_may_be_batched_or_not() -> None:
    c = gg.parse("x[t]: input(D)\ns: input(D)\nr: input()\nh[t] = r * x[t] + s\nn = sum(s)")
    x = np.arange(12.0).reshape(2, 3, 2)
    s = np.arange(6.0).reshape(3, 2)
    found = c.unfold(2).evaluate({"x": x, "s": s, "r": 2.0})
    np.testing.assert_array_equal(found["h"], 2 * x + s)
    np.testing.assert_array_equal(found["n"], s.sum(axis=1))
    found = c.unfold(2).evaluate({"x": x, "s": s[0], "r": np.array([1.0, 2.0, 3.0])})
    np.testing.assert_array_equal(found["h"], np.array([1.0, 2, 3])[:, None] * x + s[0])
    assert found["n"].shape == (3,)


@pytest.mark.parametrize(
    "dtype", [np.float32, np.float64, np.complex64, np.complex128, np.longdouble]
)
def test_dtypes_are_kept(dtype: Any) -> None:
    values = {name: value.astype(dtype) for name, value in example().items()}
    found = RNN.unfold(5).grad().evaluate(values)
    assert all(np.asarray(value).dtype == dtype for value in found.values())


def test_nothing_is_cast_silently() -> None:
    values = example()
    with pytest.raises(DataError, match="the values mix float32 and float64"):
        RNN.unfold(5).evaluate({**values, "x": values["x"].astype(np.float32)})
    found = RNN.unfold(5).evaluate({**values, "x": values["x"].astype(np.float32)}, over="float32")
    assert found["h"].dtype == np.float32


def test_complex_data_have_no_real_value() -> None:
    values = {name: value + 0j for name, value in example().items()}
    with pytest.raises(DataError, match="W is complex, but float64 numbers are asked for"):
        RNN.unfold(5).evaluate(values, over=float)


def test_whole_numbers_are_floats() -> None:
    c = gg.parse("k: param()\nx[t]: input()\nh[t] = k * h[t-1] / 2 + x[t]")
    found = c.unfold(2).evaluate({"k": 1, "x": [1, 2]})
    np.testing.assert_array_equal(found["h"], [1.0, 2.5])
    assert found["h"].dtype == np.float64


@pytest.mark.parametrize("over", [float, "float64", np.float64, np.dtype("f8"), None])
def test_number_types_by_name(over: Any) -> None:
    found = RNN.unfold(5).evaluate(example(), over=over)
    assert found["h"].dtype == np.float64


@pytest.mark.parametrize("over", [int, str, "nothing", object, bool, "fractions", 3, "int64"])
def test_number_types_that_are_none(over: Any) -> None:
    with pytest.raises(DataError, match="over="):
        RNN.unfold(5).evaluate(example(), over=over)


def test_outputs_that_are_asked_for() -> None:
    dag = RNN.unfold(5).grad()
    values = example()
    everything = dag.evaluate(values)
    assert set(everything) == {"h", "loss", "d_W", "d_U", "d_b", "d_h", "d_loss"}
    for names in (["loss"], ["d_W", "h"], []):
        some = dag.evaluate(values, outputs=names)
        assert set(some) == set(names)
        for name in names:
            np.testing.assert_array_equal(some[name], everything[name])
    assert set(dag.evaluate(values, outputs="loss")) == {"loss"}
    with pytest.raises(UnknownNameError, match="los is not declared"):
        dag.evaluate(values, outputs=["los"])


# -- exact numbers ---------------------------------------------------------------------------------


def test_fractions_are_exact() -> None:
    c = gg.parse("k: param()\nh[0] = 1\nh[t] = k * h[t-1] + 0.1\nm = mean(h[t] for t in steps)")
    found = c.unfold(3).evaluate({"k": Fraction(1, 3)})
    h1 = Fraction(1, 3) + Fraction(1, 10)
    h2 = h1 / 3 + Fraction(1, 10)
    h3 = h2 / 3 + Fraction(1, 10)
    assert list(found["h"]) == [h1, h2, h3]
    assert found["m"] == (h1 + h2 + h3) / 3
    assert all(isinstance(value, Fraction) for value in found["h"])
    assert (
        c.unfold(3).evaluate({"k": 2}, over=Fraction)["m"]
        == Fraction(511, 150) * 0 + sum([Fraction(21, 10), Fraction(43, 10), Fraction(87, 10)]) / 3
    )


def test_floats_among_fractions_are_refused() -> None:
    c = gg.parse("k: param()\nj: param()\nh[t] = k * j")
    with pytest.raises(DataError, match=r"j holds the float 0.5 among exact numbers"):
        c.unfold(1).evaluate({"k": Fraction(1, 3), "j": 0.5}, over=Fraction)
    assert c.unfold(1).evaluate({"k": Fraction(1, 3), "j": 2})["h"][0] == Fraction(2, 3)


@pytest.mark.parametrize(
    "text", ["tanh(k)", "exp(k)", "sqrt(k)", "softmax(k * ones(3))", "logsumexp(k * ones(3))",
             "k ** 0.5", "k ** k", "sigmoid(k)", "log(k)", "softplus(k)"]
)  # fmt: skip
def test_functions_that_leave_the_fractions(text: str) -> None:
    c = gg.parse(f"k: param()\nout = {text}")
    with pytest.raises(DomainError, match="is not a fraction") as caught:
        c.unfold(1).evaluate({"k": Fraction(1, 3)})
    assert caught.value.remedy


def test_division_by_an_exact_zero() -> None:
    c = gg.parse("k: param()\nh[t] = 1 / (k - t)")
    with pytest.raises(DomainError, match="div divides by zero"):
        c.unfold(3).evaluate({"k": Fraction(2)})
    with pytest.raises(DomainError, match="division by zero"):
        gg.parse("k: param()\nout = k ** -2").unfold(1).evaluate({"k": Fraction(0)})


def test_huge_exact_powers_are_refused() -> None:
    c = gg.parse("k: param()\nout = k ** 1000000")
    with pytest.raises(DomainError, match="too large"):
        c.unfold(1).evaluate({"k": Fraction(3, 2)})


def test_floating_point_troubles_are_values_not_warnings() -> None:
    c = gg.parse("k: param()\na = 1 / k\nb = log(k)\nd = exp(1000 + k)\ne = sqrt(k - 1)")
    found = c.unfold(1).evaluate({"k": 0.0})
    assert (found["a"], found["b"], found["d"]) == (np.inf, -np.inf, np.inf)
    assert np.isnan(found["e"])


@given(circuits("rational"), st.integers(0, 3))
def test_floats_are_near_the_exact_values(drawn: Drawn, seed: int) -> None:
    circuit = gg.parse(drawn.text())
    values = drawn.values(seed)
    try:
        dag = circuit.unfold(drawn.steps, **SIZES)
    except DomainError:
        return
    exact = dag.evaluate(values, outputs=["loss"])["loss"]
    floats = {n: v if n == "n" else np.asarray(v, float) for n, v in values.items()}
    found = dag.evaluate(floats, outputs=["loss"])["loss"]
    # only that the two number types mean the same; branches decided by rounding are excluded
    if "where" not in drawn.text() and abs(exact) < 1e6:
        assert found == pytest.approx(float(exact), rel=1e-6, abs=1e-6)


# -- algebras --------------------------------------------------------------------------------------


def test_the_algebra_goes_by_the_data() -> None:
    half = np.array([0.5])
    assert isinstance(algebra_of([half, 3]), FloatAlgebra)
    assert algebra_of([half.astype(np.float32), 3, 0.5]).dtype == np.float32  # type: ignore[union-attr]
    assert algebra_of([half * 1j, half]).dtype == np.complex128  # type: ignore[union-attr]
    assert algebra_of([3]).dtype == np.float64  # type: ignore[union-attr]
    assert isinstance(algebra_of([Fraction(1, 2), 3]), FractionAlgebra)
    assert isinstance(algebra_of([np.array([Fraction(1, 2), 3], object)]), FractionAlgebra)
    import sympy

    assert algebra_of([sympy.Symbol("x")]) == "sympy"
    assert type(algebra_of([np.array([Modular(3)], object)])) is OwnAlgebra


class Modular:
    """Integers modulo a prime: a number type the library has never seen."""

    P = 10_007

    def __init__(self, value: int) -> None:
        self.value = value % self.P

    def __add__(self, other: Any) -> Any:
        return (
            NotImplemented
            if isinstance(other, np.ndarray)
            else type(self)(self.value + getattr(other, "value", other))
        )

    def __mul__(self, other: Any) -> Any:
        return (
            NotImplemented
            if isinstance(other, np.ndarray)
            else type(self)(self.value * getattr(other, "value", other))
        )

    __radd__, __rmul__ = __add__, __mul__

    def __neg__(self) -> Modular:
        return type(self)(-self.value)

    def __sub__(self, other: Any) -> Any:
        return (
            NotImplemented
            if isinstance(other, np.ndarray)
            else self + -type(self)(getattr(other, "value", other))
        )

    def __pow__(self, exponent: int) -> Modular:
        return type(self)(pow(self.value, int(exponent), self.P))

    def __eq__(self, other: object) -> bool:
        return self.value == getattr(other, "value", other)

    __hash__ = None  # type: ignore[assignment]


def test_numbers_modulo_a_prime() -> None:
    c = gg.parse(
        "x[t]: input(D)\nW: param(H, H)\nU: param(H, D)\n"
        "h[t] = (W @ h[t-1]) * (U @ x[t]) + U @ x[t]\nloss = sum(sum(h[t] ** 3) for t in steps)"
    )
    random = np.random.default_rng(0)
    whole = {
        "x": random.integers(-5, 5, (4, 2)),
        "W": random.integers(-5, 5, (3, 3)),
        "U": random.integers(-5, 5, (3, 2)),
    }
    fractions = {
        n: np.vectorize(lambda v: Fraction(int(v)), otypes=[object])(v) for n, v in whole.items()
    }
    residues = {
        n: np.vectorize(lambda v: Modular(int(v)), otypes=[object])(v) for n, v in whole.items()
    }
    dag = c.unfold(4).grad()
    exact, found = dag.evaluate(fractions), dag.evaluate(residues)
    for name in ("loss", "d_W", "d_U"):
        expected = np.ravel(np.asarray(exact[name], object))
        for one, other in zip(np.ravel(np.asarray(found[name], object)), expected, strict=True):
            assert one == int(other) % Modular.P


class Field(Modular):
    """Residues that can be divided."""

    def __truediv__(self, other: Any) -> Any:
        if isinstance(other, np.ndarray):
            return NotImplemented
        return self * pow(getattr(other, "value", other), -1, self.P)

    @classmethod
    def of(cls, value: Fraction) -> Field:
        return cls(value.numerator) / value.denominator


LITERALS = """
x[t]: input(2)
k[t]: token(3)
E: param(3, 2)
W: param(2, 2)
v: param(2)
h[0] = v / 3
h[t] = (W @ h[t-1] + x[t] / t) * (v - 0.1) * concat(1 / tau, at(v, 0)) + E[k[t]] * 2**-t
M[t] = outer(h[t], ones(2)) * (1 / 7) + W * (t - 1)**2 + 0.3
L[t] = squared_error(h[t] ** -t, x[t] / 11) + mean(M[t]) * (1 if t == 1 else t / tau)
loss = mean(L[t] @ 0.7 if t == 3 else L[t] for t in steps) + 0.25
"""


def literal_values() -> tuple[gg.Circuit, dict[str, Any]]:
    """Return a circuit with literals of all kinds, and fractions for it."""
    circuit = gg.parse(LITERALS.replace(" @ 0.7", " * 0.7"))
    values = circuit.init(seed=0) | circuit.example(seed=1, tau=3)
    exact = {
        name: each
        if name == "k"
        else np.vectorize(lambda u: Fraction(u).limit_denominator(9), otypes=[object])(each)
        for name, each in values.items()
    }
    return circuit, exact


def entries(results: dict[str, Any]) -> list[tuple[str, Any]]:
    return [(name, u) for name, each in results.items() for u in np.ravel(np.asarray(each, object))]


def test_literals_are_numbers_of_the_type_that_they_meet() -> None:
    """1/3 is a third modulo a prime, no float; what only literals make is a residue as well."""
    circuit, exact = literal_values()
    residues = {n: v if n == "k" else np.vectorize(Field.of, [object])(v) for n, v in exact.items()}
    dag = circuit.unfold(3)
    for compute in (
        dag.grad().evaluate,
        circuit.adjoint().unfold(3).evaluate,
        dag.contributions,
        lambda values: gg.slices(dag, values),
    ):
        for (name, expected), (_, found) in zip(
            entries(compute(exact)), entries(compute(residues)), strict=True
        ):
            assert isinstance(found, Field), name
            assert found == Field.of(expected), name


def test_decimals_know_the_decimal_fractions_of_the_text() -> None:
    dag = gg.parse("w: param()\nloss = w * 0.1 + exp(w) - exp(1) + w ** 0.5").unfold(1)
    assert dag.evaluate({"w": Decimal(1)})["loss"] == Decimal("1.1")


@pytest.mark.oracle("flint")
def test_enclosures_hold_the_value() -> None:
    """A literal that is no float is enclosed like any other number."""
    import flint

    circuit, exact = literal_values()
    balls = {
        n: v
        if n == "k"
        else np.vectorize(lambda u: flint.arb(u.numerator) / u.denominator, [object])(v)
        for n, v in exact.items()
    }
    dag = circuit.unfold(3).grad()
    for (name, expected), (_, found) in zip(
        entries(dag.evaluate(exact)), entries(dag.evaluate(balls)), strict=True
    ):
        assert (found * expected.denominator - expected.numerator).contains(0), name
        assert found.rel_accuracy_bits() > 20 or expected == 0, name


@pytest.mark.oracle("flint")
@pytest.mark.parametrize("loss", ["relu(w)", "abs(w)", "max(concat(w, 0))", "where(w > 0, 1, 2)"])
def test_intervals_around_a_kink_are_refused(loss: str) -> None:
    import flint

    dag = gg.parse(f"w: param()\nloss = {loss}").unfold(1)
    with pytest.raises(DomainError, match="is not known"):
        dag.evaluate({"w": flint.arb(0, 1)})


@pytest.mark.oracle("flint")
def test_an_interval_is_the_largest_beside_itself() -> None:
    import flint

    found = gg.parse("w: param(2)\nloss = max(w)").unfold(1).grad()
    balls = np.array([flint.arb(1) / 3, flint.arb(2) / 3], object)
    assert [float(u) for u in found.evaluate({"w": balls})["d_w"]] == [0, 1]


def test_what_a_type_cannot_do_is_an_error_with_a_remedy() -> None:
    with pytest.raises(DomainError, match="no method tanh"):
        gg.parse("w: param()\nloss = tanh(w)").unfold(1).evaluate({"w": Modular(3)})
    with pytest.raises(DomainError, match="no number of the type Modular"):
        gg.parse("w: param()\nloss = w + 0.5").unfold(1).evaluate({"w": Modular(3)})
    with pytest.raises(DomainError, match="div is not possible"):
        gg.parse("w: param()\nloss = w / 2").unfold(1).evaluate({"w": Modular(3)})
