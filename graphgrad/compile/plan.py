"""From a system to its schedule: the passes, one after the other."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from graphgrad.compile.gather import gathered
from graphgrad.compile.join import joined
from graphgrad.compile.lower import lower
from graphgrad.compile.order import blocks_of, pruned
from graphgrad.compile.prelude import with_preludes
from graphgrad.compile.rewrite import reordered
from graphgrad.compile.schedule import Schedule
from graphgrad.compile.storage import stored
from graphgrad.system import System


def schedule_of(
    system: System,
    outputs: Sequence[str],
    summed: Iterable[str],
    batched: Iterable[str],
    *,
    spread: Iterable[str] = (),
) -> Schedule:
    """Return the schedule that computes the outputs.

    `batched` names the inputs with a batch axis; the outputs in `summed` are summed over it, those
    in `spread` have it also where all examples have the same value. Products that share an operand
    become one product, and so does what is done to their values.
    """
    draft = reordered(pruned(lower(system, outputs, summed, batched, spread)))
    draft = joined(gathered(draft))
    return stored(draft, with_preludes(draft, blocks_of(draft)))
