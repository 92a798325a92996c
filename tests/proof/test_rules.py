"""Every rule in the table of ops, proved for every combination of operand shapes, and mutated.

An op stands alone in a circuit whose operands are parameters; a random-looking weight on its value
is the cotangent. The rule is judged by the certificate and by SymPy's own derivative; where SymPy
has no derivative (`max`, powers of numbers that may be negative), by the definition.
"""

import itertools
from contextlib import contextmanager
from fractions import Fraction

import numpy as np
import pytest
import sympy

import graphgrad as gg
from graphgrad.ir import OPS
from tests.faults.rules import circuits, weighted
from tests.ops.cases import CASES, ELSEWHERE, SIZES

CIRCUITS = circuits()
POWERS = {key for key, (_, text) in CIRCUITS.items() if "p0 ** p1" in text}
LARGEST = {key for key, (op, _) in CIRCUITS.items() if op == "max"}
UNFOLDED_AWAY = {"choose", "reduce"}
"""Choices and reductions over time have no rule: no unfolded graph holds one."""


def test_every_op_with_a_rule_is_here():
    ruled = {name for name, op in OPS.items() if op.vjp is not None}
    assert ruled <= {op for op, _ in CIRCUITS.values()}
    assert {case.op for case in CASES} | ELSEWHERE >= ruled


def test_an_op_without_a_rule_is_a_leaf_or_disappears():
    without = {name for name, op in OPS.items() if op.vjp is None}
    leaves = {name for name in without if OPS[name].arity == 0}
    blocked = {name for name in without - leaves if OPS[name].blocked}
    assert without - leaves - blocked == UNFOLDED_AWAY


@pytest.mark.filterwarnings("ignore:.*does not depend on.*")
@pytest.mark.parametrize(("op", "text"), CIRCUITS.values(), ids=CIRCUITS)
def test_certificate(op, text):
    proof = gg.prove(weighted(text), tau=2, method="certificate")
    assert proof.ok, proof


@pytest.mark.filterwarnings("ignore:.*does not depend on.*")
@pytest.mark.parametrize("key", [key for key in CIRCUITS if key not in POWERS | LARGEST])
def test_sympy(key):
    proof = gg.prove(weighted(CIRCUITS[key][1]), tau=2, method="sympy")
    assert proof.verdict == "proved", proof


def gradients(circuit, values, over=None):
    """The gradients by the adjoint equations and by the sweep, which have to be the same."""
    names = [f"d_{name}" for name in circuit.params]
    found = circuit.unfold(2).grad().evaluate(values, over=over)
    other = circuit.adjoint().unfold(2).evaluate(values, over=over)
    for name in names:
        assert np.all(np.asarray(found[name], object) == np.asarray(other[name], object)), name
    return {name: np.asarray(found[name], object) for name in names}, found["loss"]


def numbered(circuit, name, make):
    """An array for a parameter or input, its entries made from a number."""
    system = circuit.check()
    shape = tuple(int(dim.bind(SIZES)) for dim in system.type_of(name))
    entries = np.array([make(k) for k in range(int(np.prod(shape)))], object)
    return entries.reshape(shape) if shape else entries[0]


@pytest.mark.parametrize("key", sorted(POWERS))
def test_powers_where_the_base_is_positive(key):
    """d(a ** b) is SymPy's, for symbols that are positive."""
    circuit = weighted(CIRCUITS[key][1])
    values = {
        name: numbered(circuit, name, lambda k, n=name: sympy.Symbol(f"{n}_{k}", positive=True))
        for name in ("p0", "p1", "weight")
    }
    found, loss = gradients(circuit, values, "sympy")
    for name in ("p0", "p1"):
        symbols = np.ravel(np.asarray(values[name], object))
        for symbol, claimed in zip(symbols, np.ravel(found[f"d_{name}"]), strict=True):
            assert sympy.simplify(sympy.diff(loss, symbol) - claimed) == 0, (name, symbol)


@pytest.mark.parametrize("key", sorted(LARGEST))
def test_the_largest_entry_wherever_it_stands(key):
    """Where entry k is the largest, max is that entry: its derivative is the k-th unit vector.

    The rule looks at its operand through comparisons with the largest entry alone, so that one
    point for each k is all points.
    """
    circuit = weighted(CIRCUITS[key][1])
    weight = Fraction(7, 3)
    count = np.size(numbered(circuit, "p0", int))
    for largest in range(count):
        place = numbered(circuit, "p0", lambda k, at=largest: Fraction(9 if k == at else -k, 2))
        found, _ = gradients(circuit, {"p0": place, "weight": weight})
        expected = [weight if k == largest else 0 for k in range(count)]
        assert list(np.ravel(found["d_p0"])) == expected


@pytest.mark.parametrize(("key", "name"), [("lookup", "E"), ("lookup of a scalar", "v")])
def test_every_sequence_of_tokens(key, name):
    """The row of a token collects the cotangents of the steps that read it."""
    circuit = weighted(CIRCUITS[key][1])
    table = numbered(circuit, name, Fraction)
    weight = numbered(circuit, "weight", lambda k: Fraction(k + 2, 3))
    for tokens in itertools.product(range(SIZES["K"]), repeat=2):
        found, _ = gradients(circuit, {name: table, "weight": weight, "x": np.array(tokens)})
        expected = np.zeros(np.shape(table), object)
        for token in tokens:
            expected[token] = expected[token] + weight
        assert np.all(found[f"d_{name}"] == expected), tokens


@pytest.mark.parametrize("tau", [1, 2, 3, 4])
def test_choices_take_the_derivative_of_the_branch_that_exists(tau):
    circuit = weighted(CIRCUITS["choose and reduce"][1])
    w = [sympy.Symbol(f"w{k}") for k in range(SIZES["K"])]
    weight = [sympy.Symbol(f"g{k}") for k in range(SIZES["K"])]
    values = {"w": np.array(w, object), "weight": np.array(weight, object)}
    found = circuit.unfold(tau).grad().evaluate(values, over="sympy")
    for k in range(SIZES["K"]):
        steps = [w[k] ** 2 if t % 2 == 0 else w[k] for t in range(1, tau + 1)]
        expected = sympy.diff(weight[k] * sum(steps) / tau, w[k])
        assert sympy.expand(found["d_w"][k] - expected) == 0


# -- mutants ---------------------------------------------------------------------------------------

MUTATIONS = {
    "sign": lambda g: -g,
    "factor": lambda g: 2 * g,
    "plus": lambda g: g + 1,
    "dropped": lambda g: 0 * g,
    "square": lambda g: g * g,
}


@contextmanager
def mutated(op, position, mutation):
    """Let the rule of an op give a changed cotangent for one operand."""
    kept = op.vjp

    def rule(*args):
        found = list(kept(*args))
        if position < len(found) and found[position] is not None:
            found[position] = mutation(found[position])
        return tuple(found)

    object.__setattr__(op, "vjp", rule)
    try:
        yield
    finally:
        object.__setattr__(op, "vjp", kept)


FIRST = dict(reversed(CIRCUITS.values()))
MUTANTS = {
    f"{op}, operand {position}, {name}": (op, position, name)
    for op in FIRST
    for position in range(2 if OPS.get(op) is not None and OPS[op].arity != 1 else 1)
    for name in MUTATIONS
}


@pytest.mark.filterwarnings("ignore:.*does not depend on.*")
@pytest.mark.parametrize(("op", "position", "mutation"), MUTANTS.values(), ids=MUTANTS)
def test_mutants_die(op, position, mutation):
    """Refuted at a point, or, where the text of the rule is never used, proved equivalent."""
    circuit = weighted(FIRST[op])
    before = str(circuit.adjoint())
    before_sweep = circuit.unfold(2).grad()
    with mutated(OPS[op], position, MUTATIONS[mutation]):
        proof = gg.prove(circuit, tau=2, method="certificate")
        same = str(circuit.adjoint()) == before
        swept = circuit.unfold(2).grad()
        same_sweep = swept.templates == before_sweep.templates and (
            swept.args.tolist() == before_sweep.args.tolist()
        )
    for claim in proof.claims:
        unchanged = same if claim.origin == "adjoint equations" else same_sweep
        if unchanged:
            assert claim.verdict == "proved"
    if not (same and same_sweep):
        assert proof.verdict == "refuted", proof
