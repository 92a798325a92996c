"""The backward pass of the Elman network beside the one that the book prints.

Goodfellow, Bengio, Courville, "Deep Learning", 2016, section 10.2.2, derives the gradients of the
network of eqs 10.8–10.12 by hand: eqs 10.18–10.28. In the notation they read as below, ∇_h L being
`d_h`. Line by line against what the library derives:

- 10.18 is the same; the book has a class for the target, whose one-hot vector is y here.
- 10.19 is the last step of 10.20–10.21. The library has one equation for both, because what lies
  beyond the last step is zero.
- 10.21 has the slope of tanh inside; the library names the product: `d_a` is the cotangent of the
  activation a, which the book has no name for.
- 10.22–10.28 are the same with `d_a[t]` for diag(1 - h²) ∇_h L. In print h and L carry dummy
  indices t to say which use of a shared parameter is meant; here those are the terms of the sums.
"""

import numpy as np

import graphgrad as gg

PUBLISHED = {
    "10.18": "d_o[t] = yhat[t] - y[t]",
    "10.19–21": (
        "d_h[t] = V.T @ d_o[t] if t == tau else W.T @ ((1 - h[t+1]**2) * d_h[t+1]) + V.T @ d_o[t]"
    ),
    "10.22": "d_c = sum(d_o[t] for t in steps)",
    "10.23": "d_b = sum((1 - h[t]**2) * d_h[t] for t in steps)",
    "10.24": "d_V = sum(outer(d_o[t], h[t]) for t in steps)",
    "10.25–26": "d_W = sum(outer((1 - h[t]**2) * d_h[t], h[t-1]) for t in steps)",
    "10.27–28": "d_U = sum(outer((1 - h[t]**2) * d_h[t], x[t]) for t in steps)",
}


def main() -> None:
    circuit = gg.cells.load("elman")
    generated = circuit.adjoint()
    lines = {line.split(" =")[0]: line for line in str(generated).splitlines() if "d_" in line}
    for number, line in PUBLISHED.items():
        print(f"eq. {number:9} {line}")
        print(f"  generated  {lines[line.split(' =')[0]]}")
    print(f"  where      {lines['d_a[t]']}\n")

    text = "\n".join(PUBLISHED.values())
    values = circuit.init(1, D=3, H=4, K=3) | circuit.example(2, tau=6, D=3, H=4, K=3)
    by_book = circuit.extend(text).unfold(6).evaluate(values)
    by_library = generated.unfold(6).evaluate(values)
    compared = [line.split(" =")[0].removesuffix("[t]") for line in PUBLISHED.values()]
    for name in compared:
        np.testing.assert_allclose(by_book[name], by_library[name], rtol=1e-12)
    print(f"At random numbers, 6 steps: {', '.join(compared)} agree to 12 digits.\n")

    proof = gg.prove(circuit, claims=text)
    print(proof)
    assert proof.ok


if __name__ == "__main__":
    main()
