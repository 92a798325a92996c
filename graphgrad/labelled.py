"""The reverse sweep whose cotangents say by which steps they came: at once for all pairs (s, t).

A cotangent has one axis in front, along which its parts are labelled s · base + t: s is the step of
the first equation with an index on the way from the loss, t the last step passed, 0 stands for none
yet. At a node that belongs to a step all t are that step, so its parts are as many as the loss
steps that reach it; only static nodes after a step have more.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from typing import Any, NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray

from graphgrad.autodiff import Flow, Plan, scalar_root, targets_of
from graphgrad.dims import Token, concrete
from graphgrad.errors import DataError
from graphgrad.evaluate import Prepared, bound_attribute, kernel_of, run
from graphgrad.lifting import lifted
from graphgrad.unfold import STATIC, Dag, Template

Labels = NDArray[np.int64]
MAX_BYTES = 2 * 2**30


def check_size(size: int, what: str, remedy: str) -> None:
    """Raise DataError where arrays of so many bytes would not be sensible."""
    if size > MAX_BYTES:
        raise DataError(
            f"{what} would take {size:,} bytes, more than {MAX_BYTES:,}",
            remedy=f"{remedy}, or use fewer steps",
        )


class Sink(Protocol):
    """Takes what uses contribute to one gradient.

    `s` and `t` are steps from 1, `at` the step of an indexed input (0 for anything else), `user`
    the step of the node that uses it (0 for a static one).
    """

    def add(self, s: Labels, t: Labels, at: int, data: Any, user: int) -> None:
        """Add `data[k]` to the contribution of (s[k], t[k]); no pair occurs twice."""

    def result(self) -> Any:
        """Return everything that was added."""


def merged(parts: list[tuple[Labels, Any]]) -> tuple[Labels, Any]:
    """Return the sum of labelled arrays: each label once, in increasing order."""
    if len(parts) == 1:
        labels = parts[0][0]
        if len(labels) == 1 or (labels[1:] > labels[:-1]).all():
            return parts[0]
    labels = np.concatenate([part[0] for part in parts])
    data = np.concatenate([part[1] for part in parts])
    order = np.argsort(labels, kind="stable")
    labels, data = labels[order], data[order]
    starts = np.flatnonzero(np.diff(labels, prepend=-1))
    if len(starts) < len(labels):
        data = np.add.reduceat(data, starts, axis=0)
    return labels[starts], data


class Applied(NamedTuple):
    """A plan with its functions: `steps` are name, detail, kernel and inputs."""

    constants: list[Any]
    steps: list[tuple[str, Any, Callable[..., Any], tuple[int, ...]]]


class LabelledSweep:
    """One reverse sweep whose cotangents have an axis for the pairs (s, t) they belong to.

    Steps are counted through all time indices, from 1; a label is s · base + t, where 0 stands for
    none yet. Without `by_loss` no s is noted.
    """

    def __init__(
        self, dag: Dag, loss: str, wrt: Iterable[str] | str | None, *, by_loss: bool = True
    ) -> None:
        self.dag = dag
        self.by_loss = by_loss
        self.root = scalar_root(dag, loss)
        self.targets = targets_of(dag, wrt)
        self.steps = sum(dag.tau.values())
        self.base = self.steps + 1
        self.own = self._own_steps()
        self.instance = np.zeros(len(dag), bool)
        for name, series in dag.series.items():
            if series.index is not None and name not in dag.system.inputs:
                self.instance[series.nodes] = True
        self.target_of: dict[int, tuple[str, int]] = {}
        for name, nodes in self.targets.items():
            for position, node in enumerate(nodes.tolist()):
                self.target_of[node] = name, position + 1 if self.indexed(name) else 0
        self.work: list[tuple[int, list[int], Plan]] = []
        self.needed: set[int] = set()
        self.uses: dict[str, Counter[tuple[int, int]]] = {name: Counter() for name in self.targets}
        self._plan()

    def indexed(self, name: str) -> bool:
        """Whether a target is an input with a value at each step."""
        return name in self.dag.system.inputs and self.dag.series[name].index is not None

    def shape(self, name: str, values: Prepared) -> tuple[int, ...]:
        """Return the shape of a target's value, of all its steps if it is an indexed input."""
        kind = self.dag.system.type_of(name)
        assert not isinstance(kind, Token)
        own = concrete(kind, values.sizes)
        return (len(self.targets[name]), *own) if self.indexed(name) else own

    def _own_steps(self) -> list[int]:
        """Return the step of each node, counted through all indices; 0 for static nodes."""
        dag = self.dag
        start: dict[str | None, int] = {}
        total = 0
        for index, length in dag.tau.items():
            start[index], total = total, total + length
        offset = np.array([start.get(space, 0) for space in dag.spaces], np.int64)
        found: list[int] = np.where(dag.times == STATIC, 0, dag.times + offset[dag.kinds]).tolist()
        return found

    def _plan(self) -> None:
        """Find out which nodes a cotangent passes, by which plans, and whose values those need."""
        flow = Flow(self.dag)
        nodes = [node for each in self.targets.values() for node in each.tolist()]
        active = flow.active(self.root, flow.reached(nodes, []))
        for node in range(self.root, -1, -1):
            operands = flow.operands(node) if active[node] else []
            if not operands:
                continue
            plan = flow.plan(node, operands, active)
            self.work.append((node, operands, plan))
            held = [node, *operands]
            for _, inputs in plan.steps:
                self.needed.update(held[k - 1] for k in inputs if 0 < k <= len(held))
            for operand, result in zip(operands, plan.results, strict=False):
                if result is not None and operand in self.target_of:
                    name, at = self.target_of[operand]
                    user = self.own[node]
                    self.uses[name][(user, at) if user else (0, 0)] += 1

    def run(self, values: Prepared, sinks: Mapping[str, Sink]) -> None:
        """Evaluate the graph for one example, sweep back, and hand in what each use adds."""
        known = run(self.dag, values, {node: node for node in self.needed})
        applied: dict[int, Applied] = {}
        seed = np.zeros(1, np.int64), values.algebra.filled((1,), 1)
        pending: dict[int, list[tuple[Labels, Any]]] = {self.root: [seed]}
        waiting = seed[1].nbytes
        with np.errstate(all="ignore"):
            for node, operands, plan in self.work:
                if node not in pending:
                    continue
                parts = pending.pop(node)
                waiting -= sum(part.nbytes for _, part in parts)
                labels, cotangent = self._entered(node, parts)
                if id(plan) not in applied:
                    applied[id(plan)] = self._applied(plan, values)
                constants, steps = applied[id(plan)]
                held = [cotangent, *(known.get(each) for each in (node, *operands)), *constants]
                many = [True] + [False] * (len(held) - 1)
                for name, detail, kernel, inputs in steps:
                    own = values.algebra.met(name, [held[k] for k in inputs])
                    flags = [many[k] for k in inputs]
                    many.append(any(flags))
                    result = (
                        lifted(name, detail, kernel, own, flags) if any(flags) else kernel(0, *own)
                    )
                    held.append(result)
                for operand, position in zip(operands, plan.results, strict=False):
                    if position is None or not many[position]:
                        continue
                    if operand in self.target_of:
                        self._deliver(self.target_of[operand], node, labels, held[position], sinks)
                    else:
                        pending.setdefault(operand, []).append((labels, held[position]))
                        waiting += held[position].nbytes
                check_size(waiting, "what static values contribute", "leave them out of wrt=[…]")

    def _applied(self, plan: Plan, values: Prepared) -> Applied:
        dag, sizes = self.dag, values.sizes

        def kernel(template: Template) -> Callable[..., Any]:
            return kernel_of(dag, template, values.arrays, sizes, values.algebra)

        def detail(template: Template) -> Any:
            if template.op.name == "expand":
                return concrete(template.attr, sizes)
            return bound_attribute(template, sizes)

        return Applied(
            [kernel(template)(0) for template in plan.static],
            [(each.op.name, detail(each), kernel(each), inputs) for each, inputs in plan.steps],
        )

    def _entered(self, node: int, parts: list[tuple[Labels, Any]]) -> tuple[Labels, Any]:
        """Return the cotangent of a node with the labels it has there."""
        own = self.own[node]
        if own:
            parts = [(self._relabelled(labels, own, node), data) for labels, data in parts]
        return merged(parts)

    def _relabelled(self, labels: Labels, own: int, node: int) -> Labels:
        s = labels // self.base
        if self.by_loss and self.instance[node]:
            s = np.where(s == 0, own, s)
        return s * self.base + own

    def _deliver(
        self,
        target: tuple[str, int],
        user: int,
        labels: Labels,
        data: Any,
        sinks: Mapping[str, Sink],
    ) -> None:
        """Hand in what one use adds; what has passed no step is counted on the diagonal."""
        name, at = target
        s, t = np.divmod(labels, self.base)
        if not t.all():
            t = np.where(t == 0, self._last(name, at), t)
        if self.by_loss and not s.all():
            s = np.where(s == 0, t, s)
        labels, data = merged([(s * self.base + t, data)])
        s, t = np.divmod(labels, self.base)
        sinks[name].add(s, t, at, data, self.own[user])

    def _last(self, name: str, at: int) -> int:
        """Return the step of a use outside all steps: that of an input's value, else the last."""
        return self.own[self.targets[name][at - 1]] if at else self.steps
