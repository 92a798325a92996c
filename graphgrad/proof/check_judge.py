"""Judge one run: match what came back with what it should be, and decide every entry exactly."""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import sympy

from graphgrad.proof.check_adapter import (
    Adapter,
    Values,
    floats,
    is_loss,
    quietly,
    seed_giver,
    values_of,
)
from graphgrad.proof.check_case import Case, CheckError, normalised, variable_of
from graphgrad.proof.check_names import argument_reader, gradient_name, quantities, truth_reader
from graphgrad.proof.check_run import Program
from graphgrad.proof.result import Claim, Verdict
from graphgrad.proof.trace import Traced
from graphgrad.proof.trace_array import lifted, new_tape, wrap
from graphgrad.proof.trace_patch import on_floats, tracing
from graphgrad.proof.trace_sympy import Expressions
from graphgrad.proof.trace_tape import Tape
from graphgrad.proof.zero import Field, ZeroDecision

SERIES = {"{}s", "{}", "all{}", "{}all", "{}out", "{}seq", "{}t"}


@dataclass
class Comparison:
    """A result of the code beside the truth: both arrays of one shape, entry by entry.

    `quantity` is what a gradient is by (an argument of the code, or a name of the circuit), None
    for a value; `symbols` are its entries.
    """

    name: str
    truth: str
    got: Any
    want: Any
    quantity: str | None = None
    symbols: Any = None
    remark: str = ""

    @property
    def fits(self) -> bool:
        """Whether the shapes are the same."""
        return bool(self.got.shape == self.want.shape)


@dataclass
class Run:
    """A traced run: the tape, what came back by path, and the arguments."""

    tape: Tape
    values: Values
    found: dict[str, Any]
    outcomes: list[Any]


def traced_run(adapter: Adapter, program: Program, case: Case, **options: Any) -> Run:
    """Return what the code computes from symbols."""
    tape = new_tape(**options)

    def scalar(entry: Any) -> Traced:
        if isinstance(entry, sympy.Expr) and not entry.is_Rational:
            return Traced(tape, tape.leaf(entry, float(case.number(entry))))
        return Traced(tape, tape.constant(int(entry)))

    def convert(symbols: Any) -> Any:
        result = np.empty(symbols.shape, object)
        for place in np.ndindex(*symbols.shape):
            result[place] = scalar(symbols[place])
        return wrap(result, tape)

    values = values_of(adapter, case, convert)
    with tracing(tape, *program.functions), quietly():
        found, outcomes = program.run(
            values.arguments, values.attributes, seed_giver(case, convert)
        )
    return Run(tape, values, found, outcomes)


def floating_run(adapter: Adapter, program: Program, case: Case) -> Run:
    """Return what the code computes from floats at the case's sample point."""
    values = values_of(adapter, case, floats(case))
    with on_floats(*program.functions), quietly():
        found, outcomes = program.run(
            values.arguments, values.attributes, seed_giver(case, floats(case))
        )
    symbols = values_of(adapter, case, lambda entries: entries).symbols
    values.symbols = symbols
    return Run(new_tape(), values, found, outcomes)


def as_floats(value: Any) -> Any:
    """Return a result as an array of floats, None where it is none."""
    try:
        if isinstance(value, dict):
            value = [value[key] for key in sorted(value) if key >= 0]
        array = np.asarray(value)
    except (TypeError, ValueError):
        return None
    return array if array.dtype.kind in "fiu" else None


def comparisons(
    program: Program, case: Case, values: Values, found: Mapping[str, Any],
    outcomes: Sequence[Any], results: Any, as_array: Callable[[Any], Any],
) -> list[Comparison]:  # fmt: skip
    """Return every result that has a truth, beside it."""
    made: list[Comparison] = []
    chosen = _stated_results(results, program, found, outcomes)
    ordered = {} if chosen else _unnamed(program, case, values, found, outcomes)
    outputs = _forward_outputs(program, case, outcomes)
    for path, value in {**found, **{path: found.get(path) for path in chosen}}.items():
        if path in chosen:
            if chosen[path] is not None:
                made.append(_stated_comparison(path, chosen[path], value, case, values, as_array))
            continue
        if path in outputs:
            continue
        known = {**values.symbols, **dict.fromkeys(quantities(case.goal))}
        name = ordered.get(path) or gradient_name(path, known)
        if name is not None:
            symbols = values.symbols.get(name)
            if symbols is None:
                symbols = np.asarray(case.quantity(name), object)
            array = as_array(value)
            if array is not None and array.size:
                want = case.gradient(symbols)
                truth = f"∂{_loss_text(case)}/∂{name}"
                made.append(_fitted(Comparison(path, truth, array, want, name, symbols)))
        elif is_loss(path, results) and not case.goal.outputs:
            array = as_array(value)
            if array is not None and array.size == 1:
                want = np.asarray(case.objective, object)
                made.append(_fitted(Comparison(path, case.goal.loss, array, want)))
        else:
            comparison = _series(path, value, case, as_array)
            if comparison is not None:
                made.append(comparison)
    for path, (output, value) in outputs.items():
        array = as_array(value)
        if array is not None:
            want = np.asarray(case.value(variable_of(output), last="[" in output), object)
            own = path if re.fullmatch(r"[\w.]+", path) else output  # an expression is no name
            made.append(_fitted(Comparison(own, output, array, want)))
    shown = [replace(each, name=_shown(each.name, chosen)) for each in made]
    return sorted(shown, key=lambda each: each.quantity is not None)


def _shown(path: str, chosen: Mapping[str, Any]) -> str:
    """Return what a result is called: as the code calls it, else as the caller does."""
    if path != "result" and not path[0].isdigit():
        return path
    stated = chosen.get(path)
    if isinstance(stated, str) and stated.isidentifier() and [*chosen.values()].count(stated) == 1:
        return stated
    return f"result {path}" if path[0].isdigit() else path


def _loss_text(case: Case) -> str:
    outputs = case.goal.outputs
    terms = [f"({case.goal.seeds[each]}·{each})" for each in outputs]
    return "+".join(terms) if outputs else case.goal.loss


def _unnamed(
    program: Program,
    case: Case,
    values: Values,
    found: Mapping[str, Any],
    outcomes: Sequence[Any],
) -> dict[str, str]:
    """Return which result is the gradient by what, where no name says that it is a gradient.

    The results of a backward function may stand in the order of forward's arguments, `return da @
    Wx.T, da @ Wh.T, x.T @ da`; or those of a function have the names of its arguments, `{"W": dW}`,
    be it beside others that say so, `{"W": dW, "dh0": dh}`. A dict of them may have any name.
    """
    known = {**values.symbols, **dict.fromkeys(quantities(case.goal))}
    paths = program.last_results(outcomes)
    said = {gradient_name(path, known) for path in found} - {None}
    if said:
        own = {path: path for path in paths if path in case.params and path in values.symbols}
        return {path: name for path, name in own.items() if name not in said}
    taken = [name for name in program.stages[0].parameters if name in values.symbols]
    if len(program.stages) > 1 and len(paths) == len(taken) and not set(paths) & set(known):
        return dict(zip(paths, taken, strict=True))
    named = {path: path for path in paths if path in values.symbols}
    return named or _keyed(paths, values)


def _keyed(paths: Sequence[str], values: Values) -> dict[str, str]:
    """Return the entries of the one dict all of whose keys are arguments: `out.W` is W of `out`."""
    parts = [path.rpartition(".") for path in paths]
    dicts: dict[str, dict[str, str]] = {}
    for path, (name, dot, key) in zip(paths, parts, strict=True):
        if dot:
            dicts.setdefault(name, {})[path] = key
    full = [keys for keys in dicts.values() if all(key in values.symbols for key in keys.values())]
    return full[0] if len(full) == 1 else {}


def _stated_results(
    results: Any, program: Program, found: Mapping[str, Any], outcomes: Sequence[Any]
) -> dict[str, Any]:
    """Return the stated truth of each result by path; a sequence names the elements of a tuple."""
    if results is None:
        return {}
    if isinstance(results, Mapping):
        chosen = {}
        for key, spec in results.items():
            path = list(found)[key] if isinstance(key, int) and key < len(found) else str(key)
            near = [p for p in found if p == path or p.endswith(f".{path}")]
            if not near:
                raise CheckError(
                    f"{program.name} returns nothing named {key}",
                    remedy=f"it returns {', '.join(found)}",
                )
            chosen[near[0]] = spec
        return chosen
    last = program.last_results(outcomes)
    paths = last if len(program.stages) > 1 and len(results) <= len(last) else list(found)
    return dict(zip(paths, results, strict=False))


def _stated_comparison(
    path: str, spec: Any, value: Any, case: Case, values: Values, as_array: Callable[[Any], Any]
) -> Comparison:
    array = as_array(value)
    if array is None:
        raise CheckError(f"{path} is not an array of numbers", remedy="leave it out of results")
    if callable(spec):
        reader = truth_reader(case)
        want, text = spec(_Truths(reader.known)), getattr(spec, "__name__", "truth")
    else:
        text = str(spec)
        gradient = gradient_name(text, values.symbols)
        if text == "loss" and "loss" not in case.system.variables:
            text = case.goal.loss
        own = text.removeprefix("d_") in quantities(case.goal)
        if gradient is not None and not own and re.fullmatch(r"\w+", text):
            symbols = values.symbols[gradient]
            truth = f"∂{_loss_text(case)}/∂{gradient}"
            want = case.gradient(symbols)
            return _fitted(Comparison(path, truth, array, want, gradient, symbols))
        want = truth_reader(case).read(text)
    quantity = symbols = None
    by = re.sub(r"\bd_(?=\w)", "", text)
    if by != text:
        quantity = re.findall(r"\bd_(\w+)", text)[0]
        symbols = np.asarray(argument_reader(case).read(by), object)
        text = f"∂{_loss_text(case)}/∂{by}"
    return _fitted(Comparison(path, text, array, np.asarray(want, object), quantity, symbols))


class _Truths(dict[str, Any]):
    def __init__(self, known: Callable[[str], Any]) -> None:
        super().__init__()
        self.known = known

    def __missing__(self, name: str) -> Any:
        return self.known(name)


def _forward_outputs(
    program: Program, case: Case, outcomes: Sequence[Any]
) -> dict[str, tuple[str, Any]]:
    """Return the outputs of a forward function that upstream cotangents belong to."""
    if not case.goal.outputs or not outcomes:
        return {}
    outcome = outcomes[0]
    parts = list(outcome) if isinstance(outcome, tuple | list) else [outcome]
    names = program.stages[0].returned
    names = names if len(names) == len(parts) else tuple(map(str, range(len(parts))))
    pairs = zip(case.goal.outputs, names, parts, strict=False)
    return {name: (output, value) for output, name, value in pairs}


def _series(path: str, value: Any, case: Case, as_array: Callable[[Any], Any]) -> Comparison | None:
    """Return the comparison of states or outputs that go by a variable's name, if they fit."""
    base = normalised(path.rpartition(".")[2].partition("[")[0])
    for name, variable in case.system.variables.items():
        if base not in {pattern.format(normalised(name)) for pattern in SERIES}:
            continue
        if name == case.goal.loss:
            continue
        array = as_array(value)
        if array is None or not array.size or _given(array):
            return None
        for last in (False, True) if variable.index is not None else (False,):
            want = np.asarray(case.value(name, last=last), object)
            made = _fitted(Comparison(path, f"{name}[tau]" if last else name, array, want))
            if made.fits and (last or want.size > 1):
                return made
    return None


def _given(array: Any) -> bool:
    """Whether an array holds arguments as they were given, nothing computed."""
    return all(
        isinstance(e, Traced) and e.tape.ops[e.node] in ("leaf", "const") for e in array.flat
    )


def _fitted(made: Comparison) -> Comparison:
    """Return the comparison in one shape: without axes of length 1, or transposed."""
    got, want = made.got, made.want
    if got.shape == want.shape:
        return made
    if got.size == want.size:
        if [n for n in got.shape if n > 1] == [n for n in want.shape if n > 1]:
            made.got = got.reshape(want.shape)
        elif got.shape == want.shape[::-1]:
            made.got, made.remark = got.T, "it is returned transposed"
    return made


def array_reader(tape: Tape) -> Callable[[Any], Any]:
    """Return the conversion of results to object arrays of traced scalars; None for others."""

    def read(value: Any) -> Any:
        if isinstance(value, dict):
            keys = [key for key in value if isinstance(key, int | np.integer)]
            if len(keys) != len(value):
                return None
            value = [value[key] for key in sorted(keys) if key >= 0]
        try:
            if isinstance(value, list):
                return np.stack([lifted(each, tape) for each in value]) if value else None
            return lifted(value, tape)
        except (TypeError, ValueError):
            return None

    return read


def judged(
    made: Comparison, expressions: Expressions, field: Field, origin: str, deadline: float
) -> Claim:
    """Decide one result, entry by entry, up to the first that is refuted."""
    if not made.fits:
        reason = f"it has shape {made.got.shape}, not {made.want.shape}"
        return Claim(made.name, made.truth, origin, "refuted", made.want.size, reason)
    verdict: Verdict = "proved"
    reason = made.remark
    values = expressions.of(entry.node for entry in made.got.flat)
    count = 0
    for place, value in zip(np.ndindex(*made.want.shape), values, strict=True):
        want = made.want[place]
        if want is None:
            continue
        count += 1
        decision = decided(field, value, sympy.sympify(want), deadline)
        if decision.verdict == "nonzero":
            witness = {str(k): str(v) for k, v in (decision.witness or {}).items()}
            bounds = decision.enclosure
            difference = (str(bounds[0]), str(bounds[1])) if bounds else None
            return Claim(
                made.name, made.truth, origin, "refuted", made.want.size,
                made.remark, tuple(map(int, place)), witness, difference,
            )  # fmt: skip
        if decision.verdict == "undecided":
            verdict, reason = "undecided", decision.reason
    return Claim(made.name, made.truth, origin, verdict, count, reason)


def decided(field: Field, got: Any, want: Any, deadline: float) -> ZeroDecision:
    """Decide whether two expressions are equal, before the deadline."""
    left = deadline - time.monotonic()
    if left <= 0:
        return ZeroDecision("undecided", "the time limit was reached")
    return field.equal(got, want, time_limit=left)
