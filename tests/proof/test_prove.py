"""Proofs of the gallery, and of claims that are right or wrong."""

import numpy as np
import pytest

import graphgrad as gg
from graphgrad.proof.prove import ProofError
from tests.proof.own_claims import backward

PROVABLE = [name for name in gg.cells.names() if gg.cells.load(name).params]
ELMAN = gg.cells.load("elman")


def certified(circuit, claims, claim):
    """Whether the claim and the reverse sweep differ at the witness, by what the bounds say."""
    opened, values = circuit.open(), claim.values()
    indexed = next(name for name, declared in opened.inputs.items() if declared.index)
    tau = len(values[indexed])
    sizes = {name: 2 for name, size in opened.sizes.items() if size is None}
    text = "\n".join(f"{left} = {right}" for left, right in claims.items())
    stated = opened.extend(text).unfold(tau, **sizes).evaluate(values)[claim.name]
    gradient = opened.unfold(tau, **sizes).grad(wrt=[claim.by]).evaluate(values)[claim.name]
    low, high = map(float, claim.difference)
    assert low > 0 or high < 0
    return low - 1e-9 <= (stated - gradient)[claim.entry] <= high + 1e-9


# -- what the library derives ----------------------------------------------------------------------


@pytest.mark.parametrize(("tau", "size"), [(2, 2), (3, 1)])
@pytest.mark.parametrize("name", PROVABLE)
def test_gallery_is_proved(name, tau, size):
    """By all methods together; `test_certificate.py` goes to n = 3 and six steps."""
    circuit = gg.cells.load(name)
    proof = gg.prove(circuit, tau=tau, sizes=dict.fromkeys(circuit.sizes, size))
    assert proof.ok, proof
    assert proof.verdict == "proved"
    origins = {claim.origin for claim in proof.claims}
    assert origins == {"adjoint equations", "reverse sweep on the unfolded graph"}
    assert {claim.by for claim in proof.claims} == set(circuit.params)


def test_the_rest_of_the_gallery_says_why_not():
    (name,) = set(gg.cells.names()) - set(PROVABLE)
    with pytest.raises(ProofError, match="fixed_point has no parameter and no loss"):
        gg.prove(gg.cells.load(name))


def test_gradients_by_inputs():
    proof = gg.prove(gg.cells.load("per_step"), wrt=["w", "u", "h0"], tau=3)
    assert proof.ok
    assert [claim.entries for claim in proof.claims[:3]] == [3, 1, 1]


def test_gradients_by_boundary_values():
    assert gg.prove(ELMAN, wrt=["h_0"]).ok


@pytest.mark.parametrize("loss", ["L", "h", "yhat"])
@pytest.mark.filterwarnings("ignore:.*does not depend on.*")
def test_losses_that_are_not_one_number(loss):
    """They are multiplied by an upstream cotangent."""
    proof = gg.prove(ELMAN, loss, tau=2)
    assert proof.ok
    assert f"(Σ seed_{loss}·{loss})" in proof.claims[0].truth


def test_static_vector_loss():
    circuit = gg.parse("W: param(N, N)\nx: input(N)\ny = tanh(W @ x)")
    assert gg.prove(circuit, "y").ok
    assert gg.prove(circuit, "y", claims={"d_W": "outer((1 - y * y) * seed_y, x)"}).ok
    assert gg.prove(circuit, "y", claims={"d_W": "outer(1 - y * y, x)"}).verdict == "refuted"


def test_names_that_begin_like_cotangents():
    circuit = gg.parse("d_x: input()\nW: param()\nloss = squared_error(W * d_x, 1)")
    assert [claim.name for claim in gg.prove(circuit).claims] == ["dd_W", "dd_W"]
    assert gg.prove(circuit, claims={"dd_W": "(W * d_x - 1) * d_x"}).ok


@pytest.mark.parametrize("sizes", [{"H": 1, "D": 1, "K": 1}, {"H": 3, "D": 2, "K": 3}, {"H": 1}])
def test_sizes(sizes):
    proof = gg.prove(ELMAN, tau=2, sizes=sizes)
    assert proof.ok
    assert proof.sizes == {"H": 2, "D": 2, "K": 2} | sizes


def test_lengths_by_index():
    circuit = gg.cells.load("encoder_decoder")
    lengths = {name: 2 + k for k, name in enumerate(circuit.indices)}
    assert gg.prove(circuit, tau=lengths).tau == lengths


def test_what_is_left_out_is_said():
    assumed = "\n".join(gg.prove(ELMAN, tau=2).assumptions)
    assert "the entries of y sum to 1" in assumed
    assert "h_0 are arbitrary" in assumed
    assert "p > 0" in assumed
    tokens = "\n".join(gg.prove(gg.cells.load("many_to_one"), tau=2).assumptions)
    assert "is a token: proved for every row of weights with sum 1" in tokens
    kinks = "\n".join(gg.prove(gg.cells.load("relu_rnn"), tau=2).assumptions)
    assert "no relu stands at its kink" in kinks


@pytest.mark.parametrize(
    ("formula", "told"),
    [
        ("w**2 * x[t] / 6 / tau + x[t] / t", ()),
        ("sum(v) / H * x[t]", ()),
        ("x[t] / w", ("div",)),
        ("x[t] / 2 / (w + 1)", ("div",)),
        ("w**0.5 * x[t]", ("pow",)),
        ("w**(-2) * x[t]", ("pow",)),
        ("sqrt(w) * x[t]**3", ("sqrt",)),
    ],
)
def test_domains_are_named_where_they_leave_something_out(formula, told):
    circuit = gg.parse(
        f"x[t]: input()\nw: param()\nv: param(H)\nh[t] = {formula} + sum(v)\nloss = h[tau]"
    )
    assumed = gg.prove(circuit, tau=2, wrt=["v"], method="certificate").assumptions
    said = [each.split()[1] for each in assumed if "inside its domain" in each]
    assert said == list(told)


ROOT = """
x[t]: input()
w: param()
h[t] = tanh(w * x[t] + h[t-1])
loss = sum(h[t]**2 for t in steps)
"""
BACK = """
d_h[t] = 2 * h[t] + s[t+1]
s[t] = (1 - h[t]**2) * d_h[t]
d_w = sum(s[t] * x[t] for t in steps)
"""


def test_domains_of_the_claims_are_named_too():
    plain = gg.prove(gg.parse(ROOT), claims=BACK)
    assert plain.ok
    assert not any("of the claims" in each for each in plain.assumptions)
    roundabout = BACK.replace("2 * h[t]", "2 * exp(log(h[t]))")
    proof = gg.prove(gg.parse(ROOT), claims=roundabout)
    assert proof.ok
    assert "every log of the claims is inside its domain (u > 0)" in proof.assumptions


@pytest.mark.parametrize("method", ["auto", "certificate", "induction", "sympy"])
@pytest.mark.parametrize("nothing", ["0 * sqrt(-1 - w**2)", "(log(-w**2) - log(-w**2))"])
def test_claims_that_have_a_value_nowhere_are_not_proved(method, nothing):
    claims = BACK.replace("d_w = ", f"d_w = {nothing} + ")
    (claim,) = gg.prove(gg.parse(ROOT), claims=claims, method=method).claims
    assert claim.verdict == "undecided"
    assert "at none of 12 random points" in claim.reason
    assert not claim.every


def test_claims_without_a_value_where_the_gradient_has_none_are_proved():
    circuit = gg.parse("w: param()\nh[t] = log(-1 - w**2) + h[t-1]\nloss = h[tau]")
    own = gg.prove(circuit, claims="d_w = sum(-2 * w / (-1 - w**2) for t in steps)")
    assert own.ok, str(own)


# -- claims that are right, written in other ways --------------------------------------------------

SAME = {
    "another order": {"d_h[t]": "W.T @ d_a[t+1] + V.T @ d_o[t]"},
    "factored": {"d_a[t]": "(1 - h[t]) * (1 + h[t]) * d_h[t]"},
    "expanded": {"d_a[t]": "d_h[t] - h[t] * h[t] * d_h[t]"},
    "slope of tanh by exponentials": {
        "d_a[t]": "4 * exp(2 * a[t]) / (exp(2 * a[t]) + 1)**2 * d_h[t]"
    },
    "tanh by the logistic function": {
        "d_a[t]": "4 * sigmoid(2 * a[t]) * sigmoid(-2 * a[t]) * d_h[t]"
    },
    "softmax unmerged": {
        "d_yhat[t]": "-y[t] / yhat[t]",
        "d_o[t]": "yhat[t] * (d_yhat[t] - sum(yhat[t] * d_yhat[t]))",
    },
    "softmax by exponentials": {"d_o[t]": "exp(o[t]) / sum(exp(o[t])) - y[t]"},
    "softmax for any target": {"d_o[t]": "yhat[t] * sum(y[t]) - y[t]"},
    "transposed outer product": {"d_W": "sum(outer(h[t-1], d_a[t]) for t in steps).T"},
    "one step ahead": {
        "d_W": "outer(d_a[1], h[0]) + sum(outer(d_a[t+1], h[t]) for t in steps if t < tau)"
    },
    "mean times the number of steps": {"d_b": "tau * mean(d_a[t] for t in steps)"},
    "accumulated in a loop": {
        "acc[t]": "acc[t+1] + outer(d_a[t], h[t-1])",
        "d_W": "acc[1]",
        "acc[tau+1]": "0",
    },
    "one equation for two": {
        "d_a[t]": "(1 - h[t]**2) * (V.T @ d_o[t] + W.T @ d_a[t+1])",
        "d_h[t]": "zeros(H)",
    },
}


@pytest.mark.parametrize("change", SAME.values(), ids=SAME)
def test_right_claims_are_proved(change):
    proof = gg.prove(ELMAN, claims=backward(ELMAN) | change, tau=2)
    assert proof.ok, proof
    assert not proof.unclaimed
    assert {claim.origin for claim in proof.claims} == {"claimed"}


LOGISTIC = """
x[t]: input(D)
y[t]: input(H)
W: param(H, H)
U: param(H, D)
z[t] = W @ h[t-1] + U @ x[t]
h[t] = {}
loss = sum(squared_error(h[t], y[t]) for t in steps)
"""


@pytest.mark.parametrize("written", ["sigmoid(z[t])", "1 / (1 + exp(-z[t]))"])
@pytest.mark.parametrize(
    "slope",
    [
        "h[t] * (1 - h[t])",
        "exp(-z[t]) / (1 + exp(-z[t]))**2",
        "sigmoid(z[t]) * sigmoid(-z[t])",
        "(1 - tanh(z[t] / 2)**2) / 4",
    ],
)
def test_the_logistic_function_in_other_words(written, slope):
    claims = {
        "d_h[t]": "h[t] - y[t] + W.T @ d_z[t+1]",
        "d_z[t]": f"{slope} * d_h[t]",
        "d_W": "sum(outer(d_z[t], h[t-1]) for t in steps)",
        "d_U": "sum(outer(d_z[t], x[t]) for t in steps)",
    }
    assert gg.prove(gg.parse(LOGISTIC.format(written)), claims=claims).ok


# -- claims that are wrong -------------------------------------------------------------------------

WRONG = {
    "sign": {"d_W": "-sum(outer(d_a[t], h[t-1]) for t in steps)"},
    "factor": {"d_U": "2 * sum(outer(d_a[t], x[t]) for t in steps)"},
    "small factor": {"d_V": "1.000001 * sum(outer(d_o[t], h[t]) for t in steps)"},
    "W instead of its transpose": {"d_h[t]": "V.T @ d_o[t] + W @ d_a[t+1]"},
    "outer product the wrong way round": {"d_W": "sum(outer(h[t-1], d_a[t]) for t in steps)"},
    "h[t] for h[t-1]": {"d_W": "sum(outer(d_a[t], h[t]) for t in steps)"},
    "first step dropped": {"d_W": "sum(outer(d_a[t], h[t-1]) for t in steps if t > 1)"},
    "last step dropped": {"d_V": "sum(outer(d_o[t], h[t]) for t in steps if t < tau)"},
    "average for sum": {"d_W": "mean(outer(d_a[t], h[t-1]) for t in steps)"},
    "no recurrence": {"d_h[t]": "V.T @ d_o[t]"},
    "truncated after two steps": {
        "d_h[t]": "V.T @ d_o[t] + W.T @ ((1 - h[t+1]**2) * (V.T @ d_o[t+1]))"
    },
    "two steps at once": {"d_h[t]": "V.T @ d_o[t] + W.T @ d_a[t+2]"},
    "output forgotten": {"d_h[t]": "(V.T @ d_o[t] if t == tau else 0) + W.T @ d_a[t+1]"},
    "bias of one step": {"d_b": "d_a[1]"},
    "bias of the last step": {"d_c": "d_o[tau]"},
    "slope without the square": {"d_a[t]": "(1 - h[t]) * d_h[t]"},
    "slope at the activation": {"d_a[t]": "(1 - a[t]**2) * d_h[t]"},
    "slope of the logistic function": {"d_a[t]": "h[t] * (1 - h[t]) * d_h[t]"},
    "slope forgotten": {"d_a[t]": "d_h[t]"},
    "softmax without its sum": {"d_o[t]": "yhat[t] * (-y[t] / yhat[t])"},
    "target forgotten": {"d_o[t]": "yhat[t]"},
    "wrong input": {"d_U": "sum(outer(d_a[t], x[t-1]) for t in steps)"},
    "zero": {"d_W": "zeros(H, H)"},
}


@pytest.mark.parametrize("change", WRONG.values(), ids=WRONG)
def test_wrong_claims_are_refuted(change):
    claims = backward(ELMAN) | change
    proof = gg.prove(ELMAN, claims=claims)
    assert proof.verdict == "refuted"
    assert not proof.ok
    refuted = [claim for claim in proof.claims if claim.verdict == "refuted"]
    direct = {left[2:] for left in change} & set(ELMAN.params)
    if direct:  # a wrong equation for one gradient leaves the others alone
        assert {claim.by for claim in refuted} == direct
    for claim in refuted:
        assert certified(ELMAN, claims, claim)


def test_yhat_minus_y_needs_a_distribution():
    """Where y is just an input, the slope is yhat[t] * sum(y[t]) - y[t]."""
    text = str(ELMAN).replace("distribution(K)", "input(K)")
    circuit = gg.parse(text)
    claims = backward(ELMAN)
    proof = gg.prove(circuit, claims=claims)
    assert proof.verdict == "refuted"
    assert certified(circuit, claims, proof.claims[0])
    assert gg.prove(circuit, claims=claims | {"d_o[t]": "yhat[t] * sum(y[t]) - y[t]"}).ok


def test_witnesses_are_valid_data():
    """Targets are inside the simplex, tokens are tokens, and everything has a value."""
    proof = gg.prove(ELMAN, claims={"d_W": "zeros(H, H)"})
    values = proof.claims[0].values()
    assert set(values) == {*ELMAN.params, *ELMAN.inputs, "h_0"}
    assert (values["y"] > 0).all()
    assert np.allclose(values["y"].sum(axis=1), 1)
    circuit = gg.cells.load("hidden_markov_model")
    claims = {"d_q": "softmax(q)"}
    (claim,) = gg.prove(circuit, claims=claims, tau=2).claims
    values = claim.values()
    assert values["x"].dtype.kind == "i"
    assert certified(circuit, claims, claim)


def test_equal_at_every_token_is_not_refuted():
    """A token's unit vector equals its square, a row of weights does not: no wrong verdict."""
    circuit = gg.parse("x[t]: token(N)\nv: param(N)\nloss = sum(v @ onehot(x[t]) for t in steps)")
    assert gg.prove(circuit, claims={"d_v": "sum(onehot(x[t]) for t in steps)"}).ok
    proof = gg.prove(circuit, claims={"d_v": "sum(onehot(x[t])**2 for t in steps)"})
    assert proof.verdict == "undecided"


LSTM_WRONG = {
    "wrong gate": {"d_g[t]": "f[t] * d_c[t]"},
    "forget gate of this step": {"d_c[t]": "o[t] * (1 - tanh(c[t])**2) * d_h[t] + f[t] * d_c[t+1]"},
    "missing path through the cell": {"d_c[t]": "o[t] * (1 - tanh(c[t])**2) * d_h[t]"},
    "output gate missing": {"d_c[t]": "(1 - tanh(c[t])**2) * d_h[t] + f[t+1] * d_c[t+1]"},
    "cell of this step": {"d_f[t]": "c[t] * d_c[t]"},
}


@pytest.mark.parametrize("change", LSTM_WRONG.values(), ids=LSTM_WRONG)
def test_wrong_lstm_claims_are_refuted(change):
    circuit = gg.cells.load("lstm")
    claims = backward(circuit)
    assert set(change) <= set(claims)
    proof = gg.prove(circuit, claims=claims | change, tau=2)
    assert proof.verdict == "refuted"
