"""Residuals with kinks, sign by sign: each combination of signs is impossible, or leaves nothing.

A step atom s stands for "u > 0", the choices of a maximum for "v_i is the largest". One case of
finitely many holds at every point of the domain. In a case every step is 0 or 1 and every choice is
made; the residual is rewritten with these numbers, and the inequalities of the case are known:
u ≥ 0 or -u ≥ 0, v_i - v_j ≥ 0. They are strict where the forward pass compares, since its kinks are
not in the domain. A claim may compare what is equal, `relu(u) > 0` with u < 0; so `>` and `>=` have
steps of their own in a claim, 0 and 1 where u = 0, and one inequality is strict. Either the
residual is zero then, or the inequalities contradict each other, which is shown by eliminating
monomials one after the other as if they were independent (Fourier–Motzkin): a positive combination
of them says 0 > 0. If all cases are settled, the residual vanishes on the domain. A case that is
not settled shows nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

from graphgrad.proof.generators import Generators
from graphgrad.proof.sparse import Monomial, Terms, scaled, total

MOST_CASES = 256
"""How many cases are looked at."""
MOST_FACTS = 120
"""How many inequalities are followed up."""


@dataclass(frozen=True)
class Fact:
    """A polynomial is positive, or at least not negative."""

    terms: Terms
    strict: bool


@dataclass(frozen=True)
class Alternative:
    """One of the cases of a kink: what generators are then, and what is positive."""

    images: dict[int, Terms]
    facts: list[Fact]


Rewrite = Callable[[Terms, dict[int, Terms]], Terms]
"""Put polynomials in for generators, in arguments of functions too."""


def vanishes_by_cases(
    table: Generators, terms: Terms, rewrite: Rewrite, is_zero: Callable[[Terms], bool]
) -> bool:
    """Whether a residual is zero in every combination of signs that is possible."""
    count = 0
    pending: list[tuple[Terms, list[Fact]]] = [(terms, [])]
    while pending:
        rest, facts = pending.pop()
        table.relations.tick()
        count += 1
        if count > MOST_CASES:
            return False
        if not rest or is_zero(rest) or contradictory(table, facts):
            continue
        alternatives = list(_alternatives(table, rest, facts))
        if not alternatives:
            return False
        for each in alternatives:
            known = [
                Fact(rewrite(fact.terms, each.images), fact.strict) for fact in facts + each.facts
            ]
            pending.append((rewrite(rest, each.images), known))
    return True


def _alternatives(table: Generators, terms: Terms, facts: list[Fact]) -> Iterator[Alternative]:
    """Yield the cases of the oldest kink in a residual, or in what is known of it."""
    kinks = sorted(_kinks(table, terms)) or sorted(
        gid for fact in facts for gid in _kinks(table, fact.terms)
    )
    if not kinks:
        return
    gid = kinks[0]
    item, strict = table.items[gid], gid in table.strict
    if item.kind == "step":
        (argument,) = item.args
        tie = table.ties[gid]
        yield Alternative({gid: {(): 1}}, [Fact(argument, strict or tie == 0)])
        yield Alternative({gid: {}}, [Fact(scaled(argument, -1), strict or tie == 1)])
        return
    entries = item.args
    group = sorted({gid, *table.relations.exclusive.get(gid, ())})
    for chosen, entry in enumerate(entries):
        images: dict[int, Terms] = {g: {(): 1} if k == chosen else {} for k, g in enumerate(group)}
        others = [e for k, e in enumerate(entries) if k != chosen]
        facts = [Fact(total([entry, scaled(other, -1)]), strict) for other in others]
        yield Alternative(images, facts)


def _kinks(table: Generators, terms: Terms) -> set[int]:
    """Return the steps and choices in a polynomial, and in the arguments of its functions."""
    found: set[int] = set()
    seen: set[int] = set()
    pending = {g for m in terms for g in m}
    while pending:
        gid = pending.pop()
        seen.add(gid)
        item = table.items[gid]
        if item.kind in ("step", "choice"):
            found.add(gid)
        if item.kind not in ("let", "sum"):
            pending |= {g for arg in item.args for m in arg for g in m} - seen
    return found


# -- inequalities ----------------------------------------------------------------------------------


def contradictory(table: Generators, facts: list[Fact]) -> bool:
    """Whether not all of the inequalities can hold at a point."""
    facts = [Fact(_without_content(table, fact.terms), fact.strict) for fact in facts]
    if any(_is_false(fact) for fact in facts):
        return True
    monomials = {m for fact in facts for m in fact.terms if m}
    facts += [fact for m in monomials for fact in _known(table, m)]
    for m in sorted(monomials | {n for fact in facts for n in fact.terms if n}):
        facts = _eliminated(facts, m)
        if any(_is_false(fact) for fact in facts):
            return True
        if len(facts) > MOST_FACTS:
            return False
    return False


def _is_false(fact: Fact) -> bool:
    if not fact.terms:
        return fact.strict
    return set(fact.terms) == {()} and fact.terms[()] < 0


def _eliminated(facts: list[Fact], m: Monomial) -> list[Fact]:
    """Return what follows without a monomial."""
    kept = [fact for fact in facts if m not in fact.terms]
    above = [fact for fact in facts if fact.terms.get(m, 0) > 0]
    below = [fact for fact in facts if fact.terms.get(m, 0) < 0]
    for one in above:
        for other in below:
            terms = total([scaled(one.terms, -other.terms[m]), scaled(other.terms, one.terms[m])])
            kept.append(Fact(terms, one.strict or other.strict))
    return kept


def _without_content(table: Generators, terms: Terms) -> Terms:
    """Return a polynomial divided by positive generators that all its terms have."""
    if not terms:
        return terms
    first, *others = terms
    common = [g for g in first if table.items[g].positive]
    for m in others:
        left = list(m)
        kept = []
        for g in common:
            if g in left:
                left.remove(g)
                kept.append(g)
        common = kept
    out: Terms = {}
    for m, c in terms.items():
        rest = list(m)
        for g in common:
            rest.remove(g)
        out[tuple(rest)] = c
    return out


def _known(table: Generators, m: Monomial) -> Iterator[Fact]:
    """Yield what is known of a monomial anywhere: positive factors, squares, bounded functions."""
    items = table.items
    odd = [g for g in set(m) if m.count(g) % 2 and not items[g].positive]
    if not odd:
        yield Fact({m: 1}, strict=all(items[g].positive for g in m))
    if len(m) == 1:
        kind = items[m[0]].kind
        if kind in ("tanh", "sigmoid"):
            yield Fact({(): 1, m: -1}, strict=True)
        if kind == "tanh":
            yield Fact({(): 1, m: 1}, strict=True)
        if kind in ("sin", "cos"):
            yield Fact({(): 1, m: -1}, strict=False)
            yield Fact({(): 1, m: 1}, strict=False)
