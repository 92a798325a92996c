"""Functions with kinks over polynomials: steps of arguments, and choices of the largest."""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction

from graphgrad.proof.arithmetic import Arithmetic
from graphgrad.proof.sparse import Terms, key_of, leading_sign, normal, scaled, total


class Kinks(Arithmetic):
    """Functions that are other polynomials on either side of a kink."""

    def step(self, u: Terms, tie: int | None = None) -> Terms:
        """Return 1 where u > 0, 0 where u < 0; for -u it is the other of the two.

        `tie` is the value at u = 0; it does not matter where u is a factor.
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
        return {(self._step(unit, 0 if tie is None else tie),): 1}

    def _step(self, u: Terms, tie: int) -> int:
        """Return the step of an argument that has a value `tie` at 0.

        Where the forward pass compares, 0 is not in the domain, and there is one step for both.
        """
        keys = [("step", key_of(u), other) for other in (tie, 1 - tie)]
        mine, other = (self._known.get(key) for key in keys)
        if mine is None and other is not None and (self.forward or other in self.strict):
            mine = other
        if mine is None:
            mine = self._known[keys[0]] = self.new("step", args=(u,))
            self.ties[mine] = tie
            self.relations.power(mine, 2, {(mine,): 1})
        if self.forward:
            self.strict.add(mine)
        return mine

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
        if test is None or not self.strict.issuperset(g for m in test for g in m):
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
