"""What one wrong result of code is by itself: a multiple, a transpose, another's, one example's."""

import numpy as np
import pytest

import graphgrad as gg

CIRCUIT = gg.parse(
    "x[t]: input(N)\nW: param(N, N)\nR: param(N, N)\nb: param(N)\n"
    "h[t] = tanh(W @ h[t-1] + R @ x[t] + b)\nloss = sum(sum(h[t]) for t in steps)"
)


def code(change, count=None):
    """Return a right backward pass whose gradients are changed at the end."""

    def passes(x, W, R, b):
        examples = x[None] if count is None else x
        loss, found = 0, []
        for one in examples:
            h, states = 0 * b, []
            for row in one:
                states.append(h)
                h = np.tanh(W @ h + R @ row + b)
                loss = loss + h.sum()
            states.append(h)
            dW, dR, db, carried = 0 * W, 0 * R, 0 * b, 0 * b
            for t in reversed(range(len(one))):
                da = (1 - states[t + 1] ** 2) * (carried + 1)
                dW, dR, db = dW + np.outer(da, states[t]), dR + np.outer(da, one[t]), db + da
                carried = W.T @ da
            found.append({"W": dW, "R": dR, "b": db})
        gradients = {name: sum(each[name] for each in found) for name in "WRb"}
        return loss, change(gradients, found, {"W": W, "R": R, "b": b})

    return passes


def told(change, count=None):
    proof = gg.check_function(
        CIRCUIT, code(change, count), tau=2, batch=count, layout="batch_first"
    )
    refuted = {claim.name for claim in proof.claims if claim.verdict == "refuted"}
    return refuted, " ".join(" ".join(proof.lessons).split())


CAUSES = {
    "right": (lambda g, found, p: g, set(), ""),
    "sign": (lambda g, found, p: g | {"b": -g["b"]}, {"b"}, "it is the negative of the gradient"),
    "factor": (lambda g, found, p: g | {"W": 3 * g["W"] / 7}, {"W"}, "the gradient times 3/7."),
    "transpose": (lambda g, found, p: g | {"R": g["R"].T}, {"R"}, "it is transposed."),
    "another": (lambda g, found, p: g | {"R": g["W"]}, {"R"},
                "it is ∂loss/∂W, the gradient of something else."),
    "both": (lambda g, found, p: g | {"R": g["W"], "W": g["R"]}, {"W", "R"},
             "it is ∂loss/∂R, the gradient of something else."),
    "decay": (lambda g, found, p: g | {"W": g["W"] + p["W"] / 10}, {"W"},
              "the gradient plus 1/10 times W: weight decay."),
    "a constant in its place": (lambda g, found, p: g | {"b": 0 * g["b"] - 2}, {"b"},
                                "it is constant, whatever the data are: nothing of the gradient"),
    "a constant beside it": (lambda g, found, p: g | {"W": g["W"] - 2}, {"W"},
                             "it is the gradient minus 2 in each entry."),
    "a small constant beside it": (lambda g, found, p: g | {"W": g["W"] + 1e-6}, {"W"},
                                   "it is the gradient plus 1e-06 in each entry."),
    "each with a cause of its own": (
        lambda g, found, p: {"W": 2 * g["W"], "R": g["R"].T, "b": g["b"] - p["b"]},
        {"W", "R", "b"}, "the gradient minus 1 times b: weight decay of the wrong sign"),
}  # fmt: skip


@pytest.mark.parametrize(("change", "wrong", "cause"), CAUSES.values(), ids=CAUSES)
def test_what_a_wrong_gradient_is(change, wrong, cause):
    refuted, text = told(change)
    assert refuted == wrong
    assert cause in text
    assert "seen at sample values" not in text


def test_a_number_of_examples_that_is_also_the_length():
    """Gradients that begin at the second step are no other multiple than those of the first."""
    wrong, text = told(lambda g, found, p: {name: each / 2 for name, each in g.items()}, count=2)
    assert wrong == {"W", "R", "b"}
    assert text.count("Likely cause") == 1
    assert "times 1/2: divided by the 2 examples" in text
    assert "average over the steps" not in text


def test_a_limit_that_no_usual_value_reaches():
    wrong, lesson = told(lambda g, found, p: g | {"R": np.where(g["R"] > 9, 9, g["R"])})
    assert wrong == {"R"}
    assert "At the sample values it is right" in lesson
    assert "Likely cause" not in lesson


def test_without_a_loss_nothing_tells_whether_examples_are_averaged():
    run = code(lambda g, found, p: {name: each / 2 for name, each in g.items()}, 2)

    def averages(x, W, R, b):
        return run(x, W, R, b)[1]

    proof = gg.check_function(CIRCUIT, averages, tau=2, batch=2, layout="batch_first")
    assert proof.ok, str(proof)
    assert any("combined by their mean" in each for each in proof.assumptions)
    with_loss = gg.check_function(CIRCUIT, run, tau=2, batch=2, layout="batch_first")
    assert with_loss.verdict == "refuted"


def test_one_example_for_all():
    refuted, text = told(lambda g, found, p: g | {"W": found[1]["W"]}, count=2)
    assert refuted == {"W"}
    assert "it is what example 2 of 2 contributes: the others are missing" in text


def test_results_without_a_cause_are_told_once():
    """They share one lesson, at the least length at which any of them is wrong."""

    def odd(g, found, p):
        return {name: g[name] + g[name] ** 2 for name in "WRb"}

    refuted, text = told(odd)
    assert refuted == {"W", "R", "b"}
    assert text.startswith("✗ W, R and b are wrong. No single simple cause was recognised.")
    assert text.count("Witness") == 1
    assert "It shows first at τ = 1, N = 1." in text


SCALAR = gg.parse(
    "x[t]: input()\nw: param()\nv: param()\nh[t] = w * h[t-1] + v * x[t]\n"
    "loss = sum(h[t] for t in steps)"
)


def scalar(x, w, v):
    """Return a backward pass by single numbers, with twice the cotangent of every loss."""
    states, d, dw, dv = [0 * w], 0, 0, 0
    for one in x:
        states.append(w * states[-1] + v * one)
    for t in reversed(range(len(x))):
        d = 2 + w * d
        dw, dv = dw + d * states[t], dv + d * x[t]
    both = dw, dv
    return both


def test_of_single_numbers_by_the_names_that_the_caller_gives_them():
    shown = str(gg.check_function(SCALAR, scalar, tau=3, results=["d_w", "d_v"]))
    assert "✗ d_w = ∂loss/∂w" in shown
    assert "✗ d_v = ∂loss/∂v" in shown
    assert "the gradient times 2" in shown
    assert "Witness: d_v minus the truth is" in shown


def test_without_a_name_a_result_has_a_number():
    shown = str(
        gg.check_function(SCALAR, scalar, tau=2, results={0: lambda truth: truth["d_w"], 1: "d_v"})
    )
    assert "result 0 is not <lambda> of the circuit" in shown


GAUSSIAN = gg.parse(
    "y[t]: input()\nw: param()\ns: param()\nh[t] = tanh(w * h[t-1] + 1)\n"
    "loss = sum(0.9189385332046727 + s + exp(-2 * s) * (y[t] - h[t])**2 / 2 for t in steps)"
)


@pytest.mark.parametrize("slip", [1, 2])
def test_a_constant_that_is_rounded_is_no_other_forward_pass(slip):
    """log(2π)/2 is another number as a decimal, as a float and times the length in floats."""

    def likelihood(y, w, s):
        h = [0]
        for _ in y:
            h.append(np.tanh(w * h[-1] + 1))
        error, scale = np.array(h[1:]) - y, np.exp(-2 * s)
        loss = 0.5 * len(y) * np.log(2 * np.pi) + len(y) * s + 0.5 * scale * np.sum(error**2)
        dw, ahead = 0, 0
        for t in reversed(range(len(y))):
            dz = (scale * error[t] + ahead) * (1 - h[t + 1] ** 2)
            dw, ahead = dw + dz * h[t], w * dz
        return {"loss": loss, "dw": dw, "ds": len(y) - scale * np.sum(error**slip)}

    proof = gg.check_function(GAUSSIAN, likelihood)
    verdicts = {claim.name: claim.verdict for claim in proof.claims}
    assert verdicts["dw"] == "proved"
    text = " ".join(" ".join(proof.lessons).split())
    assert "loss: right but for the last digits" in text
    assert "forward pass is wrong" not in text
    assert ("✗ ds is wrong" in text) == (verdicts["ds"] == "refuted") == (slip == 1)
