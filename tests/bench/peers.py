"""What one would use otherwise, and our own back ends, as functions that are ready to run.

Peers get the weights of their gates joined, as their users keep them; ours get the circuit's.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from types import SimpleNamespace
from typing import Any

import numpy as np

import graphgrad as gg
from tests.bench.cell_steps import Cell, loss
from tests.bench.hand_written import CAREFUL

LAYERS = {
    "elman": ("RNN", ("",), ("c",)),
    "lstm": ("LSTM", ("_i", "_f", "_g", "_o"), ("b_y",)),
    "gru_reset_after": ("GRU", ("_r", "_z", ""), ()),
    "lstm_bidirectional": ("LSTM", ("_i", "_f", "_g", "_o"), ("b_y",)),
}


@dataclass
class Way:
    """One way to a loss and its gradients: what is timed, and how its result is read."""

    run: Callable[[], Any]
    read: Callable[[Any], tuple[Any, dict[str, Any]]] = lambda result: result


def ours(circuit: gg.Circuit, params: Any, data: Any, threads: int) -> dict[str, Way]:
    """Return our back ends; that of JAX as its users call it, jitted on arrays on the device."""
    numpy = gg.value_and_grad(circuit)
    numba = gg.value_and_grad(circuit, backend="numba", threads=threads)
    pure = gg.value_and_grad(circuit, backend="jax").pure
    return {
        "numpy": Way(lambda: numpy(params, **data)),
        "numba": Way(lambda: numba(params, **data)),
        "jax": Way(jitted(lambda p, x, y: pure(p, x=x, y=y), params, data)),
    }


def by_hand(name: str, params: Any, data: Any) -> dict[str, Way]:
    def run() -> Any:
        with np.errstate(all="ignore"):
            return CAREFUL[name](params, **data)

    return {"by hand": Way(run)}


def jax_scans(cell: Cell, params: Any, data: Any) -> dict[str, Way]:
    """Return a scan as it is written down, with input products outside, and with 5 steps in one."""
    import jax
    import jax.numpy as jnp

    def functions(unroll: int) -> SimpleNamespace:
        return SimpleNamespace(
            tanh=jnp.tanh,
            sigmoid=jax.nn.sigmoid,
            log_softmax=jax.nn.log_softmax,
            zeros=lambda *shape: jnp.zeros(shape, data["x"].dtype),
            scan=lambda step, start, given, backwards: jax.lax.scan(
                step, start, given, reverse=backwards, unroll=unroll
            )[1],
        )

    forms = {"jax scan": (False, 1), "jax hoisted": (True, 1), "jax unrolled": (True, 5)}
    made = {}
    for name, (hoisted, unroll) in forms.items():
        f = functions(unroll)
        both = jax.value_and_grad(
            lambda p, x, y, f=f, hoisted=hoisted: loss(cell, p, x, y, f, hoisted=hoisted)
        )
        run = jitted(both, cell.join(params), data)
        made[name] = Way(run, lambda result: (result[0], cell.apart(result[1])))
    return made


def jitted(both: Any, params: Any, data: Any) -> Callable[[], Any]:
    """Return a call of a jitted function on arrays that are on the device already."""
    import jax
    import jax.numpy as jnp

    run = jax.jit(both)
    given = {name: jnp.asarray(value) for name, value in params.items()}
    x, y = jnp.asarray(data["x"]), jnp.asarray(data["y"])
    return lambda: jax.block_until_ready(run(given, x, y))


def listed(step: Any, state: Any, given: Any, backwards: bool) -> list[Any]:
    """Return the outputs of a loop, for a tape."""
    outputs = []
    for now in reversed(given) if backwards else given:
        state, output = step(state, now)
        outputs.append(output)
    return outputs[::-1] if backwards else outputs


def torch_loop(cell: Cell, params: Any, data: Any) -> dict[str, Way]:
    """Return a loop over the steps of a cell by PyTorch."""
    import torch

    given = {n: torch.tensor(value, requires_grad=True) for n, value in cell.join(params).items()}
    x, y = torch.tensor(data["x"]), torch.tensor(data["y"])
    f = SimpleNamespace(
        tanh=torch.tanh,
        sigmoid=torch.sigmoid,
        log_softmax=lambda u: torch.log_softmax(u, -1),
        zeros=lambda *shape: torch.zeros(shape, dtype=x.dtype),
        scan=lambda step, state, inputs, backwards: torch.stack(
            listed(step, state, list(inputs), backwards)
        ),
    )

    def run() -> Any:
        value = loss(cell, given, x, y, f, hoisted=False)
        return value.item(), torch.autograd.grad(value, list(given.values()))

    return {
        "torch loop": Way(
            run, lambda result: (result[0], cell.apart(dict(zip(given, result[1], strict=True))))
        )
    }


def torch_layer(name: str, params: Any, data: Any) -> dict[str, Way]:
    """Return torch.nn.RNN, LSTM or GRU, where it is the same network."""
    import torch

    if name not in LAYERS:
        return {}
    kind, gates, biases = LAYERS[name]
    x, y = torch.tensor(data["x"]), torch.tensor(data["y"])
    passes = [("", "WUb")] + [("_reverse", "RSr")] * (name == "lstm_bidirectional")
    hidden = len(params["b" + gates[0]])
    layer = getattr(torch.nn, kind)(
        x.shape[2], hidden, dtype=x.dtype, bidirectional=len(passes) == 2
    )
    stacked: dict[str, list[str]] = {}
    with torch.no_grad():
        for end, (W, U, b) in passes:
            for weight, letter in ("weight_hh", W), ("weight_ih", U), ("bias_ih", b):
                parts = stacked[f"{weight}_l0{end}"] = [letter + gate for gate in gates]
                joined = np.concatenate([params[part] for part in parts])
                getattr(layer, f"{weight}_l0{end}").copy_(torch.tensor(joined))
            getattr(layer, f"bias_hh_l0{end}").zero_()
        if "d" in params:  # the bias inside, of the last gate
            layer.bias_hh_l0[2 * hidden :] = torch.tensor(params["d"])
    inner = [layer.bias_hh_l0] if "d" in params else []
    for end, _ in passes:
        getattr(layer, f"bias_hh_l0{end}").requires_grad_(bool(inner))
    matrices = ["V", "Q"] if "Q" in params else ["V"]
    read = torch.tensor(np.concatenate([params[m] for m in matrices], 1), requires_grad=True)
    bias = [torch.tensor(params[b], requires_grad=True) for b in biases]
    given = [read, *bias, *inner, *(getattr(layer, each) for each in stacked)]

    def run() -> Any:
        states, _ = layer(x)
        scores = states @ read.T
        if bias:
            value = -(y * torch.log_softmax(scores + bias[0], -1)).sum() / x.shape[1]
        else:
            value = 0.5 * ((scores - y) ** 2).sum() / x.shape[1]
        return value.item(), torch.autograd.grad(value, given)

    def told(result: Any) -> tuple[Any, dict[str, Any]]:
        first, *others = result[1]
        found = dict(zip(matrices, first.chunk(len(matrices), 1), strict=True))
        found |= dict(zip(biases, others, strict=False))
        if inner:
            found["d"] = others[len(bias)][2 * hidden :]
        for parts, grad in zip(stacked.values(), others[len(bias) + len(inner) :], strict=True):
            found |= dict(zip(parts, grad.chunk(len(gates)), strict=True))
        return result[0], found

    return {"torch.nn": Way(run, told)}


def hips_autograd(cell: Cell, params: Any, data: Any) -> dict[str, Way]:
    """Return a loop over the steps of a cell by HIPS autograd."""
    import autograd
    import autograd.numpy as anp

    def log_softmax(u: Any) -> Any:
        shifted = u - anp.max(u, axis=-1, keepdims=True)
        return shifted - anp.log(anp.sum(anp.exp(shifted), axis=-1, keepdims=True))

    f = SimpleNamespace(
        tanh=anp.tanh,
        sigmoid=lambda u: 1 / (1 + anp.exp(-u)),
        log_softmax=log_softmax,
        zeros=lambda *shape: np.zeros(shape, data["x"].dtype),
        scan=lambda step, state, inputs, backwards: anp.stack(
            listed(step, state, list(inputs), backwards)
        ),
    )
    both = autograd.value_and_grad(lambda p: loss(cell, p, data["x"], data["y"], f, hoisted=False))
    given = cell.join(params)

    def run() -> Any:
        with np.errstate(all="ignore"):
            return both(given)

    return {"autograd": Way(run, lambda result: (result[0], cell.apart(result[1])))}
