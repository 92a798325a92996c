"""Proofs of the gallery, of claims that are right or wrong, and of rules that are broken."""

import json
from contextlib import contextmanager

import numpy as np
import pytest

import graphgrad as gg
from graphgrad.ir import OPS
from graphgrad.proof.prove import ProofError

PROVABLE = [name for name in gg.cells.names() if gg.cells.load(name).params]
ELMAN = gg.cells.load("elman")


def backward(circuit, **options):
    """The library's own backward equations, left sides with their right sides."""
    own = set(str(circuit).splitlines())
    lines = [line for line in str(circuit.adjoint(**options)).splitlines() if line not in own]
    return dict(line.split(" = ", 1) for line in lines if " = " in line)


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


# -- requests that make no sense -------------------------------------------------------------------


@pytest.mark.parametrize(
    ("claims", "error", "message", "remedy"),
    [
        ("", ProofError, "no gradient of", "d_U"),
        ({}, ProofError, "no gradient of", "d_U"),
        ("d_h[t] = h[t]", ProofError, "no gradient of", "d_U"),
        ("d_w = zeros(H, H)", ProofError, "gradient of nothing: elman has no w", "mean W?"),
        ("d_W = 0", gg.ShapeError, "d_W has shape scalar, but W", "zeros(H, H)"),
        ("d_W = zeros(H)", gg.ShapeError, r"d_W has shape \(H\)", "shape of what"),
        ("d_V = zeros(H, K)", gg.ShapeError, r"d_V has shape \(H, K\), but V", "transpose"),
        ("d_W[t] = zeros(H, H)", gg.ShapeError, "one value for all steps", "for d_W"),
        ("d_x = zeros(D)", gg.ShapeError, "one value per step", "d_x[t]"),
        ("d_y[t] = zeros(K)", ProofError, "entries of y sum to 1", "input"),
        ("d_W = sum(", gg.NotationError, "never closed", ""),
        ("d_W = Q", gg.UnknownNameError, "Q is not declared", ""),
        ("h[t] = 0", gg.NameClashError, "equation already", ""),
        ("d_W = __import__('os')", gg.GraphgradError, "", ""),
    ],
)
def test_claims_that_make_no_sense(claims, error, message, remedy):
    with pytest.raises(error, match=message) as caught:
        gg.prove(ELMAN, claims=claims)
    assert remedy in (caught.value.remedy or "")
    if isinstance(claims, str) and claims and "no gradient of" not in message:
        assert caught.value.place.line == 1
        assert caught.value.place.source == "claims"


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"loss": "los"}, ProofError, "no los to differentiate"),
        ({"wrt": "Q"}, gg.UnknownNameError, "Q is not declared"),
        ({"wrt": []}, ProofError, "names nothing"),
        ({"wrt": "y"}, ProofError, "sum to 1"),
        ({"wrt": "h"}, gg.UnknownNameError, "h is not declared"),
        ({"tau": 0}, gg.DataError, "tau = 0"),
        ({"tau": -1}, gg.DataError, "tau = -1"),
        ({"tau": {"s": 2}}, gg.GraphgradError, "s is not declared"),
        ({"sizes": {"H": 0}}, gg.DataError, "H = 0"),
        ({"sizes": {"Q": 2}}, gg.GraphgradError, "Q is not declared"),
        ({"method": "magic"}, ProofError, "not a method of proof"),
    ],
)
def test_requests_that_make_no_sense(options, error, message):
    with pytest.raises(error, match=message) as caught:
        gg.prove(ELMAN, **options)
    assert caught.value.remedy


def test_no_derivative_by_a_token():
    with pytest.raises(ProofError, match="tokens"):
        gg.prove(gg.cells.load("many_to_one"), wrt=["x"])


def test_text_and_dict_are_the_same():
    claims = backward(ELMAN)
    text = "\n".join(f"{left} = {right}  # by hand" for left, right in claims.items())
    told, listed = gg.prove(ELMAN, claims=text), gg.prove(ELMAN, claims=claims)
    assert told.claims == listed.claims


def test_what_is_claimed_and_what_is_not():
    everything = backward(ELMAN)
    claims = {left: right for left, right in everything.items() if left not in ("d_U", "d_c")}
    proof = gg.prove(ELMAN, claims=claims)
    assert proof.ok
    assert proof.unclaimed == ("U", "c")
    assert "nothing is claimed about U, c" in str(proof)
    proof = gg.prove(ELMAN, claims=claims | {"d_W": "zeros(H, H)"}, wrt="V")
    assert proof.ok, "only V is asked about"
    assert [claim.by for claim in proof.claims] == ["V"]


def test_claims_about_inputs_and_boundaries_are_judged():
    claims = backward(ELMAN) | {"d_x[t]": "U.T @ d_a[t]", "d_h_0": "W.T @ d_a[1]"}
    proof = gg.prove(ELMAN, claims=claims)
    assert proof.ok
    assert {"x", "h_0"} <= {claim.by for claim in proof.claims}
    proof = gg.prove(ELMAN, claims=claims | {"d_x[t]": "U.T @ d_a[t] if t > 1 else 0"})
    (claim,) = [claim for claim in proof.claims if claim.verdict == "refuted"]
    assert claim.where == "d_x[1] entry [0]"


def test_no_time_is_undecided():
    proof = gg.prove(ELMAN, time_limit=0)
    assert proof.verdict == "undecided"
    assert not proof.ok
    assert "the time limit was reached" in str(proof)
    assert json.loads(proof.to_json())["verdict"] == "undecided"


# -- rules that are broken -------------------------------------------------------------------------

NET = """
x[t]: input(H)
y[t]: input(H)
W: param(H, H)
{}
loss = sum(squared_error(h[t], y[t]) for t in steps)
"""
SCALAR = """
x[t]: input()
w: param()
{}
loss = sum(h[t] for t in steps)
"""


def net(right, kind=NET):
    return kind.format(f"h[t] = {right}")


BROKEN = {
    "tanh, no square": ("tanh", lambda g, y, u: ((1 - y) * g,), net("tanh(W @ h[t-1] + x[t])")),
    "tanh, at u": ("tanh", lambda g, y, u: ((1 - u**2) * g,), net("tanh(W @ h[t-1] + x[t])")),
    "sigmoid, sign": ("sigmoid", lambda g, y, u: (y * (y - 1) * g,), net("sigmoid(W @ h[t-1])")),
    "sigmoid, half": ("sigmoid", lambda g, y, u: (y * g,), net("sigmoid(W @ h[t-1])")),
    "exp, at u": ("exp", lambda g, y, u: (u * g,), net("exp(w * h[t-1])", SCALAR)),
    "log, product": ("log", lambda g, y, u: (g * u,), net("log(w * x[t])", SCALAR)),
    "sqrt, factor": ("sqrt", lambda g, y, u: (g / y,), net("sqrt(w * x[t])", SCALAR)),
    "sin, no cos": ("sin", lambda g, y, u: (y * g,), net("sin(w * h[t-1])", SCALAR)),
    "cos, sign": ("cos", lambda g, y, u: (OPS["sin"](u) * g,), net("cos(w * x[t])", SCALAR)),
    "softplus": ("softplus", lambda g, y, u: (OPS["tanh"](u) * g,), net("softplus(W @ h[t-1])")),
    "relu, always": ("relu", lambda g, y, u: (g,), net("relu(W @ h[t-1] + x[t])")),
    "abs, no sign": ("abs", lambda g, y, u: (g,), net("abs(w * x[t])", SCALAR)),
    "mul, operands": ("mul", lambda g, y, a, b: (a * g, b * g), net("w * x[t]", SCALAR)),
    "mul, one side": ("mul", lambda g, y, a, b: (None, a * g), net("w * x[t]", SCALAR)),
    "sub, no sign": ("sub", lambda g, y, a, b: (g, g), net("x[t] - w * x[t]", SCALAR)),
    "div, sign": (
        "div",
        lambda g, y, a, b: (g / b, (g * y) / b),
        net("x[t] / (w + x[t])", SCALAR),
    ),
    "pow, exponent": (
        "pow",
        lambda g, y, a, b: (b * a**b * g, None),
        net("(w * x[t])**3", SCALAR),
    ),
    "matmul, no transpose": (
        "matmul",
        lambda g, y, a, b: (OPS["outer"](g, b), a @ g),
        net("tanh(W @ h[t-1] + x[t])"),
    ),
    "matmul, outer turned": (
        "matmul",
        lambda g, y, a, b: (OPS["outer"](b, g), a.T @ g),
        net("tanh(W @ h[t-1] + x[t])"),
    ),
    "transpose, not undone": ("transpose", lambda g, y, a: (g,), net("tanh(W.T @ h[t-1] + x[t])")),
    "outer, exchanged": (
        "outer",
        lambda g, y, a, b: (g.T @ b, g @ a),
        net("outer(x[t], W @ h[t-1]) @ x[t]"),
    ),
    "softmax, no sum": ("softmax", lambda g, y, u: (y * g,), net("softmax(W @ x[t])")),
    "softmax, wrong sum": (
        "softmax",
        lambda g, y, u: (y * (g - OPS["sum"](g)),),
        net("softmax(W @ x[t])"),
    ),
    "log_softmax, no sum": ("log_softmax", lambda g, y, u: (g,), net("log_softmax(W @ x[t])")),
    "logsumexp, uniform": (
        "logsumexp",
        lambda g, y, v: (g * (v / v),),
        net("x[t] * logsumexp(W @ x[t])"),
    ),
    "squared error, factor": (
        "squared_error",
        lambda g, out, u, v: (2 * g * (u - v), None),
        net("tanh(W @ h[t-1] + x[t])"),
    ),
    "squared error, sign": (
        "squared_error",
        lambda g, out, u, v: (g * (v - u), None),
        net("tanh(W @ h[t-1] + x[t])"),
    ),
    "mean, sum": (
        "mean",
        lambda g, y, v: (g * (v / v),),
        net("x[t] * mean(W @ x[t])"),
    ),
}


@contextmanager
def broken(op, rule):
    """Put a wrong rule into the one entry of the table."""
    kept = op.vjp
    object.__setattr__(op, "vjp", rule)
    try:
        yield
    finally:
        object.__setattr__(op, "vjp", kept)


@pytest.mark.filterwarnings("ignore:.*does not depend on.*")
@pytest.mark.parametrize(("op", "rule", "text"), BROKEN.values(), ids=BROKEN)
def test_broken_rules_are_refuted(op, rule, text):
    circuit = gg.parse(text)
    assert gg.prove(circuit, tau=2).ok
    with broken(OPS[op], rule):
        proof = gg.prove(circuit, tau=2)
    assert proof.verdict == "refuted", proof
    refuted = {claim.origin for claim in proof.claims if claim.verdict == "refuted"}
    assert len(refuted) == 2, "both passes use the rule"
