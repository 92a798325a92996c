"""Circuit: declarations and equations of a recurrence, and the Python way to write them.

A circuit is filled by statements in Python or by the parser, and read through immutable snapshots:
`declared()` gives the equations with every shared expression named, which all passes start from.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, NoReturn

from graphgrad.conditions import ALWAYS, Affine, Condition, Time, names_in
from graphgrad.dims import LARGEST, Dim, Shape, Token
from graphgrad.doors import door
from graphgrad.errors import (
    BoundaryError,
    NameClashError,
    NotationError,
    Place,
    unknown_name,
)
from graphgrad.ir import (
    OPS,
    At,
    Basis,
    Expr,
    Fill,
    Part,
    Type,
    lift,
    read,
    reduce,
    topological,
)
from graphgrad.ir import (
    choose as choose_expr,
)
from graphgrad.ops import FUNCTIONS
from graphgrad.ops.elementwise import where

if TYPE_CHECKING:
    import networkx

    from graphgrad.system import System
    from graphgrad.unfold import Dag

RESERVED = frozenset(
    {"steps", "params", "state", "lengths", "tau", "sum", "mean", "max", "where", "split", "at"}
    | {"zeros", "ones", "onehot", "param", "input", "token", "distribution", "size", "choose"}
    | set(FUNCTIONS)
)
_NAME = re.compile(r"[A-Za-z_α-ωΓΔΘΛΞΠΣΦΨΩ][A-Za-z0-9_α-ωΓΔΘΛΞΠΣΦΨΩ]*")


@dataclass(frozen=True)
class Index:
    """A time index and the name of its length: `t: steps(tau)`."""

    name: str
    length: str


@dataclass(frozen=True)
class Param:
    """A parameter: one shared node whatever the number of steps."""

    name: str
    shape: Shape


@dataclass(frozen=True)
class Input:
    """An input: `kind` is input, token or distribution; `index` is None for a static one."""

    name: str
    kind: str
    type: Type
    index: str | None

    @property
    def shape(self) -> Shape:
        """The shape of one step; `()` for a token."""
        return () if isinstance(self.type, Token) else self.type


@dataclass(frozen=True)
class Equation:
    """One equation: `name[index] = root`, or `name = root` where index is None."""

    name: str
    index: str | None
    root: Expr = field(compare=False)
    place: Place | None = field(default=None, compare=False)

    def __str__(self) -> str:
        text: str = _equation_text(self)
        return text


@dataclass(frozen=True)
class Boundary:
    """A boundary equation: the value at step `offset` ≤ 0, or at `length + offset` if `last`."""

    name: str
    last: bool
    offset: int
    root: Expr = field(compare=False)
    place: Place | None = field(default=None, compare=False)

    @property
    def key(self) -> At:
        """The instance it defines."""
        return At(self.name, self.last, self.offset)


@dataclass(frozen=True)
class Variable:
    """A variable as passes see it: name, index (None if static) and shape."""

    name: str
    index: str | None
    shape: Shape


@dataclass(frozen=True)
class Declared:
    """An immutable snapshot of a circuit; in its equations only leaves are shared."""

    name: str
    title: str
    indices: Mapping[str, Index]
    sizes: Mapping[str, int | None]
    params: Mapping[str, Param]
    inputs: Mapping[str, Input]
    states: Mapping[str, Shape]
    equations: Mapping[str, Equation]
    boundaries: Mapping[At, Boundary]

    def index_of(self, name: str) -> str | None:
        """Return the index of a variable or input, None where it is static."""
        if name in self.equations:
            return self.equations[name].index
        return self.inputs[name].index if name in self.inputs else None

    def names(self) -> set[str]:
        """Return every name in use."""
        names = {*self.sizes, *self.params, *self.inputs, *self.equations}
        return names.union(*((index.name, index.length) for index in self.indices.values()))


_parse = door("graphgrad.notation.parse:parse")
_parse_into = door("graphgrad.notation.parse:extend")
_text = door("graphgrad.notation.text:circuit_text")
_equation_text = door("graphgrad.notation.text:equation_text")
_latex = door("graphgrad.notation.latex:circuit_latex")
_mimebundle = door("graphgrad.notation.mime:mimebundle")
_system = door("graphgrad.system:system_of")
_graph = door("graphgrad.causality:variable_graph")
_unfold = door("graphgrad.unfold:unfold")
_adjoint = door("graphgrad.adjoint:adjoint")
_open = door("graphgrad.transform:opened")
_init = door("graphgrad.data:initial_parameters")
_example = door("graphgrad.data:example_inputs")


class Circuit:
    """A recurrence: declarations and equations, written in Python or parsed from text.

    Statements add to it (`c.param`, `h[t] = …`, `c["loss"] = …`); passes never change it. Two
    circuits are equal when they declare the same things and have the same equations in the same
    order.
    """

    def __init__(self, name: str = "circuit", *, title: str = "") -> None:
        self.name = name
        self.title = title
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

    # -- declarations ---------------------------------------------------------------------------

    def steps(self, name: str, length: str, *, place: Place | None = None) -> Time:
        """Declare a time index, as `s: steps(m)` does, and return it."""
        self._claim(name, place, implied=False)
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
    ) -> Signal:
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
    ) -> Signal:
        """Name a variable before its equation: `h = c.var("h"); h[t] = tanh(h[t-1])`.

        `index` is a time index (the only one, if left out), or None for a static variable.
        """
        if dims:
            return self.state(name, *dims, index=index, place=place)
        where_ = next(iter(self.indices)) if index == "" else self._index_name(index, place)
        if name in self._signals:
            if self._signals[name] != where_:
                raise NameClashError(
                    f"{name} is used both with and without an index",
                    place=place,
                    remedy="use two names",
                )
            return Signal(self, name)
        self._claim(name, place)
        self._signals[name] = where_
        return Signal(self, name)

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
        if not isinstance(name, str) or not _NAME.fullmatch(name):
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
            self._declared = _settled(self)
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
    def graph(self) -> networkx.MultiDiGraph:
        """The dependencies among variables, inputs and parameters, edge attribute `delay`."""
        graph: networkx.MultiDiGraph = _graph(self)
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
        """Return backpropagation through time as a circuit in the same notation."""
        circuit: Circuit = _adjoint(self, loss, wrt=wrt, truncate=truncate, **options)
        return circuit

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


def tree_key(root: Expr) -> tuple[Any, ...]:
    """Return a value that is equal for equal expressions, however much of them is shared."""
    numbers: dict[tuple[Any, ...], int] = {}
    number: dict[int, int] = {}
    for expr in topological([root]):
        args = tuple(number[id(arg)] for arg in expr.args)
        key = (expr.op.name, expr.attr, type(expr.attr), args)
        number[id(expr)] = numbers.setdefault(key, len(numbers))
    return tuple(numbers)


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


def _settled(circuit: Circuit) -> Declared:
    """Return the snapshot of a circuit, after naming every expression with two users."""
    equations, boundaries = circuit._equations, circuit._boundaries
    roots = [*(e.root for e in equations.values()), *(b.root for b in boundaries.values())]
    order = topological(roots)
    users = Counter(id(arg) for expr in order for arg in expr.args if arg.args)
    for root in roots:
        users[id(root)] += bool(root.args)
    shared = [expr for expr in order if users[id(expr)] > 1]
    names: dict[int, tuple[str, str | None]] = {}
    if shared:
        spaces = spaces_of(order, circuit._index_of, circuit.indices)
        owned = {id(e.root): e for e in reversed(equations.values())}
        taken = {*RESERVED, *circuit._sizes, *circuit._params, *circuit._inputs, *circuit._signals}
        for expr in shared:
            owner = owned.get(id(expr))
            if owner is not None and owner.index == spaces[id(expr)]:
                names[id(expr)] = owner.name, owner.index
            else:
                name = fresh_name("v", taken)
                taken.add(name)
                names[id(expr)] = name, spaces[id(expr)]
    rewritten: dict[int, Expr] = {}

    def reference(expr: Expr) -> Expr:
        if id(expr) in names:
            name, index = names[id(expr)]
            return Expr(OPS["static"], attr=name) if index is None else read(name, 0)
        return rewritten[id(expr)]

    for expr in order:
        rewritten[id(expr)] = (
            expr
            if not names
            else Expr(expr.op, tuple(map(reference, expr.args)), expr.attr, None, expr.place)
        )
    named: dict[str, Equation] = {}
    own_names = {id(e.root): e.name for e in reversed(equations.values())}
    written: set[int] = set()
    for equation in equations.values():
        for expr in topological([equation.root]):
            if id(expr) in names and id(expr) not in written and id(expr) not in own_names:
                written.add(id(expr))
                name, index = names[id(expr)]
                named[name] = Equation(name, index, rewritten[id(expr)], expr.place)
        first = own_names[id(equation.root)] == equation.name
        own = id(equation.root) in names and names[id(equation.root)][0] == equation.name
        root = rewritten[id(equation.root)] if first and own else reference(equation.root)
        named[equation.name] = replace(equation, root=root)
    for boundary in boundaries.values():
        for expr in topological([boundary.root]):
            if id(expr) in names and id(expr) not in written and id(expr) not in own_names:
                written.add(id(expr))
                name, index = names[id(expr)]
                named[name] = Equation(name, index, rewritten[id(expr)], expr.place)
    return Declared(
        circuit.name,
        circuit.title,
        MappingProxyType(dict(circuit.indices)),
        MappingProxyType(dict(circuit._sizes)),
        MappingProxyType(dict(circuit._params)),
        MappingProxyType(dict(circuit._inputs)),
        MappingProxyType(dict(circuit._states)),
        MappingProxyType(named),
        MappingProxyType({k: replace(b, root=reference(b.root)) for k, b in boundaries.items()}),
    )


def fresh_name(stem: str, taken: set[str] | frozenset[str]) -> str:
    """Return `stem1`, `stem2`, … whichever is the first not taken."""
    number = 1
    while f"{stem}{number}" in taken:
        number += 1
    return f"{stem}{number}"


def spaces_of(
    order: Sequence[Expr],
    index_of: Callable[[str], str | None],
    indices: Mapping[str, Index],
) -> dict[int, str | None]:
    """Return the space of each expression by id: the index it varies with, None if static.

    `order` has arguments before users. An expression that varies with two indices is an error.
    """
    spaces: dict[int, str | None] = {}
    for expr in order:
        if expr.op.name == "read":
            space = index_of(expr.attr.name)
        elif expr.op.name == "counter":
            space = expr.attr if expr.attr in indices else None
        elif expr.op.name == "reduce":
            space = None
            inner = spaces[id(expr.args[0])]
            if inner is not None and inner != expr.attr.index:
                raise NotationError(
                    f"a sum over {expr.attr.index} has a body that varies with {inner}",
                    place=expr.place,
                    remedy="a reduction is over its own index only",
                )
        else:
            found = {s for s in (spaces[id(arg)] for arg in expr.args) if s is not None}
            if expr.op.name == "choose":
                found |= condition_indices(expr.attr, indices)
            if len(found) > 1:
                raise NotationError(
                    f"one expression varies with both {' and '.join(sorted(found))}",
                    place=expr.place,
                    remedy="pass values between index sets through static variables",
                )
            space = next(iter(found), None)
        spaces[id(expr)] = space
    return spaces


def condition_indices(condition: Condition, indices: Mapping[str, Index]) -> set[str]:
    """Return the time indices that a condition depends on."""
    return names_in(condition) & set(indices)


# -- functions for writing formulas in Python ------------------------------------------------------


class _Steps:
    """What `for t in steps` ranges over in the notation; Python code uses `over=t`."""

    def __iter__(self) -> NoReturn:
        raise NotationError(
            "steps cannot be iterated over in Python: there is no number of steps yet",
            remedy="write gg.sum(e, over=t) or gg.mean(e, over=t, where=t > 3)",
        )

    def __repr__(self) -> str:
        return "steps"


t = Time(Affine.name("t"))
tau = Time(Affine.name("tau"))
steps = _Steps()


def index(name: str) -> Time:
    """Return a time index or length of another name, declared with `c.steps(name, length)`."""
    return Time(Affine.name(name))


def _over(kind: str, value: Any, over: Time | None, where_: Condition | None) -> Expr:
    if over is None:
        if where_ is not None:
            raise NotationError("where= needs over=", remedy="write sum(e, over=t, where=t > 3)")
        return OPS[kind](value)
    if not over.affine.is_name:
        raise NotationError(f"over={over!r} is not an index", remedy="write over=t")
    return reduce(kind, str(over.affine), ALWAYS if where_ is None else where_, value)


def sum(value: Any, over: Time | None = None, where: Condition | None = None) -> Expr:
    """Return the sum of the components, or over the steps of an index where a condition holds."""
    return _over("sum", value, over, where)


def mean(value: Any, over: Time | None = None, where: Condition | None = None) -> Expr:
    """Return the mean of the components, or over the steps of an index where a condition holds."""
    return _over("mean", value, over, where)


def max(value: Any) -> Expr:
    """Return the largest component of a vector or matrix."""
    return OPS["max"](value)


def choose(condition: Condition, chosen: Any, otherwise: Any) -> Expr:
    """Return `chosen if condition else otherwise`, decided by the time index alone."""
    return choose_expr(condition, chosen, otherwise)


def split(value: Any, *sizes: Dim | int | str) -> tuple[Expr, ...]:
    """Return the pieces of a vector: `split(z, 4)` equal ones, or of the sizes given."""
    cut: int | Shape
    if len(sizes) == 1 and isinstance(sizes[0], int):
        cut, count = sizes[0], sizes[0]
    else:
        cut, count = tuple(Dim.of(size) for size in sizes), len(sizes)
    if count < 1:
        raise NotationError("split needs the number or the sizes of the pieces")
    whole = lift(value)
    return tuple(OPS["part"](whole, attr=Part(cut, position)) for position in range(count))


def at(value: Any, position: int) -> Expr:
    """Return one component of a vector, counted from 0."""
    if isinstance(position, bool) or not isinstance(position, int) or position < 0:
        raise NotationError(
            f"{position!r} is not the number of a component", remedy="write at(v, 0)"
        )
    return OPS["component"](value, attr=position)


def zeros(*dims: Dim | int | str) -> Expr:
    """Return a constant array of zeros."""
    return _filled("zeros", dims)


def ones(*dims: Dim | int | str) -> Expr:
    """Return a constant array of ones."""
    return _filled("ones", dims)


def _filled(word: str, dims: Sequence[Dim | int | str]) -> Expr:
    if not 1 <= len(dims) <= 2:
        raise NotationError(f"{word} takes one or two sizes", remedy=f'write {word}("H")')
    return OPS["fill"](attr=Fill(int(word == "ones"), tuple(Dim.of(dim) for dim in dims)))


def onehot(value: Any, size: Dim | int | str | None = None) -> Expr:
    """Return the unit vector of a token, or the constant unit vector `onehot(0, K)`."""
    if size is None:
        return OPS["onehot"](value)
    if isinstance(value, bool) or not isinstance(value, int) or value < 0:
        raise NotationError(
            f"onehot({value!r}, {size}) is not a unit vector", remedy='write onehot(0, "K")'
        )
    return OPS["basis"](attr=Basis(value, Dim.of(size)))


__all__ = [
    "Boundary",
    "Circuit",
    "Declared",
    "Equation",
    "Index",
    "Input",
    "Param",
    "Signal",
    "Variable",
    "at",
    "choose",
    "index",
    "max",
    "mean",
    "onehot",
    "ones",
    "split",
    "steps",
    "sum",
    "t",
    "tau",
    "where",
    "zeros",
]
