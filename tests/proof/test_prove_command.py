"""`graphgrad prove`: methods, truncations, claims from files, proofs checked again."""

import json

import pytest

from graphgrad.cli import main


def run(capsys, *arguments):
    status = main(["prove", *map(str, arguments)])
    captured = capsys.readouterr()
    return status, captured.out, captured.err


def test_every_length(capsys):
    status, out, err = run(capsys, "tied", "--method", "induction")
    assert (status, err) == (0, "")
    assert "proved at every length" in out


def test_truncation(capsys):
    status, out, _ = run(capsys, "tied", "--truncate", "chunks(2)", "--tau", "5")
    assert status == 0
    assert "chunks(2) of ∂loss/∂w" in " ".join(out.split())
    status, _, err = run(capsys, "tied", "--truncate", "half")
    assert status == 2
    assert "no truncation" in err


def test_latex(capsys):
    status, out, _ = run(capsys, "tied", "--latex")
    assert status == 0
    assert r"\texttt{d\_w} = \ensuremath{\partial L/\partial w}" in out


def test_errors_in_claims_stand_in_their_file(capsys, tmp_path):
    path = tmp_path / "mine.rec"
    path.write_text("d_b = sum(d_a[t] for t in steps)\n")
    status, _, err = run(capsys, "elman", "--claims", path)
    assert status == 1
    assert f"error: {path}:1:11:" in err
    assert "^^^" in err


def test_checked_again(capsys, tmp_path):
    status, out, _ = run(capsys, "tied", "--json")
    path = tmp_path / "proof.json"
    path.write_text(out)
    status, out, _ = run(capsys, "--recheck", path)
    assert status == 0
    assert out.endswith("  confirmed\n")
    data = json.loads(path.read_text())
    data["claims"][0]["verdict"] = "refuted"
    data["claims"][0]["witness"] = {}
    path.write_text(json.dumps(data))
    status, out, _ = run(capsys, "--recheck", path, "--json")
    assert status == 1
    assert json.loads(out)["against"]


def test_claims_that_repeat_the_circuit_are_told_what_claims_hold(capsys, tmp_path):
    path = tmp_path / "full_circuit.rec"
    main(["grad", "elman", "--whole"])
    path.write_text(capsys.readouterr().out)
    status, _, err = run(capsys, "elman", "--claims", path)
    assert status == 1
    assert "x is already an input" in err
    assert "claims hold backward equations only, d_…" in err
    assert "leave out the lines of elman itself" in err


WRONG = """
d_o[t] = yhat[t] - y[t]
d_h[t] = V.T @ d_o[t] + W.T @ d_a[t+1]
d_a[t] = (1 - h[t]**2) * d_h[t]
d_W = sum(outer(d_a[t], h[t]) for t in steps)
d_b = mean(d_a[t] for t in steps)
"""


@pytest.mark.parametrize("width", ["80", "48"])
def test_the_table_fits_a_pipe_and_loses_nothing(capsys, tmp_path, monkeypatch, width):
    path = tmp_path / "mine.rec"
    path.write_text(WRONG)
    monkeypatch.setenv("COLUMNS", width)
    status, out, _ = run(capsys, "elman", "--claims", path)
    assert status == 1
    assert max(map(len, out.splitlines())) <= int(width)
    assert "\x1b" not in out
    assert not any(line != line.rstrip() for line in out.splitlines())
    words = "".join(out.split())
    _, text, _ = run(capsys, "elman", "--claims", path, "--json")
    proof = json.loads(text)
    for claim in proof["claims"]:
        for part in (claim["name"], claim["truth"], claim["residual"], claim["cause"]):
            assert "".join(part.split()) in words, part
        for name, value in claim["witness"].items():
            assert "".join(f"{name} = {value}".replace("'", "").split()) in words
    for equation in proof["equations"]:
        assert "".join(equation["cause"].split()) in words


def test_without_a_circuit(capsys):
    status, _, err = run(capsys)
    assert status == 2
    assert "give a FILE, or --recheck PROOF" in err


def test_unknown_method(capsys):
    with pytest.raises(SystemExit) as caught:
        run(capsys, "tied", "--method", "magic")
    assert caught.value.code == 2
