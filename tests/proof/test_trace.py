"""Traced scalars and arrays: NumPy's functions give the formulas whose values floats give."""

from __future__ import annotations

import math
import threading

import numpy as np
import pytest
import sympy

from graphgrad.proof import functions
from graphgrad.proof.trace import Traced
from graphgrad.proof.trace_array import TracedArray, new_tape, wrap
from graphgrad.proof.trace_patch import tracing
from graphgrad.proof.trace_sympy import Expressions
from graphgrad.proof.trace_tape import TraceError, exact
from graphgrad.proof.zero import Field

rng = np.random.default_rng(0)
X = rng.uniform(0.1, 0.9, (3, 2)) * rng.choice([-1, 1], (3, 2))
W = rng.uniform(-0.9, 0.9, (2, 2))
V = rng.uniform(0.1, 0.9, 3)


def leaves(tape, name, values):
    result = np.empty(values.shape, object)
    for place in np.ndindex(*values.shape):
        symbol = sympy.Symbol(name + "".join(map(str, place)), real=True)
        result[place] = Traced(tape, tape.leaf(symbol, float(values[place])))
    return wrap(result, tape)


def stored(x, w, v):
    table = np.zeros((2, 3, 2))
    table[1] = x
    table[:, 0] += w[0]
    table[0, 1, 1] = np.array([[v[0]]]).item()
    return table


def stable_sigmoid(x, w, v):
    out = np.zeros_like(x)
    positive = x >= 0
    out[positive] = 1 / (1 + np.exp(-x[positive]))
    out[~positive] = np.exp(x[~positive]) / (1 + np.exp(x[~positive]))
    return out


def masked(x, w, v):
    y = x.copy()
    y[y < 0] *= 0.1
    y[(x > 0.5) & (x < 0.8)] = 2.0
    return y


def at(x, w, v):
    out = np.zeros((2, 2))
    np.add.at(out, [0, 1, 0], x)
    return out


def in_place(x, w, v):
    y = np.empty_like(x)
    y[...] = x
    np.exp(y, out=y)
    y -= 1
    y /= 2
    y[:, ::-1] **= 2
    return y


PROGRAMS = {
    "dot": lambda x, w, v: np.dot(x, w),
    "matmul": lambda x, w, v: x @ w @ w.T,
    "vector": lambda x, w, v: v @ x,
    "inner": lambda x, w, v: np.inner(x, w),
    "outer": lambda x, w, v: np.outer(v, w[0]),
    "einsum": lambda x, w, v: np.einsum("ij,jk,i->k", x, w, v),
    "tensordot": lambda x, w, v: np.tensordot(x, x, axes=([0], [0])),
    "functions": lambda x, w, v: np.tanh(x) + np.exp(x) * np.sin(x) - np.cos(x),
    "logs": lambda x, w, v: np.log(v) + np.log1p(v) + np.sqrt(v) + np.expm1(v) + np.log2(v),
    "squares": lambda x, w, v: np.square(x) + x**2 + np.power(x, 3) + np.reciprocal(x),
    "hyperbolic": lambda x, w, v: np.sinh(x) * np.cosh(v).sum(),
    "sum": lambda x, w, v: np.sum(x, axis=0, keepdims=True) + x.sum(axis=(0, 1)),
    "mean": lambda x, w, v: x.mean(axis=1) + np.mean(x),
    "moments": lambda x, w, v: np.var(x, axis=0) + np.std(x),
    "norm": lambda x, w, v: np.linalg.norm(x) + np.linalg.norm(x, axis=1),
    "cumulative": lambda x, w, v: np.cumsum(x, axis=0),
    "product": lambda x, w, v: np.prod(x, axis=1),
    "extremes": lambda x, w, v: x.max(axis=0) + np.min(x) + np.maximum(x, 0).sum(),
    "absolute": lambda x, w, v: np.abs(x) * np.sign(x),
    "where": lambda x, w, v: np.where(x > 0, x, 0.1 * x),
    "clip": lambda x, w, v: np.clip(x, 0, None),
    "softmax": lambda x, w, v: np.exp(x - x.max(axis=1, keepdims=True)),
    "stack": lambda x, w, v: np.hstack([x, v[:, None]]) + np.vstack([v, v, v]),
    "concatenate": lambda x, w, v: np.concatenate((v, np.zeros(2), x[0])),
    "split": lambda x, w, v: sum(np.split(np.append(v, v[0]), 2)),
    "shapes": lambda x, w, v: x.reshape(2, 3).T.ravel()[::-1].reshape(-1, 1).squeeze(),
    "lists": lambda x, w, v: np.array([v[0], 2.0, v[1]]) * np.asarray([1, 2, 3]),
    "eye": lambda x, w, v: np.eye(2) + w - np.identity(2) * np.full((2, 2), 0.5),
    "likes": lambda x, w, v: np.ones_like(x) * np.full_like(x, 2) + np.zeros(x.shape),
    "types": lambda x, w, v: x.astype(np.float64) + np.ones(2, dtype=np.float32),
    "copies": lambda x, w, v: np.copy(x) + x.copy() + np.tile(v[:, None], 2),
    "moves": lambda x, w, v: np.moveaxis(x[None], 0, 2)[..., 0] + np.roll(x, 1, axis=0),
    "diagonal": lambda x, w, v: np.diag(v) + np.trace(w) + np.triu(np.outer(v, v)),
    "python": lambda x, w, v: sum(abs(e) for e in v) + max(v[0], v[1]) + math.tanh(v[2]),
    "scalars": lambda x, w, v: np.exp(v[0]) * np.float64(0.5) + v[1].item() ** 2 - (-v[2]),
    "constants": lambda x, w, v: x * (1.0 / 3) + np.sqrt(2.0) * x / np.pi,
    "stored": stored,
    "stable sigmoid": stable_sigmoid,
    "masked": masked,
    "at": at,
    "in place": in_place,
}


@pytest.mark.parametrize("name", PROGRAMS)
def test_values_at_the_sample_point_are_those_of_floats(name):
    tape = new_tape(clips=False)
    arguments = [leaves(tape, n, values) for n, values in (("x", X), ("w", W), ("v", V))]
    with tracing(tape, PROGRAMS[name]):
        got = PROGRAMS[name](*arguments)
    want = PROGRAMS[name](X, W, V)
    assert np.shape(got) == np.shape(want)
    flat = list(got.flat) if isinstance(got, TracedArray) else [got]
    assert all(isinstance(entry, Traced) for entry in flat)
    np.testing.assert_allclose([entry.value for entry in flat], np.ravel(want), rtol=1e-12)
    assert not tape.leaks


@pytest.mark.parametrize("name", ["dot", "softmax", "stable sigmoid", "where", "moments", "masked"])
def test_expressions_have_the_values_of_the_tape(name):
    tape = new_tape()
    arguments = [leaves(tape, n, values) for n, values in (("x", X), ("w", W), ("v", V))]
    with tracing(tape, PROGRAMS[name]):
        got = np.asarray(PROGRAMS[name](*arguments), object)
    point = {
        payload: value
        for op, payload, value in zip(tape.ops, tape.payload, tape.values, strict=True)
        if op == "leaf"
    }
    nodes = [entry.node for entry in got.flat]
    for node, expression in zip(nodes, Expressions(tape).of(nodes), strict=True):
        value = float(expression.doit().evalf(subs=point))
        assert value == pytest.approx(tape.values[node], rel=1e-9)
    assert tape.evaluate(nodes, point) == [tape.values[node] for node in nodes]


SIGMOIDS = {
    "quotient": lambda z: 1 / (1 + np.exp(-z)),
    "exponential": lambda z: np.exp(z) / (1 + np.exp(z)),
    "half": lambda z: (1 + np.tanh(z / 2)) / 2,
    "half sum": lambda z: 0.5 + 0.5 * np.tanh(0.5 * z),
    "half product": lambda z: 0.5 * (np.tanh(z * 0.5) + 1.0),
    "cases": lambda z: np.where(z >= 0, 1 / (1 + np.exp(-z)), np.exp(z) / (1 + np.exp(z))),
}


@pytest.mark.parametrize("name", SIGMOIDS)
def test_the_logistic_function_is_recognised(name):
    tape = new_tape()
    z = leaves(tape, "z", np.array([0.3]))
    with tracing(tape):
        (entry,) = SIGMOIDS[name](z)
    assert tape.ops[entry.node] == "sigma"
    (expression,) = Expressions(tape).of([entry.node])
    assert expression == functions.sigma(sympy.Symbol("z0", real=True))


@pytest.mark.parametrize(
    "other",
    [
        lambda z: 2 * (1 / (1 + np.exp(-2 * z))) - 1,
        lambda z: (np.exp(z) - np.exp(-z)) / (np.exp(z) + np.exp(-z)),
        lambda z: (1 - np.exp(-2 * z)) / (1 + np.exp(-2 * z)),
        np.tanh,
    ],
)
def test_other_ways_to_write_tanh_are_equal(other):
    tape = new_tape()
    z = leaves(tape, "z", np.array([0.3]))
    with tracing(tape):
        (entry,) = other(z) - np.tanh(z)
    (expression,) = Expressions(tape).of([entry.node])
    assert Field().decide(expression).verdict == "zero"


@pytest.mark.parametrize(
    ("number", "text", "root"),
    [
        (0.1, "1/10", False),
        (1 / 3, "1/3", False),
        (2 / 7 * 0.1, "1/35", False),
        (1e-8, "1/100000000", False),
        (math.sqrt(2), "2", True),
        (1 / math.sqrt(3), "1/3", True),
        (-0.25, "-1/4", False),
        (np.float32(0.1), "1/10", False),
        (7, "7", False),
        (0.0, "0", False),
    ],
)
def test_floats_are_read_as_what_they_are_meant_to_be(number, text, root):
    assert (str(exact(number)[0]), exact(number)[1]) == (text, root)


@pytest.mark.parametrize("number", [math.inf, math.nan])
def test_numbers_that_are_none_are_refused(number):
    with pytest.raises(TraceError, match="finite"):
        exact(number)


def test_equal_scalars_are_one():
    tape = new_tape()
    a, b = leaves(tape, "a", np.array([0.5, 0.25]))
    assert (a * b + 1).node == (1 + a * b).node
    assert (a - a).known == 0
    assert (2 * (3 * a)).node == (6 * a).node
    assert a == a
    assert a != b


def test_branches_follow_the_sample_and_are_noted():
    tape = new_tape()
    a, b = leaves(tape, "a", np.array([0.5, 0.25]))
    taken = "first" if a > b else "second"
    assert taken == "first"
    (decision,) = tape.decisions
    assert decision.answer
    assert decision.place.startswith("test_trace.py:")
    flipped = new_tape(flips=frozenset({decision.place}))
    assert not flipped.decisions


def test_comparisons_that_are_certain_are_plain():
    tape = new_tape()
    with tracing(tape):
        mask = np.zeros(3) >= 0
        assert np.isfinite(leaves(tape, "a", V)).all()
    assert mask.dtype == bool
    assert not tape.decisions


def test_a_plain_float_is_a_leak_and_a_formatted_number_is_none():
    tape = new_tape()
    (a,) = leaves(tape, "a", np.array([0.5]))
    assert f"{a:.2f}" == "0.50"
    assert not tape.leaks
    assert float(a) == 0.5
    assert list(tape.leaks.values()) == ["was turned into a plain float"]


@pytest.mark.parametrize("bad", [round, math.floor, lambda a: a // 2, lambda a: a % 2, np.floor])
def test_what_has_no_derivative_is_refused(bad):
    (a,) = leaves(new_tape(), "a", np.array([0.5]))
    with pytest.raises(TraceError):
        bad(a)


def test_arrays_from_before_the_run_are_refused_in_place():
    before = np.zeros(3)
    tape = new_tape()
    v = leaves(tape, "v", V)
    with tracing(tape), pytest.raises(TraceError, match="before the run"):
        before += v


def test_numpy_is_itself_again_afterwards_and_in_other_threads():
    originals = np.zeros, np.array, math.exp
    tape = new_tape()
    seen = []

    def elsewhere():
        seen.append((np.zeros(2).dtype, np.zeros_like(V).dtype, type(math.exp(1.0))))

    def inside():
        assert isinstance(np.zeros(2), TracedArray)
        assert np.zeros(2, dtype=int).dtype == int
        with tracing(new_tape()):
            pass
        assert isinstance(np.zeros(2), TracedArray)
        thread = threading.Thread(target=elsewhere)
        thread.start()
        thread.join()
        raise KeyError

    with tracing(tape), pytest.raises(KeyError):
        inside()
    assert seen == [(np.dtype(float), np.dtype(float), float)]
    assert (np.zeros, np.array, math.exp) == originals


@pytest.mark.parametrize(
    "draw",
    [
        lambda: np.random.default_rng(1).normal(size=3),
        lambda: np.random.RandomState(1).randn(2, 2),
        lambda: np.random.RandomState(1).uniform(-1, 1, 4),
    ],
)
def test_random_numbers_are_drawn_as_ever(draw):
    """What is compiled writes into the memory of the arrays that it asks NumPy for."""
    with tracing(new_tape()):
        inside = draw()
        assert isinstance(np.empty(2), TracedArray)
    assert np.random.mtrand.np is np
    np.testing.assert_array_equal(inside, draw())


def test_names_taken_out_of_numpy_are_replaced_while_it_runs():
    space = {"__name__": "somebody", "__file__": "somebody.py"}
    exec("from numpy import zeros\ndef f(v):\n h = zeros(3)\n h[1:] = v[1:]\n return h", space)
    before = space["zeros"]
    tape = new_tape()
    v = leaves(tape, "v", V)
    with tracing(tape, space["f"]):
        result = space["f"](v)
    assert [entry.value for entry in result] == [0.0, V[1], V[2]]
    assert space["zeros"] is before
    assert not tape.leaks
