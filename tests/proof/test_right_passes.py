"""Correct passes are never refuted: generated circuits, and functions written in other words.

`GRAPHGRAD_HYPOTHESIS=thorough` draws thousands of circuits.
"""

import itertools
import warnings

import pytest
from hypothesis import given, settings

import graphgrad as gg
from graphgrad.errors import DomainError
from graphgrad.proof import induction, residual
from graphgrad.proof.clock import Clock
from graphgrad.proof.question import own_equations, question_of, sizes_of, targets_of
from tests.drawn import SIZES
from tests.strategies import circuits

SECONDS = 20.0
EXAMPLES = max(8, settings.default.max_examples // 8)


def refuted(proof):
    return [claim for claim in proof.claims if claim.verdict == "refuted"]


@settings(max_examples=EXAMPLES)
@given(circuits(flavour="smooth", components=2, wide=True))
@pytest.mark.parametrize("method", ["certificate", "probabilistic", "enclosure"])
def test_generated_circuits(method, drawn):
    circuit = drawn.build()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        sizes = {name: SIZES[name] for name in circuit.sizes}
        try:
            proof = gg.prove(
                circuit, tau=drawn.steps, sizes=sizes, method=method, time_limit=SECONDS
            )
        except DomainError:
            return
    assert not refuted(proof), proof


@settings(max_examples=EXAMPLES)
@given(circuits(flavour="smooth", components=2, max_steps=2))
def test_what_is_proved_at_every_length_is_never_refuted_at_one(drawn):
    circuit = drawn.build()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        sizes = sizes_of(circuit, {name: SIZES[name] for name in circuit.sizes})
        question = question_of(circuit, "loss")
        stated = own_equations(question, targets_of(circuit, "loss", None, claimed=False))
        shown = induction.inductive(question, stated, sizes, Clock())
        try:
            proof = gg.prove(circuit, tau=9, sizes=sizes, method="certificate", time_limit=SECONDS)
        except DomainError:
            return
    assert not refuted(proof)
    assert shown.proved or shown.reason or not proof.ok


# -- the same functions in other words -------------------------------------------------------------

SIGMOIDS = ["sigmoid({})", "1 / (1 + exp(-({})))", "(1 + tanh(({}) / 2)) / 2"]
SLOPES = ["{0} * (1 - {0})", "{0} - {0}**2", "(1 - {0}) * {0}"]
BY_ARGUMENT = [
    "(1 - tanh({0} / 2)**2) / 4",
    "exp(-({0})) / (1 + exp(-({0})))**2",
    "sigmoid({0}) * sigmoid(-({0}))",
    "(1 + tanh({0} / 2)) / 2 * (1 - (1 + tanh({0} / 2)) / 2)",
]
WRONG_BY_ARGUMENT = ["(1 - tanh({0} / 2)**2) / 2", "exp(-({0})) / (1 + exp(-({0})))"]
GATED = """
x[t]: input(D)
y[t]: input(H)
W: param(H, H)
U: param(H, D)
V: param(H, D)
z[t] = W @ h[t-1] + U @ x[t]
g[t] = {gate}
h[t] = g[t] * h[t-1] + (1 - g[t]) * tanh(V @ x[t])
loss = sum(squared_error(h[t], y[t]) for t in steps)
"""
GATE_CLAIMS = {
    "d_h[t]": "h[t] - y[t] + g[t+1] * d_h[t+1] + W.T @ d_z[t+1]",
    "d_g[t]": "(h[t-1] - tanh(V @ x[t])) * d_h[t]",
    "d_W": "sum(outer(d_z[t], h[t-1]) for t in steps)",
    "d_U": "sum(outer(d_z[t], x[t]) for t in steps)",
    "d_V": "sum(outer((1 - tanh(V @ x[t])**2) * (1 - g[t]) * d_h[t], x[t]) for t in steps)",
}


@pytest.mark.parametrize(("gate", "slope"), itertools.product(SIGMOIDS, SLOPES))
def test_gates(gate, slope):
    circuit = gg.parse(GATED.format(gate=gate.format("z[t]")))
    claims = GATE_CLAIMS | {"d_z[t]": f"({slope.format('g[t]')}) * d_g[t]"}
    assert gg.prove(circuit, claims=claims, method="certificate", sizes={"H": 2, "D": 2}).ok


def gated(gate, slope):
    circuit = gg.parse(GATED.format(gate=gate.format("z[t]")))
    return circuit, GATE_CLAIMS | {"d_z[t]": f"({slope.format('z[t]')}) * d_g[t]"}


@pytest.mark.parametrize(("gate", "slope"), itertools.product(SIGMOIDS, BY_ARGUMENT))
def test_gates_with_slopes_by_the_argument(gate, slope, monkeypatch):
    """The polynomials do it alone; SymPy, asked entry by entry, would be slow at this size."""
    monkeypatch.setattr(residual, "_by_sympy", lambda *_: False)
    circuit, claims = gated(gate, slope)
    proof = gg.prove(circuit, claims=claims, method="certificate", tau=6, sizes={"H": 3, "D": 2})
    assert proof.ok, proof


@pytest.mark.parametrize(("gate", "slope"), itertools.product(SIGMOIDS, WRONG_BY_ARGUMENT))
def test_wrong_slopes_by_the_argument(gate, slope):
    circuit, claims = gated(gate, slope)
    proof = gg.prove(circuit, claims=claims, method="certificate", sizes={"H": 2, "D": 1})
    assert len(refuted(proof)) == 3  # W, U, and V by the recurrence


SOFTMAXES = {
    "softmax": "yhat[t] = softmax(o[t])",
    "plain": "e[t] = exp(o[t])\nyhat[t] = e[t] / sum(e[t])",
    "shifted by the largest": "e[t] = exp(o[t] - max(o[t]))\nyhat[t] = e[t] / sum(e[t])",
    "shifted by an entry": "e[t] = exp(o[t] - at(o[t], 0))\nyhat[t] = e[t] / sum(e[t])",
    "by its logarithm": "yhat[t] = exp(o[t] - logsumexp(o[t]))",
}
LOSSES = {
    "cross entropy": "sum(cross_entropy(yhat[t], y[t]) for t in steps)",
    "written out": "-sum(y[t] @ log(yhat[t]) for t in steps)",
    "of logits": "sum(softmax_cross_entropy(o[t], y[t]) for t in steps)",
}
CLASSIFIER = """
x[t]: input(D)
y[t]: distribution(K)
V: param(K, H)
W: param(H, H)
U: param(H, D)
h[t] = tanh(W @ h[t-1] + U @ x[t])
o[t] = V @ h[t]
{softmax}
loss = {loss}
"""
CLASSIFIER_CLAIMS = {
    "d_o[t]": "softmax(o[t]) - y[t]",
    "d_a[t]": "(1 - h[t]**2) * (V.T @ d_o[t] + W.T @ d_a[t+1])",
    "d_V": "sum(outer(d_o[t], h[t]) for t in steps)",
    "d_W": "sum(outer(d_a[t], h[t-1]) for t in steps)",
    "d_U": "sum(outer(d_a[t], x[t]) for t in steps)",
}


@pytest.mark.parametrize("loss", LOSSES)
@pytest.mark.parametrize("softmax", SOFTMAXES)
def test_softmax_with_cross_entropy(softmax, loss):
    circuit = gg.parse(CLASSIFIER.format(softmax=SOFTMAXES[softmax], loss=LOSSES[loss]))
    sizes = {"H": 2, "D": 2, "K": 3}
    proof = gg.prove(circuit, claims=CLASSIFIER_CLAIMS, tau=2, sizes=sizes)
    assert proof.ok, proof
