"""Train on a stream, chunk by chunk, and forecast sunspots at lengths that training never saw.

A gated network (GRU) reads the yearly sunspot numbers since 1700 and says the next year's. It is
trained on the years up to 1919 in chunks of 20: the state is carried from chunk to chunk, gradients
are not, their norm is clipped. What it learned is then run over stretches of up to 88 later years
in one go, and compared with an autoregression of nine years.
"""

from pathlib import Path

import numpy as np
from matplotlib.figure import Figure
from rich.progress import track

import graphgrad as gg

DATA = Path(__file__).parent / "data" / "sunspots.csv"
CIRCUIT = """
# GRU that forecasts the next value
x[t]: input(1)
y[t]: input(1)
H: size(12)
W: param(H, H)
U: param(H, 1)
Wz: param(H, H)
Uz: param(H, 1)
Wr: param(H, H)
Ur: param(H, 1)
b: param(H)
bz: param(H)
br: param(H)
v: param(1, H)
c: param(1)

z[t] = sigmoid(Wz @ h[t-1] + Uz @ x[t] + bz)
r[t] = sigmoid(Wr @ h[t-1] + Ur @ x[t] + br)
g[t] = tanh(W @ (r[t] * h[t-1]) + U @ x[t] + b)
h[t] = (1 - z[t]) * h[t-1] + z[t] * g[t]
yhat[t] = x[t] + v @ h[t] + c
loss = mean(squared_error(yhat[t], y[t]) for t in steps)
"""
CHUNK, EPOCHS, RATE, LARGEST_NORM, LAGS = 20, 150, 0.01, 0.5, 9


def main() -> None:
    rows = np.loadtxt(DATA, delimiter=",", skiprows=2)
    years, counts = rows[:, 0].astype(int), rows[:, 1]
    scaled = np.sqrt(counts)[:, None] / 5  # the root steadies the variance
    split = int(np.searchsorted(years, 1920))
    past, future = scaled[:split], scaled[split - 1 :]

    circuit = gg.parse(CIRCUIT, name="sunspots")
    params = circuit.init(0)
    function = gg.value_and_grad(circuit)
    optimiser = Adam(params)
    curve = []
    for _ in track(range(EPOCHS), description="training"):
        state, losses = None, []
        for start in range(0, len(past) - 1 - CHUNK, CHUNK):
            piece = slice(start, start + CHUNK)
            ahead = slice(start + 1, start + CHUNK + 1)
            loss, grads, state = function(
                params, x=past[piece], y=past[ahead], state=state, return_state=True
            )
            params = optimiser.step(params, clipped(grads))
            losses.append(float(loss))
        curve.append(np.mean(losses))
    print(f"loss {curve[0]:.4f} in the first epoch, {curve[-1]:.4f} in the last")

    forecast = circuit.compile("yhat")
    persistent = error(future[:-1], future[1:])
    print("squared error by the number of years read in one go, from nothing (training saw 20):")
    for length in (10, 20, 44, 88):
        errors = []
        for start in range(0, len(future) - length, length):
            x, y = future[start : start + length], future[start + 1 : start + length + 1]
            errors.append(error(forecast({**params, "x": x, "y": y})["yhat"], y))
        print(f"  {length:3d} years: {np.mean(errors):.4f}")
    x, y = future[:-1], future[1:]
    _, warm = forecast({**params, **pair(past)}, return_state=True)
    found = forecast({**params, "x": x, "y": y}, state=warm)["yhat"]
    own, regression = error(found, y), autoregression(past, future)
    print(f"1920-2008, with all years before: network {own:.4f}", end=", ")
    print(f"autoregression {regression:.4f}, last year's number {persistent:.4f}")
    draw(curve, years[split:], y, found)
    assert curve[-1] < 0.5 * curve[0]
    assert own < 0.6 * persistent


def pair(series):
    """A series as inputs and targets."""
    return {"x": series[:-1], "y": series[1:]}


def error(found, wanted):
    return float(0.5 * np.mean((found - wanted) ** 2))


def clipped(grads):
    """Gradients whose norm, all together, is at most `LARGEST_NORM`."""
    norm = np.sqrt(sum(float((grad**2).sum()) for grad in grads.values()))
    return {name: grad * min(1, LARGEST_NORM / norm) for name, grad in grads.items()}


class Adam:
    """Kingma and Ba 2015."""

    def __init__(self, params):
        self.first = {name: np.zeros_like(value) for name, value in params.items()}
        self.second = {name: np.zeros_like(value) for name, value in params.items()}
        self.count = 0

    def step(self, params, grads):
        """Return the parameters moved against the gradients."""
        self.count += 1
        moved = {}
        for name, grad in grads.items():
            self.first[name] = 0.9 * self.first[name] + 0.1 * grad
            self.second[name] = 0.999 * self.second[name] + 0.001 * grad**2
            direction = self.first[name] / (1 - 0.9**self.count)
            scale = np.sqrt(self.second[name] / (1 - 0.999**self.count)) + 1e-8
            moved[name] = params[name] - RATE * direction / scale
        return moved


def autoregression(past, future):
    """The error of the least-squares regression on the last nine years."""
    series = np.concatenate([past, future[1:]])[:, 0]
    rows = np.lib.stride_tricks.sliding_window_view(series, LAGS + 1)
    design = np.column_stack([rows[:, :-1], np.ones(len(rows))])
    known = len(past) - LAGS
    weights, *_ = np.linalg.lstsq(design[:known], rows[:known, -1])
    return error(design[known:] @ weights, rows[known:, -1])


def draw(curve, years, wanted, found):
    figure = Figure(figsize=(9, 3.2), layout="constrained")
    left, right = figure.subplots(1, 2, width_ratios=(1, 2))
    left.plot(curve)
    left.set_yscale("log")
    left.set_xlabel("epoch")
    left.set_title("loss")
    right.plot(years, (5 * wanted) ** 2, color="black", label="observed")
    right.plot(years, (5 * found) ** 2, color="#d55e00", label="forecast a year before")
    right.set_title("sunspots")
    right.legend(frameon=False)
    figure.savefig("sunspots.png", dpi=150)
    print("drawn: sunspots.png")


if __name__ == "__main__":
    main()
