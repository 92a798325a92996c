"""The strict pass that gives every node its type and makes implied steps explicit."""

from __future__ import annotations

from collections.abc import Mapping

from graphgrad.causality import quoting, schedule
from graphgrad.declared import Declared, Variable
from graphgrad.dims import Shape, Token, shape_text
from graphgrad.errors import GraphgradError, Place, ShapeError
from graphgrad.ir import OPS, At, Expr, Graph, Node, Type, topological, type_text
from graphgrad.ops import LOSSES
from graphgrad.ops.leaves import zeros
from graphgrad.system.checks import check_tokens
from graphgrad.system.data import System
from graphgrad.system.shapes import READS, leaf_type, token_variable


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
                product = self._wrong_product(expr, position)
                raise product or error.at(expr.place) from None
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

    def _wrong_product(self, total: Expr, position: Mapping[int, int]) -> ShapeError | None:
        """Return the error for `W * h[t-1] + v`, where h is a matrix by that product alone."""

        def shape(expr: Expr) -> Shape:
            kind = self.nodes[position[id(expr)]].type
            return kind if isinstance(kind, tuple) else ()

        if total.op.name not in ("add", "sub"):
            return None
        vector = next((s for arg in total.args if len(s := shape(arg)) == 1), None)
        pending = [] if vector is None else list(total.args)
        while pending:
            expr = pending.pop(0)
            if expr.op.name in ("add", "sub", "neg"):
                pending += expr.args
            if expr.op.name != "mul" or len(shape(expr)) != 2 or shape(expr)[:1] != vector:
                continue
            if {*map(shape, expr.args)} == {shape(expr)} and any(map(self._is_inferred, expr.args)):
                return ShapeError(
                    f"* goes component by component: this is {shape_text(shape(expr))}, "
                    f"and {shape_text(vector)} is added to it",
                    place=expr.place,
                    remedy="a matrix times a vector is written W @ v",
                )
        return None

    def _is_inferred(self, read: Expr) -> bool:
        """Whether this reads a variable whose shape follows from the equations."""
        if read.op.name not in READS:
            return False
        name = read.attr if read.op.name == "static" else read.attr.name
        return name not in self.declared.states and name not in self.declared.inputs

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
        if isinstance(node.type, Token):
            raise token_variable(node.type, written.place)
        raise ShapeError(
            f"the right side is {type_text(node.type)}, elsewhere it is {type_text(wanted)}",
            place=written.place,
            remedy="declare the shape, for example h[t]: state(H)",
        )


def typed(
    declared: Declared, types: Mapping[str, Shape], spaces: Mapping[int, str | None]
) -> System:
    """Return the system of a circuit whose shapes are known; raise for what does not fit."""
    typer = _Typer(declared, types)
    roots: dict[str, int] = {}
    for equation in declared.equations.values():
        wanted = types[equation.name]
        with quoting(declared, equation):
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
    boundary_roots: dict[At, int] = {}
    for key, boundary in declared.boundaries.items():
        inputs = declared.inputs
        kind = inputs[key.name].type if key.name in inputs else types[key.name]
        with quoting(declared, boundary):
            boundary_roots[key] = typer.root(boundary.root, spaces, kind)
    variables = {
        e.name: Variable(e.name, e.index, types[e.name]) for e in declared.equations.values()
    }
    graph = Graph(tuple(typer.nodes), tuple(typer.places))
    check_tokens(declared, graph)
    components = schedule(declared)
    return System(
        declared, variables, graph, tuple(typer.spaces), roots, boundary_roots, components
    )
