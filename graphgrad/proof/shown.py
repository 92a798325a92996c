"""A proof as a table for terminals, as HTML, and as LaTeX."""

from __future__ import annotations

import html
from typing import TYPE_CHECKING

from rich import box
from rich.console import Group
from rich.table import Table
from rich.text import Text

if TYPE_CHECKING:
    from graphgrad.proof.result import Claim, Proof

MARKS: dict[str, str] = {"proved": "✓", "certified": "≈", "refuted": "✗", "undecided": "?"}
COLOURS: dict[str, str] = {
    "proved": "green",
    "certified": "cyan",
    "refuted": "red",
    "undecided": "yellow",
}
_LATEX = {
    "\\": r"\textbackslash{}",
    "~": r"\textasciitilde{}",
    "^": r"\textasciicircum{}",
    **{sign: f"\\{sign}" for sign in "#$%&_{}"},
    "∂": r"\ensuremath{\partial}",
    "Σ": r"\ensuremath{\Sigma}",
    "·": r"\ensuremath{\cdot}",
    "−": r"\ensuremath{-}",
    "τ": r"\ensuremath{\tau}",
    "≠": r"\ensuremath{\neq}",
    "≥": r"\ensuremath{\geq}",
    "…": r"\ldots{}",
}


def verdict_text(claim: Claim) -> str:
    """Return a verdict with what qualifies it: at every length, an error bound, digits."""
    if claim.every:
        return f"{claim.verdict} at every length"
    if claim.error is not None and claim.verdict == "proved":
        return f"proved with error bound 2**-{claim.error}"
    if claim.digits is not None and claim.verdict == "certified":
        return f"certified to {claim.digits} digits"
    return claim.verdict


def rich_table(proof: Proof) -> Group:
    """Return a table for a terminal, with what the proof is for below."""
    table = Table(title=title(proof), box=box.SIMPLE_HEAD, title_justify="left")
    for heading in ("", "claim", "verdict", "entries", "computed by"):
        table.add_column(heading, justify="right" if heading == "entries" else "left")
    for claim in proof.claims:
        colour = COLOURS[claim.verdict]
        table.add_row(
            Text(MARKS[claim.verdict], colour),
            Text(f"{claim.name} = {claim.truth}"),
            Text(verdict_text(claim), colour),
            str(claim.entries),
            Text(claim.origin),
        )
    notes = [Text(line) for line in remarks(proof)]
    return Group(table, *notes)


def title(proof: Proof) -> str:
    """Return what a proof says, in one line."""
    return f"{proof.circuit}: gradient of {proof.loss} {proof.verdict}"


def remarks(proof: Proof) -> list[str]:
    """Return what stands below the table: refutations, reasons, scope, methods, assumptions."""
    lines = []
    for claim in proof.claims:
        if claim.verdict == "refuted":
            lines.append(claim.refuted_text)
        elif claim.verdict in ("undecided", "certified"):
            lines.append(f"{claim.name}: {claim.reason}")
        if claim.fault:
            lines.append(f"first wrong: {claim.fault}, by {claim.residual}")
    wrong = [each for each in proof.equations if not each.holds]
    lines += [f"wrong by itself: {each.where}, by {each.residual}" for each in wrong]
    if proof.unclaimed:
        lines.append(f"nothing is claimed about {', '.join(proof.unclaimed)}")
    lines += [f"for {proof.scope}", f"by {proof.method}"]
    return lines + [f"given that {assumption}" for assumption in proof.assumptions]


def html_table(proof: Proof) -> str:
    """Return a table for a notebook or a report."""
    rows = "".join(
        f"<tr><td>{MARKS[c.verdict]}</td>"
        f"<td>{html.escape(c.name)} = {html.escape(c.truth)}</td>"
        f"<td>{html.escape(verdict_text(c))}</td><td>{c.entries}</td>"
        f"<td>{html.escape(c.origin)}</td>"
        f"<td>{html.escape(c.refuted_text or c.reason)}</td></tr>"
        for c in proof.claims
    )
    given = "".join(f"<li>given that {html.escape(text)}</li>" for text in proof.assumptions)
    wrong = [each for each in proof.equations if not each.holds]
    given = "".join(f"<li>wrong by itself: {html.escape(e.where)}</li>" for e in wrong) + given
    if proof.unclaimed:
        names = html.escape(", ".join(proof.unclaimed))
        given = f"<li>nothing is claimed about {names}</li>{given}"
    return (
        f'<table class="graphgrad-proof"><caption>{html.escape(title(proof))}</caption>'
        "<thead><tr><th></th><th>claim</th><th>verdict</th><th>entries</th><th>computed by</th>"
        f"<th>remark</th></tr></thead><tbody>{rows}</tbody></table>"
        f"<p>For {html.escape(proof.scope)}, by {html.escape(proof.method)}.</p>"
        + (f"<ul>{given}</ul>" if given else "")
    )


def latex_table(proof: Proof) -> str:
    """Return a LaTeX tabular, with the remarks as a list below."""
    rows = [
        " & ".join(
            (
                rf"\texttt{{{latex_text(claim.name)}}} = {latex_text(claim.truth)}",
                latex_text(verdict_text(claim)),
                str(claim.entries),
                latex_text(claim.origin),
            )
        )
        for claim in proof.claims
    ]
    body = " \\\\\n".join(["claim & verdict & entries & computed by \\\\ \\hline", *rows])
    body = body.replace("\\hline \\\\", "\\hline")
    notes = "\n".join(rf"\item {latex_text(line)}" for line in remarks(proof))
    return (
        f"\\noindent {latex_text(title(proof))}\\par\\medskip\n"
        f"\\noindent\\begin{{tabular}}{{llrl}}\n{body}\n\\end{{tabular}}\n"
        f"\\begin{{itemize}}\n{notes}\n\\end{{itemize}}\n"
    )


def latex_text(text: str) -> str:
    r"""Return plain text for LaTeX.

    >>> print(latex_text("d_W = ∂loss/∂W"))
    d\_W = \ensuremath{\partial}loss/\ensuremath{\partial}W
    """
    return "".join(_LATEX.get(character, character) for character in text)
