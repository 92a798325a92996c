"""What a circuit declares: indices, sizes, parameters, inputs and variables, each name once."""

from __future__ import annotations

import keyword
import re
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, cast

from graphgrad.conditions import Affine
from graphgrad.declared import Declared, Index, Input, Param
from graphgrad.dims import LARGEST, Dim, Shape, Token
from graphgrad.errors import NameClashError, NotationError, Place, ShapeError, unknown_name
from graphgrad.ir import OPS, Expr
from graphgrad.ops import FUNCTIONS
from graphgrad.signals import Signal
from graphgrad.times import Time

if TYPE_CHECKING:
    from graphgrad.circuit import Circuit
    from graphgrad.system import System

RESERVED = frozenset(
    {"steps", "params", "state", "lengths", "tau", "sum", "mean", "max", "where", "split", "at"}
    | {"zeros", "ones", "onehot", "param", "input", "token", "distribution", "size", "choose"}
    | set(FUNCTIONS)
)
_LETTERS = "A-Za-z_α-ξπ-ωΓΔΘΛΞΠΣΦΨΩ"  # without omicron, which looks like o
_NAME = re.compile(f"[{_LETTERS}][{_LETTERS}0-9]*")


class Declarations:
    """The declarations of a circuit, and its name and title."""

    def __init__(self, name: str = "circuit", *, title: str = "") -> None:
        self._name = name
        self._title = title
        self._indices: dict[str, Index] = {}
        self._sizes: dict[str, int | None] = {}
        self._params: dict[str, Param] = {}
        self._inputs: dict[str, Input] = {}
        self._states: dict[str, Shape] = {}
        self._signals: dict[str, str | None] = {}
        self._declared: Declared | None = None
        self._checked: System | None = None

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
        return self[name]

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
        for dim in shape:
            if dim.known and int(dim) < 1:
                raise ShapeError(
                    f"{dim} is no dimension: it has no components",
                    place=place,
                    remedy="write a number from 1 on, or a name; a scalar has empty brackets",
                )
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

    def __getitem__(self, name: str) -> Any:
        if name in self._params:
            return Expr(OPS["param"], attr=name)
        if name not in self._inputs and name not in self._signals:
            raise unknown_name(name, {*self._params, *self._inputs, *self._signals})
        if self._index_of(name) is not None:
            return Signal(cast("Circuit", self), name)
        return Expr(OPS["input" if name in self._inputs else "static"], attr=name)

    def _index_of(self, name: str, place: Place | None = None) -> str | None:
        if name in self._inputs:
            return self._inputs[name].index
        if name in self._signals:
            return self._signals[name]
        raise unknown_name(name, {*self._inputs, *self._signals}, place=place)
