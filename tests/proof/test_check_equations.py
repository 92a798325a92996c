"""Changes of backward equations as causes: they hold everywhere, and all at once."""

import numpy as np
import pytest

import graphgrad as gg


def told(model, fn, **options):
    proof = gg.check_function(model, fn, **options)
    assert proof.verdict == "refuted"
    return [" ".join(lesson.split()) for lesson in proof.lessons]


UNIT = gg.parse(
    "x[t]: input()\ny[t]: input()\nh0: param()\nw: param()\nv: param()\n"
    "h[0] = h0\nf[t] = sigmoid(w * h[t-1] + x[t])\ng[t] = tanh(v * (f[t] * h[t-1]) + x[t])\n"
    "h[t] = (1 - f[t]) * h[t-1] + f[t] * g[t]\nloss = sum(squared_error(h[t], y[t]) for t in steps)"
)


def unit(x, y, h0, w, v):
    """Return the gradients of a minimal gated unit; the way back through its gate is missing."""
    h, f, g = [h0], [], []
    for each in x:
        f.append(1 / (1 + np.exp(-(w * h[-1] + each))))
        g.append(np.tanh(v * f[-1] * h[-1] + each))
        h.append((1 - f[-1]) * h[-1] + f[-1] * g[-1])
    dw, dv, dh = 0, 0, 0
    for t in reversed(range(len(x))):
        dh = dh + h[t + 1] - y[t]
        da = dh * f[t] * (1 - g[t] ** 2)
        df = (dh * (g[t] - h[t]) + v * da * h[t]) * f[t] * (1 - f[t])
        dv = dv + da * f[t] * h[t]
        dw = dw + df * h[t]
        dh = dh * (1 - f[t]) + v * da * f[t]  # + w * df
    return {"dw": dw, "dv": dv, "dh0": dh}


def test_causes_of_several_results_can_all_be_there_at_once():
    """With no cotangent of the gate the start's is what is returned, but then that of w is not."""
    lessons = told(UNIT, unit, tau=2)
    assert any("d_h[t] lacks the term w * delta_f[t+1]" in each for each in lessons), lessons
    assert any("d_h_0 lacks the term w * delta_f[1]" in each for each in lessons), lessons
    assert not any("taken as zero" in each for each in lessons), lessons


RELU = gg.parse(
    "x[t]: input(D)\ny[t]: input(H)\nu: param(H)\nW: param(H, D)\na[t] = W @ x[t] + u * h[t-1]\n"
    "h[t] = relu(a[t])\nloss = sum(squared_error(h[t], y[t]) for t in steps)"
)


def independent(x, y, u, W, mask):
    """Return the gradients of an independently recurrent network with some mask."""
    h, active = [0 * u], []
    for each in x:
        a = W @ each + u * h[-1]
        active.append(a > 0)
        h.append(np.maximum(a, 0))
    du, dW, ahead = 0 * u, 0 * W, 0 * u
    for t in reversed(range(len(x))):
        d = mask(active, t) * (h[t + 1] - y[t] + ahead)
        du, dW, ahead = du + d * h[t], dW + np.outer(d, x[t]), d * u
    return du, dW


def without_mask(x, y, u, W):
    du, dW = independent(x, y, u, W, lambda active, t: 1)
    return du, dW


def with_the_mask_before(x, y, u, W):
    du, dW = independent(x, y, u, W, lambda active, t: active[t - 1] if t else 0 * u)
    return du, dW


@pytest.mark.parametrize(
    ("fn", "cause"),
    [
        (without_mask, "in d_a[t], d_h[t] stands where where(a[t] > 0, d_h[t], 0) belongs"),
        (with_the_mask_before, "d_a[t] reads a[t-1] where a[t] belongs"),
    ],
)
def test_masks_are_named_where_they_show(fn, cause):
    """What a mask hides at one sample point is looked at where it does not."""
    (lesson,) = told(RELU, fn, tau=2)
    assert lesson.startswith(f"✗ du and dW are wrong. Likely cause: {cause}"), lesson
    assert "exactly what the code returns" in lesson


def test_a_division_that_is_missing_is_called_one():
    model = gg.parse(
        "x[t]: input()\nw: param()\nh[t] = w * h[t-1] + x[t]\n"
        "loss = sum(h[t] / (1 + x[t]**2) for t in steps)"
    )

    def sums(x, w):
        h, slope, dw = 0, 0, 0
        for each in x:
            slope, h = h + w * slope, w * h + each
            dw = dw + slope
        return {"dw": dw}

    (lesson,) = told(model, sums, tau=2)
    assert "d_h[t] lacks the division by 1 + x[t]**2" in lesson


def test_two_sums_in_an_equation_are_shown_as_written():
    model = gg.parse(
        "M: param(N, N)\nx[t]: input(N)\ne[t] = M @ x[t]\nc[t] = tanh(e[t])\nd[t] = M @ c[t]\n"
        "loss = sum(sum(d[t]**2) / 2 for t in steps)"
    )

    def both(x, M):
        c = np.tanh(x @ M.T)
        d = c @ M.T
        de = d @ M * (1 - c**2)
        return {"dM": d.T @ x + de.T @ x}

    (lesson,) = told(model, both, tau=2)
    assert "this code: d_M = sum(outer(" in lesson
    assert ")) +" not in lesson
    assert "sum((" not in lesson
