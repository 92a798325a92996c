"""Cotangents under a person's own names: recognised, so that equations are judged one by one."""

import pytest

import graphgrad as gg

ELMAN = gg.parse(
    """x[t]: input(D)
y[t]: input(K)
W: param(H, H)
U: param(H, D)
V: param(K, H)
a[t] = W @ h[t-1] + U @ x[t]
h[t] = tanh(a[t])
o[t] = V @ h[t]
loss = sum(squared_error(o[t], y[t]) for t in steps)
""",
    name="elman",
)
RIGHT = """δo[t] = o[t] - y[t]
δh[t] = V.T @ δo[t] + W.T @ δa[t+1]
δa[t] = (1 - h[t]**2) * δh[t]
d_W = sum(outer(δa[t], h[t-1]) for t in steps)
d_U = sum(outer(δa[t], x[t]) for t in steps)
d_V = sum(outer(δo[t], h[t]) for t in steps)
"""
FOLDED = """p[t] = (1 - h[t]**2) * (V.T @ (o[t] - y[t]) + W.T @ p[t+1])
d_W = sum(outer(p[t], h[t-1]) for t in steps)
"""


def wrong(proof):
    """The equations that are wrong by themselves, with the likely cause."""
    return {each.name: each.cause for each in proof.equations if not each.holds}


@pytest.mark.parametrize("claims", [RIGHT, RIGHT.replace("δ", "g_"), FOLDED])
def test_whatever_they_are_called_the_proof_is_for_every_length(claims):
    assert all(claim.every for claim in gg.prove(ELMAN, claims=claims).claims)


@pytest.mark.parametrize(
    ("right", "slip", "name", "cause"),
    [
        ("W.T @ δa", "W @ δa", "δh[t]", "δh[t] multiplies by W instead of W.T"),
        (" + W.T @ δa[t+1]", "", "δh[t]", "δh[t] lacks the term W.T @ δa[t+1]"),
        ("δa[t+1]", "δa[t+2]", "δh[t]", "δh[t] reads δa[t+2] where δa[t+1] belongs"),
        ("o[t] - y", "y[t] - o[t] + 0 * y", "δo[t]", "δo[t] has the wrong sign"),
        ("= o[t] - y[t]", "= 2 * (o[t] - y[t])", "δo[t]", "δo[t] is taken times 2"),
        ("h[t]**2)", "h[t-1]**2)", "δa[t]", "δa[t] reads h[t-1] where h[t] belongs"),
        ("1 - h[t]**2", "1 - tanh(h[t])**2", "δa[t]",
         "in δa[t], 1 - tanh(h[t])**2 stands where 1 - h[t]**2 belongs"),
        ("δa[t], h[t-1]", "δa[t], h[t]", "d_W", "d_W reads h[t] where h[t-1] belongs"),
    ],
)  # fmt: skip
def test_a_slip_is_told_in_the_names_of_the_claims(right, slip, name, cause):
    assert right in RIGHT
    proof = gg.prove(ELMAN, claims=RIGHT.replace(right, slip, 1))
    assert proof.verdict == "refuted"
    found = wrong(proof)
    assert list(found) == [name]
    if name != "δo[t]" or "sign" not in cause:  # y - o is called that, or the wrong sign
        assert found[name] == cause
    fault = next(claim.fault for claim in proof.claims if claim.verdict == "refuted")
    assert fault.startswith(name.partition("[")[0])


def test_what_is_no_recurrence_is_not_blamed_for_being_right_at_the_last_step_only():
    claims = """ε[t] = V.T @ (o[t] - y[t])
δ[t] = (1 - h[t]**2) * (ε[t] + W.T @ δ[t+1])
d_W = sum(outer(δ[t], h[t]) for t in steps)
d_U = sum(outer(δ[t], x[t]) for t in steps)
"""
    proof = gg.prove(ELMAN, claims=claims)
    assert list(wrong(proof)) == ["d_W"]
    assert "ε" not in str(proof).partition("right, given")[0]


def test_a_slip_that_is_no_single_change_is_found_where_it_is():
    claims = FOLDED.replace("(V.T @ (o[t] - y[t]) + W.T @ p[t+1])", "(V.T @ (o[t] - y[t]))")
    claims = claims.replace("\nd_W", " + W.T @ p[t+1]\nd_W")
    proof = gg.prove(ELMAN, claims=claims)
    (each,) = [each for each in proof.equations if not each.holds]
    assert each.name == "p[t]"
    assert "p_3_0" in each.residual


def test_a_proof_with_own_names_is_checked_again():
    assert gg.prove(ELMAN, claims=RIGHT).recheck().ok
