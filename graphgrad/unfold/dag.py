"""The unfolded graph: nodes in flat arrays, and views of single nodes."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from graphgrad.dims import Token, bind_shape
from graphgrad.doors import door
from graphgrad.errors import DataError, shown, unknown_name
from graphgrad.ir import Op, Type
from graphgrad.system import System

if TYPE_CHECKING:
    import networkx

    from graphgrad.paths import Paths

Ints = NDArray[np.int32]
STATIC = np.int32(np.iinfo(np.int32).min)

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
        match key:
            case (str(name), int() | np.integer() as step):
                return View(self, self._instance(name, int(step)))
        raise DataError(
            f"{shown(key)} is no node of the graph", remedy='write dag["h", 1], dag["W"] or dag[0]'
        )

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
        """Return every output and variable as arrays; see `graphgrad.evaluate.evaluate`.

        `over` is the number type, `outputs` names what is wanted.
        """
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

        The sum over s and t is the gradient; see `graphgrad.contributions.contributions`. Options:
        `wrt`, `over`, and `norms=True` for their norms alone.
        """
        result: dict[str, Any] = _contributions(self, values, loss, **options)
        return result

    def paths(
        self, wrt: str | tuple[str, int], loss: str | tuple[str, int] = "loss", **options: Any
    ) -> Paths:
        """Return a gradient as a sum over paths; see `graphgrad.paths.paths`.

        Options: `through` (the variables that are shown), `limit` (how many paths at most: 1000).
        """
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
        bound = bind_shape(shape, self.dag.sizes)
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

    def __repr__(self) -> str:
        return f"<{len(self):,} nodes of {self._dag.name}>"

    def __iter__(self) -> Iterator[View]:
        return (View(self._dag, node) for node in range(len(self._dag)))
