"""The corpus: thousands of wrong backward passes, in parts that are the same for the same seed."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial

from tests.faults.claims import adjoint_faults
from tests.faults.composed import composed
from tests.faults.drivers import driven
from tests.faults.fault import Fault
from tests.faults.passes import pass_faults, written
from tests.faults.rules import rule_faults
from tests.faults.subjects import gallery, generated

GALLERY, GENERATED, CIRCUITS = 60, 40, 72
"""How many faults of a circuit of the gallery and of a generated one at most; how many of these."""
PASSES, COMPOSED, COMPOSITIONS = 24, 24, 110
"""How many faults of a hand-written pass and of a composed one at most; how many of these."""


@dataclass(frozen=True)
class Part:
    """The faults of one source: `adjoint/elman`, `passes/one_letter`, `rules`."""

    name: str
    make: Callable[[], Iterator[Fault]]
    limit: int | None = None

    def faults(self) -> Iterator[Fault]:
        """Yield the faults of the part, in their fixed order."""
        return itertools.islice(self.make(), self.limit)


def parts(seed: int = 0) -> list[Part]:
    """Return the parts of the corpus of a seed."""
    found = [Part(f"drivers/{each.name}", partial(pass_faults, each, seed)) for each in driven()]
    found += [
        Part(f"adjoint/{each.name}", partial(adjoint_faults, each, seed), GALLERY)
        for each in gallery()
    ]
    for number in range(CIRCUITS):
        name = f"generated-{seed * CIRCUITS + number}"
        found.append(Part(f"adjoint/{name}", partial(_generated, name, seed), GENERATED))
    found.append(Part("rules", partial(rule_faults, seed)))
    found += [
        Part(f"passes/{each.name}", partial(pass_faults, each, seed), PASSES) for each in written()
    ]
    for number in range(seed * COMPOSITIONS, (seed + 1) * COMPOSITIONS):
        found.append(Part(f"passes/composed-{number}", partial(_composed, number, seed), COMPOSED))
    return found


def _generated(name: str, seed: int) -> Iterator[Fault]:
    return adjoint_faults(generated(int(name.partition("-")[2])), seed)


def _composed(number: int, seed: int) -> Iterator[Fault]:
    return pass_faults(composed(number), seed)


def slice_of(part: Part, count: int) -> list[Fault]:
    """Return the first faults of a part."""
    return list(itertools.islice(part.faults(), count))
