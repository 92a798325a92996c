"""Every rule in the table of ops, proved for every combination of operand shapes, and mutated.

An op stands alone in a circuit whose operands are parameters; a random-looking weight on its value
is the cotangent. The rule is judged twice: by the certificate and by SymPy's own derivative.
"""

from contextlib import contextmanager

import pytest

import graphgrad as gg
from graphgrad.ir import OPS
from tests.ops.cases import CASES, ELSEWHERE, SIZES

STRUCTURE = {
    "expand": "w: param()\nx[t]: input(K)\nh[0] = w\nh[t] = h[t-1] * x[t]\nr = h[tau]",
    "copy": "w: param(K)\nr = w",
    "accumulate": "w: param(K)\nx[t]: input(K)\nr = sum(w * x[t] for t in steps)",
    "lookup": "x[t]: token(K)\nE: param(K, H)\nr = sum(E[x[t]] for t in steps)",
    "lookup of a scalar": "x[t]: token(K)\nv: param(K)\nr = sum(v[x[t]] for t in steps)",
    "onehot": "x[t]: token(K)\nE: param(K, K)\nr = sum(E @ onehot(x[t]) for t in steps)",
    "stop_gradient": "w: param(K)\nr = w * stop_gradient(w * w)",
    "choose and reduce": "w: param(K)\nr = mean(w * w if t % 2 == 0 else w for t in steps)",
}
CIRCUITS = {}
for case in CASES:
    for shapes in case.shapes:
        names = [f"p{k}" for k in range(len(shapes))]
        lines = [f"{n}: param({', '.join(s)})" for n, s in zip(names, shapes, strict=True)]
        key = f"{case.text} of {', '.join('×'.join(s) or 'scalar' for s in shapes)}"
        CIRCUITS[key] = case.op, "\n".join([*lines, f"r = {case.text.format(*names)}"])
CIRCUITS |= {key: (key.split()[0], text) for key, text in STRUCTURE.items()}


def weighted(text):
    """The circuit with a loss in which the value of r has an arbitrary cotangent."""
    circuit = gg.parse(text)
    shape = circuit.check().variables["r"].shape
    weight = f"weight: input({', '.join(map(str, shape))})"
    product = "sum(weight * r)" if shape else "weight * r"
    head = "\n".join(f"{name}: size({size})" for name, size in SIZES.items() if name in text)
    return gg.parse("\n".join([head, weight, text, f"loss = {product}"]).strip())


def test_every_op_with_a_rule_is_here():
    ruled = {name for name, op in OPS.items() if op.vjp is not None}
    assert ruled <= {op for op, _ in CIRCUITS.values()}
    assert {case.op for case in CASES} | ELSEWHERE >= ruled


@pytest.mark.filterwarnings("ignore:.*does not depend on.*")
@pytest.mark.parametrize(("op", "text"), CIRCUITS.values(), ids=CIRCUITS)
def test_certificate(op, text):
    proof = gg.prove(weighted(text), tau=2, method="certificate")
    assert proof.ok, proof


@pytest.mark.filterwarnings("ignore:.*does not depend on.*")
@pytest.mark.parametrize(("op", "text"), CIRCUITS.values(), ids=CIRCUITS)
def test_sympy(op, text):
    """SymPy agrees; of a ** b, real for some a < 0, and of max it has nothing to say."""
    proof = gg.prove(weighted(text), tau=2, method="sympy")
    assert proof.verdict == ("undecided" if op == "max" or "p0 ** p1" in text else "proved")


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
