"""Faults of the loop around a cell: six cells whose step is right, five loops that are changed."""

from __future__ import annotations

from tests.faults.passes import Pass

CELLS: dict[str, tuple[str, str, str]] = {
    "elman": (
        "h0",
        """W: param(H, H)
U: param(H, D)
b: param(H)
h[0] = h0
h[t] = tanh(W @ h[t-1] + U @ x[t] + b)""",
        """def forward(x, state, p):
    h = np.tanh(p["W"] @ state[0] + p["U"] @ x + p["b"])
    return (h,), (x, state[0], h)


def backward(d, cache, p):
    x, before, h = cache
    da = (1 - h**2) * d[0]
    return [p["W"].T @ da], {"W": np.outer(da, before), "U": np.outer(da, x), "b": da}
""",
    ),
    "leaky": (
        "h0",
        """W: param(H, H)
U: param(H, D)
k: param(H)
h[0] = h0
h[t] = (1 - k) * h[t-1] + k * sigmoid(W @ h[t-1] + U @ x[t])""",
        """def forward(x, state, p):
    s = 1 / (1 + np.exp(-(p["W"] @ state[0] + p["U"] @ x)))
    return ((1 - p["k"]) * state[0] + p["k"] * s,), (x, state[0], s)


def backward(d, cache, p):
    x, before, s = cache
    da = d[0] * p["k"] * s * (1 - s)
    grads = {"W": np.outer(da, before), "U": np.outer(da, x), "k": d[0] * (s - before)}
    return [(1 - p["k"]) * d[0] + p["W"].T @ da], grads
""",
    ),
    "residual": (
        "h0",
        """W: param(H, H)
U: param(H, D)
h[0] = h0
h[t] = h[t-1] + 0.5 * sin(W @ h[t-1] + U @ x[t])""",
        """def forward(x, state, p):
    a = p["W"] @ state[0] + p["U"] @ x
    return (state[0] + 0.5 * np.sin(a),), (x, state[0], a)


def backward(d, cache, p):
    x, before, a = cache
    da = 0.5 * np.cos(a) * d[0]
    return [d[0] + p["W"].T @ da], {"W": np.outer(da, before), "U": np.outer(da, x)}
""",
    ),
    "diagonal": (
        "h0",
        """w: param(H)
U: param(H, D)
h[0] = h0
h[t] = w * h[t-1] + U @ x[t]""",
        """def forward(x, state, p):
    return (p["w"] * state[0] + p["U"] @ x,), (x, state[0])


def backward(d, cache, p):
    x, before = cache
    return [p["w"] * d[0]], {"w": before * d[0], "U": np.outer(d[0], x)}
""",
    ),
    "cell": (
        "h0, c0",
        """W: param(H, H)
U: param(H, D)
R: param(H, H)
h[0] = h0
c[0] = c0
f[t] = sigmoid(R @ h[t-1])
c[t] = f[t] * c[t-1] + tanh(W @ h[t-1] + U @ x[t])
h[t] = tanh(c[t])""",
        """def forward(x, state, p):
    f = 1 / (1 + np.exp(-(p["R"] @ state[0])))
    g = np.tanh(p["W"] @ state[0] + p["U"] @ x)
    c = f * state[1] + g
    return (np.tanh(c), c), (x, state, f, g, np.tanh(c))


def backward(d, cache, p):
    x, (before, c_before), f, g, h = cache
    dc = d[1] + (1 - h**2) * d[0]
    df = dc * c_before * f * (1 - f)
    dg = dc * (1 - g**2)
    grads = {"W": np.outer(dg, before), "U": np.outer(dg, x), "R": np.outer(df, before)}
    return [p["W"].T @ dg + p["R"].T @ df, dc * f], grads
""",
    ),
    "gru": (
        "h0",
        """Z: param(H, H)
W: param(H, H)
U: param(H, D)
h[0] = h0
z[t] = sigmoid(Z @ h[t-1])
n[t] = tanh(W @ h[t-1] + U @ x[t])
h[t] = z[t] * h[t-1] + (1 - z[t]) * n[t]""",
        """def forward(x, state, p):
    z = 1 / (1 + np.exp(-(p["Z"] @ state[0])))
    n = np.tanh(p["W"] @ state[0] + p["U"] @ x)
    return (z * state[0] + (1 - z) * n,), (x, state[0], z, n)


def backward(d, cache, p):
    x, before, z, n = cache
    dz = d[0] * (before - n) * z * (1 - z)
    dn = d[0] * (1 - z) * (1 - n**2)
    grads = {"Z": np.outer(dz, before), "W": np.outer(dn, before), "U": np.outer(dn, x)}
    return [d[0] * z + p["Z"].T @ dz + p["W"].T @ dn], grads
""",
    ),
}
"""Cells by name: the states before the first step, the circuit, one step forwards and backwards."""

FORWARD = """def train(params, x, y, START):
    state, caches, errors, loss = (START,), [], [], 0.0
    for t in range(len(x)):
        state, cache = forward(x[t], state, params)
        caches.append(cache)
        errors.append(state[0] - y[t])
        loss = loss + 0.5 * np.sum(errors[t] ** 2)
    grads = {name: np.zeros_like(value) for name, value in params.items()}
    carried = [np.zeros_like(part) for part in state]
    BACKWARD
"""
DRIVERS: dict[str, str] = {
    "reversed": """
    for t in reversed(range(len(x))):
        total = [carried[0] + errors[t], *carried[1:]]
        carried, parts = backward(total, caches[t], params)
        for name in grads:
            grads[name] += parts[name]
    return loss, grads""",
    "while": """
    t = len(x) - 1
    while t >= 0:
        carried[0] = carried[0] + errors[t]
        carried, parts = backward(carried, caches[t], params)
        for name, part in parts.items():
            grads[name] = grads[name] + part
        t -= 1
    return loss, grads""",
    "zipped": """
    for cache, error in zip(caches[::-1], errors[::-1]):
        carried[0] = carried[0] + error
        carried, parts = backward(carried, cache, params)
        grads = {name: grads[name] + parts[name] for name in grads}
    return loss, grads""",
    "collected": """
    found = [None] * len(x)
    for t in range(len(x) - 1, -1, -1):
        carried[0] = carried[0] + errors[t]
        carried, found[t] = backward(carried, caches[t], params)
    for parts in found:
        for name in grads:
            grads[name] += parts[name]
    return loss, grads""",
    "nested": """
    for s in range(len(x)):
        carried = [errors[s], *[np.zeros_like(part) for part in state[1:]]]
        for t in range(s, -1, -1):
            carried, parts = backward(carried, caches[t], params)
            for name in grads:
                grads[name] += parts[name]
    return loss, grads""",
}
"""Loops by name: what stands after the forward pass."""


def driven() -> list[Pass]:
    """Return every cell in every loop; only the loop is changed."""
    found = []
    for cell, (start, equations, code) in CELLS.items():
        for driver, text in DRIVERS.items():
            circuit = "\n".join(
                [
                    *(f"{name}: input(H)" for name in start.split(", ")),
                    "x[t]: input(D)",
                    "y[t]: input(H)",
                    equations,
                    "loss = sum(squared_error(h[t], y[t]) for t in steps)",
                ]
            )
            loop = FORWARD.replace("START", start).replace("    BACKWARD\n", text.lstrip("\n"))
            source = "\n".join(
                [
                    "import numpy as np",
                    f'CIRCUIT = """\n{circuit}\n"""',
                    'FUNCTIONS = "train"',
                    code,
                    loop,
                    "",
                ]
            )
            found.append(Pass(f"{driver}_{cell}", source, "drivers", "train"))
    return found
