"""Residuals that are no zero polynomials and vanish all the same, and those that do not."""

from fractions import Fraction

import pytest
import sympy

from graphgrad.proof.clock import Clock
from graphgrad.proof.generators import Generators
from graphgrad.proof.poly import ExhaustedError, UndecidableError
from graphgrad.proof.residual import as_sympy, cleared, vanishes, written_out
from graphgrad.proof.sparse import Relations, scaled, total


@pytest.fixture
def table():
    return Generators(Relations())


def names(table, text):
    return [{(table.new("input", name, active=True),): 1} for name in text]


def let(table, terms, name):
    return {(table.let(terms, name),): 1}


def minus(one, other):
    return total([one, scaled(other, -1)])


def test_a_let_is_what_it_stands_for(table):
    a, b = names(table, "ab")
    square = table.product(total([a, b]), total([a, b]))
    h = let(table, square, "h")
    assert vanishes(table, minus(h, square))
    assert not vanishes(table, minus(h, square), hard=False)
    assert not vanishes(table, minus(h, scaled(square, Fraction(100001, 100000))))


def test_lets_that_are_products_are_put_in_at_sight(table):
    a, b = names(table, "ab")
    h = let(table, scaled(table.product(a, b), 2), "h")
    assert vanishes(table, minus(h, scaled(table.product(a, b), 2)), hard=False)
    assert not vanishes(table, minus(h, table.product(a, b)), hard=False)


def test_lets_are_written_out_as_often_as_is_said(table):
    a, b = names(table, "ab")
    first = let(table, total([a, b]), "h")
    second = let(table, total([first, b]), "g")
    third = let(table, total([second, b]), "f")
    residual = minus(third, total([a, scaled(b, 3)]))
    assert [vanishes(table, residual, rounds=n) for n in range(4)] == [False, False, False, True]
    assert vanishes(table, residual)
    assert written_out(table, a) is None
    assert written_out(table, third) == total([second, b])


def test_lets_are_written_out_inside_functions(table):
    a, b = names(table, "ab")
    h = let(table, total([a, b]), "h")
    residual = minus(table.tanh(h), table.tanh(total([a, b])))
    assert residual
    assert vanishes(table, residual, rounds=1)
    assert not vanishes(table, minus(table.tanh(h), table.tanh(a)), rounds=1)


def test_the_newest_lets_are_written_out_before_all(table):
    """What a value was computed from may be long: 1/s is 1/root(…) whatever is below the root."""
    a, b = names(table, "ab")
    deep = total([a, b])
    for k in range(7):
        deep = let(table, total([table.product(deep, deep), b]), f"h_{k}")
    square = total([table.product(deep, deep), {(): 1}])
    s = let(table, table.root(square, 2), "s")
    residual = minus(table.inverse(s), table.inverse(table.root(square, 2)))
    assert residual
    assert vanishes(table, residual)
    assert vanishes(table, residual, rounds=1)
    assert not vanishes(table, residual, rounds=0)
    assert not vanishes(table, minus(table.inverse(s), table.inverse(table.root(deep, 2))))


def test_denominators_are_multiplied_out(table):
    a, b = names(table, "ab")
    total_inverse = table.inverse(total([a, b]))
    shares = total([table.product(a, total_inverse), table.product(b, total_inverse)])
    assert vanishes(table, minus(shares, {(): 1}), hard=False)
    inner = table.inverse(total([a, table.inverse(total([a, b]))]))
    nested = minus(table.product(total([table.product(a, total([a, b])), {(): 1}]), inner),
                   total([a, b]))  # fmt: skip
    assert cleared(table, nested) == {}
    wrong = total([nested, table.product(inner, {(): 1})])
    assert cleared(table, wrong)
    assert not vanishes(table, wrong)


def test_what_only_functions_know_is_asked_of_sympy(table):
    a, b = names(table, "ab")
    half = table.tanh(total([a, b]))
    double = table.tanh(scaled(total([a, b]), 2))
    one = total([{(): 1}, table.product(half, half)])
    residual = minus(table.product(double, one), scaled(half, 2))
    assert vanishes(table, residual)
    assert not vanishes(table, residual, hard=False)
    assert not vanishes(table, residual, rounds=0)
    assert vanishes(table, residual, rounds=1)
    assert not vanishes(table, minus(table.product(double, one), half))


@pytest.mark.parametrize("forward", [True, False])
def test_ties_are_left_out_of_the_domain_by_the_forward_pass_only(table, forward):
    a, b = names(table, "ab")
    table.forward = forward
    parts = total([table.step(minus(a, b), False), table.step(minus(b, a), False)])
    assert vanishes(table, minus(parts, {(): 1})) is forward


def test_kinks_are_looked_at_case_by_case(table):
    a, b = names(table, "ab")
    table.forward = True
    on = table.step(minus(a, b), False)
    off = table.step(minus(b, a), False)
    largest = total([table.product(on, a), table.product(off, b)])
    squared = table.product(largest, largest)
    product = table.product(minus(largest, a), minus(largest, b))
    assert vanishes(table, product)
    assert not vanishes(table, minus(squared, table.product(a, a)))


def test_the_table_is_left_as_it_was(table):
    (a,) = names(table, "a")
    table.relations.folding, limit = True, table.relations.max_terms
    h = let(table, total([a, {(): 1}]), "h")
    for residual in (minus(h, a), minus(h, total([a, {(): 1}]))):
        vanishes(table, residual)
        assert (table.relations.folding, table.relations.max_terms) == (True, limit)


def test_time_that_is_over_is_no_verdict():
    table = Generators(Relations(Clock(0.0)))
    a, b = names(table, "ab")
    h = let(table, total([a, b]), "h")
    with pytest.raises(ExhaustedError):
        repeated(table, minus(h, total([a, b])))


def repeated(table, residual):
    for _ in range(5000):
        vanishes(table, residual)


def test_polynomials_in_sympy(table):
    a, b = names(table, "ab")
    x, y = sympy.symbols("a b", real=True)
    sum_inverse = table.inverse(total([a, b]))
    root = table.root(total([a, b]), 3)
    terms = total([
        scaled(table.product(a, table.tanh(b)), Fraction(2, 3)),
        table.product(sum_inverse, table.exp(total([a, b]))),
        table.sin(a), scaled(root, -1),
    ])  # fmt: skip
    want = (
        sympy.Rational(2, 3) * x * sympy.tanh(y)
        + sympy.exp(x + y) / (x + y) + sympy.sin(x) - (x + y) ** sympy.Rational(1, 3)
    )  # fmt: skip
    point = {x: sympy.Rational(3, 7), y: sympy.Rational(2, 5)}
    assert abs(sympy.N((as_sympy(table, terms) - want).subs(point), 30)) < 1e-25


def test_lets_in_sympy_are_symbols(table):
    a, b = names(table, "ab")
    h = let(table, total([a, b]), "h_1_0")
    assert as_sympy(table, scaled(h, 2)) == 2 * sympy.Symbol("h_1_0", real=True)


def test_what_has_no_meaning_in_sympy(table):
    (a,) = names(table, "a")
    tied = table.step(a, True)
    with pytest.raises(UndecidableError, match="one step"):
        as_sympy(table, tied)
    assert as_sympy(table, table.step(a, False)).func.__name__ == "step"
