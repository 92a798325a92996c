"""Train on the three restaurant reviews of the lecture notes, whose lengths all differ.

A recurrent network reads a review word by word and judges it at its end. The batch is ragged: each
review gets exactly the gradient that it gets alone (`lengths=`).
"""

import numpy as np
from rich.progress import track

import graphgrad as gg

REVIEWS = {
    "The food was just terrible": 0.0,
    "It was great": 1.0,
    "I had a good time but the waiter was annoying": 0.0,
}
STEPS, RATE = 120, 0.05


def main() -> None:
    circuit = gg.cells.load("many_to_one")
    words = sorted({word.lower() for review in REVIEWS for word in review.split()})
    tokens = [[words.index(word.lower()) for word in review.split()] for review in REVIEWS]
    lengths = np.array([len(review) for review in tokens])
    x = np.zeros((lengths.max(), len(tokens)), int)
    for example, review in enumerate(tokens):
        x[: len(review), example] = review
    y = np.array(list(REVIEWS.values()))

    params = circuit.init(0, H=8, N=len(words))
    function = gg.value_and_grad(circuit)
    first = {name: np.zeros_like(value) for name, value in params.items()}
    second = {name: np.zeros_like(value) for name, value in params.items()}
    history = []
    for step in track(range(1, STEPS + 1), description="training"):
        loss, grads = function(params, x=x, y=y, lengths=lengths)
        history.append(float(loss))
        for name, grad in grads.items():  # Adam (Kingma and Ba 2015)
            first[name] = 0.9 * first[name] + 0.1 * grad
            second[name] = 0.999 * second[name] + 0.001 * grad**2
            direction = first[name] / (1 - 0.9**step)
            scale = np.sqrt(second[name] / (1 - 0.999**step)) + 1e-8
            params[name] = params[name] - RATE * direction / scale

    print(f"loss {history[0]:.3f} at first, {history[-1]:.5f} after {STEPS} steps")
    probability = circuit.compile("p")
    for review, target, row, length in zip(REVIEWS, y, x.T, lengths, strict=True):
        p = float(probability({**params, "x": row[:length], "y": np.float64(target)})["p"])
        print(f"  {p:.3f}  (target {target:.0f})  {review}")
        assert abs(p - target) < 0.05
    assert history[-1] < 0.05 * history[0]


if __name__ == "__main__":
    main()
