"""Deciding zero: identities, near misses, witnesses, and limits."""

import time

import pytest
import sympy
from sympy import Rational, Symbol, cos, exp, log, sin, sqrt, tanh

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
from graphgrad.proof.zero import Field
from tests.proof.zeros import a, b, certified, f, n, p, product, q, total, x, y, z

M = maximum(x, y)
S = exp(x - M) + exp(y - M)

IDENTITIES = {
    "polynomial": product(x + y, x - y) - x**2 + y**2,
    "fractions": x / (x + y) + y / (x + y) - 1,
    "continued fraction": 1 / (x + 1 / (x + 1 / y)) - (x * y + 1) / (x * (x * y + 1) + y),
    "rational numbers": product(x / 3 + y / 7, Rational(21)) - 7 * x - 3 * y,
    "exp of a sum": exp(x + y) - exp(x) * exp(y),
    "exp of a multiple": (exp(x * y / 2) + 1) ** 2 - exp(x * y) - 2 * exp(x * y / 2) - 1,
    "exp of a fraction": exp(sigma(x) - x) - exp(-x) * exp(1 - sigma(-x)),
    "exp of a fraction of a multiple": exp(-3 * x - sigma(-3 * x))
    - exp(-3 * x) * exp(sigma(3 * x) - 1),
    "exp of a fraction of a number": exp(-3 - sigma(-3)) - exp(-4) * exp(sigma(Rational(3))),
    "exp of a fraction of multiples": exp(sigma(3 * x - 2 * y) + sigma(2 * y - 3 * x) + z)
    - exp(1) * exp(z),
    "exp of a fraction of a difference": exp(x - y - sigma(x - y))
    - exp(x - y) * exp(sigma(y - x) - 1),
    "exp of a fraction of a product": exp(product(x + 1, y - z) - sigma(product(x + 1, y - z)))
    - exp(sigma(z - y - x * y + x * z) - 1) * exp(x * y - x * z + y - z),
    "exp of a fraction of two": exp(-x + y + 1 / (1 + exp(x) * exp(y))) * exp(sigma(x + y))
    - exp(-x) * exp(y + 1),
    "exp of a polynomial": exp((x + y) ** 2) - exp(x**2) * exp(2 * x * y) * exp(y**2),
    "one argument, two forms": tanh(product(x, y + 1)) - tanh(x * y + x),
    "argument up to fractions": f(x / (x + y)) - f(1 - y / (x + y)),
    "tanh is odd": product(tanh(x - y), x + 1) + x * tanh(y - x) + tanh(y - x),
    "sigma of the opposite": sigma(x) + sigma(-x) - 1,
    "sigma through exp": sigma(x) - 1 / (1 + exp(-x)),
    "sigma through tanh": sigma(x) - (1 + tanh(x / 2)) / 2,
    "sigma'": sigma(x) * (1 - sigma(x)) - exp(-x) / (1 + exp(-x)) ** 2,
    "1/sigma'": 1 / (sigma(x) - sigma(x) ** 2) - 2 - exp(x) - exp(-x),
    "tanh of a sum": tanh(x + y) - (tanh(x) + tanh(y)) / (1 + tanh(x) * tanh(y)),
    "tanh of a multiple": tanh(2 * x) - 2 * tanh(x) / (1 + tanh(x) ** 2),
    "softplus of the opposite": softplus(x) - softplus(-x) - x,
    "softplus through log": softplus(x) - log(1 + exp(x)),
    "log of sigma": log(sigma(x)) + softplus(-x),
    "log of 1 - sigma": log(1 - sigma(x)) + softplus(x),
    "binary cross entropy": -y * log(sigma(x)) - (1 - y) * log(1 - sigma(x)) - softplus(x) + x * y,
    "shifted softmax": exp(x - M) / S - exp(x) / (exp(x) + exp(y)),
    "shifted logsumexp": log(S) + M - log(exp(x) + exp(y)),
    "log of softmax": log(exp(x) / (exp(x) + exp(y))) - x + log(exp(x) + exp(y)),
    "log of a product": log(p * q**3 / (1 + x**2)) - log(p) - 3 * log(q) + log(1 + x**2),
    "log of numbers": log(Rational(12, 5)) - 2 * log(2) - log(3) + log(5),
    "powers": p**x * p**y - p ** (x + y),
    "power through exp": p**x - exp(x * log(p)),
    "powers of numbers": product(2**x, 2**y + 3**x) - 2 ** (x + y) - 6**x,
    "square root": product(1 + x**2 + y, 1 / sqrt(1 + x**2)) - sqrt(1 + x**2) - y / sqrt(1 + x**2),
    "root of a product": sqrt(p + p * x**2) - sqrt(p) * sqrt(1 + x**2),
    "root of a quotient": (sqrt(x / y) + 1) ** 2 - x / y - 1 - 2 * sqrt(x / y),
    "roots of numbers": (sqrt(2) + sqrt(3)) ** 2 - 5 - 2 * sqrt(6),
    "cube root": (p ** Rational(1, 3) + 1) ** 3
    - p
    - 1
    - 3 * p ** Rational(1, 3)
    - 3 * p ** Rational(2, 3),
    "rationalised": 1 / (1 + sqrt(p)) - (1 - sqrt(p)) / (1 - p),
    "Pythagoras": sin(x * y) ** 2 + cos(-x * y) ** 2 - 1,
    "sin is odd": product(sin(x - y), x + 1) + x * sin(y - x) + sin(y - x),
    "tan": sympy.tan(x) ** 2 + 1 - 1 / cos(x) ** 2,
    "hyperbolic": sympy.cosh(x) ** 2 - sympy.sinh(x) ** 2 - 1,
    "step": step(x) ** 2 - step(x),
    "step of a multiple": step(2 * x * exp(y)) - step(x),
    "step of the opposite": step(x - y) + step(y - x) - 1,
    "relu": relu(x) - relu(-x) - x,
    "absolute": absolute(x) - relu(x) - relu(-x),
    "absolute squared": absolute(x) ** 2 - x**2,
    "SymPy's Abs": sympy.Abs(x) - x * sympy.sign(x),
    "sign": sign(x) * absolute(x) - x,
    "maximum": maximum(x, y) - y - relu(x - y),
    "SymPy's Max": sympy.Max(x, y) + minimum(x, y) - x - y,
    "where": where(x, y, z) - step(x) * y - (1 - step(x)) * z,
    "stop": stop(x * y) - x * y,
    "unknown function": product(f(x), x + y) - x * f(x) - y * f(x),
    "constants": sympy.E**x * exp(1)
    - exp(x + 1)
    + product(sympy.pi, x + 1)
    - sympy.pi * x
    - sympy.pi,
}


@pytest.mark.parametrize("name", IDENTITIES)
def test_identities_are_zero(name):
    assert IDENTITIES[name] != 0, "SymPy sees it by itself"
    assert Field().decide(IDENTITIES[name]).verdict == "zero"


@pytest.mark.parametrize("name", IDENTITIES)
def test_perturbed_identities_are_not_zero(name):
    """Near misses: an added tiny term, and a factor slightly off."""
    first, *rest = IDENTITIES[name].args
    for expr in (IDENTITIES[name] + x / 10**12, first * (1 + Rational(1, 10**9)) + total(rest)):
        decision = Field().decide(expr)
        assert decision.verdict == ("undecided" if expr.has(f) else "nonzero")
        assert expr.has(f) or certified(decision, expr)


NONZERO = {
    "symbol": x,
    "tiny": x / 10**300,
    "cancelling": tanh(x) - x + x**3 / 3,
    "pi": sympy.pi - Rational(355, 113),
    "exp against its series": exp(x) - 1 - x - x**2 / 2,
    "vanishing gradient": tanh(x) * (1 - tanh(40 + x) ** 2),
    "sign": relu(x) + relu(-x) - x,
    "sqrt domain": sqrt(x - 1) - x,
    "log domain": log(1 - x - y - z) + x,
    "negative only": log(-p * x),
    "step": step(x) * step(y) - step(x),
    "step on a thin set": step(x - 2) * step(y - 1),
    "overflow": exp(exp(exp(x / 100))) - 1,
    "deep power": (x + y) ** 5000 - 1,
}


@pytest.mark.parametrize("name", NONZERO)
def test_nonzero_has_a_certified_witness(name, arithmetic):
    decision = Field().decide(NONZERO[name])
    assert decision.verdict == "nonzero", decision
    assert certified(decision, NONZERO[name])


def test_witness_respects_assumptions():
    n = Symbol("n", integer=True, negative=True)
    decision = Field().decide(n * p + sqrt(q))
    assert decision.verdict == "nonzero"
    assert decision.witness is not None
    assert decision.witness[n].is_Integer
    assert decision.witness[n] < 0 < min(decision.witness[p], decision.witness[q])


def test_positive_argument():
    expr = log(x * y) - log(x) - log(y)
    assert Field().decide(expr).verdict == "undecided"
    decision = Field(positive=[x, y]).decide(expr + x)
    assert Field(positive=[x, y]).decide(expr).verdict == "zero"
    assert decision.verdict == "nonzero"
    assert decision.witness is not None
    assert min(decision.witness.values()) > 0


UNDECIDED = {
    "double angle": sin(2 * x) - 2 * sin(x) * cos(x),
    "denested root": sqrt(5 + 2 * sqrt(6)) - sqrt(2) - sqrt(3),
    "dependent steps": step(x) * step(x + 1) - step(x),
    "unknown functions": f(x) - f(y),
    "float": sympy.Float("0.1") * x - y,
    "imaginary": sympy.I * x,
    "Piecewise": sympy.Piecewise((x, x > 0), (y, True)),
    "infinite": sympy.zoo,
    "nan": sympy.nan,
    "derivative": sympy.Derivative(f(x), x) - f(x),
    "zero denominator": 1 / (product(x, y + 1) - x * y - x),
    "kink everywhere": step(product(x, y + 1) - x * y - x),
    "powers of unknown sign": sqrt(b**n) - b ** (n / 2),
}


@pytest.mark.parametrize("name", UNDECIDED)
def test_undecided_says_why(name):
    decision = Field().decide(UNDECIDED[name])
    assert decision.verdict == "undecided"
    assert decision.reason
    assert decision.witness is decision.enclosure is None


@pytest.mark.parametrize("value", [1, "x", None, sympy.true, sympy.Matrix([[x]])])
def test_what_is_not_an_expression_is_undecided(value):
    assert Field().decide(value).verdict == "undecided"


# Limits


def test_blow_up_is_predicted():
    big = total(Symbol(f"s_{i}", real=True) for i in range(40))
    start = time.perf_counter()
    decision = Field().decide(big**30 - product(big**15, big**14, big))
    assert decision.verdict == "undecided"
    assert "terms" in decision.reason
    assert time.perf_counter() - start < 2


def test_blow_up_does_not_prevent_a_witness():
    big = total(Symbol(f"s_{i}", real=True) for i in range(40))
    assert Field().decide(big**30 - product(big**15, big**14, big) + 1).verdict == "nonzero"


def test_time_limit():
    base = total(Symbol(f"s_{i}", real=True) for i in range(9))
    expr = product(base**6, base**6) - base**12
    start = time.perf_counter()
    decision = Field().decide(expr + product(base**5, base**5) - base**10, time_limit=0.05)
    assert decision.verdict == "undecided"
    assert "time limit" in decision.reason
    assert time.perf_counter() - start < 0.5


def test_after_a_failure_the_field_still_works():
    field = Field(max_terms=50)
    big = total(Symbol(f"s_{i}", real=True) for i in range(40))
    assert field.decide(product(big, big) - big**2 + 0 * x).verdict == "undecided"
    assert field.equal(product(x, y + 1), x * y + x).verdict == "zero"
    assert field.equal(sigma(x), 1 / (1 + exp(-x))).verdict == "zero"


def test_depth_is_no_limit():
    """Nested deeper than any recursion limit, with arguments that are equal but not identical."""
    left = right = wrong = x
    for _ in range(1500):
        left, right = sigma(a * left + b), sigma((2 * a * right + 2 * b) / 2)
        wrong = sigma(a * wrong - b)
    field = Field()
    assert field.equal(left, right).verdict == "zero"
    assert field.equal(left, wrong).verdict == "nonzero"


def test_shared_subexpressions_cost_once():
    """A graph of 60 nodes that is a tree of 2**60."""
    left = right = x
    for _ in range(60):  # SymPy's own tanh would walk the tree
        left, right = sigma(left) + softplus(left), softplus(right) + 1 - sigma(-right)
    assert Field().equal(left * (1 + a), right + a * right).verdict == "zero"


def test_verdicts_are_reproducible():
    for expr in (tanh(x) - x, sin(2 * x) - 2 * sin(x) * cos(x)):
        assert Field().decide(expr) == Field().decide(expr)
