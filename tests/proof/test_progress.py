"""What a long proof says on stderr: nothing, lines, or a bar that disappears."""

import pytest

from graphgrad.proof.progress import Shown


@pytest.fixture
def terminal(monkeypatch):
    monkeypatch.setenv("FORCE_COLOR", "1")
    monkeypatch.setenv("TERM", "xterm")


def run(shown):
    with Shown("lstm[a]", shown) as bar:
        bar.stage("certificate")
        bar.last = -10.0
        bar.count(1_000, 2_000, "nodes")
        return bar


@pytest.mark.parametrize("shown", [False, None])
def test_nothing_where_it_is_not_wanted(shown, capsys):
    run(shown)
    assert capsys.readouterr() == ("", "")


def test_a_line_for_each_method_where_there_is_no_terminal(capsys):
    run(True)
    assert capsys.readouterr() == ("", "proving lstm[a]: certificate\n")


def test_a_bar_on_a_terminal(terminal, capsys):
    bar = run(True)
    (task,) = bar.bar.tasks
    assert (task.completed, task.total) == (1_000, 2_000)
    assert task.fields["counts"] == "1,000 of 2,000 nodes"
    assert bar.bar.finished is False
    bar.count(1_500, 2_000, "nodes")
    assert task.completed == 1_000  # not so soon after the last
    bar.stage("induction")
    assert (task.completed, task.total, task.fields["counts"]) == (0, None, "")
    assert capsys.readouterr().out == ""
