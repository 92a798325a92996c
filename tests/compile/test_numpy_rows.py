"""How loops of the NumPy back end begin: along arrays side by side, or counting their steps."""

from __future__ import annotations

import pytest

import graphgrad as gg
from tests.compile.reference import close

FORWARDS = """x[t]: input(H)
W: param(H, H)
h[t] = tanh(W @ h[t-1] + x[t])
loss = sum(h[t] @ h[t] for t in steps)
"""
COUNTED = """x[t]: input(H)
W: param(H, H)
h[t] = tanh(W @ h[t-1] + x[t]) if t > 2 else x[t]
loss = sum(h[t] @ h[t] for t in steps)
"""
SEVERAL_STEPS = """x[t]: input(H)
W: param(H, H)
p[t] = tanh(W @ q[t+1] + x[t])
q[t] = W @ p[t-2] + x[t]
loss = sum(p[t] @ q[t] for t in steps)
"""
NUMBERS = """x[t]: input()
w: param()
h[t] = tanh(w * h[t-1] + x[t])
loss = sum(h[t] * h[t] for t in steps)
"""
TAKEN = """x[t]: input(H)
W: param(H, H)
h_before: param(H)
h_t: param(H)
h[t] = tanh(W @ h[t-1] + h_t * x[t] + h_before * h[t-2])
loss = sum(h[t] @ h[t] for t in steps)
"""
LAST = """x[t]: input(H)
W: param(H, H)
h[t] = {}
out = h[tau]
"""


def _headers(text: str, batched: tuple[str, ...] = ("x",)) -> list[str]:
    """Return the lines that begin loops; what they compute is compared first."""
    circuit = gg.parse(text)
    sizes = {"H": 3} if "H" in text else {}
    function = circuit.compile(grad="loss")
    for tau in (1, 2, 5):
        values = circuit.init(0, **sizes) | circuit.example(1, tau, **sizes)
        wanted = circuit.unfold(tau).grad().evaluate(values)
        for name, found in function(values).items():
            close(found, wanted[name])
    lines = map(str.strip, function.source_for(batched).splitlines())
    return [line for line in lines if line.startswith(("for ", "range("))]


def test_a_loop_goes_along_its_arrays() -> None:
    first, tiles, last = _headers(FORWARDS)
    assert first == "for h_t, h_before, x_t in zip(h[1:tau + 1], h[:tau], x):"
    assert tiles == "for stop in range(tau, 0, -tile):"
    assert last == "for delta_h_t, delta_h_after, v4_t, v8_t in from_last("


def test_it_counts_where_the_step_is_read() -> None:
    first, _, last, rows = _headers(COUNTED)
    assert first.startswith("for t, v1_t, h_before, x_t, h_t in zip(range(tau), v1, ")
    assert last.startswith("for t, delta_h_after, ")
    assert rows.startswith("range(start, stop), delta_h[start + 1:stop + 1], ")


def test_it_counts_where_its_bodies_are_at_several_steps() -> None:
    headers = _headers(SEVERAL_STEPS)
    assert headers == ["for t in range(tau + 1):", "for t in reversed(range(tau + 1)):"]


def test_single_numbers_are_read_and_written_by_number() -> None:
    """A row of one is no view: what is written into it would be lost."""
    assert "for t in range(tau):" in _headers(NUMBERS, ())


def test_rows_take_no_name_of_the_circuit() -> None:
    assert "for h_t_, h_before_, v2_t, h_2_before in zip(" in _headers(TAKEN)


def test_long_lines_are_broken_between_names() -> None:
    source = gg.value_and_grad(gg.cells.load("lstm_peephole")).source
    loops = source[source.index("for ") :]
    assert max(map(len, source.splitlines())) <= 100
    assert ") in from_last(\n" in loops


PARTS = """x[t]: input(H)
V: param(H, H)
W: param(H, H)
g[t] = tanh(h[t-1] + x[t])
h[t] = V @ g[t] + W @ g[t]
out = h[tau]
"""


@pytest.mark.parametrize("batch", [2, 3])
def test_one_row_has_parts_too(batch: int) -> None:
    """Two examples beside two parts: the wrong axis would fit."""
    circuit = gg.parse(PARTS)
    values = circuit.init(0, H=3) | circuit.example(1, 5, (batch,), H=3)
    function = circuit.compile("out")
    found = function(values)["out"]
    assert "np.zeros((2, B, n_H), dtype)" in function.source
    for example in range(batch):
        one = {**values, "x": values["x"][:, example]}
        close(found[example], circuit.unfold(5).evaluate(one)["out"])


@pytest.mark.parametrize(
    ("term", "array"),
    [
        ("W @ (W @ h[t-1] + x[t])", "h = np.zeros((B, n_H), dtype)"),
        ("W @ (W @ h[t-1] + x[t]) * h[t-1]", "h = np.zeros((2, B, n_H), dtype)"),
        ("W @ (W @ h[t-2] + x[t])", "h = np.zeros((2, B, n_H), dtype)"),
        ("tanh(W @ h[t-1] + x[t])", "h = np.zeros((2, B, n_H), dtype)"),
        ("tanh(W @ h[t-2] + x[t])", "h = np.zeros((3, B, n_H), dtype)"),
    ],
)
def test_a_state_has_one_row_where_it_is_read_before_it_is_written(term: str, array: str) -> None:
    circuit = gg.parse(LAST.format(term))
    function = circuit.compile("out")
    assert array in function.source
    values = circuit.init(0, H=3) | circuit.example(1, 5, (2,), H=3)
    found = function(values)["out"]
    for example in range(2):
        one = {**values, "x": values["x"][:, example]}
        close(found[example], circuit.unfold(5).evaluate(one)["out"])
