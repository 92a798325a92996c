"""Truncations: masks on the contributions, and circuits that compute the same in one sweep."""

from __future__ import annotations

import pickle
from collections import Counter
from fractions import Fraction
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import graphgrad as gg
import viz
from graphgrad.adjoint import GradientWarning
from graphgrad.adjoint.copies import Copies
from graphgrad.conditions import NEVER, Affine, Compare
from graphgrad.errors import DomainError
from graphgrad.truncation import Chunks, Window
from tests.drawn import SIZES, Drawn
from tests.strategies import circuits
from tests.truncated import StandIn, quietly, same, truncations_keep

SCALAR = "x[t]: input()\nw: param()\nh[t] = w * h[t-1] + x[t]\nloss = sum(h[t] for t in steps)\n"
VALUES = {"w": Fraction(1, 2), "x": [1, 2, 3, 4, 5]}


def scalar(truncation: Any) -> tuple[Any, Any]:
    """The truncated gradient of the scalar network, by mask and by circuit."""
    circuit = gg.parse(SCALAR)
    by_mask = truncation.of(circuit.unfold(5).contributions(VALUES))["w"]
    by_circuit = circuit.adjoint(truncate=truncation).unfold(5).evaluate(VALUES)["d_w"]
    return by_mask, by_circuit


def by_definition(keeps: Any) -> Fraction:
    """Σ w^(s-t) · h[t-1] over the pairs t ≤ s that are kept."""
    w, x = VALUES["w"], VALUES["x"]
    h = [Fraction(0)]
    for each in x:  # type: ignore[attr-defined]
        h.append(w * h[-1] + each)
    pairs = [(s, t) for s in range(1, 6) for t in range(1, s + 1) if keeps(s, t)]
    return sum((w ** (s - t) * h[t - 1] for s, t in pairs), Fraction(0))


def test_the_scalar_network() -> None:
    assert scalar(gg.window(5)) == scalar(gg.chunks(5)) == (Fraction("18.75"),) * 2
    assert scalar(gg.window(1)) == scalar(gg.chunks(1)) == (Fraction("13.875"),) * 2


@pytest.mark.parametrize("k", range(1, 7))
def test_both_as_they_are_defined(k: int) -> None:
    assert scalar(gg.window(k)) == (by_definition(lambda s, t: s - t < k),) * 2
    chunked = by_definition(lambda s, t: (s - 1) // k == (t - 1) // k)
    assert scalar(gg.chunks(k)) == (chunked,) * 2
    assert (scalar(gg.window(k)) == scalar(gg.chunks(k))) == (k in (1, 5, 6))


def test_chunks_are_what_training_on_stretches_computes() -> None:
    """The state of one stretch starts the next as a number: no cotangent goes back."""
    circuit = gg.parse("h0: input()\n" + SCALAR + "h[0] = h0\n")
    for k in (1, 2, 3, 4):
        state, total = Fraction(0), Fraction(0)
        for start in range(0, 5, k):
            x = VALUES["x"][start : start + k]  # type: ignore[index]
            found = circuit.unfold(len(x)).grad().evaluate({**VALUES, "x": x, "h0": state})
            state, total = found["h"][-1], total + found["d_w"]
        assert scalar(gg.chunks(k)) == (total, total)


def test_the_equations_of_a_window() -> None:
    text = str(gg.parse(SCALAR).adjoint(truncate=gg.window(3)))
    assert text.endswith(
        "d_h__1[t] = w * d_h__0[t+1]\n"
        "d_h__2[t] = w * d_h__1[t+1]\n"
        "d_h[t] = d_h__0[t] + d_h__1[t] + d_h__2[t]\n"
        "d_w = sum(h[t-1] * d_h[t] for t in steps)\n"
    ), text


def test_the_equations_of_chunks() -> None:
    text = str(gg.parse(SCALAR).adjoint(truncate=gg.chunks(3)))
    assert text.endswith(
        "d_h[t] = 1 + (w * d_h[t+1] if t % 3 >= 1 else 0)\n"
        "d_w = sum(h[t-1] * d_h[t] for t in steps)\n"
    ), text


@given(circuits("rational", max_steps=8), st.integers(0, 3), st.integers(1, 9))
def test_circuits_equal_masks(drawn: Drawn, seed: int, k: int) -> None:
    """Exactly over Fractions, or refused because there is no single sweep."""
    circuit = gg.parse(drawn.text())
    try:
        dag = circuit.unfold(drawn.steps, **SIZES)
    except DomainError:
        return
    truncations_keep(circuit, dag, drawn.values(seed), min(k, max(drawn.steps.values()) + 1))


def one_more(self: Any) -> int:
    return int(self.k + 1)


def late(self: Any, index: str, lag: int) -> Any:
    return Compare(">", Affine.name(index).plus(-1).modulo(self.k), Affine.number(lag))


def only_travellers(self: Any, leaf: int, reached: Any) -> bool:
    return reached in self.travels


@pytest.mark.parametrize(
    ("place", "name", "wrong"),
    [
        (Window, "limit", property(one_more)),
        (Window, "pairs", lambda self, s, t: np.abs(s - t) <= self.k),
        (Chunks, "kept", late),
        (Chunks, "kept", lambda self, index, lag: NEVER),
        (Chunks, "pairs", lambda self, s, t: s // self.k == t // self.k),
        (Copies, "_matters", only_travellers),
    ],
)  # fmt: skip
def test_wrong_truncations_do_not_pass(
    place: Any, name: str, wrong: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    text = (
        "x[t]: input()\nw: param()\nu: param()\ng[t] = u * x[t]\n"
        "h[t] = w * h[t-1] + w * h[t-2] + g[t-1]\nloss = sum(h[t] for t in steps)"
    )
    circuit = gg.parse(text)
    values = VALUES | {"u": Fraction(3)}
    assert truncations_keep(circuit, circuit.unfold(5), values, 3)["equal"] == 2
    monkeypatch.setattr(place, name, wrong)
    with pytest.raises(AssertionError):
        sum((truncations_keep(circuit, circuit.unfold(5), values, k) for k in (1, 2, 3)), Counter())


def exact(circuit: gg.Circuit, tau: int, seed: int) -> dict[str, Any]:
    """Parameters and inputs of a cell as small fractions; distributions sum to 1."""
    sizes = dict.fromkeys(circuit.sizes, 2)
    values = circuit.init(seed, **sizes) | circuit.example(seed, tau, **sizes)
    source = np.random.default_rng(seed)
    for name, value in values.items():
        kind = circuit.inputs[name].kind if name in circuit.inputs else "param"
        if kind == "token":
            continue
        entries = np.empty(np.shape(value), object)
        for position in np.ndindex(*entries.shape):
            entries[position] = Fraction(int(source.integers(1, 4)), 2)
            if kind == "distribution":
                entries[position] = Fraction(1, entries.shape[-1])
        values[name] = entries
    return values


TRAINED = [name for name in gg.cells.names() if "loss" in gg.cells.load(name).variables]


@pytest.mark.parametrize("name", TRAINED)
def test_the_gallery(name: str) -> None:
    """Over Fractions, with stand-ins for tanh and the like; each cell with a τ and k of its own."""
    circuit = gg.cells.load(name)
    tau = 2 + TRAINED.index(name) % 4
    values = exact(circuit, tau, seed=1)
    sizes = dict.fromkeys(circuit.sizes, 2)
    k = 1 + TRAINED.index(name) % tau
    counts = truncations_keep(circuit, circuit.unfold(tau, **sizes), values, k, over=StandIn())
    assert counts["mask only"] == (2 if name == "encoder_decoder" else 0)


def test_paths_both_ways_have_the_mask_alone() -> None:
    circuit = gg.parse(
        "x[t]: input()\nw: param()\nv: param()\n"
        "h[t] = w * h[t-1] + x[t]\ng[t] = v * g[t+1] + h[t]\nloss = sum(g[t] for t in steps)"
    )
    for truncation in (gg.window(2), gg.chunks(2)):
        with pytest.raises(gg.GradientError, match="both ways in time") as caught:
            circuit.adjoint(truncate=truncation)
        assert f"{truncation}.of(dag.contributions(values))" in str(caught.value)
    values = {"w": Fraction(1, 2), "v": Fraction(1, 3), "x": [1, 2, 3]}
    table = circuit.unfold(3).contributions(values)["w"]
    kept = gg.window(2).of(circuit.unfold(3).contributions(values))["w"]
    assert kept == table.sum() - table[0, 2] - table[2, 0]
    assert table[0, 2]


def test_each_way_by_itself_is_one_sweep() -> None:
    """In a bidirectional network uses before and after the loss count up to the window."""
    circuit = gg.parse(
        "x[t]: input()\nw: param()\nv: param()\n"
        "f[t] = w * f[t-1] + x[t]\ng[t] = v * g[t+1] + x[t]\n"
        "loss = sum(f[t] * g[t] for t in steps)"
    )
    values = {"w": Fraction(1, 2), "v": Fraction(1, 3), "x": [1, 2, 3, 4]}
    counts = truncations_keep(circuit, circuit.unfold(4), values, 2)
    assert counts == Counter({"equal": 2, "cut": 4})


@pytest.mark.parametrize("k", [1, 2, 4, 8, 16])
def test_a_window_has_k_copies_of_what_travels(k: int) -> None:
    circuit = gg.cells.load("lstm")
    added = len(circuit.adjoint(truncate=gg.window(k)).equations) - len(circuit.equations)
    whole = len(circuit.adjoint().equations) - len(circuit.equations)
    assert added <= whole + k * len(circuit.variables)
    chunked = circuit.adjoint(truncate=gg.chunks(k))
    assert len(chunked.equations) - len(circuit.equations) == whole


@pytest.mark.parametrize("truncation", [gg.window(3), gg.chunks(3)], ids=str)
def test_a_truncated_circuit_is_a_circuit(truncation: Any) -> None:
    """It is drawn, compiled, differentiated again and printed like any other."""
    circuit = gg.cells.load("truncated")
    adjoint = circuit.adjoint(truncate=truncation)
    assert gg.parse(str(adjoint), circuit.name) == adjoint
    sizes = dict.fromkeys(circuit.sizes, 3)
    values = circuit.init(0, **sizes) | circuit.example(0, 7, **sizes)
    dag = circuit.unfold(7)
    expected = truncation.of(dag.contributions(values))
    compiled = adjoint.compile("d_W", "d_b")(values)
    for name in ("W", "b"):
        np.testing.assert_allclose(compiled[f"d_{name}"], expected[name], rtol=1e-12)
    assert "<svg" in viz.circuit(adjoint).svg
    assert "<svg" in viz.unfolded(adjoint, 3).svg
    assert r"\sum" in adjoint.latex()
    extended = adjoint.extend("norm = sum(d_b * d_b)")
    assert "dd_W" in quietly(extended, loss="norm").variables


def test_nothing_dead_is_written() -> None:
    """What lies beyond the truncation has no cotangent at all."""
    circuit = gg.parse(SCALAR.replace("sum(h[t]", "sum(g[t]") + "g[t] = w * g[t-1] + h[t-2]\n")
    for truncation in (gg.window(2), gg.chunks(1)):
        adjoint = circuit.adjoint(truncate=truncation)
        assert not any(name.startswith("d_h") for name in adjoint.variables)
        assert truncations_keep(circuit, circuit.unfold(5), VALUES, truncation.k)["equal"] == 2
    with pytest.warns(GradientWarning, match=r"window\(1\) keeps nothing of it"):
        gg.parse("w: param()\nh[t] = w\ng[t] = h[t-1]\nloss = g[tau]").adjoint(
            truncate=gg.window(1)
        )


def test_an_indexed_loss_enters_at_its_own_step() -> None:
    """With an upstream cotangent at each step, as if the sum of their products were the loss."""
    circuit = gg.parse("x[t]: input()\nw: param()\nh[t] = w * h[t-1] + x[t]")
    whole = circuit.extend("seed_h[t]: input()\nloss = sum(seed_h[t] * h[t] for t in steps)")
    values = VALUES | {"seed_h": [1, 7, 2, 9, 4]}
    parts = whole.unfold(5).contributions(values)
    for truncation in (gg.window(1), gg.window(3), gg.chunks(2)):
        found = circuit.adjoint("h", truncate=truncation).unfold(5).evaluate(values)
        assert found["d_w"] == truncation.of(parts)["w"]


def test_long_sequences() -> None:
    tau = 100_000
    values = {"w": 0.5, "x": np.ones(tau)}
    adjoint = gg.parse(SCALAR).adjoint(truncate=gg.chunks(100))
    found = adjoint.unfold(tau).evaluate(values, outputs=["d_w"])["d_w"]
    h = np.concatenate([[0], 2 - 0.5 ** np.arange(tau - 1)])  # h[t-1]: Σ of halves
    later = 2 - 0.5 ** np.arange(100)[::-1]  # what h[t] adds to the losses of its chunk
    assert found == pytest.approx((h.reshape(-1, 100) * later).sum(), rel=1e-12)


def test_names_of_copies_never_meet_those_of_variables() -> None:
    text = (
        "x[t]: input()\nw: param()\nh[t] = w * h[t-1] + x[t]\nh__1[t] = w * h__1[t-1] + h[t]\n"
        "h_[t] = w * h_[t-1] + h__1[t]\nh_[0] = w\nloss = sum(h_[t] for t in steps)\n"
    )
    circuit = gg.parse(text)
    assert truncations_keep(circuit, circuit.unfold(5), VALUES, 3)["equal"] == 2


@pytest.mark.parametrize("k", [0, -1, 1.0, True, "2", None, 10**10])
def test_whole_numbers_of_steps_only(k: Any) -> None:
    for make in (gg.window, gg.chunks):
        with pytest.raises(gg.DataError, match="whole number of steps"):
            make(k)


def test_bad_requests() -> None:
    circuit = gg.parse(SCALAR)
    for wrong in (3, "window", gg.window):
        with pytest.raises(gg.GradientError, match=r"no truncation[^$]*gg.window\(k\)"):
            circuit.adjoint(truncate=wrong)
    dag = circuit.unfold(3)
    with pytest.raises(gg.DataError, match="not of ndarray"):
        gg.window(2).of(np.ones((3, 3)))  # type: ignore[arg-type]
    norms = dag.contributions({"w": 0.5, "x": np.ones(3)}, norms=True)
    with pytest.raises(gg.DataError, match="that are norms"):
        gg.chunks(2).of(norms)
    with pytest.raises(gg.GradientError, match="copies would be needed"):
        circuit.adjoint(truncate=gg.window(10**9))


def test_truncations_are_values() -> None:
    assert gg.window(2) == gg.window(np.int64(2)) != gg.chunks(2)
    assert len({gg.window(2), gg.window(2), gg.chunks(2)}) == 2
    assert pickle.loads(pickle.dumps(gg.chunks(4))) == gg.chunks(4)
    assert (str(gg.window(2)), str(gg.chunks(3))) == ("window(2)", "chunks(3)")


def test_masks_keep_pairs_of_different_indices() -> None:
    mask = gg.window(1).mask({"s": 2, "t": 3})
    expected = np.ones((5, 5), bool)
    expected[:2, :2], expected[2:, 2:] = np.eye(2), np.eye(3)
    assert same(mask, expected)
