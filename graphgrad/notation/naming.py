"""The symbols of all names of one circuit, cotangents recognised, no two of them alike."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import NamedTuple

from graphgrad.declared import Declared
from graphgrad.ir import OPS, topological
from graphgrad.notation.boxes import identifier
from graphgrad.notation.names import (
    COTANGENTS,
    TANGENTS,
    Instant,
    Symbol,
    by_its_parts,
    symbol,
    verbatim,
)


class Cotangent(NamedTuple):
    """What the name of a cotangent says: of what it is, at which fixed step, and its number."""

    prefix: str
    primal: str
    time: Instant | None = None
    serial: str = ""


class Names(Mapping[str, Symbol]):
    """The symbols of the names of a circuit.

    The cotangent `d_h` of a variable is δ with subscript h, that of a boundary value (`d_h_0`)
    carries its time, and that of a parameter W is ∂L/∂W; `loss` is the name of that L. Cotangents
    inside an equation (`delta_h`) have a tilde, tangents (`dot_h`) a dot. A name that would look
    like another one stays as it was typed. With `subscripts`, times are subscripts, so `h0` must
    not look like `h[0]`. Where no loss is named and none is called `loss`, it is the one static
    variable that nothing reads.
    """

    def __init__(
        self, declared: Declared, *, loss: str | None = None, subscripts: bool = False
    ) -> None:
        self.declared = declared
        self._subscripts = subscripts
        self._known = {*declared.params, *declared.inputs, *declared.equations}
        self._derived = any(self._split(name, COTANGENTS) for name in declared.equations)
        self.loss = self._last() if loss is None else loss
        self._symbols: dict[str, Symbol] = {}
        self._distinguish()
        self.bases = {identifier(each.base).latex for each in self._symbols.values()}
        """The bases of all symbols, in LaTeX."""

    def _last(self) -> str:
        """Return the static variable that everything leads to; `loss` where that is not clear."""
        read = {
            expr.attr
            for equation in self.declared.equations.values()
            for expr in topological([equation.root])
            if expr.op is OPS["static"]
        }
        last = [
            name
            for name, equation in self.declared.equations.items()
            if equation.index is None and name not in read and not self.cotangent(name)
        ]
        return last[0] if len(last) == 1 and "loss" not in self._known else "loss"

    def _distinguish(self) -> None:
        """Give every name the first of its candidates that looks like no other name."""
        # the symbols in use, and whether what they stand for has a time
        seen: dict[str, bool] = {}
        signals = {symbol(name).latex() for name in self._known if self._indexed(name)}
        for name in self._ordered():
            indexed = self._indexed(name)
            for candidate in self._candidates(name):
                shown = candidate.latex()
                if self._subscripts and _like_a_step(candidate, signals):
                    continue
                # L beside L with a time is how textbooks write the total loss
                if shown not in seen or (_is_loss(name) and seen[shown] and not indexed):
                    break
            seen[candidate.latex()] = indexed
            self._symbols[name] = candidate

    def _ordered(self) -> list[str]:
        indices = self.declared.indices.values()
        names = [name for index in indices for name in (index.name, index.length)]
        names += [*self.declared.params, *self.declared.inputs, *self.declared.equations]
        return sorted(dict.fromkeys((*names, *self.declared.sizes)), key=self._rank)

    def _rank(self, name: str) -> int:
        """Letters as they are come first, cotangents and tangents after what they belong to."""
        if name.partition("_")[0] in TANGENTS:
            return 4
        return 3 if self.cotangent(name) else 2 if name == "loss" else int(len(name) > 1)

    def _indexed(self, name: str) -> bool:
        return self.declared.index_of(name) is not None

    def _candidates(self, name: str) -> tuple[Symbol, ...]:
        found = self.cotangent(name)
        if found is None:
            return self._tangent(name) or by_its_parts(name), verbatim(name)
        return self._symbol_of(found), symbol(name), verbatim(name)

    def _tangent(self, name: str) -> Symbol | None:
        """Return the symbol of the tangent of another name; None for a name that is none."""
        prefix, _, rest = name.partition("_")
        if prefix not in TANGENTS or not self._known & {rest, rest.rstrip("0123456789")}:
            return None
        of = self._symbols.get(rest)
        if of is None or of.per is not None or of.dots + TANGENTS[prefix] > len(TANGENTS):
            return symbol(name)
        return replace(of, dots=of.dots + TANGENTS[prefix])

    def cotangent(self, name: str) -> Cotangent | None:
        """Return what the name of a cotangent says, None for a name that is not one."""
        return self._split(name, {*COTANGENTS, "delta"} if self._derived else COTANGENTS)

    def _split(self, name: str, prefixes: Mapping[str, str] | set[str]) -> Cotangent | None:
        prefix, _, rest = name.partition("_")
        if prefix not in prefixes or not rest:
            return None
        numbered = re.fullmatch(r"(.*?)(\d+)", rest) if prefix == "delta" else None
        for whole, serial in ((rest, ""), numbered.groups() if numbered else ("", "")):
            if whole in self._known:
                return Cotangent(prefix, whole, serial=serial)
            stem, _, end = whole.rpartition("_")
            time = self._instant(stem, end)
            if time is not None:
                return Cotangent(prefix, stem, time, serial)
        return None

    def _instant(self, name: str, text: str) -> Instant | None:
        """Return the step of a variable that the end of a name stands for: `0`, `m1`, `tau1`."""
        index = self.declared.index_of(name) if name in self._known else None
        if index is None:
            return None
        length = self.declared.indices[index].length
        for base, pattern in (("", r"(m?)(\d+)"), (length, rf"{length}(m?)(\d*)")):
            if (step := re.fullmatch(pattern, text)) is not None:
                return Instant(base, int(step[2] or 0) * (-1 if step[1] else 1))
        return None

    def _symbol_of(self, found: Cotangent) -> Symbol:
        of = self._symbols.get(found.primal) or symbol(found.primal)
        variable = found.primal in self.declared.equations or self._indexed(found.primal)
        if found.prefix == "d" and not variable:
            return replace(of, per=self._symbols.get(self.loss) or symbol(self.loss))
        sub = ((of,), *([(Symbol(found.serial),)] if found.serial else []))
        return Symbol("δ", COTANGENTS.get(found.prefix, "tilde"), sub, found.time)

    def __getitem__(self, name: str) -> Symbol:
        return self._symbols[name] if name in self._symbols else symbol(name)

    def __iter__(self) -> Iterator[str]:
        return iter(self._symbols)

    def __len__(self) -> int:
        return len(self._symbols)


def _is_loss(name: str) -> bool:
    """Whether a name is `loss`, or that of its tangent."""
    while (parts := name.partition("_"))[0] in TANGENTS:
        name = parts[2]
    return name == "loss"


def _like_a_step(shown: Symbol, signals: set[str]) -> bool:
    """Whether a symbol looks like a step of a variable, as h with subscript 0 does."""
    if not shown.sub or len(shown.sub[-1]) != 1:
        return False
    without = replace(shown, sub=shown.sub[:-1]).latex()
    return bool(re.fullmatch("−?[0-9]+|t|τ", shown.sub[-1][0].base)) and without in signals
