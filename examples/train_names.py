"""A character model of first names: ragged batches, AdamW, clipping; then names nobody has.

An LSTM reads a name letter by letter and says the next one, or the end. Names in a batch keep their
lengths (`lengths=`): each gets exactly the gradient that it gets alone. Beside it stands a table of
what follows two letters. `--quick` trains for two epochs only.
"""

import argparse
import importlib.util
from pathlib import Path

import numpy as np
from matplotlib.figure import Figure
from rich.progress import track

import graphgrad as gg

DATA = Path(__file__).parent / "data" / "names.csv"
LETTERS = "·abcdefghijklmnopqrstuvwxyz"  # the first one stands before and after a name
CIRCUIT = """
# LSTM that foretells the next letter
x[t]: token(N)
y[t]: token(N)
H: size(64)
E: param(N, 4*H)
W: param(4*H, H)
b: param(4*H)
V: param(N, H)
c: param(N)

i[t], f[t], o[t], g[t] = split(b + W @ h[t-1] + E[x[t]], 4)
s[t] = sigmoid(f[t]) * s[t-1] + sigmoid(i[t]) * tanh(g[t])
h[t] = sigmoid(o[t]) * tanh(s[t])
score[t] = c + V @ h[t]
loss = sum(softmax_cross_entropy(score[t], y[t]) for t in steps)
"""
BATCH, EPOCHS, RATE, DECAY, LARGEST_NORM = 64, 16, 0.005, 0.1, 1.0


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="two epochs")
    epochs = 2 if parser.parse_args().quick else EPOCHS
    rng = np.random.default_rng(0)
    names = DATA.read_text(encoding="utf-8").split()
    names = names[names.index("name") + 1 :]
    rng.shuffle(names)
    held, known = names[: len(names) // 10], names[len(names) // 10 :]
    print(f"{len(known)} names to learn from, {len(held)} held back")

    circuit = gg.parse(CIRCUIT, name="names")
    backend = "numba" if importlib.util.find_spec("numba") else "numpy"
    function = gg.value_and_grad(circuit, backend=backend)
    loss_alone = circuit.compile("loss", backend=backend)
    params = circuit.init(0, N=len(LETTERS))
    params = {name: value.astype(np.float32) for name, value in params.items()}
    optimiser = AdamW(params, epochs * (len(known) // BATCH))
    curve, held_curve = [], []
    for _ in track(range(epochs), description="training"):
        order = rng.permutation(len(known))
        for start in range(0, len(known) - BATCH + 1, BATCH):
            data = tokens([known[place] for place in order[start : start + BATCH]])
            count = data["lengths"].sum()
            loss, grads = function(params, batch="sum", **data)
            params = optimiser.step(params, {n: grad / count for n, grad in grads.items()})
            curve.append(loss / count / np.log(2))
        data = tokens(held)
        lengths = data.pop("lengths")
        losses = loss_alone({**params, **data}, lengths=lengths)["loss"]
        held_curve.append(losses.sum() / lengths.sum() / np.log(2))

    other = bits_of_table(known, held)
    print(f"bits a letter: {curve[0]:.2f} at first, {np.mean(curve[-30:]):.2f} at last;", end=" ")
    print(f"of names held back {held_curve[-1]:.2f}, by a table of three letters {other:.2f}")
    drawn = sampled(circuit, params, rng, 32)
    print("made up:", *drawn)
    print("of these, no names of the census:", *(name for name in drawn if name not in names))
    draw(curve, held_curve, other)
    assert np.mean(curve[-30:]) < 0.8 * curve[0]
    if epochs == EPOCHS:
        assert held_curve[-1] < other


class AdamW:
    """Loshchilov and Hutter 2019, with a rate that goes to zero and gradients clipped by norm."""

    def __init__(self, params, steps):
        self.first = {name: np.zeros_like(value) for name, value in params.items()}
        self.second = {name: np.zeros_like(value) for name, value in params.items()}
        self.count, self.steps = 0, steps

    def step(self, params, grads):
        """Return the parameters moved against the gradients."""
        norm = np.sqrt(sum(float((grad**2).sum()) for grad in grads.values()))
        rate = RATE * (1 - self.count / self.steps)
        self.count += 1
        moved = {}
        for name, grad in grads.items():
            own = grad * min(1.0, LARGEST_NORM / norm)
            self.first[name] = 0.9 * self.first[name] + 0.1 * own
            self.second[name] = 0.999 * self.second[name] + 0.001 * own**2
            scale = np.sqrt(self.second[name] / (1 - 0.999**self.count)) + 1e-8
            direction = self.first[name] / (1 - 0.9**self.count) / scale
            moved[name] = params[name] - rate * (direction + DECAY * params[name])
        return moved


def tokens(names):
    """Names as columns of numbers: each letter, what follows it, and how many there are."""
    lengths = np.array([len(name) + 1 for name in names])
    x = np.zeros((lengths.max(), len(names)), int)
    y = np.zeros_like(x)
    for column, name in enumerate(names):
        y[: len(name), column] = [LETTERS.index(letter) for letter in name]
    x[1:] = y[:-1]
    return {"x": x, "y": y, "lengths": lengths}


def bits_of_table(known, held):
    """Bits a letter of the names held back, by how often a letter follows two others."""
    table = np.full((len(LETTERS),) * 3, 0.1)
    for place in triples(known):
        table[place] += 1
    table /= table.sum(-1, keepdims=True)
    return -np.mean([np.log2(table[place]) for place in triples(held)])


def triples(names):
    """All letters with the two before them, ends included."""
    for name in names:
        numbers = [0, 0, *(LETTERS.index(letter) for letter in name), 0]
        yield from zip(numbers, numbers[1:], numbers[2:], strict=False)


def sampled(circuit, params, rng, count):
    """Names drawn letter by letter, all at once: the state goes from call to call."""
    forward = circuit.compile("score")
    x, state, drawn = np.zeros((1, count), int), None, []
    for _ in range(14):
        found, state = forward({**params, "x": x, "y": x}, state=state, return_state=True)
        noise = rng.gumbel(size=(count, len(LETTERS)))
        x = np.argmax(found["score"][0] + noise, axis=1)[None]
        drawn.append(x[0])
    columns = ("".join(LETTERS[number] for number in column) for column in np.stack(drawn, axis=1))
    return [column.split(LETTERS[0])[0] for column in columns]


def draw(curve, held_curve, other):
    figure = Figure(figsize=(6, 3.2), layout="constrained")
    axes = figure.subplots()
    axes.plot(np.arange(len(curve)) * len(held_curve) / len(curve), curve, linewidth=0.6)
    ends = np.arange(1, len(held_curve) + 1)
    axes.plot(ends, held_curve, marker="o", color="#d55e00", label="names held back")
    axes.axhline(other, color="black", linestyle=":", label="a table of three letters")
    axes.set_xlabel("epoch")
    axes.set_ylabel("bits a letter")
    axes.legend(frameon=False)
    figure.savefig("names.png", dpi=150)
    print("drawn: names.png")


if __name__ == "__main__":
    main()
