"""Kinks, sign by sign: what is proved, what is refuted, and what equal values do in comparisons."""

import pytest

import graphgrad as gg
from graphgrad.proof.cases import Fact, contradictory
from graphgrad.proof.clock import Clock
from graphgrad.proof.generators import Generators
from graphgrad.proof.judge import certified
from graphgrad.proof.question import backward_pass, claimed_equations, question_of, sizes_of
from graphgrad.proof.sparse import Relations

HEAD = """
u[t]: input(N)
y[t]: input(N)
W: param(N, N)
b: param(N)
a[t] = W @ u[t] + b
"""
LOSS = "\nloss = sum(squared_error(h[t], y[t]) for t in steps)"
ABS = gg.parse(f"{HEAD}h[t] = abs(a[t]){LOSS}", name="abs")
RELU = gg.parse(f"{HEAD}h[t] = relu(a[t]){LOSS}", name="relu")
MAX = gg.parse(
    f"{HEAD}h[t] = max(a[t])\nloss = sum(h[t] * sum(y[t]) for t in steps)".replace("N", "2"),
    name="largest",
)


def judged(circuit, slope, cotangent="(h[t] - y[t])", method="certificate"):
    """What is said of d_b = Σ slope * cotangent."""
    claims = {"d_b": f"sum({slope} * {cotangent} for t in steps)"}
    return gg.prove(circuit, claims=claims, tau=2, method=method)


@pytest.mark.parametrize(
    "slope",
    [
        "where(a[t] > 0, 1, where(a[t] < 1, -1, 0))",
        "where(a[t] < 0, where(a[t] < 1, -1, 7), 1)",
        "(where(a[t] > 0, 1, 0) - where(-a[t] > 0, 1, 0))",
        "where(exp(u[t]) * a[t] > 0, 1, -1)",
        "where(a[t] > 0, 1, where(a[t] < 1 + exp(u[t]), -1, 5))",
        "where(a[t] > 0, where(2 * a[t] + u[t]**2 > 0, 1, 9), -1)",
        "where(a[t] > 0, where(a[t] > tanh(u[t]) - 1, 1, 9), -1)",
    ],
)
def test_right_slopes_of_abs_are_proved(slope):
    assert judged(ABS, slope).ok


@pytest.mark.parametrize(
    "slope",
    [
        "where(a[t] > 0, 1, where(a[t] < -1, -1, 0))",
        "where(a[t] > 0.0001, 1, -1)",
        "where(a[t] > 0, 1, where(a[t] < 1 - exp(u[t]), -1, 5))",
        "where(1.000001 * (W @ u[t]) + b > 0, 1, -1)",
    ],
)
def test_wrong_slopes_of_abs_are_refuted_however_rare(slope):
    proof = judged(ABS, slope)
    assert proof.verdict == "refuted", proof
    assert proof.recheck().ok


@pytest.mark.parametrize("method", ["certificate", "auto"])
@pytest.mark.parametrize(
    ("slope", "right"),
    [
        ("where(h[t] > 0, 1, 0)", True),
        ("where(h[t] <= 0, 0, 1)", True),
        ("where(h[t] < 0, 0, 1)", False),
        ("where(h[t] >= 0, 1, 7)", False),
        ("where(b >= b, 7, 1) * where(h[t] > 0, 1, 0)", False),
        ("where(b > b, 7, 1) * where(h[t] > 0, 1, 0)", True),
        ("where(b < b, 7, 1) * where(a[t] > 0, 1, 0)", True),
        ("where(b <= b, 7, 1) * where(a[t] > 0, 1, 0)", False),
        ("where(h[t] > h[t] / 2, 1, 0)", True),
    ],
)
def test_what_is_equal_on_one_side_of_a_kink(slope, right, method):
    """A unit that is off has h = 0, so h > 0 is false there and h >= 0 is true."""
    assert judged(RELU, slope, method=method).verdict == ("proved" if right else "refuted")


@pytest.mark.parametrize("method", ["sympy", "probabilistic", "enclosure"])
@pytest.mark.parametrize("slope", ["where(b >= b, 7, 1)", "where(b <= b, 7, 1)"])
def test_equal_values_are_compared_right_by_every_method(slope, method):
    claims = {"d_b": f"{slope} * sum((1 - h[t]**2) * (h[t] - y[t]) for t in steps)"}
    circuit = gg.parse(f"{HEAD}h[t] = tanh(a[t]){LOSS}", name="smooth")
    assert gg.prove(circuit, claims=claims, tau=2, method=method).verdict == "refuted"


def test_the_largest_of_two():
    right = "concat(where(at(a[t], 0) > at(a[t], 1), 1, 0), where(at(a[t], 1) > at(a[t], 0), 1, 0))"
    assert judged(MAX, right, "sum(y[t])").ok
    wrong = right.replace("at(a[t], 0) > at(a[t], 1)", "at(a[t], 0) > at(a[t], 1) + 0.001")
    assert judged(MAX, wrong, "sum(y[t])").verdict == "refuted"


def test_inequalities_contradict_each_other_or_do_not():
    table = Generators(Relations())
    x, y = ({(table.new("input", name),): 1} for name in "xy")
    ((m,),) = (tuple(x),)
    square = {(*m, *m): 1}
    more = {**x, (): 1}
    assert contradictory(table, [Fact(x, True), Fact({m: -1, (): -1}, False)])
    assert not contradictory(table, [Fact(x, True), Fact({m: -1, (): 1}, True)])
    assert not contradictory(table, [Fact(x, False), Fact({m: -1}, False)]), "x = 0"
    assert contradictory(table, [Fact(x, True), Fact({m: -1}, False)])
    assert contradictory(table, [Fact({k: -c for k, c in square.items()} | {(): -1}, True)])
    assert not contradictory(table, [Fact(more, True), Fact(y, True)])


DEAD = {
    "more or equal": "where(h[t] >= 0, 1, 0) - where(h[t] > 0, 1, 0)",
    "less": "where(h[t] < 0, 0, 1) - where(h[t] > 0, 1, 0)",
    "of the negative": "where(-h[t] > 0, 1, 0) + where(h[t] > 0, 1, 0) - 1",
}


@pytest.mark.parametrize("method", ["certificate", "sympy", "probabilistic", "auto", "induction"])
@pytest.mark.parametrize("term", DEAD.values(), ids=DEAD)
def test_what_only_equal_values_tell_apart_is_never_proved(term, method):
    """These differ where a unit is off, and nowhere else."""
    slope = f"(where(W @ u[t] + b > 0, 1, 0) + 7 * ({term}))"
    assert judged(RELU, slope, method=method).verdict in ("refuted", "undecided")
    question = question_of(RELU, "loss")
    claims = {"d_b": f"sum({slope} * (h[t] - y[t]) for t in steps)"}
    stated = claimed_equations(question, claims, ["b"], None)
    passes = backward_pass(question, stated.side(2, sizes_of(RELU, None)))
    assert not certified(passes, Clock()).proved, "no witness is needed for that"
