"""System: a checked circuit as one typed, flat graph, with its order of computation.

Shapes are the least fix-point of unknown < scalar < array through the recurrence. After it one
strict pass gives every node its type, makes implied steps explicit (a scalar that stands for an
array, a token that stands for its unit vector) and reports what does not fit.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import chain

from graphgrad.causality import Component, schedule
from graphgrad.conditions import ALWAYS
from graphgrad.declared import Declared, Index, Input, Param, Variable, spaces_of
from graphgrad.dims import Dim, Shape, Token
from graphgrad.doors import door
from graphgrad.errors import (
    BoundaryError,
    GraphgradError,
    NotationError,
    Place,
    ShapeError,
    unknown_name,
)
from graphgrad.ir import OPS, At, Expr, Graph, Node, Type, topological, type_text
from graphgrad.ops import LOSSES
from graphgrad.ops.leaves import zeros

_text = door("graphgrad.notation.text:circuit_text")
_parse = door("graphgrad.notation.parse:parse")
READS = ("read", "at_step", "static")


@dataclass(frozen=True)
class System:
    """A circuit that is known to make sense.

    `graph` holds all equations; `roots` gives the node of each variable, `boundary_roots` that of
    each boundary equation; `spaces[i]` is the index node i varies with, None if it is static;
    `components` is the order of computation.
    """

    declared: Declared
    variables: Mapping[str, Variable]
    graph: Graph
    spaces: tuple[str | None, ...]
    roots: Mapping[str, int]
    boundary_roots: Mapping[At, int]
    components: tuple[Component, ...]

    def __reduce__(self) -> tuple[object, ...]:
        return _from_text, (_text(self.declared), self.declared.name)

    @property
    def indices(self) -> Mapping[str, Index]:
        """The time indices by name."""
        return self.declared.indices

    @property
    def params(self) -> Mapping[str, Param]:
        """The parameters by name."""
        return self.declared.params

    @property
    def inputs(self) -> Mapping[str, Input]:
        """The inputs by name."""
        return self.declared.inputs

    def type_of(self, name: str) -> Type:
        """Return the type of a variable, input or parameter (of one step, if indexed)."""
        if name in self.variables:
            return self.variables[name].shape
        if name in self.inputs:
            return self.inputs[name].type
        return self.params[name].shape

    def index_of(self, name: str) -> str | None:
        """Return the index of a variable or input, None where it is static."""
        return self.declared.index_of(name)

    def below(self, root: int) -> list[int]:
        """Return the nodes of the expression under a root, arguments before users."""
        found = {root}
        for node in range(root, -1, -1):
            if node in found:
                found.update(self.graph.nodes[node].args)
        return sorted(found)

    def definition(self, name: str) -> Expr:
        """Return the right side of a variable's equation as it was written."""
        return self.declared.equations[name].root


def _from_text(text: str, name: str) -> System:
    """Return the system of a text; how systems travel between processes."""
    system: System = _parse(text, name).check()
    return system


def system_of(declared: Declared) -> System:
    """Return the checked system of a circuit.

    Raises UnknownNameError, ShapeError, BoundaryError or CausalityError, each with its place.
    """
    _check_names(declared)
    _check_boundaries(declared)
    order = topological(root for _, root, _ in _all_roots(declared))
    spaces = spaces_of(order, declared.index_of, declared.indices)
    for name, root, index in _all_roots(declared):
        if spaces[id(root)] not in (None, index):
            raise NotationError(
                f"{name} is written without {spaces[id(root)]}, on which its right side depends",
                place=root.place,
                remedy=f"write {name}[{spaces[id(root)]}] = … or reduce with sum(… for "
                f"{spaces[id(root)]} in steps)",
            )
    types = infer_types(declared)
    return _typed(declared, types, spaces)


def _all_roots(declared: Declared) -> Iterator[tuple[str, Expr, str | None]]:
    for equation in declared.equations.values():
        yield equation.name, equation.root, equation.index
    for boundary in declared.boundaries.values():
        yield boundary.name, boundary.root, None


def _check_names(declared: Declared) -> None:
    """Raise where an expression reads a name that nothing defines."""
    for name in declared.states:
        if name not in declared.equations:
            raise NotationError(
                f"{name} has a shape but no equation", remedy=f"write {name}[t] = …"
            )
    for _, root, _ in _all_roots(declared):
        for expr in topological([root]):
            if expr.op.name not in READS:
                continue
            name = expr.attr if expr.op.name == "static" else expr.attr.name
            if name not in declared.equations and name not in declared.inputs:
                known = {*declared.equations, *declared.inputs}
                raise unknown_name(name, known, place=expr.place)
            if expr.op.name == "static" and declared.index_of(name) is not None:
                raise NotationError(f"{name} needs a time in brackets", place=expr.place)


def _check_boundaries(declared: Declared) -> None:
    """Raise for a boundary equation that no read can reach."""
    for key in declared.boundaries:
        if key.name not in declared.equations and key.name not in declared.inputs:
            place = declared.boundaries[key].place
            raise BoundaryError(f"{key.name} has a boundary but no equation", place=place)
    for key in unread_boundaries(declared):
        index = declared.indices[declared.index_of(key.name) or ""]
        shown = f"{index.length}{key.offset:+d}" if key.last else str(key.offset)
        raise BoundaryError(
            f"{key.name}[{shown}] is never read",
            place=declared.boundaries[key].place,
            remedy="remove this boundary equation, or correct the step it stands for",
        )


def unread_boundaries(declared: Declared) -> list[At]:
    """Return the boundary equations that no read can reach."""
    reads: dict[str, set[int]] = {}
    absolute: dict[str, set[At]] = {}
    for _, root, _ in _all_roots(declared):
        for expr in topological([root]):
            if expr.op.name == "read":
                reads.setdefault(expr.attr.name, set()).add(expr.attr.lag)
            elif expr.op.name == "at_step":
                absolute.setdefault(expr.attr.name, set()).add(expr.attr)
    found = []
    for key in declared.boundaries:
        lags = reads.get(key.name, set())
        used = any(-lag >= key.offset if key.last else 1 - lag <= key.offset for lag in lags)
        if not used and not any(_reaches(read, key) for read in absolute.get(key.name, ())):
            found.append(key)
    return found


def _reaches(read: At, boundary: At) -> bool:
    """Whether an absolute read is that boundary value for some length ≥ 1."""
    if read.last == boundary.last:
        return read.offset == boundary.offset
    # h[tau-1] is h[0] where tau = 1; h[3] is h[tau+1] where tau = 2
    ahead = boundary.offset - read.offset if read.last else read.offset - boundary.offset
    return ahead >= 1


# -- shapes ----------------------------------------------------------------------------------------


def infer_types(declared: Declared) -> dict[str, Shape]:
    """Return the shape of every variable: the least fix-point of unknown < scalar < array."""
    types: dict[str, Shape] = dict(declared.states)
    fixed = set(types)
    roots: list[tuple[str, list[Expr]]] = [
        (e.name, topological([e.root])) for e in declared.equations.values()
    ] + [(b.name, topological([b.root])) for b in declared.boundaries.values()]
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
    return {name: types.get(name, ()) for name in declared.equations}


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
    if expr.op.name in LOSSES:
        return ()
    if expr.op is OPS["matmul"] and assume:
        left, right = given
        if isinstance(left, tuple) and len(left) == 2 and not right:
            return left[:1]
    if any(each is None for each in given):
        return None
    try:
        return expr.op.shape(expr.attr, *given)
    except ShapeError:
        return None


class _Typer:
    """Builds the typed graph of a system, node by node."""

    def __init__(self, declared: Declared, types: Mapping[str, Shape]) -> None:
        self.declared = declared
        self.types = types
        self.nodes: list[Node] = []
        self.places: list[Place | None] = []
        self.spaces: list[str | None] = []

    def add(self, node: Node, place: Place | None, space: str | None) -> int:
        self.nodes.append(node)
        self.places.append(place)
        self.spaces.append(space)
        return len(self.nodes) - 1

    def root(self, root: Expr, spaces: Mapping[int, str | None], wanted: Type) -> int:
        """Add an expression; make a scalar stand for an array where one is wanted."""
        position: dict[int, int] = {}
        for expr in topological([root]):
            args = [position[id(arg)] for arg in expr.args]
            space = spaces[id(expr)]
            try:
                position[id(expr)] = self._node(expr, args, space)
            except GraphgradError as error:
                raise error.at(expr.place) from None
        return self._fitted(position[id(root)], wanted, root, spaces[id(root)])

    def _node(self, expr: Expr, args: list[int], space: str | None) -> int:
        if not args:
            kind = leaf_type(expr, self.declared, self.types)
            assert kind is not None
            return self.add(Node(expr.op, (), expr.attr, kind), expr.place, space)
        if expr.op.name in LOSSES:
            args[1] = self._unit_row(args[1])
        kind = expr.op.shape(expr.attr, *(self.nodes[arg].type for arg in args))
        if expr.op.name == "choose" and isinstance(kind, tuple):
            args = [self.broadcast(arg, kind) for arg in args]
        return self.add(Node(expr.op, tuple(args), expr.attr, kind), expr.place, space)

    def _unit_row(self, arg: int) -> int:
        kind = self.nodes[arg].type
        if not isinstance(kind, Token):
            return arg
        node = Node(OPS["onehot"], (arg,), None, (kind.size,))
        return self.add(node, self.places[arg], self.spaces[arg])

    def broadcast(self, arg: int, shape: Shape) -> int:
        """Return a node of the given shape for a node that may be a scalar."""
        node = self.nodes[arg]
        if node.type == shape or not shape:
            return arg
        place, space = self.places[arg], self.spaces[arg]
        if node.op is OPS["const"] and node.attr == 0:
            fill = zeros(shape)
            return self.add(Node(fill.op, (), fill.attr, shape), place, space)
        return self.add(Node(OPS["expand"], (arg,), shape, shape), place, space)

    def _fitted(self, root: int, wanted: Type, written: Expr, space: str | None) -> int:
        node = self.nodes[root]
        if isinstance(wanted, Token):
            if node.type == wanted:
                return root
            if node.op is OPS["const"] and isinstance(node.attr, int):
                if node.attr < 0 or (wanted.size.known and node.attr >= int(wanted.size)):
                    raise ShapeError(
                        f"{node.attr} is not a {wanted}",
                        place=written.place,
                        remedy=f"tokens are 0..{wanted.size + -1}",
                    )
                self.nodes[root] = node._replace(type=wanted)
                return root
            raise ShapeError(
                f"a {wanted} cannot be {type_text(node.type)}",
                place=written.place,
                remedy="write a whole number or another token",
            )
        if node.type == wanted or node.type == ():
            return self.broadcast(root, wanted)
        raise ShapeError(
            f"the right side is {type_text(node.type)}, elsewhere it is {type_text(wanted)}",
            place=written.place,
            remedy="declare the shape, for example h[t]: state(H)",
        )


def _typed(
    declared: Declared, types: Mapping[str, Shape], spaces: Mapping[int, str | None]
) -> System:
    typer = _Typer(declared, types)
    roots: dict[str, int] = {}
    for equation in declared.equations.values():
        wanted = types[equation.name]
        root = typer.root(equation.root, spaces, wanted)
        if typer.nodes[root].op is OPS["expand"] and equation.name not in declared.states:
            raise ShapeError(
                f"the right side of {equation.name} is a scalar, elsewhere it is "
                f"{type_text(wanted)}",
                place=equation.root.place,
                remedy=f"declare {equation.name}[{equation.index}]: state(…), "
                "or multiply by ones(…)",
            )
        roots[equation.name] = root
    boundary_roots = {
        key: typer.root(
            boundary.root,
            spaces,
            declared.inputs[key.name].type if key.name in declared.inputs else types[key.name],
        )
        for key, boundary in declared.boundaries.items()
    }
    variables = {
        e.name: Variable(e.name, e.index, types[e.name]) for e in declared.equations.values()
    }
    graph = Graph(tuple(typer.nodes), tuple(typer.places))
    _check_tokens(declared, graph)
    components = schedule(declared)
    return System(
        declared, variables, graph, tuple(typer.spaces), roots, boundary_roots, components
    )


def _check_tokens(declared: Declared, graph: Graph) -> None:
    """Raise for a delayed read of a token without boundary equations, unless a choice guards it."""
    guarded: set[int] = set()
    for position in range(len(graph) - 1, -1, -1):
        node = graph.nodes[position]
        if (
            node.op is OPS["choose"]
            or position in guarded
            or (node.op is OPS["reduce"] and node.attr.condition != ALWAYS)
        ):
            guarded.update(node.args)
        if node.op is not OPS["read"] or not isinstance(node.type, Token) or position in guarded:
            continue
        name, lag = node.attr
        before = (At(name, False, k) for k in range(1 - lag, 1))
        after = (At(name, True, k) for k in range(1, 1 - lag))
        for key in chain(before, after):
            if key not in declared.boundaries:
                index = declared.indices[declared.index_of(name) or ""]
                shown = f"{index.length}+{key.offset}" if key.last else str(key.offset)
                raise BoundaryError(
                    f"the token {name} is read at step {shown}, where it has no value",
                    place=graph.places[position],
                    remedy=f"write a boundary equation such as {name}[{shown}] = 0",
                )


def sizes_in(kind: Type) -> tuple[Dim, ...]:
    """Return the dimensions of a type."""
    return (kind.size,) if isinstance(kind, Token) else kind
