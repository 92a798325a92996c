"""Joint vectors that are stored part by part: which are, what loops do with them, right numbers."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pytest

import graphgrad as gg
from graphgrad.compile import kernels
from graphgrad.compile.emit_numpy import emit_numpy
from tests.compile.reference import accurate, cast, close, expectation

BENCH = Path(__file__).parents[1] / "bench" / "cells"
GATES = """
x[t]: input(D)
W: param(H, H)
R: param({size}, H)
U: param(H, D)
S: param({size}, D)
b: param(H)
r: param({size})
V: param(H, {size})
v: param(H)

f[t] = sigmoid(W @ h[t-1] + U @ x[t] + b)
g[t] = tanh(R @ h[t-1] + S @ x[t] + r)
h[t] = f[t] * h[t-1] + (1 - f[t]) * (V @ g[t])
loss = sum(v @ h[t] for t in steps)
"""
ALIKE, LARGER_SECOND = GATES.format(size="H"), GATES.format(size="2*H")
ONE = """
x[t]: input(D)
{params}
o[t] = sigmoid(W_o @ h[t-1] + U_o @ x[t])
n[t] = sigmoid(W_n @ h[t-1] + U_n @ x[t])
e[t] = sigmoid(W_e @ h[t-1] + U_e @ x[t])
h[t] = (1 - o[t]) * n[t] + e[t] * h[t-1]
loss = sum(h[t] @ h[t] for t in steps)
"""
"""A circuit whose gates stand in an array that is called like the number."""


CHAINED = """
x[t]: input(H)
q: param(2*H, H)
W: param(2*H, 2*H)
z[t] = W @ (q @ h[t-1])
k[t] = q @ x[t] + z[t]
f[t], g[t] = split(k[t], 2)
h[t] = sigmoid(f[t]) * tanh(g[t])
loss = sum(h[t] @ h[t] for t in steps)
"""
"""A product of as many parts as the gates are, which is read as a whole by the next product."""


def source(circuit: gg.Circuit, *outputs: str, batch: bool = True) -> str:
    """The source of the loss, its gradients and other outputs, for a batch or one example."""
    made = circuit.compile("loss", *outputs, grad="loss")
    return emit_numpy(made.schedule_for(circuit.inputs if batch else ()), "compiled").source


def cell(name: str) -> gg.Circuit:
    file = BENCH / f"{name}.rec"
    return gg.load(file) if file.exists() else gg.cells.load(name)


@pytest.mark.parametrize(
    ("name", "gates", "count"),
    [
        ("lstm", "ifog", 4),
        ("gru", "r_z_htilde", 3),
        ("gru_reset_after", "rzn", 3),
        ("lstm_peephole", r"v\d+", 4),
        ("lstm_bidirectional", r"\w+", 4),
    ],
)
def test_gates_are_stored_one_after_the_other(name: str, gates: str, count: int) -> None:
    text = source(cell(name))
    arrays = re.findall(rf"({gates}) = np\.empty\(\(tau \+ \d, {count}, B, n_H\), dtype\)", text)
    assert arrays
    for array in arrays:
        assert f" {array}[..., " not in text  # no piece of it lies in short lines


@pytest.mark.parametrize(
    ("name", "count"), [("lstm", 4), ("gru", 3), ("gru_reset_after", 3), ("lstm_peephole", 4)]
)
def test_cotangents_of_gates_are_put_into_their_row_once_a_step(name: str, count: int) -> None:
    text = source(cell(name))
    (bench,) = re.findall(r"^ +\w+_parts_t\[\.\.\.\] = (\w+_now)$", text, re.MULTILINE)
    parts = re.findall(rf"(\w+) = {bench}\[\d\]", text)
    assert len(parts) == count
    for part in parts:
        assert f"out={part})" in text


@pytest.mark.parametrize(("name", "count"), [("lstm", 4), ("gru", 2), ("gru_reset_after", 3)])
def test_products_are_put_where_the_parts_stand(name: str, count: int) -> None:
    """`parts` looks at the whole of what stands side by side: a copy, or short pieces of memory."""
    text = source(cell(name))
    (factors,) = re.findall(rf"(\w+) = part_factors\(\w+, {count}\)", text)
    (out,) = re.findall(rf"np\.matmul\(h_\w+, {factors}, out=(\w+?)(?:_t)?\)", text)
    assert re.search(rf" {out} = np\.empty\((\(|\(tau, ){count}, B, n_H\), dtype\)", text)
    assert re.search(r"matvec_parts\(np\.concatenate\(\[U_\w+, .*\]\), x, out=\w+\[:tau\]\)", text)
    assert not re.search(rf"= parts\({out}\b", text)


@pytest.mark.parametrize("name", ["lstm", "gru_reset_after", "lstm_peephole"])
def test_factors_by_columns_are_the_same_factors(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    circuit, loss = cell(name), []
    values = circuit.init(0, H=5, D=2, K=3) | circuit.example(1, 6, (4,), H=5, D=2, K=3)
    for by_columns in (False, True):
        monkeypatch.setattr(kernels, "BY_COLUMNS", by_columns)
        loss.append(circuit.compile("loss", grad="loss")(values))
    for name, found in loss[1].items():
        np.testing.assert_allclose(found, loss[0][name], rtol=1e-12, atol=1e-14)


def test_a_product_that_another_product_reads_stays_in_rows() -> None:
    circuit = gg.parse(CHAINED)
    assert "part_factors" in source(circuit)
    values = circuit.init(0, H=3) | circuit.example(1, 4, (2,), H=3)
    found = circuit.compile("loss", "f", grad="loss")(values, batch="sum")
    expected = expectation(circuit, values, 4, "float64")
    accurate(found["loss"], expected["loss"])
    accurate(found["f"], expected["f"])
    for name in ("d_q", "d_W"):
        accurate(found[name], expected[name].sum(axis=0))


def test_one_example_has_no_parts() -> None:
    assert "parts(" not in source(gg.cells.load("lstm"), batch=False)


def test_gates_that_are_asked_for_are_parts_too() -> None:
    assert "ifog = np.empty((tau + 1, 4, B, n_H), dtype)" in source(
        gg.cells.load("lstm"), "i", "f", "g"
    )


def test_gates_of_different_sizes_stand_side_by_side() -> None:
    assert "parts(" not in source(gg.parse(LARGER_SECOND))


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("examples", [1, 3])
@pytest.mark.parametrize("text", [ALIKE, LARGER_SECOND])
def test_results_are_those_of_the_interpreter(text: str, examples: int, dtype: str) -> None:
    circuit = gg.parse(text)
    values = cast(circuit.init(0, H=3, D=2), dtype)
    data = cast(circuit.example(1, 4, (examples,), H=3, D=2), dtype)["x"]
    compiled = circuit.compile("f", "g", "loss", grad="loss")
    found = compiled(values | {"x": data}, batch="sum")
    wanted = [expectation(circuit, values | {"x": x}, 4, dtype) for x in np.moveaxis(data, 1, 0)]
    for name, actual in found.items():
        if name in compiled.gradients.values():
            accurate(actual, np.sum([each[name] for each in wanted], axis=0))
        else:
            accurate(actual, np.stack([each[name] for each in wanted], axis=actual.ndim > 1))


def test_names_of_the_circuit_come_first() -> None:
    text = ALIKE.replace("v:", "multiply:").replace("v @", "multiply @")
    text = text.replace("b:", "one:").replace("+ b)", "+ one)")
    circuit, plain = gg.parse(text), gg.parse(ALIKE)
    assert "np.multiply(f" in source(circuit)
    assert "one_ = np.array(1, dtype)" in source(circuit)
    values = plain.init(0, H=3, D=2) | plain.example(1, 4, (2,), H=3, D=2)
    renamed = {{"v": "multiply", "b": "one"}.get(n, n): value for n, value in values.items()}
    want, found = (each.compile("loss", grad="loss")(v) for each, v in
                   ((plain, values), (circuit, renamed)))  # fmt: skip
    np.testing.assert_array_equal(found["loss"], want["loss"])
    np.testing.assert_array_equal(found["d_multiply"], want["d_v"])


def test_vectors_of_the_loop_are_laid_out_once() -> None:
    text = source(gg.cells.load("lstm_peephole"))
    assert text.count("p_i_rows = np.tile(p_i, (B, 1))") == 1
    assert not re.search(r"multiply\(p_i,", text)


def test_joint_names_are_no_names_of_numbers() -> None:
    params = "\n".join(f"W_{gate}: param(H, H)\nU_{gate}: param(H, D)" for gate in "one")
    circuit = gg.parse(ONE.format(params=params))
    assert "one = np.empty(" in source(circuit)
    values = circuit.init(0, H=3, D=2) | circuit.example(1, 4, (2,), H=3, D=2)
    compiled = circuit.compile("loss", grad="loss")
    alone = [compiled(values | {"x": values["x"][:, example]}) for example in range(2)]
    np.testing.assert_allclose(compiled(values)["loss"], [each["loss"] for each in alone])


def test_rows_of_a_fixed_vector_are_for_batches_alone() -> None:
    """The cotangent of h is the same for all examples, and so is what it is multiplied by."""
    circuit = gg.parse(
        "x[t]: input(H)\nw: param(H)\nh[t] = w * h[t-1] + x[t]\n"
        "loss = sum(sum(h[t]) for t in steps)"
    )
    values = circuit.init(0, H=3) | circuit.example(1, 4, (2,), H=3)
    found = circuit.compile("loss", grad="loss")(values, batch="sum")
    expected = expectation(circuit, values, 4, "float64")
    accurate(found["loss"], expected["loss"])
    accurate(found["d_w"], expected["d_w"].sum(axis=0))


def test_a_piece_that_is_cut_at_each_step_is_not_read_part_by_part() -> None:
    """z has a value before the first step, so its pieces do not stand in it."""
    circuit = gg.parse(
        "q: input(H)\nW: param(3*H, H)\nz[t] = W @ h[t-1]\na[t], b[t], c[t] = split(z[t], 3)\n"
        "f[t] = sigmoid(a[t])\ng[t] = sigmoid(b[t])\n"
        "h[t] = f[t] * h[t-1] + g[t] * tanh(c[t])\nh[0] = q\nz[0] = 0.5\n"
        "loss = sum(h[t] @ h[t] + sum(z[t-1]) for t in steps)"
    )
    values = circuit.init(0, H=3) | circuit.example(1, 4, (2,), H=3)
    found = circuit.compile(grad="loss")(values, tau=4, batch="sum")
    expected = expectation(circuit, values, 4, "float64")
    accurate(found["loss"], expected["loss"])
    accurate(found["d_W"], expected["d_W"].sum(axis=0))


def test_each_variable_of_an_adjoint_can_be_asked_for_alone() -> None:
    """Gates stand in one array, which is made before the results are put together."""
    adjoint = gg.cells.load("lstm").adjoint()
    chosen = dict.fromkeys(adjoint.sizes, 2)
    values = adjoint.init(0, **chosen) | adjoint.example(1, 3, (2,), **chosen)
    together = adjoint.compile()(values)
    for name in adjoint.variables:
        close(adjoint.compile(name)(values)[name], together[name])


def test_a_joint_vector_that_is_computed_as_a_whole_has_no_bench() -> None:
    """Its second half is the same zeros at every step, so that no part is made in its place."""
    circuit = gg.parse(
        "q: input(H)\nz: param(K, K)\n"
        "v[t] = tanh(split(concat(split(concat(h[t-2], q), K, H)[0], h[t-2]), K, K)[0]"
        " + z @ h[t-2])\n"
        "h[t] = v[t-3]\nv[-1] = 1\nloss = sum(sum(h[t]) for t in steps)"
    )
    values = circuit.init(0, H=1, K=2) | circuit.example(1, 9, (5,), H=1, K=2)
    found = circuit.compile(grad="loss", wrt=["z", "q"])(values, tau=9, batch="sum")
    dag = circuit.unfold(9, H=1, K=2).grad(wrt=["z", "q"])
    expected = dag.evaluate(cast(values, np.longdouble))
    accurate(found["d_z"], expected["d_z"].sum(axis=0))
    accurate(found["d_q"], expected["d_q"])
