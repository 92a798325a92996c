"""Gradient flow in plots: contributions by step, derivatives by distance, saturation (matplotlib).

The numbers are those of the equations: `dag.contributions`, Jacobians from the adjoint circuit, and
the values of the units themselves.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from graphgrad.circuit import Circuit, as_circuit
from graphgrad.data import lengths_of
from graphgrad.errors import GradientError, GraphgradError, unknown_name
from viz import jacobians
from viz.jacobians import together
from viz.label import symbol
from viz.tex import mathematics

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

SATURATED = 0.05
"""A unit counts as saturated where its slope is below this share of the largest one."""
SQUASHING: dict[str, tuple[float, Callable[[Any], Any]]] = {
    "tanh": (1.0, lambda y: 1 - y**2),
    "sigmoid": (0.25, lambda y: y * (1 - y)),
}
"""The largest slope of a function, and its slope where it has a value."""


@dataclass(frozen=True)
class Flow:
    """What `gradient_flow` plots.

    `contributions` are norms by parameter, [loss step, use step]; `jacobians` the spectral norms of
    ∂v[t]/∂v[k] of `state`, [t, k]; `radius` the spectral radius of the one matrix that multiplies
    earlier steps of the state, None where there is none or more than one.
    """

    contributions: Mapping[str, Any]
    state: str
    jacobians: Any
    radius: float | None
    matrix: str | None

    def reach(self, parameter: str) -> int:
        """Return at how many pairs of loss step and use step a parameter has a contribution."""
        return int(np.count_nonzero(self.contributions[parameter]))

    def by_distance(self) -> list[tuple[float, float, float]]:
        """Return smallest, median and largest norm of ∂v[t]/∂v[t-d] for each distance d."""
        steps = len(self.jacobians)
        rows = [np.diagonal(self.jacobians, -d) for d in range(steps)]
        return [(float(r.min()), float(np.median(r)), float(r.max())) for r in rows]


def measured_flow(
    circuit: Circuit,
    params: Mapping[str, Any],
    inputs: Mapping[str, Any],
    *,
    loss: str = "loss",
    state: str | None = None,
    tau: int | Mapping[str, int] | None = None,
) -> Flow:
    """Return the numbers of `gradient_flow`."""
    values = together(as_circuit(circuit), params, inputs)
    chosen = _state(circuit) if state is None else state
    lengths = lengths_of(circuit.check(), values, tau)
    tables = circuit.unfold(lengths).contributions(values, loss, norms=True)
    matrices = jacobians.recurrent_matrices(circuit, chosen)
    matrix = matrices[0] if len(matrices) == 1 else None
    between = jacobians.between_steps(circuit, values, chosen, lengths)
    return Flow(
        {name: np.asarray(table) for name, table in tables.items()},
        chosen,
        jacobians.norms(between),
        None if matrix is None else jacobians.spectral_radius(values[matrix]),
        matrix,
    )


def gradient_flow(
    circuit: Circuit,
    params: Mapping[str, Any],
    inputs: Mapping[str, Any],
    *,
    loss: str = "loss",
    parameter: str | None = None,
    state: str | None = None,
    tau: int | Mapping[str, int] | None = None,
) -> Figure:
    """Return a figure of how far gradients reach, for one example.

    Left, the contributions to the gradient of `parameter` (the one that reaches furthest, if left
    out) by loss step and use step, as a heat map of norms; right, ‖∂v[t]/∂v[k]‖ of a `state`
    against the distance t - k, with the line ρᵈ of the spectral radius of the recurrent matrix
    where there is just one. Inputs have time first and no batch axis; `tau` says how many steps
    there are where no input has them. Needs matplotlib.
    """
    flow = measured_flow(circuit, params, inputs, loss=loss, state=state, tau=tau)
    if parameter is None:
        parameter = flow.matrix or max(flow.contributions, key=flow.reach)
    if parameter not in flow.contributions:
        raise unknown_name(parameter, flow.contributions)
    figure = _figure(10.0, 4.2)
    left, right = figure.subplots(1, 2)
    _map(figure, left, flow.contributions[parameter], loss, parameter)
    _distance(right, flow)
    figure.suptitle(_plain(circuit.title or circuit.name), fontsize=11, parse_math=False)
    return figure


def _map(figure: Figure, axes: Axes, table: Any, loss: str, parameter: str) -> None:
    from matplotlib.colors import LogNorm

    steps = len(table)
    positive = table[table > 0]
    span = (positive.min(), positive.max()) if positive.size else (0.1, 1.0)
    low = max(span[0], span[1] * 1e-12)
    shown = np.ma.masked_less_equal(table, 0)
    image = axes.imshow(
        shown, origin="lower", cmap="viridis", norm=LogNorm(low, max(span[1], low * 1.001)),
        extent=(0.5, steps + 0.5, 0.5, steps + 0.5), interpolation="nearest",
    )  # fmt: skip
    figure.colorbar(image, ax=axes, shrink=0.85)
    axes.set_xlabel("step of use $t$")
    axes.set_ylabel("step of loss $s$")
    axes.set_title(f"‖contribution to ∂{_math(loss)} / ∂{_math(parameter)}‖", fontsize=10)
    _whole(axes, steps)


def _whole(axes: Axes, steps: int) -> None:
    stride = max(1, math.ceil(steps / 10))
    ticks = list(range(1, steps + 1, stride))
    axes.set_xticks(ticks)
    axes.set_yticks(ticks)


def _distance(axes: Axes, flow: Flow) -> None:
    rows = np.array(flow.by_distance())
    reach = np.arange(len(rows))
    floor = np.finfo(float).tiny
    low, middle, high = np.maximum(rows, floor).T
    told = "least to greatest"
    axes.fill_between(reach, low, high, color="#0072b2", alpha=0.2, linewidth=0, label=told)
    middle = np.where(rows[:, 1] > 0, middle, np.nan)  # zero is nowhere on this axis
    axes.plot(reach, middle, color="#0072b2", marker="o", markersize=3, label="median")
    if flow.radius is not None and flow.matrix is not None:
        line = np.maximum(flow.radius**reach, floor)
        told = f"$\\rho$({_math(flow.matrix)})$^d$, $\\rho$ = {flow.radius:.3g}"
        axes.plot(reach, line, color="#d55e00", linestyle="--", label=told)
    axes.set_yscale("log")
    positive = rows[rows > 1e-300]
    if positive.size:
        axes.set_ylim(max(positive.min() / 3, 1e-300), positive.max() * 3)
    axes.set_xlabel("distance $d = t - k$")
    later, earlier = _math(flow.state, "t"), _math(flow.state, "k")
    axes.set_title(f"‖∂{later} / ∂{earlier}‖", fontsize=10)
    axes.legend(fontsize=8, frameon=False)
    axes.grid(alpha=0.3)


@dataclass(frozen=True)
class Units:
    """How the units of one variable are used, over all steps and examples.

    `saturated` is the share of values at which the slope is below `SATURATED` of its largest,
    `dead` the units that are 0 throughout (relu), `slopes` the slopes.
    """

    op: str
    saturated: float | None
    dead: tuple[int, ...]
    count: int
    slopes: Any


def unit_summaries(
    circuit: Circuit,
    params: Mapping[str, Any],
    inputs: Mapping[str, Any],
    *,
    tau: int | Mapping[str, int] | None = None,
) -> dict[str, Units]:
    """Return a summary of each variable that is a tanh, a sigmoid or a relu of something."""
    given = together(as_circuit(circuit), params, inputs)
    system = circuit.check()
    chosen = {
        name: system.graph.nodes[root].op.name
        for name, root in system.roots.items()
        if system.graph.nodes[root].op.name in (*SQUASHING, "relu")
        and system.variables[name].index is not None
    }
    if not chosen:
        raise GraphgradError(
            f"{circuit.name} has no variable that is a tanh, a sigmoid or a relu",
            remedy="give such a value a name of its own: h[t] = tanh(…)",
        )
    found = circuit.compile(*chosen)(given, tau=tau)
    result = {}
    for name, op in chosen.items():
        width = found[name].shape[-1] if system.variables[name].shape else 1
        values = np.asarray(found[name]).reshape(-1, width)
        if op == "relu":
            dead = np.flatnonzero((values <= 0).all(axis=0))
            result[name] = Units(op, None, tuple(map(int, dead)), width, (values > 0) * 1.0)
            continue
        largest, slope = SQUASHING[op]
        slopes = slope(values) / largest
        share = float((slopes < SATURATED).mean())
        result[name] = Units(op, share, (), width, slopes)
    return result


def saturation(
    circuit: Circuit,
    params: Mapping[str, Any],
    inputs: Mapping[str, Any],
    *,
    tau: int | Mapping[str, int] | None = None,
) -> Figure:
    """Return a figure of how the squashing units are used: one histogram of slopes a variable.

    Slopes are relative to the largest the function has; a share of saturated values, and the number
    of dead units of a relu, stand in the titles. Inputs may have batch axes; `tau` says how many
    steps there are where no input has them. Needs matplotlib.
    """
    units = unit_summaries(circuit, params, inputs, tau=tau)
    columns = min(4, len(units))
    rows = math.ceil(len(units) / columns)
    figure = _figure(2.9 * columns, 2.6 * rows)
    grid = figure.subplots(rows, columns, squeeze=False)
    for axes in grid.flat[len(units) :]:
        axes.set_visible(False)
    for axes, (name, each) in zip(grid.flat, units.items(), strict=False):
        axes.hist(each.slopes.ravel(), bins=20, range=(0, 1), color="#0072b2")
        told = (
            f"{len(each.dead)} of {each.count} units dead"
            if each.saturated is None
            else f"{100 * each.saturated:.0f} % saturated"
        )
        axes.set_title(f"{_math(name)}: {told}", fontsize=9)
        axes.set_xlabel("relative slope", fontsize=8)
        axes.set_ylabel("values", fontsize=8)
        axes.yaxis.get_major_locator().set_params(integer=True)
        axes.tick_params(labelsize=7)
    return figure


def _figure(width: float, height: float) -> Figure:
    try:
        from viz.plot import Plot
    except ImportError:
        raise GraphgradError(
            "plots need matplotlib", remedy="python -m pip install 'graphgrad[plots]'"
        ) from None
    return Plot(figsize=(width, height), layout="constrained")


def _state(circuit: Circuit) -> str:
    """Return the first variable that is read at an earlier or later step."""
    for node in circuit.check().graph.nodes:
        if node.op.name == "read" and node.attr.lag and node.attr.name in circuit.variables:
            return str(node.attr.name)
    raise GradientError(f"{circuit.name} has no state", remedy="name a variable with state=")


def _plain(text: str) -> str:
    return "".join(c for c in text if c.isprintable())


def _math(name: str, step: str = "") -> str:
    """Return a name, at a step, as matplotlib prints it: ŷ for yhat, with true subscripts."""
    return f"${mathematics(symbol(name, sup=f'({step})' if step else ''))}$"
