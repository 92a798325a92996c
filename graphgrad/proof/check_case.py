"""One case of a check: a circuit at one length, sizes and batch, with symbols, a point and truths.

The loss is made one number first: what is no number (`h`, or `h` and `c` together) is summed with
upstream cotangents, inputs named `seed_h`, which is what the `dout` of a layer is. With several
examples the parameters are shared, the inputs are not, and the objective is the sum or the mean.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from fractions import Fraction
from functools import cached_property
from random import Random
from typing import Any, ClassVar

import numpy as np
import sympy

from graphgrad.circuit import Circuit
from graphgrad.declared import unused_name
from graphgrad.dims import Token, concrete
from graphgrad.errors import GraphgradError, unknown_name
from graphgrad.proof.algebra import SympyAlgebra
from graphgrad.proof.derivative import Derivatives
from graphgrad.proof.trace import LEFT, LEFT_VALUE
from graphgrad.unfold import checked_lengths


class CheckError(GraphgradError):
    """A check that cannot be asked for, or code that cannot be run."""


LAYOUTS = ("time_first", "batch_first", "features_first", "step")


@dataclass(frozen=True)
class Goal:
    """What is differentiated: an opened circuit and its loss, one number.

    `outputs` are the variables that upstream cotangents belong to, as written: `h`, `h[tau]`.
    """

    circuit: Circuit
    loss: str
    outputs: tuple[str, ...] = ()

    @property
    def seeds(self) -> dict[str, str]:
        """The upstream cotangent of each output by its name."""
        return {output: f"seed_{variable_of(output)}" for output in self.outputs}


def variable_of(output: str) -> str:
    """Return the variable of an output: h of h[tau].

    >>> variable_of("h[tau]")
    'h'
    """
    return output.partition("[")[0].strip()


def goal_of(circuit: Circuit, loss: str | Sequence[str]) -> Goal:
    """Return the circuit with a loss that is one number, its boundaries open."""
    outputs = (loss,) if isinstance(loss, str) else tuple(loss)
    system = circuit.check()
    for output in outputs:
        if variable_of(output) not in system.variables:
            error = unknown_name(variable_of(output), system.variables)
            raise CheckError(f"{circuit.name} has no variable {output}", remedy=error.remedy)
    opened = circuit.open()
    first = system.variables[variable_of(outputs[0])]
    if len(outputs) == 1 and first.index is None and first.shape == ():
        return Goal(opened, outputs[0])
    lines, terms = [], []
    for output in outputs:
        variable = system.variables[variable_of(output)]
        seed, shape = f"seed_{variable.name}", ", ".join(map(str, variable.shape))
        indexed = variable.index is not None and "[" not in output
        mark = f"[{variable.index}]" if indexed else ""
        lines.append(f"{seed}{mark}: input({shape})")
        product = f"{seed}{mark} * {output}{mark}"
        product = f"sum({product})" if variable.shape else product
        terms.append(f"sum({product} for {variable.index} in steps)" if indexed else product)
    name = unused_name("objective", opened.declared().names())
    return Goal(opened.extend("\n".join([*lines, f"{name} = {' + '.join(terms)}"])), name, outputs)


@dataclass
class Case:
    """One length, sizes and batch of a goal; `as_tokens` names inputs that the code takes as ints.

    `reduction` says how the losses of several examples combine: sum or mean. `seed` chooses the
    sample point, `zeros` names boundary values that are 0 because the code knows no others.
    """

    goal: Goal
    tau: int
    sizes: Mapping[str, int]
    batch: int | None
    layout: str
    as_tokens: frozenset[str] = frozenset()
    reduction: str = "sum"
    seed: int = 0
    zeros: frozenset[str] = frozenset()
    point: dict[Any, Fraction] = field(default_factory=dict)
    ahead: ClassVar[int] = 1
    """At the first step two examples differ in their tokens (1), or share them (0)."""

    def __post_init__(self) -> None:
        self.used: set[str] = set()
        self.system = self.goal.circuit.check()
        self.dag = self.goal.circuit.unfold(self.tau, **self.sizes)
        self.lengths = checked_lengths(self.system, self.tau)
        self.tokens = [self._tokens(example) for example in self.examples]
        given = {name: self._unit(name, value) for name, value in self.tokens[0].items()}
        for name in self.zeros:
            shape = concrete(self.system.inputs[name].shape, self.sizes)
            given[name] = np.full(shape, sympy.S.Zero, object)
        base = SympyAlgebra().symbols(self.system, self.lengths, self.sizes, given)
        self.params = {name: np.asarray(base[name], object) for name in self.system.params}
        self.inputs = [
            {
                name: self._unit(name, self.tokens[example][name])
                if name in self.tokens[example]
                else self._renamed({**base, **given}[name], example)
                for name in self.system.inputs
            }
            for example in self.examples
        ]
        for name, array in self.params.items():
            self._place(name, array)
        for values in self.inputs:
            for name, array in values.items():
                self._place(name, array)

    @property
    def examples(self) -> range:
        """The examples of the batch."""
        return range(self.batch or 1)

    # Symbols

    def _tokens(self, example: int) -> dict[str, Any]:
        """Return integers for the tokens of an example: some repeat, and some differ.

        No two inputs hold the same ones, where there are as many: code that takes one for the other
        is wrong. So do two examples, at some steps; at others they share one, where code that adds
        to a row twice may count it once.
        """
        found: dict[str, Any] = {}
        for name, declared in self.system.inputs.items():
            if not isinstance(declared.type, Token) and name not in self.as_tokens:
                continue
            size = declared.type.size if isinstance(declared.type, Token) else declared.type[-1]
            (count,) = concrete((size,), self.sizes)
            length = 1 if declared.index is None else self.lengths[declared.index]
            stride = 2 if count > 3 else 1
            places = [(self.ahead + k + example) // 2 for k in range(length)]
            drawn = [(len(found) + place * stride) % count for place in places]
            found[name] = np.array(drawn) if declared.index is not None else np.array(drawn[0])
        return found

    def _unit(self, name: str, value: Any) -> Any:
        """Return tokens as the circuit takes them: integers, or unit rows for other inputs."""
        declared = self.system.inputs[name]
        if isinstance(declared.type, Token):
            return value
        (count,) = concrete((declared.type[-1],), self.sizes)
        return np.eye(count, dtype=int)[value].astype(object)

    def _renamed(self, array: Any, example: int) -> Any:
        found = np.asarray(array, object)
        if self.batch is None:
            return found
        result = np.empty(found.shape, object)
        for place in np.ndindex(*found.shape):
            entry: Any = found[place]
            new = {
                s: sympy.Symbol(f"{s.name}_ex{example + 1}", real=True) for s in entry.free_symbols
            }
            result[place] = entry.xreplace(new)
        return result

    def _place(self, name: str, array: Any) -> None:
        """Draw the sample point: dyadic numbers, positive and below 1 in sum for distributions."""
        declared = self.system.inputs.get(name)
        entries: list[Any] = list(np.asarray(array, object).flat)
        width = np.shape(array)[-1] if np.ndim(array) else 1
        for symbol in {s for e in entries if isinstance(e, sympy.Expr) for s in e.free_symbols}:
            draw = Random(f"{symbol.name} {self.seed}")
            if declared is not None and declared.kind == "distribution":
                bits = max(1, width - 1).bit_length()
                self.point[symbol] = Fraction(draw.randint(3, 13), 16 << bits)
            else:
                self.point[symbol] = Fraction(draw.randint(20, 110), 128) * draw.choice((-1, 1))

    def number(self, entry: Any) -> Fraction:
        """Return the value of an entry of the data at the sample point."""
        if isinstance(entry, sympy.Symbol):
            return LEFT_VALUE if entry == LEFT else self.point[entry]
        if isinstance(entry, sympy.Expr):
            value = entry.xreplace({s: _rational(self.point[s]) for s in entry.free_symbols})
            return Fraction(int(value.p), int(value.q))
        return Fraction(int(entry))

    # Arrays as the code sees them

    def laid_out(self, name: str, examples: Sequence[Any]) -> Any:
        """Return the values of one quantity, an array for each example, in the code's layout."""
        declared = self.system.inputs.get(name) or self.system.variables.get(name)
        indexed = declared is not None and declared.index is not None
        first = examples[0][-1] if indexed and self.layout == "step" else examples[0]
        if self.batch is None and not (indexed and self.layout == "features_first"):
            return first
        arrays = [e[-1] if indexed and self.layout == "step" else e for e in examples]
        stacked = np.array([np.asarray(e, object) for e in arrays], object)
        own_int = all(isinstance(e, int | np.integer) for e in stacked.flat)
        stacked = stacked.astype(int) if own_int else stacked
        if indexed and self.layout == "time_first":
            return np.moveaxis(stacked, 0, 1)
        if self.layout == "features_first":
            moved = np.moveaxis(stacked, 0, -1)
            moved = np.moveaxis(moved, 0, -1) if indexed else moved
            return (
                moved if self.batch is not None else moved[..., 0, :] if indexed else moved[..., 0]
            )
        return stacked

    def quantity(self, name: str) -> Any:
        """Return the symbols of a parameter or input in the code's layout; tokens as integers."""
        self.used.add(name)
        if name in self.params:
            return self.params[name]
        return self.laid_out(name, [values[name] for values in self.inputs])

    def token_array(self, name: str) -> Any:
        """Return the integers of an input in the code's layout."""
        self.used.add(name)
        return self.laid_out(name, [tokens[name] for tokens in self.tokens])

    # Truths

    @cached_property
    def forward(self) -> list[dict[str, Any]]:
        """The values of every variable for each example."""
        return [
            self.dag.evaluate({**self.params, **values}, over="sympy") for values in self.inputs
        ]

    def value(self, name: str, *, last: bool = False) -> Any:
        """Return the true value of a variable in the code's layout, at the last step if asked."""
        found = [np.asarray(values[name], object) for values in self.forward]
        if name == self.goal.loss:
            return np.asarray(self.objective, object)
        if last:
            found = [array[-1] for array in found]
            stacked = found[0] if self.batch is None else np.stack(found)
            return np.moveaxis(stacked, 0, -1) if self._features_last(stacked) else stacked
        return self.laid_out(name, found)

    def _features_last(self, stacked: Any) -> bool:
        return self.layout == "features_first" and self.batch is not None and stacked.ndim > 1

    @cached_property
    def total(self) -> sympy.Expr:
        """The sum of the losses of all examples."""
        return sympy.Add(*(values[self.goal.loss] for values in self.forward))

    @property
    def scale(self) -> sympy.Rational:
        """What the sum over examples is multiplied by."""
        return sympy.Rational(1, len(self.examples) if self.reduction == "mean" else 1)

    @property
    def objective(self) -> sympy.Expr:
        """The loss of the whole batch."""
        return self.scale * self.total

    @cached_property
    def _derivatives(self) -> Derivatives:
        return Derivatives(self.total)

    @cached_property
    def _slopes(self) -> dict[sympy.Symbol, sympy.Expr]:
        return {}

    def slope(self, entry: Any) -> sympy.Expr | None:
        """Return the derivative of the objective by an entry; None for one bound to others."""
        if not isinstance(entry, sympy.Symbol):
            return None
        if entry not in self._slopes:
            self._slopes[entry] = self._derivatives.by(entry)
        return self._slopes[entry] if self.reduction == "sum" else self.scale * self._slopes[entry]

    def gradient(self, symbols: Any) -> Any:
        """Return the derivatives by an array of symbols, None where there is none."""
        array = np.asarray(symbols, object)
        result = np.empty(array.shape, object)
        for place in np.ndindex(*array.shape):
            result[place] = self.slope(array[place])
        return result


def _rational(value: Fraction) -> sympy.Rational:
    return sympy.Rational(value.numerator, value.denominator)


def normalised(name: str) -> str:
    """Return a name without case and underscores, by which spellings are compared.

    >>> normalised("W_xh"), normalised("prev_h")
    ('wxh', 'prevh')
    """
    return re.sub(r"[\W_]", "", name).lower()
