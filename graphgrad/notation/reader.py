"""Source text to statements: characters checked, logical lines joined, each read by `ast`.

Nothing is evaluated. Every statement knows how to turn a syntax tree into a place with a caret.
"""

from __future__ import annotations

import ast
import re
import unicodedata
from dataclasses import dataclass

from graphgrad.errors import NotationError, Place
from graphgrad.notation.habits import CHARACTERS
from graphgrad.notation.slips import slip

GREEK = frozenset("αβγδεζηθικλμνξοπρςστυφχψωΓΔΘΛΞΠΣΦΨΩ") - {"ο"}
MAX_TEXT = 2_000_000
MAX_STATEMENT = 20_000
MAX_DEPTH = 60
_CLOSING = {"(": ")", "[": "]", "{": "}"}


@dataclass(frozen=True)
class Statement:
    """One logical line: its syntax tree, and the physical lines it came from."""

    tree: ast.stmt
    lines: tuple[str, ...]
    first_line: int
    indent: int
    source: str | None

    def place(self, node: ast.AST | None = None) -> Place:
        """Return the place of a syntax tree in the source; the whole statement without one."""
        if node is None or not hasattr(node, "lineno"):
            node = self.tree
        row = node.lineno - 1
        line = self.lines[row]
        last = node.end_lineno - 1 == row  # type: ignore[attr-defined]
        shift = self.indent if row == 0 else 0
        start = _characters(line[shift:], node.col_offset) + shift  # type: ignore[attr-defined]
        end = len(line)
        if last:
            end = _characters(line[shift:], node.end_col_offset) + shift  # type: ignore[attr-defined]
        return Place(self.first_line + row, start, end, line, self.source)


def _characters(line: str, byte_offset: int) -> int:
    """Return how many characters of a line stand before a UTF-8 byte offset."""
    return len(line.encode()[:byte_offset].decode(errors="ignore"))


def read_statements(text: str, source: str | None = None) -> tuple[str, list[Statement]]:
    """Return the title (the first comment line) and the statements of a text."""
    if not isinstance(text, str):
        raise NotationError(
            f"the notation is text, not {type(text).__name__}",
            remedy="gg.load(path) reads a file",
        )
    if len(text) > MAX_TEXT:
        raise NotationError(
            f"{source or 'the text'} has {len(text):,} characters; at most {MAX_TEXT:,} are read",
            remedy="write the circuit in Python, with loops over what repeats",
        )
    title = ""
    statements: list[Statement] = []
    pending: list[str] = []
    start = depth = 0
    lines = text.removeprefix("\ufeff").replace("\r\n", "\n").replace("\r", "\n").split("\n")
    for number, raw in enumerate(lines, start=1):
        line, comment = _split_comment(raw)
        _check_characters(line, raw, number, source)
        if not pending and not line.strip():
            if comment and not statements and not title:
                title = comment
            continue
        if not pending:
            start = number
        pending.append(line)
        depth += sum(line.count(c) for c in "([{") - sum(line.count(c) for c in ")]}")
        if depth > 0 and number < len(lines):
            continue
        statements += _parse_lines(pending, lines, start, source)
        pending, depth = [], 0
    if pending:
        statements += _parse_lines(pending, lines, start, source)
    return title, statements


def _split_comment(raw: str) -> tuple[str, str]:
    code, mark, comment = raw.partition("#")
    return code.rstrip(), comment.strip() if mark else ""


def _check_characters(line: str, raw: str, number: int, source: str | None) -> None:
    for column, char in enumerate(line):
        if (" " <= char <= "~" and char not in "\"'`\\$?;") or char in GREEK or char == "\t":
            continue
        place = Place(number, column, column + 1, _printable(raw), source)
        raise NotationError(*_character_message(char), place=place, remedy=_character_remedy(char))


def _printable(line: str) -> str:
    return "".join(c if c.isprintable() or c == "\t" else "�" for c in line)


def _character_message(char: str) -> tuple[str]:
    name = unicodedata.name(char, "")
    shown = repr(char) if char.isprintable() else f"U+{ord(char):04X}"
    named = f" ({name.lower()})" if name else ""
    return (f"the character {shown}{named} is not part of the notation",)


def _character_remedy(char: str) -> str:
    plain = unicodedata.normalize("NFKC", char)
    latin = {
        "Α": "A", "Β": "B", "Ε": "E", "Ζ": "Z", "Η": "H", "Ι": "I", "Κ": "K", "Μ": "M",
        "Ν": "N", "Ο": "O", "Ρ": "P", "Τ": "T", "Υ": "Y", "Χ": "X", "ο": "o",
        "а": "a", "с": "c", "е": "e", "о": "o", "р": "p", "х": "x", "у": "y", "і": "i",
        "һ": "h", "ѕ": "s", "ј": "j", "ԝ": "w",
    }  # fmt: skip
    if char in CHARACTERS:
        return CHARACTERS[char]
    if plain == " ":
        return "write a plain space"
    readable = plain != char and all(" " <= c <= "~" or c in GREEK for c in plain)
    guess = latin.get(char) or (plain if readable else "")
    if guess:
        return f"write {guess}"
    return "names are ASCII or Greek letters; formulas are + - * / ** @ and functions"


def _parse_lines(
    pending: list[str], lines: list[str], start: int, source: str | None
) -> list[Statement]:
    raw = tuple(lines[start - 1 : start - 1 + len(pending)])
    indent = len(pending[0]) - len(pending[0].lstrip())
    body = "\n".join([pending[0].lstrip(), *pending[1:]])
    whole = Place(start, indent, len(raw[0]), raw[0], source)
    if len(body) > MAX_STATEMENT:
        raise NotationError(
            f"one statement has {len(body):,} characters; at most {MAX_STATEMENT:,} are read",
            place=whole,
            remedy="name parts of it in equations of their own",
        )
    _check_depth(body, whole)
    try:
        module = ast.parse(body)
    except SyntaxError as error:
        found = _slip_error(body, raw, start, indent, source)
        raise found or _syntax_error(error, raw, start, indent, source) from None
    except (RecursionError, MemoryError):
        raise NotationError(
            "this is nested too deeply", place=whole, remedy="name parts of it in equations"
        ) from None
    except ValueError as error:
        raise NotationError(
            f"this cannot be read: {error}", place=whole, remedy=_syntax_remedy("")
        ) from None
    if any(
        isinstance(tree, ast.Expr) and isinstance(tree.value, ast.Lambda) for tree in module.body
    ):
        found = _slip_error(body, raw, start, indent, source)  # lambda: param()
        if found is not None:
            raise found
    return [Statement(tree, raw, start, indent, source) for tree in module.body]


def _check_depth(body: str, place: Place) -> None:
    depth = run = 0
    for char in body:
        depth += (char in "([{") - (char in ")]}")
        run = run + 1 if char in "-+~" else run if char.isspace() else 0
        if depth > MAX_DEPTH or run > MAX_DEPTH:
            raise NotationError(
                f"this is nested more than {MAX_DEPTH} levels deep",
                place=place,
                remedy="name parts of it in equations of their own",
            )


def _slip_error(
    body: str, raw: tuple[str, ...], start: int, indent: int, source: str | None
) -> NotationError | None:
    """Return the error that names a likely slip, or None."""
    found = slip(body)
    if found is None:
        return None
    before = body[: found.start]
    row = before.count("\n")
    column = found.start - (before.rfind("\n") + 1) + (indent if row == 0 else 0)
    place = Place(start + row, column, column + found.end - found.start, raw[row], source)
    return NotationError(found.message, place=place, remedy=found.remedy)


def _syntax_error(
    error: SyntaxError, raw: tuple[str, ...], start: int, indent: int, source: str | None
) -> NotationError:
    row = min(max((error.lineno or 1) - 1, 0), len(raw) - 1)
    shift = indent if row == 0 else 0
    column = min(max((error.offset or 1) - 1, 0) + shift, len(raw[row]))
    end = column + 1
    if error.end_offset and error.end_lineno == error.lineno:
        end = max(end, error.end_offset - 1 + shift)
    place = Place(start + row, column, end, raw[row], source)
    reason = (error.msg or "invalid syntax").split(". Perhaps")[0].split(". Maybe")[0]
    if "integer string conversion" in reason:  # Python's limit, and a remedy that is not ours
        return NotationError(
            "a number with this many digits is not read", place=place, remedy="write 1e30"
        )
    return NotationError(
        f"this is not an equation or a declaration: {reason}",
        place=place,
        remedy=_syntax_remedy(reason),
    )


def _syntax_remedy(reason: str) -> str:
    """Return what to do about a syntax error by what Python says about it."""
    if found := re.match(r"'([(\[{])' was never closed", reason):
        return f"close it with {_CLOSING[found[1]]}"
    if found := re.match(r"unmatched '(.)'", reason):
        return f"remove this {found[1]}, or open it further left"
    if found := re.search(r"does not match opening parenthesis '(.)'", reason):
        return f"write {_CLOSING[found[1]]} here"
    if reason.startswith("expected 'else'"):
        return "a choice has both cases: a if t == 1 else b"
    return "write h[t] = tanh(W @ h[t-1]) or W: param(H, H)"
