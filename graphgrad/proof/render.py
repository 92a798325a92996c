"""Polynomials of a certificate as text, in the names of the circuit."""

from __future__ import annotations

from fractions import Fraction

from graphgrad.proof.generators import Generators
from graphgrad.proof.sparse import Terms

LONGEST = 12
WIDEST = 400
"""Where a text is cut: after so many terms, or so many characters."""


def shown(table: Generators, terms: Terms) -> str:
    """Return a polynomial as text, cut short where it gets long."""
    if not terms:
        return "0"
    parts: list[str] = []
    for count, (monomial, c) in enumerate(sorted(terms.items(), key=lambda each: each[0])):
        if count == LONGEST or sum(map(len, parts)) > WIDEST:
            parts.append(f" + … ({len(terms) - count} more terms)")
            break
        sign = ("-" if c < 0 else "") if not parts else (" - " if c < 0 else " + ")
        factors = _powers(table, monomial)
        number = str(abs(Fraction(c)))
        if number != "1" or not factors:
            factors.insert(0, number)
        parts.append(sign + "*".join(factors))
    return "".join(parts)


def _powers(table: Generators, monomial: tuple[int, ...]) -> list[str]:
    found = []
    for gid in dict.fromkeys(monomial):
        exponent = monomial.count(gid)
        name = _name(table, gid)
        found.append(name if exponent == 1 else f"{name}**{exponent}")
    return found


def _name(table: Generators, gid: int) -> str:
    """Return a generator's name; functions of one generator or a few terms are written out."""
    parts: dict[int, str] = {}
    pending = [gid]
    while pending:
        top = pending[-1]
        item = table.items[top]
        if item.name or not item.args or sum(map(len, item.args)) > 3:
            parts[top] = item.name or f"{item.kind.split()[0]}(…)"
            pending.pop()
            continue
        missing = {g for arg in item.args for m in arg for g in m if g not in parts}
        if missing:
            pending.extend(missing)
            continue
        inside = ", ".join(_flat(arg, parts) for arg in item.args)
        kind, *degree = item.kind.split()
        if kind == "inverse":
            parts[top] = f"(1/({inside}))" if " " in inside else f"(1/{inside})"
        elif kind == "root":
            parts[top] = f"({inside})**(1/{degree[0]})"
        elif kind in ("name", "stop"):
            parts[top] = f"({inside})"
        else:
            parts[top] = f"{kind}({inside})"
        pending.pop()
    return parts[gid]


def _flat(terms: Terms, parts: dict[int, str]) -> str:
    text: list[str] = []
    for m, c in sorted(terms.items(), key=lambda each: each[0]):
        factors = [parts[g] for g in m]
        if abs(c) != 1 or not factors:
            factors.insert(0, str(abs(Fraction(c))))
        sign = ("-" if c < 0 else "") if not text else (" - " if c < 0 else " + ")
        text.append(sign + "*".join(factors))
    return "".join(text) or "0"
