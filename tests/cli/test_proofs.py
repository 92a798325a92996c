"""The command prove."""

import io
import json
import re
import sys
from pathlib import Path

import pytest


def test_prove(run):
    status, out, err = run("prove", "elman", "--tau", 2)
    assert (status, err) == (0, "")
    assert out.startswith("elman: gradient of loss proved\n")
    assert "d_W = ∂loss/∂W" in out


def test_prove_claims_from_a_file_and_from_standard_input(run, monkeypatch):
    _, equations, _ = run("grad", "elman")
    Path("mine.rec").write_text(equations, encoding="utf-8")
    assert run("prove", "elman", "--claims", "mine.rec")[0] == 0
    Path("wrong.rec").write_text(equations.replace("h[t-1])", "h[t])"), encoding="utf-8")
    status, out, err = run("prove", "elman", "--claims", "wrong.rec")
    assert (status, err) == (1, "")
    assert re.search(r"✗ +d_W = ∂loss/∂W +refuted", out)
    assert "d_W entry [0, 0]: claim − truth is between" in out
    monkeypatch.setattr(sys, "stdin", io.StringIO(equations))
    assert run("prove", "elman", "--claims", "-", "--wrt", "W")[0] == 0


def test_a_wrong_equation_comes_first_and_the_witness_once(run):
    _, equations, _ = run("grad", "gru")
    term = " + W_r.T @ delta_r[t+1]"
    assert equations.count(term) == 1
    Path("wrong.rec").write_text(equations.replace(term, ""), encoding="utf-8")
    status, out, _ = run("prove", "gru", "--claims", "wrong.rec")
    lines = [line.strip() for line in out.splitlines()]
    assert status == 1
    assert lines[1:4] == [
        "wrong, given the other equations:",
        "✗ d_h[t]  wrong at d_h[2] entry [0]",
        "likely cause: d_h[t] lacks the term W_r.T @ delta_r[t+1]",
    ]
    assert sum("h0 = [" in line for line in lines) == 1
    assert sum(line.endswith(" there") for line in lines) == 9


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("d_W = 0", "mine.rec:1:1: d_W has shape scalar"),
        ("d_h[t] = h[t]", "no gradient"),
        ("# hm\nd_W = zeros(H, Hh", "mine.rec:2:"),
        ("", "no gradient"),
    ],
)
def test_claims_that_make_no_sense(run, text, message):
    Path("mine.rec").write_text(text, encoding="utf-8")
    status, out, err = run("prove", "elman", "--claims", "mine.rec")
    assert (status, out) == (1, "")
    assert message in err
    assert "Remedy" in err


def test_claims_that_cannot_be_read(run):
    status, _, err = run("prove", "elman", "--claims", "nowhere.rec")
    assert status == 1
    assert "nowhere.rec cannot be read: No such file or directory" in err


def test_prove_as_json(run):
    status, out, err = run("prove", "tied", "--tau", 2, "--json")
    told = json.loads(out)
    assert (status, err, told["ok"], told["verdict"]) == (0, "", True, "proved")
    status, out, _ = run("prove", "tied", "--time-limit", 0, "--json")
    told = json.loads(out)
    assert (status, told["ok"], told["verdict"]) == (1, False, "undecided")


def test_prove_options(run):
    _, out, _ = run("prove", "elman", "--tau", 2, "--sizes", "H=1,D=3", "--wrt", "U")
    assert "t = 1..2" in out
    assert "D = 3" in out
    assert "H = 1" in out
    assert "d_W" not in out
    status, _, err = run("prove", "fixed_point")
    assert status == 1
    assert "no parameter" in err
