"""The backward pass of the LSTM beside the one that is published.

Greff, Srivastava, Koutník, Steunebrink, Schmidhuber, "LSTM: A Search Space Odyssey", 2017, prints
the forward pass of the peephole LSTM and its backpropagation through time in vector form. Below is
that network in the paper's letters (`zbar` for z with a bar, R for recurrent weights, y for the
block output), and its backward equations in the notation. Line by line:

- δy, δo, δf, δi, δz: the same, δ of a gate being the cotangent of its activation with the bar.
  The library names the cotangent of the gate itself, `d_o`, and multiplies by the slope next.
- δc: the same five terms.
- δW, δb: the same. δR is printed as Σ over t < T of ⟨δ at t+1, y at t⟩; here it is the sum over
  all t of δ at t times y at t-1, which is the same sum plus the term of the state before the first
  step, where the paper has y = 0.
- δp for the input and forget gates: shifted by one step in the same way.
"""

import numpy as np

import graphgrad as gg

NETWORK = (
    """
# Vanilla LSTM
x[t]: input(M)
target[t]: input(N)
"""
    + "".join(
        f"W_{k}: param(N, M)\nR_{k}: param(N, N)\nb_{k}: param(N)\n"
        + (f"p_{k}: param(N)\n" if k != "z" else "")
        for k in "zifo"
    )
    + """
zbar[t] = W_z @ x[t] + R_z @ y[t-1] + b_z
z[t] = tanh(zbar[t])
ibar[t] = W_i @ x[t] + R_i @ y[t-1] + p_i * c[t-1] + b_i
i[t] = sigmoid(ibar[t])
fbar[t] = W_f @ x[t] + R_f @ y[t-1] + p_f * c[t-1] + b_f
f[t] = sigmoid(fbar[t])
c[t] = z[t] * i[t] + c[t-1] * f[t]
obar[t] = W_o @ x[t] + R_o @ y[t-1] + p_o * c[t] + b_o
o[t] = sigmoid(obar[t])
y[t] = tanh(c[t]) * o[t]
loss = sum(squared_error(y[t], target[t]) for t in steps)
"""
)

# δz is d_zbar, δi is d_ibar, …; Δ, what comes from the layer above, is y - target
CELL = {
    "δy": (
        "d_y[t] = (y[t] - target[t]) + R_z.T @ d_zbar[t+1] + R_i.T @ d_ibar[t+1]"
        " + R_f.T @ d_fbar[t+1] + R_o.T @ d_obar[t+1]"
    ),
    "δo": "d_obar[t] = d_y[t] * tanh(c[t]) * o[t] * (1 - o[t])",
    "δc": (
        "d_c[t] = d_y[t] * o[t] * (1 - tanh(c[t])**2) + p_o * d_obar[t]"
        " + p_i * d_ibar[t+1] + p_f * d_fbar[t+1] + d_c[t+1] * f[t+1]"
    ),
    "δf": "d_fbar[t] = d_c[t] * c[t-1] * f[t] * (1 - f[t])",
    "δi": "d_ibar[t] = d_c[t] * z[t] * i[t] * (1 - i[t])",
    "δz": "d_zbar[t] = d_c[t] * i[t] * (1 - z[t]**2)",
}
WEIGHTS = {f"δW_{k}": f"d_W_{k} = sum(outer(d_{k}bar[t], x[t]) for t in steps)" for k in "zifo"}
WEIGHTS |= {
    f"δR_{k}": f"d_R_{k} = outer(d_{k}bar[1], y[0])"
    f" + sum(outer(d_{k}bar[t+1], y[t]) for t in steps if t < tau)"
    for k in "zifo"
}
WEIGHTS |= {f"δb_{k}": f"d_b_{k} = sum(d_{k}bar[t] for t in steps)" for k in "zifo"}
WEIGHTS |= {
    f"δp_{k}": f"d_p_{k} = c[0] * d_{k}bar[1] + sum(c[t] * d_{k}bar[t+1] for t in steps if t < tau)"
    for k in "if"
}
WEIGHTS |= {"δp_o": "d_p_o = sum(c[t] * d_obar[t] for t in steps)"}


def main() -> None:
    circuit = gg.parse(NETWORK, "lstm")
    generated = circuit.adjoint()
    lines = {line.split(" =")[0]: line for line in str(generated).splitlines() if "d_" in line}
    for name, line in CELL.items():
        print(f"{name}   {line}\nhere {lines[line.split(' =')[0]]}\n")
    for name in ("d_o[t]", "d_f[t]", "d_i[t]", "d_z[t]"):
        print(f"here {lines[name]}")
    print()

    text = "\n".join([*CELL.values(), *WEIGHTS.values()])
    values = circuit.init(1, M=2, N=3) | circuit.example(2, tau=7, M=2, N=3)
    by_paper = circuit.extend(text).unfold(7).evaluate(values)
    by_library = generated.unfold(7).evaluate(values)
    compared = [name for name in by_paper if name.startswith("d_")]
    for name in compared:
        np.testing.assert_allclose(by_paper[name], by_library[name], rtol=1e-11, atol=1e-14)
    print(f"At random numbers, 7 steps: all {len(compared)} cotangents and gradients agree.\n")

    proof = gg.prove(circuit, claims=text, tau=2)
    print(proof)
    assert proof.ok


if __name__ == "__main__":
    main()
