"""Slips at slopes, gates, softmax and divisions, as changes of equations."""

import pytest

from graphgrad.proof.check_mutants import mutants
from graphgrad.proof.check_wide import quotients

SHAPES = dict.fromkeys(("h", "f", "p", "n", "u"), ("H",))


def changes(*equations):
    named = {each.partition(" = ")[0].partition("[")[0]: each for each in equations}
    return {each.cause: each.text for each in mutants(named, SHAPES)}


@pytest.mark.parametrize(
    ("equations", "cause", "text"),
    [
        (["d_s[t] = p[t] * (d_p[t] - sum(d_p[t] * p[t]))"],
         "d_s[t] takes d_p[t] * p[t] for sum(d_p[t] * p[t]): the diagonal alone",
         "d_s[t] = p[t] * (d_p[t] - d_p[t] * p[t])"),
        (["d_m[t] = p[t] + d_Z", "d_Z = -sum(p[t] * h[t] for t in steps)"],
         "d_m[t] takes -(p[t] * h[t]) for d_Z, the sum over all steps: the diagonal alone",
         "d_m[t] = p[t] + -(p[t] * h[t])"),
        (["d_h[t] = (1 - f[t+1]) * d_h[t+1]"],
         "in d_h[t], f[t+1] stands where 1 - f[t+1] belongs",
         "d_h[t] = f[t + 1] * d_h[t + 1]"),
        (["d_h[t] = f[t+1] * d_h[t+1]"],
         "in d_h[t], 1 - f[t+1] stands where f[t+1] belongs",
         "d_h[t] = (1 - f[t + 1]) * d_h[t + 1]"),
        (["d_a[t] = d_h[t] * (1 - h[t]**2)"],
         "d_a[t] applies the slope 1 - h[t]**2 twice",
         "d_a[t] = d_h[t] * (1 - h[t] ** 2) * (1 - h[t] ** 2)"),
        (["d_V = sum(outer(d_a[t], h[t]) for t in steps)", "d_a[t] = d_h[t] * (1 - h[t]**2)"],
         "d_V applies the slope 1 - h[t]**2 again, which d_a[t] has already",
         "d_V = sum((outer(d_a[t] * (1 - h[t] ** 2), h[t]) for t in steps))"),
        (["d_h[t] = W.T @ d_a[t+1]"], "d_h[t] reads d_a[t+2] where d_a[t+1] belongs",
         "d_h[t] = W.T @ d_a[t + 2]"),
        (["d_h[t] = W.T @ d_a[t+2]"], "d_h[t] reads d_a[t+1] where d_a[t+2] belongs",
         "d_h[t] = W.T @ d_a[t + 1]"),
    ],
)  # fmt: skip
def test_slips(equations, cause, text):
    assert changes(*equations)[cause] == text


def test_what_comes_through_a_quotient_may_not_be_divided():
    (mutant,) = quotients({"d_n": "d_n[t] = g * d_u[t]"}, {"n": "n[t] = u[t] / s[t]"}, "d_")
    assert mutant.cause == "what comes through n[t] lacks the division by s[t]"
    assert mutant.text == "d_n[t] = g * d_u[t] * s[t]"
