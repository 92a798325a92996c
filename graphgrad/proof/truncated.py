"""Truncated gradients against their definition: the masked sum over loss steps and use steps.

A truncation keeps some pairs (s, t) of a gradient's contributions G[s, t]. Here each loss step s
gets a forward pass of its own in which derivatives start from a parameter only at steps t that are
kept with s, and reach the loss only out of step s: that is Σ G[s, t] over the t kept with s, by the
definition in `contributions.py`, and owes nothing to the copies of cotangents by which the
truncated adjoint computes the sum over all s in one sweep. The two sides are compared at a random
point modulo a random prime, with the bound of `probabilistic.py`: the sum over s is a sum of as
many terms as there are steps, which the bound counts in.
"""

from __future__ import annotations

from collections.abc import Iterable
from functools import partial
from typing import Any

from graphgrad.proof.certificate import BackwardPass, Instance
from graphgrad.proof.clock import Clock
from graphgrad.proof.enclosure import Part
from graphgrad.proof.poly import UndecidableError
from graphgrad.proof.probabilistic import Outcome, Point, probed
from graphgrad.unfold import STATIC, Dag

OUTSIDE_TIME = int(STATIC)
METHOD_TEXT = (
    "the masked sum over loss steps and use steps, at a random point modulo a random 127-bit prime"
)


def truncation_probed(passes: BackwardPass, masked: Masked, clock: Clock) -> Outcome:
    """Return which truncated gradients agree with the masked sum at a random point."""
    return probed(passes, clock, agree=masked.agrees, runs=len(masked.steps) + 2)


class Masked:
    """Where derivatives may flow so that they belong to one loss step."""

    def __init__(self, passes: BackwardPass, truncation: Any) -> None:
        dag = passes.dag
        self.dag = dag
        self.times: list[int] = dag.times.tolist()
        self.mask = truncation.mask(dag.tau)
        self.one_number = truncation.limit is None
        self.steps: list[tuple[str, int]] = [
            (index, step) for index, length in dag.tau.items() for step in range(1, length + 1)
        ]
        self.place = {each: k for k, each in enumerate(self.steps)}
        self.roots = _roots(passes)
        users = _users(dag, passes)
        self.index = _owners(dag, users, self.roots)
        self.body = self._bodies(users)
        self.still = self._still()
        self.final = self._final(users, passes)

    def agrees(self, point: Point, names: Iterable[str]) -> bool:
        """Whether the claimed gradient is the masked sum, in a random direction."""
        direction = point.direct(names)
        total = sum(part.factor * point.run(part.goes) for part in self.parts())
        return (point.along(direction) - total) % point.prime == 0

    def parts(self) -> list[Part]:
        """Return the masked sum as parts of the derivative: what belongs to no step, and to each.

        A derivative that enters no equation with an index is in the part of every step.
        """
        straight = partial(self._straight, bodies=True)
        static = partial(self._straight, bodies=False)
        steps = [
            Part(1, partial(self._goes, place, kept), partial(self._counts, kept))
            for place, kept in enumerate(self.mask)
        ]
        return [Part(1, straight), Part(-len(steps), static), *steps]

    def _counts(self, kept: Any, instance: Instance) -> bool:
        """Whether losses that are kept with some steps count in the cotangent of an instance.

        With chunks they do if they are kept with its step. A window keeps a loss for the uses of an
        instance in some later steps and not in others, so that its cotangent is not one number.
        """
        name, step = instance
        place = self.place.get((self.dag.system.index_of(name) or "", step or 0))
        return self.one_number and place is not None and bool(kept[place])

    def _straight(self, arg: int, user: int, *, bodies: bool) -> bool:
        """Whether a derivative that enters no equation with an index goes along an edge."""
        if self.times[user] == OUTSIDE_TIME:
            return arg not in self.roots
        return bool(bodies and self.body[user] and arg not in self.roots)

    def _goes(self, place: int, allowed: Any, arg: int, user: int) -> bool:
        """Whether a derivative of one loss step goes along an edge."""
        times = self.times
        leaves = times[user] == OUTSIDE_TIME or self.body[user]
        if arg in self.roots:
            return not leaves or not self.final[user] or self.place[self.roots[arg]] == place
        if leaves:
            return times[user] == OUTSIDE_TIME or times[arg] != OUTSIDE_TIME
        if times[arg] == OUTSIDE_TIME and self.still[arg]:
            owner = self.index[user]
            if owner is None:
                raise UndecidableError("it is not clear to which step a use belongs")
            return bool(allowed[self.place[owner]])
        return True

    def _bodies(self, users: list[list[int]]) -> bytearray:
        """Return which nodes with a step belong to no equation with an index: bodies of sums."""
        times = self.times
        found = bytearray(len(self.dag))
        for node in range(len(self.dag) - 1, -1, -1):
            if times[node] != OUTSIDE_TIME and node not in self.roots and users[node]:
                found[node] = all(
                    times[user] == OUTSIDE_TIME or found[user] for user in users[node]
                )
        return found

    def _still(self) -> bytearray:
        """Return which static nodes depend on nothing with a step."""
        dag = self.dag
        found = bytearray(len(dag))
        starts, args = dag.starts.tolist(), dag.args.tolist()
        for node in range(len(dag)):
            operands = args[starts[node] : starts[node + 1]]
            found[node] = self.times[node] == OUTSIDE_TIME and all(found[arg] for arg in operands)
        return found

    def _final(self, users: list[list[int]], passes: BackwardPass) -> bytearray:
        """Return which static nodes and bodies lead to the loss without entering an equation.

        Raises UndecidableError where a node does both.
        """
        dag, times = self.dag, self.times
        found, other = bytearray(len(dag)), bytearray(len(dag))
        losses = {n for (name, _), n in passes.values.items() if name == passes.loss}
        for node in range(len(dag) - 1, -1, -1):
            if times[node] != OUTSIDE_TIME and not self.body[node]:
                continue
            found[node] = node in losses
            for user in users[node]:
                if times[user] == OUTSIDE_TIME or self.body[user]:
                    found[node] |= found[user]
                    other[node] |= other[user]
                else:
                    other[node] = 1
            if found[node] and other[node] and not self.still[node]:
                raise UndecidableError(
                    "a value of the whole sequence is read by the loss and by steps before it"
                )
        return found


def _roots(passes: BackwardPass) -> dict[int, tuple[str, int]]:
    """Return the nodes of variables with an index, inside 1..τ."""
    dag, found = passes.dag, dict[int, tuple[str, int]]()
    for (name, step), node in passes.values.items():
        index = dag.system.index_of(name)
        if index is not None and step is not None and 1 <= step <= dag.tau[index]:
            found[node] = index, step
    return found


def _users(dag: Dag, passes: BackwardPass) -> list[list[int]]:
    """Return the users of each node in the forward pass."""
    needed = bytearray(len(dag))
    for node in passes.values.values():
        needed[node] = 1
    starts, args = dag.starts.tolist(), dag.args.tolist()
    users: list[list[int]] = [[] for _ in range(len(dag))]
    for node in range(len(dag) - 1, -1, -1):
        if needed[node]:
            for arg in args[starts[node] : starts[node + 1]]:
                needed[arg] = 1
                users[arg].append(node)
    return users


def _owners(
    dag: Dag, users: list[list[int]], roots: dict[int, tuple[str, int]]
) -> list[tuple[str, int] | None]:
    """Return the step of the equation that each node with a step belongs to."""
    found: list[tuple[str, int] | None] = [None] * len(dag)
    for node in range(len(dag) - 1, -1, -1):
        if dag.times[node] == OUTSIDE_TIME:
            continue
        if node in roots:
            found[node] = roots[node]
        else:
            found[node] = next((found[user] for user in users[node] if found[user]), None)
    return found
