"""Expressions as typeset mathematics: one decision per op, for LaTeX and MathML alike."""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from dataclasses import replace

from graphgrad.conditions import ALWAYS, Affine
from graphgrad.declared import Declared
from graphgrad.dims import Dim
from graphgrad.ir import OPS, At, Expr
from graphgrad.notation.arithmetic import (
    ATOM,
    BIG,
    CHOICE,
    FRACTION,
    SCALAR,
    SUM,
    Args,
    div,
    fit,
    inside,
    is_array,
    matmul,
    minus,
    mul,
    neg,
    outer,
    plus,
    raised,
    transposed,
)
from graphgrad.notation.boxes import (
    Box,
    Scripted,
    bold,
    function_name,
    listed,
    number,
    operator,
    plain,
    row,
    scripted,
)
from graphgrad.notation.letters import Letters, dim_box, name_of
from graphgrad.notation.naming import Names
from graphgrad.notation.printer import Shown
from graphgrad.notation.structures import (
    Cases,
    Negative,
    big,
    call,
    cases,
    fenced,
    fraction,
    half,
    juxtaposed,
    negative,
)
from graphgrad.notation.structures import root as square_root
from graphgrad.notation.times import affine_box, condition_box, limits
from graphgrad.notation.units import SUM_OVER, Entry
from graphgrad.ops.shapes import part_sizes

_RELATIONS = {">": ">", ">=": "≥", "<": "<", "<=": "≤"}


class MathStyle:
    """How expressions of one circuit look in print.

    `names` gives the symbols; with `subscripts` times are subscripts; `letters` names the indices
    of components.
    """

    def __init__(
        self, declared: Declared, names: Names, letters: Letters, *, subscripts: bool = False
    ) -> None:
        self.declared = declared
        self.names = names
        self.letters = letters
        self.subscripts = subscripts

    def parenthesised(self, text: Box) -> Box:
        """Return a box in parentheses."""
        return fenced(text)

    def show(self, expr: Expr, args: list[Shown[Box]]) -> Shown[Box]:
        """Return an expression as a box, given its arguments' boxes."""
        decide = _DECISIONS.get(expr.op.name)
        if decide is not None:
            return decide(self, expr, args)
        function = function_name(expr.op.latex or expr.op.name)
        if function.latex in self.names.bases:
            function = function_name(expr.op.name)
        return Shown(call(function, *(arg.text for arg in args)), ATOM)

    def value(self, name: str, time: Affine | None, places: Sequence[Box] = ()) -> Box:
        """Return a named value at a time (None if static), or its component at `places`."""
        order = self.letters.absorbed(name) if places else None
        if order is not None:
            places = [row(*(places[k] for k in order), spaces=False)]
            of = self.names.cotangent(name)
            if of is not None and self.names[name].per is None:
                places = [self.names[of.primal].box(*places, label=False)]
        elif places and all(place.width < 2 and not place.digit for place in places):
            places = [row(*places, spaces=False)]
        instant = None if time is None else affine_box(time, self.names, tight=True)
        return self.names[name].box(
            *places, time=instant, label=order is None, subscripts=self.subscripts
        )

    def instance(self, key: At, places: Sequence[Box] = ()) -> Box:
        """Return a fixed step of a variable, as boundary equations define it."""
        time = Affine.number(key.offset)
        if key.last:
            index = self.declared.index_of(key.name) or ""
            time = Affine.name(self.declared.indices[index].length).plus(key.offset)
        return self.value(key.name, time, places)

    def now(self, name: str, lag: int = 0, places: Sequence[Box] = ()) -> Box:
        """Return a variable as its equation defines it, or `lag` steps ago."""
        index = self.declared.index_of(name)
        time = None if index is None else Affine.name(index).plus(-lag)
        return self.value(name, time, places)

    def leaf(self, expr: Expr, places: Sequence[Box] = ()) -> Box:
        """Return what a leaf reads, or the component of it at `places`."""
        if expr.op is OPS["read"]:
            return self.now(expr.attr.name, expr.attr.lag, places)
        if expr.op is OPS["at_step"]:
            return self.instance(expr.attr, places)
        return self.value(expr.attr, None, places)


# -- decisions -----------------------------------------------------------


def _choose(style: MathStyle, expr: Expr, args: Args) -> Shown[Box]:
    chosen, otherwise = args[0].text, args[1].text
    rest = otherwise.rows if isinstance(otherwise, Cases) else ((otherwise, None),)
    return Shown(cases([(chosen, condition_box(expr.attr, style.names)), *rest]), CHOICE)


def _where(style: MathStyle, expr: Expr, args: Args) -> Shown[Box]:
    test = row(args[0].text, operator(_RELATIONS[expr.attr]), args[1].text)
    rest = args[3].text.rows if isinstance(args[3].text, Cases) else ((args[3].text, None),)
    return Shown(cases([(args[2].text, test), *rest]), CHOICE)


def _reduce(style: MathStyle, expr: Expr, args: Args) -> Shown[Box]:
    if isinstance(args[0].text, Negative):
        return neg(_reduce(style, expr, [inside(args[0].text)]))
    kind, index, condition = expr.attr
    indices = style.declared.indices
    under, over = limits(index, condition, style.names, indices)
    body = fit(args[0], BIG)
    total = big(operator("∑"), under, over, body)
    if kind == "sum":
        return Shown(total, BIG)
    if condition == ALWAYS:
        length = style.names[indices[index].length].box()
        return Shown(juxtaposed(fraction(number("1"), length), total), BIG)
    return Shown(big(function_name(kind), under, over, body), BIG)


def _over(style: MathStyle, expr: Expr, args: Args) -> Shown[Box]:
    if expr.op is SUM_OVER and isinstance(args[0].text, Negative):
        return neg(_over(style, expr, [inside(args[0].text)]))
    under = listed([style.letters.box(index) for index in expr.attr])
    sign = operator("∑") if expr.op is SUM_OVER else function_name(r"\max")
    return Shown(big(sign, under, None, fit(args[0], BIG)), BIG)


def _entry(style: MathStyle, expr: Expr, args: Args) -> Shown[Box]:
    attr: Entry = expr.attr
    tokens = iter(args[1:])
    places = [next(tokens).text if i is None else style.letters.box(i) for i in attr.indices]
    return _at_places(style, expr.args[0], args[0], *places)


def _equal(style: MathStyle, expr: Expr, args: Args) -> Shown[Box]:
    tokens = iter(args)
    sides = [next(tokens).text if i is None else style.letters.box(i) for i in expr.attr]
    return Shown(fenced(row(sides[0], operator("="), sides[1]), "[", "]"), ATOM)


def _leaf(style: MathStyle, expr: Expr, args: Args, *places: Box) -> Shown[Box]:
    derivative = style.names[name_of(expr) or ""].per is not None
    return Shown(style.leaf(expr, places), FRACTION if derivative else ATOM)


def _constant(style: MathStyle, expr: Expr, args: Args) -> Shown[Box]:
    shown = number(repr(abs(expr.attr)))
    level = ATOM if shown.digit and not isinstance(shown, Scripted) else SCALAR
    if expr.attr < 0:
        return Shown(negative(shown, level), SUM)
    return Shown(shown, level)


def _fill(style: MathStyle, expr: Expr, args: Args) -> Shown[Box]:
    shown = bold(str(expr.attr.value))
    if len(expr.attr.shape) < 2:
        return Shown(shown, ATOM)
    rows, columns = (dim_box(dim, style.names) for dim in expr.attr.shape)
    return Shown(scripted(shown, row(rows, operator("×", tight=True), columns)), ATOM)


def _basis(style: MathStyle, expr: Expr, args: Args) -> Shown[Box]:
    return Shown(scripted(bold("e"), number(str(expr.attr.position))), ATOM)


def _onehot(style: MathStyle, expr: Expr, args: Args) -> Shown[Box]:
    return Shown(scripted(bold("e"), args[0].text), ATOM)


def _at_places(style: MathStyle, whole: Expr, shown: Shown[Box], *places: Box) -> Shown[Box]:
    """Return a component, row or slice of an array."""
    if name_of(whole) is not None:
        return _leaf(style, whole, [shown], *places)
    bare = shown.level == ATOM and not isinstance(shown.text, Scripted)
    inner = shown.text if bare else fenced(shown.text)
    return Shown(scripted(inner, listed(places)), ATOM)


def _joined(parts: Args) -> Box:
    inner = listed([part.text for part in parts], ";") if parts else plain("")
    return replace(fenced(inner, "[", "]"), wordy=True)


def _part(style: MathStyle, expr: Expr, args: Args) -> Shown[Box]:
    (whole,) = expr.args
    if not isinstance(whole.type, tuple):
        return Shown(call(function_name("split"), args[0].text), ATOM)
    start = Dim.of(0)
    sizes = part_sizes(expr.attr, whole.type[0])
    for size in sizes[: expr.attr.position]:
        start = start + size
    ends = (dim_box(end, style.names) for end in (start, start + sizes[expr.attr.position]))
    first, last = ends
    between = row(first, operator(":", tight=True), last, spaces=False)
    return _at_places(style, whole, args[0], between)


def _norm(style: MathStyle, expr: Expr, args: Args) -> Shown[Box]:
    difference = minus(*args).text
    if is_array(expr.args[0]):
        square = scripted(fenced(difference, "‖", "‖"), None, number("2"))
    else:
        square = scripted(fenced(difference), None, number("2"))
    return Shown(juxtaposed(half(), square), SCALAR)


_DECISIONS: dict[str, Callable[[MathStyle, Expr, Args], Shown[Box]]] = {
    "add": lambda style, expr, args: plus(*args),
    "sub": lambda style, expr, args: minus(*args),
    "neg": lambda style, expr, args: neg(*args),
    "accumulate": lambda style, expr, args: functools.reduce(
        lambda left, right: plus(left, right), args
    ),
    "mul": lambda style, expr, args: mul(expr, args),
    "matmul": lambda style, expr, args: matmul(expr, args),
    "div": lambda style, expr, args: div(expr, args),
    "pow": lambda style, expr, args: raised(expr, args),
    "transpose": lambda style, expr, args: Shown(transposed(args[0]), ATOM),
    "outer": lambda style, expr, args: outer(expr, args),
    "choose": _choose,
    "where": _where,
    "reduce": _reduce,
    "copy": lambda style, expr, args: args[0],
    "expand": lambda style, expr, args: args[0],
    "squared_error": _norm,
    "sqrt": lambda style, expr, args: Shown(square_root(args[0].text), ATOM),
    "abs": lambda style, expr, args: Shown(fenced(args[0].text, "|", "|"), ATOM),
    "concat": lambda style, expr, args: Shown(_joined(args), ATOM),
    "part": _part,
    "component": lambda style, expr, args: _at_places(
        style, expr.args[0], args[0], number(str(expr.attr))
    ),
    "lookup": lambda style, expr, args: _at_places(style, expr.args[0], args[0], args[1].text),
    "onehot": _onehot,
    "basis": _basis,
    "fill": _fill,
    "const": _constant,
    "counter": lambda style, expr, args: Shown(style.names[expr.attr].box(), ATOM),
    "size": lambda style, expr, args: Shown(style.names[expr.attr].box(), ATOM),
    "param": _leaf,
    "input": _leaf,
    "static": _leaf,
    "read": _leaf,
    "at_step": _leaf,
    "entry": _entry,
    "equal": _equal,
    "sum_over": _over,
    "max_over": _over,
}
