"""Groups that a person asks for by the names of variables: the cell, its gates."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import TypeVar

from viz.engine import DrawingError
from viz.items import Structure
from viz.label import roman
from viz.scene import CircuitScene, Group, UnfoldedScene

Groups = Mapping[str, Iterable[str]]
"""Names of variables and inputs by the title of their frame."""
AnyScene = TypeVar("AnyScene", CircuitScene, UnfoldedScene)


def with_groups(scene: AnyScene, groups: Groups | None, parts: Structure) -> AnyScene:
    """Return a scene with a frame around each group, in an unfolded scene at every step.

    At the level of operations the operations of an equation belong to its variable. `DrawingError`
    for names that the circuit does not have.
    """
    if not groups:
        return scene
    if not isinstance(groups, Mapping):
        raise DrawingError(
            f"groups must say which title has which members, not {groups!r}",
            remedy='write groups={"cell": ["c", "i", "f", "o", "g"]}',
        )
    found: tuple[Group, ...] = tuple(
        Group(f"group-{number}", roman(title), _members(title, names, parts))
        for number, (title, names) in enumerate(groups.items())
    )
    return replace(scene, groups=(*scene.groups, *found))


def _members(title: str, names: Iterable[str], parts: Structure) -> frozenset[str]:
    wanted = [names] if isinstance(names, str) else list(names)
    known = [
        key
        for key, item in parts.items.items()
        if item.kind not in ("parameter", "operation", "constant", "boundary") and not item.implied
    ]
    for name in wanted:
        if name not in known:
            raise DrawingError(
                f"the group {title!r} names {name!r}, which is no variable or input here",
                remedy="choose from " + ", ".join(known),
            )
    if not wanted:
        raise DrawingError(f"the group {title!r} is empty", remedy="name variables or inputs")
    return frozenset(key for key in parts.items if key.split("/")[0] in wanted)
