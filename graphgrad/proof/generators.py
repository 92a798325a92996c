"""The generators of a certificate: entries of data, lets, cotangents, and atoms of functions.

An *atom* stands for a function at arguments that are polynomials; equal arguments share an atom.
A *let* stands for its definition, a polynomial in earlier generators.  Every atom carries its
defining derivative (tanh' = 1 - tanh**2, sigma' = sigma*(1 - sigma), exp' = exp, log' = 1/u, …),
written down here and nowhere taken from the rules in `ops/`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import Any, TypeVar

from graphgrad.proof.poly import UndecidableError
from graphgrad.proof.sparse import (
    Monomial,
    Relations,
    Terms,
    add_product,
    cleaned,
    normal,
    scaled,
    total,
)

Cause = TypeVar("Cause")
FACTORED = 3
"""The exponential of a sum of at most so many terms is a product of exponentials."""
LONG = 24
"""A factor with more terms is abbreviated where a product would become long."""
CONSTANTS = ("input", "cotangent", "stop", "step", "choice")
DEFINED = ("let", "name", "stop")
"""Kinds that stand for their argument."""


@dataclass(slots=True)
class Generator:
    """What a generator stands for; `active` says whether a derivative can flow through it."""

    kind: str
    name: str
    args: tuple[Terms, ...]
    active: bool
    positive: bool = False


class Poly:
    """A polynomial as a number type: what object arrays hold while a graph is evaluated."""

    __slots__ = ("table", "terms")

    def __init__(self, table: Generators, terms: Terms) -> None:
        self.table = table
        self.terms = terms

    def _lifted(self, other: Any) -> Terms:
        return other.terms if isinstance(other, Poly) else constant(other)

    def __add__(self, other: Any) -> Poly:
        a, b = self.terms, self._lifted(other)
        if len(a) < len(b):
            a, b = b, a
        if not b:
            return Poly(self.table, a)
        out = a.copy()
        get = out.get
        for m, c in b.items():
            value = get(m, 0) + c
            if value:
                out[m] = value
            else:
                del out[m]
        return Poly(self.table, out)

    __radd__ = __add__

    def __neg__(self) -> Poly:
        return Poly(self.table, {m: -c for m, c in self.terms.items()})

    def __sub__(self, other: Any) -> Poly:
        return self + Poly(self.table, scaled(self._lifted(other), -1))

    def __rsub__(self, other: Any) -> Poly:
        return (-self).__add__(other)

    def __mul__(self, other: Any) -> Poly:
        return Poly(self.table, self.table.product(self.terms, self._lifted(other)))

    __rmul__ = __mul__

    def __truediv__(self, other: Any) -> Poly:
        inverse = self.table.inverse(self._lifted(other))
        return Poly(self.table, self.table.product(self.terms, inverse))

    def __rtruediv__(self, other: Any) -> Poly:
        return self._quotient(constant(other))

    def _quotient(self, numerator: Terms) -> Poly:
        return Poly(self.table, self.table.product(numerator, self.table.inverse(self.terms)))

    def __pow__(self, exponent: Any) -> Poly:
        return Poly(self.table, self.table.power(self.terms, self._lifted(exponent)))

    def __rpow__(self, base: Any) -> Poly:
        return Poly(self.table, self.table.power(constant(base), self.terms))


def constant(number: Any) -> Terms:
    """Return a number as a polynomial."""
    value = normal(number if isinstance(number, int | Fraction) else Fraction(str(number)))
    return {(): value} if value else {}


def key_of(terms: Terms) -> object:
    """Return what two polynomials share if they are equal."""
    if len(terms) == 1:
        ((m, c),) = terms.items()
        return m, c
    return frozenset(terms.items())


def leading_sign(terms: Terms) -> int:
    """Return the sign of the first term, which tells a polynomial from its negative."""
    return 1 if terms[min(terms)] > 0 else -1


class Generators:
    """All generators in order of creation, and the functions that make atoms."""

    def __init__(self, relations: Relations) -> None:
        self.relations = relations
        self.items: list[Generator] = []
        self.active = bytearray()
        self.cotangents: set[int] = set()
        self.strict: set[int] = set()
        """Steps and choices of the forward pass: its kinks are not in the domain."""
        self.ties: dict[int, set[int]] = {}
        """What steps have to be where their argument is 0."""
        self.forward = False
        """Whether the forward pass is evaluated."""
        self._known: dict[object, int] = {}
        self._values: dict[object, int] = {}
        self._choices: dict[object, dict[object, Terms]] = {}
        self._slopes: dict[int, tuple[Terms, ...]] = {}

    # Generators

    def new(
        self,
        kind: str,
        name: str = "",
        args: Sequence[Terms] = (),
        *,
        active: bool | None = None,
        positive: bool = False,
    ) -> int:
        """Enter a generator and return its number."""
        if active is None:
            active = kind not in CONSTANTS and any(self.is_active(arg) for arg in args)
        for arg in args:
            self.relations.keep(len(arg))
        self.items.append(Generator(kind, name, tuple(args), active, positive))
        self.active.append(active)
        if kind == "cotangent":
            self.cotangents.add(len(self.items) - 1)
        return len(self.items) - 1

    def is_active(self, terms: Terms) -> bool:
        """Whether any generator in a polynomial lets a derivative flow."""
        active = self.active
        return any(active[g] for m in terms for g in m)

    def let(self, terms: Terms, name: str, *, active: bool | None = None) -> int:
        """Enter a generator for a value, and remember that it has this value."""
        gid = self.new("let", name, [terms], active=active, positive=self.is_positive(terms))
        key = key_of(terms)
        self._values.setdefault(key, gid)
        if key in self._choices:
            self._choices[key_of({(gid,): 1})] = self._choices[key]
        if len(terms) == 1:
            ((m, c),) = terms.items()
            if c == 1 and len(m) == 2 and m[0] != m[1]:
                for inverse, other in (m, m[::-1]):
                    if self.items[inverse].kind == "inverse":
                        self.relations.pair(inverse, other, gid)
        return gid

    def canonical(self, terms: Terms) -> Terms:
        """Return an equal polynomial: a let where one has this value."""
        if not terms:
            return terms
        first = next(iter(terms))
        if not first or (len(terms) > 1 and not self.cotangents.isdisjoint(first)):
            return terms  # a number, or no value of the forward pass
        gid = self._values.get(key_of(terms))
        return terms if gid is None else {(gid,): 1}

    def _atom(self, kind: str, *args: Terms, positive: bool = False) -> int:
        key = (kind, *map(key_of, args))
        gid = self._known.get(key)
        if gid is None:
            gid = self._known[key] = self.new(kind, args=args, positive=positive)
        return gid

    def abbreviated(self, terms: Terms) -> Terms:
        """Return a generator that stands for a long polynomial."""
        if len(terms) <= 1:
            return terms
        gid = self.named(terms)
        self._values.setdefault(key_of(terms), gid)
        return {(gid,): 1}

    def named(self, terms: Terms, kind: str = "name") -> int:
        """Return the generator that abbreviates a polynomial; a "sum" is never written out."""
        return self._atom(kind, terms, positive=self.is_positive(terms))

    def replaced(self, terms: Terms, gid: int, image: Terms) -> Terms:
        """Return a polynomial with another in place of a generator."""
        kept = {m: c for m, c in terms.items() if gid not in m}
        parts: list[Terms] = [kept]
        for m, c in terms.items():
            if gid not in m:
                continue
            part: Terms = {tuple(g for g in m if g != gid): c}
            for _ in range(m.count(gid)):
                part = self.product(part, image)
            parts.append(part)
        return total(parts)

    def is_positive(self, terms: Terms) -> bool:
        """Whether a polynomial is visibly > 0 wherever it is defined."""
        items = self.items
        return bool(terms) and all(
            c > 0 and all(items[g].positive for g in m) for m, c in terms.items()
        )

    # Arithmetic

    def product(self, a: Terms, b: Terms) -> Terms:
        """Return a product, abbreviating a long factor where the product would be long."""
        if len(a) > len(b):
            a, b = b, a
        if len(a) > 4 and len(a) * len(b) > 256 and len(b) > LONG:
            b = self.abbreviated(b)
        if len(a) > 1:
            self.relations.charge(len(a) * len(b))
        if len(a) == 1:
            ((m, c),) = a.items()
            if not m:
                return scaled(b, c)
            out: Terms = {tuple(sorted(m + n)): c * d for n, d in b.items()}
        else:
            out = {}
            add_product(out, a, b)
            out = cleaned(out)
        return self.relations.reduced(out)

    def inverse(self, terms: Terms) -> Terms:
        """Return 1/u: generator by generator for a monomial, else one generator for the sum."""
        if not terms:
            raise UndecidableError("a denominator vanishes identically")
        if len(terms) == 1:
            ((m, c),) = terms.items()
            return {tuple(sorted(map(self._partner, m))): normal(Fraction(1) / c)}
        c = terms[min(terms)]
        unit = scaled(terms, normal(Fraction(1) / c))
        gid = self._atom("inverse", unit, positive=self.is_positive(unit))
        return {(gid,): normal(Fraction(1) / c)}

    def _partner(self, gid: int) -> int:
        known = self.relations.partners.get(gid)
        if known is not None:
            return known
        item = self.items[gid]
        if item.kind == "inverse" and len(item.args[0]) > 1:
            inverse = self._atom("name", item.args[0], positive=item.positive)
        else:
            inverse = self._atom("inverse", {(gid,): 1}, positive=item.positive)
        self.relations.invertible(gid, inverse)
        return inverse

    def power(self, base: Terms, exponent: Terms) -> Terms:
        """Return a power: a product, a root, or an atom of both."""
        if not exponent:
            return {(): 1}
        shift = exponent.get((), 0)
        whole = shift.numerator // shift.denominator
        if abs(whole) > 64:
            raise UndecidableError(f"the exponent {whole} is too large")
        out: Terms = {(): 1}
        factor = self.inverse(base) if whole < 0 else base
        for _ in range(abs(whole)):
            out = self.product(out, factor)
        rest = total([exponent, constant(-whole)])
        if not rest:
            return out
        if set(rest) == {()}:
            fraction = Fraction(rest[()])
            root = self.root(base, fraction.denominator)
            for _ in range(fraction.numerator):
                out = self.product(out, root)
            return out
        gid = self._atom("power", base, rest, positive=True)
        return self.product(out, {(gid,): 1})

    def root(self, u: Terms, degree: int) -> Terms:
        """Return the root of a quantity > 0."""
        if not u or u == {(): 1}:
            return u
        key = (f"root {degree}", key_of(u))
        gid = self._known.get(key)
        if gid is None:
            gid = self._atom(f"root {degree}", u, positive=True)
            inverse = self._partner(gid)
            self.relations.power(gid, degree, u)
            self.relations.power(inverse, degree, self.inverse(u))
        return {(gid,): 1}

    # Functions: every rule is an identity wherever both sides are real and off the kinks

    def tanh(self, u: Terms) -> Terms:
        """Return tanh, odd."""
        if not u:
            return u
        sign = leading_sign(u)
        return {(self._atom("tanh", scaled(u, sign)),): sign}

    def sigmoid(self, u: Terms) -> Terms:
        """Return the logistic function; sigma(-u) = 1 - sigma(u)."""
        if not u:
            return {(): Fraction(1, 2)}
        if leading_sign(u) < 0:
            return total([{(): 1}, scaled(self.sigmoid(scaled(u, -1)), -1)])
        return {(self._atom("sigmoid", u, positive=True),): 1}

    def softplus(self, u: Terms) -> Terms:
        """Return the logarithm of 1 + exp(u); for -u it is less by u."""
        if u and leading_sign(u) < 0:
            return total([self.softplus(scaled(u, -1)), u])
        return {(self._atom("softplus", u, positive=True),): 1}

    def exp(self, u: Terms) -> Terms:
        """Return exp; of a short sum as a product, so that a shift of logits cancels.

        The exponential of a logarithm is its argument, positive where the logarithm is real.
        """
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

    # Kinks

    def step(self, u: Terms, tie: int | None = None) -> Terms:
        """Return 1 where u > 0, 0 where u < 0; for -u it is the other of the two.

        `tie` is the value at u = 0, None where it does not matter.
        """
        if not u:
            return {(): tie} if tie else {}
        if self.is_positive(scaled(u, -1)):
            return {}
        if self.is_positive(u):
            return {(): 1}
        if leading_sign(u) < 0:
            other = self.step(scaled(u, -1), None if tie is None else 1 - tie)
            return total([{(): 1}, scaled(other, -1)])
        unit = scaled(u, normal(Fraction(1) / u[min(u)]))
        gid = self._atom("step", unit)
        if self.forward:
            self.strict.add(gid)
        if tie is not None:
            self.ties.setdefault(gid, set()).add(tie)
        if gid not in self.relations.powers:
            self.relations.power(gid, 2, {(gid,): 1})
        return {(gid,): 1}

    def relu(self, u: Terms) -> Terms:
        """Return max(u, 0)."""
        return self.product(u, self.step(u))

    def abs(self, u: Terms) -> Terms:
        """Return the absolute value."""
        return self.product(u, total([scaled(self.step(u), 2), {(): -1}]))

    def maximum(self, a: Terms, b: Terms) -> Terms:
        """Return the larger of two."""
        return self.where(">", a, b, a, b)

    def minimum(self, a: Terms, b: Terms) -> Terms:
        """Return the smaller of two."""
        return self.where("<", a, b, a, b)

    def where(self, relation: str, left: Terms, right: Terms, a: Terms, b: Terms) -> Terms:
        """Return a where the comparison holds, else b, off the kink."""
        test = self._choice(left, right) if relation == ">=" else None
        if test is None:
            tie = 0 if relation in (">", "<=") else 1
            test = self.step(total([left, scaled(right, -1)]), tie)
            if relation in ("<", "<="):
                test = total([{(): 1}, scaled(test, -1)])
        other = total([{(): 1}, scaled(test, -1)])
        return total([self.product(test, a), self.product(other, b)])

    def max(self, entries: Sequence[Terms]) -> Terms:
        """Return the sum of e_i*v_i with e_i*e_j = 0, e_i**2 = e_i, the sum of e_i being 1."""
        key = ("max", *map(key_of, entries))
        first = self._known.get(key)
        if first is None:
            gids = [self.new("choice", args=entries) for _ in entries[1:]]
            first = self._known[key] = gids[0] if gids else -1
            self.relations.exclude(gids)
            for gid in gids:
                self.relations.power(gid, 2, {(gid,): 1})
        if self.forward:
            self.strict.update(range(first, first + len(entries) - 1))
        choices: list[Terms] = [{(first + k,): 1} for k in range(len(entries) - 1)]
        choices.append(total([{(): 1}, *(scaled(each, -1) for each in choices)]))
        value = total(self.product(e, v) for e, v in zip(choices, entries, strict=True))
        found = self._choices.setdefault(key_of(value), {})
        for choice, entry in zip(choices, entries, strict=True):
            found[key_of(entry)] = found[key_of(self.canonical(entry))] = choice
        return value

    def _choice(self, entry: Terms, largest: Terms) -> Terms | None:
        """Return the choice that an entry is the largest of those that `largest` is of."""
        return self._choices.get(key_of(largest), {}).get(key_of(entry))

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
