"""Real-time recurrent learning: a gradient after every step, and nothing of the past is kept.

Backpropagation through time waits for the end of the sequence. The tangent circuit runs forwards:
batched over one direction for every weight, its state `dot_h[t]` is the derivative of h[t] by all
weights (Williams and Zipser 1989, where it is called p), and `dot_L[t]` is the gradient of this
step's loss. First it is compared with backpropagation, then it learns online.
"""

import numpy as np

import graphgrad as gg

NETWORK = """
x[t]: input()
y[t]: input()
W: param(H, H)
u: param(H)
b: param(H)
v: param(H)

h[t] = tanh(W @ h[t-1] + u * x[t] + b)
o[t] = v @ h[t]
L[t] = squared_error(o[t], y[t])
loss = sum(L[t] for t in steps)
"""
UNITS, RATE = 6, 0.1


class Learner:
    """Carries h and its derivatives by all weights from step to step."""

    def __init__(self, network: gg.Circuit, params: dict) -> None:
        self.params = params
        # h[0] becomes an input h_0, so that one step can follow another; it moves with the weights
        self.circuit = network.open().tangent([*params, "h_0"], of="L")
        self.step_once = self.circuit.compile("h", "dot_h", "L", "dot_L")
        self.directions = gg.basis_directions(params)
        self.count = sum(np.size(value) for value in params.values())
        self.state = np.zeros(UNITS)
        self.sensitivity = np.zeros((self.count, UNITS))

    def step(self, x: float, y: float) -> tuple[float, np.ndarray]:
        """Return the loss of one step and its gradient by all weights, as one vector."""
        found = self.step_once(
            {
                **self.params,
                **self.directions,
                "h_0": self.state,
                "dot_h_0": self.sensitivity,
                "x": np.full((1, self.count), x),  # one step, a batch of directions
                "y": np.full((1, self.count), y),
            }
        )
        self.state = found["h"][0, 0]
        self.sensitivity = found["dot_h"][0]
        return float(found["L"][0, 0]), found["dot_L"][0]

    def descend(self, gradient: np.ndarray) -> None:
        """Take a step downhill."""
        start = 0
        for name, value in self.params.items():
            part = gradient[start : start + value.size].reshape(value.shape)
            self.params[name] = value - RATE * part
            start += value.size


def main() -> None:
    network = gg.parse(NETWORK, "network")
    params = network.init(0, H=UNITS)
    learner = Learner(network, dict(params))
    print("The step that is computed again and again:\n")
    own = set(str(network).splitlines())
    lines = str(learner.circuit).splitlines()
    print("\n".join(f"  {each}" for each in lines if each.startswith("dot_") and each not in own))

    times = np.arange(4001)
    signal = np.sin(0.3 * times) * np.cos(0.07 * times)

    # the same gradient as backpropagation through time, at the end and at every step before it
    total = np.zeros(learner.count)
    worst = 0.0
    for t in range(20):
        total += learner.step(signal[t], signal[t + 1])[1]
        dag = network.unfold(t + 1)
        values = {**params, "x": signal[: t + 1], "y": signal[1 : t + 2]}
        gradients = dag.grad().evaluate(values)
        expected = np.concatenate([np.ravel(gradients[f"d_{name}"]) for name in params])
        worst = max(worst, float(np.abs(total - expected).max() / np.abs(expected).max()))
    print(f"\n20 steps: the sums agree with backpropagation to {worst:.0e} of the largest entry")
    assert worst < 1e-13

    # online: the weights change at every step
    learner = Learner(network, dict(params))
    losses = []
    for t in range(4000):
        loss, gradient = learner.step(signal[t], signal[t + 1])
        learner.descend(gradient)
        losses.append(loss)
    print("\nLearning online to foretell the next value of a signal:")
    for start in range(0, 4000, 500):
        mean = np.mean(losses[start : start + 500])
        print(f"  steps {start + 1:4}–{start + 500}: mean loss {mean:.6f}")
    assert np.mean(losses[-500:]) < 0.1 * np.mean(losses[:500])


if __name__ == "__main__":
    main()
