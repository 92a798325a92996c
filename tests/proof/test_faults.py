"""No wrong gradient is proved, no right one refuted: a slice of the planted faults, every cell."""

import pytest

import graphgrad as gg
from tests.proof.faults import differs, mutants, square

PROVABLE = [name for name in gg.cells.names() if gg.cells.load(name).params]


@pytest.mark.parametrize("name", PROVABLE)
def test_verdicts_agree_with_numbers(name):
    circuit = square(gg.cells.load(name))
    judged = 0
    for position, (kind, claims) in enumerate(mutants(circuit, 4, seed=1)):
        tau = 2 + position % 5
        try:
            errors = differs(circuit, claims, tau, 2)
        except gg.GraphgradError:  # this length has no step at which a condition holds
            continue
        proof = gg.prove(
            circuit, claims=claims, tau=tau, sizes=dict.fromkeys(circuit.sizes, 2),
            method="certificate",
        )  # fmt: skip
        for claim in proof.claims:
            judged += 1
            what = f"{kind} at tau = {tau}: {claim}"
            if errors[claim.by] > 1e-8:
                assert claim.verdict == "refuted", what
            if errors[claim.by] < 1e-13:
                assert claim.verdict != "refuted", what
    assert judged


def test_a_fault_needs_a_length_at_which_it_shows():
    """A truncation after three steps is the gradient at τ = 3 and not at τ = 4."""
    circuit = gg.cells.load("tied")
    claims = {
        "d_a[t]": "(1 - h[t]**2) * d_h[t]",
        "d_h[t]": "h[t] - y[t] + (w * d_a[t+1] if t > tau - 3 else 0)",
        "d_w": "sum(d_a[t] * h[t-1] for t in steps)",
    }
    assert gg.prove(circuit, claims=claims, tau=3).ok
    proof = gg.prove(circuit, claims=claims, tau=4)
    assert proof.verdict == "refuted"
    assert proof.claims[0].fault == "d_h[1]"
