"""A character model's backward pass, written by hand: proved, then broken as people break it.

The function below is ordinary NumPy. `check_function` runs it unchanged on symbols and compares
what it returns, entry by entry and exactly, with the derivative of the circuit's loss. Then one
index is changed. Training would go on, the loss would still fall, and a numerical check at h[0] = 0
and one step would see nothing.
"""

import numpy as np

import graphgrad as gg

model = gg.parse(
    """
inputs[t]: token(V)
targets[t]: token(V)
Wxh: param(H, V)
Whh: param(H, H)
Why: param(V, H)
bh: param(H)
by: param(V)
h[t] = tanh(Wxh @ onehot(inputs[t]) + Whh @ h[t-1] + bh)
y[t] = Why @ h[t] + by
loss = sum(softmax_cross_entropy(y[t], targets[t]) for t in steps)
""",
    name="character model",
)


def make(step_back):
    """Return the loss function; `step_back` is how far back its Whh gradient looks."""

    def loss_function(inputs, targets, hprev, Wxh, Whh, Why, bh, by):
        hs, ps, loss = {-1: hprev}, {}, 0
        for t, (char, following) in enumerate(zip(inputs, targets, strict=True)):
            x = np.zeros((Wxh.shape[1], 1))
            x[char] = 1
            hs[t] = np.tanh(np.dot(Wxh, x) + np.dot(Whh, hs[t - 1]) + bh)
            scores = np.dot(Why, hs[t]) + by
            ps[t] = np.exp(scores - np.max(scores))
            ps[t] /= np.sum(ps[t])
            loss -= np.log(ps[t][following, 0])
        grads = {name: np.zeros_like(p) for name, p in parameters(Wxh, Whh, Why, bh, by)}
        dhnext = np.zeros_like(hprev)
        for t in reversed(range(len(inputs))):
            dy = np.copy(ps[t])
            dy[targets[t]] -= 1
            grads["Why"] += np.dot(dy, hs[t].T)
            grads["by"] += dy
            draw = (1 - hs[t] ** 2) * (np.dot(Why.T, dy) + dhnext)
            grads["bh"] += draw
            grads["Wxh"][:, inputs[t]] += draw[:, 0]
            grads["Whh"] += np.dot(draw, hs[t - step_back].T)
            dhnext = np.dot(Whh.T, draw)
        for grad in grads.values():
            np.clip(grad, -5, 5, out=grad)
        return loss, grads, hs[len(inputs) - 1]

    return loss_function


def parameters(Wxh, Whh, Why, bh, by):
    return {"Wxh": Wxh, "Whh": Whh, "Why": Why, "bh": bh, "by": by}.items()


right = gg.check_function(model, make(step_back=1))
print(right)
assert right.ok

print("\nNow hs[t] in place of hs[t-1]:\n")
wrong = gg.check_function(model, make(step_back=0))
print(wrong)
assert wrong.verdict == "refuted"
