"""What is known of a backward pass, and claims as they are before anything is known."""

import pytest

import graphgrad as gg
from graphgrad.proof.findings import Fault, Findings, blank, shape_of, shape_of_gradient, unanswered
from graphgrad.proof.question import own_equations, question_of, sizes_of
from graphgrad.proof.result import Claim

CIRCUIT = gg.parse(
    "s: steps(m)\nt: steps(n)\nu[s]: input(K)\nx[t]: input()\nw: param()\nM: param(H, K)\n"
    "q: input(H)\nz[s] = tanh(M @ u[s] + q)\nh[t] = w * h[t-1] + x[t] * sum(z[m])\nloss = h[n]"
)
SIZES = {"H": 2, "K": 3}
ENTRIES = {"u": (4, 3), "x": (5,), "w": (), "M": (2, 3), "q": (2,)}


@pytest.fixture(scope="module")
def asked():
    question = question_of(CIRCUIT, "loss")
    stated = own_equations(question, list(ENTRIES))
    return question, stated.side({"s": 4, "t": 5}, sizes_of(CIRCUIT, SIZES))


@pytest.mark.parametrize(
    ("fault", "text"),
    [
        (Fault(("h", 2), (0, 1), "…"), "d_h[2] entry [0, 1]"),
        (Fault(("h", 0), (), "…"), "d_h[0]"),
        (Fault(("W", None), (1,), "…"), "d_W entry [1]"),
        (Fault(("w", None), (), "…"), "d_w"),
    ],
)
def test_where_a_fault_is(fault, text):
    assert fault.text("d_{}".format) == text


def test_what_is_left_is_neither_proved_nor_refuted():
    refuted = Claim("d_b", "∂loss/∂b", "claimed", "refuted", 1)
    assert Findings({"a"}, {"b": refuted}).left("dcba") == ["d", "c"]


@pytest.mark.parametrize(("name", "shape"), ENTRIES.items())
def test_shapes_have_the_time_of_their_own_index_first(asked, name, shape):
    question, side = asked
    assert shape_of_gradient(side.dag, name) == shape
    indexed = name in ("u", "x")
    assert shape_of(side.dag, name) == shape[indexed:]
    claim = blank(question, side, name)
    assert (claim.name, claim.truth, claim.by) == (f"d_{name}", f"∂loss/∂{name}", name)
    assert (claim.indexed, claim.verdict) == (indexed, "proved")


@pytest.mark.parametrize("name", ENTRIES)
def test_claims_without_equations_have_as_many_entries(asked, name):
    question, side = asked
    found = unanswered(question, "claimed", name, {"s": 4, "t": 5}, side.dag.sizes, "too late")
    known = blank(question, side, name)
    assert (found.entries, found.indexed, found.truth) == (
        known.entries,
        known.indexed,
        known.truth,
    )
    assert (found.verdict, found.reason, found.origin) == ("undecided", "too late", "claimed")


def test_names_that_are_taken_change_the_prefix():
    question = question_of(gg.parse("d_w: param()\nw: param()\nloss = w * d_w"), "loss")
    assert unanswered(question, "claimed", "w", 1, {}, "").name == "dd_w"


def test_states_are_variables_with_shapes_too(asked):
    assert shape_of(asked[1].dag, "z") == (2,)
