"""What a line that cannot be read was probably meant to be: a missing operator or a keyword."""

from __future__ import annotations

import keyword
import re
from typing import NamedTuple

from graphgrad.notation.habits import STATEMENTS
from graphgrad.ops import FUNCTIONS

_TOKENS = re.compile(r"[^\W\d]\w*|\d[\d._]*(?:[eE][+-]?\d+)?|\*\*|\S")
_IN_FORMULAS = frozenset({"if", "else", "for", "in", "and", "or", "not", "is"})
_VALUES = frozenset({"True", "False", "None"})
_OTHER_NAMES = {"lambda": "lam or λ"}
_LONGEST = 40
_OPEN, _SHUT = ("(", "["), (")", "]")


class Slip(NamedTuple):
    """What is wrong with a text from `start` to `end`, and what to write."""

    message: str
    start: int
    end: int
    remedy: str


def slip(body: str) -> Slip | None:
    """Return the likely slip in a statement that is no equation and no declaration, or None."""
    tokens = list(_TOKENS.finditer(body))
    return _keyword(tokens) or _habit(body) or _missing_operator(body, tokens)


def _habit(body: str) -> Slip | None:
    """Return the first pattern of another notation.

    >>> _habit("h(t) = 1").remedy, _habit("h[t] = h_{t-1}").remedy
    ('write h[t] = …', 'write h[t-1]')
    """
    for habit in STATEMENTS:
        found = habit.pattern.search(body)
        if found is not None and found.end() - found.start() <= _LONGEST * 5:
            groups = found.groupdict()
            return Slip(habit.message, *found.span("here"), habit.remedy.format(**groups))
    return None


def _keyword(tokens: list[re.Match[str]]) -> Slip | None:
    """Return the first keyword of Python that stands where a name would."""
    words = [token.group() for token in tokens]
    for position, word in enumerate(words):
        if keyword.iskeyword(word) and _is_a_name(words, position):
            other = _OTHER_NAMES.get(word, f"x_{word}")
            return Slip(
                f"{word} is a keyword of Python and cannot be a name",
                *tokens[position].span(),
                f"take another name, such as {other}",
            )
    return None


def _is_a_name(words: list[str], position: int) -> bool:
    """Whether a keyword is used as a name is: declared, defined, or between operators.

    >>> _is_a_name("lambda : param ( )".split(), 0), _is_a_name("lambda x : 1".split(), 0)
    (True, False)
    """
    word = words[position]
    after = words[position + 1] if position + 1 < len(words) else ""
    if position == 0 and after == ":":
        return len(words) > 3 and words[2].isidentifier() and words[3] == "("
    if position == 0 and after in ("=", "["):
        return True
    operator = word in _IN_FORMULAS and position > 0 and _ends_operand(words[position - 1])
    if word in _VALUES or operator:
        return False
    signs = ("+", "-", "[") if word not in _IN_FORMULAS else ()
    return after in ("", ")", "]", ",", "*", "**", "/", "@", ".", *signs)


def _ends_operand(word: str) -> bool:
    return word in _SHUT or (word[0].isalnum() and not keyword.iskeyword(word)) or word[0] == "_"


def _missing_operator(body: str, tokens: list[re.Match[str]]) -> Slip | None:
    """Return the first place on the right side where two operands stand side by side."""
    words = [token.group() for token in tokens]
    first = words.index("=") + 1 if "=" in words else len(words)
    for position in range(first, len(words) - 1):
        word, after = words[position : position + 2]
        starts = after[0] == "_" or after[0].isalnum()
        if not (_ends_operand(word) and starts) or keyword.iskeyword(after):
            continue
        gap, start = tokens[position].end(), tokens[position + 1].start()
        left = body[tokens[_opening(words, position)].start() : gap]
        right = body[start : tokens[_closing(words, position + 1)].end()]
        if "\n" in body[gap:start]:  # a bracket that is not closed goes on to the next statement
            return None
        if word in FUNCTIONS or word in ("sum", "mean", "max"):
            message, remedy = f"{word} is a function", f"write {word}({right})"
            return Slip(message, *tokens[position].span(), remedy)
        if max(len(left), len(right)) > _LONGEST:
            left, right = word, after
        remedy = f"write {left} * {right}"
        if not (word[0].isdigit() or after[0].isdigit()):
            remedy = f"write {left} @ {right} if one is a matrix, else {left} * {right}"
        message = f"an operator is missing between {left} and {right}"
        return Slip(message, gap, max(start, gap + 1), remedy)
    return None


def _opening(words: list[str], position: int) -> int:
    """Return where the operand begins that ends at a position: at W, at h of h[t], at (."""
    if words[position] not in _SHUT:
        return position
    depth = 0
    for k in range(position, -1, -1):
        depth += (words[k] in _SHUT) - (words[k] in _OPEN)
        if depth == 0:
            called = k > 0 and words[k - 1].isidentifier() and not keyword.iskeyword(words[k - 1])
            return k - 1 if called else k
    return position


def _closing(words: list[str], position: int) -> int:
    """Return where the operand ends that begins with a name or number: at its last bracket."""
    end, depth = position, 0
    for k in range(position + 1, len(words)):
        if depth == 0 and words[k] not in _OPEN:
            break
        depth += (words[k] in _OPEN) - (words[k] in _SHUT)
        if depth == 0:
            end = k
    return end
