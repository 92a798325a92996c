"""A GRU over a batch, time first: the loss is the mean over the examples."""

from numpy import exp, sum, tanh, zeros, zeros_like

CIRCUIT = """
x[t]: input(D)
y[t]: input(H)
Wz: param(H, D)
Uz: param(H, H)
Wr: param(H, D)
Ur: param(H, H)
Wn: param(H, D)
Un: param(H, H)
z[t] = sigmoid(Wz @ x[t] + Uz @ h[t-1])
r[t] = sigmoid(Wr @ x[t] + Ur @ h[t-1])
n[t] = tanh(Wn @ x[t] + Un @ (r[t] * h[t-1]))
h[t] = (1 - z[t]) * n[t] + z[t] * h[t-1]
loss = squared_error(h[tau], y[tau])
"""
FUNCTIONS = "gru"
OPTIONS = {"batch": 2, "tau": 2, "sizes": {"D": 1, "H": 2}}


def s(u):
    return 1 / (1 + exp(-u))


def gru(x, y, h0, Wz, Uz, Wr, Ur, Wn, Un):
    T, B = x.shape[:2]
    h = zeros((T + 1, B, h0.shape[1]))
    h[0] = h0
    z, r, n = [None] * T, [None] * T, [None] * T
    for t in range(T):
        z[t] = s(x[t] @ Wz + h[t] @ Uz)
        r[t] = s(x[t] @ Wr + h[t] @ Ur)
        n[t] = tanh(x[t] @ Wn + (r[t] * h[t]) @ Un)
        h[t + 1] = (1 - z[t]) * n[t] + z[t] * h[t]
    loss = 0.5 * sum((h[T] - y[-1]) ** 2) / B
    gWz, gUz, gWr, gUr, gWn, gUn = (zeros_like(w) for w in (Wz, Uz, Wr, Ur, Wn, Un))
    dh = (h[T] - y[-1]) / B
    for t in reversed(range(T)):
        dn = dh * (1 - z[t]) * (1 - n[t] ** 2)
        dz = dh * (h[t] - n[t]) * z[t] * (1 - z[t])
        drh = dn @ Un.T
        dr = drh * h[t] * r[t] * (1 - r[t])
        gWn += x[t].T @ dn
        gUn += (r[t] * h[t]).T @ dn
        gWr += x[t].T @ dr
        gUr += h[t].T @ dr
        gWz += x[t].T @ dz
        gUz += h[t].T @ dz
        dh = dh * z[t] + drh * r[t] + dr @ Ur.T + dz @ Uz.T
    return loss, gWz, gUz, gWr, gUr, gWn, gUn


FAULTS = [
    ("dh = (h[T] - y[-1]) / B", "dh = h[T] - y[-1]", "gWz gUz gWr gUr gWn gUn",
     "not divided by the 2 examples"),
    ("dh * (h[t] - n[t]) *", "dh * (n[t] - h[t]) *", "gWz gUz gWr gUr gWn gUn",
     "n[t] - h[t-1] stands where h[t-1] - n[t] belongs"),
    ("drh * r[t] + ", "", "gWz gUz gWr gUr gWn gUn", "lacks the term"),
    ("gUn += (r[t] * h[t]).T @ dn", "gUn += h[t].T @ dn", "gUn", "lacks the factor r[t]"),
]  # fmt: skip
