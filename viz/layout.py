"""From a scene to a laid-out picture, in time linear in its size."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Mapping
from dataclasses import replace

import networkx as nx

from viz.checks import check
from viz.companions import Companions
from viz.font import text_width
from viz.frames import PAD as FRAME
from viz.frames import room_of_frames
from viz.grid import Grid, Plan, Role
from viz.label import Label, typeset
from viz.labelling import place_labels
from viz.layout_circuit import plan_circuit, turn_loops_outward
from viz.layout_unfolded import plan_unfolded
from viz.nets import FIRST_TRACK, Manner, Tracks, assign, manners
from viz.picture import Dot, Layout, PlacedEdge, PlacedLabel, PlacedNode
from viz.router import Router, arc_height
from viz.scene import CircuitScene, Scene, UnfoldedScene
from viz.sizing import sizes
from viz.static_places import PAD
from viz.statics import StaticZone
from viz.step import BESIDE, Link, Step, arrange
from viz.style import BOOK, Style

FEW = 8
"""How many lines of parameters in one step are drawn solid."""
SHORT = 1.0
"""A text as wide as this, in ems, has room beside a line in a lane of usual width."""
TALL = 3.4
"""How many times its usual height a channel may have for slanting lines."""


def lay_out(scene: Scene, style: Style = BOOK) -> Layout:
    """Give everything in a scene its place.

    The order of one step is found once, by Graphviz, and repeated for every column; equal scenes
    give equal layouts. `DrawingError` where the scene contradicts itself.
    """
    check(scene)
    whole = scene
    back = tuple(edge for edge in scene.edges if edge.beside)
    if back:
        scene = replace(scene, edges=tuple(edge for edge in scene.edges if not edge.beside))
        style = _roomier(style)
    if isinstance(scene, CircuitScene):
        plan = plan_circuit(scene, style)
    else:
        plan = plan_unfolded(scene, style)
    derivatives = {edge.beside: edge.label for edge in back if edge.label is not None}
    plan.accompanied = frozenset(edge.beside for edge in back)
    plan.framed = 2 * FRAME if scene.groups else 0.0
    if style.fan == "dotted" or (style.fan == "auto" and _many_parameters(plan)):
        style = style.dotted()
    grid = Grid(plan, _steps(plan))
    turn_loops_outward(plan, grid)
    count = len(plan.columns)
    grid.place([style.column_gap] * count, [TALL * style.layer_gap] * (grid.top + 2))
    chosen = manners(plan, grid)
    framed = room_of_frames(scene, plan)
    for _ in range(2):
        tracks = assign(plan, grid, chosen)
        grid.place(
            _gaps(plan, tracks, scene, derivatives, chosen),
            _channels(plan, grid, chosen, tracks, framed),
        )
        # Wider channels can bring a node into the way of a slanting line.
        kept = manners(plan, grid, before=chosen)
        if kept == chosen:
            break
        chosen = kept
    tracks = assign(plan, grid, chosen)
    router = Router(plan, grid, chosen, tracks)
    router.run()
    statics = StaticZone(plan, router)
    statics.run()
    known = {node.id: node for node in scene.nodes}
    placed = [
        PlacedNode(
            known[name],
            *grid.centre(cell),
            plan.sizes[cell[1]].width,
            plan.sizes[cell[1]].height,
            plan.sizes[cell[1]].shape,
            plan.texts[name],
        )
        for name, cell in plan.cells.items()
    ]
    if back:
        Companions(plan, router.ink, [*placed, *statics.nodes]).run(back)
    labels, frames = place_labels(whole, plan, grid, router, [*placed, *statics.nodes])
    return _framed(
        Layout(
            (*placed, *statics.nodes),
            tuple(router.ink.edges),
            tuple(router.ink.marks),
            tuple(router.ink.dots),
            tuple(labels),
            tuple(frames),
            0.0,
            0.0,
            style,
        )
    )


def _many_parameters(plan: Plan) -> bool:
    """Whether so many lines of parameters meet in a step that they would hide the others."""
    thin = Counter(tap.cell[0] for tap in plan.taps if tap.edge.kind == "parameter")
    return max(thin.values(), default=0) > FEW


def _roomier(style: Style) -> Style:
    """The style with room for a second line beside each."""
    return replace(
        style,
        track_gap=style.track_gap + 5,
        node_gap=style.node_gap + 6,
        column_gap=style.column_gap + 8,
    )


def _steps(plan: Plan) -> dict[tuple[str, Role], Step]:
    """One arrangement for every template that occurs."""
    rows: defaultdict[tuple[str, Role], dict[str, tuple[float, float]]] = defaultdict(dict)
    links: defaultdict[tuple[str, Role], dict[Link, None]] = defaultdict(dict)
    cells = [*plan.cells.values(), *plan.dots]
    for column, row in cells:
        half = plan.sizes[row].width / 2
        rows[plan.columns[column].template][row] = plan.reach.get(row, (half, half))
    for inner in plan.inner:
        links[plan.columns[inner.column].template][inner.link] = None
    for tap in plan.taps:
        links[plan.columns[tap.cell[0]].template][tap.link] = None
    wider = _wider(plan)
    first: set[str] = set()
    last: set[str] = set()
    entered: dict[str, int] = {}
    # Chains in both directions stand apart: each ends where it leaves, wherever it is entered.
    both = len({item.side for item in plan.across if item.distance}) == 2
    for item in plan.across:
        entered[item.head[1]] = -item.side if item.distance else item.side
        if not item.distance:
            entered.setdefault(item.tail[1], item.side)
        if item.tail[1] != item.head[1]:
            near, far = (last, first) if item.side > 0 else (first, last)
            near.add(item.tail[1])
            if not both:
                (far if item.distance else near).add(item.head[1])
    top = max(plan.layers.values(), default=0)
    labels = any(item.edge is not None and item.edge.label is not None for item in plan.across)
    gap = plan.style.node_gap * (1.5 if labels else 1.0)
    steps: dict[tuple[str, Role], Step] = {}
    for template in dict.fromkeys(column.template for column in plan.columns):
        left, right = first - last, last - first
        leaving = _leaving_margin(plan, template)
        if template[1] == "left":
            left, right = left - leaving, right | leaving
        elif template[1] == "right":
            left, right = left | leaving, right - leaving
        steps[template] = arrange(
            rows[template],
            plan.layers,
            list(links[template]),
            top=top,
            node_gap=gap,
            first=_one_per_layer(plan, rows[template], left),
            last=_one_per_layer(plan, rows[template], right),
            stacked=_one_per_layer(plan, rows[template], leaving),
            entered={row: side for row, side in entered.items() if row in rows[template]},
            wider=wider,
            unit=plan.style.font_size / 13.0,
        )
    return steps


def _leaving_margin(plan: Plan, template: tuple[str, Role]) -> set[str]:
    """The rows of a margin that steps read: they stand nearest to them, one above the other."""
    if template[1] not in ("left", "right"):
        return set()
    return {item.tail[1] for item in plan.across if plan.columns[item.tail[0]].template == template}


def _wider(plan: Plan) -> dict[Link, float]:
    """How much wider than for a line the lanes are: for two lines, and beside long texts."""
    em = plan.style.font_size
    found = dict.fromkeys(plan.doubled(), BESIDE * em / 13.0)
    for inner in plan.inner:
        if inner.edge.label is not None:
            width = typeset(inner.edge.label, em, text_width).width
            found[inner.link] = max(found.get(inner.link, 0.0), 2 * (width - SHORT * em))
    return found


def _one_per_layer(plan: Plan, rows: dict[str, tuple[float, float]], wanted: set[str]) -> set[str]:
    found: defaultdict[int, list[str]] = defaultdict(list)
    for row in rows:
        if row in wanted:
            found[plan.layers[row]].append(row)
    return {group[0] for group in found.values() if len(group) == 1}


def _gaps(
    plan: Plan,
    tracks: Tracks,
    scene: Scene,
    labels: Mapping[str, Label],
    chosen: Mapping[str, Manner],
) -> list[float]:
    """The width of the channel left of each column; `labels` are those beside level lines."""
    style = plan.style
    wanted: dict[int, Label] = {}
    for item in plan.across:
        label = item.edge.label if item.edge is not None else None
        if chosen[item.id] == "level" and item.id in labels:
            label = labels[item.id]
        if label is not None:
            wanted[item.tail[0] + (item.side > 0)] = label
    texts = {edge.label for edge in scene.edges if edge.label is not None} | {*wanted.values()}
    widest = max((typeset(t, style.font_size, text_width).width for t in texts), default=0.0)
    gaps = []
    for number, column in enumerate(plan.columns):
        nets = len(tracks.vertical.get(number, ()))
        gap = max(style.column_gap, 18 + (nets + 1) * style.track_gap)
        if number in wanted:
            gap = max(gap, widest + 14)
        apart = number and plan.columns[number - 1].template[0] != column.template[0]
        if apart:
            gap += style.column_gap
            if isinstance(scene, UnfoldedScene):
                sources = _static_room(plan, column.template[0])
                gap += max(sources, _result_room(plan, number) - gap)
        gaps.append(0.0 if number == 0 else gap + plan.framed)
    return gaps


def _static_room(plan: Plan, track: str) -> float:
    """Room before a later track for the static nodes that it is the first to use."""
    first: dict[str, str] = {}
    for tap in sorted(plan.taps, key=lambda tap: tap.cell[0]):
        first.setdefault(tap.static, plan.columns[tap.cell[0]].template[0])
    em = plan.style.font_size
    widths = [plan.texts[name].width + 1.2 * em for name, t in first.items() if t == track]
    return max(widths, default=0.0) + 24 if widths else 0.0


def _result_room(plan: Plan, column: int) -> float:
    """Room before a column for the results that stand there, one behind the other."""
    here = {name for name, home in plan.homes.items() if home == column}
    if not here:
        return 0.0
    known = sizes({node.id: [node] for node in plan.statics}, plan.texts, plan.style)
    graph: nx.DiGraph[str] = nx.DiGraph()
    graph.add_nodes_from(here)
    graph.add_edges_from((e.tail, e.head) for e in plan.between if {e.tail, e.head} <= here)
    ends: dict[str, float] = {}
    for name in nx.topological_sort(graph):
        before = max((ends[other] for other in graph.predecessors(name)), default=PAD)
        ends[name] = before + known[name].width + PAD
    return max(ends.values())


def _channels(
    plan: Plan,
    grid: Grid,
    chosen: dict[str, Manner],
    tracks: Tracks,
    framed: Mapping[int, float],
) -> list[float]:
    """The height of the channel below each layer, and above the highest."""
    style = plan.style
    wide = _slants(plan, grid)
    arcs: defaultdict[int, float] = defaultdict(float)
    slanted: defaultdict[int, float] = defaultdict(float)
    for item in plan.across:
        low, high = sorted((plan.layers[item.tail[1]], plan.layers[item.head[1]]))
        if chosen[item.id] == "line" and high == low + 1:
            width = abs(grid.centre(item.tail)[0] - grid.centre(item.head)[0])
            slanted[high] = max(slanted[high], min(0.28 * width, TALL * style.layer_gap))
        if chosen[item.id] == "arc":
            level = plan.layers[item.tail[1]] + 1
            arcs[level] = max(arcs[level], arc_height(item.distance) + 8)
    labelled: defaultdict[int, float] = defaultdict(float)
    fans: Counter[tuple[int, str]] = Counter()
    for inner in plan.inner:
        if inner.edge.label is not None:
            assert inner.link.lower is not None
            fans[inner.column, inner.link.lower] += 1
            ems = 1.1 if fans[inner.column, inner.link.lower] < 3 else 2.6
            level = plan.layers[inner.link.lower] + 1
            labelled[level] = max(labelled[level], ems * style.font_size)
    heights = []
    for level in range(grid.top + 2):
        count = tracks.counts.get(level, 0)
        inside = 0 < level <= grid.top
        ducts = tracks.first[level] + (count + 0.5) * style.track_gap if count else 0.0
        if count and tracks.first[level] > FIRST_TRACK:
            ducts += 1.5 * labelled[level]
        base = style.layer_gap + labelled[level] if inside else 0.0
        slope = max(min(0.32 * wide[level], 2.2 * style.layer_gap), slanted[level])
        height = max(
            base, slope, ducts + (tracks.under.get(level, 0.0) if inside else 0.0), arcs[level]
        )
        if not inside and any((tap.link.lower is None) == (level == 0) for tap in plan.taps):
            height = max(height, style.layer_gap)
        if level in framed:
            height = max(height, framed[level], ducts + framed[level] - 8.0)
        heights.append(height)
    return heights


def _slants(plan: Plan, grid: Grid) -> defaultdict[int, float]:
    """How far lines move sideways in the channel below each layer."""
    wide: defaultdict[int, float] = defaultdict(float)
    links = {(plan.columns[item.column].template, item.link) for item in plan.inner}
    links |= {(plan.columns[tap.cell[0]].template, tap.link) for tap in plan.taps}
    for template, link in links:
        for channel, (a, b) in grid.steps[template].stretches(link, plan.layers):
            wide[channel] = max(wide[channel], abs(a - b))
    return wide


def _framed(layout: Layout) -> Layout:
    """The picture moved so that it starts at the origin, with a margin around it."""
    margin = layout.style.margin
    xs: list[float] = []
    ys: list[float] = []
    for box in (
        *(node.box for node in layout.nodes),
        *(label.box for label in layout.labels),
        *(mark.box for mark in layout.marks),
        *(frame.box for frame in layout.frames),
    ):
        xs.extend((box[0], box[2]))
        ys.extend((box[1], box[3]))
    for dot in layout.dots:
        xs.extend((dot.x - dot.radius, dot.x + dot.radius))
        ys.extend((dot.y - dot.radius, dot.y + dot.radius))
    for edge in layout.edges:
        for x, y in edge.curve:
            xs.append(x)
            ys.append(y)
    dx = margin - min(xs, default=0.0)
    dy = margin - min(ys, default=0.0)

    def moved(point: tuple[float, float]) -> tuple[float, float]:
        return (round(point[0] + dx, 2), round(point[1] + dy, 2))

    def right(x: float) -> float:
        return round(x + dx, 2)

    def up(y: float) -> float:
        return round(y + dy, 2)

    return Layout(
        tuple(
            PlacedNode(n.node, right(n.x), up(n.y), n.width, n.height, n.shape, n.text)
            for n in layout.nodes
        ),
        tuple(
            PlacedEdge(
                e.id,
                e.edge,
                e.kind,
                e.tail,
                e.head,
                tuple([(round(x + dx, 2), round(y + dy, 2)) for x, y in e.curve]),
                moved(e.tip) if e.tip else None,
            )
            for e in layout.edges
        ),
        tuple(replace(m, x=right(m.x), y=up(m.y)) for m in layout.marks),
        tuple(Dot(d.kind, right(d.x), up(d.y), d.radius, d.ellipsis) for d in layout.dots),
        tuple(replace(t, x=right(t.x), y=up(t.y)) for t in layout.labels),
        tuple(replace(f, box=(*moved(f.box[:2]), *moved(f.box[2:]))) for f in layout.frames),
        round(max(xs, default=0.0) + dx + margin, 2),
        round(max(ys, default=0.0) + dy + margin, 2),
        layout.style,
    )


__all__ = ["Layout", "PlacedLabel", "lay_out"]
