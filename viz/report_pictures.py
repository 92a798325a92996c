"""The pictures of a report: both views at both levels for every length, packed small."""

from __future__ import annotations

import base64
import itertools
import json
import warnings
import zlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, get_args

from graphgrad.adjoint import GradientWarning
from graphgrad.circuit import Circuit
from viz.backward import backward as viz_backward
from viz.drawing import Drawing
from viz.label import symbol
from viz.report_svg import PAGE, page_svg
from viz.structure import Level, structure
from viz.views import circuit as viz_circuit
from viz.views import unfolded as viz_unfolded

LEVELS: tuple[Level, ...] = get_args(Level)
TIERS = ((6, 2, 2), (6, 2, 1), (4, 2, 1), (4, 2, 0), (6, 1, 1), (3, 1, 0), (0, 1, 0))
"""Offers, the richest first: the greatest length, how many levels, how many with gradients."""


@dataclass(frozen=True)
class Choice:
    """A control for the length of one time index: its name, its length's name, what to choose."""

    index: str
    length: str
    steps: tuple[int, ...]
    start: int

    @property
    def label(self) -> str:
        """The length's name as it is printed: τ."""
        return symbol(self.length).text


@dataclass(frozen=True)
class Plan:
    """What the page lets its reader choose: lengths, levels, and levels of the backward view."""

    choices: tuple[Choice, ...]
    levels: tuple[Level, ...]
    backward: tuple[Level, ...]

    def lengths(self) -> Iterator[dict[str, int]]:
        """Yield every combination of lengths."""
        for steps in itertools.product(*(choice.steps for choice in self.choices)):
            names = (choice.index for choice in self.choices)
            yield dict(zip(names, steps, strict=True))

    @property
    def start(self) -> dict[str, int]:
        """The lengths that the page opens with."""
        return {choice.index: choice.start for choice in self.choices}


def plans(
    circuit: Circuit, tau: Mapping[str, int], most: Mapping[str, int], *, backward: bool
) -> Iterator[Plan]:
    """Yield what could be offered, the richest first; the last one is small for any circuit.

    `tau` are the lengths to open with, `most` lengths that the data do not exceed; `backward` says
    whether there is a gradient to draw.
    """
    indices = circuit.check().indices
    used = {item.index for item in structure(circuit).items.values()}
    for longest, levels, back in TIERS:
        choices = []
        for name, start in tau.items():
            last = min(longest, 4 if len(indices) > 1 else longest, most.get(name, longest))
            steps = set(range(1, last + 1)) if name in used else set()
            choices.append(
                Choice(name, indices[name].length, tuple(sorted(steps | {start})), start)
            )
        yield Plan(tuple(choices), LEVELS[:levels], LEVELS[: back if backward else 0])


def key(lengths: Mapping[str, int]) -> str:
    """Return the key of a combination of lengths: its numbers, in the order of the controls."""
    return ",".join(map(str, lengths.values()))


class Pictures:
    """The pictures of a circuit as SVG, each drawn once, whatever plans ask for it."""

    def __init__(self, circuit: Circuit, loss: str) -> None:
        self.circuit = circuit
        self.loss = loss
        self._drawn: dict[str, str] = {}

    def of(self, plan: Plan) -> dict[str, str]:
        """Return the pictures of a plan by view, level and key of the lengths.

        The views are "circuit" (without key), "forward" and "backward".
        """
        wanted: list[tuple[str, Level, Mapping[str, int]]] = []
        for level in plan.levels:
            wanted.append(("circuit", level, {}))
            wanted += [("forward", level, lengths) for lengths in plan.lengths()]
        for level in plan.backward:
            wanted += [("backward", level, lengths) for lengths in plan.lengths()]
        return {
            f"{view}:{level}:{key(lengths)}": self._picture(view, level, lengths)
            for view, level, lengths in wanted
        }

    def _picture(self, view: str, level: Level, lengths: Mapping[str, int]) -> str:
        name = f"{view}:{level}:{key(lengths)}"
        if name not in self._drawn:
            self._drawn[name] = page_svg(self._draw(view, level, lengths))
        return self._drawn[name]

    def _draw(self, view: str, level: Level, lengths: Mapping[str, int]) -> Drawing:
        if view == "circuit":
            return viz_circuit(self.circuit, level=level, style=PAGE)
        if view == "forward":
            return viz_unfolded(self.circuit, lengths, level=level, style=PAGE)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", GradientWarning)  # the page has said it once
            return viz_backward(self.circuit, lengths, loss=self.loss, level=level, style=PAGE)


def packed(data: Mapping[str, Any]) -> str:
    """Return data as compressed JSON in letters, which the page unpacks with its own means."""
    text = json.dumps(data, ensure_ascii=False, separators=(",", ":"), allow_nan=False)
    return base64.b64encode(zlib.compress(text.encode(), 9)).decode("ascii")
