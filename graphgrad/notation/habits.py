"""What people write from habit (LaTeX, PyTorch, other languages), and how it is written here."""

from __future__ import annotations

import re
from typing import NamedTuple

FUNCTIONS = {
    **dict.fromkeys(("σ", "logistic", "sigm", "expit"), "write sigmoid(u)"),
    **dict.fromkeys(("ln", "log_e"), "write log(u)"),
    **dict.fromkeys(
        ("mse", "mse_loss", "l2_loss"), "write squared_error(u, v), which is ½‖u − v‖²"
    ),
    **dict.fromkeys(
        ("ce", "nll", "nll_loss", "xent"), "write cross_entropy(p, y), of probabilities"
    ),
    **dict.fromkeys(("bce", "bce_loss"), "write sigmoid_binary_cross_entropy(o, y), of logits"),
    **dict.fromkeys(("dot", "matmul", "mm", "mul"), "write u @ v, or u * v component by component"),
    **dict.fromkeys(("cat", "stack", "concatenate", "vstack", "hstack"), "write concat(u, v)"),
    **dict.fromkeys(("T", "transpose"), "the transpose is written M.T"),
    **dict.fromkeys(("chunk", "unstack"), "write a[t], b[t] = split(z[t], 2)"),
    **dict.fromkeys(("if", "ifelse", "select", "cond"), "write where(u > 0, a, b)"),
    **dict.fromkeys(("pow", "square"), "write u ** 2"),
    **dict.fromkeys(("norm", "norm2"), "write sqrt(v @ v)"),
    **dict.fromkeys(("clip", "clamp"), "write minimum(maximum(u, a), b)"),
    "detach": "write stop_gradient(u)",
    "tan": "write sin(u) / cos(u)",
    "prod": "write exp(sum(log(v))), or a recurrence",
    "dropout": "declare the mask as an input, m[t]: input(H), and write m[t] * u",
}
"""Functions by names that other languages give them, and what stands for them."""

_PRODUCT = "write @ for the product of matrices, * component by component"
_IN_COMMENTS = "a text stands only in a comment, after #"
CHARACTERS = {
    **dict.fromkeys("·×⋅", _PRODUCT),
    **dict.fromkeys("⊙∘•∗", "write *"),
    **dict.fromkeys("−–—‐", "write -"),
    **dict.fromkeys("⊤ᵀ", "write .T"),
    **dict.fromkeys('"“”„«»', _IN_COMMENTS),
    **dict.fromkeys("'’′", f"the transpose is written W.T; {_IN_COMMENTS}"),
    "√": "write sqrt(u)",
    "²": "write ** 2",
    "³": "write ** 3",
    "½": "write 0.5",
    "∑": "write sum(…)",
    "∂": "write d_",
    "∇": "write d_",
    "≤": "write <=",
    "≥": "write >=",
    "≠": "write !=",
    "←": "write =",
    "…": "write it out",
    "$": "formulas stand without $",
    ";": "write every equation on a line of its own",
    "\\": "a line goes on in the next one inside brackets; formulas are not LaTeX",
}
"""Characters that are not of the notation, and what stands for them."""


class Habit(NamedTuple):
    """A pattern that no statement of the notation has: what is wrong with it, and what to write.

    Both texts may name the groups of the pattern. The place is that of the group `here`.
    """

    pattern: re.Pattern[str]
    message: str
    remedy: str


STATEMENTS = tuple(
    Habit(re.compile(pattern), message, remedy)
    for pattern, message, remedy in (
        (
            r"(?P<here>:=)",
            "an equation is written with =",
            "write h[t] = …",
        ),
        (
            r"(?P<here>(?P<name>[^\W\d]\w*?)_\{(?P<index>[^{}]*)\})",
            "an index stands in brackets",
            "write {name}[{index}]",
        ),
        (
            r"(?P<here>(?P<name>[^\W\d]\w*)\s*\^\s*\{\(?(?P<index>[^{}()]*)\)?\})",
            "braces are not part of the notation",
            "a time is written {name}[{index}], a power u ** 2",
        ),
        (
            r"^(?P<here>(?P<name>[^\W\d]\w*)\s*\((?P<index>[^\W\d]\w*)\))\s*=(?!=)",
            "an index stands in brackets",
            "write {name}[{index}] = …",
        ),
        (
            r"\bif\b[^=<>!]*\w\s*(?P<here>=)(?!=)",
            "a condition compares with ==",
            "write t == 1",
        ),
        (
            r"^(?P<here>for|while|if|def|class|with)\b.*:\s*$",
            "there are no loops and no blocks: an equation holds at every step",
            "write the equation alone, h[t] = …; the first step is h[0] = …, or a choice by t",
        ),
        (
            r"(?P<here>\|)[^|]+\|",
            "bars are not part of the notation",
            "write abs(u)",
        ),
        (
            r"^[^()]*=.*\)\s*(?P<here>for\s+\w+\s+in\b.*)$",
            "what is summed over time stands in the brackets of the sum",
            "write sum(L[t] for t in steps)",
        ),
    )
)  # fmt: skip
