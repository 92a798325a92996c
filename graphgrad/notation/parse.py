"""Text to circuit: declarations first, then equations, in the order written."""

from __future__ import annotations

import ast
from os import PathLike
from pathlib import Path

from graphgrad.circuit import Circuit
from graphgrad.conditions import Affine
from graphgrad.errors import (
    FileError,
    GraphgradError,
    NameClashError,
    NotationError,
    nearest,
    shown,
)
from graphgrad.files import read_text
from graphgrad.ir import OPS, Part, constant
from graphgrad.notation.expressions import Converter
from graphgrad.notation.indices import SEVERAL
from graphgrad.notation.reader import Statement, read_statements

_KINDS = ("param", "input", "token", "distribution", "size", "steps", "state")


def parse(text: str, name: str | None = None) -> Circuit:
    """Return the circuit that a text in the notation declares, checked.

    `name` stands for the text in messages and pictures. Raises a GraphgradError with line, caret,
    cause and remedy for anything that is not in the notation or cannot be computed.
    """
    if name is not None and not isinstance(name, str):
        raise NotationError(f"{shown(name)} is no name", remedy='write name="elman"')
    title, statements = read_statements(text, name)
    circuit = Circuit(name or "circuit", title=title)
    _fill(circuit, statements)
    if not circuit._equations:
        raise NotationError(
            f"there is no equation in {name or 'this text'}",
            remedy="write one, such as h[t] = tanh(h[t-1])",
        )
    circuit.check()
    return circuit


def load(path: str | PathLike[str]) -> Circuit:
    """Return the circuit in a `.rec` file."""
    if not isinstance(path, str | PathLike):
        raise FileError(
            f"{shown(path)} is not a path",
            remedy='write gg.load("mine.rec"); gg.parse(text) reads a text',
        )
    path = Path(path)
    try:
        text = read_text(path)
    except FileError as error:
        if error.remedy == "check the path":
            error.remedy += "; graphgrad cells lists the circuits that come with the library"
        raise
    circuit = parse(text, path.name)
    circuit.name = path.stem
    return circuit


def extend(circuit: Circuit, text: str) -> Circuit:
    """Return a copy of a circuit with more declarations and equations."""
    _, statements = read_statements(text, None)
    extended = circuit.copy()
    _fill(extended, statements)
    extended.check()
    return extended


def _fill(circuit: Circuit, statements: list[Statement]) -> None:
    declarations = [s for s in statements if isinstance(s.tree, ast.AnnAssign)]
    equations = [s for s in statements if not isinstance(s.tree, ast.AnnAssign)]
    first = {"steps": 0, "size": 1}  # what the other declarations refer to
    for statement in sorted(declarations, key=lambda s: first.get(_declared_kind(s), 2)):
        _declare(circuit, statement)
    indexed = {n: i.index for n, i in circuit._inputs.items() if i.index is not None}
    indexed |= {n: index for n, index in circuit._signals.items() if index is not None}
    for statement in equations:
        _announce(circuit, statement, indexed)
    for statement in equations:
        _define(circuit, statement, indexed)


def _declared_kind(statement: Statement) -> str:
    tree = statement.tree
    if isinstance(tree, ast.AnnAssign) and isinstance(tree.annotation, ast.Call):
        function = tree.annotation.func
        return function.id if isinstance(function, ast.Name) else ""
    return ""


def _declare(circuit: Circuit, statement: Statement) -> None:
    tree = statement.tree
    assert isinstance(tree, ast.AnnAssign)
    converter = Converter(circuit, statement, {})
    kind = _declared_kind(statement)
    if kind not in _KINDS and (guess := nearest(kind, _KINDS)) is not None:
        called = tree.annotation.func if isinstance(tree.annotation, ast.Call) else tree.annotation
        raise converter.error(called, f"{kind} is no kind of declaration", f"did you mean {guess}?")
    match tree.target, tree.annotation:
        case ast.Name(id=size), ast.Constant(value=int(number)):
            raise converter.error(
                tree.annotation, "this is not a declaration", f"write {size}: size({number})"
            )
    if kind not in _KINDS or tree.value is not None:
        raise converter.error(
            tree.annotation,
            "this is not a declaration",
            "write W: param(H, D), x[t]: input(D), x[t]: token(N), y[t]: distribution(K), "
            "H: size(4), t: steps(tau) or h[t]: state(H)",
        )
    assert isinstance(tree.annotation, ast.Call)
    name, index = _declared_target(circuit, converter, tree.target)
    if index is not None and kind in ("param", "size", "steps"):
        raise converter.error(
            tree.target, f"a {kind} has no index", f"write {name}: {kind}(…); it is one for all t"
        )
    place = converter.place(tree.target)
    arguments = tree.annotation.args
    if tree.annotation.keywords:
        raise converter.error(
            tree.annotation, "sizes are given by position", "write W: param(H, D)"
        )
    if kind == "size":
        match arguments:
            case [ast.Constant(value=int(value))] if not isinstance(value, bool):
                circuit.size(name, value, place=place)
                return
        raise converter.error(tree.annotation, "a size has one whole number", "write H: size(4)")
    if kind == "steps":
        match arguments:
            case [ast.Name(id=length)]:
                circuit.steps(name, length, place=place)
                return
        raise converter.error(
            tree.annotation, "steps takes the name of the length", "t: steps(tau)"
        )
    try:
        dims = [converter.dim(argument) for argument in arguments]
        if kind == "param":
            circuit.param(name, *dims, place=place)
        elif kind == "state":
            circuit.state(name, *dims, index=index, place=place)
        else:
            circuit.input(name, *dims, index=index, kind=kind, place=place)
    except GraphgradError as error:
        raise error.at(place) from None


def _declared_target(
    circuit: Circuit, converter: Converter, target: ast.expr
) -> tuple[str, str | None]:
    match target:
        case ast.Name(id=name):
            return name, None
        case ast.Subscript(value=ast.Name(id=name), slice=ast.Name(id=index)):
            if index not in circuit.indices:
                known = ", ".join(circuit.indices)
                raise converter.error(target, f"{index} is not an index", f"indices are: {known}")
            return name, index
    raise converter.error(target, "this cannot be declared", "write W: … or x[t]: …")


def _targets(statement: Statement) -> list[ast.expr]:
    """Return the left sides of an equation; anything that is not an equation is an error."""
    tree = statement.tree
    if isinstance(tree, ast.Assign) and len(tree.targets) == 1:
        target = tree.targets[0]
        return list(target.elts) if isinstance(target, ast.Tuple) else [target]
    raise NotationError(
        "this is not an equation or a declaration",
        place=statement.place(),
        remedy="write h[t] = tanh(W @ h[t-1]) or W: param(H, H)",
    )


def _announce(circuit: Circuit, statement: Statement, indexed: dict[str, str]) -> None:
    """Make the names on a left side known, before any right side is read."""
    for target in _targets(statement):
        place = statement.place(target)
        match target:
            case ast.Name(id=name):
                if name in circuit._sizes and (value := _number(statement.tree)) is not None:
                    raise NameClashError(
                        f"{name} is the size of a dimension, which is declared",
                        place=place,
                        remedy=f"write {name}: size({value})",
                    )
                if name not in circuit._inputs and name not in circuit._params:
                    circuit.var(name, index=None, place=place)
            case ast.Subscript(value=ast.Name(id=name), slice=ast.Name(id=index)) if (
                index in circuit.indices
            ):
                if name not in circuit._inputs and name not in circuit._params:
                    circuit.var(name, index=index, place=place)
                    indexed[name] = index
            case ast.Subscript(value=ast.Name(), slice=ast.Tuple()):
                raise NotationError(SEVERAL[0], place=place, remedy=SEVERAL[1])
            case ast.Subscript(value=ast.Name()):
                pass
            case _:
                raise NotationError(
                    "this cannot stand on the left side",
                    place=place,
                    remedy="write h[t] = …, loss = … or h[0] = …",
                )


def _number(tree: ast.stmt) -> int | None:
    """Return the whole number that an equation has on its right side, if that is all."""
    match tree:
        case ast.Assign(value=ast.Constant(value=int(value))):
            return value
    return None


def _define(circuit: Circuit, statement: Statement, indexed: dict[str, str]) -> None:
    tree = statement.tree
    assert isinstance(tree, ast.Assign)
    converter = Converter(circuit, statement, indexed)
    if isinstance(tree.targets[0], ast.Tuple):
        _define_split(circuit, converter, tree.targets[0].elts, tree.value)
        return
    target = tree.targets[0]
    place = converter.place(target)
    match target:
        case ast.Name(id=name):
            circuit.define(name, None, converter.expression(tree.value, ()), place=place)
        case ast.Subscript(value=ast.Name(id=name)):
            if name not in indexed:
                if name in circuit._params or name in circuit._inputs:
                    circuit.define(name, None, constant(0), place=place)  # raises: it is taken
                named = [n.id for n in ast.walk(target.slice) if isinstance(n, ast.Name)]
                lengths = {index.length for index in circuit.indices.values()}
                for each in named:
                    if each in circuit.indices:
                        raise converter.error(
                            target,
                            f"an equation defines {name}[{each}], not another step",
                            "shift the whole equation in time",
                        )
                    if each not in lengths:
                        known = ", ".join(circuit.indices)
                        raise converter.error(
                            target, f"{each} is not an index", f"indices are: {known}"
                        )
                raise converter.error(
                    target,
                    f"{name} has no equation with an index, so no boundary either",
                    f"write the equation {name}[t] = … too",
                )
            index = indexed[name]
            length = circuit.indices[index].length
            time = converter.affine(target.slice, {index, length})
            offset, base = time.constant, time.plus(-time.constant)
            if base == Affine.name(index) and not offset:
                root = converter.expression(tree.value, {index})
                circuit.define(name, index, root, place=place)
            elif base == Affine.name(length) or not base.terms:
                root = converter.expression(tree.value, ())
                circuit.define_boundary(name, bool(base.terms), offset, root, place=place)
            else:
                raise converter.error(
                    target,
                    f"an equation defines {name}[{index}], not {name}[{time}]",
                    "shift the whole equation in time",
                )


def _define_split(
    circuit: Circuit, converter: Converter, targets: list[ast.expr], value: ast.expr
) -> None:
    if not (
        isinstance(value, ast.Call)
        and isinstance(value.func, ast.Name)
        and value.func.id == "split"
    ):
        raise converter.error(
            value, "several left sides need split", "write a[t], b[t] = split(z[t], 2)"
        )
    operand, sizes, count = converter.split_arguments(value)
    if count != len(targets):
        raise converter.error(
            value, f"split gives {count} pieces for {len(targets)} left sides", "name every piece"
        )
    scope: set[str] = set()
    names: list[tuple[str, str | None, ast.expr]] = []
    for target in targets:
        match target:
            case ast.Name(id=name):
                names.append((name, None, target))
            case ast.Subscript(value=ast.Name(id=name), slice=ast.Name(id=index)):
                names.append((name, index, target))
                scope.add(index)
            case _:
                raise converter.error(
                    target, "this is not a variable", "write a[t], b[t] = split(z[t], 2)"
                )
    whole = converter.expression(operand, scope)
    for position, (name, space, target) in enumerate(names):
        part = OPS["part"](whole, attr=Part(sizes, position), place=converter.place(value))
        circuit.define(name, space, part, place=converter.place(target))
