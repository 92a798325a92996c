"""The HTML of a report, section by section."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from string import Template

from graphgrad.circuit import Circuit
from graphgrad.proof.result import Proof
from viz.font import font_face_css
from viz.label import html_text
from viz.report_equations import Backward, Equations
from viz.report_items import declarations
from viz.report_pictures import Plan, key
from viz.report_svg import colours, rules
from viz.style import STYLES

TEMPLATES = Path(__file__).resolve().parent / "templates"
SCRIPTS = ("report.js", "report_graph.js", "report_panel.js")


@dataclass(frozen=True)
class Contents:
    """Everything that a page says.

    `pictures` are SVG by level and length, `data` is packed, `reach` and `code` are HTML.
    """

    circuit: Circuit
    title: str
    loss: str
    forward: Equations
    backward: Backward
    plan: Plan
    origin: str
    sizes: Mapping[str, int]
    pictures: Mapping[str, str]
    data: str
    reach: str
    code: str
    proof: Proof | None


def page(contents: Contents) -> str:
    """Return the whole page."""
    script = "\n".join(_template(name) for name in SCRIPTS)
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode("ascii")
    level = contents.plan.levels[0]
    name = contents.circuit.name
    return Template(_template("report.html")).substitute(
        policy=_policy(digest),
        title=html_text(contents.title),
        name=html_text("" if name == contents.title else name),
        style=_template("report.css"),
        font=font_face_css("regular", "italic"),
        light=colours(STYLES["colour"]),
        dark=colours(STYLES["dark"]),
        rules=rules(),
        declarations=_declarations(contents),
        forward=_equations(contents.forward, "forward equations", "forward"),
        backward=_backward(contents),
        circuit_picture=contents.pictures[f"circuit:{level}:"],
        unfolded_picture=contents.pictures[f"forward:{level}:{key(contents.plan.start)}"],
        controls=_controls(contents.plan),
        legend=_legend(),
        lengths=html_text(", ".join(f"{c.label} = {c.start}" for c in contents.plan.choices)),
        values=_values(contents),
        reach=contents.reach,
        code=contents.code,
        proof=_proof(contents),
        data=contents.data,
        script=script,
    )


def _template(name: str) -> str:
    return (TEMPLATES / name).read_text(encoding="utf-8")


def _policy(script_digest: str) -> str:
    """Return the content security policy: this script, inline styles, fonts in the page."""
    return (
        f"default-src 'none'; script-src 'sha256-{script_digest}'; style-src 'unsafe-inline'; "
        "font-src data:; base-uri 'none'; form-action 'none'"
    )


def _declarations(contents: Contents) -> str:
    return "\n".join(
        f'<tr data-names="{html_text(name)}"><th scope="row"><code>{html_text(shown)}</code></th>'
        f"<td>{html_text(kind)}</td><td>{html_text(shape)}</td></tr>"
        for name, shown, kind, shape in declarations(contents.circuit, contents.sizes)
    )


def _equations(equations: Equations, what: str, key: str) -> str:
    """Return equations as mathematics, and the same as text to copy."""
    return f"""<div class="equations" role="group" aria-label="{what}">
{equations.table}
</div>
<details class="source"><summary>The {what} as text</summary>
<pre tabindex="0" id="text-{key}">{html_text(equations.text)}</pre>
<pre tabindex="0" id="latex-{key}" class="latex">{html_text(equations.latex)}</pre>
</details>
<p class="tools">{_copy(f"text-{key}", "Copy notation")}{_copy(f"latex-{key}", "Copy LaTeX")}</p>"""


def _copy(target: str, label: str) -> str:
    return f'<button type="button" class="needs-script" data-copy="{target}">{label}</button>'


def _backward(contents: Contents) -> str:
    backward = contents.backward
    if backward.equations is None:
        return f'<p class="note">{html_text(backward.reason)}</p>'
    remarks = "".join(f'<p class="note">{html_text(each)}</p>' for each in backward.remarks)
    return _equations(backward.equations, "backward equations", "backward") + remarks


def _controls(plan: Plan) -> str:
    """Return the controls for lengths and level; what leaves no choice has none."""
    parts = []
    for number, choice in enumerate(plan.choices):
        if len(choice.steps) < 2:
            continue
        position = choice.steps.index(choice.start)
        parts.append(
            f'<label class="control">Steps <var>{html_text(choice.label)}</var> '
            f'<input type="range" class="length" data-choice="{number}" min="0" '
            f'max="{len(choice.steps) - 1}" value="{position}" '
            f'aria-valuetext="{html_text(choice.length)} = {choice.start}">'
            f'<output id="length-{number}">{choice.start}</output></label>'
        )
    if len(plan.levels) > 1:
        radios = "".join(
            f'<label><input type="radio" name="level" value="{level}"'
            f"{' checked' * (level == plan.levels[0])}> {level}</label>"
            for level in plan.levels
        )
        parts.append(f'<fieldset class="control"><legend>Nodes are</legend>{radios}</fieldset>')
    if plan.backward:
        radios = "".join(
            f'<label><input type="radio" name="flow" value="{flow}"'
            f"{' checked' * (flow == 'forward')}> {flow}</label>"
            for flow in ("forward", "backward", "both")
        )
        parts.append(
            f'<fieldset class="control" id="flow"><legend>Flow</legend>{radios}</fieldset>'
        )
    return "\n".join(parts)


def _legend() -> str:
    kinds = ("input", "variable", "output", "loss", "parameter", "boundary", "operation")
    return "\n".join(
        f'<li><span style="background:var(--{kind}-fill);border-color:var(--{kind}-stroke)"></span>'
        f"{kind}</li>"
        for kind in kinds
    )


def _values(contents: Contents) -> str:
    sizes = ", ".join(f"{name} = {size}" for name, size in contents.sizes.items())
    gradient = (
        f" Gradients are of <code>{html_text(contents.loss)}</code>."
        if contents.backward.circuit
        else " There is nothing to differentiate, so no gradients are shown."
    )
    origin = html_text(contents.origin)
    return f"Values shown are {origin}; {html_text(sizes or 'all scalars')}.{gradient}"


def _proof(contents: Contents) -> str:
    if contents.proof is None:
        if contents.backward.circuit is None:
            return '<p class="note">There is no gradient here, so nothing to prove.</p>'
        return (
            '<p class="note">No proof came with this report. '
            "<code>viz.report(c, proof=graphgrad.prove(c))</code> puts one here, and so does "
            "<code>graphgrad report FILE</code>.</p>"
        )
    return (
        f'<div class="proof {html_text(contents.proof.verdict)}">'
        f"{contents.proof._repr_html_()}</div>"
        f'<pre id="text-proof" hidden>{html_text(str(contents.proof))}</pre>'
        f'<p class="tools">{_copy("text-proof", "Copy as text")}</p>'
    )
