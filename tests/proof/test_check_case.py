"""Cases of a check: the tokens that are drawn, and layouts that must not fit by chance."""

from itertools import combinations

import numpy as np
import pytest

import graphgrad as gg
from graphgrad.proof.check_case import Case, goal_of

MODEL = gg.parse(
    "x[t]: token(V)\ny[t]: token(V)\nz[t]: token(V)\nE: param(H, V)\nO: param(V, H)\n"
    "h[t] = tanh(E @ onehot(x[t]) + h[t-1])\n"
    "loss = sum(softmax_cross_entropy(O @ h[t] + onehot(z[t]), y[t]) for t in steps)"
)


@pytest.mark.parametrize("count", [2, 3, 4, 5])
@pytest.mark.parametrize("tau", [2, 3, 5])
def test_tokens_repeat_and_differ_from_step_to_step_and_input_to_input(count, tau):
    case = Case(goal_of(MODEL, "loss"), tau, {"V": count, "H": 2}, 3, "batch_first")
    assert all(len(set(drawn.tolist())) > 1 for drawn in case.tokens[0].values())
    for tokens in case.tokens:
        for drawn in tokens.values():
            assert len(set(drawn.tolist())) < tau or tau < 3
        for one, other in combinations(list(tokens.values())[: min(count, 3)], 2):
            assert (one != other).any()


@pytest.mark.parametrize("count", [2, 3, 4, 5])
def test_examples_differ_in_their_tokens_and_share_one(count):
    case = Case(goal_of(MODEL, "loss"), 3, {"V": count, "H": 2}, 2, "batch_first")
    first, second = case.tokens
    for name in first:
        assert (first[name] == second[name]).tolist() == [False, True, False]


def passes(x, y, E, R):
    return gradients(x, y, E, R, x)


def passes_with_the_first_token(x, y, E, R):
    return gradients(x, y, E, R, x[:1].repeat(len(x)))


def gradients(x, y, E, R, rows):
    h = {-1: np.zeros(len(E))}
    dE, dR, ahead = np.zeros_like(E), np.zeros_like(R), np.zeros(len(E))
    for t in range(len(x)):
        h[t] = np.tanh(E[:, x[t]] + h[t - 1])
    for t in reversed(range(len(x))):
        scores = np.exp(R @ h[t])
        scores /= scores.sum()
        scores[y[t]] -= 1
        dR += np.outer(scores, h[t])
        ahead = (1 - h[t] ** 2) * (R.T @ scores + ahead)
        dE[:, rows[t]] += ahead
    return {"E": dE, "R": dR}


def test_a_pass_that_takes_one_token_for_all_is_refuted():
    model = gg.parse(
        "x[t]: token(V)\ny[t]: token(V)\nE: param(H, V)\nR: param(V, H)\n"
        "h[t] = tanh(E @ onehot(x[t]) + h[t-1])\n"
        "loss = sum(softmax_cross_entropy(R @ h[t], y[t]) for t in steps)"
    )
    assert gg.check_function(model, passes, tau=2).ok
    wrong = gg.check_function(model, passes_with_the_first_token, tau=2)
    assert [(each.name, each.verdict) for each in wrong.claims] == [
        ("E", "refuted"), ("R", "proved"),
    ]  # fmt: skip


LAYER = gg.parse(
    "x[t]: input(N)\nW: param(H, H)\nU: param(H, N)\nh[t] = tanh(W @ h[t-1] + U @ x[t])"
)


def forward(x, h0, W, U):
    h, states = h0, []
    for t in range(x.shape[1]):
        before, h = h, np.tanh(h @ W.T + x[:, t] @ U.T)
        states.append((before, h, x[:, t], W, U))
    return np.stack([state[1] for state in states], axis=1), states


def backward(dh, states):
    dW, dU, ahead = 0, 0, 0
    for t in reversed(range(len(states))):
        before, h, x, W, _ = states[t]
        da = (1 - h**2) * (dh[:, t] + ahead)
        dW, dU, ahead = dW + da.T @ before, dU + da.T @ x, da @ W
    return {"dW": dW, "dU": dU, "dh0": ahead}


def test_steps_are_not_taken_for_examples():
    """With as many steps as examples this code runs in both layouts."""
    options = {"loss": "h", "batch": 2}
    assert gg.check_function(LAYER, (forward, backward), layout="batch_first", **options).ok
    with pytest.raises(gg.GraphgradError, match=r"ValueError: .*, line \d+ in forward") as caught:
        gg.check_function(LAYER, (forward, backward), **options)
    assert "layout='batch_first'" in caught.value.remedy


def test_outputs_are_judged_once_where_results_are_stated():
    proof = gg.check_function(
        LAYER, (forward, backward), loss="h", batch=2, layout="batch_first",
        results={"dW": "d_W", "dU": "d_U"},
    )  # fmt: skip
    judged = [claim for claim in proof.claims if "∂" not in claim.truth]
    assert [(claim.name, claim.truth) for claim in judged] == [("h", "h")]


def test_a_change_that_shows_in_two_equations_is_named_in_both():
    def turned(dh, states):
        return backward(dh, [(before, h, x, W.T, U) for before, h, x, W, U in states])

    proof = gg.check_function(LAYER, (forward, turned), loss="h", batch=2, layout="batch_first")
    told = " ".join(" ".join(proof.lessons).split())
    assert "d_h[t] multiplies by W instead of W.T" in told
    assert "d_h_0_ multiplies by W instead of W.T" in told
    assert "With this change beside the other the backward equations give exactly" in told


WORDS = gg.parse(
    "x[t]: token(V)\nE: param(V, H)\nW: param(H, H)\nh[t] = tanh(W @ h[t-1] + E[x[t]])\n"
    "loss = sum(sum(h[t]) for t in steps)"
)


def words(x, E, W, rows=None, at_once=False):
    """Return gradients for examples (time, example); those by E go to `rows` of it."""
    rows = x if rows is None else rows
    h = np.zeros((len(x) + 1, x.shape[1], len(W)))
    for t in range(len(x)):
        h[t + 1] = np.tanh(h[t] @ W.T + E[x[t]])
    dE, dW, ahead = np.zeros_like(E), np.zeros_like(W), np.zeros_like(h[0])
    for t in reversed(range(len(x))):
        da = (1 - h[t + 1] ** 2) * (1 + ahead)
        dW += da.T @ h[t]
        if at_once:
            dE[rows[t]] += da
        else:
            np.add.at(dE, rows[t], da)
        ahead = da @ W
    return h[1:].sum(), {"E": dE, "W": dW}


def rows_are_added(x, E, W):
    loss, grads = words(x, E, W)
    return loss, grads


def rows_of_the_neighbour(x, E, W):
    loss, grads = words(x, E, W, rows=x[:, ::-1])
    return loss, grads


def one_example_for_all(x, E, W):
    loss, grads = words(np.stack([x[:, 0]] * x.shape[1], axis=1), E, W)
    return loss, grads


def shared_rows_once(x, E, W):
    loss, grads = words(x, E, W, at_once=True)
    return loss, grads


@pytest.mark.parametrize(
    ("fn", "wrong"),
    [
        (rows_are_added, set()),
        (rows_of_the_neighbour, {"grads.E"}),
        (one_example_for_all, {"loss", "grads.E", "grads.W"}),
        (shared_rows_once, {"grads.E"}),
    ],
)
@pytest.mark.parametrize("size", [2, 3])
def test_the_tokens_of_one_example_are_not_taken_for_those_of_another(fn, wrong, size):
    proof = gg.check_function(WORDS, fn, batch=2, sizes={"V": size, "H": 2})
    assert {claim.name for claim in proof.claims if claim.verdict == "refuted"} == wrong
    assert proof.verdict == ("refuted" if wrong else "proved")


def test_a_circuit_without_a_value_at_one_step_is_checked_at_more():
    model = gg.parse(
        "x[t]: input()\nw: param()\nh[t] = w * h[t-1] + x[t]\n"
        "loss = mean(h[t] for t in steps if t > 2)"
    )

    def slopes(x, w):
        h, slope, losses, total = 0, 0, [], 0
        for t in range(len(x)):
            slope, h = h + w * slope, w * h + x[t]
            if t > 1:
                losses.append(h)
                total += slope
        dw = total / len(losses)
        return dw

    assert gg.check_function(model, slopes).ok
