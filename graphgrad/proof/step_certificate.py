"""A certificate whose polynomials at one length stand for those at all lengths."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Set
from typing import Any

import numpy as np

from graphgrad.algebras import flat
from graphgrad.ir import OPS
from graphgrad.proof.certificate import (
    BackwardPass,
    Certificate,
    Instance,
    Local,
    entry_name,
    spread,
)
from graphgrad.proof.classes import Cuts, Zone
from graphgrad.proof.clock import Clock
from graphgrad.proof.lengths import AT_ONE_LENGTH
from graphgrad.proof.plan import Plan
from graphgrad.proof.poly import UndecidableError
from graphgrad.proof.polynomial import Poly
from graphgrad.proof.residual import vanishes
from graphgrad.proof.sparse import Terms, cleaned, constant, quotient, scaled, total
from graphgrad.unfold import STATIC


class StepCertificate(Certificate):
    """Lets, cotangents and sums as in `induction.py`: marks, indeterminate lengths, real cuts."""

    def __init__(
        self,
        passes: BackwardPass,
        clock: Clock,
        cuts: Cuts,
        plan: Plan,
    ) -> None:
        super().__init__(passes, clock)
        self.cuts = cuts
        self.variables_active = plan.active
        self.rounds = plan.effort.rounds
        self.loose = plan.effort.loose
        self.orphans = plan.orphans
        self.orphaned: set[int] = set()
        table = self.table
        self.marks = {
            index: [next(iter(entry.terms))[0] for entry in flat(self.arrays[name])]
            for index, name in plan.marks.items()
        }
        self.all_marks = frozenset(gid for gids in self.marks.values() for gid in gids)
        indices = passes.dag.system.indices
        self.free = {index: self._free(index, plan.zones[index]) for index in indices}
        self.counts: dict[str, Terms] = {
            index: {(table.new("input", each.length, active=False, positive=True),): 1}
            if self.free[index]
            else {(): passes.dag.tau[index]}
            for index, each in indices.items()
        }
        self.clocks = {name: table.new("input", name, active=False) for name in indices}
        self.sums: set[int] = set()
        self.static_cotangents: set[int] = set()
        self.reasons: list[str] = []
        """Why identities could not be compared."""
        self.others: list[tuple[Instance, list[int]]] = []
        self.fresh = {
            instance: node
            for instance, node in passes.cotangents.items()
            if node in cuts.mutual or passes.dag.times[node] == STATIC
        }

    def _free(self, index: str, zone: Zone) -> list[int]:
        """Return the marks of the steps that no absolute read is about."""
        length = self.passes.dag.tau[index]
        return [
            gid
            for step, gid in enumerate(self.marks[index], 1)
            if step > zone.early and length - step > zone.late
        ]

    # Evaluation

    def _kernels(self) -> list[Callable[..., Any]]:
        dag = self.passes.dag
        kernels = super()._kernels()
        lengths = {index.length: name for name, index in dag.system.indices.items()}
        for position, template in enumerate(dag.templates):
            if template.op is OPS["counter"]:
                kernels[position] = self._counter(template.attr, lengths)
        return kernels

    def _counter(self, name: str, lengths: Mapping[str, str]) -> Callable[[int], Poly]:
        if name in lengths:
            length = self.algebra.poly(self.counts[lengths[name]])
            return lambda step: length
        clock = self.algebra.poly({(self.clocks[name],): 1})
        return lambda step: clock + step

    def _settled(self, node: int, value: Any) -> Any:
        other = self.cuts.opaque.get(node)
        if other is not None:
            shape = np.shape(value)
            gids = [self.table.let(entry.terms, entry_name(other, k, shape))
                    for k, entry in enumerate(flat(value))]  # fmt: skip
            self.others.append((other, gids))
            return self._shaped([{(gid,): 1} for gid in gids], shape)
        if node not in self.cuts.sums:
            return value
        named: list[Terms] = []
        for entry in flat(value):
            gid = self.table.named(entry.terms, "sum")
            self.sums.add(gid)
            named.append({(gid,): 1})
        return self._shaped(named, np.shape(value))

    def _let(self, node: int, owners: list[Instance], value: Any) -> Any:
        instance = self.cuts.variables.get(node)
        entries = flat(value)
        if instance is None or not all(isinstance(entry, Poly) for entry in entries):
            return super()._let(node, owners, value)
        active = instance[0] in self.variables_active
        gids = [
            self.table.let(entry.terms, entry_name(instance, k, np.shape(value)), active=active)
            for k, entry in enumerate(entries)
        ]
        self.roots[node] = gids
        if instance in self.passes.cotangents and active:
            self.lets[instance] = gids
        elif instance[0] in self.orphans:
            self.orphaned.update(gids)
        return self._shaped([{(gid,): 1} for gid in gids], np.shape(value))

    def _carried(self) -> dict[int, Terms]:
        orphaned: dict[int, Terms] = {gid: {} for gid in self.orphaned}
        return super()._carried() | orphaned

    def _cut(self, instance: Instance, value: Any) -> Any:
        if instance not in self.fresh:
            return super()._cut(instance, value)
        mutual = self.fresh[instance] in self.cuts.mutual
        out: list[Terms] = []
        for position, entry in enumerate(flat(value)):
            terms = entry.terms
            if mutual or any(terms):
                named = self.passes.called.get(instance[0], f"d_{instance[0]}")
                name = entry_name((named, instance[1]), position, np.shape(value))
                gid = self.table.new("cotangent", name)
                terms = {(gid,): 1}
                if instance[1] is None:
                    self.static_cotangents.add(gid)
            out.append(terms)
        return self._shaped(out, np.shape(value))

    def _weights(self, instance: Instance, entries: list[Terms]) -> list[Terms]:
        name, step = instance
        index = self.passes.dag.system.index_of(name)
        if step is None or index is None or not 1 <= step <= self.passes.dag.tau[index]:
            return entries
        mark: Terms = {(self.marks[index][step - 1],): 1}
        return [self.table.product(terms, mark) for terms in entries]

    def _named(self, weight: Terms) -> Terms:
        """Return the cotangent of a sum as a multiple of another sum, if it is one.

        A sum that every step reads has a cotangent that sums over all steps.
        """
        for gid in sorted(self.sums, reverse=True):
            factor = quotient(weight, self.table.items[gid].args[0])
            if factor is not None:
                ((m, c),) = factor.items()
                return {tuple(sorted((*m, gid))): c}
        return weight

    # Identities

    def _compared(self, instance: Instance, node: int, truths: list[Terms]) -> Local:
        # a value outside 1..τ is read at a few steps, and its cotangent adds them up without marks
        static = self.passes.dag.times[node] == STATIC and instance[1] is None
        residuals: dict[int, Terms] = {}
        for position, (c, other, t) in enumerate(
            zip(
                spread(self.computed[node], len(truths)),
                spread(self.carried[node], len(truths)),
                truths,
                strict=True,
            )
        ):
            if t in (c, other) or (static and self._written(c) == t):
                continue
            residual = total([c, scaled(t, -1)])
            try:
                residual = self._summed(residual) if static else self._unmarked(residual)
            except UndecidableError as failure:
                self.reasons.append(f"{failure}: {AT_ONE_LENGTH}")
                residuals[position] = residual
                continue
            if residual and not vanishes(self.table, residual, rounds=self.rounds):
                residuals[position] = residual
        return Local(instance, len(truths), residuals)

    def _written(self, terms: Terms) -> Terms | None:
        """Return what a generator that is a sum over time stands for."""
        if len(terms) == 1:
            ((m, c),) = terms.items()
            if c == 1 and len(m) == 1 and m[0] in self.sums:
                return self.table.items[m[0]].args[0]
        return None

    def _unmarked(self, terms: Terms) -> Terms:
        """Return a polynomial at m = 1."""
        if any(sum(g in self.all_marks for g in m) > 1 for m in terms):
            raise UndecidableError(
                "a sum over time is needed at every step, and its cotangent has no equation"
            )
        return self._without(terms, self.all_marks)

    def _located(self, terms: Terms) -> Terms:
        """Return a polynomial at m = 1 as far as its terms name a step by themselves."""
        located = self._with_a_step()
        named = {m: c for m, c in terms.items() if any(located[g] for g in m)}
        rest = {m: c for m, c in terms.items() if m not in named}
        return total([rest, self._without(named, self.all_marks)])

    def _with_a_step(self) -> bytearray:
        """Return which generators belong to a step, or are functions of such."""
        dag, found = self.passes.dag, bytearray(len(self.table.items))
        for name, declared in dag.system.inputs.items():
            if declared.index is not None:
                for entry in flat(self.arrays[name]):
                    for gid in (g for m in entry.terms for g in m):
                        found[gid] = gid not in self.all_marks
        for (_, step), gids in [*self.lets.items(), *self.others]:
            for gid in gids:
                found[gid] = step is not None
        for gid, item in enumerate(self.table.items):
            if item.kind == "cotangent":
                found[gid] = gid not in self.static_cotangents
            elif item.kind not in ("let", "sum") and not found[gid]:
                found[gid] = any(found[g] for arg in item.args for m in arg for g in m)
        return found

    def _without(self, terms: Terms, marks: Set[int]) -> Terms:
        """Return a polynomial with 1 for some marks."""
        out: Terms = {}
        for m, c in terms.items():
            key = m if marks.isdisjoint(m) else tuple(g for g in m if g not in marks)
            out[key] = out.get(key, 0) + c
        return cleaned(out)

    def _summed(self, terms: Terms) -> Terms:
        """Return a polynomial with Σ m = N in place of the first mark, and sums written out.

        Sums are written out one after the other, the newest first, until nothing is left: an
        identity that holds for any value of a sum holds for its own, and products of sums have no
        marks by which their summands could be told apart.
        """
        table = self.table
        located = self._with_a_step()
        while True:
            for gid in sorted({g for m in terms for g in m if g in self.sums}):
                count = self._counted(table.items[gid].args[0])
                if not any(located[g] or g in self.all_marks for m in count for g in m):
                    terms = table.replaced(terms, gid, count)  # a sum of equal summands
            apart = all(sum(g in self.all_marks for g in m) <= 1 for m in terms)
            rest = self._counted(terms) if apart else terms
            present = {g for m in terms for g in m if g in self.sums}
            if not rest or not present:
                break
            gid = max(present)
            terms = table.replaced(terms, gid, table.items[gid].args[0])
        if not apart:
            raise UndecidableError("a product of two sums over time is compared")
        return rest

    def _counted(self, terms: Terms) -> Terms:
        """Return a polynomial with Σ m = N in place of the first mark of each index."""
        table = self.table
        if self.loose:
            terms = self._located(terms)
        for index, gids in self.marks.items():
            fixed, free = set(gids).difference(self.free[index]), self.free[index]
            terms = self._without(terms, fixed)
            if free:
                rest = total([self.counts[index], constant(-len(fixed))])
                terms = table.replaced(
                    terms, free[0], total([rest, {(gid,): -1 for gid in free[1:]}])
                )
        return terms
