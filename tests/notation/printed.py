"""What the tests of LaTeX and MathML print: hard circuits, and the comparison with snapshots."""

from __future__ import annotations

from pathlib import Path

SNAPSHOTS = Path(__file__).with_name("snapshots")

BACKWARD = """# Elman network with its backward pass, written by hand
x[t]: input(D)
y[t]: distribution(K)
U: param(H, D)
W: param(H, H)
V: param(K, H)
b: param(H)
c: param(K)
h_0: input(H)

h[0] = h_0
a[t] = b + W @ h[t-1] + U @ x[t]
h[t] = tanh(a[t])
o[t] = c + V @ h[t]
yhat[t] = softmax(o[t])
L[t] = cross_entropy(yhat[t], y[t])
loss = sum(L[t] for t in steps)
d_o[t] = yhat[t] - y[t]
d_h[t] = V.T @ d_o[t] + W.T @ d_a[t+1]
d_a[t] = (1 - h[t]**2) * d_h[t]
d_U = sum(outer(d_a[t], x[t]) for t in steps)
d_W = sum(outer(d_a[t], h[t-1]) for t in steps)
d_V = sum(outer(d_o[t], h[t]) for t in steps)
d_b = sum(d_a[t] for t in steps)
d_c = sum(d_o[t] for t in steps)
d_h_0 = W.T @ d_a[1]
"""

HARD = """# Everything that is hard to print: 100 % of {it}, <b>\\LaTeX</b> & $more$
s: steps(m)
t: steps(n)
x[t]: token(N)
u[t]: input(H)
w[t]: input(H)
E: param(N, H)
S: param(H, H)
T1: param(H, H)
V: param(H, H)
lam: param()
sigma: param()
v: param(H)
gamma: param(3*H+2)

g[n+1] = ones(H)
g[n+2] = 2 * v
g[0] = 0
p_o[t] = u[t]
p_h[t] = (V.T @ p_o[t] if t == n else 0) + (T1 @ p_o[t] if t < n - 2 and t % 2 == 0 else 0)
q_h[t] = 1 if t < n else (2 if t == 1 or not t % 3 == 1 else -3.5)
g[t] = (V @ u[t]) * w[t] + lam * (V @ w[t]) - (u[t] * w[t]) * lam
p[t] = where(u[t] > 0, u[t]**2, -w[t]) / (1 + exp(-u[t])) + sigmoid(u[t]) ** 0.5
q[t] = -u[t] * w[t] / sigma - -v + lam * 2 * 3 * 1e-05 * v
r[t] = abs(u[t]) + sqrt(u[t]**2 + 1) + maximum(u[t], relu(v)) + softplus(g[t+1] + g[t+2] + g[t-1])
a1 = at(v, 0) + v @ v * lam + sum(v * v) / H + max(abs(v)) + mean(v) + sum(S @ S.T)
a2[t] = split(gamma, 3*H, 2)[0] @ concat(u[t], w[t], lam * u[t]) + t / n - (n - t) * lam
a3[t] = E.T @ onehot(x[t]) + E[x[t]] + onehot(0, H) + (S @ S.T).T @ v + (S + V).T @ v
a4 = mean(a2[t] for t in steps if t % 2 == 1) + sum(a2[t] for t in steps if t > 2 and t < n)
a5[t] = outer(S @ u[t], tanh(w[t])) + outer(v, v)**2 * (lam - 1) / 2 + zeros(H, H) + S**2
a6 = lam**2 * (1 / 2)**3 * sigma**-1 / (a1 / a4) * exp(lam)**2 * (-lam) * (lam - sigma)
a7 = sum(a2[t] for t in steps if t <= n - 2) + a2[n-1] + a2[1] + (lam if n >= 3 else sigma)
loss = -sum(a2[t] * a1 for t in steps) - a4 * a6 - (sum(a5[t] for t in steps) @ v) @ v
"""
