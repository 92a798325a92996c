"""σ written by exp or tanh is σ: identities, hand-written recurrences, planted faults."""

import numpy as np
import pytest
from sympy import Rational, Symbol, exp, log, tanh

import graphgrad as gg
from graphgrad.proof.functions import sigma, softplus
from graphgrad.proof.nodes import Nodes
from graphgrad.proof.zero import Field

x, y, z = (Symbol(name, real=True) for name in "xyz")
deep = x * sigma(y * tanh(z)) + z
half = Rational(1, 2)

SAME = {
    "exp(-z)": (1 / (1 + exp(-deep)), sigma(deep)),
    "exp(z)": (exp(deep) / (1 + exp(deep)), sigma(deep)),
    "1 - sigma(-z)": (1 - 1 / (1 + exp(deep)), sigma(deep)),
    "tanh(z/2)": (half + tanh(deep / 2) / 2, sigma(deep)),
    "slope, tanh": ((1 - tanh(deep / 2) ** 2) / 4, sigma(deep) * sigma(-deep)),
    "slope, tanh and exp": ((1 - tanh(deep / 2) ** 2) / 4, exp(deep) / (1 + exp(deep)) ** 2),
    "slope, both exp": (1 / (exp(deep) + 2 + exp(-deep)), sigma(deep) * (1 - sigma(deep))),
    "tanh(z)": (tanh(deep), 2 / (1 + exp(-2 * deep)) - 1),
    "softplus": (log(1 + exp(deep)), -log(1 - sigma(deep))),
    "softplus of -z": (log(1 + exp(deep)), softplus(-deep) + deep),
    "tanh is met first": (tanh(y) - tanh(y), sigma(2 * y) - half - tanh(y) / 2),
    "exp is met first": (exp(y) - exp(y), exp(y) * (1 - sigma(y)) - sigma(y)),
}


@pytest.mark.parametrize("name", SAME)
@pytest.mark.parametrize("turned", [False, True], ids=["as written", "turned"])
def test_the_same_function(name, turned):
    left, right = SAME[name][::-1] if turned else SAME[name]
    field = Field(max_terms=300)
    assert field.equal(left, right, time_limit=20).verdict == "zero"
    assert [*field._algebras] == [False]  # not through the exponentials of single monomials


@pytest.mark.parametrize(
    "wrong",
    [
        (1 - tanh(deep / 2) ** 2) / 2,
        (1 - tanh(deep / 2)) / 4,
        -exp(-deep) / (1 + exp(-deep)) ** 2,
        exp(-deep) / (1 + exp(-deep)),
        (1 - tanh(deep) ** 2) / 4,
        exp(deep) / (1 + exp(-deep)) ** 2,
    ],
)
def test_no_slope_of_sigma(wrong):
    assert Field().equal(wrong, sigma(deep) * (1 - sigma(deep))).verdict == "nonzero"


@pytest.mark.parametrize(
    ("expression", "found"),
    [
        (1 + exp(x + y), 1),
        (2 + exp(x), 0),
        (tanh(x / 2), 1),
        (tanh((x + y) / 2), 1),
        (tanh(x / 2 + y), 0),
        (tanh(x / 3), 0),
        (tanh(x), 0),
    ],
)
def test_parts_of_sigma_are_seen(expression, found):
    nodes = Nodes()
    assert len(nodes.logistic(nodes.intern(expression))) == found


# -- in recurrences --------------------------------------------------------------------------------

CELLS = {"gru": "zr", "lstm": "ifo"}
GRU = """
x[t]: input(D)
y[t]: input(H)
{params}
z[t] = sigmoid({z})
r[t] = sigmoid({r})
n[t] = tanh(Wn @ (r[t] * h[t-1]) + Un @ x[t])
h[t] = (1 - z[t]) * n[t] + z[t] * h[t-1]
loss = sum(squared_error(h[t], y[t]) for t in steps)
"""
LSTM = """
x[t]: input(D)
y[t]: input(H)
{params}
i[t] = sigmoid({i})
f[t] = sigmoid({f})
o[t] = sigmoid({o})
g[t] = tanh(Wn @ h[t-1] + Un @ x[t])
c[t] = f[t] * c[t-1] + i[t] * g[t]
h[t] = o[t] * tanh(c[t])
loss = sum(squared_error(h[t], y[t]) for t in steps)
"""


def circuit_of(cell):
    gates = CELLS[cell] + "n"
    params = "\n".join(f"W{g}: param(H, H)\nU{g}: param(H, D)" for g in gates)
    affine = {g: f"W{g} @ h[t-1] + U{g} @ x[t]" for g in CELLS[cell]}
    return gg.parse({"gru": GRU, "lstm": LSTM}[cell].format(params=params, **affine))


def gru(sigmoid, slope):
    """A hand-written pass, with σ and its slope as functions of the argument."""

    def train(Wz, Wr, Wn, Uz, Ur, Un, x, y, h0):
        h, a = {-1: h0}, {}
        for t in range(len(x)):
            a[t] = Wz @ h[t - 1] + Uz @ x[t], Wr @ h[t - 1] + Ur @ x[t]
            z, r = sigmoid(a[t][0]), sigmoid(a[t][1])
            n = np.tanh(Wn @ (r * h[t - 1]) + Un @ x[t])
            a[t] += z, r, n
            h[t] = (1 - z) * n + z * h[t - 1]
        dWz, dWr, dWn, dh = np.zeros_like(Wz), np.zeros_like(Wr), np.zeros_like(Wn), 0 * h0
        for t in reversed(range(len(x))):
            az, ar, z, r, n = a[t]
            dh = dh + h[t] - y[t]
            dn = dh * (1 - z) * (1 - n**2)
            dz = dh * (h[t - 1] - n) * slope(az)
            drh = Wn.T @ dn
            dr = drh * h[t - 1] * slope(ar)
            dWz += np.outer(dz, h[t - 1])
            dWr += np.outer(dr, h[t - 1])
            dWn += np.outer(dn, r * h[t - 1])
            dh = dh * z + drh * r + Wz.T @ dz + Wr.T @ dr
        return dWz, dWr, dWn

    return train


def lstm(sigmoid, slope):
    """A hand-written pass, with σ and its slope as functions of the argument."""

    def train(Wi, Wf, Wo, Wn, Ui, Uf, Uo, Un, x, y, h0, c0):
        h, c, a = {-1: h0}, {-1: c0}, {}
        for t in range(len(x)):
            a[t] = [W @ h[t - 1] + U @ x[t] for W, U in ((Wi, Ui), (Wf, Uf), (Wo, Uo), (Wn, Un))]
            i, f, o = (sigmoid(each) for each in a[t][:3])
            c[t] = f * c[t - 1] + i * np.tanh(a[t][3])
            h[t] = o * np.tanh(c[t])
        dWi, dWf, dWo, dWn = (np.zeros_like(W) for W in (Wi, Wf, Wo, Wn))
        dh, dc = 0 * h0, 0 * c0
        for t in reversed(range(len(x))):
            ai, af, ao, an = a[t]
            dh = dh + h[t] - y[t]
            dc = dc + dh * sigmoid(ao) * (1 - np.tanh(c[t]) ** 2)
            di = dc * np.tanh(an) * slope(ai)
            df = dc * c[t - 1] * slope(af)
            do = dh * np.tanh(c[t]) * slope(ao)
            dg = dc * sigmoid(ai) * (1 - np.tanh(an) ** 2)
            dWi += np.outer(di, h[t - 1])
            dWf += np.outer(df, h[t - 1])
            dWo += np.outer(do, h[t - 1])
            dWn += np.outer(dg, h[t - 1])
            dc = dc * sigmoid(af)
            dh = Wi.T @ di + Wf.T @ df + Wo.T @ do + Wn.T @ dg
        return dWi, dWf, dWo, dWn

    return train


def by_exp(a):
    return 1 / (1 + np.exp(-a))


def by_tanh(a):
    return (1 + np.tanh(a / 2)) / 2


SLOPES = {
    "tanh": lambda a: (1 - np.tanh(a / 2) ** 2) / 4,
    "exp": lambda a: np.exp(-a) / (1 + np.exp(-a)) ** 2,
    "value": lambda a: by_tanh(a) * (1 - by_tanh(a)),
}
FAULTS = {
    "sign": lambda a: -(1 - np.tanh(a / 2) ** 2) / 4,
    "factor": lambda a: (1 - np.tanh(a / 2) ** 2) / 2,
    "half": lambda a: (1 - np.tanh(a) ** 2) / 4,
    "square": lambda a: np.exp(-a) / (1 + np.exp(-a)),
}


def judged(cell, sigmoid, slope, **options):
    code = {"gru": gru, "lstm": lstm}[cell](sigmoid, slope)
    return gg.check_function(circuit_of(cell), code, sizes={"H": 2, "D": 1}, **options)


@pytest.mark.parametrize(
    ("cell", "sigmoid", "slope"),
    [
        ("gru", by_tanh, "exp"),
        ("gru", by_exp, "value"),
        ("lstm", by_exp, "tanh"),
    ],
)
def test_slopes_by_the_argument_are_proved_in_a_recurrence(cell, sigmoid, slope):
    said = judged(cell, sigmoid, SLOPES[slope], tau=3)
    assert said.ok, said
    assert {claim.verdict for claim in said.claims} == {"proved"}


@pytest.mark.parametrize(
    ("cell", "fault"), [("gru", "sign"), ("gru", "square"), ("gru", "half"), ("lstm", "factor")]
)
def test_wrong_slopes_are_refuted_in_a_recurrence(cell, fault):
    said = judged(cell, by_exp, FAULTS[fault], tau=2, time_limit=60)
    verdicts = {claim.name: claim.verdict for claim in said.claims}
    assert {verdicts[f"dW{gate}"] for gate in CELLS[cell]} == {"refuted"}
