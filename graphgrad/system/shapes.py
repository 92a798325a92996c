"""Shapes: the least fix-point of unknown < scalar < array through the recurrence."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from graphgrad.causality import quoting
from graphgrad.declared import Boundary, Declared, Equation
from graphgrad.dims import Shape, Token
from graphgrad.errors import GraphgradError, Place, ShapeError
from graphgrad.ir import OPS, Expr, Type, topological
from graphgrad.ops import LOSSES

READS = ("read", "at_step", "static")


def infer_types(declared: Declared) -> dict[str, Shape]:
    """Return the shape of every variable: the least fix-point of unknown < scalar < array."""
    known = known_shapes(declared)
    return {name: known.get(name, ()) for name in declared.equations}


def known_shapes(declared: Declared) -> dict[str, Shape]:
    """Return the shapes that follow from the equations; of other variables nothing is known."""
    types: dict[str, Shape] = dict(declared.states)
    fixed = set(types)
    roots = [(each.name, topological([each.root])) for each in _written(declared)]
    assume = False
    for _ in range(4 * len(roots) + 4):
        moved = False
        for name, order in roots:
            if name in fixed or name in declared.inputs:
                continue
            guess = _guess(order, declared, types, assume=assume and not moved)
            old = types.get(name)
            if (
                guess is not None
                and not isinstance(guess, Token)
                and (old is None or (not old and guess))
            ):
                types[name] = guess
                moved = True
        if not moved and assume:
            break
        assume = not moved
    return types


def _written(declared: Declared) -> list[Equation | Boundary]:
    return [*declared.equations.values(), *declared.boundaries.values()]


def check_known(declared: Declared, types: Mapping[str, Shape]) -> None:
    """Raise where operands do not fit whose shapes are known, while those of variables are not.

    A mismatch leaves the shape of its variable unknown; to call that a scalar, as is done where
    nothing else is said, would blame whatever reads the variable.
    """
    if all(name in types for name in declared.equations):
        return
    for each in _written(declared):
        with quoting(declared, each):
            kind = _check_known(topological([each.root]), declared, types)
            if isinstance(kind, Token) and each.name not in declared.inputs:
                raise token_variable(kind, each.root.place)


def token_variable(kind: Token, place: Place | None) -> ShapeError:
    """Return the error for a variable that would be a token."""
    return ShapeError(
        f"a variable cannot be a {kind}: variables hold numbers",
        place=place,
        remedy="read the token itself where this variable is read, for example x[t-2] for k[t-1] "
        "where k[t] = x[t-1]",
    )


def _check_known(order: list[Expr], declared: Declared, types: Mapping[str, Shape]) -> Type | None:
    """Return the type of the last expression, None where it is not known."""
    known: dict[int, Type | None] = {}
    for expr in order:
        given = [known[id(arg)] for arg in expr.args]
        if not expr.args:
            known[id(expr)] = leaf_type(expr, declared, types)
        elif expr.op.name in LOSSES or any(each is None for each in given):
            known[id(expr)] = result_type(expr, given)
        else:
            try:
                known[id(expr)] = expr.op.shape(expr.attr, *given)
            except GraphgradError as error:
                raise error.at(expr.place) from None
    return known[id(order[-1])]


def leaf_type(expr: Expr, declared: Declared, types: Mapping[str, Shape]) -> Type | None:
    """Return the type of a leaf, None where its variable's shape is not known yet."""
    kind = expr.op.name
    if kind == "param":
        return declared.params[expr.attr].shape
    if kind == "input":
        return declared.inputs[expr.attr].type
    if kind in READS:
        name = expr.attr if kind == "static" else expr.attr.name
        return declared.inputs[name].type if name in declared.inputs else types.get(name)
    return expr.type if expr.type is not None else expr.op.shape(expr.attr)


def _guess(
    order: list[Expr], declared: Declared, types: Mapping[str, Shape], *, assume: bool
) -> Type | None:
    known: dict[int, Type | None] = {}
    for expr in order:
        if not expr.args:
            known[id(expr)] = leaf_type(expr, declared, types)
            continue
        given = [known[id(arg)] for arg in expr.args]
        known[id(expr)] = _guess_op(expr, given, assume=assume)
    return known[id(order[-1])]


_JOINS = {"add", "sub", "mul", "div", "pow", "choose", "accumulate", "maximum", "minimum", "where"}


def _guess_op(expr: Expr, given: list[Type | None], *, assume: bool) -> Type | None:
    if expr.op.name in _JOINS:
        shapes = [each for each in given if each is not None and not isinstance(each, Token)]
        tokens = [each for each in given if isinstance(each, Token)]
        if tokens and expr.op.name == "choose":
            return tokens[0]
        return next((shape for shape in shapes if shape), shapes[0] if shapes else None)
    if expr.op is OPS["matmul"] and assume:
        left, right = given
        if isinstance(left, tuple) and len(left) == 2 and not right:
            return left[:1]
    return result_type(expr, given)


def result_type(expr: Expr, given: Sequence[Type | None]) -> Type | None:
    """Return the type of an op's result, None where it is not known or there is none."""
    if expr.op.name in LOSSES:
        return ()
    if any(each is None for each in given):
        return None
    try:
        return expr.op.shape(expr.attr, *given)
    except ShapeError:
        return None
