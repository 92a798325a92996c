"""h ← σ(h/2) forgets where it began: 0.5708… is reached from any start.

The lecture notes iterate h_t = f(h_{t-1}; θ) with f(h; θ) = σ(θh), θ = ½, from h_0 = 2. The slope
of f is θ σ'(θh) ≤ ⅛, so every step brings two states at least 8 times closer (and two gradients:
this is a gradient that vanishes, at a rate that one can compute).
"""

import numpy as np

import graphgrad as gg


def main() -> None:
    circuit = gg.cells.load("fixed_point")
    print(circuit)
    dag = circuit.unfold(100)
    print(f"{'h_0':>10} {'h_1':>10} {'h_2':>10} {'h_3':>10} {'h_100':>14}")
    reached = []
    for start in (2.0, 0.0, -3.0, 50.0, -1e6):
        h = dag.evaluate({"h0": start})["h"]
        reached.append(h[-1])
        print(f"{start:10g} {h[0]:10.4f} {h[1]:10.4f} {h[2]:10.4f} {h[-1]:14.10f}")
    assert all(f"{h:.10f}".startswith("0.5708") for h in reached)

    fixed = reached[0]
    assert abs(fixed - 1 / (1 + np.exp(-fixed / 2))) < 1e-15
    slope = fixed * (1 - fixed) / 2
    print(f"\nσ(h/2) = h at {fixed:.10f}, where the slope is {slope:.6f}.")

    print("\nHow much h[τ] depends on the start h_0 = 2:")
    last = circuit.extend("loss = h[tau]")
    before = None
    for tau in range(1, 9):
        found = last.unfold(tau).grad(wrt=["h0"]).evaluate({"h0": 2.0})["d_h0"]
        ratio = "" if before is None else f"   {found / before:.6f} of the one before"
        print(f"  ∂h[{tau}]/∂h_0 = {found:.3e}{ratio}")
        before = found


if __name__ == "__main__":
    main()
