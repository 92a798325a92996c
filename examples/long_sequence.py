"""A sequence that stays on disk: its whole gradient under a budget, and training piece by piece.

A signal of 200,000 steps is written to a file and mapped, never read as a whole. Its gradient takes
the memory that `checkpoint=` allows, and no more is needed for ten times as many steps. Training
takes a piece at a time and carries the state. `--quick` does a tenth of it.
"""

import argparse
import tempfile
import tracemalloc
from pathlib import Path

import numpy as np
from rich.progress import track

import graphgrad as gg

CIRCUIT = """
# Elman network that foretells a signal a step ahead
x[t]: input(2)
y[t]: input(2)
H: size(24)
W: param(H, H)
U: param(H, 2)
V: param(2, H)
b: param(H)

h[t] = tanh(b + W @ h[t-1] + U @ x[t])
loss = sum(squared_error(V @ h[t], y[t]) for t in steps)
"""
STEPS, PIECE, BUDGET, RATE = 200_000, 500, 2**21, 0.02


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="a tenth of the steps")
    steps = STEPS // 10 if parser.parse_args().quick else STEPS
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "signal.npy"
        written(file, steps)
        signal = np.load(file, mmap_mode="r")
        x, y = signal[:-1], signal[1:]
        circuit = gg.parse(CIRCUIT, name="long_sequence")
        params = circuit.init(0)

        function = gg.value_and_grad(circuit, checkpoint=BUDGET)
        function(params, x=x[:100], y=y[:100])  # is compiled at the first call
        tracemalloc.start()
        loss, _ = function(params, x=x, y=y)
        measured = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        print(f"{steps:,} steps, {file.stat().st_size / 2**20:.1f} MiB on disk")
        print(
            f"whole gradient: loss {loss / steps:.4f} a step; {measured / 2**20:.2f} MiB of memory"
        )
        plan = function.plan
        print(f"  under a budget of {BUDGET / 2**20:.0f}: pieces of {plan.every} steps,", end=" ")
        print(f"{plan.snapshots} states kept, {plan.again:.0%} of the steps computed again")
        assert measured < BUDGET

        pieces = gg.value_and_grad(circuit)
        state, losses = None, []
        for start in track(range(0, len(x), PIECE), description="training"):
            own = slice(start, start + PIECE)
            loss, grads, state = pieces(params, x=x[own], y=y[own], state=state, return_state=True)
            losses.append(float(loss) / len(x[own]))
            norm = np.sqrt(sum(float((grad**2).sum()) for grad in grads.values()))
            rate = RATE / max(1.0, norm / 5)
            params = {name: value - rate * grads[name] for name, value in params.items()}
        tenth = max(1, len(losses) // 10)
        print("loss a step, by tenths of the file:", end=" ")
        print(*(f"{np.mean(losses[k * tenth : (k + 1) * tenth]):.4f}" for k in range(10)))
        assert np.mean(losses[-tenth:]) < 0.5 * np.mean(losses[:tenth])


def written(file, steps):
    """Write two waves whose frequencies drift, a block at a time."""
    mapped = np.lib.format.open_memmap(file, mode="w+", dtype=float, shape=(steps + 1, 2))
    phase = np.zeros(2)
    for start in range(0, steps + 1, 10_000):
        t = np.arange(start, min(start + 10_000, steps + 1))
        drift = 0.2 + 0.05 * np.sin(t[:, None] / np.array([900.0, 1700.0]))
        phases = phase + np.cumsum(drift, axis=0)
        mapped[t] = np.sin(phases)
        phase = phases[-1]
    mapped.flush()


if __name__ == "__main__":
    main()
