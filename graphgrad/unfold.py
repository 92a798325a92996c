"""Unfolding: a circuit of any length as one explicit graph in flat arrays.

Every equation is instantiated for each step by tiling its template, with NumPy and without a loop
over steps. Parameters are one node each. Reads resolve to the instance inside 1..τ, else to the
boundary equation, else to zero; choices keep the branch that holds; sums over time become one
`accumulate` node. Identical subexpressions are not merged: what was written is what is there.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from graphgrad.causality import Component
from graphgrad.circuit import Circuit
from graphgrad.conditions import holds
from graphgrad.dims import Shape, Token
from graphgrad.doors import door
from graphgrad.errors import (
    BoundaryError,
    DataError,
    DomainError,
    unknown_name,
)
from graphgrad.ir import OPS, At, Op, Type
from graphgrad.ops.leaves import zeros
from graphgrad.system import System

if TYPE_CHECKING:
    import networkx

    from graphgrad.paths import Paths

Ints = NDArray[np.int32]
Bools = NDArray[np.bool_]
STATIC = np.int32(np.iinfo(np.int32).min)
MAX_NODES = 2**31 - 1

_evaluate = door("graphgrad.evaluate:evaluate")
_grad = door("graphgrad.autodiff:grad")
_contributions = door("graphgrad.contributions:contributions")
_paths = door("graphgrad.paths:paths")
_to_networkx = door("graphgrad.export:to_networkx")


class Template(NamedTuple):
    """What the instances of one node have in common."""

    op: Op
    attr: Any
    type: Type


@dataclass(frozen=True)
class Series:
    """The instances of one variable: node numbers for steps 1..τ, and those outside.

    A static variable has one instance and `index` None.
    """

    name: str
    index: str | None
    type: Type
    nodes: Ints
    outside: Mapping[int, int] = field(default_factory=dict)


@dataclass(frozen=True, eq=False)
class Dag:
    """An unfolded circuit: node i is `templates[kinds[i]]` applied to its arguments.

    Arguments of node i are `args[starts[i]:starts[i+1]]`, all smaller than i. `times[i]` is the
    step, STATIC for nodes that belong to no step; `spaces` has the index of that step for each
    template. `series` names the instances of variables (and inputs), `params` the one node of each
    parameter.
    """

    name: str
    tau: Mapping[str, int]
    sizes: Mapping[str, int]
    system: System
    templates: tuple[Template, ...]
    spaces: tuple[str | None, ...]
    kinds: Ints
    times: Ints
    starts: Ints
    args: Ints
    series: Mapping[str, Series]
    param_nodes: Mapping[str, int]
    outputs: Mapping[str, int] = field(default_factory=dict)

    def __len__(self) -> int:
        return len(self.kinds)

    def __getitem__(self, key: int | str | tuple[str, int]) -> View:
        if isinstance(key, int | np.integer):
            if not -len(self) <= key < len(self):
                raise DataError(
                    f"there is no node {key}: the graph has {len(self):,}",
                    remedy="nodes are counted from 0",
                )
            return View(self, int(key) % len(self))
        if isinstance(key, str):
            return View(self, self._static(key))
        name, step = key
        return View(self, self._instance(name, step))

    def _static(self, name: str) -> int:
        if name in self.param_nodes:
            return self.param_nodes[name]
        if name in self.outputs:
            return self.outputs[name]
        series = self._find(name)
        if series.index is not None:
            raise DataError(f"{name} has a step", remedy=f'write dag["{name}", 1]')
        return int(series.nodes[0])

    def _instance(self, name: str, step: int) -> int:
        series = self._find(name)
        if series.index is None:
            raise DataError(f"{name} is static", remedy=f'write dag["{name}"]')
        if 1 <= step <= len(series.nodes):
            return int(series.nodes[step - 1])
        if step in series.outside:
            return series.outside[step]
        raise DataError(
            f"{name} has no instance at step {step}",
            remedy=f"its steps are 1..{len(series.nodes)}"
            + "".join(f", {k}" for k in sorted(series.outside)),
        )

    def _find(self, name: str) -> Series:
        if name not in self.series:
            raise unknown_name(name, {*self.series, *self.param_nodes, *self.outputs})
        return self.series[name]

    @property
    def nodes(self) -> Nodes:
        """All nodes as a sequence of views, in topological order."""
        return Nodes(self)

    @property
    def params(self) -> dict[str, View]:
        """The parameter nodes by name."""
        return {name: View(self, node) for name, node in self.param_nodes.items()}

    @property
    def inputs(self) -> list[str]:
        """The names of the inputs that values are needed for."""
        return list(self.system.inputs)

    def arguments(self, node: int) -> list[int]:
        """Return the arguments of a node."""
        found: list[int] = self.args[self.starts[node] : self.starts[node + 1]].tolist()
        return found

    def evaluate(
        self, values: Mapping[str, Any] | None = None, over: Any = None, **options: Any
    ) -> dict[str, Any]:
        """Return every output and variable as arrays; see `graphgrad.evaluate.evaluate`."""
        result: dict[str, Any] = _evaluate(self, {} if values is None else values, over, **options)
        return result

    def grad(self, loss: str = "loss", wrt: Any = None) -> Dag:
        """Return the graph with its backward nodes appended; see `graphgrad.autodiff.grad`."""
        dag: Dag = _grad(self, loss, wrt)
        return dag

    def contributions(
        self, values: Mapping[str, Any], loss: str = "loss", **options: Any
    ) -> dict[str, Any]:
        """Return each gradient by loss step and use step: W -> array [s, t, *W.shape].

        The sum over s and t is the gradient; see `graphgrad.contributions.contributions`.
        """
        result: dict[str, Any] = _contributions(self, values, loss, **options)
        return result

    def paths(
        self, wrt: str | tuple[str, int], loss: str | tuple[str, int] = "loss", **options: Any
    ) -> Paths:
        """Return a gradient as a sum over paths; see `graphgrad.paths.paths`."""
        found: Paths = _paths(self, wrt, loss, **options)
        return found

    def to_networkx(self) -> networkx.MultiDiGraph[Any]:
        """Return the graph with one networkx node a node, edges numbered by argument position."""
        graph: networkx.MultiDiGraph[Any] = _to_networkx(self)
        return graph

    @property
    def nbytes(self) -> int:
        """The bytes that the node arrays take."""
        return sum(a.nbytes for a in (self.kinds, self.times, self.starts, self.args))

    def __repr__(self) -> str:
        tau = ", ".join(f"{index} = 1..{length}" for index, length in self.tau.items())
        return f"<Dag {self.name}: {len(self):,} nodes, {tau}>"


@dataclass(frozen=True)
class View:
    """One node of a Dag, looked at: `.op .args .time .name .shape .value`."""

    dag: Dag
    id: int

    @property
    def template(self) -> Template:
        """What the node has in common with its instances at other steps."""
        return self.dag.templates[int(self.dag.kinds[self.id])]

    @property
    def op(self) -> str:
        """The name of the op."""
        return self.template.op.name

    @property
    def attr(self) -> Any:
        """What distinguishes the node besides its arguments: a name, a number, a piece."""
        return self.template.attr

    @property
    def args(self) -> list[View]:
        """The arguments."""
        return [View(self.dag, arg) for arg in self.dag.arguments(self.id)]

    @property
    def time(self) -> int | None:
        """The step the node belongs to, None for a static node."""
        time = self.dag.times[self.id]
        return None if time == STATIC else int(time)

    @property
    def shape(self) -> tuple[Any, ...]:
        """The shape in numbers where the sizes are known, else in named dimensions."""
        kind = self.template.type
        shape = () if isinstance(kind, Token) else kind
        bound = tuple(dim.bind(self.dag.sizes) for dim in shape)
        if all(dim.known for dim in bound):
            return tuple(int(dim) for dim in bound)
        return bound

    @property
    def name(self) -> str | None:
        """The name of the variable, input or parameter the node is, with its step; else None."""
        if self.op in ("param", "input"):
            return str(self.attr)
        for name, series in self.dag.series.items():
            if series.index is None:
                if int(series.nodes[0]) == self.id:
                    return name
                continue
            step = self.time
            if (
                step is not None
                and 1 <= step <= len(series.nodes)
                and int(series.nodes[step - 1]) == self.id
            ):
                return f"{name}[{step}]"
            for outside, node in series.outside.items():
                if node == self.id:
                    return f"{name}[{outside}]"
        return None

    @property
    def value(self) -> Any:
        """The number of a constant, else None: values come from `dag.evaluate`."""
        return self.attr if self.op == "const" else None

    def __eq__(self, other: object) -> bool:
        return isinstance(other, View) and other.dag is self.dag and other.id == self.id

    def __hash__(self) -> int:
        return hash((id(self.dag), self.id))

    def __repr__(self) -> str:
        return f"<{self.name or self.op} #{self.id}>"


class Nodes:
    """The nodes of a Dag as a lazy sequence of views."""

    def __init__(self, dag: Dag) -> None:
        self._dag = dag

    def __len__(self) -> int:
        return len(self._dag)

    def __getitem__(self, position: int) -> View:
        return self._dag[position]

    def __iter__(self) -> Iterator[View]:
        return (View(self._dag, node) for node in range(len(self._dag)))


# -- building --------------------------------------------------------------------------------------


def checked_lengths(system: System, tau: Any) -> dict[str, int]:
    """Return the number of steps per index; DataError for anything but whole numbers ≥ 1."""
    indices = list(system.indices)
    if isinstance(tau, Mapping):
        by_length = {index.length: name for name, index in system.indices.items()}
        lengths = {by_length.get(str(name), str(name)): value for name, value in tau.items()}
        for name in lengths:
            if name not in indices:
                raise unknown_name(name, indices)
        missing = [name for name in indices if name not in lengths]
        if missing:
            raise DataError(
                f"the number of steps of {', '.join(missing)} is not given",
                remedy=f"give tau={{{', '.join(f'{name!r}: 3' for name in indices)}}}",
            )
    else:
        lengths = dict.fromkeys(indices, tau)
    for name, value in lengths.items():
        whole = isinstance(value, int | np.integer) and not isinstance(value, bool)
        if not whole or not 1 <= value < MAX_NODES:
            raise DataError(
                f"the number of steps {system.indices[name].length} = {value!r} is not possible",
                remedy="use a whole number ≥ 1",
            )
    return {name: int(lengths[name]) for name in indices}


def checked_sizes(system: System, sizes: Mapping[str, Any]) -> dict[str, int]:
    """Return the sizes given, with the defaults of those left out."""
    known = system.declared.sizes
    result = {name: default for name, default in known.items() if default is not None}
    for name, value in sizes.items():
        if name not in known:
            raise unknown_name(name, known)
        if isinstance(value, bool) or not isinstance(value, int | np.integer) or value < 1:
            raise DataError(f"the size {name} = {value!r} is not possible", remedy="use an int ≥ 1")
        result[name] = int(value)
    return result


def unfold(circuit: Circuit, tau: int | Mapping[str, int], sizes: Mapping[str, int]) -> Dag:
    """Return the unfolded graph of a circuit for `tau` steps (per index for several indices).

    Sizes that are left out stay symbolic until data show them. Raises DataError, BoundaryError
    (a token read where it has no value) or DomainError (a mean over no step).
    """
    system = circuit.check()
    lengths = checked_lengths(system, tau)
    bound = checked_sizes(system, sizes)
    names = [*system.variables, *system.inputs]
    least = sum(lengths[index] for index in map(system.index_of, names) if index is not None)
    if least > MAX_NODES:
        raise _too_large()
    return _Unfolder(circuit.name, system, lengths, bound).run()


def _too_large() -> DataError:
    return DataError(
        f"the unfolded graph would have more than {MAX_NODES:,} nodes",
        remedy="use fewer steps; compiled functions need no unfolded graph",
    )


class _Unfolder:
    """Numbers all instances, then fills the flat arrays; every step of it is an array operation.

    For a node of the system, `need` says at which steps it must exist (one entry if static),
    `place` gives the number of the instance that its value is, for each step.
    """

    def __init__(
        self, name: str, system: System, lengths: dict[str, int], sizes: dict[str, int]
    ) -> None:
        self.name = name
        self.system = system
        self.lengths = lengths
        self.sizes = sizes
        self.steps = {i: np.arange(1, n + 1, dtype=np.int64) for i, n in lengths.items()}
        self.values: dict[str, Any] = {
            index.length: lengths[name] for name, index in system.indices.items()
        }
        self.need: dict[int, Bools] = {}
        self.place: dict[int, Ints] = {}
        self.templates: list[Template] = []
        self.spaces: list[str | None] = []
        self.count = 0
        self.pieces: list[tuple[int, Ints, Any, list[Ints]]] = []
        self.series: dict[str, Ints] = {}
        self.outside: dict[str, dict[int, int]] = {}
        self.leaves: dict[str, int] = {}
        self.ragged: list[tuple[int, int, Ints]] = []

    def run(self) -> Dag:
        system = self.system
        for name in system.params:
            self.leaves[name] = self.one(Template(OPS["param"], name, system.params[name].shape))
        for name, declared in system.inputs.items():
            if declared.index is None:
                self.leaves[name] = self.one(Template(OPS["input"], name, declared.type))
            else:
                steps = self.steps[declared.index].astype(np.int32)
                self.series[name] = self.many(
                    Template(OPS["input"], name, declared.type), steps, [], declared.index
                )
        for component in system.components:
            if component.direction == 0:
                self.static_unit(component.units[0])
            else:
                self.sweep(component)
        return self.dag()

    # -- emitting instances ---------------------------------------------------------------------

    def template(self, template: Template, space: str | None) -> int:
        self.templates.append(template)
        self.spaces.append(space)
        return len(self.templates) - 1

    def one(self, template: Template, args: list[int] | None = None) -> int:
        """Add one static instance and return its number."""
        columns = [np.array([arg], np.int32) for arg in args or []]
        return int(self.many(template, np.array([STATIC], np.int32), columns)[0])

    def many(
        self, template: Template, times: Ints, args: list[Ints], space: str | None = None
    ) -> Ints:
        """Add one instance a time, numbered in a row, and return the numbers."""
        numbers = np.arange(self.count, self.count + len(times), dtype=np.int32)
        self.advance(len(times))
        self.pieces.append((self.template(template, space), numbers, times, args))
        return numbers

    def advance(self, count: int) -> None:
        self.count += count
        if self.count > MAX_NODES:
            raise _too_large()

    # -- existence ------------------------------------------------------------------------------

    def mark(self, root: int) -> list[int]:
        """Set `need` for the nodes below a root; return those that exist somewhere."""
        nodes = self.system.graph.nodes
        below = self.system.below(root)
        for node in below:
            self.need[node] = np.zeros(self.width(node), bool)
        self.need[root] = np.ones(self.width(root), bool)
        for node in reversed(below):
            needed = self.need[node]
            op, args, attr, _ = nodes[node]
            if op is OPS["choose"]:
                chosen = self.condition(attr, node)
                self.require(args[0], needed & chosen)
                self.require(args[1], needed & ~chosen)
            elif op is OPS["reduce"]:
                index = attr.over
                inside = holds(attr.condition, self.values | {index: self.steps[index]})
                self.require(args[0], np.broadcast_to(inside, self.lengths[index]) & needed[0])
            else:
                for arg in args:
                    self.require(arg, needed)
        return [node for node in below if self.need[node].any()]

    def require(self, node: int, where: Bools) -> None:
        if self.width(node) == 1 and self.system.spaces[node] is None:
            self.need[node] |= where.any()
        else:
            self.need[node] |= where

    def condition(self, condition: Any, node: int) -> Bools:
        """Return at which steps of a node's space a condition holds."""
        space = self.system.spaces[node]
        values = self.values | ({space: self.steps[space]} if space is not None else {})
        return np.broadcast_to(np.asarray(holds(condition, values), bool), self.width(node))

    def width(self, node: int) -> int:
        space = self.system.spaces[node]
        return 1 if space is None else self.lengths[space]

    # -- units ----------------------------------------------------------------------------------

    def static_unit(self, unit: str | At) -> None:
        """Instantiate a static variable or a boundary value."""
        system = self.system
        root = system.roots[unit] if isinstance(unit, str) else system.boundary_roots[unit]
        existing = self.mark(root)
        for node in existing:
            self.instantiate(node)
        number = int(self.place[root][0])
        if not self.own_static(root):
            number = self.one(Template(OPS["copy"], None, system.graph.nodes[root].type), [number])
        if isinstance(unit, str):
            self.series[unit] = np.array([number], np.int32)
        else:
            length = self.lengths[system.index_of(unit.name) or ""]
            step = length + unit.offset if unit.last else unit.offset
            self.outside.setdefault(unit.name, {})[step] = number

    def own_static(self, root: int) -> bool:
        """Whether a root has an instance that is nobody else's."""
        node = self.system.graph.nodes[root]
        if node.op is OPS["choose"]:
            return False
        return bool(node.args) or node.op.name in ("const", "fill", "basis", "counter", "size")

    def instantiate(self, node: int) -> None:
        """Add the instances of a node outside any sweep, all steps in a row."""
        op, args, attr, kind = self.system.graph.nodes[node]
        space = self.system.spaces[node]
        if self.resolved(node) or op is OPS["choose"]:
            self.place[node] = self.resolve(node)
            return
        if op is OPS["reduce"]:
            self.place[node] = np.array([self.reduction(node)], np.int32)
            return
        needed = self.need[node]
        once = np.array([STATIC], np.int32)
        times: Ints = once if space is None else self.steps[space][needed].astype(np.int32)
        columns = [self.argument(arg, node)[needed] for arg in args]
        place = np.full(self.width(node), -1, np.int32)
        place[needed] = self.many(Template(op, attr, kind), times, columns, space)
        self.place[node] = place

    def argument(self, arg: int, user: int) -> Ints:
        """Return an argument's instance for each step of its user."""
        return np.broadcast_to(self.place[arg], self.width(user))

    def reduction(self, node: int) -> int:
        """Add the sum or mean over the steps where the condition holds."""
        (body,), attr, kind = self.system.graph.nodes[node][1:]
        assert isinstance(kind, tuple)
        inside = holds(attr.condition, self.values | {attr.over: self.steps[attr.over]})
        chosen = np.broadcast_to(inside, self.lengths[attr.over])
        if not chosen.any():
            if attr.kind == "mean":
                raise DomainError(
                    f"a mean over no step: the condition {attr.condition} never holds for "
                    f"{self.system.indices[attr.over].length} = {self.lengths[attr.over]}",
                    remedy="use a longer sequence or another condition",
                ).at(self.system.graph.places[node])
            return self.zero(kind)
        terms = np.broadcast_to(self.place[body], len(chosen))[chosen]
        if len(terms) == 1:
            total = self.one(Template(OPS["copy"], None, kind), [int(terms[0])])
        else:
            total = self.one(Template(OPS["accumulate"], None, kind))
            self.ragged.append((self.pieces[-1][0], total, terms.astype(np.int32)))
        if attr.kind == "mean":
            number = self.one(Template(OPS["const"], len(terms), ()))
            total = self.one(Template(OPS["div"], None, kind), [total, number])
        return total

    def zero(self, kind: Shape) -> int:
        leaf = zeros(kind)
        return self.one(Template(leaf.op, leaf.attr, kind))

    # -- reads ----------------------------------------------------------------------------------

    def resolved(self, node: int) -> bool:
        """Whether a node is a leaf whose value is an instance that exists already."""
        name = self.system.graph.nodes[node].op.name
        return name in ("param", "input", "static", "read", "at_step")

    def resolve(self, node: int) -> Ints:
        """Return the instances that a leaf or choice stands for."""
        op, args, attr, _ = self.system.graph.nodes[node]
        if op.name in ("param", "input"):
            return np.array([self.leaves[attr]], np.int32)
        if op.name == "static":
            return self.series[attr]
        if op.name == "at_step":
            length = self.lengths[self.system.index_of(attr.name) or ""]
            step = length + attr.offset if attr.last else attr.offset
            if 1 <= step <= length:
                return self.series[attr.name][step - 1 : step]
            return np.array([self.beyond(attr.name, step, node)], np.int32)
        if op is OPS["choose"]:
            chosen = self.condition(attr, node)
            first, second = (self.place.get(arg, np.array([-1], np.int32)) for arg in args)
            return np.where(chosen, first, second).astype(np.int32)
        return self.shifted(node)

    def shifted(self, node: int) -> Ints:
        """Return the instances `lag` steps ago, boundaries and zeros included."""
        name, lag = self.system.graph.nodes[node].attr
        series = self.series[name]
        length = len(series)
        place = np.full(length, -1, np.int32)
        low, high = max(0, lag), min(length, length + lag)
        if low < high:
            place[low:high] = series[low - lag : high - lag]
        for position, number in self.edge(node).items():
            place[position] = number
        return place

    def edge(self, node: int) -> dict[int, int]:
        """Return the boundary instances that a read reaches, by position in the series."""
        name, lag = self.system.graph.nodes[node].attr
        length = self.lengths[self.system.index_of(name) or ""]
        outside = range(min(lag, length)) if lag > 0 else range(max(0, length + lag), length)
        return {
            position: self.beyond(name, position + 1 - lag, node)
            for position in outside
            if self.need[node][position]
        }

    def beyond(self, name: str, step: int, node: int) -> int:
        """Return the instance outside 1..τ: a boundary value, or zero."""
        known = self.outside.setdefault(name, {})
        if step not in known:
            kind = self.system.type_of(name)
            if isinstance(kind, Token):
                raise BoundaryError(
                    f"the token {name} is read at step {step}, where it has no value",
                    place=self.system.graph.places[node],
                    remedy=f"write a boundary equation such as {name}[{min(step, 0)}] = 0",
                )
            known[step] = self.zero(kind)
        return known[step]

    # -- sweeps ---------------------------------------------------------------------------------

    def sweep(self, component: Component) -> None:
        """Instantiate the variables of a component, step by step in the order of the sweep.

        First the parts of their equations that belong to no step of the sweep (static parts and
        the bodies of reductions), then the rest, numbered so that steps follow each other.
        """
        system = self.system
        units = [unit for unit in component.units if isinstance(unit, str)]
        index = system.variables[units[0]].index
        assert index is not None
        length = self.lengths[index]
        inner: dict[str, list[int]] = {}
        for unit in units:
            root = system.roots[unit]
            existing = self.mark(root)
            region = self.region(root, set(existing))
            for node in existing:
                if node not in region:
                    self.instantiate(node)
            inner[unit] = [node for node in existing if node in region]
            for node in inner[unit]:
                if system.graph.nodes[node].op is OPS["read"]:
                    self.edge(node)
        numbers = self.numbered(component, units, inner, length)
        for unit in units:
            self.series[unit] = numbers[unit]
        steps = self.steps[index]
        for unit in units:
            for node in inner[unit]:
                op, args, attr, kind = system.graph.nodes[node]
                if self.resolved(node) or op is OPS["choose"]:
                    self.place[node] = self.resolve(node)
                    continue
                needed = self.need[node]
                columns = [self.argument(arg, node)[needed] for arg in args]
                template = self.template(Template(op, attr, kind), index)
                self.pieces.append((template, self.place[node][needed], steps[needed], columns))
            root = system.roots[unit]
            repeats = ~self.own(root, set(inner[unit]), length)
            if repeats.any():
                copy = Template(OPS["copy"], None, system.graph.nodes[root].type)
                template = self.template(copy, index)
                source = np.broadcast_to(self.place[root], length)[repeats]
                self.pieces.append((template, numbers[unit][repeats], steps[repeats], [source]))

    def region(self, root: int, existing: set[int]) -> set[int]:
        """Return the nodes below a root that are computed at each step of its sweep."""
        nodes, spaces = self.system.graph.nodes, self.system.spaces
        region = {root} if spaces[root] is not None else set()
        for node in sorted(existing, reverse=True):
            if node in region:
                region.update(arg for arg in nodes[node].args if spaces[arg] is not None)
        return {node for node in region if node in existing}

    def own(self, root: int, region: set[int], length: int) -> Bools:
        """Return at which steps the root's value is an instance of its own."""
        nodes = self.system.graph.nodes
        own = np.zeros(length, bool)
        pending = [(root, np.ones(length, bool))]
        while pending:
            node, where = pending.pop()
            if nodes[node].op is OPS["choose"] and node in region:
                chosen = self.condition(nodes[node].attr, node)
                first, second = nodes[node].args
                pending += [(first, where & chosen), (second, where & ~chosen)]
            elif (
                node in region and not self.resolved(node) and self.system.spaces[node] is not None
            ):
                own |= where
        return own

    def numbered(
        self, component: Component, units: list[str], inner: dict[str, list[int]], length: int
    ) -> dict[str, Ints]:
        """Number the instances of a sweep in its order; return the numbers of the roots."""
        system = self.system
        counts = np.zeros((len(units), length), np.int32)
        local: dict[int, Ints] = {}
        owns: list[Bools] = []
        for row, unit in enumerate(units):
            for node in inner[unit]:
                if self.resolved(node) or system.graph.nodes[node].op is OPS["choose"]:
                    continue
                local[node] = counts[row].copy()
                counts[row] += self.need[node]
            owns.append(self.own(system.roots[unit], set(inner[unit]), length))
            counts[row] += ~owns[row]
        steps = np.arange(length, dtype=np.int64)
        moment = np.stack(
            [steps + component.offsets[component.units.index(unit)] for unit in units]
        )
        rank = np.broadcast_to(np.arange(len(units))[:, None], moment.shape)
        order = np.lexsort((rank.ravel(), component.direction * moment.ravel()))
        flat = counts.ravel()[order].astype(np.int64)
        bases = np.empty(len(flat), np.int64)
        bases[order] = self.count + np.cumsum(flat) - flat
        self.advance(int(flat.sum()))
        numbers: dict[str, Ints] = {}
        for row, unit in enumerate(units):
            base = bases.reshape(counts.shape)[row].astype(np.int32)
            for node in inner[unit]:
                if node in local:
                    self.place[node] = np.where(self.need[node], base + local[node], -1).astype(
                        np.int32
                    )
            root_numbers = base + counts[row] - 1
            numbers[unit] = root_numbers.astype(np.int32)
            self.check_roots(system.roots[unit], owns[row], inner[unit], numbers[unit])
        return numbers

    def check_roots(self, root: int, own: Bools, inner: list[int], numbers: Ints) -> None:
        """Make the root's own instances the last of their step, wherever a choice put them."""
        nodes = self.system.graph.nodes
        pending = [(root, own.copy())]
        region = set(inner)
        while pending:
            node, where = pending.pop()
            if nodes[node].op is OPS["choose"] and node in region:
                chosen = self.condition(nodes[node].attr, node)
                first, second = nodes[node].args
                pending += [(first, where & chosen), (second, where & ~chosen)]
            elif where.any():
                numbers[where] = self.place[node][where]

    # -- result ---------------------------------------------------------------------------------

    def dag(self) -> Dag:
        count = self.count
        kinds = np.empty(count, np.int32)
        times = np.full(count, STATIC, np.int32)
        arity = np.zeros(count + 1, np.int32)
        for template, numbers, when, columns in self.pieces:
            kinds[numbers] = template
            times[numbers] = when
            arity[numbers + 1] = len(columns)
        for _, number, terms in self.ragged:
            arity[number + 1] = len(terms)
        ends = np.cumsum(arity, dtype=np.int64)
        if ends[-1] > MAX_NODES:
            raise DataError("the unfolded graph would have too many edges", remedy="fewer steps")
        starts: Ints = ends.astype(np.int32)
        args = np.empty(starts[-1], np.int32)
        for _, numbers, _, columns in self.pieces:
            for position, column in enumerate(columns):
                args[starts[numbers] + position] = column
        for _, number, terms in self.ragged:
            args[starts[number] : starts[number + 1]] = terms
        series = {}
        for name in [*self.system.inputs, *self.system.variables]:
            index = self.system.index_of(name)
            nodes = self.series.get(name)
            if nodes is None:
                nodes = np.array([self.leaves[name]], np.int32)
            kind = self.system.type_of(name)
            series[name] = Series(name, index, kind, nodes, self.outside.get(name, {}))
        params = {name: self.leaves[name] for name in self.system.params}
        return Dag(
            self.name,
            self.lengths,
            self.sizes,
            self.system,
            tuple(self.templates),
            tuple(self.spaces),
            kinds,
            times,
            starts,
            args,
            series,
            params,
        )
