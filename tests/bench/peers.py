"""What one would use otherwise, for three cells: PyTorch's layers, JAX's scan in three forms."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import numpy as np

from tests.bench.hand_written import LOOPS


def torch_layer(cell: str, params: Any, data: Any) -> Any:
    """Return loss and gradients by torch.nn.RNN or LSTM; None for a GRU, which differs there."""
    import torch

    if cell == "gru":
        return None
    gates = {"elman": [""], "lstm": ["_i", "_f", "_g", "_o"]}[cell]
    x, y = torch.tensor(data["x"]), torch.tensor(data["y"])
    hidden = len(params[f"W{gates[0]}"])
    kind = torch.nn.RNN if cell == "elman" else torch.nn.LSTM
    layer = kind(x.shape[2], hidden, dtype=x.dtype)
    stacked = {
        "weight_hh_l0": [f"W{gate}" for gate in gates],
        "weight_ih_l0": [f"U{gate}" for gate in gates],
        "bias_ih_l0": [f"b{gate}" for gate in gates],
    }
    with torch.no_grad():
        layer.bias_hh_l0.zero_()
        for name, parts in stacked.items():
            getattr(layer, name).copy_(torch.tensor(np.concatenate([params[p] for p in parts])))
    layer.bias_hh_l0.requires_grad_(False)
    out, bias = ("V", "c") if cell == "elman" else ("V", "b_y")
    read = {name: torch.tensor(params[name], requires_grad=True) for name in (out, bias)}
    given = [*read.values(), *(getattr(layer, name) for name in stacked)]

    def both() -> Any:
        states, _ = layer(x)
        scores = torch.log_softmax(states @ read[out].T + read[bias], -1)
        loss = -(y * scores).sum() / x.shape[1]
        grads = torch.autograd.grad(loss, given)
        found = dict(zip(read, grads, strict=False))
        for parts, grad in zip(stacked.values(), grads[2:], strict=True):
            found |= dict(zip(parts, grad.chunk(len(gates)), strict=True))
        return loss.item(), found

    return both


def jax_scans(cell: str, params: Any, data: Any, *, unrolled: bool) -> dict[str, Any]:
    """Return loss and gradients by JAX: a scan, one with input products outside, and no scan."""
    import jax
    import jax.numpy as jnp

    names = {"elman": [""], "lstm": ["_i", "_o", "_f", "_g"], "gru": ["_r", "_z", ""]}[cell]

    def step(p: Any, state: Any, pre: Any) -> Any:
        h, c = state
        if cell == "elman":
            return jnp.tanh(pre[""] + h @ p["W"].T), c
        if cell == "lstm":
            i, o, k = (jax.nn.sigmoid(pre[g] + h @ p[f"W{g}"].T) for g in ("_i", "_o", "_f"))
            c = k * c + i * jnp.tanh(pre["_g"] + h @ p["W_g"].T)
            return o * jnp.tanh(c), c
        r, z = (jax.nn.sigmoid(pre[g] + h @ p[f"W{g}"].T) for g in ("_r", "_z"))
        return z * h + (1 - z) * jnp.tanh(pre[""] + (r * h) @ p["W"].T), c

    def start(p: Any, x: Any) -> Any:
        zero = jnp.zeros((x.shape[1], len(p[f"b{names[0]}"])), x.dtype)
        return zero + p["h0"] if cell == "gru" else zero, zero

    def total(p: Any, h: Any, y: Any) -> Any:
        if cell == "gru":
            return 0.5 * ((h @ p["V"].T - y) ** 2).sum()
        return -(y * jax.nn.log_softmax(p["c" if cell == "elman" else "b_y"] + h @ p["V"].T)).sum()

    def inputs(p: Any, x: Any) -> Any:
        return {g: p[f"b{g}"] + x @ p[f"U{g}"].T for g in names}

    def naive(p: Any, x: Any, y: Any) -> Any:
        def body(state: Any, given: Any) -> Any:
            state = step(p, state, inputs(p, given[0]))
            return state, total(p, state[0], given[1])

        return jax.lax.scan(body, start(p, x), (x, y))[1].sum() / x.shape[1]

    def hoisted(p: Any, x: Any, y: Any) -> Any:
        def body(state: Any, pre: Any) -> Any:
            state = step(p, state, pre)
            return state, state[0]

        return total(p, jax.lax.scan(body, start(p, x), inputs(p, x))[1], y) / x.shape[1]

    functions = SimpleNamespace(
        tanh=jnp.tanh,
        sigmoid=jax.nn.sigmoid,
        log_softmax=jax.nn.log_softmax,
        zeros=lambda *shape: jnp.zeros(shape, data["x"].dtype),
    )

    def without(p: Any, x: Any, y: Any) -> Any:
        return LOOPS[cell](p, x, y, functions)

    forms = {"jax scan": naive, "jax hoisted": hoisted}
    forms |= {"jax unrolled": without} if unrolled else {}
    return {
        name: ready(jax.value_and_grad(lambda p, x, y, loss=loss: loss(p, x, y)), params, data)
        for name, loss in forms.items()
    }


def ready(both: Any, params: Any, data: Any) -> Any:
    """Return a call of a jitted function on arrays that are on the device already."""
    import jax
    import jax.numpy as jnp

    run = jax.jit(lambda p, x, y: both(p, x=x, y=y))
    given = {name: jnp.asarray(value) for name, value in params.items()}
    x, y = jnp.asarray(data["x"]), jnp.asarray(data["y"])
    return lambda: jax.block_until_ready(run(given, x, y))
