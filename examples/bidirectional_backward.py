"""Through a bidirectional network the gradient flows in two directions, one a state.

The state h reads h[t-1] and is computed from the first step to the last; its cotangent reads
d_h[t+1] and is computed from the last to the first, as backpropagation through time always is. The
state g reads g[t+1] and runs the other way: so its cotangent runs forward in time. In the adjoint
circuit nothing about this is special: an advance has become a delay.

Line by line against Graves 2012, section 3.2.4, which gives the passes in words: first δ of the
output layer for all t (`d_o`), then BPTT for the forward hidden layer from t = T to 1 (`d_h`), then
BPTT for the backward hidden layer from t = 1 to T (`d_g`). The order below is that order.
"""

import numpy as np

import graphgrad as gg


def main() -> None:
    circuit = gg.cells.load("bidirectional")
    adjoint = circuit.adjoint()
    own = set(str(circuit).splitlines())
    print("\n".join(line for line in str(adjoint).splitlines() if line not in own))
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

    proof = gg.prove(circuit, tau=3)
    print(f"\n{proof}")
    assert proof.ok


if __name__ == "__main__":
    main()
