"""The gallery: every cell is what its comment says, and the worked examples of the sources hold."""

from __future__ import annotations

import re
from typing import Any

import numpy as np
import pytest

import graphgrad as gg
from graphgrad.errors import UnknownNameError

NAMES = gg.cells.names()
SIZES = {"H": 3, "D": 2, "K": 2, "N": 3, "M": 4, "G": 2, "I": 2}
WITHOUT_LOSS = {"fixed_point"}
WITHOUT_PARAMETERS = {"fixed_point"}


def load(name: str, tau: int = 3, seed: int = 1) -> tuple[gg.Circuit, dict[str, Any]]:
    circuit = gg.cells.load(name)
    sizes = {n: SIZES[n] for n in circuit.sizes}
    return circuit, circuit.init(seed, **sizes) | circuit.example(seed, tau, **sizes)


def test_the_gallery_of_the_design() -> None:
    assert set(NAMES) >= {
        "autoregressive", "bidirectional", "deep_rnn", "driven_system", "dynamical_system",
        "echo_state", "elman", "encoder_decoder", "feedforward_taps", "fixed_point",
        "free_running", "graves", "gru", "hidden_markov_model", "hinge", "leaky_units",
        "linear_dynamical_system", "lstm", "lstm_peephole", "many_to_many", "many_to_many_lag",
        "many_to_one", "mingru", "no_outputs", "one_to_many", "one_to_one", "output_recurrence",
        "relu_rnn", "sequence_to_one", "skip_connections", "state_space", "teacher_forcing",
        "tied", "truncated", "two_step_scalar", "variable_length",
    }  # fmt: skip
    assert sorted(NAMES) == NAMES


@pytest.mark.parametrize("name", NAMES)
def test_each_cell_names_its_source_and_runs(name: str) -> None:
    text = gg.cells.path(name).read_text(encoding="utf-8")
    head = "\n".join(line for line in text.split("\n") if line.startswith("#"))
    assert re.search(r"Seed:|Source:", head), "a cell names where it comes from"
    circuit, values = load(name)
    assert circuit.name == name
    assert circuit.title == text.split("\n")[0].removeprefix("# ")
    for tau in (1, 2, 5):
        sizes = {n: SIZES[n] for n in circuit.sizes}
        data = {n: values[n] for n in circuit.params} | circuit.example(2, tau, **sizes)
        if name == "hinge":
            data["y"] = np.sign(data["y"])
        found = circuit.unfold(tau).evaluate(data)
        assert all(np.isfinite(value).all() for value in found.values())
        if name not in WITHOUT_LOSS:
            assert np.shape(found["loss"]) == ()
    assert bool(circuit.params) == (name not in WITHOUT_PARAMETERS)


@pytest.mark.parametrize("name", NAMES)
def test_every_declaration_is_used(name: str) -> None:
    circuit, _ = load(name)
    text = str(circuit)
    for declared in (*circuit.params, *circuit.inputs):
        assert len(re.findall(rf"\b{declared}\b", text)) > 1, declared


def test_misspelt_name() -> None:
    with pytest.raises(UnknownNameError) as caught:
        gg.cells.load("lsmt")
    assert caught.value.remedy == "did you mean lstm?"
    for wrong in ("../cells/lstm", "lstm.rec", "", "/etc/passwd", "a\x00b"):
        with pytest.raises(UnknownNameError):
            gg.cells.path(wrong)


# -- what the sources print ------------------------------------------------------------------------


@pytest.mark.parametrize("start", [-1e6, -3.0, 0.0, 0.5, 2.0, 100.0])
def test_fixed_point(start: float) -> None:
    """Seed 004: h ← σ(h/2) converges to .5708… from any start; from h_0 = 2, .73, then .59."""
    found = gg.cells.load("fixed_point").unfold(100).evaluate({"h0": start})["h"]
    limit = found[-1]
    assert f"{limit:.7f}".startswith("0.5708")
    assert limit == pytest.approx(1 / (1 + np.exp(-limit / 2)), rel=1e-15)
    if start == 2.0:
        assert [f"{h:.2f}" for h in found[:2]] == ["0.73", "0.59"]


def two_step() -> tuple[Any, dict[str, Any]]:
    dag = gg.cells.load("two_step_scalar").unfold(2).grad()
    values = {"W": 0.7, "U": -0.4, "V": 1.3, "b": 0.2, "c": -0.6, "h0": 0.9}
    return dag, {**values, "x": np.array([0.5, -1.1]), "z": np.array([0.3, 0.8])}


def test_two_step_scalar_network_by_hand() -> None:
    """Seed 004, the factors as printed there, in floating point."""
    dag, v = two_step()
    found = dag.evaluate(v)
    (h1, h2), (y1, y2) = found["h"], found["y"]
    (x1, x2), (z1, z2), h0 = v["x"], v["z"], v["h0"]
    dl1_dh1, dl2_dh2 = (y1 - z1) * v["V"], (y2 - z2) * v["V"]
    dh2_dh1 = (1 - h2**2) * v["W"]
    by = {
        "W": ((1 - h1**2) * h0, (1 - h2**2) * h1),
        "U": ((1 - h1**2) * x1, (1 - h2**2) * x2),
        "b": (1 - h1**2, 1 - h2**2),
    }
    expected = {
        name: dl1_dh1 * first + dl2_dh2 * dh2_dh1 * first + dl2_dh2 * second
        for name, (first, second) in by.items()
    }
    expected["V"] = (y1 - z1) * h1 + (y2 - z2) * h2
    expected["c"] = (y1 - z1) + (y2 - z2)
    for name, value in expected.items():
        assert found["d_" + name] == pytest.approx(value, rel=1e-14), name


def test_two_step_scalar_network_term_for_term() -> None:
    """Seed 004: ∂L/∂W, ∂L/∂U, ∂L/∂V, ∂L/∂b, ∂L/∂c as symbolic expressions, term for term.

    Each gradient is a sum, in the order of the paths printed in the notes: through h_1 to L_1,
    through h_2 and h_1 to L_2, and through h_2 alone to L_2.
    """
    sympy = pytest.importorskip("sympy")
    dag = gg.cells.load("two_step_scalar").unfold(2).grad()
    # states as symbols: the factors in the notes are written with h_1, h_2, Y_1, Y_2
    W, U, V, b, c = sympy.symbols("W U V b c", real=True)
    h0, x1, x2, z1, z2 = sympy.symbols("h0 x_1 x_2 z_1 z_2", real=True)
    values = {"W": W, "U": U, "V": V, "b": b, "c": c, "h0": h0,
              "x": np.array([x1, x2], object), "z": np.array([z1, z2], object)}  # fmt: skip
    found = dag.evaluate(values)
    (h1, h2), (y1, y2) = found["h"], found["y"]
    a1, a2 = found["a"]
    assert sympy.expand(a1 - (W * h0 + U * x1 + b)) == 0
    assert sympy.expand(a2 - (W * h1 + U * x2 + b)) == 0

    def printed(first: Any, second: Any) -> list[Any]:
        """The three paths of the notes, from the local derivatives of h_1 and h_2."""
        return [
            (y1 - z1) * V * first,
            (y2 - z2) * V * (1 - h2**2) * W * first,
            (y2 - z2) * V * second,
        ]

    expected = {
        "W": printed((1 - h1**2) * h0, (1 - h2**2) * h1),
        "U": printed((1 - h1**2) * x1, (1 - h2**2) * x2),
        "b": printed(1 - h1**2, 1 - h2**2),
        "V": [(y1 - z1) * h1, (y2 - z2) * h2],
        "c": [y1 - z1, y2 - z2],
    }
    # the letters of the notes in place of what they stand for, the last one first
    H1, H2, Y1, Y2 = sympy.symbols("h_1 h_2 Y_1 Y_2", real=True)
    letters = [(h2, H2), (h1, H1), (V * H2 + c, Y2), (V * H1 + c, Y1)]

    def terms(expression: Any) -> set[Any]:
        for what, letter in letters:
            expression = expression.subs(what, letter)
        assert not expression.has(sympy.tanh)
        return set(sympy.Add.make_args(sympy.expand(expression)))

    for name, paths in expected.items():
        gradient = terms(found["d_" + name])
        whole = terms(sum(paths))
        assert gradient == whole, name
        if name != "c":  # there SymPy adds the two c in Y_1 + Y_2
            assert not any(term.has(c) for term in gradient)
            assert sum(len(terms(path)) for path in paths) == len(whole), "no two share a term"


def test_the_delta_recursion_and_the_sum_over_time() -> None:
    """Seed 003 (Graves): δ_h^t = θ'(a_h^t)(Σ_k δ_k^t w_hk + Σ_h' δ_h'^{t+1} w_hh'), and
    ∂O/∂w_ij = Σ_t δ_j^t b_i^t, unit by unit, equal the engine's cotangents and gradients.
    """
    tau = 4
    circuit, v = load("graves", tau)
    found = circuit.unfold(tau).grad().evaluate(v)
    inputs, hidden, outputs = SIZES["I"], SIZES["H"], SIZES["K"]
    w_hh, w_hk, b = v["w_hh"], v["w_hk"], found["b_h"]
    delta_k = found["y"] - v["z"]
    delta = np.zeros((tau + 2, hidden))
    for t in range(tau, 0, -1):
        for h in range(hidden):
            to_outputs = sum(delta_k[t - 1, k] * w_hk[k, h] for k in range(outputs))
            to_hidden = sum(delta[t + 1, other] * w_hh[other, h] for other in range(hidden))
            delta[t, h] = (1 - b[t - 1, h] ** 2) * (to_outputs + to_hidden)
    np.testing.assert_allclose(found["d_a_k"], delta_k, rtol=1e-12, atol=1e-15)
    np.testing.assert_allclose(found["d_a_h"], delta[1:-1], rtol=1e-12, atol=1e-15)
    steps = range(1, tau + 1)
    before = np.vstack([np.zeros(hidden), b])  # b_h at step 0 is zero
    d_w_ih = [[sum(delta[t, h] * v["x"][t - 1, i] for t in steps) for i in range(inputs)]
              for h in range(hidden)]  # fmt: skip
    d_w_hh = [[sum(delta[t, h] * before[t - 1, other] for t in steps) for other in range(hidden)]
              for h in range(hidden)]  # fmt: skip
    d_w_hk = [[sum(delta_k[t - 1, k] * b[t - 1, h] for t in steps) for h in range(hidden)]
              for k in range(outputs)]  # fmt: skip
    for name, expected in (("w_ih", d_w_ih), ("w_hh", d_w_hh), ("w_hk", d_w_hk)):
        np.testing.assert_allclose(found["d_" + name], expected, rtol=1e-12, atol=1e-15)


def test_the_mean_over_slices_is_not_the_gradient() -> None:
    """Seed 001 averages the gradients of the slices; the gradient is their sum, τ times as much."""
    tau = 5
    tied, v = load("tied", tau)
    slices = gg.cells.load("per_step")
    shared = tied.unfold(tau).grad().evaluate(v)["d_w"]
    own = {n: v[n] for n in ("x", "y", "h0", "u")} | {"w": np.full(tau, v["w"])}
    by_slice = slices.unfold(tau).grad(wrt=["w", "u"]).evaluate(own)["d_w"]
    assert by_slice.shape == (tau,)
    assert shared == pytest.approx(by_slice.sum(), rel=1e-13)
    assert shared != pytest.approx(by_slice.mean(), rel=0.1)


def test_elman_equations_of_goodfellow() -> None:
    """Equations 10.8–10.12: the values, in NumPy."""
    circuit, v = load("elman", 4)
    found = circuit.unfold(4).evaluate(v)
    h: Any = np.zeros(SIZES["H"])
    loss = 0.0
    for t in range(4):
        h = np.tanh(v["b"] + v["W"] @ h + v["U"] @ v["x"][t])
        o = v["c"] + v["V"] @ h
        yhat = np.exp(o) / np.exp(o).sum()
        loss -= (v["y"][t] * np.log(yhat)).sum()
        np.testing.assert_allclose(found["yhat"][t], yhat, rtol=1e-13)
    assert found["loss"] == pytest.approx(loss, rel=1e-13)


def test_hidden_markov_model_against_all_paths() -> None:
    """The forward recursion gives minus the log of the sum over all paths of hidden states."""
    tau = 4
    circuit, v = load("hidden_markov_model", tau)

    def softmax(m: Any) -> Any:
        return np.exp(m) / np.exp(m).sum(axis=-1, keepdims=True)

    P, Q, start = softmax(v["A"]), softmax(v["B"]), softmax(v["q"])
    total = 0.0
    for path in np.ndindex(*[SIZES["N"]] * tau):
        weight = start[path[0]]
        for t in range(tau):
            weight *= Q[path[t], v["x"][t]] * (P[path[t - 1], path[t]] if t else 1)
        total += weight
    assert circuit.unfold(tau).evaluate(v)["loss"] == pytest.approx(-np.log(total), rel=1e-13)


def test_lstm_and_its_fused_form_are_the_same_cell() -> None:
    lstm, v = load("lstm", 4)
    fused = gg.cells.load("lstm_fused")
    stacked = {n: np.concatenate([v[f"{n}_{k}"] for k in "ifog"]) for n in ("W", "U", "b")}
    other = {**stacked, "x": v["x"], "V": v["V"], "y": np.zeros((4, SIZES["K"]))}
    np.testing.assert_allclose(
        fused.unfold(4).evaluate(other)["h"], lstm.unfold(4).evaluate(v)["h"], rtol=1e-14
    )


def test_a_bidirectional_network_reads_the_sequence_both_ways() -> None:
    """With the roles of the two layers exchanged and time turned round, the loss is the same."""
    circuit, v = load("bidirectional", 5)
    turned = {**v, "x": v["x"][::-1], "y": v["y"][::-1]}
    assert SIZES["H"] != SIZES["G"], "so that the exchange shows"
    for one, other in (("W", "R"), ("U", "S"), ("b", "r"), ("V", "Q")):
        turned[one], turned[other] = v[other], v[one]
    found = circuit.unfold(5).evaluate(v)["loss"]
    assert circuit.unfold(5).evaluate(turned)["loss"] == pytest.approx(found, rel=1e-13)


def test_memoryless_cells_forget() -> None:
    """A change of an input long ago changes nothing later; in a recurrent network it does."""
    for name, memory in (("autoregressive", 2), ("feedforward_taps", 2), ("teacher_forcing", 0)):
        circuit, v = load(name, 6)
        later = {**v, "x": v["x"].copy()}
        later["x"][0] += 1
        first, second = (circuit.unfold(6).evaluate(each)["o"] for each in (v, later))
        np.testing.assert_array_equal(first[1 + memory :], second[1 + memory :])
        assert not np.array_equal(first[: 1 + memory], second[: 1 + memory])
    circuit, v = load("elman", 6)
    later = {**v, "x": v["x"] + np.eye(6)[:, :1]}
    first, second = (circuit.unfold(6).evaluate(each)["o"] for each in (v, later))
    assert not np.array_equal(first[-1], second[-1])
