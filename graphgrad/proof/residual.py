"""Whether a residual is zero: lets written out step by step, denominators cleared, SymPy last.

A residual that is zero as a polynomial is zero. One that is not may still vanish, because a let has
a definition, Σ y = 1, or a denominator's inverse meets the denominator. Everything done here is an
identity on the domain, so "vanishes" is a proof; "does not" proves nothing.
"""

from __future__ import annotations

from collections.abc import Container, Iterable, Mapping
from fractions import Fraction
from functools import reduce

import sympy

from graphgrad.proof import functions
from graphgrad.proof.arithmetic import DEFINED
from graphgrad.proof.cases import vanishes_by_cases
from graphgrad.proof.generators import Generators, applied
from graphgrad.proof.poly import ExhaustedError, UndecidableError
from graphgrad.proof.sparse import Terms, add_product, cleaned, total
from graphgrad.proof.zero import Field

SHALLOW = ("quotients", "products", "products")
NEWEST = ("newest",) * 4
ROUNDS = 3
SYMPY_TERMS = 400
MAX_TERMS = 20_000
SYMPY_SECONDS = 3.0


def vanishes(
    table: Generators, residual: Terms, *, hard: bool = True, rounds: int | None = None
) -> bool:
    """Whether a residual is provably zero on the domain; False is no proof of the contrary.

    Without `hard` only quotients and products are put in for the lets they are. With `rounds` all
    lets are put in, so many times one after the other; nothing further away is looked at.
    """
    if rounds is None:
        steps = (*SHALLOW, *NEWEST, *[None] * ROUNDS) if hard else SHALLOW
        return _vanishes(table, residual, steps) or (hard and _by_sympy(table, residual))
    return (
        _vanishes(table, residual, NEWEST[:rounds])
        or _vanishes(table, residual, (None,) * rounds)
        or (rounds > 0 and _by_sympy(table, residual))
    )


def _vanishes(table: Generators, residual: Terms, steps: tuple[str | None, ...]) -> bool:
    relations = table.relations
    kept = relations.folding, relations.max_terms
    relations.folding, relations.max_terms = False, MAX_TERMS
    try:
        terms = residual
        for depth in steps:
            if depth is None:
                better = written_out(table, terms)
            elif depth == "newest":
                better = _newest_written_out(table, terms)
            else:
                better = _lets_written_out(table, terms, depth)
            if better is not None:
                terms = better
            if not cleared(table, terms):
                return True
            if better is None and depth is None:
                break
        if None in steps and _by_cases(table, terms):
            return True
    except ExhaustedError:
        raise
    except UndecidableError:
        pass
    finally:
        relations.folding, relations.max_terms = kept
    return False


def _lets_written_out(table: Generators, terms: Terms, depth: str) -> Terms | None:
    """Return the polynomial with its quotients, or its products, put in for the lets they are."""
    images: dict[int, Terms] = {}
    for gid in {g for m in terms for g in m}:
        item = table.items[gid]
        if item.kind in DEFINED and (item.kind == "stop" or len(item.args[0]) <= 1):
            kinds = {table.items[g].kind for m in item.args[0] for g in m}
            if depth == "products" or "inverse" in kinds or item.kind == "stop":
                images[gid] = item.args[0]
    return _substituted(table, terms, images) if images else None


def written_out(table: Generators, terms: Terms) -> Terms | None:
    """Return the polynomial with all lets put in once, in arguments of atoms too."""
    reached = _reached(table, terms, DEFINED)
    images = {gid: table.items[gid].args[0] for gid in reached if table.items[gid].kind in DEFINED}
    return _rewritten(table, terms, images, reached, everywhere=True) if images else None


def _newest_written_out(table: Generators, terms: Terms) -> Terms | None:
    """Return the polynomial with the newest lets put in, the entries of one value or a few.

    What a value was computed from stays short, where all lets at once may be long.
    """
    reached = _reached(table, terms, DEFINED)
    newest = max((gid for gid in reached if table.items[gid].kind in DEFINED), default=-1)
    images: dict[int, Terms] = {}
    while newest >= 0 and table.items[newest].kind in DEFINED:
        if newest in reached:
            images[newest] = table.items[newest].args[0]
        newest -= 1
    return _rewritten(table, terms, images, reached, everywhere=True) if images else None


def _rewritten(
    table: Generators,
    terms: Terms,
    images: Mapping[int, Terms],
    reached: Iterable[int],
    *,
    everywhere: bool,
) -> Terms:
    """Return the polynomial with generators replaced, in arguments of atoms too.

    They are equal to what replaces them `everywhere`, or in one case of several.
    """
    known = dict(images)
    for gid in sorted(reached):
        item = table.items[gid]
        if gid in known or item.kind in ("choice", "let", "sum"):
            continue
        if any(g in known for arg in item.args for m in arg for g in m):
            args = [_substituted(table, arg, known) for arg in item.args]
            if item.kind == "step":
                known[gid] = _step(table, gid, args[0], everywhere=everywhere)
            else:
                known[gid] = args[0] if item.kind in DEFINED else applied(table, item.kind, args)
    return _substituted(table, terms, known)


def _step(table: Generators, gid: int, argument: Terms, *, everywhere: bool) -> Terms:
    """Return a step at another argument."""
    found = table.step(argument, table.ties[gid])
    if everywhere and gid in table.strict:
        table.strict |= {g for m in found for g in m}
    return found


def _by_cases(table: Generators, terms: Terms) -> bool:
    """Whether a residual with kinks is zero for every combination of signs that is possible."""

    def rewrite(rest: Terms, images: dict[int, Terms]) -> Terms:
        return _rewritten(
            table, rest, images, _reached(table, rest, ("let", "sum")), everywhere=False
        )

    return vanishes_by_cases(table, terms, rewrite, lambda rest: not cleared(table, rest))


def _reached(table: Generators, terms: Terms, opaque: Container[str]) -> set[int]:
    """Return the generators in a polynomial and in the arguments of those not `opaque`."""
    found: set[int] = set()
    pending = {g for m in terms for g in m}
    while pending:
        gid = pending.pop()
        found.add(gid)
        item = table.items[gid]
        if item.kind not in opaque:
            pending |= {g for arg in item.args for m in arg for g in m} - found
    return found


def _substituted(table: Generators, terms: Terms, images: dict[int, Terms]) -> Terms:
    """Return a polynomial with generators replaced."""
    out: Terms = {}
    for m, c in terms.items():
        kept = tuple(g for g in m if g not in images)
        if len(kept) == len(m):
            out[m] = out.get(m, 0) + c
            continue
        part: Terms = {kept: c}
        for g in m:
            if g in images:
                part = table.product(part, images[g])
        add_product(out, part, {(): 1})
        table.relations.charge(len(out))
    return table.relations.reduced(cleaned(out))


def cleared(table: Generators, terms: Terms) -> Terms:
    """Return a numerator: inverses of sums multiplied out, newest first."""
    while terms:
        inverses = {
            g
            for m in terms
            for g in m
            if table.items[g].kind == "inverse" and len(table.items[g].args[0]) > 1
        }
        if not inverses:
            return terms
        gid = max(inverses)
        base = table.items[gid].args[0]
        parts: dict[int, Terms] = {}
        for m, c in terms.items():
            part = parts.setdefault(m.count(gid), {})
            rest = tuple(g for g in m if g != gid)
            part[rest] = part.get(rest, 0) + c
        out: Terms = {}
        for k in range(max(parts) + 1):  # Horner's scheme in the denominator
            out = total([table.product(out, base), parts.get(k, {})])
        terms = out
    return terms


# -- SymPy -----------------------------------------------------------------------------------------

_FUNCTIONS = {
    "tanh": sympy.tanh,
    "sigmoid": functions.sigma,
    "softplus": functions.softplus,
    "exp": sympy.exp,
    "log": sympy.log,
    "sin": sympy.sin,
    "cos": sympy.cos,
    "step": functions.step,
    "stop": lambda u: u,
    "name": lambda u: u,
    "inverse": lambda u: 1 / u,
    "power": lambda a, b: a**b,
}


def as_sympy(table: Generators, terms: Terms) -> sympy.Expr:
    """Return a polynomial as a SymPy expression, in which lets are symbols."""
    found = _reached(table, terms, ("let",))
    images: dict[int, sympy.Expr] = {}
    for gid in sorted(found):
        item = table.items[gid]
        if not item.args or item.kind == "let":
            images[gid] = sympy.Symbol(item.name or f"q_{gid}", real=True)
            continue
        args = [_sum(arg, images) for arg in item.args]
        kind, *degree = item.kind.split()
        if kind == "step" and table.ties[gid] and gid not in table.strict:
            raise UndecidableError("SymPy has one step for > and >=")
        if kind == "root":
            images[gid] = args[0] ** sympy.Rational(1, int(degree[0]))
        elif kind in _FUNCTIONS:
            images[gid] = _FUNCTIONS[kind](*args)
        else:
            raise UndecidableError(f"{kind} has no meaning in SymPy")
    return _sum(terms, images)


def _sum(terms: Terms, images: dict[int, sympy.Expr]) -> sympy.Expr:
    return sympy.Add(*(_product(c, (images[g] for g in m)) for m, c in terms.items()))


def _product(c: int | Fraction, factors: Iterable[sympy.Expr]) -> sympy.Expr:
    fraction = Fraction(c)
    number = sympy.Rational(fraction.numerator, fraction.denominator)
    return reduce(lambda a, b: a * b, factors, number)


def _by_sympy(table: Generators, residual: Terms) -> bool:
    """Ask the field of `zero.py`, which knows how exp, log, tanh and sigma hang together."""
    if len(residual) > SYMPY_TERMS:
        return False
    left = min(SYMPY_SECONDS, table.relations.clock.left)
    for candidate in (residual, _lets_written_out(table, residual, "products")):
        if candidate is None or left <= 0:
            continue
        try:
            if Field().decide(as_sympy(table, candidate), time_limit=left).verdict == "zero":
                return True
        except UndecidableError:
            return False
    return False
