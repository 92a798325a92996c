"""The lecture notes' two-step scalar network: every printed gradient, term by term.

The notes take h_t = tanh(W h_{t-1} + U X_t + b), Y_t = V h_t + c and L = L_1 + L_2 with
L_t = ½ (Y_t - z_t)², and derive by hand

    ∂L/∂W = ∂L_1/∂h_1 ∂h_1/∂W + ∂L_2/∂h_2 ∂h_2/∂h_1 ∂h_1/∂W + ∂L_2/∂h_2 ∂h_2/∂W
    ∂L/∂U, ∂L/∂b  in the same way
    ∂L/∂V = (Y_1 - z_1) h_1 + (Y_2 - z_2) h_2
    ∂L/∂c = (Y_1 - z_1) + (Y_2 - z_2)

with ∂L_t/∂h_t = (Y_t - z_t) V, ∂h_2/∂h_1 = (1 - h_2²) W, ∂h_t/∂W = (1 - h_t²) h_{t-1},
∂h_t/∂U = (1 - h_t²) X_t and ∂h_t/∂b = 1 - h_t².
"""

import sympy

import graphgrad as gg

W, U, V, b, c, h_0 = sympy.symbols("W U V b c h0", real=True)
X, z = sympy.symbols("x_1:3", real=True), sympy.symbols("z_1:3", real=True)
h = [h_0]  # h[0] is h_0
for x_t in X:
    h.append(sympy.tanh(W * h[-1] + U * x_t + b))
error = [V * h[t] + c - z[t - 1] for t in (1, 2)]  # Y_t - z_t

# the factors that the notes compute
slope = {t: error[t - 1] * V for t in (1, 2)}  # ∂L_t/∂h_t
between = (1 - h[2] ** 2) * W  # ∂h_2/∂h_1
use = {  # ∂h_t/∂W, …
    "W": {t: (1 - h[t] ** 2) * h[t - 1] for t in (1, 2)},
    "U": {t: (1 - h[t] ** 2) * X[t - 1] for t in (1, 2)},
    "b": {t: (1 - h[t] ** 2) for t in (1, 2)},
}
PRINTED = {
    name: {
        f"∂L_1/∂h_1 ∂h_1/∂{name}": slope[1] * use[name][1],
        f"∂L_2/∂h_2 ∂h_2/∂h_1 ∂h_1/∂{name}": slope[2] * between * use[name][1],
        f"∂L_2/∂h_2 ∂h_2/∂{name}": slope[2] * use[name][2],
    }
    for name in use
}
PRINTED["V"] = {f"(Y_{t} - z_{t}) h_{t}": error[t - 1] * h[t] for t in (1, 2)}
PRINTED["c"] = {f"(Y_{t} - z_{t})": error[t - 1] for t in (1, 2)}


def main() -> None:
    circuit = gg.cells.load("two_step_scalar")
    found = circuit.adjoint().unfold(2).evaluate({}, over="sympy")
    short = {h[2]: sympy.Symbol("h_2"), h[1]: sympy.Symbol("h_1")}  # the outer one first
    for name, terms in PRINTED.items():
        gradient = found[f"d_{name}"]
        assert sympy.expand(gradient - sum(terms.values())) == 0
        print(f"∂L/∂{name} = {' + '.join(terms)}")
        print(f"    derived: {gradient.subs(short)}")
        for term, value in terms.items():
            print(f"    {term:28} = {value.subs(short)}")
        print()
    print("Each printed sum equals the derived gradient: their difference expands to 0.\n")

    proof = gg.prove(circuit, tau=2)
    print(proof)
    assert proof.ok


if __name__ == "__main__":
    main()
