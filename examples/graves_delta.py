"""Graves' delta recursion, unit by unit as printed, and as the library derives it.

Graves, "Supervised Sequence Labelling with Recurrent Neural Networks", 2012, section 3.2:

    a_h^t = Σ_i w_ih x_i^t + Σ_h' w_h'h b_h'^{t-1}      b_h^t = θ_h(a_h^t)       eqs 3.30, 3.31
    a_k^t = Σ_h w_hk b_h^t                                                       eq.  3.32
    δ_h^t = θ'(a_h^t) (Σ_k δ_k^t w_hk + Σ_h' δ_h'^{t+1} w_hh')                   eq.  3.33
    δ_j^t = ∂O/∂a_j^t,   δ_j^{T+1} = 0                                           eq.  3.34
    ∂O/∂w_ij = Σ_t δ_j^t b_i^t                                                   eq.  3.35

Line by line: δ_k is `d_a_k`, δ_h is `d_a_h`; the bracket of 3.33 is `d_b_h`; that δ vanishes beyond
T is how the notation reads a variable outside 1..τ; 3.35 is `d_w_ih`, `d_w_hh`, `d_w_hk`, whose
outer products hold all units at once.
"""

import numpy as np

import graphgrad as gg

SIZES = {"I": 3, "H": 4, "K": 2}
T = 5


def main() -> None:
    circuit = gg.cells.load("graves")
    print("The forward pass, for one unit:\n")
    print(circuit.latex(units=True))
    adjoint = circuit.adjoint()
    own = set(str(circuit).splitlines())
    print("The backward pass:\n")
    print("\n".join(line for line in str(adjoint).splitlines() if line not in own))

    values = circuit.init(1, **SIZES) | circuit.example(2, tau=T, **SIZES)
    found = adjoint.unfold(T).evaluate(values)
    by_units = deltas(values, found["b_h"], found["y"])
    for name, array in by_units.items():
        np.testing.assert_allclose(found[name], array, rtol=1e-12)
    print(f"\nUnit by unit, with loops over i, h, h', k and t: {', '.join(by_units)} agree.\n")

    claims = """
    delta_k[t] = y[t] - z[t]
    delta_h[t] = (1 - b_h[t]**2) * (w_hk.T @ delta_k[t] + w_hh.T @ delta_h[t+1])
    delta_h[tau+1] = 0
    d_w_ih = sum(outer(delta_h[t], x[t]) for t in steps)
    d_w_hh = sum(outer(delta_h[t], b_h[t-1]) for t in steps)
    d_w_hk = sum(outer(delta_k[t], b_h[t]) for t in steps)
    """
    proof = gg.prove(circuit, claims=claims)
    print(proof)
    assert proof.ok


def deltas(values: dict, b: np.ndarray, y: np.ndarray) -> dict[str, np.ndarray]:
    """Return δ and the gradients by eqs 3.33–3.35, one number at a time.

    `w_hk[k, h]` is the book's w_hk: the arrays have the receiving unit first.
    """
    w_hh, w_hk, x, z = (values[name] for name in ("w_hh", "w_hk", "x", "z"))
    inputs, hidden, outputs = SIZES["I"], SIZES["H"], SIZES["K"]
    delta_k = np.zeros((T, outputs))
    delta_h = np.zeros((T + 1, hidden))  # δ^{T+1} = 0
    for t in reversed(range(T)):
        for k in range(outputs):
            delta_k[t, k] = y[t, k] - z[t, k]
        for h in range(hidden):
            arrives = sum(delta_k[t, k] * w_hk[k, h] for k in range(outputs))
            arrives += sum(delta_h[t + 1, other] * w_hh[other, h] for other in range(hidden))
            delta_h[t, h] = (1 - b[t, h] ** 2) * arrives
    d_w_ih = [
        [sum(delta_h[t, h] * x[t, i] for t in range(T)) for i in range(inputs)]
        for h in range(hidden)
    ]
    d_w_hh = [
        [sum(delta_h[t, h] * b[t - 1, other] for t in range(1, T)) for other in range(hidden)]
        for h in range(hidden)
    ]
    d_w_hk = [
        [sum(delta_k[t, k] * b[t, h] for t in range(T)) for h in range(hidden)]
        for k in range(outputs)
    ]
    return {
        "d_a_k": delta_k,
        "d_a_h": delta_h[:T],
        "d_w_ih": np.array(d_w_ih),
        "d_w_hh": np.array(d_w_hh),
        "d_w_hk": np.array(d_w_hk),
    }


if __name__ == "__main__":
    main()
