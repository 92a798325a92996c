"""Backward equations alone: with forward values as inputs they give what the adjoint gives."""

import numpy as np
import pytest

import graphgrad as gg
from graphgrad.proof.check_backward import backward_of, changed, evaluated
from graphgrad.proof.check_case import Case, goal_of
from graphgrad.proof.check_evidence import Evidence
from graphgrad.proof.check_mutants import Mutant

GALLERY = {name: gg.cells.load(name) for name in gg.cells.names()}
TRAINED = [
    name
    for name, circuit in GALLERY.items()
    if circuit.params and "loss" in circuit.variables and len(circuit.check().indices) == 1
]


def question(circuit):
    """Return the backward equations of a circuit, and what they are evaluated on."""
    goal = goal_of(circuit, "loss")
    sizes = dict.fromkeys(circuit.check().declared.sizes, 2)
    case = Case(goal, 3, sizes, None, "time_first", frozenset())
    evidence = Evidence(case, [], [], None, None, None, 0.0)
    return backward_of(goal.circuit, goal.loss, tuple(circuit.params)), evidence


@pytest.mark.parametrize("name", TRAINED)
def test_they_are_computed_without_the_forward_pass(name):
    circuit = GALLERY[name]
    backward, evidence = question(circuit)
    assert set(circuit.variables) <= set(backward.circuit.inputs)
    found = evaluated(evidence, backward, backward.circuit, exact=False)
    adjoint = circuit.adjoint(wrt=list(circuit.params))
    assert found is not None
    case = evidence.case
    dag = case.goal.circuit.unfold(3, **case.sizes).grad(wrt=list(adjoint.params))
    want = dag.evaluate(evidence.data[0], outputs=[f"d_{each}" for each in found])
    for each, (value,) in found.items():
        np.testing.assert_allclose(value, want[f"d_{each}"], rtol=1e-12, atol=1e-13)


def test_a_boundary_that_a_change_reads_no_more_is_no_mistake():
    circuit = gg.parse(
        "x[t]: token(H)\nh0: input(H)\nE: param(H, H)\nW: param(H, H)\nx[0] = 0\nh[0] = h0\n"
        "h[t] = tanh(W @ h[t-1] + E[x[t]] + E[x[t-1]])\nloss = sum(sum(h[t]) for t in steps)"
    )
    backward, _ = question(circuit)
    right = backward.equations["d_W"]
    assert changed(backward, Mutant("", right, right.replace("t-1", "t"), 0)) is not None
    right = backward.equations["d_E"]
    text = right.partition(" + ")[0].replace("t-1", "t")
    assert changed(backward, Mutant("", right, text, 0)) is not None
