"""Certificates: the gallery at several sizes, hard circuits, planted faults, limits."""

import gc
from dataclasses import replace

import pytest

import graphgrad as gg
from graphgrad.proof import judge, residual
from graphgrad.proof.certificate import Certificate
from graphgrad.proof.clock import Clock
from graphgrad.proof.question import (
    backward_pass,
    own_equations,
    question_of,
    sizes_of,
    swept,
    targets_of,
)
from graphgrad.proof.sparse import Relations

PROVABLE = [name for name in gg.cells.names() if gg.cells.load(name).params]
ELMAN = gg.cells.load("elman")


def certificate(circuit, **options):
    return gg.prove(circuit, method="certificate", **options)


def passes_of(circuit, tau, sizes=None, loss="loss"):
    question = question_of(circuit, loss)
    targets = targets_of(circuit, loss, None, claimed=False)
    chosen = sizes_of(circuit, sizes)
    own = own_equations(question, targets).side(tau, chosen)
    for side in (own, swept(question, targets, tau, chosen)):
        yield side.origin, backward_pass(question, side)


# -- what is right is proved -----------------------------------------------------------------------


@pytest.mark.parametrize("tau", [1, 2, 6])
@pytest.mark.parametrize("name", PROVABLE)
def test_gallery(name, tau):
    circuit = gg.cells.load(name)
    proof = certificate(circuit, tau=tau, sizes=dict.fromkeys(circuit.sizes, 3))
    assert proof.ok, proof
    assert {tuple(claim.methods.items()) for claim in proof.claims} == {
        (("certificate", "proved"),)
    }


@pytest.mark.parametrize("name", ["lstm", "gru", "hidden_markov_model", "bidirectional", "elman"])
def test_no_identity_needs_more_than_polynomials(name, monkeypatch):
    """The sums and products themselves agree: SymPy is asked about no gradient of the gallery."""
    monkeypatch.setattr(residual, "_by_sympy", lambda *_: pytest.fail("SymPy was asked"))
    assert certificate(gg.cells.load(name), tau=4).ok


HARD = {
    "advance and delay": """
        x[t]: input(N)
        W: param(N, N)
        a[t] = tanh(W @ b[t+1] + x[t])
        b[t] = a[t-2]
        loss = sum(squared_error(b[t], x[t]) for t in steps)
    """,
    "absolute reads": """
        x[t]: input(N)
        W: param(N, N)
        h[t] = tanh(W @ h[t-1] + x[t])
        loss = squared_error(h[tau], h[1]) + sum(h[tau-1]) + sum(h[0])
    """,
    "choices": """
        x[t]: input()
        w: param()
        v: param()
        h[t] = w * h[t-1] + x[t] if t % 2 == 0 else v * h[t-2] * x[t]
        loss = sum(h[t]**2 for t in steps if t > 1)
    """,
    "powers and roots": """
        x[t]: input(N)
        w: param(N)
        h[t] = sqrt(w * w + exp(h[t-1])) + (w * w + 1)**0.3 + x[t]**3
        loss = sum(sum(h[t])**-2 for t in steps)
    """,
    "powers of powers": """
        a: param()
        b: param()
        loss = (a * a + 1)**b * b**(a * a)
    """,
    "angles": """
        w: param()
        h[t] = sin(w * h[t-1]) * cos(w + h[t-1]) + softplus(h[t-1] - w)
        loss = sum(h[t] for t in steps)
    """,
    "kinks": """
        x[t]: input(N)
        W: param(N, N)
        h[t] = relu(W @ h[t-1] + x[t]) - 2 * abs(maximum(h[t-1], x[t])) + minimum(h[t-1], x[t])
        loss = sum(sum(where(h[t] > x[t], h[t] * x[t], -h[t])) for t in steps)
    """,
    "largest component": """
        x[t]: input(N)
        W: param(N, N)
        m[t] = max(W @ x[t])
        h[t] = m[t] * max(h[t-1] * x[t]) * x[t]
        loss = sum(sum(h[t]) for t in steps)
    """,
    "shifted softmax": """
        x[t]: input(N)
        W: param(N, N)
        o[t] = W @ x[t]
        e[t] = exp(o[t] - max(o[t]))
        p[t] = e[t] / sum(e[t])
        loss = sum(p[t] @ x[t] for t in steps)
    """,
    "no derivative": """
        x[t]: input(N)
        W: param(N, N)
        h[t] = tanh(W @ stop_gradient(h[t-1]) + x[t])
        loss = sum(sum(h[t] * stop_gradient(h[t])) for t in steps)
    """,
    "products of products": """
        x[t]: input(N)
        A: param(N, N)
        B: param(N, N)
        h[t] = A @ (B @ (A @ (B @ (A.T @ x[t]))))
        loss = sum(squared_error(h[t], A @ B @ x[t]) for t in steps)
    """,
    "matrix state": """
        x[t]: input(N)
        W: param(N, N)
        S[t] = W @ S[t-1] + outer(x[t], W @ x[t])
        loss = sum(sum(softmax(S[t]) * S[t]) + mean(log_softmax(S[t])) for t in steps)
    """,
    "two uses of one value": """
        x[t]: input(N)
        W: param(N, N)
        h[t] = tanh(W @ h[t-1] + x[t])
        g[t] = tanh(W @ h[t-1] + x[t])
        p[t] = h[t]
        loss = sum(sum(p[t] * g[t]) for t in steps)
    """,
    "pieces": """
        x[t]: input(N)
        W: param(2*N, N)
        u[t], v[t] = split(W @ x[t], 2)
        h[t] = concat(u[t] * v[t], at(v[t], 0))
        loss = sum(logsumexp(h[t]) + hinge(u[t], x[t]) for t in steps)
    """,
    "tokens": """
        x[t]: token(K)
        E: param(K, N)
        v: param(K)
        x[0] = 0
        h[t] = tanh(E[x[t]] + E[x[t-1]]) * v[x[t]]
        loss = sum(softmax_cross_entropy(E @ h[t], x[t]) for t in steps)
    """,
    "any target": """
        x[t]: input(N)
        y[t]: input(N)
        W: param(N, N)
        p[t] = softmax(W @ x[t])
        loss = sum(cross_entropy(p[t], y[t]) for t in steps)
    """,
}


@pytest.mark.filterwarnings("ignore:.*does not depend on.*")
@pytest.mark.parametrize("tau", [1, 4])
@pytest.mark.parametrize("text", HARD.values(), ids=HARD)
def test_hard_circuits(text, tau):
    proof = certificate(gg.parse("\n".join(map(str.strip, text.splitlines()))), tau=tau)
    assert proof.ok, proof


@pytest.mark.filterwarnings("ignore:.*does not depend on.*")
@pytest.mark.parametrize("loss", ["L", "h", "yhat"])
def test_losses_that_are_not_one_number(loss):
    assert certificate(ELMAN, loss=loss, tau=3).ok


def test_second_order():
    """The adjoint is a circuit: its own derivatives are proved as any other."""
    circuit = gg.parse(
        "x[t]: input()\nw: param()\nv: input()\nh[t] = tanh(w * h[t-1] + x[t])\n"
        "loss = sum(h[t]**2 for t in steps)"
    )
    twice = circuit.adjoint().extend("directional = v * d_w")
    assert certificate(twice, loss="directional", tau=4).ok


# -- what is wrong is never proved -----------------------------------------------------------------


def cotangents_of(passes):
    return [each for each, node in passes.cotangents.items() if node in set(passes.values.values())]


def exchanged(passes, one, other):
    """The same passes with one cotangent node in the place of another."""
    return replace(passes, gradients={**passes.gradients, one: passes.gradients[other]})


def test_gradients_of_others_are_refuted():
    for _, passes in passes_of(ELMAN, 3):
        found = judge.certified(exchanged(passes, "b", "c"), Clock())
        assert "b" not in found.proved
        assert set(passes.gradients) - {"b"} == found.proved


@pytest.mark.parametrize("name", ["lstm", "gru", "deep_rnn", "hidden_markov_model"])
def test_a_wrong_node_is_found(name):
    """Every gradient, taken for that of another parameter of the same shape."""
    circuit = gg.cells.load(name)
    shapes = {param: declared.shape for param, declared in circuit.check().params.items()}
    for _, passes in passes_of(circuit, 2):
        for one in shapes:
            for other in shapes:
                if one != other and shapes[one] == shapes[other]:
                    found = judge.certified(exchanged(passes, one, other), Clock())
                    assert one not in found.proved
        break


def test_the_wrong_equation_is_named():
    claims = {
        "d_o[t]": "yhat[t] - y[t]",
        "d_a[t]": "(1 - h[t]**2) * d_h[t]",
        "d_h[t]": "V.T @ d_o[t] + (W.T @ d_a[t+1] if t > 1 else 0)",
        "d_W": "sum(outer(d_a[t], h[t-1]) for t in steps)",
        "d_V": "sum(outer(d_o[t], h[t]) for t in steps)",
    }
    proof = certificate(ELMAN, claims=claims, tau=4)
    verdicts = {claim.by: claim for claim in proof.claims}
    assert verdicts["V"].verdict == "proved"
    assert verdicts["W"].verdict == "refuted"
    assert verdicts["W"].fault == "d_h[1] entry [0]"
    assert verdicts["W"].residual == "-W_00*d_a_2_0 - W_10*d_a_2_1"
    assert "✗ d_h[t]  wrong at d_h[1] entry [0]\n" in str(proof)
    assert "        by -W_00*d_a_2_0 - W_10*d_a_2_1\n" in str(proof)


def test_cotangents_may_mean_something_else():
    """An equation named like a cotangent is an auxiliary one where it is none."""
    claims = {
        "d_o[t]": "yhat[t] - y[t]",
        "d_h[t]": "1 - h[t]**2",
        "d_a[t]": "d_h[t] * (V.T @ d_o[t] + W.T @ d_a[t+1])",
        "d_W": "sum(outer(d_a[t], h[t-1]) for t in steps)",
    }
    assert certificate(ELMAN, claims=claims, tau=5).ok


# -- limits ----------------------------------------------------------------------------------------


def test_no_time_is_undecided():
    proof = certificate(ELMAN, time_limit=0)
    assert proof.verdict == "undecided"
    assert "the time limit was reached" in str(proof)


def test_blow_ups_are_refused():
    """No cotangents are claimed, so that the recurrence is differentiated through: it explodes."""
    circuit = gg.parse(
        "x[t]: input(N)\nW: param(N, N)\nh[t] = (W @ h[t-1] + x[t])**2\nloss = sum(h[tau])"
    )
    claims = {"d_W": "sum(outer(h[t], h[t-1]) for t in steps)"}
    proof = certificate(circuit, claims=claims, tau=40, sizes={"N": 4}, time_limit=3)
    assert not proof.ok


def test_long_sequences():
    assert certificate(gg.cells.load("tied"), tau=2000).ok


def test_identities_are_local():
    """Every instance has an identity of its own, with few terms, however long the sequence is."""
    (_, passes), *_ = passes_of(ELMAN, 50)
    found = Certificate(passes, Clock())
    found.run()
    assert len(found.locals()) == len(found.lets)
    assert max(len(terms) for gid in range(len(found.table.items))
               for terms in found.table.items[gid].args) < 250  # fmt: skip


def test_equations_are_judged_one_by_one():
    """Only the wrong equation is named, not what is computed from it."""
    claims = {
        "d_o[t]": "yhat[t] - y[t]",
        "d_a[t]": "(1 - h[t]**2) * d_h[t]",
        "d_h[t]": "V.T @ d_o[t] + W @ d_a[t+1]",
        "d_W": "sum(outer(d_a[t], h[t-1]) for t in steps)",
        "d_b": "mean(d_a[t] for t in steps)",
    }
    for method in ("auto", "certificate", "induction"):
        proof = gg.prove(ELMAN, claims=claims, tau=2, method=method)
        assert proof.verdict == "refuted"
        wrong = {each.name for each in proof.equations if not each.holds}
        assert wrong == {"d_h[t]", "d_b"} or (method, wrong) == ("induction", {"d_h[t]"})
        assert {each.name for each in proof.equations} >= {"d_o[t]", "d_a[t]", "d_W"}
    assert not gg.prove(ELMAN, claims={"d_c": "sum(yhat[t] - y[t] for t in steps)"}).equations


# -- interruptions ---------------------------------------------------------------------------------


def test_an_interruption_leaves_a_clean_state(monkeypatch):
    calls = []

    def interrupted(relations):
        calls.append(relations)
        if len(calls) == 40:
            raise KeyboardInterrupt

    monkeypatch.setattr(Relations, "tick", interrupted)
    for method in ("certificate", "induction"):
        calls.clear()
        with pytest.raises(KeyboardInterrupt):
            gg.prove(ELMAN, method=method, progress=True)
        assert gc.isenabled()
        assert len(calls) == 40
    monkeypatch.undo()
    assert certificate(ELMAN, tau=2).ok


def test_progress_is_shown_on_request_only(capsys):
    gg.prove(gg.cells.load("tied"), tau=2, progress=True)
    shown = capsys.readouterr()
    assert not shown.out
    assert "proving tied: adjoint equations: certificate" in shown.err
    assert "proving tied: adjoint equations: induction" in shown.err
    gg.prove(gg.cells.load("tied"), tau=2)
    assert not capsys.readouterr().err
