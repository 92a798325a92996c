"""Changes of backward equations as causes: they hold everywhere, and all at once."""

import numpy as np
import pytest

import graphgrad as gg


def told(model, fn, **options):
    proof = gg.check_function(model, fn, time_limit=300, **options)
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


CLIPPED = gg.parse(
    "x[t]: input(H)\nW: param(H, H)\nh[t] = relu(W @ h[t-1] + x[t])\n"
    "loss = sum(sum(h[t])**2 / 2 for t in steps)"
)


def test_a_mask_by_the_state_before_is_named():
    def code(x, W):
        h, dW, ahead = [np.zeros(len(W))], np.zeros_like(W), np.zeros(len(W))
        for each in x:
            h.append(np.maximum(W @ h[-1] + each, 0))
        for t in reversed(range(len(x))):
            da = (h[t + 1].sum() + ahead) * (h[t] > 0)
            dW, ahead = dW + np.outer(da, h[t]), W.T @ da
        return {"dW": dW}

    (lesson,) = told(CLIPPED, code, sizes={"H": 2})
    assert "in delta_h[t] the mask is h[t-1] > 0 in place of W @ h[t-1] + x[t] > 0" in lesson


@pytest.mark.parametrize(
    ("fn", "cause"),
    [
        (without_mask, "in d_a[t], d_h[t] stands where where(a[t] > 0, d_h[t], 0) belongs"),
        (with_the_mask_before, "in d_a[t] the mask is a[t-1] > 0 in place of a[t] > 0"),
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


ELMAN = gg.parse(
    "x[t]: token(H)\ny[t]: token(H)\nm[t]: input()\nE: param(H, H)\nW: param(H, H)\n"
    "h[t] = tanh(E @ onehot(x[t]) + W @ h[t-1])\n"
    "loss = sum(m[t] * softmax_cross_entropy(h[t], y[t]) for t in steps) / sum(m[t] for t in steps)"
)


def elman(x, y, m, E, W, slip=""):
    """Return the gradients of a network with a masked mean, with one of the usual slips."""
    h, probabilities = [np.zeros(len(W))], []
    for token in x:
        h.append(np.tanh(E[:, token] + W @ h[-1]))
        e = np.exp(h[-1])
        probabilities.append(e / e.sum())
    dE, dW, back = np.zeros_like(E), np.zeros_like(W), np.zeros(len(W))
    for t in reversed(range(len(x))):
        do = probabilities[t] - np.eye(len(W))[x[t] if slip == "input" else y[t]]
        do = m[t] * do / (len(m) if slip == "length" else m.sum())
        dh = do + back
        dz = dh * (1 - h[t + 1] ** 2)
        dW += np.outer(dz, h[-1] if slip == "last" else h[t])
        dE[:, x[t]] += dz
        back = W.T @ (dh if slip == "slope" else dz)
    return {"dE": dE, "dW": dW}


@pytest.mark.parametrize(
    ("slip", "cause"),
    [
        ("input", "reads x[t] where y[t] belongs"),
        ("length", "tau stands where sum(m[t] for t in steps) belongs"),
        ("last", "d_W reads h[tau], that of the last step, for h[t-1]"),
        ("slope", "d_h[t] reads d_h[t+1] where delta_h[t+1] belongs"),
    ],
)
def test_usual_slips_are_named(slip, cause):
    def code(x, y, m, E, W):
        return elman(x, y, m, E, W, slip)

    meaning = {"x": "tokens(x)", "y": "tokens(y)"}
    (lesson,) = told(ELMAN, code, tau=3, sizes={"H": 2}, arguments=meaning)
    assert cause in lesson, lesson


STACKED = gg.parse(
    "x[t]: input(D)\nW: param(3*H, D)\nR: param(3*H, H)\na[t] = W @ x[t] + R @ h[t-1]\n"
    "f[t], g[t], o[t] = split(a[t], 3)\nc[t] = sigmoid(f[t]) * c[t-1] + g[t]\n"
    "h[t] = sigmoid(o[t]) * tanh(c[t])\nloss = sum(sum(h[t]) for t in steps)"
)


def gates(x, W, R, slip):
    """Return the gradients of a cell with two gates, with one of the usual slips."""
    H = R.shape[1]
    sigma = lambda u: 1 / (1 + np.exp(-u))  # noqa: E731
    h, c, kept = [np.zeros(H)], [np.zeros(H)], []
    for each in x:
        f, g, o = np.split(W @ each + R @ h[-1], 3)
        c.append(sigma(f) * c[-1] + g)
        h.append(sigma(o) * np.tanh(c[-1]))
        kept.append((sigma(f), sigma(o), c[-1] if slip == "kept" else np.tanh(c[-1])))
    dW, dR, dh, dc = np.zeros_like(W), np.zeros_like(R), np.zeros(H), np.zeros(H)
    for t in reversed(range(len(x))):
        f, o, tanh_c = kept[t]
        dh = dh + 1
        own = dh * o * (1 - tanh_c**2)
        dc = own if slip == "carried" else dc + own
        df, do = dc * c[t] * f * (1 - f), dh * tanh_c * o * (1 - o)
        da = np.concatenate([do, dc, df] if slip == "places" else [df, dc, do])
        dW, dR = dW + np.outer(da, x[t]), dR + np.outer(da, h[t])
        dh, dc = R.T @ da, dc * f
    return {"dW": dW, "dR": dR}


@pytest.mark.parametrize(
    ("slip", "cause"),
    [
        ("kept", "c[t] stands wherever tanh(c[t]) belongs"),
        ("places", "in d_a[t], d_f[t] and d_o[t] have changed places"),
    ],
)
def test_slips_with_gates_are_named(slip, cause):
    def code(x, W, R):
        return gates(x, W, R, slip)

    (lesson,) = told(STACKED, code, tau=2, sizes={"D": 1, "H": 1})
    assert cause in lesson, lesson


def test_a_mistaken_value_is_shown_in_every_equation():
    (lesson,) = told(STACKED, lambda x, W, R: gates(x, W, R, "kept"), tau=2, sizes={"D": 1, "H": 1})
    assert lesson.count("this code:") == 2


FILTERED = gg.parse(
    "x[t]: input()\ny[t]: input()\na: param()\nb: param()\n"
    "e[t] = y[t] - a * m[t-1]\nm[t] = a * m[t-1] + b * e[t] + b * m[t-2]\n"
    "loss = sum(e[t]**2 / 2 + m[t]**2 / 2 for t in steps)"
)


@pytest.mark.parametrize(
    ("own", "later", "cause"),
    [
        (-1, 1, "in d_e[t] the term e[t] has the wrong sign"),
        (2, 1, "d_e[t] counts the term e[t] twice"),
        (1, 0, "d_m[t] lacks all that comes from the next step"),
    ],
)
def test_terms_of_sums(own, later, cause):
    def code(y, a, b):
        m, e = [0, 0], []
        for each in y:
            e.append(each - a * m[-1])
            m.append(a * m[-1] + b * e[-1] + b * m[-2])
        da, db, dm, back = 0, 0, [0, 0], 0
        for t in reversed(range(len(y))):
            dm = [m[t + 2] + later * (back + b * dm[1]), dm[0]]
            de = own * e[t] + b * dm[0]
            da, db = da + (dm[0] - de) * m[t + 1], db + dm[0] * (e[t] + m[t])
            back = a * (dm[0] - de)
        return {"da": da, "db": db}

    lessons = told(FILTERED, code, tau=4)
    assert any(cause in each for each in lessons), lessons


@pytest.mark.parametrize(
    ("linear", "cause"), [(0, "it is the gradient times 1/2."), (1, "d_a lacks the factor 2.")]
)
def test_a_factor_that_is_also_the_length_is_no_average(linear, cause):
    """At two steps a half is what an average would give; a third step tells."""
    model = gg.parse(
        "x[t]: input()\nh_0: input()\na: param()\nh[0] = h_0\n"
        f"p[t] = a * a * h[t-1]\nh[t] = p[t] + x[t] + {linear} * a\n"
        "loss = sum(h[t]**2 / 2 for t in steps)"
    )

    def code(x, h_0, a):
        h, da, ahead = [h_0], 0, 0
        for each in x:
            h.append(a**2 * h[-1] + each + linear * a)
        for t in reversed(range(len(x))):
            dh = h[t + 1] + a**2 * ahead
            da, ahead = da + a * dh * h[t] + linear * dh, dh
        return {"da": da}

    (lesson,) = told(model, code, tau=2)
    assert cause in lesson, lesson
