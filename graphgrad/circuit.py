"""Circuit: a recurrence written statement by statement, in Python or by the parser.

A circuit is filled by statements and read through immutable snapshots: `declared()` gives the
equations with every shared expression named, which all passes start from.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from graphgrad.declarations import RESERVED, Declarations
from graphgrad.declared import (
    Boundary,
    Declared,
    Equation,
    Index,
    Input,
    Param,
    Variable,
    tree_key,
    with_names,
)
from graphgrad.doors import door
from graphgrad.errors import (
    BoundaryError,
    GraphgradError,
    NameClashError,
    NotationError,
    Place,
    shown,
)
from graphgrad.ir import At, Expr, lift

if TYPE_CHECKING:
    import networkx

    from graphgrad.compile.compiled import Compiled
    from graphgrad.system import System
    from graphgrad.unfold import Dag

_parse = door("graphgrad.notation.parse:parse")
_parse_into = door("graphgrad.notation.parse:extend")
_text = door("graphgrad.notation.text:circuit_text")
_latex = door("graphgrad.notation.latex:circuit_latex")
_mimebundle = door("graphgrad.notation.mime:mimebundle")
_system = door("graphgrad.system:system_of")
_graph = door("graphgrad.causality:variable_graph")
_unfold = door("graphgrad.unfold:unfold")
_adjoint = door("graphgrad.adjoint:adjoint")
_tangent = door("graphgrad.tangent:tangent")
_open = door("graphgrad.transform:opened")
_compile = door("graphgrad.compile.functions:compile_circuit")
_init = door("graphgrad.data:initial_parameters")
_example = door("graphgrad.data:example_inputs")


class Circuit(Declarations):
    """A recurrence: declarations and equations, written in Python or parsed from text.

    Statements add to it (`c.param`, `h[t] = …`, `c["loss"] = …`); passes never change it. Two
    circuits are equal when they declare the same things and have the same equations in the same
    order.
    """

    def __init__(self, name: str = "circuit", *, title: str = "") -> None:
        super().__init__(name, title=title)
        self._equations: dict[str, Equation] = {}
        self._boundaries: dict[At, Boundary] = {}

    @classmethod
    def of(cls, declared: Declared) -> Circuit:
        """Return a circuit with the declarations and equations of a snapshot, to add to."""
        circuit = cls(declared.name, title=declared.title)
        if list(declared.indices.values()) != [Index("t", "tau")]:
            circuit._indices.update(declared.indices)
        circuit._sizes.update(declared.sizes)
        circuit._params.update(declared.params)
        circuit._inputs.update(declared.inputs)
        circuit._states.update(declared.states)
        circuit._signals.update({e.name: e.index for e in declared.equations.values()})
        circuit._equations.update(declared.equations)
        circuit._boundaries.update(declared.boundaries)
        return circuit

    # -- equations ------------------------------------------------------------------------------

    def __setattr__(self, name: str, value: Any) -> None:
        """Refuse `c.loss = …`, which would say nothing about the circuit."""
        if not name.startswith("_") and not hasattr(type(self), name):
            raise NotationError(
                f"a circuit has no attribute {name}", remedy=f'write c["{name}"] = …'
            )
        super().__setattr__(name, value)

    def __setitem__(self, name: str, value: Any) -> None:
        self.define(name, None, lift(value))

    def define(
        self, name: str, index: str | None, root: Expr, *, place: Place | None = None
    ) -> None:
        """Add the equation `name[index] = root`, or `name = root` where index is None."""
        if name in self._inputs or name in self._params:
            raise NameClashError(
                f"{name} is already {self._kind_of(name)}",
                place=place,
                remedy="an input or parameter has no equation; choose another name",
            )
        if name in self._equations:
            raise NameClashError(
                f"{name} has an equation already", place=place, remedy="keep one of the two"
            )
        self.var(name, index=index, place=place)
        self._equations[name] = Equation(name, index, root, place)
        self._touch()

    def define_boundary(
        self, name: str, last: bool, offset: int, root: Expr, *, place: Place | None = None
    ) -> None:
        """Add the boundary equation `name[offset] = root`, or `name[tau+offset] = root`."""
        index = self._index_of(name, place)
        if index is None:
            raise BoundaryError(
                f"{name} has no time index, so no boundary",
                place=place,
                remedy=f"write its equation as {name}[t] = …, or {name} without brackets",
            )
        length, key = self.indices[index].length, At(name, last, offset)
        if (offset < 1) == last:
            inside = key.step(length)
            raise BoundaryError(
                f"{name}[{inside}] lies inside 1..{length}",
                place=place,
                remedy=f"boundary equations stand outside; inside write a choice: "
                f"{name}[{index}] = … if {index} == {inside} else …",
            )
        if key in self._boundaries:
            raise NameClashError(
                f"{name} has a boundary equation there already",
                place=place,
                remedy="keep one of the two",
            )
        self._boundaries[key] = Boundary(name, last, offset, root, place)
        self._touch()

    # -- what passes read -----------------------------------------------------------------------

    def declared(self) -> Declared:
        """Return the immutable snapshot in which every shared expression has a name."""
        if self._declared is None:
            written = Declared(
                self.name,
                self.title,
                MappingProxyType(dict(self.indices)),
                MappingProxyType(dict(self._sizes)),
                MappingProxyType(dict(self._params)),
                MappingProxyType(dict(self._inputs)),
                MappingProxyType(dict(self._states)),
                MappingProxyType(dict(self._equations)),
                MappingProxyType(dict(self._boundaries)),
            )
            self._declared = with_names(written, RESERVED | self._signals.keys())
        return self._declared

    @property
    def params(self) -> Mapping[str, Param]:
        """The parameters by name, in the order of declaration."""
        return self.declared().params

    @property
    def inputs(self) -> Mapping[str, Input]:
        """The inputs by name, in the order of declaration."""
        return self.declared().inputs

    @property
    def equations(self) -> Mapping[str, Equation]:
        """The equations by the name of their variable, in the order written."""
        return self.declared().equations

    @property
    def boundaries(self) -> Mapping[At, Boundary]:
        """The boundary equations by the instance they define."""
        return self.declared().boundaries

    @property
    def sizes(self) -> Mapping[str, int | None]:
        """The named dimensions with their defaults; None where there is none."""
        return self.declared().sizes

    @property
    def variables(self) -> Mapping[str, Variable]:
        """The variables by name, with index and shape; checks the circuit."""
        return self.check().variables

    @property
    def graph(self) -> networkx.MultiDiGraph[Any]:
        """The dependencies among variables, inputs and parameters, edge attribute `delay`."""
        graph: networkx.MultiDiGraph[Any] = _graph(self)
        return graph

    def check(self) -> System:
        """Return the checked, typed system; raise CausalityError, ShapeError, … otherwise."""
        if self._checked is None:
            self._checked = _system(self.declared())
        return self._checked

    # -- passes ---------------------------------------------------------------------------------

    def unfold(self, tau: int | Mapping[str, int], **sizes: int) -> Dag:
        """Return the unfolded graph of length `tau` (per index: `{"s": 3, "t": 4}`)."""
        dag: Dag = _unfold(self, tau, sizes)
        return dag

    def adjoint(
        self,
        loss: str = "loss",
        wrt: Iterable[str] | None = None,
        truncate: Any = None,
        **options: Any,
    ) -> Circuit:
        """Return backpropagation through time as a circuit in the same notation.

        `truncate` is `gg.window(k)` or `gg.chunks(k)`, `guard="always"` writes all ranges out; see
        `graphgrad.adjoint.build.adjoint`.
        """
        circuit: Circuit = _adjoint(self, loss, wrt=wrt, truncate=truncate, **options)
        return circuit

    def tangent(
        self, wrt: Iterable[str] | str | None = None, *, of: Iterable[str] | str | None = None
    ) -> Circuit:
        """Return forward mode as a circuit: directions `dot_W` in, tangents `dot_h[t]` out."""
        circuit: Circuit = _tangent(self, wrt, of=of)
        return circuit

    def compile(self, *outputs: str, grad: str | None = None, **options: Any) -> Compiled:
        """Return the circuit as a fast function; `grad="loss"` adds gradients.

        With `grad="h"` they are weighed by the cotangent `seed_h`, if `h` is not one number.
        Options: `wrt`, `backend`, `dtype`, `threads`, `truncate`, `checkpoint`, as of
        `gg.value_and_grad`.
        """
        compiled: Compiled = _compile(self, outputs, grad=grad, **options)
        return compiled

    def open(self) -> Circuit:
        """Return the circuit whose implicit zero boundaries are inputs: `h[0] = h_0`."""
        circuit: Circuit = _open(self)
        return circuit

    def extend(self, text: str) -> Circuit:
        """Return the circuit with more declarations and equations on top."""
        circuit: Circuit = _parse_into(self, text)
        return circuit

    def init(self, seed: int = 0, **sizes: int) -> dict[str, Any]:
        """Return random parameters at a usual scale, as a dict of float64 arrays."""
        values: dict[str, Any] = _init(self, seed, sizes)
        return values

    def example(
        self,
        seed: int = 0,
        tau: int | Mapping[str, int] = 3,
        batch: int | tuple[int, ...] = (),
        **sizes: int,
    ) -> dict[str, Any]:
        """Return valid random inputs of length `tau`, time first, then batch axes."""
        values: dict[str, Any] = _example(self, seed, tau, batch, sizes)
        return values

    def copy(self) -> Circuit:
        """Return an independent copy to add equations to."""
        return Circuit.of(self.declared())

    # -- text -----------------------------------------------------------------------------------

    def __str__(self) -> str:
        text: str = _text(self.declared())
        return text

    def latex(self, **options: Any) -> str:
        """Return the equations as LaTeX.

        Options: `only` (the variables that are wanted), `units=True` (one component of each),
        `time="subscript"`, `loss`.
        """
        text: str = _latex(self, **options)
        return text

    def _repr_mimebundle_(self, include: Any = None, exclude: Any = None) -> dict[str, str]:
        bundle: dict[str, str] = _mimebundle(self)
        return bundle

    def __repr__(self) -> str:
        count = len(self._equations)
        return f"<Circuit {self.name}: {count} equation{'s' * (count != 1)}>"

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Circuit) and self._signature() == other._signature()

    def __hash__(self) -> int:
        return hash(self._signature())

    def __reduce__(self) -> tuple[object, ...]:
        return _parse, (str(self), self.name)

    def _signature(self) -> tuple[Any, ...]:
        declared = self.declared()
        return (
            tuple(declared.indices.values()),
            tuple(sorted((n, k) for n, k in declared.sizes.items() if k is not None)),
            tuple(declared.params.values()),
            tuple(declared.inputs.values()),
            tuple(sorted(declared.states.items())),
            tuple((e.name, e.index, tree_key(e.root)) for e in declared.equations.values()),
            tuple(
                (key, tree_key(declared.boundaries[key].root))
                for key in sorted(declared.boundaries)
            ),
        )


def as_circuit(value: object) -> Circuit:
    """Return a circuit as it is; GraphgradError for anything else."""
    if isinstance(value, Circuit):
        return value
    raise GraphgradError(
        f"{shown(value)} is no circuit",
        remedy='make one with gg.load("mine.rec"), gg.parse(text) or gg.cells.load("elman")',
    )
