"""Which states to keep and which to compute again, so that a sequence is reversed in little memory.

Binomial checkpointing: Griewank and Walther, Algorithm 799: Revolve (ACM TOMS 26, 2000); for
recurrent networks: Gruslys et al., Memory-efficient backpropagation through time (2016).
"""

from __future__ import annotations

from collections.abc import Iterator
from math import comb
from typing import NamedTuple


class Action(NamedTuple):
    """One step of a schedule over pieces 0..n-1.

    `advance`: from the state before piece `start`, which is kept, compute the state before `stop`;
    that is kept from then on. `reverse`: go back over piece `start`, from the state before it.
    `drop`: forget the state before piece `start`.
    """

    kind: str
    start: int
    stop: int


def reach(snapshots: int, sweeps: int) -> int:
    """Return how many pieces can be reversed if none is computed forwards more than `sweeps` times.

    >>> [reach(1, r) for r in range(5)]
    [1, 3, 6, 10, 15]
    """
    return comb(snapshots + 1 + sweeps, snapshots + 1) if sweeps >= 0 else 0


def split(pieces: int, snapshots: int) -> int:
    """Return after how many pieces to keep the next state, so that the fewest are repeated."""
    sweeps = 0
    while reach(snapshots, sweeps) < pieces:
        sweeps += 1
    low = max(1, pieces - reach(snapshots - 1, sweeps), reach(snapshots, sweeps - 2))
    return min(low, reach(snapshots, sweeps - 1), pieces - 1)


def revolve(pieces: int, snapshots: int) -> Iterator[Action]:
    """Yield a schedule that goes back over all pieces, with `snapshots` states kept at a time.

    The state before piece 0 is given and not counted; nor is the one from which a piece is gone
    back over.

    >>> [f"{a.kind} {a.start}" for a in revolve(3, 1)]
    ['advance 0', 'advance 1', 'reverse 2', 'drop 2', 'reverse 1', 'drop 1', 'reverse 0']
    """
    pending: list[tuple[int, int, int] | Action] = [(0, pieces, snapshots)]
    while pending:
        task = pending.pop()
        if isinstance(task, Action):
            yield task
            continue
        start, stop, free = task
        if stop - start == 1:
            yield Action("reverse", start, stop)
        elif not free:
            for piece in range(stop - 1, start, -1):
                yield Action("advance", start, piece)
                yield Action("reverse", piece, piece + 1)
                yield Action("drop", piece, piece)
            yield Action("reverse", start, start + 1)
        else:
            middle = start + split(stop - start, free)
            yield Action("advance", start, middle)
            pending += [
                (start, middle, free),
                Action("drop", middle, middle),
                (middle, stop, free - 1),
            ]


def forward_pieces(pieces: int, snapshots: int) -> int:
    """Return how many pieces a schedule computes forwards, those not gone back over at once."""
    return sum(a.stop - a.start for a in revolve(pieces, snapshots) if a.kind == "advance")
