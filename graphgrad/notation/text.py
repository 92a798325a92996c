"""Circuits as text in the notation: `parse(str(c))` gives the same circuit."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from graphgrad.conditions import ALWAYS, Condition, Junction
from graphgrad.declared import Boundary, Declared, Equation, Index, tree_key
from graphgrad.dims import Token
from graphgrad.ir import OPS, At, Expr, Part, topological
from graphgrad.notation.printer import (
    ATOM,
    CHOICE,
    POSTFIX,
    POWER,
    PRODUCT,
    SIGN,
    SUM,
    Printed,
    fit,
    show,
)

_LEVELS = {"add": SUM, "sub": SUM, "mul": PRODUCT, "div": PRODUCT, "matmul": PRODUCT}


class TextStyle:
    """The notation itself; `indices` gives each index's length, `index_of` that of a name."""

    def __init__(self, indices: Mapping[str, Index], index_of: Mapping[str, str]) -> None:
        self.indices = indices
        self.index_of = index_of

    def parenthesised(self, text: str) -> str:
        """Return a text in parentheses."""
        return f"({text})"

    def show(self, expr: Expr, args: list[Printed]) -> Printed:
        """Return an expression in the notation, given its arguments."""
        name, attr = expr.op.name, expr.attr
        if not args and name != "concat":
            return self._leaf(expr)
        if name in _LEVELS:
            level = _LEVELS[name]
            # (d * P) @ v is written out: in print @ binds tighter than * does
            mixed = expr.args[0].op.name in _LEVELS and "matmul" in (name, expr.args[0].op.name)
            least = level + (mixed and name != expr.args[0].op.name)
            left, right = fit(self, args[0], least), fit(self, args[1], level + 1)
            return Printed(f"{left} {expr.op.infix} {right}", level)
        match name:
            case "neg":
                literal = expr.args[0].op is OPS["const"]
                inner = f"({args[0].text})" if literal else fit(self, args[0], SIGN)
                return Printed(f"-{inner}", SIGN)
            case "pow":
                base, exponent = fit(self, args[0], POSTFIX), fit(self, args[1], SIGN)
                return Printed(f"{base}**{exponent}", POWER)
            case "transpose":
                return Printed(f"{fit(self, args[0], POSTFIX)}.T", POSTFIX)
            case "lookup":
                return Printed(f"{fit(self, args[0], POSTFIX)}[{args[1].text}]", POSTFIX)
            case "choose":
                chosen, otherwise = fit(self, args[0], SUM), args[1].text
                return Printed(f"{chosen} if {condition_text(attr)} else {otherwise}", CHOICE)
            case "reduce":
                test = "" if attr.condition == ALWAYS else f" if {condition_text(attr.condition)}"
                body = args[0].text
                return Printed(f"{attr.kind}({body} for {attr.over} in steps{test})", POSTFIX)
            case "where":
                left, right = fit(self, args[0], SUM), fit(self, args[1], SUM)
                return Printed(f"where({left} {attr} {right}, {args[2].text}, {args[3].text})")
            case "part":
                return Printed(f"{self.split(args[0].text, attr)}[{attr.position}]", POSTFIX)
            case "component":
                return Printed(f"at({args[0].text}, {attr})")
        return Printed(f"{name}({', '.join(arg.text for arg in args)})")

    def split(self, whole: str, attr: Part) -> str:
        """Return the call of split that a piece comes from."""
        sizes = attr.sizes if isinstance(attr.sizes, tuple) else (attr.sizes,)
        return f"split({whole}, {', '.join(map(str, sizes))})"

    def _leaf(self, expr: Expr) -> Printed:
        attr = expr.attr
        match expr.op.name:
            case "const":
                return Printed(repr(attr), SIGN if attr < 0 else ATOM)
            case "read":
                return Printed(f"{attr.name}[{attr.step(self.index_of[attr.name])}]")
            case "at_step":
                return Printed(self.instance(attr))
            case "fill":
                word = "ones" if attr.value else "zeros"
                return Printed(f"{word}({', '.join(map(str, attr.shape))})")
            case "basis":
                return Printed(f"onehot({attr.position}, {attr.size})")
        return Printed(str(attr))

    def instance(self, key: At) -> str:
        """Return a fixed step of a variable: `h[0]`, `h[tau+1]`."""
        length = self.indices[self.index_of[key.name]].length if key.last else ""
        return f"{key.name}[{key.step(length)}]"


def condition_text(condition: Condition) -> str:
    """Return a condition in the notation."""
    if isinstance(condition, Junction) and not condition.parts:
        return "0 == 0" if condition == ALWAYS else "0 == 1"
    return str(condition)


def style_of(declared: Declared) -> TextStyle:
    """Return the text style for the names of a circuit."""
    names = {*declared.equations, *declared.inputs}
    index_of = {n: i for n in names if (i := declared.index_of(n)) is not None}
    return TextStyle(declared.indices, index_of)


def expression_text(root: Expr, declared: Declared) -> str:
    """Return an expression in the notation."""
    return show(root, style_of(declared)).text


def equation_text(equation: Equation) -> str:
    """Return one equation in the notation, its lengths taken to be `tau`."""
    indexed: dict[str, str] = _Anything(equation.index or "t")
    for expr in topological([equation.root]):
        if expr.op is OPS["reduce"]:
            below = topological([expr.args[0]])
            reads = (each.attr.name for each in below if each.op is OPS["read"])
            indexed |= {name: expr.attr.over for name in reads if name not in indexed}
    style = TextStyle(_AnyIndex(), indexed)
    return f"{_left(equation)} = {show(equation.root, style).text}"


class _Anything(dict[str, str]):
    """Every name has the same index: good enough to print one equation by itself."""

    def __init__(self, index: str) -> None:
        super().__init__()
        self._index = index

    def __missing__(self, name: str) -> str:
        return self._index


class _AnyIndex(dict[str, Index]):
    """Every index has the length `tau`."""

    def __missing__(self, name: str) -> Index:
        return Index(name, "tau")


def _left(equation: Equation) -> str:
    return equation.name if equation.index is None else f"{equation.name}[{equation.index}]"


def circuit_text(declared: Declared) -> str:
    """Return a circuit in the notation: title, declarations, equations with their boundaries."""
    style = style_of(declared)
    lines = [f"# {declared.title}"] if declared.title else []
    lines += _declarations(declared)
    if lines:
        lines.append("")
    boundaries: dict[str, list[Boundary]] = {}
    for key in sorted(declared.boundaries):
        boundaries.setdefault(key.name, []).append(declared.boundaries[key])
    for name in declared.inputs:
        lines += [boundary_text(b, style) for b in boundaries.get(name, [])]
    for group in grouped_splits(list(declared.equations.values())):
        for equation in group:
            lines += [boundary_text(b, style) for b in boundaries.get(equation.name, [])]
        lines.append(_group_text(group, style))
    return "\n".join(lines) + "\n"


def boundary_text(boundary: Boundary, style: TextStyle) -> str:
    """Return a boundary equation in the notation."""
    return f"{style.instance(boundary.key)} = {show(boundary.root, style).text}"


def _declarations(declared: Declared) -> Iterator[str]:
    if list(declared.indices.values()) != [Index("t", "tau")]:
        for index in declared.indices.values():
            yield f"{index.name}: steps({index.length})"
    for name, size in declared.sizes.items():
        if size is not None:
            yield f"{name}: size({size})"
    for name, each in declared.inputs.items():
        target = name if each.index is None else f"{name}[{each.index}]"
        dims = (each.type.size,) if isinstance(each.type, Token) else each.type
        yield f"{target}: {each.kind}({', '.join(map(str, dims))})"
    for name, param in declared.params.items():
        yield f"{name}: param({', '.join(map(str, param.shape))})"
    for name, shape in declared.states.items():
        index_name = declared.index_of(name)
        target = name if index_name is None else f"{name}[{index_name}]"
        yield f"{target}: state({', '.join(map(str, shape))})"


def grouped_splits(equations: list[Equation]) -> Iterator[list[Equation]]:
    """Yield the equations, those that are all pieces of one split together."""
    position = 0
    while position < len(equations):
        count = _pieces(equations[position:])
        yield equations[position : position + count]
        position += count


def _pieces(equations: list[Equation]) -> int:
    """Return how many equations from the first on are written as one split; 1 if none."""
    root = equations[0].root
    if root.op is not OPS["part"] or root.args[0].args:
        return 1
    sizes = root.attr.sizes
    count = sizes if isinstance(sizes, int) else len(sizes)
    group = equations[:count]
    same = len(group) == count > 1 and all(
        e.index == group[0].index
        and e.root.op is OPS["part"]
        and e.root.attr == Part(sizes, k)
        and tree_key(e.root.args[0]) == tree_key(root.args[0])
        for k, e in enumerate(group)
    )
    return count if same else 1


def _group_text(group: list[Equation], style: TextStyle) -> str:
    first = group[0]
    if len(group) == 1:
        return f"{_left(first)} = {show(first.root, style).text}"
    whole = show(first.root.args[0], style).text
    return f"{', '.join(map(_left, group))} = {style.split(whole, first.root.attr)}"
