"""Text that nobody meant: whatever it is, a circuit or an error with place and remedy."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

import graphgrad as gg
from graphgrad.errors import GraphgradError, NotationError
from graphgrad.notation.parse import parse

PIECES = st.sampled_from(
    [
        "h[t]",
        "h[t-1]",
        "x[t]",
        "W",
        "b",
        "tau",
        "t",
        "steps",
        "for",
        "in",
        "if",
        "else",
        "not",
        "and",
        "or",
        "sum(",
        "mean(",
        "tanh(",
        "split(",
        "where(",
        "param(",
        "input(",
        "token(",
        "state(",
        "size(",
        "steps(",
        "E[x[t]]",
        "=",
        "==",
        ":",
        ",",
        "(",
        ")",
        "[",
        "]",
        "{",
        "}",
        "+",
        "-",
        "*",
        "/",
        "**",
        "@",
        "%",
        ".",
        ".T",
        "0",
        "1",
        "2.5",
        "1e9",
        "9**9",
        "lambda",
        "import",
        "__import__",
        ":=",
        "await",
        "yield",
        "async",
        "def",
        "class",
        "is",
        "\n",
        "#",
        ";",
        "'",
        '"',
        "\\",
        "\t",
        "α",
        "Η",
        "ｈ",
        "\x00",
        "\ufeff",
        "\u2028",
        "…",
        "==",
        ":=",
        "->",
        "~",
        "^",
        "|",
        "&",
        "<",
        ">",
        "<=",
        ">=",
        "!=",
        "...",
        "None",
        "True",
        "0x",
        "1j",
        "_",
    ]
)
GALLERY = [gg.cells.path(name).read_text(encoding="utf-8") for name in gg.cells.names()]


def survives(text: str) -> None:
    """A text is a circuit or it is refused: no other exception, and what is printed is readable."""
    try:
        circuit = parse(text)
    except GraphgradError as error:
        said = str(error)
    else:
        said = str(circuit)
        assert parse(said) == circuit
    assert said


@given(st.text(max_size=80))
def test_any_text(text: str) -> None:
    survives(text)


@given(st.lists(PIECES, max_size=25).map(" ".join))
def test_any_words(text: str) -> None:
    survives(text)


@given(st.lists(PIECES, max_size=25).map(lambda words: "h[t] = " + "".join(words)))
def test_any_right_side(text: str) -> None:
    survives(text)


@given(st.data())
def test_mutated_gallery(data: st.DataObject) -> None:
    text = data.draw(st.sampled_from(GALLERY))
    for _ in range(data.draw(st.integers(1, 4))):
        start = data.draw(st.integers(0, len(text)))
        end = min(len(text), start + data.draw(st.integers(0, 12)))
        text = text[:start] + data.draw(PIECES | st.text(max_size=3)) + text[end:]
    survives(text)


@pytest.mark.parametrize(
    "text",
    [
        "h[t] = " + "-" * 10**6 + "1",
        "h[t] = " + "- " * 9000 + "1",
        "h[t] = " + "(" * 10**6,
        "h[t] = " + "(" * 55 + "1" + ")" * 55,
        "h[t] = " + "[" * 10**5,
        "h[t] = " + "not " * 4000 + "1",
        "h[t] = 1 if " + "not " * 1500 + "t > 1 else 0",
        "h[t] = 1 if " + "(" * 50 + "t > 1" + ")" * 50 + " else 0",
        "h[t] = h[t" + "-1" * 1500 + "]",
        "h[t] = h[t-1]" + " + 1" * 1500,
        "h[t] = h[t-1]" + " + 1" * 900,
        "h[t] = h[t-1]" + "**2" * 1500,
        "M: param(H, H)\nh[t] = sum(M" + ".T" * 900 + ")",
        "h[t] = " + "tanh(" * 58 + "1" + ")" * 58,
        "h[t] = " + "lambda: " * 2000 + "1",
        "h[t] = " + "1 if t > 1 else " * 900 + "1",
        "h[t] = " + "1," * 9000,
        "W: param(" + "H+" * 5000 + "1)\nh[t] = sum(W)",
        "W: param(" + "2*" * 5000 + "H)\nh[t] = sum(W)",
        "h[t] = 0x" + "F" * 15_000,
        "W: param(0x" + "F" * 15_000 + ")\nh[t] = sum(W)",
        "W: param(3)\nh[t] = at(W, 0x" + "F" * 15_000 + ")",
        "W: param(H)\nh[t] = at(W, 0x" + "F" * 15_000 + ")",
        "W: param(H)\nh[t] = sum(W * onehot(0x" + "F" * 15_000 + ", H))",
        "W: param(H)\nh[t] = sum(split(W, 0x" + "F" * 15_000 + ")[0])",
        "H: size(0x" + "F" * 15_000 + ")\nW: param(H)\nh[t] = sum(W)",
        "x[t]: token(3)\nE: param(3)\nh[t] = E[x[t-1000000000]]",
        "h[t] = h[t-1000000000]",
        "h[t] = 1 if t % 1000000000 == 999999999 else 0",
        "a" * 10**6 + "[t] = 1",
        "#" * 10**6 + "\nh[t] = 1",
        "\n" * 10**6 + "h[t] = 1",
        "h[t] = 1\n" * 2000,
        "h[t] = (\n" * 60,
        "h[t] = 1" + " " * 10**6,
        "\x00" * 10**5,
        "é" * 10**5,
        "\t" * 10**5 + "h[t] = 1",
        "x" * 3_000_000,
    ],
    ids=lambda text: repr(text[:40]),
)
def test_hostile_texts(text: str) -> None:
    survives(text)


@pytest.mark.parametrize("thing", [None, 3, b"h[t] = 1", ["h[t] = 1"], Path("a.rec")])
def test_not_a_text(thing: object) -> None:
    with pytest.raises(NotationError, match="the notation is text"):
        parse(thing)  # type: ignore[arg-type]
