"""What is written in the node of an operation."""

from __future__ import annotations

from collections.abc import Sequence

from viz.label import Label, Run, roman

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
    given = [text for text in numbers if text is not None]
    if not given:
        return roman(shown)
    if op == "pow" and numbers[1] is not None:
        return Label((Run("(·)"), Run(numbers[1], level=1)))
    first = numbers[0] is not None and op in ("sub", "div", "mul", "matmul")
    return roman(f"{given[0]} {shown}" if first else " ".join((shown, *given)))
