"""A variable or an indexed input, as it is written in Python."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NoReturn

from graphgrad.conditions import Affine
from graphgrad.errors import NotationError
from graphgrad.ir import OPS, At, Expr, lift, read
from graphgrad.times import Time

if TYPE_CHECKING:
    from graphgrad.circuit import Circuit


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
