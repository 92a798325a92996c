"""Errors: place, caret, remedy, suggestions; what is raised travels between processes."""

from __future__ import annotations

import ast
import inspect
import pickle
import runpy
from pathlib import Path
from typing import Any

import pytest

import graphgrad as gg
from graphgrad import errors
from graphgrad.errors import GraphgradError, Place, nearest, unknown_name

CLASSES = [
    kind
    for _, kind in inspect.getmembers(errors, inspect.isclass)
    if issubclass(kind, Exception) and kind.__module__ == "graphgrad.errors"
]


@pytest.mark.parametrize("kind", CLASSES, ids=lambda kind: kind.__name__)
def test_every_error_is_public_and_survives_pickling(kind: type[GraphgradError]) -> None:
    assert issubclass(kind, GraphgradError)
    assert getattr(gg, kind.__name__) is kind
    assert kind.__doc__
    error = kind("wrong", place=Place(2, 4, 7, "h[t] = foo", "a.rec"), remedy="right")
    copy = pickle.loads(pickle.dumps(error))
    assert type(copy) is kind
    assert str(copy) == str(error)
    assert (copy.place, copy.remedy) == (error.place, "right")


def test_layout() -> None:
    error = GraphgradError("wrong", place=Place(2, 7, 10, "h[t] = foo", "a.rec"), remedy="right")
    assert str(error) == (
        "a.rec:2:8: wrong\n"
        "    h[t] = foo\n"
        "           ^^^\n"
        "Remedy: right"
    )  # fmt: skip
    assert str(GraphgradError("wrong")) == "wrong"
    assert str(GraphgradError("wrong", place=Place(1, 0, 1, "a"))).startswith("line 1:1: wrong")


def test_place_is_given_once() -> None:
    first, second = Place(1, 0, 1, "a"), Place(2, 0, 1, "b")
    error = GraphgradError("wrong").at(None)
    assert error.place is None
    assert error.at(first).at(second).place is first


@pytest.mark.parametrize(
    ("place", "expected"),
    [
        (Place(1, 0, 0, ""), "    \n    ^"),
        (Place(1, 3, 3, "abc"), "    abc\n       ^"),
        (Place(1, 1, 99, "abc"), "    abc\n     ^^^"),
        (Place(1, 2, 3, "\ta\tb"), "    \ta\tb\n    \t ^"),
    ],
)
def test_pointer(place: Place, expected: str) -> None:
    assert place.pointer() == expected


def test_long_lines_are_shortened_around_the_caret() -> None:
    text = "".join(f"{k:<10}" for k in range(100))
    for start, end in ((0, 5), (500, 505), (990, 995), (300, 900)):
        line, carets = Place(1, start, end, text).pointer().split("\n")
        assert len(line) <= 110
        assert len(carets) <= len(line) + 1
        width = carets.count("^")
        column = len(carets) - width
        assert line[column : column + 5] == text[start : start + 5]


@pytest.mark.parametrize(
    ("name", "known", "expected"),
    [
        ("sigmiod", ["tanh", "sigmoid"], "sigmoid"),
        ("Tanh", ["tanh"], "tanh"),
        ("wh", ["Wh", "Uh"], "Wh"),
        ("zebra", ["tanh", "sigmoid"], None),
        ("h", [], None),
    ],
)
def test_nearest(name: str, known: list[str], expected: str | None) -> None:
    assert nearest(name, known) == expected


def test_unknown_name() -> None:
    assert unknown_name("tahn", ["tanh"]).remedy == "did you mean tanh?"
    assert unknown_name("zebra", ["b", "a", "a"]).remedy == "declared are: a, b"
    assert unknown_name("zebra", []).remedy == "declared are: none"


def calls() -> list[Any]:
    c = gg.parse("x[t]: token(N)\nE: param(N, H)\nh[t] = h[t-1] + sum(E[x[t]])\nloss = h[tau]")
    dag = c.unfold(3)
    values = {"E": [[1.0, 2.0]] * 4, "x": [0, 1, 2]}
    return [
        lambda: c.unfold(0),
        lambda: c.unfold(-1),
        lambda: c.unfold(2.0),
        lambda: c.unfold(True),
        lambda: c.unfold("3"),
        lambda: c.unfold(None),
        lambda: c.unfold({"s": 3}),
        lambda: c.unfold({}),
        lambda: c.unfold(3, Z=4),
        lambda: c.unfold(3, H=0),
        lambda: c.unfold(3, H=1.5),
        lambda: dag["hh", 1],
        lambda: dag["h", 4],
        lambda: dag["h", -5],
        lambda: dag["h"],
        lambda: dag["loss", 1],
        lambda: dag[len(dag)],
        lambda: dag.grad("los"),
        lambda: dag.grad("h"),
        lambda: dag.grad(wrt="x"),
        lambda: dag.grad(wrt=["F"]),
        lambda: dag.evaluate({}),
        lambda: dag.evaluate({**values, "F": 1.0}),
        lambda: dag.evaluate({"E": values["E"], "x": [0, 1]}),
        lambda: dag.evaluate({"E": values["E"], "x": [0, 1, 4]}),
        lambda: dag.evaluate({"E": values["E"], "x": [0, 1, -1]}),
        lambda: dag.evaluate({"E": values["E"], "x": [0.0, 1.0, 2.0]}),
        lambda: dag.evaluate({"E": [1.0, 2.0], "x": [0, 1, 2]}),
        lambda: dag.evaluate({"E": [["a"]], "x": [0, 1, 2]}),
        lambda: dag.evaluate({"E": [[1.0], [2.0, 3.0]], "x": [0, 1, 2]}),
        lambda: dag.evaluate(values, over="nothing"),
        lambda: dag.evaluate(values, over=int),
        lambda: dag.evaluate(values, outputs=["hh"]),
        lambda: gg.cells.load("lstn"),
        lambda: c.init(0),
        lambda: c.example(0, 3),
        lambda: c.example(0, 0, N=3, H=2),
        lambda: c["hh"],
        lambda: c.init("one", N=3, H=2),
        lambda: c.init(-1, N=3, H=2),
        lambda: c.example(1.5, 3, N=3, H=2),
        lambda: c.example(0, 3, "ab", N=3, H=2),
        lambda: c.example(0, 3, (-1,), N=3, H=2),
        lambda: dag.evaluate(values, outputs=3),
        lambda: dag.evaluate(values, outputs=[3]),
        lambda: dag.paths("E", through=3),
        lambda: c.compile(["h"]),
    ]


@pytest.mark.parametrize("position", range(len(calls())))
def test_wrong_calls_say_what_to_do(position: int) -> None:
    with pytest.raises(GraphgradError) as caught:
        calls()[position]()
    assert caught.value.message
    assert caught.value.remedy


def test_a_notebook_shows_the_callers_lines_and_none_of_the_library() -> None:
    cell = "def mine():\n    return gg.parse('h[t] = tahn(h[t-1])')\nmine()\n"
    with pytest.raises(GraphgradError) as caught:
        exec(compile(cell, "<cell 7>", "exec"), {"gg": gg, "__name__": "__main__"})
    lines = "\n".join(caught.value._render_traceback_()).splitlines()
    assert [line for line in lines if "line" in line and "cell" in line] == [
        "cell, line 3",
        "cell, line 2, in mine",
    ]
    assert not any("graphgrad/" in line for line in lines)
    assert "\n".join(lines[-4:]) == f"UnknownNameError: {caught.value}"


def test_lines_of_files_are_quoted_with_the_name_of_the_file(tmp_path: Path) -> None:
    file = tmp_path / "mine.py"
    file.write_text("import graphgrad as gg\ngg.parse('h[t] = ')\n")
    with pytest.raises(GraphgradError) as caught:
        runpy.run_path(str(file))
    assert f"{file}, line 2\n    gg.parse('h[t] = ')" in caught.value._render_traceback_()


SIGNALS = {"UndecidableError", "ExhaustedError", "OutsideDomainError", "UnluckyError"}
"""By these a method of proof gives up; the verdict is undecided, and says why."""


def test_every_error_says_what_to_do() -> None:
    """In the source: each call of a class of the family names a remedy."""
    root = Path(gg.__file__).parents[1]
    files = [path for folder in ("graphgrad", "viz") for path in (root / folder).rglob("*.py")]
    nodes = [(path, node) for path in files for node in ast.walk(ast.parse(path.read_text()))]
    family = {"GraphgradError"}
    for _ in range(3):  # a class, its own classes, and theirs
        family |= {
            node.name
            for _, node in nodes
            if isinstance(node, ast.ClassDef)
            and any(isinstance(base, ast.Name) and base.id in family for base in node.bases)
        }
    assert len(family) > 15
    silent = [
        f"{path.relative_to(root)}:{node.lineno}"
        for path, node in nodes
        if isinstance(node, ast.Call)
        and isinstance(node.func, ast.Name)
        and node.func.id in family - SIGNALS
        and not any(keyword.arg == "remedy" for keyword in node.keywords)
    ]
    assert silent == []
