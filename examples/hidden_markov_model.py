"""The hidden Markov model: a recursion for a sum over all paths, and what its gradient means.

The likelihood of a sequence of symbols is a sum over all N**τ sequences of hidden states. The
forward recursion (Rabiner 1989, section III.A, scaled as in section V.A) needs N² τ steps for it.
Here both are computed. The gradient of the recursion has a meaning, too: for the logits q of the
initial distribution, ∂(-log p)/∂q is softmax(q) minus the posterior of the first state, which the
forward-backward algorithm computes. Reverse mode *is* that algorithm.
"""

from itertools import pairwise, product

import numpy as np

import graphgrad as gg

N, M, TAU = 3, 4, 6


def softmax(u: np.ndarray) -> np.ndarray:
    weights = np.exp(u - u.max(axis=-1, keepdims=True))
    return weights / weights.sum(axis=-1, keepdims=True)


def main() -> None:
    circuit = gg.cells.load("hidden_markov_model")
    print(circuit)
    params = circuit.init(3, N=N, M=M)
    x = circuit.example(4, tau=TAU, N=N, M=M)["x"]
    found = circuit.unfold(TAU, N=N, M=M).grad().evaluate(params | {"x": x})
    print(f"symbols                         {x.tolist()}")
    print(f"-log p(symbols), recursion      {found['loss']:.12f}")

    P, Q, start = softmax(params["A"]), softmax(params["B"]), softmax(params["q"])
    total, first = 0.0, np.zeros(N)
    for path in product(range(N), repeat=TAU):
        p = start[path[0]] * np.prod(
            [Q[state, symbol] for state, symbol in zip(path, x, strict=True)]
        )
        p *= np.prod([P[a, b] for a, b in pairwise(path)])
        total += p
        first[path[0]] += p
    print(f"-log Σ over {N**TAU} paths           {-np.log(total):.12f}")
    assert np.isclose(found["loss"], -np.log(total), rtol=1e-12)

    posterior = first / total
    print(f"\nposterior of the first state    {posterior.round(6)}")
    print(f"softmax(q) - ∂(-log p)/∂q       {(start - found['d_q']).round(6)}")
    assert np.allclose(start - found["d_q"], posterior, rtol=1e-10)

    proof = gg.prove(circuit, tau=3)
    print(f"\n{proof}")
    assert proof.ok


if __name__ == "__main__":
    main()
