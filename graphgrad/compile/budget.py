"""How a sequence is cut: how long pieces are and how many states are kept, within a budget."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from graphgrad.compile.memory import Need
from graphgrad.compile.revolve import forward_pieces
from graphgrad.dims import is_whole
from graphgrad.errors import GraphgradError

OBJECT = 512
"""Bytes of a kept value beside its numbers: an array, its place in a dict, and that."""


@dataclass(frozen=True)
class Plan:
    """How a sequence is cut: pieces of `every` steps, `snapshots` states kept at a time.

    `predicted` is the memory in bytes beyond the data: states, one piece, the gradients so far.
    `measured` is the peak that tracemalloc saw during the call, None where it does not trace.
    `again` is how many steps are computed once more, each time counted, for each of the sequence.
    """

    every: int
    snapshots: int
    predicted: int
    again: float
    measured: int | None = None


def checked(checkpoint: Any) -> int | dict[str, int]:
    """Return a budget or a schedule; GraphgradError for anything else."""
    if is_whole(checkpoint) and checkpoint > 0:
        return int(checkpoint)
    if isinstance(checkpoint, Mapping):
        given = dict(checkpoint)
        whole = all(is_whole(n) and n >= 0 for n in given.values())
        if given.keys() <= {"every", "snapshots"} and whole and given.get("every", 0) > 0:
            return {name: int(n) for name, n in given.items()}
    raise GraphgradError(
        f"checkpoint={checkpoint!r} is no budget and no schedule",
        remedy='give a number of bytes, or {"every": 1000, "snapshots": 10} in steps and states',
    )


def planned(
    checkpoint: int | Mapping[str, int], steps: int, least: int, need: Need, state: int
) -> Plan:
    """Return the plan for a sequence: the one asked for, or the best within a budget.

    A piece has `least` steps or more; `state` is the size of a kept state in bytes.
    """
    if isinstance(checkpoint, Mapping):
        every = min(max(checkpoint["every"], least), steps)
        pieces = -(-steps // every)
        snapshots = min(checkpoint.get("snapshots", pieces - 1), pieces - 1)
        return _plan(steps, every, snapshots, need, state)
    plans = _plans(steps, least, checkpoint, need, state)
    if not plans:
        raise GraphgradError(
            f"a budget of {checkpoint} bytes is too small",
            remedy=f"give {need.of(least) + 2 * state} bytes or more, or smaller batches",
        )
    return min(plans, key=lambda plan: plan.again)


def _plans(steps: int, least: int, budget: int, need: Need, state: int) -> list[Plan]:
    """Return plans within a budget, for pieces of many lengths."""
    plans: list[Plan] = []
    every = steps
    while every >= min(least, steps):
        pieces = -(-steps // every)
        room = budget - need.of(every)
        snapshots = min(pieces - 1, room // max(state, 1) - 2)
        if snapshots >= 0:
            plans.append(_plan(steps, every, snapshots, need, state))
            if plans[-1].again < 1:  # every state is kept; shorter pieces gain nothing
                break
        every = min(every - 1, every * 7 // 8)
    return plans


def _plan(steps: int, every: int, snapshots: int, need: Need, state: int) -> Plan:
    pieces = -(-steps // every)
    ahead = forward_pieces(pieces, snapshots) if pieces > 1 else 0
    memory = need.of(every) + (snapshots + 2) * state
    return Plan(every, snapshots, memory, ahead / pieces)
