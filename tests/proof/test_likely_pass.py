"""Slips in the backward equations of published cells, in a person's own notation."""

import pytest

import graphgrad as gg

MGU = """x[t]: input(H)
Wf: param(H, H)
Wk: param(H, H)
f[t] = sigmoid(Wf @ h[t-1] + x[t])
k[t] = tanh(Wk @ (f[t] * h[t-1]) + x[t])
h[t] = (1 - f[t]) * h[t-1] + f[t] * k[t]
loss = sum(sum(h[t]**2) for t in steps)
"""
MGU_BACK = """δ[t] = 2*h[t] + (1 - f[t+1])*δ[t+1] + Wf.T @ p[t+1] + f[t+1]*(Wk.T @ q[t+1])
p[t] = f[t]*(1 - f[t]) * (δ[t]*(k[t] - h[t-1]) + h[t-1]*(Wk.T @ q[t]))
q[t] = (1 - k[t]**2) * f[t] * δ[t]
d_Wf = sum(outer(p[t], h[t-1]) for t in steps)
d_Wk = sum(outer(q[t], f[t]*h[t-1]) for t in steps)
"""
ATTENTION = """x[t]: input(H)
W: param(H, H)
q: param(H)
h[t] = tanh(W @ h[t-1] + x[t])
m[t] = exp(q @ h[t])
Z = sum(m[t] for t in steps)
α[t] = m[t] / Z
c = sum(α[t] * h[t] for t in steps)
loss = sum(c**2)
"""
ATTENTION_BACK = """r = 2 * c
g[t] = r @ h[t]
mean_g = sum(α[t] * g[t] for t in steps)
e[t] = α[t] * (g[t] - mean_g)
δ[t] = (1 - h[t]**2) * (α[t]*r + q*e[t] + W.T @ δ[t+1])
d_q = sum(e[t] * h[t] for t in steps)
d_W = sum(outer(δ[t], h[t-1]) for t in steps)
"""
JORDAN = """x[t]: input(H)
W: param(H, K)
V: param(K, H)
h[t] = sigmoid(W @ o[t-1] + x[t])
o[t] = sigmoid(V @ h[t])
loss = sum(sum(o[t]**2) for t in steps)
"""
JORDAN_BACK = """δo[t] = (2*o[t] + W.T @ δh[t+1]) * o[t]*(1 - o[t])
δh[t] = (V.T @ δo[t]) * h[t]*(1 - h[t])
d_W = sum(outer(δh[t], o[t-1]) for t in steps)
d_V = sum(outer(δo[t], h[t]) for t in steps)
"""
NORM = """x[t]: input(H)
W: param(H, H)
γ: param(H)
a[t] = W @ h[t-1] + x[t]
μ[t] = mean(a[t])
s[t] = sqrt(mean((a[t] - μ[t])**2) + 0.01)
n[t] = (a[t] - μ[t]) / s[t]
h[t] = tanh(γ * n[t])
loss = sum(sum(h[t]**2) for t in steps)
"""
NORM_BACK = """u[t] = (1 - h[t]**2) * (2*h[t] + W.T @ δ[t+1])
g[t] = γ * u[t]
δ[t] = (g[t] - mean(g[t]) - n[t]*mean(g[t]*n[t])) / s[t]
d_W = sum(outer(δ[t], h[t-1]) for t in steps)
d_γ = sum(u[t] * n[t] for t in steps)
"""
CELLS = {
    "mgu": (MGU, MGU_BACK),
    "attention": (ATTENTION, ATTENTION_BACK),
    "jordan": (JORDAN, JORDAN_BACK),
    "layer norm": (NORM, NORM_BACK),
}


@pytest.mark.parametrize("name", CELLS)
def test_right_equations_are_proved(name):
    circuit, claims = CELLS[name]
    proof = gg.prove(gg.parse(circuit), claims=claims, tau=2)
    assert proof.verdict == "proved"


@pytest.mark.parametrize(
    ("name", "right", "slip", "cause"),
    [
        ("mgu", "(1 - f[t+1])*δ[t+1]", "f[t+1]*δ[t+1]",
         "in δ[t], f[t+1] stands where 1 - f[t+1] belongs"),
        ("attention", "(g[t] - mean_g)", "(1 - α[t]) * g[t]", "the diagonal alone"),
        ("jordan", "outer(δo[t], h[t])", "outer(δo[t]*o[t]*(1 - o[t]), h[t])",
         "d_V applies the slope o[t] * (1 - o[t]) again, which δo[t] has already"),
        ("jordan", "* o[t]*(1 - o[t])", "* (o[t]*(1 - o[t]))**2",
         "δo[t] applies the slope o[t] * (1 - o[t]) twice"),
        ("layer norm", ") / s[t]", ")", "what comes through n[t] lacks the division by s[t]"),
    ],
)  # fmt: skip
def test_a_slip_is_named(name, right, slip, cause):
    circuit, claims = CELLS[name]
    assert right in claims
    proof = gg.prove(gg.parse(circuit), claims=claims.replace(right, slip, 1), tau=3)
    assert proof.verdict == "refuted"
    causes = {each.cause for each in proof.equations if not each.holds}
    assert any(cause in each for each in causes), causes
    assert not any("truncated" in claim.cause for claim in proof.claims)
