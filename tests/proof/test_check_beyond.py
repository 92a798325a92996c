"""Code that is right at the sizes of a proof only is not proved, and other lengths are tried."""

from __future__ import annotations

import json

import numpy as np
import pytest

import graphgrad as gg
from tests.proof.test_check import net


def backward(x, y, W, U, most=None):
    """Return the loss and its gradients; at most `most` steps back, if that is said."""
    h = [np.zeros(len(W))]
    for each in x:
        h.append(np.tanh(W @ h[-1] + U @ each))
    loss = sum(0.5 * np.sum((a - b) ** 2) for a, b in zip(h[1:], y, strict=True))
    dW, dU = np.zeros_like(W), np.zeros_like(U)
    for last in range(len(x)):
        d = h[last + 1] - y[last]
        for k in range(last, -1 if most is None else max(last - most, -1), -1):
            d = (1 - h[k + 1] ** 2) * d
            dW += np.outer(d, h[k])
            dU += np.outer(d, x[k])
            d = W.T @ d
    return loss, dW, dU


def right(x, y, W, U):
    loss, dW, dU = backward(x, y, W, U)
    return loss, dW, dU


def right_for_squares(x, y, W, U):
    loss, dW, dU = backward(x, y, W, U)
    dU = dU if U.shape[0] == U.shape[1] else dU.ravel()[::-1].reshape(U.shape)
    return loss, dW, dU


def squares_only(x, y, W, U):
    assert U.shape[0] == U.shape[1]
    loss, dW, dU = backward(x, y, W, U)
    return loss, dW, dU


def other_net_elsewhere(x, y, W, U):
    loss, dW, dU = backward(x, y, W, U)
    if U.shape[0] != U.shape[1]:
        loss, dU = 2 * loss, 2 * dU
    return loss, dW, dU


def likelihood(y, a, r):
    loss, s, ds, da, dr = 0, [0], 0, 0, 0
    for each in y:
        s.append(a * s[-1] + each**2)
        loss = loss + np.log(s[-1] - r)
    for t in reversed(range(len(y))):
        ds = 1 / (s[t + 1] - r) + a * ds
        da, dr = da + ds * s[t], dr - 1 / (s[t + 1] - r)
    return {"loss": loss, "da": da, "dr": dr}


def test_where_a_circuit_has_no_value_other_points_are_taken():
    """At the first point there is the logarithm of a negative number at some step."""
    circuit = gg.parse(
        "y[t]: input()\na: param()\nr: param()\ns[t] = a * s[t-1] + y[t]**2\n"
        "loss = sum(log(s[t] - r) for t in steps)"
    )
    proof = gg.check_function(circuit, likelihood, tau=2)
    assert proof.verdict == "proved"
    assert not [note for note in proof.notes if "forward pass" in note], proof.notes


def roots(y, a):
    return {"da": np.sum(a * y**2 / np.sqrt((a * y) ** 2 - 999))}


def test_a_circuit_without_values_at_the_points_is_not_tried():
    circuit = gg.parse(
        "y[t]: input()\na: param()\nloss = sum(sqrt((a * y[t])**2 - 999) for t in steps)"
    )
    proof = gg.check_function(circuit, roots, tau=2)
    assert (proof.verdict, proof.limits) == ("proved", ())
    assert "not tried at τ = 4: the circuit has no value at the sample points" in proof.notes


def truncated(x, y, W, U):
    loss, dW, dU = backward(x, y, W, U, most=3)
    return loss, dW, dU


def test_right_code_is_proved_without_a_note():
    proof = gg.check_function(net(), right)
    assert proof.ok
    assert proof.notes == ()


def test_code_that_is_right_for_equal_sizes_only_is_refuted():
    proof = gg.check_function(net(), right_for_squares)
    verdicts = {claim.name: claim.verdict for claim in proof.claims}
    assert verdicts == {"loss": "proved", "dW": "proved", "dU": "refuted"}
    assert "right at D = 2, H = 2, but not at D = 3, H = 2" in str(proof)


def test_sizes_that_are_given_are_not_questioned():
    assert gg.check_function(net(), right_for_squares, sizes={"D": 2, "H": 2}).ok


@pytest.mark.parametrize(
    ("fn", "note"),
    [
        (squares_only, "not tried at D = 3, H = 2: AssertionError"),
        (other_net_elsewhere, "at D = 3, H = 2 the forward pass is another one"),
    ],
)
def test_code_that_is_not_for_other_sizes_is_proved_at_its_own(fn, note):
    proof = gg.check_function(net(), fn)
    assert proof.ok
    assert any(each.startswith(note) for each in proof.notes), proof.notes


def limited(x, y, W, U):
    loss, dW, dU = right(x, y, W, U)
    return loss, np.clip(dW, -1e-3, 1e-3), np.clip(dU, -1e-3, 1e-3)


def limited_and_right_for_squares(x, y, W, U):
    loss, dW, dU = right_for_squares(x, y, W, U)
    return loss, np.clip(dW, -1e-3, 1e-3), np.clip(dU, -1e-3, 1e-3)


def shortened(x, y, W, U):
    loss, dW, dU = right(x, y, W, U)
    longest = 1.5 * len(W) if len(x) < 5 and U.shape[0] == U.shape[1] else 1e-3
    norm = np.linalg.norm(dW)
    return loss, dW * longest / norm if norm > longest else dW, dU


def asked(x, y, W, U):
    loss, dW, dU = right(x, y, W, U)
    return loss, dW if float(loss) < 1e9 and U.shape[0] == U.shape[1] else 2 * dW, dU


def with_a_small_constant(x, y, W, U):
    loss, dW, dU = right(x, y, W, U)
    return loss, dW * loss / (loss + 5e-6), dU


@pytest.mark.parametrize("fn", [limited, shortened, asked, with_a_small_constant])
def test_limits_and_branches_of_the_proof_are_not_left(fn):
    proof = gg.check_function(net(), fn)
    assert proof.ok, str(proof)
    assert not any("at τ" in note or "at D" in note for note in proof.notes), proof.notes


def test_faults_behind_limits_are_found_at_other_sizes():
    proof = gg.check_function(net(), limited_and_right_for_squares)
    assert [claim.name for claim in proof.claims if claim.verdict == "refuted"] == [
        "np.clip(dU, -0.001, 0.001)"
    ]


def test_what_is_wrong_in_longer_sequences_is_noted():
    proof = gg.check_function(net(), truncated)
    assert proof.ok
    assert "at τ = 5 dW is not ∂loss/∂W" in proof.notes
    assert "at τ = 5 dU is not ∂loss/∂U" in proof.notes
    assert proof.limits == ("τ = 5",)
    assert str(proof).startswith("truncated: proved against net, but wrong at τ = 5\n")
    title = "net: gradient of loss proved, but wrong at τ = 5"
    assert f"<caption>{title}</caption>" in proof._repr_html_()
    assert proof.latex().startswith(r"\noindent net: gradient of loss proved, but wrong at ")
    reasons = {claim.name: claim.reason for claim in proof.claims}
    assert reasons == {"loss": "", "dW": "but wrong at τ = 5", "dU": "but wrong at τ = 5"}
    assert json.loads(proof.to_json())["limits"] == ["τ = 5"]


@pytest.mark.parametrize(("most", "length"), [(5, "τ = 12"), (10, "τ = 12"), (20, "τ = 30")])
def test_a_truncation_that_shows_in_much_longer_sequences_only_is_noted(most, length):
    def cut(x, y, W, U):
        loss, dW, dU = backward(x, y, W, U, most)
        return loss, dW, dU

    assert gg.check_function(net(), cut).limits == (length,)


@pytest.mark.parametrize(
    ("wrong", "shown"),
    [
        (lambda D, H: H > D, "D = 2, H = 3"),
        (lambda D, H: H > 3, "D = 5, H = 6"),
        (lambda D, H: H == 1, "D = 1, H = 1"),
    ],
)
def test_sizes_of_every_kind_are_tried(wrong, shown):
    def sometimes(x, y, W, U):
        loss, dW, dU = backward(x, y, W, U)
        return loss, dW, 2 * dU if wrong(U.shape[1], U.shape[0]) else dU

    proof = gg.check_function(net(), sometimes)
    assert proof.verdict == "refuted"
    assert f"right at D = 2, H = 2, but not at {shown}" in str(proof)


def of_examples(x, y, W, U, count):
    """Return the loss and gradients of examples, of which the gradient by U counts some."""
    found = [backward(x[:, b], y[:, b], W, U) for b in range(x.shape[1])]
    return sum(f[0] for f in found), sum(f[1] for f in found), sum(f[2] for f in found[:count])


def test_what_is_wrong_for_more_examples_is_noted():
    def two(x, y, W, U):
        loss, dW, dU = of_examples(x, y, W, U, 2)
        return loss, dW, dU

    proof = gg.check_function(net(), two, batch=2)
    assert proof.ok
    assert proof.limits == ("3 examples",)
    assert "with 3 examples dU is not ∂loss/∂U" in proof.notes
    assert str(proof).startswith("two: proved against net, but wrong at 3 examples\n")


def test_right_code_for_examples_is_proved_without_a_note():
    def all_of_them(x, y, W, U):
        loss, dW, dU = of_examples(x, y, W, U, None)
        return loss, dW, dU

    proof = gg.check_function(net(), all_of_them, batch=2)
    assert proof.ok
    assert proof.limits == proof.notes == ()


def test_a_gradient_that_is_zero_agrees_in_digits():
    circuit = gg.parse(
        "x[t]: input()\nw: param(K)\nv: param()\n"
        "loss = v * sum(sum(softmax(w * x[t])) for t in steps)"
    )

    def gradients(x, w, v):
        return {"dw": 0 * np.rint(w), "dv": np.float64(len(x))}

    for sizes in ({"K": 3}, None):
        proof = gg.check_function(circuit, gradients, sizes=sizes)
        assert proof.verdict == "certified", str(proof)
        assert any("not traced" in each for each in proof.notes)


def test_a_gradient_that_is_zero_is_right_in_longer_sequences():
    circuit = gg.parse(
        "x[t]: input()\nw: param(K)\nv: param()\n"
        "loss = v * sum(sum(softmax(w * x[t])) for t in steps)"
    )

    def gradients(x, w, v):
        return {"dw": 0 * w, "dv": len(x) + 0 * v}

    proof = gg.check_function(circuit, gradients)
    assert proof.ok
    assert proof.notes == ()
