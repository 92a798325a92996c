"""The generators of a certificate: entries of data, lets, cotangents, and atoms of functions.

Every atom carries its defining derivative (tanh' = 1 - tanh**2, sigma' = sigma*(1 - sigma),
exp' = exp, log' = 1/u, …), written down here and nowhere taken from the rules in `ops/`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from fractions import Fraction
from typing import TypeVar

from graphgrad.proof.kinks import Kinks
from graphgrad.proof.poly import UndecidableError
from graphgrad.proof.sparse import (
    Monomial,
    Terms,
    cleaned,
    key_of,
    leading_sign,
    normal,
    scaled,
    total,
)

Cause = TypeVar("Cause")
FACTORED = 3
"""The exponential of a sum of at most so many terms is a product of exponentials."""


class Generators(Kinks):
    """All generators in order of creation, the functions that make atoms, and derivatives."""

    # Functions: every rule is an identity wherever both sides are real and off the kinks

    def tanh(self, u: Terms) -> Terms:
        """Return tanh, odd."""
        if not u:
            return u
        sign = leading_sign(u)
        double = scaled(u, 2 * sign)
        sigma = self._made("sigmoid", double)
        if sigma is not None:
            return {(sigma,): 2 * sign, (): -sign}
        gid = self._known["tanh of half", key_of(double)] = self._atom("tanh", scaled(u, sign))
        return {(gid,): sign}

    def sigmoid(self, u: Terms) -> Terms:
        """Return the logistic function; sigma(-u) = 1 - sigma(u)."""
        if not u:
            return {(): Fraction(1, 2)}
        if leading_sign(u) < 0:
            return total([{(): 1}, scaled(self.sigmoid(scaled(u, -1)), -1)])
        bent = self._made("tanh of half", u)
        if bent is not None:
            return {(bent,): Fraction(1, 2), (): Fraction(1, 2)}
        return {(self._atom("sigmoid", u, positive=True),): 1}

    def _made(self, kind: str, u: Terms) -> int | None:
        """Return an atom if there is one already."""
        return self._known.get((kind, key_of(u)))

    def softplus(self, u: Terms) -> Terms:
        """Return the logarithm of 1 + exp(u); for -u it is less by u."""
        if u and leading_sign(u) < 0:
            return total([self.softplus(scaled(u, -1)), u])
        return {(self._atom("softplus", u, positive=True),): 1}

    def exp(self, u: Terms) -> Terms:
        """Return exp; of a short sum as a product, so that a shift of logits cancels.

        The exponential of a logarithm is its argument, positive where the logarithm is real. Where
        s = sigma(u) is there, exp(u) = 1/(1 - s) - 1 and exp(-u) = 1/s - 1.
        """
        sign = leading_sign(u) if u else 1
        sigma = self._made("sigmoid", scaled(u, sign))
        if sigma is not None:
            odds = self._above(sigma) if sign > 0 else self._partner(sigma)
            return {(odds,): 1, (): -1}
        out: Terms = {(): 1}
        logs = [m for m, c in u.items() if self._is_log(m) and c in (1, -1)]
        for m in logs:
            (argument,) = self.items[m[0]].args
            out = self.product(out, argument if u[m] > 0 else self.inverse(argument))
        u = {m: c for m, c in u.items() if m not in logs} if logs else u
        if len(u) > FACTORED:
            sign = leading_sign(u)
            gid = self._atom("exp", scaled(u, sign), positive=True)
            return self.product(out, {(gid if sign > 0 else self._partner(gid),): 1})
        for m, c in u.items():
            n, d = Fraction(c).as_integer_ratio()
            unit = Fraction(1, d)
            if abs(n) > 64:
                n, unit = (1 if n > 0 else -1), abs(Fraction(c))
            gid = self._atom("exp", {m: normal(unit)}, positive=True)
            gid = gid if n > 0 else self._partner(gid)
            out = self.product(out, {(gid,) * abs(n): 1})
        return out

    def _above(self, s: int) -> int:
        """Return the generator 1/(1 - s) for s = sigma(u), with what its products are."""
        rest: Terms = {(): 1, (s,): -1}
        above, below = self._atom("inverse", rest, positive=True), self._partner(s)
        self.relations.product(s, above, {(above,): 1, (): -1})
        self.relations.product(below, above, {(below,): 1, (above,): 1})
        self.relations.power(self._partner(above), 1, rest)
        return above

    def _is_log(self, m: Monomial) -> bool:
        return len(m) == 1 and self.items[m[0]].kind == "log"

    def log(self, u: Terms) -> Terms:
        """Return log, of a product of positive generators as a sum."""
        if not u:
            raise UndecidableError("the argument of log vanishes identically")
        if len(u) > 1 or not self.is_positive(u):
            return {(self._atom("log", u),): 1}
        ((m, c),) = u.items()
        parts: list[Terms] = [{(self._atom("log", {(): c}),): 1}] if c != 1 else []
        return total([*parts, *map(self._log_generator, m)])

    def _log_generator(self, gid: int) -> Terms:
        item = self.items[gid]
        if item.kind == "exp":
            return item.args[0]
        if item.kind == "inverse":
            return scaled(self.log(item.args[0]), -1)
        if item.kind == "sigmoid":
            return scaled(self.softplus(scaled(item.args[0], -1)), -1)
        if item.kind == "name":
            return {(self._atom("log", item.args[0]),): 1}
        return {(self._atom("log", {(gid,): 1}),): 1}

    def sqrt(self, u: Terms) -> Terms:
        """Return the square root."""
        return self.root(u, 2)

    def cos(self, u: Terms) -> Terms:
        """Return the cosine, even."""
        return {(self._angle(u)[0],): 1} if u else {(): 1}

    def sin(self, u: Terms) -> Terms:
        """Return the sine, odd, with sin**2 = 1 - cos**2."""
        return {(self._angle(u)[1],): leading_sign(u)} if u else {}

    def _angle(self, u: Terms) -> tuple[int, int]:
        u = scaled(u, leading_sign(u))
        cos, sin = self._atom("cos", u), self._atom("sin", u)
        if sin not in self.relations.powers:
            self.relations.power(sin, 2, {(): 1, (cos, cos): -1})
        return cos, sin

    def stop_gradient(self, u: Terms) -> Terms:
        """Return what has the value of its argument and no derivative."""
        return {(self._atom("stop", u),): 1} if self.is_active(u) else u

    # Derivatives

    def slopes(self, gid: int) -> tuple[Terms, ...]:
        """Return the derivative of an atom by each argument, in terms of values."""
        found = self._slopes.get(gid)
        if found is None:
            item = self.items[gid]
            kind = item.kind.split()[0]
            found = self._slopes[gid] = SLOPES[kind](self, gid, *item.args)
        return found

    def value(self, gid: int) -> Terms:
        """Return an atom's value, as a let where one has it."""
        return self.canonical({(gid,): 1})

    def pushed(self, adjoints: dict[int, Terms], weight: Terms, terms: Terms) -> None:
        """Add weight times the derivative of a polynomial to the adjoints of its generators."""
        active = self.active
        if len(weight) > 1:
            self.relations.charge(len(weight) * len(terms))
        for m, c in terms.items():
            before = -1
            for position, g in enumerate(m):
                if g == before or not active[g]:
                    continue
                before = g
                rest: Monomial = m[:position] + m[position + 1 :]
                factor = c * m.count(g) if len(m) > 1 else c
                out = adjoints.get(g)
                if out is None:
                    out = adjoints[g] = {}
                get = out.get
                for n, d in weight.items():
                    k = tuple(sorted(rest + n)) if rest else n
                    out[k] = get(k, 0) + factor * d

    def gradients(
        self,
        carried: dict[int, Terms],
        seeds: dict[int, Terms],
        named: Callable[[Terms], Terms] = lambda weight: weight,
    ) -> dict[int, Terms]:
        """Return ∂loss/∂q + Σ λ_v ∂f_v/∂q for every let and every entry of the data.

        `carried` maps lets to λ, `seeds` lets to ∂loss/∂v. The loop goes from the newest generator
        to the oldest: what a generator is read by is newer than it. `named` may write the cotangent
        of a sum over time in another way.
        """
        adjoints: dict[int, Terms] = {gid: dict(terms) for gid, terms in seeds.items()}
        truth: dict[int, Terms] = {}
        for gid in range(len(self.items) - 1, -1, -1):
            found = adjoints.pop(gid, None)
            if found is None and gid not in carried:
                continue
            self.relations.hold(len(found) if found else 1)
            weight = self.relations.reduced(cleaned(found)) if found else {}
            item = self.items[gid]
            if gid in carried or item.kind in ("param", "input"):
                truth[gid] = weight
                self.relations.keep(len(weight))
                weight = carried.get(gid, weight)
            if not weight or not item.args:
                continue
            if item.kind == "sum":
                weight = named(weight)
            if item.kind in ("let", "name", "sum"):
                self.pushed(adjoints, weight, item.args[0])
                continue
            for slope, arg in zip(self.slopes(gid), item.args, strict=True):
                self.pushed(adjoints, self.product(weight, slope), arg)
        return truth

    def below(self, causes: Mapping[int, Cause]) -> dict[int, Cause]:
        """Return what derivatives flow to from the given generators, and the newest from which."""
        found: dict[int, Cause] = {}
        for gid in range(max(causes, default=-1), -1, -1):
            if gid not in found and gid not in causes:
                continue
            cause = found.setdefault(gid, causes[gid]) if gid in causes else found[gid]
            for arg in self.items[gid].args:
                for m in arg:
                    for g in m:
                        if self.active[g]:
                            found.setdefault(g, cause)
        return found


def _unit(gid: int) -> Terms:
    return {(gid,): 1}


def _inverse_slope(table: Generators, gid: int, u: Terms) -> tuple[Terms, ...]:
    return ({(gid, gid): -1},)


def _power_slopes(table: Generators, gid: int, base: Terms, exponent: Terms) -> tuple[Terms, ...]:
    by_base = table.product(table.product(exponent, _unit(gid)), table.inverse(base))
    return by_base, table.product(_unit(gid), table.log(base))


def _root_slope(table: Generators, gid: int, u: Terms) -> tuple[Terms, ...]:
    """(u**(1/n))' = 1/(n * (u**(1/n))**(n - 1))."""
    degree = int(table.items[gid].kind.split()[1])
    inverse = table.inverse(_unit(gid))
    out: Terms = {(): Fraction(1, degree)}
    for _ in range(degree - 1):
        out = table.product(out, inverse)
    return (out,)


def _one_less_square(table: Generators, gid: int, u: Terms) -> tuple[Terms, ...]:
    value = table.value(gid)
    return (total([{(): 1}, scaled(table.product(value, value), -1)]),)


def _logistic_slope(table: Generators, gid: int, u: Terms) -> tuple[Terms, ...]:
    value = table.value(gid)
    return (total([value, scaled(table.product(value, value), -1)]),)


SLOPES: dict[str, Callable[..., tuple[Terms, ...]]] = {
    "tanh": _one_less_square,
    "sigmoid": _logistic_slope,
    "exp": lambda table, gid, u: (table.value(gid),),
    "log": lambda table, gid, u: (table.inverse(u),),
    "softplus": lambda table, gid, u: (table.canonical(table.sigmoid(u)),),
    "sin": lambda table, gid, u: (table.cos(u),),
    "cos": lambda table, gid, u: (scaled(table.sin(u), -1),),
    "inverse": _inverse_slope,
    "power": _power_slopes,
    "root": _root_slope,
}


def applied(table: Generators, kind: str, args: Iterable[Terms]) -> Terms:
    """Return a function at other arguments; what kinds of atoms mean."""
    name, *degree = kind.split()
    found: Terms = getattr(table, name)(*args, *map(int, degree))
    return found
