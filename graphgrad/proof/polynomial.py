"""Polynomials as a number type: symbols for what is not given, and fast kernels for products."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from fractions import Fraction
from typing import Any

import numpy as np

from graphgrad.algebras import ObjectAlgebra, flat
from graphgrad.dims import Token, concrete
from graphgrad.evaluate import kernel_of
from graphgrad.ir import Number
from graphgrad.proof.arithmetic import LONG
from graphgrad.proof.generators import Generators
from graphgrad.proof.sparse import Terms, add_product, cleaned, constant, scaled, total
from graphgrad.system import System
from graphgrad.unfold import Dag

PLAIN = ("tanh", "sigmoid", "softplus", "exp", "log", "sqrt", "sin", "cos", "relu", "abs")


class Poly:
    """A polynomial as a number type: what object arrays hold while a graph is evaluated."""

    __slots__ = ("table", "terms")

    def __init__(self, table: Generators, terms: Terms) -> None:
        self.table = table
        self.terms = terms

    def _lifted(self, other: Any) -> Terms:
        return other.terms if isinstance(other, Poly) else constant(other)

    def __add__(self, other: Any) -> Poly:
        a, b = self.terms, self._lifted(other)
        if len(a) < len(b):
            a, b = b, a
        if not b:
            return Poly(self.table, a)
        out = a.copy()
        get = out.get
        for m, c in b.items():
            value = get(m, 0) + c
            if value:
                out[m] = value
            else:
                del out[m]
        return Poly(self.table, out)

    __radd__ = __add__

    def __neg__(self) -> Poly:
        return Poly(self.table, {m: -c for m, c in self.terms.items()})

    def __sub__(self, other: Any) -> Poly:
        return self + Poly(self.table, scaled(self._lifted(other), -1))

    def __rsub__(self, other: Any) -> Poly:
        return (-self).__add__(other)

    def __mul__(self, other: Any) -> Poly:
        return Poly(self.table, self.table.product(self.terms, self._lifted(other)))

    __rmul__ = __mul__

    def __truediv__(self, other: Any) -> Poly:
        inverse = self.table.inverse(self._lifted(other))
        return Poly(self.table, self.table.product(self.terms, inverse))

    def __rtruediv__(self, other: Any) -> Poly:
        return self._quotient(constant(other))

    def _quotient(self, numerator: Terms) -> Poly:
        return Poly(self.table, self.table.product(numerator, self.table.inverse(self.terms)))

    def __pow__(self, exponent: Any) -> Poly:
        return Poly(self.table, self.table.power(self.terms, self._lifted(exponent)))

    def __rpow__(self, base: Any) -> Poly:
        return Poly(self.table, self.table.power(constant(base), self.terms))


class PolynomialAlgebra(ObjectAlgebra):
    """Polynomials over the generators of one table; literals are the fractions they show."""

    def __init__(self, table: Generators) -> None:
        self.table = table

    def poly(self, terms: Terms) -> Poly:
        """Return terms as a number."""
        return Poly(self.table, terms)

    def number(self, value: Number) -> Poly:
        """Return a literal as a constant polynomial."""
        return self.poly(constant(value))

    def scalar(self, name: str, value: Any) -> Poly:
        """Return an entry of the data as a constant polynomial."""
        exact = value if isinstance(value, Fraction | int) else str(value)
        return self.poly(constant(Fraction(exact)))

    def function(self, name: str) -> Callable[..., Any]:
        """Return a function of the table on polynomials."""
        rule = getattr(self.table, name)
        return lambda *args: self.poly(rule(*(arg.terms for arg in args)))

    def where(self, relation: str, left: Any, right: Any, a: Any, b: Any) -> Any:
        """Return `a` where the comparison holds, else `b`, entry by entry."""
        rule = self.table.where
        return self.mapped(
            lambda x, y, u, v: self.poly(rule(relation, x.terms, y.terms, u.terms, v.terms)),
            *(left, right, a, b),
        )

    def max(self, v: Any) -> Poly:
        """Return the largest entry."""
        return self.poly(self.table.max([entry.terms for entry in np.ravel(v)]))

    def scalar_power(self, a: Any, b: Any) -> Any:
        """Return a power."""
        return a**b

    # Data

    def entries(
        self, kind: str, name: str, shape: tuple[int, ...], *, active: bool, unit: bool = False
    ) -> Any:
        """Return an array of fresh generators; with `unit` the last is 1 less the others."""
        result = np.empty(shape, object)
        mark = "_" if shape and max(shape) > 10 else ""
        gids: list[int] = []
        for position in np.ndindex(*shape):
            suffix = mark.join(map(str, position))
            shown = f"{name}_{suffix}" if suffix else name
            if unit and position[-1] == shape[-1] - 1:
                rest: Terms = {(): 1}
                rest.update({(gid,): -1 for gid in gids})
                result[position] = self.poly(rest)
                continue
            gids.append(self.table.new(kind, shown, active=active))
            result[position] = self.poly({(gids[-1],): 1})
        return result if shape else result[()]

    def data(
        self,
        system: System,
        lengths: Mapping[str, int],
        sizes: Mapping[str, int],
        wanted: Iterable[str],
    ) -> dict[str, Any]:
        """Return generators for every parameter and input; derivatives flow to the wanted ones."""
        names = set(wanted)
        found: dict[str, Any] = {}
        for name, param in system.params.items():
            shape = concrete(param.shape, sizes)
            found[name] = self.entries("param", name, shape, active=name in names)
        for name, declared in system.inputs.items():
            token = isinstance(declared.type, Token)
            dims = (declared.type.size,) if isinstance(declared.type, Token) else declared.type
            unit = token or declared.kind == "distribution"
            shape, active = concrete(dims, sizes), name in names
            if declared.index is None:
                found[name] = self.entries("input", name, shape, active=active, unit=unit)
                continue
            length = lengths[declared.index]
            series = np.empty((length, *shape), object)
            for step in range(length):
                shown = f"{name}_{step + 1}" + ("_" if shape else "")
                series[step] = self.entries(
                    "input", shown.rstrip("_"), shape, active=active, unit=unit
                )
            found[name] = series
        return found

    # Kernels

    def kernels(
        self, dag: Dag, arrays: Mapping[str, Any], sizes: Mapping[str, int]
    ) -> list[Callable[..., Any]]:
        """Return the function `(step, *operands) -> value` of every template."""
        own = {"matmul": self._matmul, "accumulate": self._accumulate, "sum": self._sum}
        own |= {"lookup": self._lookup}
        parts = parts_of_sigma(dag)
        return [
            (lambda step, *operands, run=own[t.op.name]: run(*operands))
            if t.op.name in own
            else self._after_sigma(kernel_of(dag, t, arrays, sizes, self), parts[k])
            if k in parts
            else kernel_of(dag, t, arrays, sizes, self)
            for k, t in enumerate(dag.templates)
        ]

    def _after_sigma(self, kernel: Callable[..., Any], factor: int) -> Callable[..., Any]:
        """Return a kernel that first makes the atoms of sigma at a multiple of its operand."""

        def run(step: int, operand: Any) -> Any:
            for entry in flat(operand):
                self.table.sigmoid(scaled(entry.terms, factor))
            return kernel(step, operand)

        return run

    def dot(self, left: Iterable[Poly], right: Iterable[Poly]) -> Poly:
        """Return Σ left·right, added up in place."""
        table, out = self.table, dict[Any, Any]()
        for a, b in zip(left, right, strict=True):
            p, q = a.terms, b.terms
            if min(len(p), len(q)) > 4 and max(len(p), len(q)) > LONG:
                add_product(out, table.product(p, q), {(): 1})
            else:
                add_product(out, p, q)
                table.relations.charge(len(out))
        return self.poly(table.relations.reduced(cleaned(out)))

    def _matmul(self, a: Any, b: Any) -> Any:
        if a.ndim == 1:
            return self.dot(a, b)
        if b.ndim == 1:
            return self._stacked([self.dot(row, b) for row in a])
        columns = list(b.T)
        rows = [self._stacked([self.dot(row, column) for column in columns]) for row in a]
        return np.stack(rows)

    def _lookup(self, table: Any, token: Any) -> Any:
        return self._matmul(table.T, token) if np.ndim(token) else table[token]

    def _stacked(self, entries: list[Poly]) -> Any:
        result = np.empty(len(entries), object)
        result[:] = entries
        return result

    def _sum(self, v: Any) -> Poly:
        entries: list[Poly] = [v] if isinstance(v, Poly) else list(np.ravel(v))
        return self.poly(total(entry.terms for entry in entries))

    def _accumulate(self, *terms: Any) -> Any:
        arrays = [term for term in terms if isinstance(term, np.ndarray) and term.ndim]
        if not arrays:
            return self.poly(total(scalar_of(term).terms for term in terms))
        shape = arrays[0].shape
        rows = [
            np.ravel(t) if isinstance(t, np.ndarray) and t.ndim else [t] * arrays[0].size
            for t in terms
        ]
        result = np.empty(arrays[0].size, object)
        for position in range(len(result)):
            result[position] = self.poly(total(row[position].terms for row in rows))
        return result.reshape(shape)


def parts_of_sigma(dag: Dag) -> dict[int, int]:
    """Return the templates of exp and tanh that are parts of sigma(c*u), u being theirs, with c.

    These are 1 + exp(u) and tanh(v/2); what is not seen here is only proved more slowly.
    """
    names = [template.op.name for template in dag.templates]
    if "exp" not in names and "tanh" not in names:
        return {}
    found: dict[int, int] = {}
    kinds, nodes = np.unique(dag.kinds, return_index=True)
    for kind, node in zip(kinds.tolist(), nodes.tolist(), strict=True):
        args = dag.kinds[dag.args[dag.starts[node] : dag.starts[node + 1]]].tolist()
        numbers = [dag.templates[arg].attr for arg in args if names[arg] == "const"]
        if names[kind] == "add" and numbers == [1]:
            found |= {arg: 1 for arg in args if names[arg] == "exp"}
        halved = (names[kind], numbers) in (("div", [2]), ("mul", [0.5]))
        if halved:
            users = np.flatnonzero(np.diff(dag.starts) == 1)
            read = dag.kinds[dag.args[dag.starts[users]]] == kind
            found |= {k: 2 for k in set(dag.kinds[users[read]].tolist()) if names[k] == "tanh"}
    return found


def scalar_of(value: Any) -> Poly:
    """Return a scalar that may stand in an array without axes."""
    if isinstance(value, np.ndarray):
        value = value[()]
    assert isinstance(value, Poly)
    return value
