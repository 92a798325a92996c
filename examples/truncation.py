"""What truncated backpropagation leaves out, on h[t] = w·h[t-1] + x[t] with x = 1..5 and w = ½.

The gradient of Σ h[t] by w is a sum over pairs: what the loss at step s adds through the use of w
at step t is w^(s-t)·h[t-1]. A window keeps k diagonals, chunks keep squares along the middle one. A
window costs k copies of the cotangent, chunks cost no more than the whole gradient.
"""

from fractions import Fraction

import graphgrad as gg

EQUATIONS = """
x[t]: input()
w: param()
h[t] = w * h[t-1] + x[t]
loss = sum(h[t] for t in steps)
"""


def main() -> None:
    circuit = gg.parse(EQUATIONS, name="leaky_sum")
    values = {"w": Fraction(1, 2), "x": [1, 2, 3, 4, 5]}
    dag = circuit.unfold(5)
    found = dag.contributions(values)

    print("h[t]:   ", *(f"{float(h):8g}" for h in dag.evaluate(values)["h"]))
    print("\nWhat the loss at step s (rows) adds through the use of w at step t (columns):")
    for s, row in enumerate(found["w"], start=1):
        print(f"  s = {s}", *(f"{float(entry):8g}" for entry in row))
    gradient = dag.grad().evaluate(values)["d_w"]
    print(f"Their sum is the gradient, {float(gradient):g}.")
    assert found["w"].sum() == gradient == Fraction("18.75")

    print(f"\n{'':10} {'d_w':>8} {'kept':>5} {'equations':>10} {'nodes at τ = 5':>15}")
    before = len(circuit.equations)
    for truncation in (None, *map(gg.window, range(1, 6)), *map(gg.chunks, range(1, 6))):
        adjoint = circuit.adjoint(truncate=truncation)
        backward = adjoint.unfold(5)
        d_w = backward.evaluate(values)["d_w"]
        kept = 15
        if truncation is not None:
            assert truncation.of(found)["w"] == d_w
            kept = sum(bool(truncation.mask(5)[s, t]) for s in range(5) for t in range(s + 1))
        added = len(adjoint.equations) - before
        name = str(truncation or "whole")
        print(f"{name:10} {float(d_w):8g} {kept:5} {added:10} {len(backward) - len(dag):15}")

    print("\nA window has one copy of the cotangent for each age, from its loss back:\n")
    print("\n".join(str(circuit.adjoint(truncate=gg.window(3))).splitlines()[-5:]))
    print("\nChunks have one cotangent, which does not cross from chunk to chunk:\n")
    print("\n".join(str(circuit.adjoint(truncate=gg.chunks(3))).splitlines()[-2:]))

    print("\nThe same for a network with matrices, `truncated` in the gallery:\n")
    network = gg.cells.load("truncated")
    print("\n".join(str(network.adjoint(truncate=gg.window(2), wrt=["W"])).splitlines()[-6:]))


if __name__ == "__main__":
    main()
