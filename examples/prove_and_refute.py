"""Two students derive the backward pass of the same network. One of them is right.

The first writes the products in an order of her own and the slope of tanh as (1 - h)(1 + h). The
second made the fault that training does not show at once: for the recurrent weights he takes h[t]
where the network used h[t-1]. Both derivations are put to the proof.
"""

import numpy as np

import graphgrad as gg

NETWORK = """
# Regression with a recurrent network
x[t]: input(D)
y[t]: input(K)
W: param(H, H)
U: param(H, D)
V: param(K, H)

h[t] = tanh(W @ h[t-1] + U @ x[t])
loss = sum(squared_error(V @ h[t], y[t]) for t in steps)
"""

FIRST = """
error[t] = V @ h[t] - y[t]
delta[t] = (1 - h[t]) * (1 + h[t]) * (W.T @ delta[t+1] + V.T @ error[t])
d_W = sum(outer(h[t-1], delta[t]) for t in steps).T
d_U = sum(outer(delta[t], x[t]) for t in steps)
d_V = sum(outer(error[t], h[t]) for t in steps)
"""

SECOND = FIRST.replace("outer(h[t-1], delta[t])", "outer(h[t], delta[t])")


def main() -> None:
    circuit = gg.parse(NETWORK, "regression")
    print("The first derivation:\n", FIRST, sep="")
    first = gg.prove(circuit, claims=FIRST)
    print(first, "\n")
    assert first.ok

    print("The second:\n", SECOND, sep="")
    second = gg.prove(circuit, claims=SECOND)
    print(second, "\n")
    assert not second.ok

    # the witness can be looked at with other tools: here by finite differences
    (claim,) = (claim for claim in second.claims if claim.verdict == "refuted")
    values, entry = claim.values(), claim.entry
    tau = len(values["x"])
    opened = circuit.open()  # the state before the first step is an input, h_0
    stated = opened.extend(SECOND).unfold(tau).evaluate(values)[claim.name][entry]
    dag, step = opened.unfold(tau), np.zeros(values[claim.by].shape)
    step[entry] = 1e-5
    ahead = dag.evaluate(values | {claim.by: values[claim.by] + step})["loss"]
    behind = dag.evaluate(values | {claim.by: values[claim.by] - step})["loss"]
    slope = (ahead - behind) / 2e-5
    print(f"At the witness {claim.where} is {stated:.6f} by the second derivation,")
    print(f"and {slope:.6f} by finite differences: {stated - slope:+.6f} apart.")
    low, high = map(float, claim.difference)
    assert low - 1e-6 < stated - slope < high + 1e-6


if __name__ == "__main__":
    main()
