"""The command grad."""

import json
from pathlib import Path

import pytest

import graphgrad as gg


def test_grad(run):
    assert run("grad", "elman") == (
        0,
        "d_o[t] = yhat[t] - y[t]\n"
        "d_h[t] = V.T @ d_o[t] + W.T @ d_a[t+1]\n"
        "d_a[t] = (1 - h[t]**2) * d_h[t]\n"
        "d_U = sum(outer(d_a[t], x[t]) for t in steps)\n"
        "d_W = sum(outer(d_a[t], h[t-1]) for t in steps)\n"
        "d_V = sum(outer(d_o[t], h[t]) for t in steps)\n"
        "d_b = sum(d_a[t] for t in steps)\n"
        "d_c = sum(d_o[t] for t in steps)\n",
        "",
    )


def test_grad_of_some(run):
    _, out, _ = run("grad", "elman", "--wrt", "V", "--wrt", "c")
    assert [line.split(" =")[0] for line in out.splitlines()] == ["d_o[t]", "d_V", "d_c"]
    _, out, _ = run("grad", "elman", "--loss", "L", "--wrt", "x")
    assert "seed_L[t]: input()" in out
    assert "d_x[t] = " in out


def test_grad_whole(run):
    _, out, _ = run("grad", "elman", "--whole")
    assert gg.parse(out) == gg.cells.load("elman").adjoint()


def test_grad_latex(run):
    status, out, err = run("grad", "elman", "--latex")
    assert (status, err) == (0, "")
    assert out.count("&=") == 8, "the backward equations only"
    assert r"\delta_o^{(t)} &= \hat{y}^{(t)} - y^{(t)}" in out
    assert r"\frac{\partial L}{\partial W} &= \sum_{t=1}^\tau \delta_a^{(t)}\, h^{(t-1)" in out


def test_grad_as_json(run):
    _, out, _ = run("grad", "elman", "--wrt", "c", "--json")
    assert json.loads(out) == {
        "ok": True,
        "equations": ["d_o[t] = yhat[t] - y[t]", "d_c = sum(d_o[t] for t in steps)"],
    }


def test_grad_as_a_sum_over_paths(run):
    assert run("grad", "elman", "--paths", "W", "V", "--tau", 2) == (
        0,
        "∂L/∂W = ∂L₁/∂h₁ ∂h₁/∂W + ∂L₂/∂h₂ ∂h₂/∂h₁ ∂h₁/∂W + ∂L₂/∂h₂ ∂h₂/∂W\n"
        "∂L/∂V = ∂L₁/∂V + ∂L₂/∂V\n",
        "",
    )
    _, out, _ = run("grad", "elman", "--paths", "h[1]", "--tau", 2, "--through", "o,h")
    assert out == "∂L/∂h₁ = ∂L₁/∂o₁ ∂o₁/∂h₁ + ∂L₂/∂o₂ ∂o₂/∂h₂ ∂h₂/∂h₁\n"
    _, out, _ = run("grad", "tied", "--paths", "--tau", 1, "--latex")
    assert out.count(r"\begin{align*}") == 2
    _, out, _ = run("grad", "tied", "--paths", "w", "--tau", 1, "--json")
    assert json.loads(out)["paths"][0]["terms"] == [[["loss", 1], ["h", 1], ["w", None]]]
    status, out, err = run("grad", "lstm", "--paths", "W_f", "--tau", 30)
    assert (status, out) == (1, "")
    assert err.startswith("error: the gradient by W_f is a sum over 4,052,739,537,850 paths")


def test_grad_forward_mode(run):
    _, out, _ = run("grad", "elman", "--tangent", "--wrt", "W")
    assert out.splitlines()[:3] == [
        "dot_W: input(H, H)",
        "dot_a[t] = dot_W @ h[t-1] + W @ dot_h[t-1]",
        "dot_h[t] = (1 - h[t]**2) * dot_a[t]",
    ]
    _, out, _ = run("grad", "elman", "--tangent", "--latex")
    assert r"\dot{h}^{(t)} &=" in out


def test_grad_warns_in_one_line(run):
    status, out, err = run("grad", "elman", "--loss", "h", "--wrt", "V")
    assert status == 0
    assert "d_V = zeros(K, H)" in out
    assert err == "warning: h does not depend on V: its gradient is zero\n"


@pytest.mark.parametrize("arguments", [["--loss", "los"], ["--wrt", "Q"], ["--wrt", "w"]])
def test_grad_of_what_is_not_there(run, arguments):
    status, out, err = run("grad", "elman", *arguments)
    assert (status, out) == (1, "")
    assert "Remedy" in err


def test_grad_draws(run):
    assert run("grad", "tied", "--tau", 2, "--out", "tied.svg")[0] == 0
    assert run("grad", "tied", "--out", "all.svg", "--derivatives", "--style", "book")[0] == 0
    assert b"<svg" in Path("tied.svg").read_bytes()[:500]
