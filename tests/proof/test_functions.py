"""The SymPy functions: derivatives, special values, numeric evaluation, printing."""

import pickle

import mpmath
import pytest
import sympy
from sympy import Rational, Symbol, cos, exp, log, sqrt, tanh

from graphgrad.proof.functions import (
    absolute,
    maximum,
    minimum,
    relu,
    sigma,
    sign,
    softplus,
    step,
    stop,
    where,
)

a, b, u, x = (Symbol(name, real=True) for name in "abux")

NUMERIC = {
    sigma: lambda v: 1 / (1 + mpmath.exp(-v)),
    softplus: lambda v: mpmath.log1p(mpmath.exp(v)),
    step: lambda v: mpmath.mpf(v > 0),
    relu: lambda v: max(v, mpmath.mpf(0)),
    absolute: abs,
    sign: mpmath.sign,
    stop: lambda v: v,
    maximum: max,
    minimum: min,
    where: lambda c, v, w: v if c > 0 else w,
}


@pytest.mark.parametrize(
    ("expr", "derivative"),
    [
        (sigma(u), sigma(u) * (1 - sigma(u))),
        (softplus(u), sigma(u)),
        (step(u), 0),
        (relu(u), step(u)),
        (absolute(u), sign(u)),
        (sign(u), 0),
        (stop(u), 0),
        (maximum(u, b), step(u - b)),
        (maximum(b, u), step(u - b)),
        (minimum(u, b), step(b - u)),
        (minimum(b, u), step(b - u)),
        (where(u, a, b), 0),
        (where(a, u, b), step(a)),
        (where(a, b, u), 1 - step(a)),
        (u * stop(u), stop(u)),
        (sigma(stop(u) * u), stop(u) * sigma(u * stop(u)) * (1 - sigma(u * stop(u)))),
    ],
    ids=str,
)
def test_derivatives(expr, derivative):
    assert sympy.diff(expr, u) == derivative


@pytest.mark.parametrize("function", NUMERIC, ids=lambda function: function.__name__)
@pytest.mark.parametrize("values", [("3/7", "-2/5", "9/4"), ("-40", "13/3", "-1/9")], ids=str)
def test_numeric_values(function, values):
    (arity,) = function.nargs
    arguments = [Rational(value) for value in values[:arity]]
    names = (u, a, b)[:arity]
    value = function(*names).evalf(30, subs=dict(zip(names, arguments, strict=True)))
    with mpmath.workdps(30):
        expected = NUMERIC[function](*[mpmath.mpf(v.p) / v.q for v in arguments])
        assert abs(mpmath.mpf(str(value)) - expected) <= abs(expected) * mpmath.mpf("1e-26")


def test_special_values_are_exact():
    assert sigma(0) == Rational(1, 2)
    assert softplus(0) == log(2)
    assert [step(v) for v in (Rational(-1, 3), 0, 2)] == [0, 0, 1]
    assert [relu(v) for v in (Rational(-1, 3), 0, 2)] == [0, 0, 2]
    assert [absolute(v) for v in (Rational(-1, 3), 0)] == [Rational(1, 3), 0]
    assert [sign(v) for v in (Rational(-1, 3), 0, 2)] == [-1, 0, 1]
    assert maximum(2, 3) == maximum(3, 2) == 3
    assert minimum(2, 3) == minimum(3, 2) == 2
    assert where(-1, a, b) == b
    assert where(1, a, b) == a
    assert stop(Rational(1, 3)) == Rational(1, 3)


def test_nothing_is_rewritten_around_symbols():
    for expr in (
        sigma(u),
        sigma(-u),
        softplus(u),
        relu(u),
        maximum(u, u + a),
        stop(u),
        step(2 * u),
    ):
        assert expr.has(expr.func)
    assert sigma(u).subs(u, a) == sigma(a)


def test_stop_is_differentiated_before_it_is_substituted():
    expr = stop(u) * u**2
    assert sympy.diff(expr, u).subs(u, 3) == 18


def test_floats_evaluate():
    assert abs(float(sigma(sympy.Float(2.0))) - 0.8807970779778823) < 1e-15
    assert float(softplus(sympy.Float(-800.0))) == pytest.approx(float(exp(-800).evalf()))


def test_printing():
    assert str(sigma(u) + maximum(a, b)) == "maximum(a, b) + sigma(u)"
    assert sympy.latex(sigma(u)) == r"\sigma{\left(u \right)}"
    assert sympy.latex(absolute(u) ** 2) == r"\left|{u}\right|^{2}"


def test_pickle():
    expr = sigma(u) * where(a, b, u)
    assert pickle.loads(pickle.dumps(expr)) == expr


def test_wrong_number_of_arguments():
    with pytest.raises(TypeError):
        maximum(a)
    with pytest.raises(TypeError):
        sigma(a, b)


def test_facts_used_by_sympy():
    assert sqrt(sigma(u) ** 2) == sigma(u)
    assert sqrt(relu(u) ** 2) == relu(u)
    assert relu(u).is_nonnegative
    assert sigma(u).is_positive


@pytest.mark.parametrize("function", [tanh, exp, cos, lambda v: log(1 + v**2), sqrt])
def test_sympys_own_functions_stay_as_written(function):
    """SymPy may move a sign out, no more; and it stays true at a real point."""
    expr = function(a * u + b)
    assert expr == function(b + u * a)
    point = {a: Rational(2, 3), u: Rational(3, 5), b: Rational(1, 7)}
    direct = function(sum((v for v in (Rational(2, 5), Rational(1, 7))), sympy.S.Zero))
    assert abs((expr.subs(point) - direct).evalf(30, chop=True)) < 1e-25


def test_sympys_rewriting_of_real_symbols():
    assert log(exp(u)) == u
    assert sqrt(u**2) == sympy.Abs(u)
    assert tanh(0) == 0
    assert tanh(-u) == -tanh(u)
