"""Circuits are built from Python, too: a loop over layers, conditions, NumPy functions.

What comes out is the same kind of object that `gg.parse` returns, and it prints as the notation.
"""

import numpy as np

import graphgrad as gg
from graphgrad import steps, t, tanh, tau

LAYERS = 3


def deep(layers: int) -> gg.Circuit:
    """Return a stack of recurrent layers with skip connections and a warm-up."""
    c = gg.Circuit("deep", title=f"{layers} layers with skip connections")
    x, y = c.input("x", "H", index=t), c.input("y", "H", index=t)
    below = x[t]
    for layer in range(1, layers + 1):
        W, U = c.param(f"W{layer}", "H", "H"), c.param(f"U{layer}", "H", "H")
        h = c.var(f"h{layer}")
        h[t] = below + tanh(W @ h[t - 1] + U @ below)
        below = h[t]
    gain = c.param("gain")
    out = c.var("out")
    out[t] = np.exp(gain) * below  # NumPy's functions make nodes
    weight = c.var("weight")
    weight[t] = gg.choose(t == tau, 2, t / tau)  # later steps count more
    c["loss"] = gg.sum(weight[t] * gg.squared_error(out[t], y[t]), over=t, where=t > 1)
    return c


def main() -> None:
    circuit = deep(LAYERS)
    print(circuit)
    assert gg.parse(str(circuit)) == circuit

    values = circuit.init(0, H=3) | circuit.example(1, tau=5, H=3)
    print(f"loss at random numbers, 5 steps: {circuit.unfold(5).evaluate(values)['loss']:.6f}\n")

    print("What would be silently wrong in Python is an error with a remedy:\n")
    h = circuit["h1"]
    for what, attempt in {
        "sum(h[k] for k in steps)": lambda: sum(h[k] for k in steps),
        "if h[t] > 0:": lambda: bool(h[t] > 0),
    }.items():
        try:
            attempt()
        except gg.GraphgradError as error:
            print(f"{what}\n    {error}\n".replace("\nRemedy", "\n    Remedy"))

    proof = gg.prove(circuit, tau=2, wrt=["W1", "U3", "gain"])
    print(proof)
    assert proof.ok


if __name__ == "__main__":
    main()
