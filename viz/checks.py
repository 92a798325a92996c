"""What a scene must satisfy before it is laid out."""

from __future__ import annotations

from collections import Counter
from itertools import pairwise

import networkx as nx

from viz.engine import DrawingError
from viz.scene import Scene, UnfoldedScene


def check(scene: Scene) -> None:
    """Raise a `DrawingError` that names what is wrong with a scene."""
    names = Counter(node.id for node in scene.nodes)
    names.update(edge.id for edge in scene.edges)
    names.update(group.id for group in scene.groups)
    twice = [name for name, count in names.items() if count > 1]
    if twice:
        raise DrawingError(
            f"the id {twice[0]!r} is used twice in a scene",
            remedy="give every node, edge and group an id of its own",
        )
    nodes = {node.id for node in scene.nodes}
    for edge in scene.edges:
        for end in (edge.tail, edge.head):
            if end not in nodes:
                raise DrawingError(
                    f"the edge {edge.id!r} ends at {end!r}, which is not a node of the scene",
                    remedy="add the node, or leave the edge out",
                )
    ways = {edge.id: (edge.head, edge.tail) for edge in scene.edges if not edge.beside}
    for edge in scene.edges:
        if edge.beside and ways.get(edge.beside) != (edge.tail, edge.head):
            raise DrawingError(
                f"the edge {edge.id!r} does not run back beside {edge.beside!r}",
                remedy="give it the ends of that edge, the other way round",
            )
    if isinstance(scene, UnfoldedScene):
        _check_tracks(scene)
        rows = {node.row or node.id for node in scene.nodes if node.time is not None}
    else:
        rows = nodes
    if scene.layers is not None:
        missing = rows - {row for layer in scene.layers for row in layer}
        if missing:
            raise DrawingError(
                f"the layers of the scene lack {min(missing)!r}",
                remedy="put every row into a layer, or leave layers=None",
            )


def _check_tracks(scene: UnfoldedScene) -> None:
    shown: dict[str, set[int]] = {}
    for track in scene.tracks:
        listed = [time for time in track.columns if time is not None]
        if not listed or any(a >= b for a, b in pairwise(listed)):
            raise DrawingError(
                f"the columns of track {track.key!r} must be times in increasing order: "
                f"{track.columns}",
                remedy="sort them, and name each once",
            )
        shown[track.key] = set(listed)
    places: Counter[tuple[str, str, int]] = Counter()
    for node in scene.nodes:
        if node.time is None:
            continue
        if node.track not in shown:
            raise DrawingError(
                f"the node {node.id!r} is on the track {node.track!r}, not declared",
                remedy="add the track to those of the scene",
            )
        times = shown[node.track]
        if min(times) < node.time < max(times) and node.time not in times:
            raise DrawingError(
                f"the node {node.id!r} stands at a time that is left out",
                remedy="leave the node out, or give its track that column",
            )
        places[node.track, node.row or node.id, node.time] += 1
        if places[node.track, node.row or node.id, node.time] > 1:
            raise DrawingError(
                f"the node {node.id!r} shares its row and column with another",
                remedy="give it a row of its own",
            )
    static: nx.DiGraph[str] = nx.DiGraph()
    outside = {node.id for node in scene.nodes if node.time is None}
    static.add_edges_from(
        (edge.tail, edge.head)
        for edge in scene.edges
        if edge.tail in outside and edge.head in outside and not edge.beside
    )
    if not nx.is_directed_acyclic_graph(static):
        raise DrawingError(
            "the static nodes of a scene form a cycle", remedy="give one of them a time"
        )
