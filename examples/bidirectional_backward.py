"""Through a bidirectional network the gradient flows in two directions, one a state.

The state h reads h[t-1] and is computed from the first step to the last; its cotangent reads
d_h[t+1] and is computed from the last to the first, as backpropagation through time always is. The
state g reads g[t+1] and runs the other way: so its cotangent runs forward in time. In the adjoint
circuit nothing about this is special: an advance has become a delay.

Line by line against Graves, "Supervised Sequence Labelling with Recurrent Neural Networks", 2012,
chapter 3: all δ of the output layer come first; then each hidden layer has the backward pass
of eqs 3.33–3.35, one in each direction of time. Written out that gives the
equations below. δ of the output layer is `d_o`, of the hidden layers `delta_h` and `delta_g`; the
bracket of 3.33 is `d_h` and `d_g`; the biases are weights from a unit that is always 1. Graves does
the forward layer before the backward layer, the library prints g first: neither reads the other.
"""

import numpy as np

import graphgrad as gg

PUBLISHED = {
    "output layer, all t": "d_o[t] = yhat[t] - y[t]",
    "3.33, forward layer": "delta_h[t] = (1 - h[t]**2) * (V.T @ d_o[t] + W.T @ delta_h[t+1])",
    "3.33, backward layer": "delta_g[t] = (1 - g[t]**2) * (Q.T @ d_o[t] + R.T @ delta_g[t-1])",
    "3.35, x to h": "d_U = sum(outer(delta_h[t], x[t]) for t in steps)",
    "3.35, h to h": "d_W = sum(outer(delta_h[t], h[t-1]) for t in steps)",
    "3.35, 1 to h": "d_b = sum(delta_h[t] for t in steps)",
    "3.35, x to g": "d_S = sum(outer(delta_g[t], x[t]) for t in steps)",
    "3.35, g to g": "d_R = sum(outer(delta_g[t], g[t+1]) for t in steps)",
    "3.35, 1 to g": "d_r = sum(delta_g[t] for t in steps)",
    "3.35, h to o": "d_V = sum(outer(d_o[t], h[t]) for t in steps)",
    "3.35, g to o": "d_Q = sum(outer(d_o[t], g[t]) for t in steps)",
    "3.35, 1 to o": "d_c = sum(d_o[t] for t in steps)",
}


def main() -> None:
    circuit = gg.cells.load("bidirectional")
    adjoint = circuit.adjoint()
    lines = {line.split(" =")[0]: line for line in str(adjoint).splitlines() if " = " in line}
    for place, line in PUBLISHED.items():
        print(f"{place:20}  {line}")
        print(f"{'generated':20}  {lines[line.split(' =')[0]]}")
    print(f"{'where':20}  {lines['d_h[t]']}")
    print(f"{'and':20}  {lines['d_g[t]']}")
    print()

    directions = {1: "from the first step to the last", -1: "from the last step to the first"}
    for component in adjoint.check().components:
        if component.recurrent:
            names = ", ".join(str(unit) for unit in component.units)
            print(f"{names:14} is computed {directions[component.direction]}")
    print()

    # a target at one step only: where does its gradient arrive?
    tau, sizes = 7, {"D": 2, "H": 3, "G": 3, "K": 2}
    probe = circuit.extend("late = cross_entropy(yhat[4], y[4])")
    dag = probe.unfold(7, **sizes).grad("late", wrt=["x"])
    values = circuit.init(1, **sizes) | circuit.example(2, tau=tau, **sizes)
    found = dag.evaluate(values)
    print("step                       ", "".join(f"{t:8}" for t in range(1, tau + 1)))
    for name, what in (("d_h", "h"), ("d_g", "g"), ("d_x", "x")):
        norms = np.linalg.norm(found[name], axis=1)
        print(f"|d L[4] / d {what}[t]|           ", "".join(f"{norm:8.4f}" for norm in norms))
    assert not found["d_h"][4:].any(), "the past cannot depend on the future through h"
    assert not found["d_g"][:3].any(), "nor the future on the past through g"
    assert np.linalg.norm(found["d_x"], axis=1).all(), "the input matters at every step"

    proof = gg.prove(circuit, claims="\n".join(PUBLISHED.values()), tau=3)
    print(f"\n{proof}")
    assert proof.ok


if __name__ == "__main__":
    main()
