"""Which result of code is compared with what, where no name says it."""

import numpy as np
import pytest

import graphgrad as gg
from graphgrad.proof.check_case import CheckError

NET = gg.parse(
    "x[t]: input(D)\nW: param(H, H)\nU: param(H, D)\nh[t] = tanh(W @ h[t-1] + U @ x[t])\n"
    "loss = sum(sum(h[t]) for t in steps)"
)


def run(x, W, U):
    """Return all states, with that before the first step, and the gradients."""
    h = [np.zeros(len(W))]
    for each in x:
        h.append(np.tanh(W @ h[-1] + U @ each))
    dW, dU, ahead = np.zeros_like(W), np.zeros_like(U), 0
    for t in reversed(range(len(x))):
        da = (1 - h[t + 1] ** 2) * (1 + ahead)
        dW += np.outer(da, h[t])
        dU += np.outer(da, x[t])
        ahead = W.T @ da
    return np.stack(h), dW, dU


def truths(fn):
    proof = gg.check_function(NET, fn)
    assert proof.ok, str(proof)
    return {claim.name: claim.truth for claim in proof.claims}


def test_states_are_all_of_them_or_the_last_or_nothing_that_fits():
    def all_states(x, W, U):
        states, dW, dU = run(x, W, U)
        h = states[1:]
        return h, dW, dU

    def the_last(x, W, U):
        states, dW, dU = run(x, W, U)
        h = states[-1]
        return h, dW, dU

    def with_the_first(x, W, U):
        h, dW, dU = run(x, W, U)
        return h, dW, dU

    gradients = {"dW": "∂loss/∂W", "dU": "∂loss/∂U"}
    assert truths(all_states) == {"h": "h"} | gradients
    assert truths(the_last) == {"h": "h[tau]"} | gradients
    assert truths(with_the_first) == gradients


def test_a_dict_of_gradients_may_have_any_name():
    def dictionary(x, W, U):
        _, dW, dU = run(x, W, U)
        out = {"W": dW, "U": dU}
        return out

    assert truths(dictionary) == {"out.W": "∂loss/∂W", "out.U": "∂loss/∂U"}


def test_two_dicts_of_any_name_are_not_guessed():
    def dictionaries(x, W, U):
        _, dW, dU = run(x, W, U)
        one, other = {"W": dW, "U": dU}, {"W": W, "U": U}
        return one, other

    with pytest.raises(CheckError, match="is recognised as a gradient"):
        gg.check_function(NET, dictionaries)
