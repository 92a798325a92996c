"""The likely cause of a refuted gradient, seen in floats: what fits at all points, or nothing."""

import numpy as np
import pytest

import graphgrad as gg
from graphgrad.proof import likely
from tests.proof.own_claims import backward

CIRCUIT = gg.parse(
    "x[t]: input(N)\nW: param(N, N)\nR: param(N, N)\nb: param(N)\nq: param(N)\n"
    "h[t] = tanh(W @ h[t-1] + R @ x[t] + b)\nloss = sum(sum(h[t] * q) for t in steps)"
)
RIGHT = backward(CIRCUIT)


def causes(change, circuit=CIRCUIT, **options):
    proof = gg.prove(circuit, claims={**backward(circuit), **change}, method="certificate",
                     **({"tau": 3} | options))  # fmt: skip
    return {claim.by: claim.cause for claim in proof.claims if claim.verdict == "refuted"}


def of(name, form):
    return {f"d_{name}": form.format(RIGHT[f"d_{name}"])}


SEEN = {
    "sign": (of("b", "-({})"), "b", "it is the negative of the gradient: the sign is wrong"),
    "factor": (of("b", "2 * ({}) / 5"), "b", "it is the gradient times 2/5"),
    "average": (of("b", "({}) / tau"), "b", "it is the gradient times 1/3 = 1/τ: an average over "
                "the steps where the sum belongs"),
    "transpose": (of("W", "({}).T"), "W", "it is the transpose of the gradient"),
    "another": ({"d_W": RIGHT["d_R"]}, "W",
                "it is the gradient of R, which has the same shape"),
    "zero": (of("b", "0 * ({})"), "b", "it is zero: nothing is counted"),
    "cut": ({"d_h[t]": "q"}, "W", "it is window(1) of the gradient: truncated"),
    "steps": (of("b", "({}) + delta_h[2]"), "b",
              "the contributions (loss 2, use 2), (loss 3, use 2) are counted wrongly"),
    "nothing that is known": (of("b", "({}) + q"), "b", ""),
    "too little to be seen": (of("q", "({}) * (1 + 1/10**9)"), "q", ""),
    "no number": (of("b", "({}) * h[0] / h[0] + q"), "b", ""),
    "one entry": (of("b", "({}) * (1 + onehot(0, N))"), "b", ""),
}  # fmt: skip


@pytest.mark.parametrize(("change", "name", "cause"), SEEN.values(), ids=SEEN)
def test_what_was_done_instead(change, name, cause):
    assert causes(change)[name] == cause


def test_two_faults_have_a_cause_each():
    found = causes(of("b", "-({})") | of("W", "({}).T"))
    assert found == {"b": SEEN["sign"][2], "W": SEEN["transpose"][2]}


def test_long_sequences_are_explained_without_contributions():
    long = {"tau": likely.MOST_STEPS + 1}
    assert causes(of("b", "-({})"), **long) == {"b": SEEN["sign"][2]}
    assert causes({"d_W": RIGHT["d_R"]}, **long) == {"W": SEEN["another"][2]}
    assert causes(SEEN["steps"][0], **long) == {"b": ""}


def test_large_graphs_are_not_explained(monkeypatch):
    monkeypatch.setattr(likely, "LARGEST", 10)
    assert causes(of("b", "-({})")) == {"b": ""}


def test_gradients_by_inputs_are_not_explained():
    assert causes({"d_x[t]": "-R.T @ delta_h[t]"}) == {"x": ""}


def test_with_two_lengths_a_factor_is_no_average():
    circuit = gg.parse(
        "s: steps(m)\nt: steps(n)\nu[s]: input()\nx[t]: input()\nw: param()\n"
        "z[s] = w * z[s-1] + u[s]\nh[t] = w * h[t-1] + x[t] * z[m]\nloss = sum(h[t] for t in steps)"
    )
    right = backward(circuit)["d_w"]
    found = causes({"d_w": f"({right}) / 3"}, circuit, tau={"s": 3, "t": 3})
    assert found == {"w": "it is the gradient times 1/3"}


def test_points_share_their_parameters_and_start_at_the_witness():
    found = gg.prove(CIRCUIT, claims={**RIGHT, **of("b", "-({})")}, method="certificate")
    (bad,) = (claim for claim in found.claims if claim.verdict == "refuted")
    question = likely.Question(CIRCUIT.open(), "loss", CIRCUIT.open(), "loss")
    dag = CIRCUIT.open().unfold(3, N=2)
    side = likely.Side("claimed", "d_", dag, ("b",), "loss")
    points = likely._points(question, side, bad.values())
    assert points["W"].shape == (2, 2)
    assert points["x"].shape == (3, likely.POINTS, 2)
    assert points["h_0"].shape == (likely.POINTS, 2)
    for name in ("x", "h_0"):
        first = points[name][:, 0] if name == "x" else points[name][0]
        assert np.array_equal(first, bad.values()[name])


def test_what_fits_only_where_nearly_everything_vanishes_is_no_cause():
    net = gg.parse(
        "x[t]: input(D)\ny[t]: input(H)\nU: param(H, D)\nW: param(H, H)\nb: param(H)\n"
        "a[t] = b + W @ h[t-1] + U @ x[t]\nh[t] = tanh(a[t])\n"
        "loss = sum(squared_error(h[t], y[t]) for t in steps)"
    )
    limit = "where(abs(a[t]) > 50, zeros(H), 1 - h[t]**2)"
    claims = {
        "d_h[t]": "h[t] - y[t] + W.T @ d_a[t+1]",
        "d_a[t]": f"{limit} * d_h[t]",
        "d_W": "sum(outer(d_a[t], h[t-1]) for t in steps)",
    }
    (claim,) = gg.prove(net, claims=claims, method="certificate").claims
    assert claim.verdict == "refuted"
    assert claim.cause == ""
