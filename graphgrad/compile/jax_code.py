"""Statements of a schedule as JAX expressions: those of NumPy over another module."""

from __future__ import annotations

from typing import ClassVar

from graphgrad.compile.code import BATCH, TIME, dim_code
from graphgrad.compile.expressions import Expressions
from graphgrad.compile.schedule import Leaf, Statement


class JaxExpressions(Expressions):
    """The expressions of a JAX program, and the axes of its values."""

    module: ClassVar[str] = "jnp"

    def lead(self, value: Statement | Leaf, *, inside: bool) -> str:
        """Return the leading axes of a value; inside a loop the step is fixed."""
        time = TIME if value.index is not None and not inside else ""
        return time + BATCH * value.batched

    def shape(self, value: Statement | Leaf, lead: str, *rows: int | str) -> str:
        """Return the whole shape of a value as code, `rows` of it if given."""
        axes = [str(each) for each in rows]
        axes += [self.lengths[value.index or ""]] if TIME in lead else []
        axes += ["B"] if BATCH in lead else []
        axes += [dim_code(dim) for dim in value.shape]
        return f"({', '.join(axes)}{',' * (len(axes) == 1)})"
