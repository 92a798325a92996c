"""Run the JAX back end on whatever device JAX finds: check its numbers, then time it.

    python tools/accelerator.py

The gradients of the gallery are compared with the NumPy back end in float64; then an LSTM is timed
beside `jax.value_and_grad` of the same recurrence as a scan (products of the inputs inside it, and
taken out of it by hand). Medians of interleaved runs.
"""

from __future__ import annotations

import statistics
import time
import warnings
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

import graphgrad as gg

SHAPES = {"medium": (100, 32, 128, 64), "large": (100, 64, 512, 256), "wide": (100, 512, 1024, 512)}
ROUNDS = 15


def main() -> None:
    device = jax.devices()[0]
    print(f"jax {jax.__version__} on {device.device_kind}")
    print(f"gallery, float64: largest relative difference from NumPy {gallery():.1e}")
    for name, shape in SHAPES.items():
        for dtype in (np.float32, np.float64):
            with jax.enable_x64(dtype is np.float64):
                times = race(*shape, dtype)
            shown = ", ".join(f"{who} {1000 * value:.2f} ms" for who, value in times.items())
            print(f"lstm {name} {np.dtype(dtype).name}: {shown}")


def gallery() -> float:
    """Return the largest difference of a gradient, relative to its largest entry."""
    worst = 0.0
    for name in gg.cells.names():
        circuit = gg.cells.load(name)
        if not circuit.params:
            continue
        declared = circuit.check().declared.sizes
        sizes = {each: size or 3 + k for k, (each, size) in enumerate(declared.items())}
        indices = list(circuit.check().indices)
        tau: Any = 4 if len(indices) == 1 else {each: 4 + k for k, each in enumerate(indices)}
        params = circuit.init(0, **sizes)
        data = circuit.example(1, tau, batch=(3,), **sizes)
        indexed = any(each.index is not None for each in circuit.check().inputs.values())
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            results = [
                gg.value_and_grad(circuit, backend=backend)(
                    params, **data, **({} if indexed else {"tau": tau})
                )[1]
                for backend in ("numpy", "jax")
            ]
        for each, want in results[0].items():
            scale = np.abs(want).max() or 1.0
            worst = max(worst, float(np.abs(results[1][each] - want).max() / scale))
    return worst


def race(steps: int, batch: int, hidden: int, width: int, dtype: Any) -> dict[str, float]:
    """Return the median seconds of one value and gradient, ours and JAX's own."""
    circuit = gg.cells.load("lstm")
    sizes = {"H": hidden, "D": width, "K": 16}
    params = {k: jnp.asarray(v, dtype) for k, v in circuit.init(0, **sizes).items()}
    data = circuit.example(1, steps, batch=(batch,), **sizes)
    data = {k: jnp.asarray(v, dtype) for k, v in data.items()}
    pure = gg.value_and_grad(circuit, backend="jax").pure
    runners = {
        "graphgrad": jax.jit(lambda p, d: pure(p, **d)),
        "scan": jax.jit(jax.value_and_grad(naive)),
        "scan, products taken out": jax.jit(jax.value_and_grad(hoisted)),
    }
    results = {who: jax.block_until_ready(run(params, data)) for who, run in runners.items()}
    for _, grads in results.values():
        for name, value in grads.items():
            want = results["graphgrad"][1][name]
            scale = float(jnp.abs(want).max())
            np.testing.assert_allclose(value, want, atol=scale * 2e-2)
    seconds: dict[str, list[float]] = {who: [] for who in runners}
    for _ in range(ROUNDS):
        for who, run in runners.items():
            started = time.perf_counter()
            jax.block_until_ready(run(params, data))
            seconds[who].append(time.perf_counter() - started)
    return {who: statistics.median(each) for who, each in seconds.items()}


def cell(p: Any, state: Any, inputs: Any) -> Any:
    h, c = state
    i, f, o = (jax.nn.sigmoid(inputs[g] + h @ p[f"W_{g}"].T) for g in "ifo")
    g = jnp.tanh(inputs["g"] + h @ p["W_g"].T)
    c = f * c + i * g
    return o * jnp.tanh(c), c


def naive(p: Any, d: Any) -> Any:
    def step(state: Any, given: Any) -> Any:
        x, y = given
        state = cell(p, state, {g: p[f"b_{g}"] + x @ p[f"U_{g}"].T for g in "ifog"})
        scores = p["b_y"] + state[0] @ p["V"].T
        return state, -(y * jax.nn.log_softmax(scores)).sum()

    zero = jnp.zeros((d["x"].shape[1], p["b_i"].shape[0]), d["x"].dtype)
    return jax.lax.scan(step, (zero, zero), (d["x"], d["y"]))[1].sum() / d["x"].shape[1]


def hoisted(p: Any, d: Any) -> Any:
    inputs = {g: p[f"b_{g}"] + d["x"] @ p[f"U_{g}"].T for g in "ifog"}

    def step(state: Any, given: Any) -> Any:
        state = cell(p, state, given)
        return state, state[0]

    zero = jnp.zeros((d["x"].shape[1], p["b_i"].shape[0]), d["x"].dtype)
    states = jax.lax.scan(step, (zero, zero), inputs)[1]
    scores = p["b_y"] + states @ p["V"].T
    return -(d["y"] * jax.nn.log_softmax(scores)).sum() / d["x"].shape[1]


if __name__ == "__main__":
    main()
