"""Backpropagation through time as a circuit: the adjoint recurrence in the same notation.

For each equation `u[t] = F(…)` and each read `v[t-k]` in it, the rule of F gives a contribution at
step t; then `d_v[t] = Σ contribution(u, k)[t+k]`, and parameters get sums over the steps. Within an
equation, which is a tree, the sweep is the same loop over the same rules as on an unfolded graph.
"""

from __future__ import annotations

import re
import warnings
from collections.abc import Iterable

from graphgrad.adjoint.copies import Copies, Copy, Truncation
from graphgrad.adjoint.deliver import Delivery
from graphgrad.adjoint.live import Dependence
from graphgrad.adjoint.names import Names, guarded
from graphgrad.adjoint.rules import Rules
from graphgrad.adjoint.sweep import Contribution, EquationSweep, Shared
from graphgrad.autodiff import cotangent_prefix, target_names, unknown_loss
from graphgrad.causality import Component, Unit
from graphgrad.circuit import Circuit
from graphgrad.conditions import ALWAYS, Condition
from graphgrad.declared import unused_name
from graphgrad.dims import Shape, Token
from graphgrad.errors import GradientError
from graphgrad.ir import OPS, At, Expr, constant, read
from graphgrad.ops.leaves import ones, zeros
from graphgrad.simplify import is_zero, polished, simplified, total
from graphgrad.substitute import tree
from graphgrad.system import System, infer_types


class GradientWarning(UserWarning):
    """A gradient that is zero because nothing depends on what it is taken by."""


def adjoint(
    circuit: Circuit,
    loss: str = "loss",
    *,
    wrt: Iterable[str] | str | None = None,
    truncate: Truncation | None = None,
    guard: str = "smart",
) -> Circuit:
    """Return the circuit with the equations of its backward pass on top.

    The new variables are `d_h[t]` for the cotangents and `d_W` for the gradients of what `wrt`
    names (all parameters, if left out). A loss that is not one number gets an upstream cotangent,
    the input `seed_h[t]`. `truncate` is `gg.window(k)` or `gg.chunks(k)`. `guard="always"` writes
    the range of every contribution out, "smart" only where it does not vanish outside by itself.
    Raises GradientError for a loss that does not exist and for derivatives by tokens; warns where a
    gradient is zero for lack of dependence.
    """
    return Adjoint(circuit, loss, wrt, truncate, guard).run()


class Adjoint:
    """Collects contributions, equation by equation from the loss back, and writes them down."""

    def __init__(
        self,
        circuit: Circuit,
        loss: str,
        wrt: Iterable[str] | str | None,
        truncate: Truncation | None,
        guard: str,
    ) -> None:
        self.system: System = circuit.check()
        self.nodes = self.system.graph.nodes
        if not isinstance(loss, str) or loss not in self.system.variables:
            raise unknown_loss(loss, self.system.variables)
        if guard not in ("smart", "always"):
            raise GradientError(f"guard={guard!r}?", remedy='write "smart" or "always"')
        self.loss = loss
        self.wrt = target_names(self.system, wrt)
        if wrt is None and not self.wrt:
            inputs = [n for n, i in self.system.inputs.items() if not isinstance(i.type, Token)]
            remedy = f"; name inputs to differentiate by, as in wrt={inputs[:1]}" if inputs else ""
            message = f"the circuit has no parameters{remedy}"
            warnings.warn(message, GradientWarning, stacklevel=5)
        taken = self.system.declared.names()
        self.prefix = cotangent_prefix(taken)
        self.dependence = Dependence(self.system, loss, self.wrt)
        self.names = Names(self.system, taken, guard)
        self.rules = Rules(self.system)
        self.sweeper = EquationSweep(self.dependence, self.rules, self.names)
        self.delivery = Delivery(self.system, self.names, guard)
        self.copies = Copies(self.dependence, loss, truncate)
        self.contributions: dict[Copy, list[Contribution]] = {}
        self.gradient_parts: dict[str, list[Contribution]] = {}
        self.constants: dict[Copy, Expr] = {}
        self.stems: dict[Copy, str] = {}
        self.stem_names = {*self.system.variables, *self.wrt}
        self.expected: dict[str, Shape] = {}
        self.seed: str | None = None
        self.result = Circuit.of(self.system.declared)

    def run(self) -> Circuit:
        """Return the circuit with its backward equations."""
        for unit in self.dependence.units:
            if unit in self.dependence.needed:
                for copy in self.copies.of(unit):
                    self.names.enter(self.name_of(copy), self.dependence.index(unit))
        self.names.taken.update(self.prefix + name for name in self.wrt)
        self._declare_seed()
        self.sweeper.merged = self._merged_softmaxes()
        for component in reversed(self.system.components):
            if component.recurrent:
                self._recurrent(component)
            else:
                for unit in component.units:
                    self._unit(unit)
        self._gradients()
        self._declare_shapes()
        self.result.check()
        return self.result

    # -- names ----------------------------------------------------------------------------------

    def name_of(self, copy: Copy) -> str:
        """Return the name of a cotangent: `d_h`, `d_h_0`, `d_h_m1`, `d_g_tau1`, `d_h__2`.

        `d_h_0_`, where `h_0` names something else: in an opened circuit, an input.
        """
        return self.prefix + self.stem_of(copy)

    def stem_of(self, copy: Copy) -> str:
        """Return the name of a cotangent without its prefix."""
        if isinstance(copy.unit, str) and copy.age is None:
            return copy.unit
        if copy not in self.stems:
            name = f"{copy.unit}__{copy.age}"
            if isinstance(copy.unit, At):
                name = boundary_name(self.system, copy.unit)
            self.stems[copy] = name = unused_name(name, self.stem_names)
            self.stem_names.add(name)
        return self.stems[copy]

    def shape_of(self, unit: Unit) -> Shape:
        """Return the shape of a unit's value; `()` for a token."""
        kind = self.system.type_of(unit if isinstance(unit, str) else unit.name)
        return () if isinstance(kind, Token) else kind

    def _cotangent(self, copy: Copy) -> Expr:
        """Return the cotangent of a unit as its own equation's sweep starts with it."""
        if copy in self.constants:
            return self.constants[copy]
        shape, name = self.shape_of(copy.unit), self.name_of(copy)
        if self.dependence.index(copy.unit) is not None:
            return read(name, 0, shape)
        return Expr(OPS["static"], attr=name, type=shape)

    def _declare_seed(self) -> None:
        """Declare the upstream cotangent of a loss that is not one number."""
        variable = self.system.variables[self.loss]
        if self.loss in self.dependence.needed and (variable.index or variable.shape):
            self.seed = unused_name(f"seed_{self.loss}", self.names.taken)
            self.names.enter(self.seed, variable.index)
            self.result.input(self.seed, *variable.shape, index=variable.index)

    def _seed_value(self) -> Expr:
        variable = self.system.variables[self.loss]
        if self.seed is None:
            return constant(1)
        if variable.index is None:
            return Expr(OPS["input"], attr=self.seed, type=variable.shape)
        return read(self.seed, 0, variable.shape)

    # -- units, from the loss back --------------------------------------------------------------

    def _unit(self, unit: Unit) -> None:
        """Write the cotangent of a unit that no cycle goes through, and sweep its equation."""
        for copy in self.copies.of(unit) if unit in self.dependence.needed else ():
            merged = self._merged(copy)
            if merged is not None:
                self._share(self._sweep(copy, *merged))
                continue
            self._define(copy)
            self._share(self._sweep(copy))

    def _recurrent(self, component: Component) -> None:
        """Write the cotangents of a component: all contributions first, for they are mutual."""
        units = [u for u in reversed(component.units) if u in self.dependence.needed]
        copies = [copy for unit in units for copy in self.copies.of(unit)]
        copies.sort(key=lambda copy: self.copies.oldest if copy.age is None else copy.age)
        shared = {copy: self._sweep(copy) for copy in copies}
        for copy in copies:
            self._define(copy)
            self._share(shared[copy])

    def _sweep(
        self,
        copy: Copy,
        start: int | None = None,
        condition: Condition = ALWAYS,
        cotangent: Expr | None = None,
    ) -> list[Shared]:
        """Sweep an equation, enter its contributions, and return what they share."""
        found, shared = self.sweeper.run(
            copy.unit,
            self.dependence.root(copy.unit) if start is None else start,
            condition,
            self._cotangent(copy) if cotangent is None else cotangent,
            self.stem_of(copy),
            leaves=self.copies.leaves(copy),
        )
        for each in found:
            self._deliver(copy, each)
        return shared

    def _share(self, shared: list[Shared]) -> None:
        """Write the equations of shared cotangents."""
        for each in shared:
            value = simplified(guarded(each.condition, each.value))
            self._write(each.name, each.index, value, each.value.shape)

    def _deliver(self, copy: Copy, found: Contribution) -> None:
        """Enter a contribution with the parameter, input, variable or boundary it belongs to."""
        op, _, attr, _ = self.nodes[found.leaf]
        if op.name in ("param", "input"):
            self.gradient_parts.setdefault(attr, []).append(found)
            return
        name = attr if op.name == "static" else attr.name
        if op.name != "static" and name in self.wrt:
            self.gradient_parts.setdefault(name, []).append(found)
        for unit in self.dependence.reached(found.leaf):
            if unit in self.dependence.needed:
                for target, kept in self.copies.targets(copy, found, unit):
                    self.contributions.setdefault(target, []).append(kept)

    def _define(self, copy: Copy) -> None:
        """Write the equation of a cotangent; plain numbers are put in where they are used."""
        shape = self.shape_of(copy.unit)
        parts = self.contributions.get(copy, [])
        if isinstance(copy.unit, At):
            terms = self.delivery.at_boundary(parts, copy.unit)
        else:
            terms = self.delivery.terms(parts)
        if copy.unit == self.loss and self.copies.is_first(copy):
            terms.insert(0, self._seed_value())
        terms += [self._cotangent(each) for each in self.copies.summed(copy)]
        value = total([simplified(term) for term in terms], shape)
        if self._is_number(value) and not self._is_mutual(copy.unit):
            self.constants[copy] = value
            return
        self._write(self.name_of(copy), self.dependence.index(copy.unit), value, shape)

    def _is_number(self, value: Expr) -> bool:
        """Whether a value is a constant, or a number such as 1 / tau."""
        if not value.args:
            return value.op.name in ("const", "fill")
        steady = all(
            arg.op.name in ("const", "size")
            or (arg.op.name == "counter" and arg.attr not in self.system.indices)
            for arg in value.args
        )
        return steady and value.op.name in ("div", "mul", "neg")

    def _is_mutual(self, unit: Unit) -> bool:
        return any(unit in c.units and c.recurrent for c in self.system.components)

    def _write(self, name: str, index: str | None, value: Expr, shape: Shape) -> None:
        if shape and not value.shape:
            value = value * ones(shape)
        self.expected[name] = shape
        self.result.define(name, index, tree(polished(simplified(value))))

    # -- softmax with cross entropy -------------------------------------------------------------

    def _merged_softmaxes(self) -> dict[int, int]:
        """Return the leaves in a cross entropy that are all that reads a softmax, and its node.

        There the cotangent of the softmax's argument is `yhat[t] - y[t]`.
        """
        readers: dict[Unit, list[int]] = {}
        for unit in self.dependence.needed:
            for leaf in self.dependence.flowing(unit):
                for reached in self.dependence.reached(leaf):
                    readers.setdefault(reached, []).append(leaf)
        found: dict[int, int] = {}
        for unit, leaves in readers.items():
            root = self.dependence.root(unit)
            vector = self.nodes[root].op.name == "softmax" and len(self.shape_of(unit)) == 1
            if not vector or len(leaves) != 1 or unit == self.loss or isinstance(unit, At):
                continue
            (leaf,) = leaves
            op, _, attr, _ = self.nodes[leaf]
            users = self.dependence.users[leaf]
            if op.name == "at_step" or (op.name == "read" and attr.lag) or len(users) != 1:
                continue
            user = self.nodes[users[0]]
            if user.op.name == "cross_entropy" and user.args[0] == leaf != user.args[1]:
                found[leaf] = root
        return found

    def _merged(self, copy: Copy) -> tuple[int, Condition, Expr] | None:
        """Return where to go on and with what, if a cross entropy is all that reads a softmax."""
        root = self.dependence.root(copy.unit)
        if root not in self.sweeper.merged.values():
            return None
        parts = [p for p in self.contributions.get(copy, []) if p.leaf in self.sweeper.merged]
        if len(parts) != 1:
            return root, ALWAYS, zeros(self.shape_of(copy.unit))
        return self.nodes[root].args[0], parts[0].condition, parts[0].value

    # -- results --------------------------------------------------------------------------------

    def _gradients(self) -> None:
        """Write the gradients of what was asked for."""
        for name in self.wrt:
            kind = self.system.type_of(name)
            assert isinstance(kind, tuple)
            terms = self.delivery.terms(self.gradient_parts.get(name, []))
            value = total([simplified(term) for term in terms], kind)
            if is_zero(value):
                why = f"{self.loss} does not depend on {name}"
                if self.copies.truncate is not None:
                    why += f", or {self.copies.truncate} keeps nothing of it"
                warnings.warn(f"{why}: its gradient is zero", GradientWarning, stacklevel=6)
                value = zeros(kind)
            index = self.system.index_of(name) if name in self.system.inputs else None
            self._write(self.prefix + name, index, value, kind)

    def _declare_shapes(self) -> None:
        """Declare the shapes that nothing shows: d_h[t] = d_h[t+1] could be of any."""
        declared = self.result.declared()
        types = infer_types(declared)
        for name, shape in self.expected.items():
            if types[name] != shape:
                self.result.state(name, *shape, index=declared.index_of(name))


def boundary_name(system: System, key: At) -> str:
    """Return a boundary value's name: `h_0`, `h_m1`, `g_tau1`.

    `g_m_1`, where the length itself is called `m`: `g_m1` is the step before `g_0`.
    """
    if not key.last:
        return f"{key.name}_m{-key.offset}" if key.offset else f"{key.name}_0"
    index = system.index_of(key.name)
    length = system.indices[index].length if index else ""
    gap = "_" if re.fullmatch(r"m\d*", length) else ""
    return f"{key.name}_{length}{gap}{key.offset}"
