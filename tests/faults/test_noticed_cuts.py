"""What nothing noticed before the truncations were mutated: which copies, and what is refused."""

import warnings
from fractions import Fraction

import pytest

import graphgrad as gg
from graphgrad.adjoint import GradientWarning
from graphgrad.conditions import ALWAYS, NEVER
from graphgrad.errors import GradientError
from tests.truncated import truncations_keep

GIVEN = "x[t]: input()\nw: param()\nu: param()\n"
SOME = {"w": Fraction(1, 2), "u": Fraction(3), "x": [1, 2, 3, 4]}


@pytest.mark.parametrize(
    ("text", "is_one_sweep"),
    [
        ("g[t] = u * x[t]\nh[t] = w * h[t-1] + w * h[t-2] + g[t-1]", True),
        ("g[t] = w * x[t]\nh[t] = u * h[t+1] + g[t]", True),
        ("s = sum(w * x[t] for t in steps)\nh[t] = s * x[t] * u", False),
        ("s = sum(w * x[t] for t in steps)\np[t] = u * x[t]\nq[t] = w * x[t]\n"
         "h[t] = p[t] + q[t] + s", False),
        ("s = sum(w * x[t] for t in steps)\np[t] = u * x[t]\nq[t] = w * x[t]\n"
         "h[t] = s + q[t] + p[t]", False),
        ("g[t] = w * g[t-1] + x[t]\nh[t] = u * g[tau] * x[t]", False),
    ],
)  # fmt: skip
def test_what_is_one_sweep(text, is_one_sweep):
    circuit = gg.parse(GIVEN + text + "\nloss = sum(h[t] for t in steps)")
    for k in (1, 2, 3):
        counts = truncations_keep(circuit, circuit.unfold(4), SOME, k)
        assert counts["equal" if is_one_sweep else "mask only"] == 2


def test_a_loss_that_reads_with_a_delay():
    circuit = gg.parse(GIVEN + "h[t] = w * h[t-1] + u * x[t]\nloss = sum(h[t-1] for t in steps)")
    for k in (1, 2):
        assert truncations_keep(circuit, circuit.unfold(4), SOME, k)["equal"] == 2


def test_a_sum_within_a_step_is_refused():
    text = "s: steps(m)\nt: steps(n)\ny[s]: input()\nx[t]: input()\nw: param()\nu: param()\n"
    text += "h[t] = u * x[t] * sum(w * y[s] for s in steps)\nloss = sum(h[t] for t in steps)"
    with pytest.raises(GradientError, match="leaves the steps and enters them again"):
        gg.parse(text).adjoint(truncate=gg.window(2))


@pytest.mark.parametrize(
    ("text", "truncation", "expected"),
    [
        ("s = u * w\ng[t] = s * x[t]\nh[t] = w * h[t-1] + g[t]", gg.window(2),
         {"d_g", "d_h", "d_h__0", "d_h__1", "d_s"}),
        ("b[0] = u\nb[t] = x[t]\ng[t] = b[t-1] * x[t]\nh[t] = w * h[t-1] + g[t]", gg.window(2),
         {"d_g", "d_h", "d_h__0", "d_h__1", "d_b_0"}),
        ("x[0] = u\nh[t] = w * h[t-1] + x[t-1]", gg.window(2),
         {"d_h", "d_h__1", "d_x_0", "d_h__0"}),
        ("g[t] = u * x[t]\nh[t] = w * x[t] + g[t-1]", gg.window(1), set()),
        ("g[t] = u * x[t]\nh[t] = w * x[t] + g[t-1]", gg.chunks(1), set()),
        ("k[t] = w * x[t]\ng[t] = u * x[t]\nh[t] = k[t-1] + g[t-3] * x[t-1] + x[t-3] * k[t]",
         gg.chunks(2), {"d_k"}),
        ("g[t] = u * h[t-1] + x[t]\nh[t] = w * g[t-1] + x[t]", gg.window(1), {"d_h"}),
        ("g[t] = u * h[t-1] + x[t]\nh[t] = w * g[t-1] + x[t]", gg.chunks(1), {"d_h"}),
        ("h[t] = x[t]", gg.window(2), set()),
    ],
)  # fmt: skip
def test_no_more_copies_than_need_be(text, truncation, expected):
    circuit = gg.parse(GIVEN + text + "\nloss = sum(h[t] for t in steps)")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", GradientWarning)
        adjoint = circuit.adjoint(truncate=truncation)
    found = {name for name in adjoint.variables if name.startswith("d_")}
    assert found - {"d_w", "d_u"} == expected
    if "x[0]" in text:
        assert "d_x_0 = d_h[1]\n" in str(adjoint)


def test_where_chunks_are_cut():
    assert [gg.chunks(2).kept("t", lag) for lag in (-3, -2, 0, 2)] == [NEVER, NEVER, ALWAYS, NEVER]
