"""Corners of the notation by both roads, first and second order."""

from __future__ import annotations

import numpy as np
import pytest

import graphgrad as gg
from tests.adjoint.square import SIZES, closed, quietly, square

CORNERS = {
    "matrix softmax and lookup": """
n[t]: token(N)
A: param(N, N)
P = softmax(A)
L2 = log_softmax(A).T
h[t] = P[n[t]] * h[t-1] + L2[n[t]]
h[0] = ones(N)
loss = sum(max(h[t]) + logsumexp(h[t]) for t in steps)
""",
    "scalar concat, at, mean, outer": """
x[t]: input(H)
w: param()
v: param(H)
u[t] = concat(w, x[t], mean(x[t]) * w)
p[t], q[t] = split(concat(outer(v, x[t]) @ v, u[t]), H, H+2)
loss = sum(p[t] @ x[t] + sum(q[t-1]) * at(u[t], 0) for t in steps)
""",
    "loss is read elsewhere": """
x[t]: input()
w: param()
h[t] = w*h[t-1] + x[t]
loss = h[tau] ** 2
after = loss * w
""",
    "static input indexes": """
s: input(H)
x[t]: input(H)
x[0] = s
x[tau+1] = 2 * s
w: param(H)
loss = sum(w @ (x[t-1] * x[t+1]) for t in steps) + w @ x[tau]
""",
    "t as number": """
w: param()
x[t]: input()
h[t] = w ** 2 * t / tau * h[t-1] + x[t] * (t - tau) * w
loss = sum(t * h[t] for t in steps) / H
v: param(H)
""",
    "cross entropy with token, both ways": """
y[t]: token(K)
x[t]: input(K)
w: param(K)
a[t] = w * x[t]
p[t] = softmax(a[t])
loss = sum(cross_entropy(p[t], y[t]) + softmax_cross_entropy(a[t], y[t]) for t in steps)
""",
    "cross entropy of learned target": """
x[t]: input(K)
w: param(K)
u: param(K)
q[t] = softmax(u * x[t])
p[t] = softmax(w * x[t])
loss = sum(cross_entropy(p[t], q[t]) for t in steps)
""",
    "softmax read twice": """
x[t]: input(K)
y[t]: distribution(K)
w: param(K)
p[t] = softmax(w * x[t])
loss = sum(cross_entropy(p[t], y[t]) for t in steps) + sum(sum(p[t]**2) for t in steps)
""",
    "merged under a condition and mean": """
x[t]: input(K)
y[t]: distribution(K)
w: param(K)
p[t] = softmax(w * x[t])
l[t] = 3 * cross_entropy(p[t], y[t]) if t % 2 == 1 else 0
loss = mean(l[t] for t in steps if t > 1 or tau == 1)
""",
    "merged with delayed target": """
x[t]: input(K)
y[t]: distribution(K)
y[0] = ones(K) / K
w: param(K)
p[t] = softmax(w * x[t])
loss = sum(cross_entropy(p[t], y[t-1]) for t in steps)
""",
    "where, maximum, abs, minimum": """
x[t]: input(H)
w: param(H)
h[t] = where(h[t-1] > x[t], w * h[t-1], x[t] - w) + minimum(abs(w), x[t+1])
loss = sum(sum(maximum(h[t], w)) for t in steps)
""",
    "hinge, bce": """
x[t]: input()
w: param()
h[t] = w * x[t] + h[t-1]
l[t] = sigmoid_binary_cross_entropy(h[t], x[t]) + softplus(h[t])
loss = sum(hinge(h[t], 1) + l[t] for t in steps)
""",
    "matrix products only": """
A: param(H, H)
B: param(H, H)
M[t] = A @ M[t-1].T @ B + B * (M[t-1] @ A)
M[0] = A
loss = sum(M[tau] @ A)
""",
    "three index sets": """
s: steps(m)
t: steps(n)
r: steps(k)
x[s]: input(H)
w: param(H)
a[s] = w * a[s-1] + x[s]
b[t] = a[m] * b[t+1] + mean(a[s] for s in steps)
c[r] = (b[1] if r == 1 else b[n]) * c[r-1] + w
loss = sum(sum(c[r]) for r in steps if r % 2 == 0 or r == k)
""",
    "boundary reads of both kinds": """
w: param()
x[t]: input()
h[0] = w
h[tau+1] = w * w
h[t] = x[t] * w
loss = h[tau+1] * h[0] + h[2] * h[tau-1] + h[3]
""",
    "pow": """
w: param()
x[t]: input()
h[t] = (1 + h[t-1] ** 2) ** 0.5 * w ** -1 + x[t] ** 3 ** 1
loss = sum(sqrt(1 + h[t]**2) * exp(-x[t]) for t in steps)
""",
}


@pytest.mark.parametrize("title", CORNERS)
def test_both_roads_agree(title: str) -> None:
    circuit = gg.parse(CORNERS[title])
    sizes = {name: SIZES[name] for name in circuit.sizes}
    indices = list(circuit.declared().indices)
    targets = [*circuit.params, *(n for n, i in circuit.inputs.items() if i.kind != "token")]
    adjoint = quietly(circuit, wrt=targets)
    first = f"d_{next(iter(circuit.params))}"
    probe = f"sum({first})" if adjoint.variables[first].shape else first
    once = adjoint.extend(f"probe = {probe}")
    twice = quietly(once, "probe")
    assert closed(adjoint)
    assert closed(twice)
    for tau in (1, 2, 3):
        steps = {index: (tau + k) % 4 + 1 for k, index in enumerate(indices)}
        lengths = steps if len(steps) > 1 else steps[indices[0]]
        values = circuit.init(1, **sizes) | circuit.example(2, lengths, **sizes)
        for guard in ("smart", "always"):
            square(circuit, steps, wrt=targets, guard=guard, **sizes).check_closely(values)
        found = twice.unfold(steps, **sizes).evaluate(values)
        expected = once.unfold(steps, **sizes).grad("probe").evaluate(values)
        for name in circuit.params:
            one, other = found[f"dd_{name}"], expected[f"dd_{name}"]
            np.testing.assert_allclose(one, other, rtol=1e-9, atol=1e-11, err_msg=name)
