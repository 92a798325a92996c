"""Reading: characters, lines, brackets, places; nothing is evaluated."""

from __future__ import annotations

import ast
import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from graphgrad.errors import NotationError
from graphgrad.notation.reader import (
    GREEK,
    MAX_DEPTH,
    MAX_STATEMENT,
    MAX_TEXT,
    read_statements,
)


def trees(text: str) -> list[str]:
    return [ast.unparse(s.tree) for s in read_statements(text)[1]]


def error(text: str) -> NotationError:
    with pytest.raises(NotationError) as caught:
        read_statements(text)
    return caught.value


def test_titles() -> None:
    assert read_statements("# A title\n# more\na = 1")[0] == "A title"
    assert read_statements("\n\n#   spaced  \na = 1")[0] == "spaced"
    assert read_statements("a = 1\n# late")[0] == ""
    assert read_statements("#\n# second\na = 1")[0] == "second"
    assert read_statements("a = 1  # beside")[0] == ""


def test_lines_endings_and_indentation() -> None:
    expected = ["a = 1", "b = 2"]
    for text in ("a = 1\nb = 2", "a = 1\r\nb = 2\r\n", "a = 1\rb = 2", "  a = 1\n\tb = 2",
                 "\ufeffa = 1\n\n\nb = 2\n\n", "a = (1\n)\nb = [\n2][0]"):  # fmt: skip
        assert [t.replace("[2][0]", "2") for t in trees(text)] == expected


def test_brackets_join_lines_and_comments_may_stand_between() -> None:
    (statement,) = read_statements("a = (1 +  # one (\n\n  # nothing )\n  2)")[1]
    assert ast.unparse(statement.tree) == "a = 1 + 2"
    assert statement.first_line == 1
    assert len(statement.lines) == 4


@pytest.mark.parametrize(
    ("text", "line", "stretch"),
    [
        ("a = bb", 1, "bb"),
        ("  a = bb", 1, "bb"),
        ("\ta = bb", 1, "bb"),
        ("αβ = γδ * bb", 1, "bb"),
        ("a = (1 +\n   bb)", 2, "bb"),
        ("a = (γ +  # é\n   γ * bb)", 2, "bb"),
        ("x = 1\n\n# é\n\na = bb", 5, "bb"),
        ("\r\n\r\na = bb\r\n", 3, "bb"),
    ],
)
def test_places(text: str, line: int, stretch: str) -> None:
    statement = read_statements(text, "f.rec")[1][-1]
    (node,) = (n for n in ast.walk(statement.tree) if isinstance(n, ast.Name) and n.id == "bb")
    place = statement.place(node)
    assert place.line == line
    assert place.text[place.column : place.end] == stretch
    assert place.source == "f.rec"
    whole = statement.place()
    assert whole.line <= line
    assert whole.text[whole.column] in "aα"


def test_the_place_of_several_lines_ends_with_the_first() -> None:
    (statement,) = read_statements("a = (1 +\n 2)")[1]
    place = statement.place()
    assert (place.line, place.column, place.end) == (1, 0, 8)


@pytest.mark.parametrize("char", sorted(GREEK))
def test_greek_letters_are_names_as_they_are(char: str) -> None:
    """Python normalises names; no Greek letter that is allowed changes by that."""
    assert unicodedata.normalize("NFKC", char) == char
    assert trees(f"{char} = {char}1") == [f"{char} = {char}1"]


def test_no_greek_letter_looks_like_a_latin_one() -> None:
    assert not GREEK & set("ΑΒΕΖΗΙΚΜΝΟΡΤΥΧο")


@given(st.characters())
def test_other_characters_are_refused_by_name(char: str) -> None:
    allowed = char in GREEK or " " <= char <= "~" or char in "\t\n\r#\ufeff"
    if allowed:
        return
    found = error(f"a = {char}1")
    assert found.place is not None
    assert (found.place.line, found.place.column) == (1, 4)
    assert f"U+{ord(char):04X}" in found.message or repr(char) in found.message
    assert found.remedy
    assert char.isprintable() or char not in str(found)


@pytest.mark.parametrize("char", "\"'`\\$?;")
def test_ascii_characters_that_are_refused(char: str) -> None:
    assert f"the character {char!r}" in error(f"a = 1 {char}").message


@pytest.mark.parametrize(
    ("char", "remedy"),
    [
        ("−", "write -"), ("⊙", "write *"), ("∑", "write sum(…)"), ("²", "write ** 2"),
        ("×", "write @ for the product of matrices, * component by component"),
        ("Η", "write H"), ("о", "write o"), ("ｈ", "write h"), ("ℎ", "write h"),
        ("\xa0", "write a plain space"), ("漢", None), ("½", "write 0.5"), ("ᵀ", "write .T"),
    ],
)  # fmt: skip
def test_characters_with_a_replacement(char: str, remedy: str | None) -> None:
    found = error(f"a = {char}1").remedy
    assert found is not None
    if remedy is not None:
        assert found == remedy
    else:
        assert found.startswith("names are ASCII or Greek letters")


def test_limits() -> None:
    assert f"at most {MAX_TEXT:,} are read" in error("#" * (MAX_TEXT + 1)).message
    assert f"at most {MAX_STATEMENT:,} are read" in error("a = 1" + " + 1" * MAX_STATEMENT).message
    deep = f"this is nested more than {MAX_DEPTH} levels deep"
    assert error("a = " + "(" * (MAX_DEPTH + 1) + "1" + ")" * (MAX_DEPTH + 1)).message == deep
    assert error("a = " + "-" * (MAX_DEPTH + 1) + "1").message == deep
    assert error("a = " + "- + ~ " * MAX_DEPTH + "1").message == deep
    assert trees("a = " + "(" * MAX_DEPTH + "1" + ")" * MAX_DEPTH) == ["a = 1"]
    assert len(trees("a = " + "-" * MAX_DEPTH + "1")) == 1


def test_a_comment_may_hold_anything() -> None:
    assert trees("a = 1  # \x00 ' \" ; é 漢 \u2028 ( [ {") == ["a = 1"]


def test_syntax_errors_say_where() -> None:
    found = error("a = 1\nb = 2 +* 3")
    assert found.place is not None
    assert found.place.line == 2
    assert "*" in found.place.text[found.place.column :]
    assert found.message.startswith("this is not an equation or a declaration: ")
    assert "Perhaps" not in found.message


def test_a_number_of_thousands_of_digits_is_named_as_the_reason() -> None:
    for text in ("h[t] = " + "1" * 5000, "h[t] = h[t-" + "1" * 5000 + "]"):
        with pytest.raises(NotationError, match="a number with this many digits") as caught:
            read_statements(text)
        assert caught.value.remedy == "write 1e30"
