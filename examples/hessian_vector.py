"""Second derivatives without a Hessian: the backward pass is a circuit, so differentiate it again.

Three ways to H·v, all of them circuits that can be read, unfolded and compiled: the adjoint of the
adjoint, the tangent of the adjoint (Pearlmutter 1994), the adjoint of the tangent. They are
compared with a complex step of the gradient, which has no rounding error to speak of; then
conjugate gradients use H·v to minimise a loss in a few steps.
"""

import numpy as np

import graphgrad as gg

TAU = 12


def products(circuit: gg.Circuit) -> dict[str, tuple[gg.Circuit, str, str]]:
    """Return circuits for H·v, with the prefixes of their directions and of their results."""
    adjoint = circuit.adjoint()
    # the adjoint of the adjoint: the gradient of the slope ⟨∂L/∂θ, v⟩, θ being all parameters
    lines, terms = [], []
    for name, param in circuit.params.items():
        lines.append(f"v_{name}: input({', '.join(map(str, param.shape))})")
        terms.append(f"sum(d_{name} * v_{name})" if param.shape else f"d_{name} * v_{name}")
    slope = adjoint.extend("\n".join([*lines, f"slope = {' + '.join(terms)}"]))
    return {
        "adjoint of the adjoint": (slope.adjoint("slope"), "v_", "dd_"),
        "tangent of the adjoint": (adjoint.tangent(), "dot_", "dot_d_"),
        "adjoint of the tangent": (circuit.tangent(of="loss").adjoint("dot_loss"), "dot_", "d_"),
    }


def main() -> None:
    tied = gg.cells.load("tied")
    print("The tangent of the adjoint of a network with one weight:\n")
    own = set(str(tied).splitlines())
    lines = str(tied.adjoint().tangent()).splitlines()
    print("\n".join(f"  {each}" for each in lines if each and each not in own))

    circuit = gg.cells.load("elman")
    values = circuit.init(0, H=4, D=3, K=3) | circuit.example(0, TAU, H=4, D=3, K=3)
    source = np.random.default_rng(1)
    v = {name: source.normal(size=np.shape(values[name])) for name in circuit.params}
    step = 1e-30
    shifted = values | {name: values[name] + 1j * step * each for name, each in v.items()}
    gradient = circuit.unfold(TAU).grad().evaluate(shifted)
    expected = {name: gradient[f"d_{name}"].imag / step for name in v}
    size = max(np.abs(each).max() for each in expected.values())
    print(f"\nElman network, {TAU} steps, H·v against a complex step of the gradient:")
    for title, (product, direction, result) in products(circuit).items():
        function = product.compile(*(result + name for name in v))
        found = function(values | {direction + name: each for name, each in v.items()})
        gap = max(np.abs(found[result + name] - expected[name]).max() for name in v) / size
        count = len(product.equations)
        print(f"  {title}: {gap:.0e} of the largest entry, {count} equations")
        assert gap < 1e-13

    # Newton's method by conjugate gradients, on a loss that is a quadratic function of V and c
    quadratic = gg.parse(
        "x[t]: input(D)\ny[t]: input(K)\nW: input(H, H)\nU: input(H, D)\nV: param(K, H)\n"
        "c: param(K)\nh[t] = tanh(W @ h[t-1] + U @ x[t])\n"
        "loss = sum(squared_error(c + V @ h[t], y[t]) for t in steps)"
    )
    sizes = {"D": 3, "K": 2, "H": 4}
    data = {**quadratic.init(0, **sizes), **quadratic.example(0, 50, **sizes)}
    names = list(quadratic.params)
    second = quadratic.adjoint().tangent()
    function = second.compile("loss", *(f"d_{n}" for n in names), *(f"dot_d_{n}" for n in names))

    def run(direction: dict) -> dict:
        return function(data | {f"dot_{name}": each for name, each in direction.items()})

    def dot(a: dict, b: dict) -> float:
        return sum(float(np.sum(a[name] * b[name])) for name in names)

    zero = {name: np.zeros_like(data[name]) for name in names}
    start = run(zero)
    residual = {name: -start[f"d_{name}"] for name in names}
    move, direction = zero, residual
    count = sum(each.size for each in zero.values())
    for _ in range(count):
        found = run(direction)
        image = {name: found[f"dot_d_{name}"] for name in names}
        rate = dot(residual, residual) / dot(direction, image)
        move = {name: move[name] + rate * direction[name] for name in names}
        before = dot(residual, residual)
        residual = {name: residual[name] - rate * image[name] for name in names}
        turn = dot(residual, residual) / before
        direction = {name: residual[name] + turn * direction[name] for name in names}
    data |= {name: data[name] + move[name] for name in names}
    end = run(zero)
    slope = max(np.abs(end[f"d_{name}"]).max() for name in names)
    print(f"\nConjugate gradients over {count} weights, {count} products H·v:")
    print(f"  loss {float(start['loss']):.4f} before, {float(end['loss']):.4f} at the minimum,")
    print(f"  where the largest entry of the gradient is {slope:.0e}")
    assert slope < 1e-9


if __name__ == "__main__":
    main()
