"""Slips at a slope, a gate, a softmax or a division, as people make them."""

from __future__ import annotations

import ast
from collections.abc import Iterator, Mapping

from graphgrad.proof.check_steps import lag_of, step_of, text_of

Change = tuple[int, str, ast.expr]
DIAGONAL = "the diagonal alone"


def slips(node: ast.BinOp, left: str) -> Iterator[Change]:
    """Yield a slope that is taken twice or of the value of its function, and f for 1 - f."""
    if isinstance(node.op, ast.Mult):
        for slope, whole in ((node.left, node), (node.right, node), (node, node)):
            if is_slope(slope):
                twice = ast.BinOp(whole, ast.Mult(), slope)
                yield 2, f"{left} applies the slope {text_of(slope)} twice", twice
    match node:
        case ast.BinOp(
            left=ast.Constant(value=1),
            op=ast.Sub(),
            right=ast.BinOp(left=v, op=ast.Pow(), right=ast.Constant(value=2)),
        ):
            again = ast.Call(ast.Name("tanh", ast.Load()), [v], [])
            square = ast.BinOp(again, ast.Pow(), ast.Constant(2))
            yield _instead(2, left, ast.BinOp(ast.Constant(1), ast.Sub(), square), node)
        case ast.BinOp(left=ast.Constant(value=1), op=ast.Sub(), right=v):
            yield _instead(2, left, v, node)
            if isinstance(v, ast.Subscript | ast.Name):
                minus = ast.BinOp(v, ast.Sub(), ast.Constant(1))
                yield _instead(3, left, minus, node)


def is_slope(node: ast.expr) -> bool:
    """Whether an expression is 1 - v**2 or v * (1 - v)."""
    match node:
        case ast.BinOp(
            left=ast.Constant(value=1),
            op=ast.Sub(),
            right=ast.BinOp(op=ast.Pow(), right=ast.Constant(value=2)),
        ):
            return True
        case ast.BinOp(
            left=v,
            op=ast.Mult(),
            right=ast.BinOp(left=ast.Constant(value=1), op=ast.Sub(), right=other),
        ):
            return ast.dump(v) == ast.dump(other)
    return False


def _instead(rank: int, left: str, new: ast.expr, old: ast.expr) -> Change:
    return rank, f"in {left}, {text_of(new)} stands where {text_of(old)} belongs", new


def gates(node: ast.Subscript, left: str, forward: Mapping[str, object]) -> Iterator[Change]:
    """Yield 1 - f for f, and a cotangent of a step too far."""
    assert isinstance(node.value, ast.Name)
    index, lag = lag_of(node.slice)
    if node.value.id in forward:
        yield _instead(4, left, ast.BinOp(ast.Constant(1), ast.Sub(), node), node)
    elif index is not None and lag:
        for further in {2 * lag, lag + 1 if lag > 0 else lag - 1, (lag > 0) - (lag < 0)} - {lag}:
            moved = ast.Subscript(node.value, step_of(index, further), ast.Load())
            yield 3, f"{left} reads {text_of(moved)} where {text_of(node)} belongs", moved


def diagonal(node: ast.Call, left: str) -> Iterator[Change]:
    """Yield what is summed over the components for its sum: a softmax's diagonal alone."""
    if isinstance(node.func, ast.Name) and node.func.id == "sum" and len(node.args) == 1:
        (whole,) = node.args
        if not isinstance(whole, ast.GeneratorExp):
            text = f"{left} takes {text_of(whole)} for {text_of(node)}: {DIAGONAL}"
            yield 3, text, whole


def own_steps(node: ast.Name, left: str, statics: Mapping[str, ast.expr]) -> Iterator[Change]:
    """Yield the summand of the own step for a sum over all steps, as of a softmax over time."""
    if node.id in statics and "[" in left:
        own = statics[node.id]
        text = f"{left} takes {text_of(own)} for {node.id}, the sum over all steps: {DIAGONAL}"
        yield 3, text, own


def summands(equations: Mapping[str, str]) -> dict[str, ast.expr]:
    """Return the summand of every equation that is a sum over t, or the negative of one."""
    found: dict[str, ast.expr] = {}
    for name, text in equations.items():
        try:
            statement = ast.parse(text).body[0]
        except SyntaxError:
            continue
        match statement:
            case ast.Assign(
                targets=[ast.Name()],
                value=ast.UnaryOp(
                    op=ast.USub(), operand=ast.Call(func=ast.Name(id="sum"), args=[sum_])
                ),
            ) if isinstance(sum_, ast.GeneratorExp):
                found[name] = ast.UnaryOp(ast.USub(), sum_.elt)
            case ast.Assign(
                targets=[ast.Name()], value=ast.Call(func=ast.Name(id="sum"), args=[sum_])
            ) if isinstance(sum_, ast.GeneratorExp):
                found[name] = sum_.elt
    return found


def slopes(equations: Mapping[str, str]) -> dict[str, ast.expr]:
    """Return the slope that a cotangent is multiplied by, by its name."""
    found: dict[str, ast.expr] = {}
    for name, text in equations.items():
        try:
            tree = ast.parse(text)
        except SyntaxError:
            continue
        for node in ast.walk(tree):
            if isinstance(node, ast.BinOp) and isinstance(node.op, ast.Mult):
                own = [each for each in (node, node.left, node.right) if is_slope(each)]
                if own:
                    found.setdefault(name, own[0])
    return found


def sloped_again(node: ast.Subscript, left: str, known: Mapping[str, ast.expr]) -> Iterator[Change]:
    """Yield a cotangent that has its slope already, with the slope once more."""
    assert isinstance(node.value, ast.Name)
    slope = known.get(node.value.id)
    if slope is not None and lag_of(node.slice)[1] == 0:
        twice = ast.BinOp(node, ast.Mult(), slope)
        text = f"{left} applies the slope {text_of(slope)} again, which {text_of(node)} has already"
        yield 4, text, twice


def undivided(
    equations: Mapping[str, str], forward: Mapping[str, str], prefix: str
) -> Iterator[tuple[str, str, str]]:
    """Yield cotangents of quotients without the division: in words, the equation, the new one.

    Where `n[t] = u[t] / s[t]`, all that comes through n is divided by s once.
    """
    for name, text in forward.items():
        right = equations.get(prefix + name)
        if right is None:
            continue
        try:
            definition, cotangent = (ast.parse(each).body[0] for each in (text, right))
        except SyntaxError:
            continue
        if not (isinstance(definition, ast.Assign) and isinstance(cotangent, ast.Assign)):
            continue
        match definition.value:
            case ast.BinOp(op=ast.Div(), right=by):
                left = ast.unparse(cotangent.targets[0])
                value = ast.BinOp(cotangent.value, ast.Mult(), by)
                through = text_of(definition.targets[0])
                cause = f"what comes through {through} lacks the division by {text_of(by)}"
                yield cause, right, f"{left} = {ast.unparse(value)}"
