"""What comes back from hand-written code, taken apart: caches may hold anything."""

import numpy as np

import graphgrad as gg

NET = gg.parse("x[t]: input(D)\nW: param(H, H)\nU: param(H, D)\nh[t] = tanh(W @ h[t-1] + U @ x[t])")


def forward(x, W, U):
    """Return the states and a cache as courses write it: a list of tuples, and what it is for."""
    h, steps = [np.zeros(len(W))], []
    for each in x:
        h.append(np.tanh(W @ h[-1] + U @ each))
        steps.append((h[-1], h[-2], each, {"W": W, "U": U}))
    return np.stack(h[1:]), (steps, x)


def backward(dh, cache):
    steps, x = cache
    dW, dU, ahead = 0, 0, 0
    for t in reversed(range(len(x))):
        h, before, each, parameters = steps[t]
        da = (1 - h**2) * (dh[t] + ahead)
        dW, dU = dW + np.outer(da, before), dU + np.outer(da, each)
        ahead = parameters["W"].T @ da
    return dW, dU


def test_caches_may_be_ragged():
    assert gg.check_function(NET, (forward, backward), loss="h").ok


def test_a_tuple_of_dicts_is_taken_apart():
    def both(x, W, U):
        h, cache = forward(x, W, U)
        dW, dU = backward(np.ones_like(h), cache)
        return h.sum(), ({"dW": dW}, {"dU": dU})

    model = NET.extend("loss = sum(sum(h[t]) for t in steps)")
    proof = gg.check_function(model, both)
    assert proof.ok
    assert {claim.truth for claim in proof.claims} >= {"∂loss/∂W", "∂loss/∂U"}


def test_gradients_in_a_list_have_the_names_that_they_are_written_with():
    """A list of arrays of one shape is one value for each step; of several, it is taken apart."""
    model = gg.parse(
        "x[t]: input(D)\nW: param(H, D)\nb: param(H)\nh[t] = W @ x[t] + b\n"
        "loss = sum(sum(h[t]) for t in steps)"
    )

    def listed(x, W, b):
        dW, db = np.zeros_like(W), np.zeros_like(b)
        for row in x:
            dW += np.outer(np.ones(len(b)), row)
            db += 1
        return np.sum(x @ W.T + b), [dW, db]

    proof = gg.check_function(model, listed, results=["loss", "d_W", "d_b"])
    assert [(claim.name, claim.verdict) for claim in proof.claims][1:] == [
        ("dW", "proved"),
        ("db", "proved"),
    ]
    assert gg.check_function(model, listed).verdict == "proved"
