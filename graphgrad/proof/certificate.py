"""Certificates: a gradient proved by one polynomial identity for each step of the backward pass.

Let v_1, …, v_N be the instances of the variables in topological order, each a function f_v of data
and earlier instances, and let D_v be the derivative of the loss by v while later instances follow
through their equations. The chain rule says, for each v and each parameter W,

    D_v = ∂loss/∂v + Σ D_u · ∂f_u/∂v        dloss/dW = ∂loss/∂W + Σ D_u · ∂f_u/∂W,

the sums being over the instances u that read v or W directly. A backward pass computes numbers c_v
in place of D_v. The graph is evaluated over polynomials in which each entry of v is a generator of
its own (a *let*: the graph is cut at v) and each entry of c_v an indeterminate λ (the *cut*). Call
C_v the polynomial that the backward pass computes for c_v from other lets and λs, and

    T_v = ∂loss/∂v + Σ λ_u · ∂f_u/∂v.

**Theorem.** If C_v = T_v for every v as polynomials, and likewise for W, then c_W = dloss/dW at
every point of the domain.

*Proof.* At a point of the domain send each generator to the number it stands for: data to data,
lets to the values of their instances, atoms to the values of their functions, λ_v to c_v. This is a
homomorphism of rings, because every relation between generators that is used holds for those
numbers; it maps C_v to c_v and T_v to ∂loss/∂v + Σ c_u · ∂f_u/∂v. So c satisfies the equations that
D satisfies, and they have one solution: by induction from v_N down, c_v = D_v, since every u that
reads v comes later. The equation for W then gives c_W = dloss/dW. ∎

Nothing is asked of the order in which the backward pass computes, nor of what it reads. A cut is
left out where C_v is a number or one generator; a variable whose cotangent the backward pass does
not compute is no let, and is differentiated through. Trusted are: the interpreter, which reads both
passes; sums and products of polynomials; the derivatives of polynomials and of atoms in
`generators.py`. The rules in `ops/`, the sweep, the adjoint and the simplifier are not.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from graphgrad.algebras import flat
from graphgrad.ir import OPS
from graphgrad.proof.clock import Clock
from graphgrad.proof.generators import Generators
from graphgrad.proof.polynomial import Poly, PolynomialAlgebra
from graphgrad.proof.sparse import Relations, Terms, scaled, total
from graphgrad.unfold import Dag

Instance = tuple[str, int | None]
"""A variable and its step, None for a static one."""


@dataclass(frozen=True)
class BackwardPass:
    """A graph that holds both passes, and which node is the cotangent of what.

    `values` gives the node of every instance of the forward pass, `cotangents` the node of what the
    backward pass computes for it, one number where it is the same for all entries; `gradients` the
    nodes for a parameter (one), or an input (one a
    step). `seeds` names the input that is the upstream cotangent of a loss that is no number,
    `called` has the names of cotangents that are not called `d_h`.
    """

    dag: Dag
    loss: str
    values: Mapping[Instance, int]
    cotangents: Mapping[Instance, int]
    gradients: Mapping[str, tuple[int, ...]]
    seed: str | None = None
    called: Mapping[str, str] = field(default_factory=dict)

    def forward(self) -> bytearray:
        """Return which nodes the forward pass consists of."""
        starts, args = self.dag.starts.tolist(), self.dag.args.tolist()
        marks = bytearray(len(self.dag))
        for node in self.values.values():
            marks[node] = 1
        for node in range(len(self.dag) - 1, -1, -1):
            if marks[node]:
                for arg in args[starts[node] : starts[node + 1]]:
                    marks[arg] = 1
        return marks


@dataclass(frozen=True)
class Local:
    """One local identity: the residual C - T of each entry, as far as it is not zero."""

    instance: Instance
    entries: int
    residuals: Mapping[int, Terms]


class Certificate:
    """The polynomials of one backward pass, and its local identities."""

    def __init__(self, passes: BackwardPass, clock: Clock) -> None:
        self.passes = passes
        self.clock = clock
        self.table = Generators(Relations(clock))
        self.algebra = PolynomialAlgebra(self.table)
        dag = passes.dag
        self.arrays = self.algebra.data(dag.system, dag.tau, dag.sizes, passes.gradients)
        self.lets: dict[Instance, list[int]] = {}
        self.computed: dict[int, list[Terms]] = {}
        """C: the entries of each cotangent node before the cut."""
        self.carried: dict[int, list[Terms]] = {}
        """What the rest of the graph reads in its place."""
        self.truth: dict[int, Terms] = {}

    def run(self) -> None:
        """Evaluate both passes and differentiate the forward one."""
        self._evaluate()
        carried = self._carried()
        self.table.relations.folding, self.table.forward = True, False
        self.truth = self.table.gradients(carried, self._seeds(), self._named)

    def _carried(self) -> dict[int, Terms]:
        """Return the cotangent of every let that has one."""
        carried: dict[int, Terms] = {}
        for instance, gids in self.lets.items():
            node = self.passes.cotangents.get(instance)
            if node is not None:
                weights = self._weights(instance, self.carried[node])
                carried.update(zip(gids, spread(weights, len(gids)), strict=True))
        return carried

    def _weights(self, instance: Instance, entries: list[Terms]) -> list[Terms]:
        """Return what the derivatives of an instance are multiplied with: its cotangents."""
        return entries

    def _named(self, weight: Terms) -> Terms:
        """Return the cotangent of a sum over time as it is to be written."""
        return weight

    def _seeds(self) -> dict[int, Terms]:
        passes = self.passes
        seeds: dict[int, Terms] = {}
        for instance, node in passes.values.items():
            if instance[0] != passes.loss:
                continue
            step = instance[1]
            if step is not None and not 1 <= step <= passes.dag.tau[self._index()]:
                continue
            gids = self.lets.get(instance) or self.roots[node]
            upstream: list[Terms] = [{(): 1}]
            if passes.seed is not None:
                array = self.arrays[passes.seed]
                upstream = [p.terms for p in flat(array if step is None else array[step - 1])]
            seeds.update(zip(gids, upstream, strict=True))
        return seeds

    def _index(self) -> str:
        return self.passes.dag.system.index_of(self.passes.loss) or ""

    # Evaluation

    def _evaluate(self) -> None:
        """Compute every node, cut at the variables and at their cotangents."""
        dag, passes = self.passes.dag, self.passes
        owners: dict[int, list[Instance]] = {}
        for instance, node in passes.values.items():
            owners.setdefault(node, []).append(instance)
        cuts: dict[int, list[Instance]] = {}
        for instance, node in passes.cotangents.items():
            cuts.setdefault(node, []).append(instance)
        wanted = set(cuts) | {node for nodes in passes.gradients.values() for node in nodes}
        self.roots: dict[int, list[int]] = {}
        forward, last = self._needed(set(owners), wanted)
        kernels = self._kernels()
        kinds, starts = dag.kinds.tolist(), dag.starts.tolist()
        args, times = dag.args.tolist(), dag.times.tolist()
        store: list[Any] = [None] * len(dag)
        held = [0] * len(dag)
        for node in range(len(dag)):
            if last[node] < 0:
                continue
            self.clock.count(node, len(dag), "nodes")
            operands = args[starts[node] : starts[node + 1]]
            self.table.relations.folding = not forward[node]
            self.table.forward = bool(forward[node])
            value = kernels[kinds[node]](times[node], *[store[arg] for arg in operands])
            value = self._settled(node, value)
            if node in owners and dag.templates[kinds[node]].op is not OPS["input"]:
                value = self._let(node, owners[node], value)
            elif not forward[node]:
                value = self._canonical(value)
            if node in cuts or node in wanted:
                self.computed[node] = [poly.terms for poly in flat(value)]
                if node in cuts and not forward[node]:
                    value = self._cut(cuts[node][-1], value)
                self.carried[node] = [poly.terms for poly in flat(value)]
            store[node] = value
            held[node] = sum(len(e.terms) for e in flat(value) if isinstance(e, Poly))
            self.table.relations.keep(held[node])
            for arg in operands:
                if last[arg] == node and store[arg] is not None:
                    store[arg] = None
                    self.table.relations.release(held[arg])

    def _kernels(self) -> list[Callable[..., Any]]:
        """Return the function of every template."""
        dag = self.passes.dag
        return self.algebra.kernels(dag, self.arrays, dag.sizes)

    def _settled(self, node: int, value: Any) -> Any:
        """Return what stands for a value from here on; a certificate for every τ names sums."""
        return value

    def _needed(self, roots: set[int], wanted: set[int]) -> tuple[bytearray, list[int]]:
        """Return which nodes the forward pass consists of, and each node's last user."""
        dag = self.passes.dag
        starts, args = dag.starts.tolist(), dag.args.tolist()
        forward, last = bytearray(len(dag)), [-1] * len(dag)
        for node in range(len(dag) - 1, -1, -1):
            if node in roots:
                forward[node] = 1
            if node in roots or node in wanted:
                last[node] = len(dag)
            if last[node] >= 0:
                for arg in args[starts[node] : starts[node + 1]]:
                    last[arg] = max(last[arg], node)
                    forward[arg] |= forward[node]
        return forward, last

    def _let(self, node: int, owners: list[Instance], value: Any) -> Any:
        """Return fresh generators for the entries of a variable's value."""
        entries = flat(value)
        if not all(isinstance(entry, Poly) for entry in entries):
            return value  # a token
        instance = owners[0]
        claimed = instance in self.passes.cotangents
        active = any(self.table.is_active(entry.terms) for entry in entries)
        if not claimed and active and instance[0] != self.passes.loss:
            return value
        if (
            instance[0] != self.passes.loss
            and not active
            and all(len(entry.terms) <= 1 for entry in entries)
        ):
            return value
        gids = [
            self.table.let(entry.terms, entry_name(instance, position, np.shape(value)))
            for position, entry in enumerate(entries)
        ]
        self.roots[node] = gids
        if claimed and active:
            self.lets[instance] = gids
        return self._shaped([{(gid,): 1} for gid in gids], np.shape(value))

    def _cut(self, instance: Instance, value: Any) -> Any:
        """Return λs in place of the entries that are no number or generator."""
        out: list[Terms] = []
        for position, entry in enumerate(flat(value)):
            terms = entry.terms
            if len(terms) > 1 or any(len(m) > 1 for m in terms):
                named = self.passes.called.get(instance[0], f"d_{instance[0]}")
                name = entry_name((named, instance[1]), position, np.shape(value))
                gid = self.table.new("cotangent", name)
                terms = {(gid,): 1}
            out.append(terms)
        return self._shaped(out, np.shape(value))

    def _canonical(self, value: Any) -> Any:
        entries = flat(value)
        if not entries or not all(isinstance(entry, Poly) for entry in entries):
            return value
        canonical = self.table.canonical
        found = [canonical(entry.terms) for entry in entries]
        if all(new is entry.terms for new, entry in zip(found, entries, strict=True)):
            return value
        return self._shaped(found, np.shape(value))

    def _shaped(self, entries: list[Terms], shape: tuple[int, ...]) -> Any:
        if not shape:
            return self.algebra.poly(entries[0])
        result = np.empty(len(entries), object)
        result[:] = [self.algebra.poly(terms) for terms in entries]
        return result.reshape(shape)

    # Identities

    def locals(self) -> list[Local]:
        """Return the local identity of every cotangent, the last instance first."""
        found = []
        for instance, gids in reversed(self.lets.items()):
            node = self.passes.cotangents[instance]
            truths = [self.truth.get(gid, {}) for gid in gids]
            found.append(self._compared(instance, node, truths))
        return found

    def data_of(self, name: str) -> list[int]:
        """Return the generators of a parameter or input."""
        return [next(iter(entry.terms))[0] for entry in flat(self.arrays[name])]

    def gradient(self, name: str) -> Local:
        """Return the identity of a gradient, all steps of an input together."""
        truths = [self.truth.get(gid, {}) for gid in self.data_of(name)]
        nodes = self.passes.gradients[name]
        size = len(truths) // len(nodes)
        residuals: dict[int, Terms] = {}
        for k, node in enumerate(nodes):
            part = self._compared((name, None), node, truths[k * size : (k + 1) * size])
            residuals.update({k * size + p: terms for p, terms in part.residuals.items()})
        return Local((name, None), len(truths), residuals)

    def _compared(self, instance: Instance, node: int, truths: list[Terms]) -> Local:
        computed = spread(self.computed[node], len(truths))
        carried = spread(self.carried[node], len(truths))
        residuals: dict[int, Terms] = {}
        for position, (c, other, t) in enumerate(zip(computed, carried, truths, strict=True)):
            if t not in (c, other):
                residuals[position] = total([c, scaled(t, -1)])
        return Local(instance, len(truths), residuals)


def spread(entries: list[Any], count: int) -> list[Any]:
    """Return the entries of an array of which one number may be given: it stands for all."""
    return entries * count if len(entries) == 1 else entries


def entry_name(instance: Instance, position: int, shape: tuple[int, ...]) -> str:
    """Return the name of an entry as in witnesses: h_2_0, W_01."""
    name, step = instance
    stem = name if step is None else f"{name}_{step}" if step >= 0 else f"{name}_m{-step}"
    if not shape:
        return stem
    mark = "_" if step is not None or max(shape) > 10 else ""
    return f"{stem}_{mark.join(map(str, np.unravel_index(position, shape)))}"
