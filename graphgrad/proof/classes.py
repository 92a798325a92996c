"""What the local identities of an unfolded graph look like, up to shifts in time.

Every node of a graph that is cut at its variables and cotangents gets a number that depends on the
expression below it alone: on ops, names, and how many steps later a node is than its arguments. The
derivative by a node gets a number too, made of the numbers of its users and of theirs, up to the
cotangents. Two instances with equal numbers have the same local identity, shifted in time. Numbers
are given by one dictionary for all lengths, so equality is exact and not a matter of hashing.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from graphgrad.ir import OPS
from graphgrad.proof.certificate import BackwardPass, Instance
from graphgrad.unfold import STATIC, Dag

EARLY, LATE = 1, 2


@dataclass(frozen=True)
class Cuts:
    """Which nodes are cut, and how: variables, cotangents, other recurrences, sums over time.

    `carried` maps the node of a variable to the node of its cotangent. `mutual` are the cotangents
    that depend on themselves at other steps.
    """

    variables: Mapping[int, Instance]
    carried: Mapping[int, int]
    mutual: frozenset[int]
    opaque: Mapping[int, Instance]
    sums: frozenset[int]


@dataclass(frozen=True)
class Zone:
    """How far from the ends absolute reads reach, and within which distance that is told apart.

    `window` is how many steps to either side of it belong to the class of a step.
    """

    early: int
    late: int
    width: int
    window: int = 0


class Classes:
    """Numbers for expressions, the same for graphs of all lengths."""

    def __init__(self, depth: int) -> None:
        self.depth = depth
        self.ids: dict[object, int] = {}

    def number(self, key: object) -> int:
        """Return the number of a key, a new one the first time."""
        return self.ids.setdefault(key, len(self.ids))

    def of(
        self,
        passes: BackwardPass,
        cuts: Cuts,
        zones: Mapping[str, Zone],
        seeds: set[int],
        pattern: object,
    ) -> set[int]:
        """Return the numbers of all local identities of a backward pass.

        `pattern` says which static branches and which sums exist at its length.
        """
        return _Pass(self, passes, cuts, zones, seeds, self.number(pattern)).numbers()


class _Pass:
    """One graph."""

    def __init__(
        self,
        classes: Classes,
        passes: BackwardPass,
        cuts: Cuts,
        zones: Mapping[str, Zone],
        seeds: set[int],
        pattern: int,
    ) -> None:
        self.classes, self.passes, self.cuts = classes, passes, cuts
        self.zones, self.seeds, self.pattern = zones, seeds, pattern
        dag = passes.dag
        self.dag = dag
        self.kinds = [
            classes.number((t.op.name, t.attr, type(t.attr), t.type)) for t in dag.templates
        ]
        self.kind = dag.kinds.tolist()
        starts, args = dag.starts.tolist(), dag.args.tolist()
        self.args = [args[starts[node] : starts[node + 1]] for node in range(len(dag))]
        self.time: list[int | None] = [None if t == STATIC else t for t in dag.times.tolist()]
        self.index = _indices(dag, self.args, self.time)
        self.fixed = bytearray(step is None for step in self.time)
        """Nodes that are computed once; a variable outside 1..τ stands at its step all the same."""
        for node, (name, step) in cuts.variables.items():
            if self.time[node] is None and step is not None:
                self.time[node], self.index[node] = step, dag.system.index_of(name)
        self.places = {node: place for place, node in enumerate(sorted(cuts.sums))}
        self.leaves: dict[int, int] = {}
        self.forward = passes.forward()

    def numbers(self) -> set[int]:
        """Return what Classes.of returns."""
        defined: list[int] | None = None
        for _ in range(self.classes.depth + 1):
            defined = self._expressions(defined)
        assert defined is not None
        derivatives, columns = self._derivatives(defined)
        number = self.classes.number
        found: set[int] = {number((self.pattern, column)) for column in columns}
        static: list[object] = []
        pairs = [(node, cotangent) for node, cotangent in self.cuts.carried.items()]
        for nodes, _ in self._gradients():
            pairs += [(node, gradient) for node, gradient in nodes]
        for node, cotangent in pairs:
            who = self.cuts.variables.get(node)
            flags = self.flags[node] | self.flags[cotangent]
            name = who and (who[0], self._place(node, who))
            where = (name, defined[node] if who is None else 0, self._clipped(node, flags))
            own = (where, defined[cotangent], derivatives[node])
            if self.time[node] is None:
                static.append(own)
            else:
                found.add(number(own))
        static += [
            defined[node]
            for node in range(len(self.dag))
            if self.fixed[node] and node not in self.leaves
        ]
        found.add(number((self.pattern, frozenset(static))))
        return found

    def _gradients(self) -> list[tuple[list[tuple[int, int]], str]]:
        """Return the nodes of parameters and inputs with those of their gradients."""
        dag, found = self.dag, []
        for name, nodes in self.passes.gradients.items():
            own = [dag.param_nodes[name]] if name in dag.param_nodes else []
            own = own or dag.series[name].nodes.tolist()
            found.append((list(zip(own, nodes, strict=True)), name))
        return found

    # -- expressions ----------------------------------------------------------------------------

    def _expressions(self, defined: list[int] | None) -> list[int]:
        """Return a number for each node; leaves carry what they stood for one level less deep."""
        number, cuts, leaves = self.classes.number, self.cuts, dict[int, int]()
        out: list[int] = []
        self.flags = [0] * len(self.dag)
        self.anchors: list[frozenset[int]] = []
        """The instances at fixed steps that a static expression reads."""
        cotangents = {cotangent: node for node, cotangent in cuts.carried.items()}
        for node in range(len(self.dag)):
            refs = [leaves.get(arg, out[arg]) for arg in self.args[node]]
            if node in cuts.sums:
                own = number(("sum", self.pattern, self.places[node]))
            else:
                steps = [self._between(node, arg) for arg in self.args[node]]
                own = number((self.kinds[self.kind[node]], *zip(refs, steps, strict=True)))
            out.append(own)
            self._anchored(node, leaves)
            what: object = None
            if node in cuts.variables:
                what = "let", cuts.variables[node][0]
            elif node in cotangents:
                instance = cuts.variables[cotangents[node]]
                what = "cotangent", instance[0], self._place(node, instance)
                if node not in cuts.mutual:
                    what = what, own
            elif node in cuts.opaque:
                what = "other", cuts.opaque[node][0]
            elif node in cuts.sums:
                what = "sum", own
            if what is not None:
                below = -1 if defined is None or node in cuts.mutual else defined[node]
                leaves[node] = number((what, below))
        self.leaves = leaves
        return out

    def _place(self, node: int, instance: Instance) -> object:
        """Return where an instance outside 1..τ is, counted from its end; None inside."""
        name, step = instance
        if step is None or not self.fixed[node]:
            return None
        index = self.dag.system.index_of(name)
        length = self.dag.tau[index or ""]
        return ("last", step - length) if step > length else ("first", step)

    def _between(self, user: int, arg: int) -> object:
        """Return how many steps before its user an argument is."""
        then, now = self.time[arg], self.time[user]
        if then is None:
            return None
        if now is None or self.fixed[user]:
            return self._ends(arg, 1)
        return now - then

    def _ends(self, node: int, more: int) -> tuple[int, int]:
        """Return the distance of an instance from both ends, as far as absolute reads go."""
        step, index = self.time[node], self.index[node] or ""
        zone = self.zones[index]
        assert step is not None
        return min(step, zone.early + more), min(self.dag.tau[index] - step, zone.late + more)

    def _anchored(self, node: int, leaves: Mapping[int, int]) -> None:
        """Note what fixed steps an expression looks at."""
        anchors: frozenset[int] = frozenset()
        flags = 0
        if node not in self.cuts.sums:
            for arg in self.args[node]:
                if self.time[arg] is not None and self.fixed[node]:
                    anchors |= {arg}
                    flags |= self._side(arg)
                elif arg not in leaves:
                    if self.fixed[node]:
                        anchors |= self.anchors[arg]
                    flags |= self.flags[arg]
        self.anchors.append(anchors)
        self.flags[node] = flags

    def _side(self, node: int) -> int:
        step, index = self.time[node], self.index[node] or ""
        zone = self.zones[index]
        assert step is not None
        early = EARLY if step <= zone.early else 0
        return early | (LATE if self.dag.tau[index] - step <= zone.late else 0)

    def _clipped(self, node: int, flags: int) -> tuple[int | None, int | None]:
        """Return the distance to the ends at which an identity looks at fixed steps."""
        step = self.time[node]
        if step is None or not flags:
            return None, None
        index = self.index[node] or ""
        width = self.zones[index].width
        return (
            min(step, width) if flags & EARLY else None,
            min(self.dag.tau[index] - step, width) if flags & LATE else None,
        )

    # -- derivatives ----------------------------------------------------------------------------

    def _derivatives(self, defined: list[int]) -> tuple[list[int], list[object]]:
        """Return a number for the derivative by each node, and what each step contributes."""
        number, cuts, leaves = self.classes.number, self.cuts, self.leaves
        columns: dict[tuple[str, int], list[object]] = {}
        users: list[list[tuple[int, int]]] = [[] for _ in range(len(self.dag))]
        for node in range(len(self.dag)):
            for position, arg in enumerate(self.args[node]):
                users[arg].append((node, position))
            if node in cuts.sums:
                for arg in self.args[node]:
                    step, index = self.time[arg], self.index[arg]
                    assert step is not None
                    assert index is not None
                    seen = 0 if arg in leaves else self.flags[arg]
                    own = leaves.get(arg, defined[arg])
                    summand = ("part", defined[node], own, self._clipped(arg, seen))
                    columns.setdefault((index, step), []).append(summand)
        out = [0] * len(self.dag)
        flags = [0] * len(self.dag)
        for node in range(len(self.dag) - 1, -1, -1):
            if not self.forward[node]:
                continue
            entries: list[tuple[Any, ...]] = []
            for user, position in users[node]:
                if not self.forward[user]:
                    continue
                cotangent = cuts.carried.get(user)
                weight = out[user] if cotangent is None else ~leaves[cotangent]
                then, now = self.time[node], self.time[user]
                place = -1 if user in cuts.sums else position
                if then is None and now is not None and not self.fixed[user]:
                    where = self._clipped(user, self.flags[user] | flags[user])
                    part = ("by", defined[node], defined[user], place, weight, where)
                    columns.setdefault((self.index[user] or "", now), []).append(part)
                    continue
                if self.fixed[user] and user not in cuts.sums and self.anchors[user] - {node}:
                    flags[node] |= self.flags[user]
                if cotangent is None:
                    flags[node] |= flags[user]
                lag = self._between(user, node)
                entries.append((defined[user], place, lag, weight))
            if node in self.seeds:
                entries.append(("seed",))
            out[node] = number(tuple(sorted(entries, key=repr)))
        self.flags = [one | other for one, other in zip(self.flags, flags, strict=True)]
        steps: dict[tuple[str, int], int] = {}
        for (index, step), found in columns.items():
            zone, length = self.zones[index], self.dag.tau[index]
            ends = min(step, zone.early + 1), min(length - step, zone.late + 1)
            steps[index, step] = number((index, ends, tuple(sorted(found, key=repr))))
        parts: list[object] = []
        for index, step in steps:
            around = range(step - self.zones[index].window, step + self.zones[index].window + 1)
            parts.append(("step", *(steps.get((index, k)) for k in around)))
        for index, length in self.dag.tau.items():
            zone = self.zones[index]
            parts.append(("length", index, min(length, max(zone.early, zone.late) + 2)))
        return out, parts


def _indices(dag: Dag, args: list[list[int]], time: list[int | None]) -> list[str | None]:
    """Return the index that each node varies with."""
    found: list[str | None] = [None] * len(dag)
    if len(dag.tau) == 1:
        (only,) = dag.tau
        return [None if step is None else only for step in time]
    for series in dag.series.values():
        if series.index is not None:
            for node in series.nodes.tolist():
                found[node] = series.index
    for node in range(len(dag)):
        template = dag.templates[int(dag.kinds[node])]
        if time[node] is None or found[node] is not None:
            continue
        if template.op is OPS["counter"]:
            found[node] = template.attr
        else:
            found[node] = next((found[arg] for arg in args[node] if found[arg] is not None), None)
    for node in range(len(dag) - 1, -1, -1):  # what reads boundary values only: as its users
        for arg in args[node] if found[node] is not None else ():
            if time[arg] is not None and found[arg] is None:
                found[arg] = found[node]
    return found
