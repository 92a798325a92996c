"""Texts beside lines: where they stand, and how large they are."""

from __future__ import annotations

import graphgrad as gg
import viz
from viz.picture import overlaps

RUNGE_KUTTA = """
u[t]: input(D)
W: param(H, H)
B: param(H, D)
dt: param()
k1[t] = tanh(W @ h[t-1] + B @ u[t])
k2[t] = tanh(W @ (h[t-1] + dt/2*k1[t]) + B @ u[t])
k3[t] = tanh(W @ (h[t-1] + dt/2*k2[t]) + B @ u[t])
k4[t] = tanh(W @ (h[t-1] + dt*k3[t]) + B @ u[t])
h[t] = h[t-1] + dt/6*(k1[t] + 2*k2[t] + 2*k3[t] + k4[t])
loss = sum(sum(h[t]) for t in steps)
"""


def test_a_label_without_room_is_smaller() -> None:
    rk4 = gg.parse(RUNGE_KUTTA)
    for layout in (viz.circuit(rk4).layout, viz.unfolded(rk4, 2, parameters="labels").layout):
        assert overlaps(layout) == []
        sizes = {label.text.label.text: label.text.size for label in layout.labels}
        assert sizes["W dt/2"] < sizes["B"]
