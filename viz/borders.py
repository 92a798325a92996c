"""On which border a line from another column enters: from above or below, where it crosses less."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping

from viz.grid import Across, Grid, Plan, Role, base_row
from viz.scene import EdgeKind

Template = tuple[str, Role]
Stretch = tuple[float, float]
"""Where a line of a step enters a channel, and where it leaves it, as x in the step."""


def borders(plan: Plan, grid: Grid, ducted: Iterable[Across]) -> dict[str, int]:
    """Return, by the id of a ducted line, the border of its head that it enters.

    1 is the upper one, possible if the line comes from above and the head is not small; -1 the
    lower. Lines of one row to one layer enter alike in all columns.
    """
    least = 2.2 * plan.style.font_size
    lines = _stretches(plan, grid)
    groups: defaultdict[tuple[str, int, EdgeKind, int], list[Across]] = defaultdict(list)
    for item in ducted:
        key = base_row(item.tail[1]), item.side, item.kind, plan.layers[item.head[1]]
        groups[key].append(item)
    result: dict[str, int] = {}
    for (_, side, _, level), items in groups.items():
        above = all(
            plan.layers[item.tail[1]] > level and plan.sizes[item.head[1]].width >= least
            for item in items
        )
        if above:
            below_cost = above_cost = 0
            for template, reach in _reaches(plan, grid, items).items():
                below_cost += _crossed(lines[template, level], reach, side, items[0].distance)
                above_cost += _crossed(lines[template, level + 1], reach, side, items[0].distance)
            above = above_cost <= below_cost
        result.update((item.id, 1 if above else -1) for item in items)
    return result


def _stretches(plan: Plan, grid: Grid) -> Mapping[tuple[Template, int], list[Stretch]]:
    """The lines inside the steps by template and channel (the one below layer k has number k)."""
    found: defaultdict[tuple[Template, int], list[Stretch]] = defaultdict(list)
    for template, step in grid.steps.items():
        for link in step.lanes:
            for channel, stretch in step.stretches(link, plan.layers):
                found[template, channel].append(stretch)
    return found


def _reaches(plan: Plan, grid: Grid, items: Iterable[Across]) -> dict[Template, float]:
    """How far into the step of each template the heads stand, seen from where the lines enter."""
    found: dict[Template, float] = {}
    for item in items:
        template = plan.columns[item.head[0]].template
        x = grid.steps[template].x[item.head[1]]
        from_right = (item.side > 0) == (item.distance == 0)
        known = found.get(template, x)
        found[template] = min(known, x) if from_right else max(known, x)
    return found


def _crossed(stretches: Iterable[Stretch], reach: float, side: int, distance: int) -> int:
    """How many lines a level line crosses between its head and the side where it enters."""
    from_right = (side > 0) == (distance == 0)
    middles = ((a + b) / 2 for a, b in stretches)
    return sum(x > reach if from_right else x < reach for x in middles)
