"""The report: one offline HTML page with equations, pictures, example values and the proof."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from html import escape
from typing import Any

from graphgrad.circuit import Circuit, as_circuit
from graphgrad.errors import DataError, shown
from graphgrad.files import write_atomically
from graphgrad.proof.result import Proof, ProofError
from graphgrad.unfold import checked_lengths
from viz.report_equations import backward_equations, forward_equations
from viz.report_flow import code_of, code_section
from viz.report_items import items
from viz.report_operations import boundaries
from viz.report_page import Contents, page
from viz.report_pictures import Pictures, Plan, key, packed, plans
from viz.report_svg import shared_lines
from viz.report_values import Values, steps_of

LIMIT = 400_000
"""Bytes of a report; where a circuit would need more, less is offered: see `plans`."""


@dataclass(frozen=True)
class Report:
    """A finished report: `html` is the whole file. Equal circuits give equal bytes."""

    html: str
    title: str

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write the page to a file, all or nothing."""
        write_atomically(path, self.html.encode())

    def __repr__(self) -> str:
        return f"<Report {self.title}>"

    def _repr_html_(self) -> str:
        """Show the page in a notebook, in a frame that may run its own script and nothing else."""
        return (
            f'<iframe title="{escape(self.title)}" sandbox="allow-scripts" '
            f'style="width:100%;height:80vh;border:1px solid #888" srcdoc="{escape(self.html)}">'
            "</iframe>"
        )


def report(
    circuit: Circuit,
    *,
    tau: int | Mapping[str, int] = 3,
    sizes: Mapping[str, int] | None = None,
    loss: str = "loss",
    proof: Proof | None = None,
    values: Mapping[str, Any] | None = None,
    title: str | None = None,
) -> Report:
    """Return the report of a circuit: a page that needs nothing but a browser.

    `tau` is the length it opens with. `values` holds parameters and inputs by name, inputs time
    first, as in `dag.evaluate`; without them the page shows random example values at `sizes` (small
    numbers where a size has no default). `proof` is what `graphgrad.prove` returned, if anything.
    Raises what `circuit.check()` and `circuit.unfold()` raise.
    """
    if proof is not None and not isinstance(proof, Proof):
        raise ProofError(f"{shown(proof)} is no proof", remedy="give proof=gg.prove(circuit)")
    lengths = checked_lengths(as_circuit(circuit).check(), tau)
    heading = title or circuit.title or circuit.name
    forward = forward_equations(circuit)
    backward = backward_equations(circuit, loss)
    most = {} if values is None else steps_of(circuit, values)
    for name, steps in most.items():
        if lengths[name] > steps:
            raise DataError(
                f"the values have {steps} steps, but {circuit.indices[name].length} = "
                f"{lengths[name]}",
                remedy="give longer inputs, or a smaller tau",
            )
    html = ""
    offered = list(plans(circuit, lengths, most, backward=backward.circuit is not None))
    evaluated = Values(
        circuit, longest(offered[0]), sizes or {}, loss if backward.circuit else None, values
    )
    pictures = Pictures(circuit, loss)
    differentiable = loss if backward.circuit is not None else None
    reach = evaluated.reach(longest(offered[0]))
    code = code_of(circuit, differentiable)
    for plan in offered:
        drawn = pictures.of(plan)
        lines, numbers = shared_lines(drawn)
        data = {
            "choices": [
                {"index": c.index, "length": c.length, "label": c.label}
                | {"steps": c.steps, "start": c.start}
                for c in plan.choices
            ],
            "levels": plan.levels,
            "backward": plan.backward,
            "loss": loss if backward.circuit else None,
            "lines": lines,
            "pictures": numbers,
            "items": items(circuit, backward.circuit, loss),
            "boundaries": boundaries(circuit),
            "code": code,
            "observed": evaluated.observations,
            "values": {key(each): evaluated.at(each) for each in plan.lengths()},
        }
        html = page(
            Contents(
                circuit,
                heading,
                loss,
                forward,
                backward,
                plan,
                evaluated.origin,
                evaluated.sizes,
                drawn,
                packed(data),
                reach,
                code_section(code),
                proof,
            )
        )
        if len(html.encode()) <= LIMIT:
            break
    return Report(html, heading)


def longest(plan: Plan) -> dict[str, int]:
    """Return the greatest length of every time index that a page offers."""
    return {choice.index: max(choice.steps) for choice in plan.choices}
