"""Finding the paths that a gradient is the sum over."""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import Any

from graphgrad.dims import Token
from graphgrad.errors import DataError, GradientError, names_given, unknown_name
from graphgrad.paths.reduced import Point, Reduced, is_constant, summands
from graphgrad.paths.show import Paths
from graphgrad.unfold import STATIC, Dag


def paths(
    dag: Dag,
    wrt: str | tuple[str, int],
    loss: str | tuple[str, int] = "loss",
    *,
    through: Iterable[str] | str | None = None,
    limit: int = 1000,
) -> Paths:
    """Return the gradient of a loss as the sum over all paths from it to what it is taken by.

    `wrt` is a parameter, a static input or variable, or one instance such as ("h", 1). `through`
    names the variables that are shown; what lies between is composed. Left out, they are the terms
    of the loss and the states, which are the variables that are read at another step. Raises
    GradientError where there are more paths than `limit`, without listing them.
    """
    root, head = _resolved(dag, loss)
    target, end = _resolved(dag, wrt)
    if isinstance(dag.templates[int(dag.kinds[target])].type, Token):
        raise GradientError(
            f"{end.name} holds tokens: there is no derivative by an integer",
            remedy="differentiate by the matrix that it looks rows up in",
        )
    if dag.templates[int(dag.kinds[root])].type != ():
        raise GradientError(f"{head.name} is not one number", remedy="add a sum of its components")
    points = _points(dag, through) | _terms(dag, root, head, through)
    points |= {root: head, target: end}
    reduced = Reduced(dag, root, target, points)
    count = reduced.count()
    if count > limit:
        shown = f"{count:,}" if count < 10**15 else f"about 10^{math.floor(math.log10(count))}"
        raise GradientError(
            f"the gradient by {end.name} is a sum over {shown} paths, more than {limit:,}",
            remedy="unfold for fewer steps, show fewer variables with through=[…], or raise limit "
            "in Python",
        )
    return Paths(dag, reduced, reduced.walk())


def _resolved(dag: Dag, what: str | tuple[str, int]) -> tuple[int, Point]:
    """Return the node that a name, or a name with a step, stands for."""
    name, step = (what, None) if isinstance(what, str) else _pair(what)
    known = {*dag.series, *dag.param_nodes}
    if name not in known:
        raise unknown_name(name, known)
    if step is not None and name in dag.param_nodes:
        raise DataError(f"{name} is a parameter, which has no step", remedy=f'write "{name}"')
    return dag[what].id, Point(name, step)


def _pair(what: Any) -> tuple[str, int]:
    """Return a name and a step; DataError for anything else."""
    if isinstance(what, tuple) and len(what) == 2:
        name, step = what
        if isinstance(name, str) and isinstance(step, int) and not isinstance(step, bool):
            return name, step
    raise DataError(f"{what!r} is not an instance", remedy='write "W", or ("h", 1) for a step of h')


def _points(dag: Dag, through: Iterable[str] | str | None) -> dict[int, Point]:
    """Return the nodes of the variables that are shown."""
    if through is None:
        names = _states(dag)
    else:
        names = names_given("through", through)
        for name in names:
            if name not in dag.system.variables:
                raise unknown_name(name, dag.system.variables)
    found: dict[int, Point] = {}
    for name in names:
        one = dag.series[name]
        for step, node in enumerate(one.nodes.tolist(), start=1):
            found[node] = Point(name, None if one.index is None else step)
        for step, node in one.outside.items():
            if not is_constant(dag, node):
                found[node] = Point(name, step)
    return found


def _states(dag: Dag) -> list[str]:
    """Return the variables that are read at another step than their own."""
    found = {
        node.attr.name
        for node in dag.system.graph.nodes
        if node.op.name == "read" and node.attr.lag
    }
    return [name for name in dag.system.variables if name in found]


def _terms(
    dag: Dag, root: int, head: Point, through: Iterable[str] | str | None
) -> dict[int, Point]:
    """Return the terms of the loss, one a step: variables such as L[t], or summands without name.

    Where the loss is no such sum and nothing was asked for, they are the numbers that it reads.
    """
    names = {
        int(node): Point(one.name, step)
        for one in dag.series.values()
        if one.index is not None and one.name not in dag.system.inputs
        for step, node in enumerate(one.nodes.tolist(), start=1)
    }
    found: dict[int, Point] = {}
    for scaled in (False, True):  # a mean has the terms of its sum
        nodes = () if found else summands(dag, root, scaled=scaled)
        for node in nodes:
            time = int(dag.times[node])
            if node in names:
                found[node] = names[node]
            elif head.step is None and node != root and time != STATIC:
                found[node] = Point(head.name, time)
    if len(set(found.values())) < len(found):  # several sums over time: which L₁ is meant?
        return {}
    return found if found or through is not None else _read_by_the_loss(dag, head)


def _read_by_the_loss(dag: Dag, head: Point) -> dict[int, Point]:
    """Return the numbers with a step that the equation of the loss reads: L[t] in a product."""
    system = dag.system
    if head.name not in system.roots:
        raise DataError(f"{head.name} is no variable", remedy="name a variable as the loss")
    found: dict[int, Point] = {}
    for node in system.below(system.roots[head.name]):
        op, _, attr, kind = system.graph.nodes[node]
        if op.name not in ("read", "at_step") or kind != () or attr.name not in system.variables:
            continue
        for step, each in enumerate(dag.series[attr.name].nodes.tolist(), start=1):
            found[each] = Point(attr.name, step)
    return found
