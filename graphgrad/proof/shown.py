"""A proof as a table for terminals, as HTML, and as LaTeX."""

from __future__ import annotations

import html
import re
from collections.abc import Iterable, Mapping
from itertools import groupby
from typing import TYPE_CHECKING, Literal

from rich import box
from rich.console import Group
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from graphgrad.notation.names import symbol

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
    "✓": r"\ensuremath{\surd}",
    "✗": r"\ensuremath{\times}",
}
_DERIVATIVE = re.compile(r"∂([^\W\d]\w*)/∂([^\W\d]\w*)")


def verdict_text(claim: Claim) -> str:
    """Return a verdict with what qualifies it: at every length, an error bound, digits."""
    if claim.every:
        return f"{claim.verdict} at every length"
    if claim.error is not None and claim.verdict == "proved":
        return f"proved with error bound 2**-{claim.error}"
    if claim.digits is not None and claim.verdict == "certified":
        return f"certified to {claim.digits} digits"
    return claim.verdict + claim.but


def lengths_text(lengths: Mapping[str, int]) -> str:
    """Return lengths in words.

    >>> lengths_text({"s": 3, "t": 2})
    's = 1..3, t = 1..2'
    """
    return ", ".join(f"{index} = 1..{length}" for index, length in lengths.items())


def rich_table(proof: Proof) -> Group:
    """Return tables for a terminal or a pipe, with what the proof is for below."""
    tables = [_table(origin, list(claims)) for origin, claims in groupby(proof.claims, _origin)]
    first, last = (
        [Padding(_folded(line), (0, 0, 0, 2)) for line in lines]
        for lines in (wrong_equations(proof), _below(proof))
    )
    return Group(Text(proof.title, overflow="fold"), *first, *tables, *last)


def _origin(claim: Claim) -> str:
    return claim.origin


def _table(origin: str, claims: list[Claim]) -> Table:
    """Return the claims about what was computed in one way."""
    table = Table(box=box.SIMPLE_HEAD, title=Text(f"  {origin}:"), title_justify="left")
    for heading in ("", "claim", "verdict", "entries"):
        justify: Literal["left", "right"] = "right" if heading == "entries" else "left"
        table.add_column(heading, justify=justify, overflow="fold")
    for claim in claims:
        colour = COLOURS[claim.verdict]
        table.add_row(
            Text(MARKS[claim.verdict], colour),
            Text(f"{claim.name} = {claim.truth}"),
            Text(verdict_text(claim), colour),
            str(claim.entries),
        )
    return table


def _folded(line: str) -> Table:
    """Return lines of text that are broken at words, with what goes on set in."""
    grid = Table.grid()
    grid.add_column(overflow="fold")
    first, *others = line.split("\n")
    grid.add_row(Text(first, overflow="fold"))
    for other in others:
        grid.add_row(Padding(Text(other.strip(), overflow="fold"), (0, 0, 0, 4)))
    return grid


def remarks(proof: Proof) -> list[str]:
    """Return wrong equations, refutations, reasons, scope, methods, assumptions.

    What belongs to a remark stands on lines of its own.
    """
    return wrong_equations(proof) + _below(proof)


def wrong_equations(proof: Proof) -> list[str]:
    """Return which of a person's equations are wrong by themselves, with the likely cause."""
    lines = []
    for each in proof.equations:
        if not each.holds:
            told = [f"{MARKS['refuted']} {each.name}  wrong at {each.where}"]
            told += [f"likely cause: {each.cause}"] if each.cause else []
            lines.append("\n".join([*told, f"by {each.residual}"]))
    return ["wrong, given the other equations:", *lines] if lines else []


def right_equations(proof: Proof) -> list[str]:
    """Return which of a person's equations are right where not all are."""
    names = [each.name for each in proof.equations if each.holds]
    return [f"right, given the other equations: {', '.join(names)}"] if names else []


def _below(proof: Proof) -> list[str]:
    """Return what stands below the table."""
    lines = []
    for claim, (found, why) in zip(proof.claims, refutations(proof), strict=True):
        told = [*found[:1], *filled(found[1:], indent=0, width=72), *map(" ".join, why)]
        if claim.verdict in ("undecided", "certified"):
            told.insert(0, f"{claim.name}: {claim.reason}")
        if told:
            lines.append("\n".join(told))
    lines += right_equations(proof)
    if proof.unclaimed:
        lines.append(f"nothing is claimed about {', '.join(proof.unclaimed)}")
    lines += proof.more()
    lines.append(f"for {proof.scope}")
    lines += [f"by {proof.method}"] if proof.method else []
    return lines + [f"given that {assumption}" for assumption in proof.assumptions]


def refutations(proof: Proof) -> list[tuple[list[str], list[list[str]]]]:
    """Return for each claim what refutes it, and the likely cause and first wrong equation.

    Both in parts between which lines may be broken; empty where there is nothing. What was said
    before, of an equation or of another claim, is not said again.
    """
    found = []
    before: list[Claim] = []
    causes = {each.cause for each in proof.equations}
    faults = {(each.where, each.residual) for each in proof.equations}
    several = len({claim.fault for claim in proof.claims if claim.fault}) > 1
    for claim in proof.claims:
        why = []
        if claim.cause and claim.cause not in causes:
            why.append([f"likely cause: {claim.cause}"])
        if claim.fault and (claim.fault, claim.residual) not in faults:
            wrong = claim.verdict == "refuted"
            told = (
                f"first wrong: {claim.fault}, by" if wrong else f"in doubt: {claim.fault}, unless"
            )
            why.append([told, claim.residual, *([] if wrong else ["is 0"])])
        elif claim.fault and several:
            why.append([f"first wrong: {claim.fault}"])
        found.append((claim.refuted_parts(_same_values(claim, before)), why))
        causes.add(claim.cause)
        faults.add((claim.fault, claim.residual))
        before += [claim] if claim.witness else []
    return found


def _same_values(claim: Claim, before: list[Claim]) -> str:
    """Return where the values stand at which a claim is refuted, empty if they are new."""
    same = [each for each in before if (each.witness, each.tau) == (claim.witness, claim.tau)]
    if not same:
        return ""
    return "there" if same[-1] is before[-1] else f"at the values of {same[0].name}"


def filled(parts: list[str], indent: int, width: int = 100) -> list[str]:
    """Return the parts on as few lines as fit."""
    lines: list[str] = []
    for part in parts:
        if lines and len(lines[-1]) + 1 + len(part) <= width:
            lines[-1] += f" {part}"
        else:
            lines.append(" " * indent + part)
    return lines


def html_table(proof: Proof) -> str:
    """Return a table for a notebook or a report."""
    rows = "".join(
        f"<tr><td>{MARKS[c.verdict]}</td>"
        f"<td>{html.escape(c.name)} = {html.escape(c.truth)}</td>"
        f"<td>{html.escape(verdict_text(c))}</td><td>{c.entries}</td>"
        f"<td>{html.escape(c.origin)}</td></tr>"
        for c in proof.claims
    )
    heading, *wrong = wrong_equations(proof) or [""]
    notes = _items(_below(proof))
    if wrong:
        notes = f"<li>{html.escape(heading)}<ul>{_items(wrong)}</ul></li>{notes}"
    return (
        f'<table class="graphgrad-proof"><caption>{html.escape(proof.title)}</caption>'
        "<thead><tr><th></th><th>claim</th><th>verdict</th><th>entries</th><th>computed by</th>"
        f"</tr></thead><tbody>{rows}</tbody></table><ul>{notes}</ul>"
    )


def _items(lines: Iterable[str]) -> str:
    """Return the items of a list."""
    return "".join(f"<li>{html.escape(each).replace(chr(10), '<br/>')}</li>" for each in lines)


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
    notes = "\n".join(
        rf"\item {latex_text(line)}".replace("\n", " \\\\\n") for line in remarks(proof)
    )
    return (
        f"\\noindent {latex_text(proof.title)}\\par\\medskip\n"
        f"\\noindent\\begin{{tabular}}{{llrl}}\n{body}\n\\end{{tabular}}\n"
        f"\\begin{{itemize}}\n{notes}\n\\end{{itemize}}\n"
    )


def latex_text(text: str) -> str:
    r"""Return plain text for LaTeX, derivatives in it as mathematics.

    >>> print(latex_text("d_alpha = ∂loss/∂alpha"))
    d\_alpha = \ensuremath{\partial L/\partial \alpha}
    """
    pieces = _DERIVATIVE.split(text)
    words = ["".join(_LATEX.get(character, character) for character in p) for p in pieces[::3]]
    found = words[:1]
    for of, by, after in zip(pieces[1::3], pieces[2::3], words[1:], strict=True):
        above, below = symbol(of).latex(), symbol(by).latex()
        found += [rf"\ensuremath{{\partial {above}/\partial {below}}}", after]
    return "".join(found)
