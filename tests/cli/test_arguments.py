"""The arguments of all commands: help, examples, wrong usage."""

import argparse

import pytest

import graphgrad as gg
from graphgrad.cli.arguments import argument_parser
from tests.cli.shell import shell

COMMANDS = next(
    a for a in argument_parser()._actions if isinstance(a, argparse._SubParsersAction)
).choices


def test_no_command_is_wrong_usage(run):
    status, out, err = run()
    assert (status, out) == (2, "")
    assert "commands:" in err
    assert all(name in err for name in COMMANDS)


def test_version(run):
    assert run("--version") == (0, f"graphgrad {gg.__version__}\n", "")


@pytest.mark.parametrize("name", COMMANDS)
def test_help_of_each_command(run, name):
    status, out, err = run(name, "--help")
    assert (status, err) == (0, "")
    assert "example: graphgrad " + name in out


EXAMPLES = [
    line.removeprefix("example: ")
    for command in COMMANDS.values()
    for line in command.epilog.splitlines()
]


@pytest.mark.parametrize("line", EXAMPLES)
def test_examples_of_the_help_work(line):
    done = shell(line)
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize(
    "arguments",
    [
        ["bogus"],
        ["check"],
        ["check", "elman", "lstm"],
        ["check", "elman", "--bogus"],
        ["unfold", "elman", "--tau", "x"],
        ["unfold", "elman", "--tau", "1.5"],
        ["unfold", "elman", "--tau", "s=x"],
        ["unfold", "elman", "--tau", "0"],
        ["unfold", "elman", "--tau=-1"],
        ["grad", "elman", "--tau", "99999999999"],
        ["prove", "missing.rec", "--tau", "s=0"],
        ["unfold", "elman", "--sizes", "H"],
        ["unfold", "elman", "--sizes", "H=0"],
        ["unfold", "elman", "--sizes", "=3"],
        ["unfold", "elman", "--sizes", "H=1,H=2"],
        ["unfold", "elman", "--limit", "x"],
        ["unfold", "elman", "--limit=-1"],
        ["grad", "elman", "--latex", "--json"],
        ["prove", "elman", "--latex", "--json"],
        ["show", "elman", "--level", "atoms"],
        ["show", "elman", "--style", "loud"],
        ["prove", "elman", "--time-limit", "soon"],
        ["prove", "elman", "--time-limit=-1"],
        ["prove", "elman", "--time-limit", "nan"],
    ],
)
def test_wrong_usage(run, arguments):
    status, out, err = run(*arguments)
    assert (status, out) == (2, "")
    wrong, remedy = err.splitlines()
    assert wrong.startswith("error: ")
    command = f"graphgrad {arguments[0]}" if arguments[0] != "bogus" else "graphgrad"
    assert remedy.startswith(f'Remedy: write for example "{command} ')
    assert remedy.endswith(f", or see {command} --help")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["show", "elman", "--level", "operations"], "--level is about a picture"),
        (["unfold", "elman", "--style", "dark"], "--style is about a picture"),
        (["grad", "elman", "--derivatives"], "--derivatives is about a picture"),
        (["grad", "elman", "--through", "h"], "--through is about paths"),
        (["prove"], "there is nothing to prove"),
    ],
)
def test_options_that_would_do_nothing(run, arguments, message):
    status, out, err = run(*arguments)
    assert (status, out) == (2, "")
    assert err.startswith(f"error: {message}\nRemedy: ")


@pytest.mark.parametrize("file", ["elman", "missing.rec"])
@pytest.mark.parametrize(
    ("command", "option", "message"),
    [
        ("show", "--out=x.jpg", "cannot save a picture as 'jpg'"),
        ("unfold", "--out=x", "the file name has no ending"),
        ("grad", "--out=x.", "the file name has no ending"),
        ("prove", "--truncate=half", "'half' is no truncation"),
        ("prove", "--truncate=window(0)", "window(0)"),
    ],
)
def test_what_is_wrong_whatever_the_file(run, file, command, option, message):
    status, out, err = run(command, file, option)
    assert (status, out) == (2, "")
    assert err.startswith(f"error: {message}")
    assert "\nRemedy: " in err


def test_a_lack_of_memory_is_no_traceback(run, monkeypatch):
    def greedy(name):
        raise MemoryError

    monkeypatch.setattr("graphgrad.cli.circuits.read_circuit", greedy)
    status, out, err = run("unfold", "elman", "--tau", 10**8)
    assert (status, out) == (1, "")
    assert err.startswith("error: there is not enough memory for this\nRemedy: use fewer steps")


def test_the_example_fits_the_option(run):
    assert "'t=x' is not NAME=NUMBER, such as t=4" in run("unfold", "elman", "--tau", "s=3,t=x")[2]
    assert "'H=x' is not NAME=NUMBER, such as H=4" in run("unfold", "elman", "--sizes", "H=x")[2]


def test_a_misspelt_command_is_recognised(run):
    status, _, err = run("chekc", "elman")
    assert (status, err.splitlines()[-1]) == (2, "Remedy: did you mean check?")


def test_several_names_with_commas_or_again(run):
    each = run("grad", "elman", "--wrt", "U", "--wrt", "W")
    assert run("grad", "elman", "--wrt", "U,W") == each
    assert run("grad", "elman", "--wrt", "")[0] == 1
