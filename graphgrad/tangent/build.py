"""The tangent circuit, put together from the tangents of its equations."""

from __future__ import annotations

import warnings
from collections.abc import Iterable, Mapping

from graphgrad.adjoint import GradientWarning
from graphgrad.adjoint.live import Dependence
from graphgrad.autodiff import target_names
from graphgrad.causality import Unit
from graphgrad.circuit import Circuit
from graphgrad.dims import Shape
from graphgrad.errors import unknown_name
from graphgrad.ir import At, Expr, topological
from graphgrad.notation.letters import name_of
from graphgrad.ops.leaves import zeros
from graphgrad.system import System, infer_types, unread_boundaries
from graphgrad.tangent.equation import EquationTangent
from graphgrad.tangent.transpose import written


def tangent(
    circuit: Circuit,
    wrt: Iterable[str] | str | None = None,
    *,
    of: Iterable[str] | str | None = None,
) -> Circuit:
    """Return the circuit with the equations of its directional derivatives on top.

    `wrt` names the parameters and inputs that move (all parameters, if left out). Each gets an
    input of its shape for the direction, `dot_W`, and each variable that depends on one gets an
    equation for its tangent, `dot_h[t]`; `of` asks for those that these variables need, only. The
    prefix is `ddot_`, … where names begin with `dot_` already. Raises UnknownNameError for names
    that do not exist, GradientError for tokens; warns where a tangent asked for is zero for lack of
    dependence.
    """
    return TangentCircuit(circuit, wrt, of).run()


def tangent_prefix(names: Iterable[str]) -> str:
    """Return `dot_`, or `ddot_`, … whichever is the first that no name begins with.

    >>> tangent_prefix(["W", "dot_W"])
    'ddot_'
    """
    taken = list(names)
    prefix = "dot_"
    while any(name.startswith(prefix) for name in taken):
        prefix = "d" + prefix
    return prefix


class TangentCircuit:
    """Collects the tangents of all equations that are needed and writes them down."""

    def __init__(
        self, circuit: Circuit, wrt: Iterable[str] | str | None, of: Iterable[str] | str | None
    ) -> None:
        self.system: System = circuit.check()
        self.wrt = target_names(self.system, wrt)
        self.dependence = Dependence(self.system, "", self.wrt)
        self.taken = self.system.declared.names()
        self.prefix = tangent_prefix(self.taken)
        self.equations = EquationTangent(self.dependence, self.prefix, self.taken, self._write)
        self.of = self._asked(of)
        self.result = Circuit.of(self.system.declared)
        self.written: dict[str, list[tuple[str, str | None, Expr]]] = {}
        self.expected: dict[str, Shape] = {}

    def _asked(self, of: Iterable[str] | str | None) -> list[str]:
        """Return the variables whose tangents are asked for."""
        if of is None:
            return [u for u in self.system.variables if u in self.dependence.depends]
        chosen = [of] if isinstance(of, str) else list(of)
        for name in chosen:
            if name not in self.system.variables:
                raise unknown_name(name, self.system.variables)
        return chosen

    def run(self) -> Circuit:
        """Return the circuit with its tangent equations."""
        for name in self.wrt:
            kind = self.equations.shape(name)
            index = self.system.index_of(name) if name in self.system.inputs else None
            self.result.input(self.prefix + name, *kind, index=index)
        needed = self._needed()
        boundaries: dict[At, Expr] = {}
        for unit in needed:
            name = unit if isinstance(unit, str) else unit.name
            self.written.setdefault(name, [])
            value = self.equations.run(unit)
            if isinstance(unit, At):
                boundaries[unit._replace(name=self.prefix + name)] = written(value)
            else:
                self._write(name, self.prefix + name, self.system.index_of(name), value)
        for name in [*self.system.inputs, *self.system.variables]:
            if name in self.written and name not in needed and name not in self.wrt:
                # only boundary values of it move
                zero = zeros(self.equations.shape(name))
                self._write(name, self.prefix + name, self.system.index_of(name), zero)
        self._define(boundaries)
        self._declare_shapes()
        self.result.check()
        return self.result

    def _needed(self) -> list[Unit]:
        """Return the units whose tangents are needed, in the order of computation."""
        found: set[Unit] = set()
        pending: list[Unit] = [name for name in self.of if name in self.dependence.depends]
        while pending:
            unit = pending.pop()
            if unit not in found:
                found.add(unit)
                leaves = self.dependence.flowing(unit)
                reached = (each for leaf in leaves for each in self.dependence.reached(leaf))
                pending += [each for each in reached if each in self.dependence.depends]
        for name in self.of:
            if name not in found:
                warnings.warn(
                    f"{name} does not depend on {', '.join(self.wrt)}: its tangent is zero",
                    GradientWarning,
                    stacklevel=5,
                )
        return [unit for unit in self.dependence.units if unit in found or unit in self.of]

    # -- results --------------------------------------------------------------------------------

    def _write(self, stem: str, name: str, index: str | None, value: Expr) -> None:
        """Note an equation, after those that belong to the variable `stem` already."""
        self.expected[name] = value.shape
        self.written[stem].append((name, index, written(value)))

    def _define(self, boundaries: Mapping[At, Expr]) -> None:
        """Write the equations that are needed, and the boundary equations that are read."""
        names = [*self.system.inputs, *self.system.variables]
        own = [each for name in names for each in self.written.get(name, ())]
        roots = {name: [value] for name, _, value in own}
        for key, value in boundaries.items():
            roots.setdefault(key.name, []).append(value)
        needed: set[str] = set()
        pending = [self.prefix + name for name in self.of]
        while pending:
            name = pending.pop()
            if name in roots and name not in needed:
                needed.add(name)
                pending += [name_of(leaf) or "" for leaf in topological(roots[name])]
        for name, index, value in own:
            if name in needed:
                self.result.define(name, index, value)
        kept = {key: value for key, value in boundaries.items() if key.name in needed}
        while True:
            trial = self.result.copy()
            for key, value in kept.items():
                trial.define_boundary(key.name, key.last, key.offset, value)
            unread = [key for key in unread_boundaries(trial.declared()) if key in kept]
            if not unread:
                self.result = trial
                return
            for key in unread:
                del kept[key]

    def _declare_shapes(self) -> None:
        """Declare the shapes that nothing shows."""
        declared = self.result.declared()
        types = infer_types(declared)
        for name, shape in self.expected.items():
            if types.get(name, shape) != shape:
                self.result.state(name, *shape, index=declared.index_of(name))
