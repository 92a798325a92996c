"""Data: what fits a circuit, what is made at random for it, and what is refused."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import graphgrad as gg
from graphgrad.data import bind, lengths_of
from graphgrad.errors import DataError, GraphgradError, UnknownNameError
from graphgrad.unfold import checked_lengths, checked_sizes

TEXT = (
    "x[t]: input(D)\nw: input(H)\nq[t]: token(N)\ny[t]: distribution(K)\n"
    "W: param(2*H, D)\nE: param(N, D)\nb: param(H+1)\nk: param()\n"
    "h[t] = sum(W @ x[t]) + sum(E[q[t]]) + sum(w) + sum(b) + k\nloss = sum(h[t] for t in steps)"
)
SIZES = {"D": 2, "H": 3, "N": 4, "K": 5}


def circuit() -> gg.Circuit:
    return gg.parse(TEXT)


def values(batch: tuple[int, ...] = (), tau: int = 4) -> dict[str, Any]:
    c = circuit()
    return c.init(1, **SIZES) | c.example(1, tau, batch, **SIZES)


# -- made at random --------------------------------------------------------------------------------


@pytest.mark.parametrize("batch", [(), (3,), (2, 3)])
def test_examples_are_valid(batch: tuple[int, ...]) -> None:
    found = values(batch)
    assert found["x"].shape == (4, *batch, 2)
    assert found["w"].shape == (*batch, 3)
    assert found["q"].shape == (4, *batch)
    assert found["q"].dtype.kind == "i"
    assert found["q"].min() >= 0
    assert found["q"].max() < 4
    assert found["y"].shape == (4, *batch, 5)
    assert (found["y"] > 0).all()
    np.testing.assert_allclose(found["y"].sum(axis=-1), 1, rtol=1e-15)
    assert {n: v.shape for n, v in found.items() if n in circuit().params} == {
        "W": (6, 2), "E": (4, 2), "b": (4,), "k": (),
    }  # fmt: skip
    assert all(v.dtype == np.float64 for n, v in found.items() if n != "q")
    result = circuit().unfold(4).evaluate(found)
    assert result["loss"].shape == batch
    assert result["h"].shape == (4, *batch)


def test_the_same_seed_gives_the_same_numbers() -> None:
    c = circuit()
    for make in (lambda seed: c.init(seed, **SIZES), lambda seed: c.example(seed, 3, **SIZES)):
        first, second, other = make(1), make(1), make(2)
        assert all(np.array_equal(first[n], second[n]) for n in first)
        assert any(not np.array_equal(first[n], other[n]) for n in first)


def test_usual_scale() -> None:
    c = gg.parse("W: param(H, D)\nb: param(H)\nx[t]: input(D)\nh[t] = W @ x[t] + b")
    found = c.init(0, H=400, D=100)
    assert found["W"].std() == pytest.approx(0.1, rel=0.05)
    assert np.abs(found["b"]).max() <= 0.5


def test_sizes_with_defaults_need_not_be_given() -> None:
    c = gg.parse("H: size(3)\nW: param(H, D)\nh[t] = sum(W)")
    assert c.init(0, D=2)["W"].shape == (3, 2)
    assert c.init(0, D=2, H=5)["W"].shape == (5, 2)
    with pytest.raises(DataError, match="the size D has no number") as caught:
        c.init(0)
    assert "D=4" in (caught.value.remedy or "")


def test_only_the_sizes_of_what_is_made_are_needed() -> None:
    c = gg.cells.load("elman")
    assert c.example(0, 3, D=2, K=4)["y"].shape == (3, 4)
    with pytest.raises(DataError, match="the size D has no number"):
        c.example(0, 3, K=4)
    tokens = gg.parse("x[t]: token(N)\nw: param(M)\nloss = sum(w) + sum(1 for t in steps)")
    assert tokens.example(0, 3, N=2)["x"].shape == (3,)
    assert tokens.init(0, M=2)["w"].shape == (2,)


def test_several_lengths() -> None:
    c = gg.cells.load("encoder_decoder")
    found = c.example(0, {"s": 3, "t": 5}, N=4, H=2, K=3, G=2)
    assert (found["x"].shape, found["y"].shape) == ((3,), (5,))
    assert c.example(0, {"m": 3, "n": 5}, N=4, H=2, K=3, G=2)["y"].shape == (5,)
    assert c.example(0, 2, N=4, H=2, K=3, G=2)["x"].shape == (2,)


# -- sizes and lengths -----------------------------------------------------------------------------


def test_sizes_are_read_off_the_data() -> None:
    c = circuit()
    bound = bind(c.check(), {"t": 4}, {}, values((7,)))
    assert bound.sizes == SIZES
    assert bound.batch == (7,)


@pytest.mark.parametrize("tau", [0, -1, 1.0, "3", None, True, 2**31, 10**30, [3], np.float64(3)])
def test_lengths_that_are_none(tau: Any) -> None:
    with pytest.raises(DataError, match=r"the number of steps tau = .* is not possible"):
        checked_lengths(circuit().check(), tau)


def test_lengths_by_index() -> None:
    system = gg.cells.load("encoder_decoder").check()
    assert checked_lengths(system, {"s": 3, "t": np.int64(4)}) == {"s": 3, "t": 4}
    assert checked_lengths(system, {"m": 3, "n": 4}) == {"s": 3, "t": 4}
    with pytest.raises(DataError, match="the number of steps of t is not given"):
        checked_lengths(system, {"s": 3})
    with pytest.raises(UnknownNameError, match="u is not a time index"):
        checked_lengths(system, {"s": 3, "t": 3, "u": 3})


def test_sizes_that_are_none() -> None:
    system = circuit().check()
    assert checked_sizes(system, {"H": np.int64(3)}) == {"H": 3}
    for wrong in (0, -2, 1.5, True, "3", None):
        with pytest.raises(DataError, match=r"the size H = .* is not possible"):
            checked_sizes(system, {"H": wrong})
    with pytest.raises(UnknownNameError) as caught:
        checked_sizes(system, {"HH": 3})
    assert caught.value.remedy == "did you mean H?"


# -- refused ---------------------------------------------------------------------------------------


def wrong(**changes: Any) -> dict[str, Any]:
    return {**values(), **changes}


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"W": np.ones((6, 3))}, "E has shape (4, 2), not (N, D) with D = 3 from W"),
        ({"x": np.ones((4, 3))}, "x has shape (4, 3), not (tau, *batch, D) with D = 2 from W"),
        ({"W": np.ones((5, 2))}, "W has shape (5, 2), not (2*H, D)"),
        ({"W": np.ones(6)}, "W has shape (6,), not (2*H, D)"),
        ({"W": np.ones((1, 6, 2))}, "W has shape (1, 6, 2), not (2*H, D)"),
        ({"b": np.ones(7)}, "b has shape (7,), not (H+1) with H = 3 from W"),
        ({"k": np.ones(1)}, "k has shape (1,), not ()"),
        ({"x": np.ones((3, 2))}, "x has 3 steps, but tau = 4"),
        ({"x": np.ones(2)}, "x has shape (2,), not (tau, *batch, D)"),
        ({"x": np.ones((4, 7, 2))}, "has no batch axes"),
        ({"x": np.ones((4, 7, 2)), "w": np.ones((6, 3))}, "batch axes"),
        ({"q": np.array([0, 1, 2, 4])}, "q[3] = 4 is not a token below 4"),
        ({"q": np.array([0, -1, 2, 3])}, "q[1] = -1 is not a token below 4"),
        ({"q": np.array([0.0, 1.0, 2.0, 3.0])}, "q holds tokens, not float64 numbers"),
        ({"q": np.array([True, False, True, True])}, "the value of q holds bool, not numbers"),
        ({"q": np.array([0, 1, 2])}, "q has 3 steps, but tau = 4"),
        ({"y": np.full((4, 5), 0.3)}, "y is declared a distribution"),
        ({"y": np.array([[2, -1, 0, 0, 0]] * 4) / 1.0}, "y is declared a distribution"),
        ({"y": np.full((4, 5), np.nan)}, "y is declared a distribution"),
        ({"z": np.ones(3)}, "z is neither a parameter nor an input"),
        ({"h": np.ones(4)}, "h is neither a parameter nor an input"),
        ({"k": "1"}, "the value of k"),
        ({"k": None}, "the value of k holds NoneType, not numbers"),
        ({"k": True}, "the value of k holds bool, not numbers"),
        ({"x": np.ones((4, 0, 2))}, "x has no example: its shape is (4, 0, 2)"),
        ({"W": [[1, 2], [3]]}, "the value of W is no array"),
        ({"W": np.array([["a", "b"]])}, "the value of W holds <U1, not numbers"),
        ({"W": {"a": 1}}, "the value of W holds dict, not numbers"),
    ],
    ids=lambda each: str(each)[:40] if isinstance(each, str) else "",
)
def test_data_that_do_not_fit(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(DataError) as caught:
        circuit().unfold(4).evaluate(wrong(**changes))
    assert message in caught.value.message
    assert caught.value.remedy


def test_missing_values_are_all_named() -> None:
    given = {n: v for n, v in values().items() if n not in ("W", "x")}
    with pytest.raises(DataError, match=r"^no value for W, x") as caught:
        circuit().unfold(4).evaluate(given)
    assert "c.init(seed)" in (caught.value.remedy or "")


def test_a_misspelt_value_is_recognised() -> None:
    c = gg.parse("theta: param()\nh[t] = theta * h[t-1]")
    with pytest.raises(DataError) as caught:
        c.unfold(1).evaluate({"thta": 1.0})
    assert caught.value.remedy == "did you mean theta?"


def test_a_size_given_must_agree_with_the_data() -> None:
    with pytest.raises(DataError, match="H = 4 from the size given"):
        circuit().unfold(4, H=4).evaluate(values())


def test_batches_of_tokens_out_of_range_are_found() -> None:
    found = values((3,))
    found["q"][2, 1] = 9
    with pytest.raises(DataError, match=r"q\[2, 1\] = 9 is not a token below 4"):
        circuit().unfold(4).evaluate(found)


def test_a_distribution_may_have_rounding_errors_and_need_not_be_exact() -> None:
    found = values()
    found["y"] = (found["y"] / 3.0 * 3.0).astype(np.float32).astype(float)
    circuit().unfold(4).evaluate(found)


def test_a_circuit_without_sizes_needs_none() -> None:
    c = gg.parse("k: param()\nh[t] = k * h[t-1] + 1")
    assert c.example(0, 5) == {}
    with pytest.raises(GraphgradError):
        c.example(0, 5, H=3)


@pytest.mark.parametrize("tau", [2, {"t": 2}, {"n": 2}, {"s": 3, "t": 2}])
def test_tau_says_what_the_data_do_not_show(tau: Any) -> None:
    c = gg.parse(
        "s: steps(m)\nt: steps(n)\nx[s]: input()\nh[s] = h[s-1] + x[s]\ng[t] = g[t-1] + h[m]"
    )
    x = np.array([1.0, 2.0, 3.0])
    assert lengths_of(c.check(), {"x": x}, tau) == {"s": 3, "t": 2}
    np.testing.assert_allclose(c.compile("g")({"x": x}, tau=tau)["g"], [6.0, 12.0])
    with pytest.raises(DataError, match="x has 3 steps, but m = 5"):
        c.compile("g")({"x": x}, tau={"s": 5, "t": 2})
    with pytest.raises(DataError, match="of t does not show"):
        lengths_of(c.check(), {"x": x}, None)
