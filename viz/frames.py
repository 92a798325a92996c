"""The frames of groups, and their titles where there is room."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence

from viz.engine import DrawingError
from viz.font import text_width
from viz.grid import Grid, Plan
from viz.label import typeset
from viz.picture import Frame, PlacedLabel, boxes_meet
from viz.room import Room
from viz.routing import Box
from viz.scene import CircuitScene, Group, Node, Scene

PAD = 7.0
TITLE = 0.8
"""Size of a title, in ems of the picture's font."""
ALONG = (0.0, 1.0, 0.5, *(i / 16 for i in range(1, 16) if i != 8))
"""Where along a frame its title may stand, the best first."""


def frames_of(scene: Scene, plan: Plan, grid: Grid) -> list[Frame]:
    """Return the frame of each group in every column.

    A group that contains another has the wider frame. `DrawingError` if other nodes stand between
    those of a group.
    """
    return [
        Frame(name, group, box)
        for group in scene.groups
        for name, box in _boxes(scene, plan, grid, group)
    ]


def titles_of(frames: Sequence[Frame], plan: Plan, room: Room) -> Iterator[PlacedLabel]:
    """Yield the titles of frames, each in a corner where nothing else is."""
    for frame in frames:
        title = _title(frame, plan, room)
        room.add(title.box)
        yield title


def room_of_frames(scene: Scene, plan: Plan) -> dict[int, float]:
    """Return the heights that the frames need in the channels (number k is below layer k)."""
    over: defaultdict[int, float] = defaultdict(float)
    under: defaultdict[int, float] = defaultdict(float)
    rows = {node.id: node.row or node.id for node in scene.nodes}
    for group in scene.groups:
        pad, top = _margins(group, scene, plan)
        levels = [
            plan.layers[row]
            for name, (_, row) in plan.cells.items()
            if _key(scene, rows, name) in group.members
        ]
        if levels:
            over[max(levels) + 1] = max(over[max(levels) + 1], pad + top)
            under[min(levels)] = max(under[min(levels)], pad)
    return {level: over[level] + under[level] + PAD for level in (*over, *under)}


def _margins(group: Group, scene: Scene, plan: Plan) -> tuple[float, float]:
    """How far a frame is from its nodes, and how much more above them, for the title."""
    depth = _depth(group, scene.groups)
    return PAD * (1 + 0.8 * depth), TITLE * plan.style.font_size * (1 + depth)


def _key(scene: Scene, rows: Mapping[str, str], name: str) -> str:
    """What stands for a node among the members of a group."""
    return name if isinstance(scene, CircuitScene) else rows[name]


def _boxes(scene: Scene, plan: Plan, grid: Grid, group: Group) -> Iterator[tuple[str, Box]]:
    """The frame of a group in every column of a step."""
    pad, top = _margins(group, scene, plan)
    inside: defaultdict[int, list[str]] = defaultdict(list)
    others: defaultdict[int, list[str]] = defaultdict(list)
    rows = {node.id: node.row or node.id for node in scene.nodes}
    known = {node.id: node for node in scene.nodes}
    for name, (column, _) in plan.cells.items():
        (inside if _key(scene, rows, name) in group.members else others)[column].append(name)
    for column, names in inside.items():
        if plan.columns[column].template[1] != "main":
            continue
        boxes = [grid.box(plan.cells[name]) for name in names]
        box = (
            min(b[0] for b in boxes) - pad,
            min(b[1] for b in boxes) - pad,
            max(b[2] for b in boxes) + pad,
            max(b[3] for b in boxes) + pad + top,
        )
        for name in others[column]:
            if known[name].kind in ("parameter", "constant"):
                continue  # it is no news that those inside read it
            if boxes_meet(grid.box(plan.cells[name]), box):
                raise _stands_between(known[name], group)
        yield (f"{group.id}.{column}" if len(plan.columns) > 1 else group.id), box


def _stands_between(node: Node, group: Group) -> DrawingError:
    """Why a group has no frame: a node that is not in it, by the name that can be added to it."""
    owner = str(dict(node.data).get("name", "")).split("/")[0]
    operation = node.kind == "operation"
    what = f"an operation ({node.label.text}) of {owner}" if operation else node.label.text
    level = ', or draw the variables only (level="variables")' if operation else ""
    return DrawingError(
        f"{what} stands between the members of the group {group.title.text!r}, "
        "so no frame holds these and nothing else",
        remedy=f"add {owner!r} to the group, or leave out the members beyond it{level}",
    )


def _depth(group: Group, groups: Sequence[Group]) -> int:
    """How many groups are nested in a group, one in the other."""
    depth = {g.id: 0 for g in groups}
    for outer in sorted(groups, key=lambda g: len(g.members)):
        inner = [depth[g.id] + 1 for g in groups if g.members < outer.members]
        depth[outer.id] = max(inner, default=0)
    return depth[group.id]


def _title(frame: Frame, plan: Plan, room: Room) -> PlacedLabel:
    """The title in a corner of its frame if possible, where nothing else is, or beside it."""
    text = typeset(frame.group.title, TITLE * plan.style.font_size, text_width)
    left, bottom, right, top = frame.box
    aside, over = text.width / 2 + 5, 0.6 * text.size
    places = [
        (x, y)
        for y in (top - over, bottom - over - 3, top + over + 3, bottom + over)
        for x in (left + aside + share * (right - left - 2 * aside) for share in ALONG)
    ]
    places += [(x, y) for y in (top - over, bottom + over) for x in (left - aside, right + aside)]
    labels = (PlacedLabel(frame.id, text, x, y) for x, y in places)
    return min(labels, key=lambda label: room.trouble(label.box))
