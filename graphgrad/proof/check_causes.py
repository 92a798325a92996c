"""Likely causes of a fault: hypotheses about what the code computes instead, tested on its results.

Floating-point values at one sample point pick the hypotheses, exact decisions confirm them.
"""

from __future__ import annotations

import re
import time
import warnings
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from functools import cached_property
from typing import Any

import numpy as np
import sympy

from graphgrad.circuit import Circuit
from graphgrad.dims import Token
from graphgrad.doors import door
from graphgrad.errors import GraphgradError
from graphgrad.proof.check_adapter import floats
from graphgrad.proof.check_case import Case, Goal
from graphgrad.proof.check_floats import values_at
from graphgrad.proof.check_judge import Comparison, decided
from graphgrad.proof.check_mutants import Mutant, mutants, split_by_use, weighted
from graphgrad.proof.trace_sympy import Expressions
from graphgrad.proof.zero import Field

CLOSE = 1e-8
_parse = door("graphgrad.notation.parse:parse")


@dataclass(frozen=True)
class Cause:
    """A hypothesis that fits: in words, which results it explains, and whether that is exact."""

    text: str
    explains: tuple[str, ...]
    exact: bool
    kind: str = "equation"
    change: tuple[str, str] | None = None
    """The right equation and the changed one."""


@dataclass
class Evidence:
    """What is known about one run: the case, its comparisons, and the tools to decide."""

    case: Case
    made: list[Comparison]
    refuted: list[Comparison]
    tape: Any
    expressions: Expressions
    field: Field
    deadline: float

    def got(self, made: Comparison) -> Any:
        """Return what the code computed, as floats at the sample point."""
        flat = [entry.value for entry in made.got.flat]
        return np.array(flat, float).reshape(made.got.shape)

    def values(self, made: Comparison) -> Any:
        """Return what the code computed, as floats at this case's own point."""
        point = {p: float(self.case.number(p)) for p in _leaves(self.tape)}
        flat = self.tape.evaluate([entry.node for entry in made.got.flat], point)
        return np.array(flat, float).reshape(made.got.shape)

    @cached_property
    def places(self) -> dict[Any, tuple[str, int | None, tuple[int, ...]]]:
        """Where each symbol stands: quantity, example (None for parameters) and entry."""
        found: dict[Any, tuple[str, int | None, tuple[int, ...]]] = {}
        for name, array in self.case.params.items():
            for place in np.ndindex(*array.shape):
                found[array[place]] = (name, None, place)
        for example, values in enumerate(self.case.inputs):
            for name, entries in values.items():
                array = np.asarray(entries, object)
                for place in np.ndindex(*array.shape):
                    if isinstance(array[place], sympy.Symbol):
                        found[array[place]] = (name, example, place)
        return found

    def gradients(self, made: Comparison, found: Mapping[str, list[Any]]) -> Any:
        """Return gradients by quantity and example in the arrangement of a comparison."""
        assert made.symbols is not None
        result = np.empty(made.symbols.shape, object)
        for entry in np.ndindex(*made.symbols.shape):
            place = self.places.get(made.symbols[entry])
            if place is None or place[0] not in found:
                result[entry] = None
                continue
            name, example, at = place
            parts = found[name] if example is None else [found[name][example]]
            result[entry] = sum(np.asarray(part)[at] for part in parts) * _plain(self.case.scale)
        return result if result.shape == made.want.shape else result.reshape(made.want.shape)

    @cached_property
    def data(self) -> list[dict[str, Any]]:
        """Parameters and inputs as floats, for each example."""
        convert = floats(self.case)
        found = []
        for position, values in enumerate(self.case.inputs):
            tokens = self.case.tokens[position]
            data = {n: convert(np.asarray(a, object)) for n, a in self.case.params.items()}
            for name, value in values.items():
                token = isinstance(self.case.system.inputs[name].type, Token) and name in tokens
                array = np.asarray(value, object)
                data[name] = np.asarray(value) if token else convert(array)
            found.append(data)
        return found

    def confirmed(self, made: Comparison, wanted: Any) -> bool:
        """Whether what the code computed is exactly an array of expressions."""
        values = self.expressions.of(entry.node for entry in made.got.flat)
        for place, value in zip(np.ndindex(*made.got.shape), values, strict=True):
            want = wanted[place]
            if want is None:
                continue
            if decided(self.field, value, sympy.sympify(want), self.deadline).verdict != "zero":
                return False
        return True


def _plain(scale: sympy.Rational) -> Any:
    return 1 if scale == 1 else scale if not scale.is_Float else float(scale)


def near(a: Any, b: Any) -> bool:
    """Whether two arrays of floats agree; entries that are None are left out."""
    pairs = [(x, y) for x, y in zip(np.ravel(a), np.ravel(b), strict=True) if y is not None]
    if not pairs:
        return False
    left, right = (np.array(side, float) for side in zip(*pairs, strict=True))
    if not (np.isfinite(left).all() and np.isfinite(right).all()):
        return False
    size = max(float(np.max(np.abs(right))), 1e-300)
    return bool(np.max(np.abs(left - right)) <= CLOSE * size)


# One result by itself


def simple_causes(
    evidence: Evidence, made: Comparison, points: Sequence[Evidence], *, at_once: bool
) -> list[Cause]:
    """Return what one wrong result is in terms of true ones: a multiple, a transpose, another's.

    `points` hold the same run at other sample points, where a hypothesis must hold as well;
    `at_once` says that the result is wrong for one step already.
    """
    found = []
    for text, wanted, kind in _simple(evidence, made, at_once=at_once):
        exact = evidence.confirmed(made, wanted)
        if exact or all(near(p.values(made), numbers(p.case, wanted)) for p in points):
            found.append(Cause(text, (made.name,), exact, kind))
    return found


def _simple(
    evidence: Evidence, made: Comparison, *, at_once: bool
) -> Iterator[tuple[str, Any, str]]:
    """Yield hypotheses that fit at the sample point: in words, the expressions, the kind."""
    got, case = evidence.got(made), evidence.case
    want = numbers(case, made.want)
    ratio = simple_ratio(got, want)
    if ratio is not None and ratio != 1:
        factor = sympy.Rational(*ratio.as_integer_ratio())
        wanted = np.frompyfunc(lambda e: None if e is None else factor * e, 1, 1)(made.want)
        yield _factor_text(ratio, case, at_once=at_once), wanted, "factor"
    if got.ndim == 2 and got.shape[0] == got.shape[1] > 1 and near(got, want.T):
        yield "transposed", made.want.T, "transpose"
    for other in evidence.made:
        if other.quantity in (None, made.quantity) or other.want.shape != made.want.shape:
            continue
        if near(got, numbers(case, other.want)):
            yield f"{other.truth}, the gradient of something else", other.want, "other"
    if made.symbols is not None and made.symbols.shape == got.shape and got.ndim:
        entries = made.symbols
        decay = simple_ratio(got - want, numbers(case, entries))
        if decay is not None:
            factor = sympy.Rational(*decay.as_integer_ratio())
            wanted = np.frompyfunc(lambda e, w: e + factor * w, 2, 1)(made.want, entries)
            yield f"the gradient plus {decay} times {made.quantity}: weight decay", wanted, "decay"


def example_causes(
    evidence: Evidence, made: Comparison, found: Mapping[str, list[Any]]
) -> Iterator[Cause]:
    """Yield that a result counts only one example of the batch."""
    count = len(evidence.case.examples)
    for kept in range(count if count > 1 else 0):
        only = {
            name: [part if k == kept else 0 * np.asarray(part) for k, part in enumerate(parts)]
            for name, parts in found.items()
        }
        if near(evidence.got(made), evidence.gradients(made, only)):
            text = f"what example {kept + 1} of {count} contributes: the others are missing"
            yield Cause(text, (made.name,), False, "example")


def numbers(case: Case, array: Any) -> Any:
    """Return expressions as floats at the sample point, NaN where there is none."""
    flat = [sympy.S.NaN if e is None else sympy.sympify(e) for e in np.ravel(array)]
    values = values_at(flat, {symbol: float(value) for symbol, value in case.point.items()})
    return np.array(values, float).reshape(np.shape(array))


def simple_ratio(got: Any, want: Any) -> Fraction | None:
    """Return the simple number by which one array is a multiple of another."""
    top, bottom = np.ravel(got), np.ravel(want)
    if not (np.isfinite(top).all() and np.isfinite(bottom).all()):
        return None
    used = np.abs(bottom) > 1e-12
    if not used.any() or np.abs(top[~used]).max(initial=0) > 1e-12:
        return None
    ratios = top[used] / bottom[used]
    ratio = Fraction(float(ratios[0])).limit_denominator(100)
    if ratio == 0 or np.max(np.abs(ratios - float(ratio))) > CLOSE * abs(float(ratio)):
        return None
    return ratio


def _factor_text(ratio: Fraction, case: Case, *, at_once: bool) -> str:
    if ratio == -1:
        return "the negative of the gradient: the sign is wrong"
    tau, count, text = case.tau, len(case.examples), f"the gradient times {ratio}"
    if ratio == Fraction(1, tau) and tau > 1 and not at_once:
        return f"{text} = 1/τ: an average over the steps where the sum belongs"
    if ratio == tau and tau > 1 and not at_once:
        return f"{text} = τ: a sum over the steps where the average belongs"
    if count > 1 and ratio == Fraction(1, count):
        return f"{text}: divided by the {count} examples, while the loss is their sum"
    if count > 1 and ratio == count:
        return f"{text}: not divided by the {count} examples, while the loss is their mean"
    return text


# All results together: the backward equations with one change


@dataclass
class Backward:
    """The backward equations of a goal as text, to be changed and evaluated."""

    circuit: Circuit
    text: str
    prefix: str
    equations: dict[str, str]
    targets: tuple[str, ...]


def backward_of(goal: Goal, targets: tuple[str, ...]) -> Backward | None:
    """Return the backward equations, None where there are none."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            adjoint = goal.circuit.adjoint(goal.loss, wrt=list(targets))
        except GraphgradError:
            return None
    equations = {
        name: str(equation)
        for name, equation in adjoint.equations.items()
        if name not in goal.circuit.equations
    }
    prefix = "dd_" if f"d_{targets[0]}" not in equations else "d_"
    return Backward(adjoint, str(adjoint), prefix, equations, targets)


def changed(backward: Backward, mutant: Mutant) -> Circuit | None:
    """Return the circuit with one equation changed, None where it cannot be computed."""
    text = backward.text.replace(f"\n{mutant.right}\n", f"\n{mutant.text}\n")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            circuit: Circuit = _parse(text)
            circuit.check()
        except (GraphgradError, RecursionError):
            return None
    return circuit


def evaluated(
    evidence: Evidence, backward: Backward, circuit: Circuit, *, exact: bool
) -> dict[str, list[Any]] | None:
    """Return the gradients of a backward pass by quantity, one for each example."""
    case = evidence.case
    names = [backward.prefix + name for name in backward.targets]
    try:
        dag = circuit.unfold(case.tau, **case.sizes)
        found = []
        for example in case.examples:
            if exact:
                data = {**case.params, **case.inputs[example]}
                found.append(dag.evaluate(data, over="sympy", outputs=names))
            else:
                found.append(dag.evaluate(evidence.data[example], outputs=names))
    except GraphgradError:
        return None
    results = {
        name: [values[backward.prefix + name] for values in found] for name in backward.targets
    }
    for name, parts in results.items():
        for example, part in enumerate(parts):
            own: Any = case.params.get(name, case.inputs[example].get(name))
            if np.shape(part) != np.shape(own):
                return None
    return results


def shapes_of(goal: Goal) -> dict[str, tuple[object, ...]]:
    """Return the shapes of the indexed variables and inputs of the forward pass."""
    system = goal.circuit.check()
    found: dict[str, tuple[object, ...]] = {}
    for name, variable in system.variables.items():
        if variable.index is not None:
            found[name] = tuple(map(str, variable.shape))
    for name, declared in system.inputs.items():
        if declared.index is not None and not isinstance(declared.type, Token):
            found[name] = tuple(map(str, declared.shape))
    return found


def equation_causes(evidence: Evidence, backward: Backward, limit: float) -> list[Cause]:
    """Return changes of one equation that give what the code returns, the best first.

    A change that explains every result, right and wrong, is returned alone.
    """
    stop = min(time.monotonic() + limit, evidence.deadline)
    judged = [each for each in evidence.made if each.symbols is not None]
    wrong = [each for each in evidence.refuted if each.symbols is not None and each.fits]
    right = {each.quantity for each in judged} - {each.quantity for each in wrong}
    idle = {
        text
        for name, text in backward.equations.items()
        if name.removeprefix(backward.prefix) in right
    }
    got = {each.name: evidence.got(each) for each in judged if each.fits}
    partial: list[Cause] = []
    open_names = {each.name for each in wrong}
    for mutant in mutants(backward.equations, shapes_of(evidence.case.goal)):
        if time.monotonic() > stop or not open_names:
            break
        if mutant.right in idle:
            continue
        circuit = changed(backward, mutant)
        if circuit is None:
            continue
        found = evaluated(evidence, backward, circuit, exact=False)
        if found is None:
            continue
        fits = [e for e in judged if e.fits and near(got[e.name], evidence.gradients(e, found))]
        names = {each.name for each in fits}
        explained = [each for each in wrong if each.name in names and each.name in open_names]
        if not explained:
            continue
        whole = len(fits) == len([e for e in judged if e.fits])
        symbolic = evaluated(evidence, backward, circuit, exact=True)
        exact = symbolic is not None and all(
            evidence.confirmed(each, evidence.gradients(each, symbolic)) for each in explained
        )
        cause = Cause(
            mutant.cause, tuple(each.name for each in explained), exact,
            "equation", (mutant.right, neat(mutant.text)),
        )  # fmt: skip
        if whole:
            return [cause]
        partial.append(cause)
    return _best(partial)


def neat(text: str) -> str:
    """Return an equation as the notation prints it.

    >>> neat("d_W = sum((outer(d_a[t], h[t - 1]) for t in steps))")
    'd_W = sum(outer(d_a[t], h[t-1]) for t in steps)'
    """
    for sign in "+-":
        text = re.sub(rf"\[(\w+) \{sign} (\d+)\]", rf"[\1{sign}\2]", text)
    text = re.sub(r"(sum|mean)\(\((.*)\)\)$", r"\1(\2)", text)
    return text.replace(" ** ", "**")


def _best(causes: list[Cause]) -> list[Cause]:
    """Return causes, those that explain most first, until nothing new is explained."""
    chosen: list[Cause] = []
    covered: set[str] = set()
    for cause in sorted(causes, key=lambda each: -len(each.explains)):
        if not set(cause.explains) <= covered:
            chosen.append(cause)
            covered |= set(cause.explains)
    return chosen


# One parameter: which contributions are counted


@dataclass(frozen=True)
class Contributions:
    """How often the code counts each contribution of one gradient: rows loss step, columns use."""

    name: str
    counts: tuple[tuple[Fraction | None, ...], ...]


def contributions(
    evidence: Evidence, made: Comparison, points: list[Evidence]
) -> Contributions | None:
    """Return with which factors the contributions add up to what the code returns, if any do.

    `points` hold the same run at other sample points, so that there are enough equations.
    """
    goal, tau = evidence.case.goal, evidence.case.tau
    if made.symbols is None:
        return None
    names = {evidence.places[s][0] for s in made.symbols.flat if s in evidence.places}
    if len(names) != 1 or not names <= set(evidence.case.params):
        return None
    (name,) = names
    circuit = _by_step(goal, name, tau)
    if circuit is None:
        return None
    rows, columns = [], []
    for point in (evidence, *points):
        parts = _parts(point, circuit, made, name)
        if parts is None:
            return None
        columns.append(parts)
        rows.append(point.values(made).ravel())
    return _solved(made.name, np.concatenate(columns), np.concatenate(rows), tau)


def _leaves(tape: Any) -> list[Any]:
    return [p for op, p in zip(tape.ops, tape.payload, strict=True) if op == "leaf"]


def _solved(name: str, parts: Any, got: Any, tau: int) -> Contributions | None:
    used = np.abs(parts).max(axis=0) > 1e-12
    if len(got) < used.sum() or not np.isfinite(parts).all():
        return None
    solution, _, rank, _ = np.linalg.lstsq(parts[:, used], got, rcond=1e-11)
    if rank < used.sum():
        return None
    if np.abs(parts[:, used] @ solution - got).max() > 1e-7 * max(np.abs(got).max(), 1e-12):
        return None
    counts: list[Fraction | None] = [None] * (tau * tau)
    for place, value in zip(np.flatnonzero(used), solution, strict=True):
        simple = Fraction(float(value)).limit_denominator(12)
        if abs(float(simple) - value) > 1e-5:
            return None
        counts[place] = simple
    return Contributions(name, tuple(tuple(counts[s * tau : (s + 1) * tau]) for s in range(tau)))


def _by_step(goal: Goal, name: str, tau: int) -> Circuit | None:
    """Return the circuit whose outputs are the gradient of the weighted loss, one for each use."""
    weight = "omega"
    while weight in goal.circuit.declared().names():
        weight += "_"
    (index, *others) = goal.circuit.check().indices
    if others:
        return None
    equation = str(goal.circuit.equations[goal.loss])
    new = weighted(equation, weight)
    if new is None:
        return None
    text = str(goal.circuit).replace(f"\n{equation}", f"\n{new}")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            circuit: Circuit = _parse(f"{weight}[{index}]: input()\n{text}")
            adjoint = circuit.adjoint(goal.loss, wrt=[name])
            target = next(n for n in (f"d_{name}", f"dd_{name}") if n in adjoint.equations)
            lines = [
                split_by_use(str(adjoint.equations[target]), f"use_{step}", step)
                for step in range(1, tau + 1)
            ]
            if None in lines:
                return None
            return adjoint.extend("\n".join(str(line) for line in lines))
    except (GraphgradError, StopIteration):
        return None


def _parts(evidence: Evidence, circuit: Circuit, made: Comparison, name: str) -> Any:
    """Return contributions: a row for each entry, a column for each loss step and step of use."""
    case = evidence.case
    weight = next(n for n in circuit.inputs if n not in case.system.inputs)
    names = [f"use_{step}" for step in range(1, case.tau + 1)]
    columns = []
    try:
        dag = circuit.unfold(case.tau, **case.sizes)
        for loss_step in range(case.tau):
            omega = np.eye(case.tau)[loss_step]
            runs = [dag.evaluate({**data, weight: omega}, outputs=names) for data in evidence.data]
            for use in names:
                found = evidence.gradients(made, {name: [run[use] for run in runs]})
                columns.append(np.array(found.ravel(), float))
    except (GraphgradError, TypeError):
        return None
    return np.stack(columns, axis=1)
