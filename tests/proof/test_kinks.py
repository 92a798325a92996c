"""Kinks of a certificate: steps and choices as polynomials, on both sides and at 0."""

import pytest

from graphgrad.proof.generators import Generators
from graphgrad.proof.sparse import Relations, scaled, total


@pytest.fixture
def table():
    return Generators(Relations())


@pytest.fixture
def u(table):
    return {(table.new("input", "u"),): 1}


def less(a, b):
    return total([a, scaled(b, -1)])


def test_a_step_and_its_other_side(table, u):
    step = table.step(u)
    assert table.product(step, step) == step
    assert table.step(scaled(u, 3)) == step
    assert total([step, table.step(scaled(u, -1))]) == {(): 1}


def test_steps_of_what_has_a_sign(table):
    positive = {(table.new("input", "p", positive=True),): 1}
    assert table.step(positive) == {(): 1}
    assert table.step(scaled(positive, -2)) == {}
    assert table.step({}, 1) == {(): 1}
    assert table.step({}, 0) == {}


def test_functions_with_kinks(table, u):
    table.forward = True
    assert table.product(table.abs(u), table.abs(u)) == table.product(u, u)
    assert less(table.relu(u), table.relu(scaled(u, -1))) == u
    v = {(table.new("input", "v"),): 1}
    big, small = table.maximum(u, v), table.minimum(u, v)
    assert total([big, small]) == total([u, v])
    assert less(big, small) == table.abs(less(u, v))
    assert table.product(big, small) == table.product(u, v)


def test_steps_differ_at_zero_unless_it_is_no_point(table, u):
    assert table.step(u, 0) != table.step(u, 1)
    assert total([table.step(scaled(u, -1), 0), table.step(u, 1)]) == {(): 1}
    assert total([table.step(scaled(u, -1), 0), table.step(u, 0)]) != {(): 1}
    v = {(table.new("input", "v"),): 1}
    table.forward = True
    table.relu(v)
    table.forward = False
    assert table.where(">", v, {}, u, {}) == table.where(">=", v, {}, u, {})
    assert table.where(">", u, {}, u, {(): 5}) != table.where(">=", u, {}, u, {(): 5})


def test_the_largest(table):
    entries = [{(table.new("input", name),): 1} for name in "abc"]
    largest = table.max(entries)
    squares = table.max([table.product(e, e) for e in entries])
    assert squares != largest
    assert table.max(entries) == largest
    choices = [table._choice(e, largest) for e in entries]
    assert total(choices) == {(): 1}
    assert table.product(choices[0], choices[2]) == {}
    assert table.product(choices[1], choices[1]) == choices[1]
    assert table.max(entries[:1]) == entries[0]
