"""Circuit: a recurrence written statement by statement, in Python or by the parser.

A circuit is filled by statements and read through immutable snapshots: `declared()` gives the
equations with every shared expression named, which all passes start from.
"""

from __future__ import annotations

import keyword
import re
from collections.abc import Iterable, Mapping, Sequence
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, NoReturn

from graphgrad.conditions import Affine, Time
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
from graphgrad.dims import LARGEST, Dim, Shape, Token
from graphgrad.doors import door
from graphgrad.errors import (
    BoundaryError,
    NameClashError,
    NotationError,
    Place,
    unknown_name,
)
from graphgrad.ir import OPS, At, Expr, lift, read
from graphgrad.ops import FUNCTIONS

if TYPE_CHECKING:
    import networkx

    from graphgrad.compile.compiled import Compiled
    from graphgrad.system import System
    from graphgrad.unfold import Dag

RESERVED = frozenset(
    {"steps", "params", "state", "lengths", "tau", "sum", "mean", "max", "where", "split", "at"}
    | {"zeros", "ones", "onehot", "param", "input", "token", "distribution", "size", "choose"}
    | set(FUNCTIONS)
)
_LETTERS = "A-Za-z_α-ξπ-ωΓΔΘΛΞΠΣΦΨΩ"  # without omicron, which looks like o
_NAME = re.compile(f"[{_LETTERS}][{_LETTERS}0-9]*")

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


class Circuit:
    """A recurrence: declarations and equations, written in Python or parsed from text.

    Statements add to it (`c.param`, `h[t] = …`, `c["loss"] = …`); passes never change it. Two
    circuits are equal when they declare the same things and have the same equations in the same
    order.
    """

    def __init__(self, name: str = "circuit", *, title: str = "") -> None:
        self._name = name
        self._title = title
        self._indices: dict[str, Index] = {}
        self._sizes: dict[str, int | None] = {}
        self._params: dict[str, Param] = {}
        self._inputs: dict[str, Input] = {}
        self._states: dict[str, Shape] = {}
        self._signals: dict[str, str | None] = {}
        self._equations: dict[str, Equation] = {}
        self._boundaries: dict[At, Boundary] = {}
        self._declared: Declared | None = None
        self._checked: System | None = None

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

    @property
    def name(self) -> str:
        """The name in messages and pictures."""
        return self._name

    @name.setter
    def name(self, name: str) -> None:
        self._name = name
        self._touch()

    @property
    def title(self) -> str:
        """What the circuit is, in one line."""
        return self._title

    @title.setter
    def title(self, title: str) -> None:
        self._title = title
        self._touch()

    # -- declarations ---------------------------------------------------------------------------

    def steps(self, name: str, length: str, *, place: Place | None = None) -> Time:
        """Declare a time index, as the notation does with `s: …`, and return it."""
        self._claim(name, place, implied=False)
        used = [*self._signals.values(), *(each.index for each in self._inputs.values())]
        if not self._indices and name != "t" and "t" in used:
            raise NotationError(
                f"{name} is declared after variables over the implied index t",
                place=place,
                remedy=f'begin with c.steps("t", "tau") and c.steps("{name}", "{length}")',
            )
        self._claim(length, place, allowed=("tau",), implied=False)
        self._indices[name] = Index(name, length)
        return Time(Affine.name(name))

    def size(self, name: str, default: int | None = None, *, place: Place | None = None) -> str:
        """Declare a named dimension, with a default length or without."""
        late = default is not None and name in self._sizes and self._sizes[name] is None
        if not late:  # a size may get its default after a shape has used it
            self._claim(name, place)
        whole = isinstance(default, int) and not isinstance(default, bool)
        if default is not None and not (whole and 1 <= default <= LARGEST):
            raise NotationError(
                f"the size {name} must be a whole number from 1 to {LARGEST}",
                place=place,
                remedy=f"write {name}: size(4)",
            )
        self._touch()
        self._sizes[name] = default
        return name

    def param(self, name: str, *dims: Dim | int | str, place: Place | None = None) -> Expr:
        """Declare a parameter of at most two axes and return it."""
        shape = self._shape(dims, place)
        self._claim(name, place)
        self._params[name] = Param(name, shape)
        return Expr(OPS["param"], attr=name, place=place)

    def input(
        self,
        name: str,
        *dims: Dim | int | str,
        index: Time | str | None = None,
        kind: str = "input",
        place: Place | None = None,
    ) -> Any:
        """Declare an input: indexed (`x[t]`) with `index=t`, static without.

        `kind` is "input", "token" (an integer below the one size given) or "distribution".
        """
        where_ = self._index_name(index, place)
        shape = self._shape(dims, place)
        kinds = {"input": (0, 1, 2), "token": (1,), "distribution": (1,)}
        if kind not in kinds or len(shape) not in kinds[kind]:
            raise NotationError(
                f"{name}: {kind}({', '.join(map(str, shape))}) is not a declaration",
                place=place,
                remedy="write input(D), token(N) or distribution(K)",
            )
        self._claim(name, place)
        self._inputs[name] = Input(
            name, kind, Token(shape[0]) if kind == "token" else shape, where_
        )
        if where_ is None:
            return Expr(OPS["input"], attr=name, place=place)
        return Signal(self, name)

    def token(self, name: str, size: Dim | int | str, *, index: Time | str | None = None) -> Any:
        """Declare an input of integers in 0..size-1."""
        return self.input(name, size, index=index, kind="token")

    def distribution(
        self, name: str, size: Dim | int | str, *, index: Time | str | None = None
    ) -> Any:
        """Declare an input whose entries are ≥ 0 and sum to 1."""
        return self.input(name, size, index=index, kind="distribution")

    def state(
        self, name: str, *dims: Dim | int | str, index: Any = "", place: Place | None = None
    ) -> Any:
        """Declare the shape of a variable and return it."""
        shape = self._shape(dims, place)
        if name in self._states:
            raise NameClashError(
                f"{name} has a shape already", place=place, remedy="keep one of the two"
            )
        signal = self.var(name, index=index, place=place)
        self._states[name] = shape
        self._touch()
        return signal

    def var(
        self, name: str, *dims: Dim | int | str, index: Any = "", place: Place | None = None
    ) -> Any:
        """Name a variable before its equation: `h = c.var("h"); h[t] = tanh(h[t-1])`.

        `index` is a time index (the only one, if left out), or None for a static variable.
        """
        if dims:
            return self.state(name, *dims, index=index, place=place)
        if isinstance(index, str) and index == "":
            if len(self.indices) > 1:
                raise NotationError(
                    f"{name} may vary with {' or '.join(self.indices)}",
                    place=place,
                    remedy=f'write c.var("{name}", index=…), index=None for a static variable',
                )
            (index,) = self.indices
        where_ = self._index_name(index, place)
        if name not in self._signals:
            self._claim(name, place)
            self._signals[name] = where_
        elif self._signals[name] != where_:
            both = "with different indices"
            if where_ is None or self._signals[name] is None:
                both = "both with and without an index"
            raise NameClashError(f"{name} is used {both}", place=place, remedy="use two names")
        return self[name]

    def _shape(self, dims: Sequence[Dim | int | str], place: Place | None) -> Shape:
        if len(dims) > 2:
            raise NotationError(
                f"{len(dims)} axes are too many", place=place, remedy="use at most two axes"
            )
        try:
            shape = tuple(Dim.of(dim) for dim in dims)
        except NotationError as error:
            raise error.at(place) from None
        for size in dict.fromkeys(name for dim in shape for name in dim.names):
            if size not in self._sizes:
                self.size(size, place=place)
        return shape

    def _index_name(self, index: Time | str | None, place: Place | None) -> str | None:
        if index is None:
            return None
        name = str(index.affine) if isinstance(index, Time) else index
        if name not in self.indices:
            raise unknown_name(name, self.indices, place=place)
        return name

    def _claim(
        self,
        name: str,
        place: Place | None,
        allowed: Sequence[str] = (),
        *,
        implied: bool = True,
    ) -> None:
        if not _NAME.fullmatch(str(name)) or keyword.iskeyword(str(name)):
            raise NotationError(
                f"{name!r} is not a name",
                place=place,
                remedy="use ASCII or Greek letters, digits and _; Greek capitals that look like "
                "Latin ones are left out",
            )
        if name in RESERVED and name not in allowed:
            raise NameClashError(
                f"{name} is reserved", place=place, remedy="use another name, such as " + name + "1"
            )
        what = self._kind_of(name, implied=implied)
        if what is not None and not (what == "length" and name in allowed):
            raise NameClashError(
                f"{name} is already {what}", place=place, remedy="use another name"
            )
        self._touch()

    def _kind_of(self, name: str, *, implied: bool = True) -> str | None:
        if name in self._sizes:
            return "the size of a dimension"
        if name in self._params:
            return "a parameter"
        if name in self._inputs:
            return "an input"
        if name in self._signals:
            return "a variable"
        for index in (self.indices if implied else self._indices).values():
            if name == index.name:
                return "a time index"
            if name == index.length:
                return "length"
        return None

    def _touch(self) -> None:
        self._declared = None
        self._checked = None

    @property
    def indices(self) -> Mapping[str, Index]:
        """The time indices by name; `t: steps(tau)` where none is declared."""
        return self._indices or {"t": Index("t", "tau")}

    # -- equations ------------------------------------------------------------------------------

    def __setitem__(self, name: str, value: Any) -> None:
        self.define(name, None, lift(value))

    def __getitem__(self, name: str) -> Any:
        if name in self._params:
            return Expr(OPS["param"], attr=name)
        if name in self._inputs:
            static = self._inputs[name].index is None
            return Expr(OPS["input"], attr=name) if static else Signal(self, name)
        if name in self._signals:
            static = self._signals[name] is None
            return Expr(OPS["static"], attr=name) if static else Signal(self, name)
        raise unknown_name(name, {*self._params, *self._inputs, *self._signals})

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
            raise BoundaryError(f"{name} has no time index, so no boundary", place=place)
        length = self.indices[index].length
        if (offset < 1) == last:
            inside = f"{length}{offset:+d}" if last and offset else length if last else str(offset)
            raise BoundaryError(
                f"{name}[{inside}] lies inside 1..{length}",
                place=place,
                remedy=f"boundary equations stand outside; inside write a choice: "
                f"{name}[{index}] = … if {index} == {inside} else …",
            )
        key = At(name, last, offset)
        if key in self._boundaries:
            raise NameClashError(
                f"{name} has a boundary equation there already",
                place=place,
                remedy="keep one of the two",
            )
        self._boundaries[key] = Boundary(name, last, offset, root, place)
        self._touch()

    def _index_of(self, name: str, place: Place | None = None) -> str | None:
        if name in self._inputs:
            return self._inputs[name].index
        if name in self._signals:
            return self._signals[name]
        raise unknown_name(name, {*self._inputs, *self._signals}, place=place)

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

        `truncate` is `gg.window(k)` or `gg.chunks(k)`; see `graphgrad.adjoint.build.adjoint`.
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
        """Return the circuit as a fast function; `grad="loss"` adds gradients."""
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
        batch: tuple[int, ...] = (),
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
        """Return the equations as LaTeX."""
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


class Signal:
    """A variable or an indexed input, as it is written in Python: `h[t-1]`, `h[t] = …`.

    `h[0] = h0` and `h[tau+1] = 0` are boundary equations; `h[tau]` is an absolute read.
    """

    def __init__(self, circuit: Circuit, name: str) -> None:
        self.circuit = circuit
        self.name = name

    def _at(self, time: Any) -> tuple[str, bool, int]:
        """Return ("lag", …), ("at", …) of a time such as t-1, 0, tau or tau-1."""
        index = self.circuit._index_of(self.name)
        if index is None:
            raise NotationError(f"{self.name} has no time index", remedy=f"write c[{self.name!r}]")
        length = self.circuit.indices[index].length
        if isinstance(time, int) and not isinstance(time, bool):
            return "at", False, time
        if isinstance(time, Time):
            offset, base = time.affine.constant, time.affine.plus(-time.affine.constant)
            if base == Affine.name(index):
                return "lag", False, -offset
            if base == Affine.name(length):
                return "at", True, offset
        raise NotationError(
            f"{self.name}[{time!r}] is not a time of {self.name}",
            remedy=f"write {self.name}[{index}-1], {self.name}[{index}+2], {self.name}[0] "
            f"or {self.name}[{length}]",
        )

    def __getitem__(self, time: Any) -> Expr:
        kind, last, offset = self._at(time)
        if kind == "lag":
            return read(self.name, offset)
        return Expr(OPS["at_step"], attr=At(self.name, last, offset))

    def __setitem__(self, time: Any, value: Any) -> None:
        kind, last, offset = self._at(time)
        if kind == "at":
            self.circuit.define_boundary(self.name, last, offset, lift(value))
        elif offset:
            raise NotationError(
                f"an equation defines {self.name} at t, not at another step",
                remedy="shift the whole equation in time",
            )
        else:
            self.circuit.define(self.name, self.circuit._index_of(self.name), lift(value))

    def __graphgrad_expr__(self) -> Expr:
        if self.circuit._index_of(self.name) is None:
            return Expr(OPS["static"], attr=self.name)
        raise NotationError(
            f"{self.name} needs a time in brackets here", remedy=f"write {self.name}[t]"
        )

    def __array_ufunc__(self, ufunc: Any, method: str, *inputs: Any, **kwargs: Any) -> Expr:
        return self.__graphgrad_expr__().__array_ufunc__(ufunc, method, *inputs, **kwargs)

    def __iter__(self) -> NoReturn:
        raise NotationError(
            f"{self.name} cannot be iterated over", remedy="write sum(e, over=t) for all steps"
        )

    def __repr__(self) -> str:
        return f"<{self.name} of {self.circuit.name}>"
