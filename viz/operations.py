"""What is written in the node of an operation."""

from __future__ import annotations

import re
from collections.abc import Sequence

from viz.label import Label, Run, roman, symbol

SIGNS = {
    "add": "+",
    "sub": "−",
    "mul": "⊙",
    "div": "÷",
    "neg": "−",
    "matmul": "×",
    "outer": "⊗",
    "sum": "Σ",
    "maximum": "max",
    "minimum": "min",
    "sqrt": "√",
    "sigmoid": "σ",
    "transpose": "⊤",
    "cross_entropy": "CE",
    "softmax_cross_entropy": "CE",
    "sigmoid_binary_cross_entropy": "BCE",
    "squared_error": "½‖·‖²",
    "lookup": "row",
    "component": "at",
    "part": "split",
}
"""The signs of ops that are not written by their names."""


def sign(op: str, numbers: Sequence[str | None], *, scalar: bool = False) -> Label:
    """Return what an operation's node shows; `numbers` are the operands that are plain numbers.

    >>> sign("sub", ["1", None]).text, sign("mul", [None, None]).text, sign("pow", [None, "2"]).text
    ('1 −', '⊙', '(·)^2')
    """
    shown = "×" if op == "mul" and scalar else SIGNS.get(op, op.replace("_", " "))
    given = [typed(text) for text in numbers if text is not None]
    if not given:
        return roman(shown)
    if op == "pow" and numbers[1] is not None:
        return Label((Run("(·)"), *(run._replace(level=1) for run in given[0].runs)))
    first = numbers[0] is not None and op in ("sub", "div", "mul", "matmul")
    if first:
        return given[0] + roman(f" {shown}")
    return sum((roman(" ") + each for each in given), roman(shown))


def typed(text: str) -> Label:
    """Return a number as the notation writes it with its names as symbols.

    >>> typed("0.5").text, typed("2 * tau").text
    ('0.5', '2 * τ')
    """
    parts = re.split(r"((?<![0-9.])[^\W\d]\w*)", text)
    labels = [symbol(part) if i % 2 else roman(part) for i, part in enumerate(parts)]
    return Label(tuple(run for label in labels for run in label.runs if run.text))
