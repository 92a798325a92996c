"""The smallest case at which code is refuted is one of the same fault."""

import numpy as np

import graphgrad as gg

NET = gg.parse(
    "x[t]: input(D)\nW: param(H, H)\nU: param(H, D)\nh[t] = tanh(W @ h[t-1] + U @ x[t])\n"
    "loss = sum(sum(h[t]) for t in steps)"
)


def untransposed(x, W, U):
    """Return gradients; dW is the number 0 where there is one step, which is no fault here."""
    h = [np.zeros(len(W))]
    for each in x:
        h.append(np.tanh(W @ h[-1] + U @ each))
    dW, dU, ahead = 0, 0, np.zeros(len(W))
    for t in reversed(range(len(x))):
        da = (1 - h[t + 1] ** 2) * (1 + ahead)
        dW = dW + np.outer(da, h[t]) if t else dW
        dU = dU + np.outer(da, x[t])
        ahead = W @ da
    return dW, dU


def test_a_zero_without_a_shape_is_not_the_first_place_of_a_fault():
    proof = gg.check_function(NET, untransposed)
    assert {claim.name for claim in proof.claims if claim.verdict == "refuted"} == {"dW", "dU"}
    told = " ".join(proof.lessons)
    assert "It shows first at τ = 2" in told
    assert "τ = 1" not in told
    assert "Witness" in told
