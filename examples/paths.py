"""A gradient written as the lecture writes it: one product of local derivatives for every path.

The notes "Recurrent Neural Networks" unfold two steps of h_t = tanh(W h_{t-1} + U x_t + b) and
write ∂L/∂W as ∂L₁/∂h₁ ∂h₁/∂W + ∂L₂/∂h₂ ∂h₂/∂h₁ ∂h₁/∂W + ∂L₂/∂h₂ ∂h₂/∂W. Here the equations of all
parameters come out of the circuit, every term has a value, and the terms sum to the gradient.
"""

import numpy as np

import graphgrad as gg


def main() -> None:
    circuit = gg.cells.load("vanilla")
    dag = circuit.unfold(2)
    print("Two steps, as in the notes:\n")
    for name in circuit.params:
        print(f"  {dag.paths(name)}")
    print("\nFor a document:\n")
    print(dag.paths("W").latex())

    sizes = dict.fromkeys(circuit.sizes, 2)
    dag = circuit.unfold(5)
    values = circuit.init(0, **sizes) | circuit.example(0, 5, **sizes)
    paths = dag.paths("W")
    print("Five steps: what each path contributes to ∂L/∂W (largest entry)\n")
    terms = paths.evaluate(values)
    for term, value in zip(paths, terms, strict=True):
        print(f"  {np.abs(value).max():8.1e}  {term}")
    gradient = dag.grad().evaluate(values)["d_W"]
    gap = np.abs(sum(terms) - gradient).max() / np.abs(gradient).max()
    print(f"\nThey sum to the gradient, to {gap:.0e} of its largest entry.")
    assert gap < 1e-14

    factors = {paths.factor_text(k): v for k, v in paths.jacobians(values).items()}
    h = dag.evaluate(values)["h"]
    by_hand = np.diag(1 - h[1] ** 2) @ values["W"]
    print(f"\n∂h₂/∂h₁ =\n{factors['∂h₂/∂h₁']}\nand diag(1 − h₂²) W =\n{by_hand}")
    np.testing.assert_allclose(factors["∂h₂/∂h₁"], by_hand, rtol=1e-14)

    print("\nWith two states, paths multiply at every step, so they are counted first:")
    lstm = gg.cells.load("lstm")
    for tau in (1, 2, 3, 4, 5, 6):
        count = len(lstm.unfold(tau).paths("W_f"))
        print(f"  LSTM, τ = {tau}: {count:4} path{'s' * (count != 1)} to W_f")
    try:
        lstm.unfold(100).paths("W_f")
    except gg.GradientError as error:
        print(f"  LSTM, τ = 100: {error.message}")


if __name__ == "__main__":
    main()
