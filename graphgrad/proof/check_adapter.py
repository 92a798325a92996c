"""The adapter of a check: which argument of the code is which quantity, which result which truth.

What the user states is taken as it is. The rest is matched by name, in the form in which the code
runs and computes the right loss on plain floats at sizes that are all different: as declared,
transposed, as columns, one-hot rows or integers.
"""

from __future__ import annotations

import contextlib
import io
import re
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import chain, combinations, islice, product
from typing import Any

import numpy as np

from graphgrad.dims import Token
from graphgrad.proof.check_case import Case, CheckError, Goal, normalised
from graphgrad.proof.check_names import (
    LOSSES,
    argument_reader,
    boundaries,
    match_argument,
    match_seed,
    names_in,
)
from graphgrad.proof.check_places import shown_sizes
from graphgrad.proof.check_run import Program, not_running

TOLERANCE = 1e-9
MOST_FORMS = 200
"""How many forms are tried, first of all matrices together, then of each by itself."""


@dataclass(frozen=True)
class Adapter:
    """Specs by argument and by attribute of the object; `guessed` are those matched by name."""

    arguments: dict[str, Any]
    attributes: dict[str, Any]
    numbers: dict[str, str] = field(default_factory=dict)
    """The sizes that numbers outside the code's arguments stand for."""
    guessed: frozenset[str] = frozenset()
    runs: bool = True
    agrees: bool = False
    """Whether the forward pass gave the right value on floats."""

    @property
    def tokens(self) -> frozenset[str]:
        """The inputs that the code takes as integers."""
        return frozenset(names_in({**self.arguments, **self.attributes}))

    def notes(self, program: Program) -> Iterator[str]:
        """Yield how names were matched, where that is worth saying."""
        inside = {k: k if program.is_outside(k) else f"self.{k}" for k in self.attributes}
        specs = {**self.arguments, **{inside[k]: v for k, v in self.attributes.items()}}
        for name, spec in specs.items():
            if name.removeprefix("self.") in self.guessed and isinstance(spec, str):
                if normalised(spec) != normalised(name.removeprefix("self.")):
                    yield f"{name} is taken as {spec}"
            elif name in self.guessed and isinstance(spec, Mapping):
                odd = [f"{key} as {value}" for key, value in spec.items() if key != value]
                if odd:
                    yield f"{name} holds " + ", ".join(odd)
        for path, size in self.numbers.items():
            yield f"{path} is taken as {size}"


@dataclass
class Values:
    """The arguments of one run: what is handed in, and the symbols in it by name."""

    arguments: dict[str, Any] = field(default_factory=dict)
    attributes: dict[str, Any] = field(default_factory=dict)
    symbols: dict[str, Any] = field(default_factory=dict)
    """The entries of each array by the name that its gradient goes by."""


def stated(program: Program, goal: Goal, arguments: Mapping[str, Any] | None) -> Adapter:
    """Return the adapter of what is stated, completed by matching names."""
    given = dict(arguments or {})
    parameters = {name for stage in program.stages for name in stage.parameters}
    known: dict[str, Any] = {}
    attributes: dict[str, Any] = {}
    for name, spec in given.items():
        path = name.removeprefix("self.")
        if name in parameters:
            known[name] = spec
        elif program.owner is not None or path in program.attributes or path in program.numbers:
            attributes[path] = spec
        else:
            raise CheckError(
                f"{program.name} has no argument {name}",
                remedy=f"its arguments are {', '.join([*parameters, *program.attributes])}",
            )
    taken = [spec for spec in given.values() if isinstance(spec, str)]
    guessed: set[str] = set()
    for name in program.attributes:
        spec = match_argument(name.rpartition(".")[2], goal, taken)
        if name not in attributes and isinstance(spec, str):
            attributes[name] = spec
            guessed.add(name)
            taken.append(spec)
    first = program.stages[0]
    for position, stage in enumerate(program.stages):
        for name in stage.parameters:
            if name in known or (position and (name in first.parameters or name in first.returned)):
                continue
            if position and match_seed(name, goal, list(first.returned), list(goal.seeds.values())):
                continue
            spec = match_argument(name, goal, taken)
            if spec is not None:
                known[name] = spec
                guessed.add(name)
                taken += [spec] if isinstance(spec, str) else []
    return Adapter(known, attributes, guessed=frozenset(guessed))


def sizes_of(program: Program, goal: Goal, adapter: Adapter) -> dict[str, int]:
    """Return the sizes that arrays outside the code's arguments show."""
    system = goal.circuit.check()
    shapes = {
        path: system.params[spec].shape
        for path, spec in adapter.attributes.items()
        if path in program.attributes and isinstance(spec, str) and spec in system.params
    }
    return shown_sizes(shapes, program.attributes)


def values_of(adapter: Adapter, case: Case, convert: Callable[[Any], Any]) -> Values:
    """Return the arguments for a case; `convert` makes what the code gets of an array."""
    reader = argument_reader(case)
    result = Values()

    def one(name: str, spec: Any) -> Any:
        if isinstance(spec, str):
            array = reader.read(spec)
        elif callable(spec):
            array = spec(_Quantities(case))
        else:
            return spec
        symbols = np.asarray(array)
        if symbols.dtype == object:
            result.symbols[name] = symbols
            return convert(symbols)
        return array

    for name, spec in adapter.arguments.items():
        if isinstance(spec, Mapping):
            result.arguments[name] = {key: one(key, each) for key, each in spec.items()}
        else:
            result.arguments[name] = one(name, spec)
    for path, spec in adapter.attributes.items():
        result.attributes[path] = one(path.rpartition(".")[2], spec)
    for path, size in adapter.numbers.items():
        result.attributes[path] = case.sizes[size]
    return result


class _Quantities(dict[str, Any]):
    """The arrays of a case by name, made when asked for."""

    def __init__(self, case: Case) -> None:
        super().__init__()
        self.case = case

    def __missing__(self, name: str) -> Any:
        return argument_reader(self.case).known(name)


def seed_giver(
    case: Case, convert: Callable[[Any], Any]
) -> Callable[[str, list[str]], tuple[str, Any] | None]:
    """Return the function that tells which upstream cotangent a parameter is, with its value."""
    used: list[str] = []

    def give(name: str, forward: list[str]) -> tuple[str, Any] | None:
        free = [seed for seed in case.goal.seeds.values() if seed not in used]
        seed = match_seed(name, case.goal, forward, free)
        if seed is None:
            return None
        used.append(seed)
        return seed, convert(np.asarray(case.quantity(seed), object))

    return give


# Trying forms on floats


def fitted(
    adapter: Adapter, program: Program, make_case: Callable[[Adapter], Case], results: Any
) -> Adapter:
    """Return the adapter in the form in which the code runs, best where its loss is right."""
    best: tuple[int, Adapter] | None = None
    failure: Exception | None = None
    first = make_case(adapter)
    together = islice(_forms(adapter, first), MOST_FORMS)
    apart = islice(_forms(adapter, first, apart=True), MOST_FORMS)
    for candidate in chain(together, apart):
        case = make_case(candidate)
        try:
            score = _score(candidate, program, case, results)
        except CheckError:
            raise
        except Exception as error:  # whatever foreign code raises
            failure = failure or error
            continue
        if best is None or score > best[0]:
            best = score, candidate
        if score >= 2:
            break
    if best is not None:
        return replace(best[1], agrees=best[0] >= 2)
    assert failure is not None
    raise not_running(program, failure) from failure


def _forms(adapter: Adapter, case: Case, *, apart: bool = False) -> Iterator[Adapter]:
    """Yield adapters in which what was guessed stands in other forms, likely ones first.

    All matrices stand in one form, and all vectors; or each in its own, if `apart`.
    """
    goal, system = case.goal, case.system
    starts = boundaries(goal)
    kinds: dict[str, list[str]] = {}
    options: dict[str, tuple[str, ...]] = {}
    specs = {**adapter.arguments, **adapter.attributes}
    for name in adapter.guessed:
        inner = specs[name].values() if isinstance(specs[name], Mapping) else [specs[name]]
        for spec in inner:
            declared = system.inputs.get(spec)
            group: str
            forms: tuple[str, ...]
            if spec in case.params and len(system.params[spec].shape) == 2:
                group, forms = "matrix", ("{}", "{}.T")
            elif spec in case.params and len(system.params[spec].shape) == 1:
                group, forms = "vector", ("{}", "{}[:, None]", "{}[None, :]")
            elif declared is None:
                continue
            elif isinstance(declared.type, Token):
                group, forms = spec, ("{}", "onehot({})", "onehot({})[..., None]")
            elif spec in starts or declared.index is None:
                vector = case.batch is None and len(declared.shape) == 1
                group, forms = "start", ("{}", "{}[:, None]", "{}[None, :]") if vector else ("{}",)
            elif case.batch is None and len(declared.shape) == 1:
                group, forms = spec, ("{}", "tokens({})", "{}[..., None]", "{}[:, None]")
            else:
                group, forms = spec, ("{}", "tokens({})") if len(declared.shape) == 1 else ("{}",)
            group = spec if apart else group
            kinds.setdefault(group, []).append(spec)
            options[group] = forms
    for chosen in _choices(options):
        form = {spec: chosen[group] for group, specs in kinds.items() for spec in specs}

        def formed(name: str, spec: Any, form: dict[str, str] = form) -> Any:
            if name not in adapter.guessed:
                return spec
            if isinstance(spec, Mapping):
                return {key: form.get(each, "{}").format(each) for key, each in spec.items()}
            return form.get(spec, "{}").format(spec)

        yield replace(
            adapter,
            arguments={n: formed(n, s) for n, s in adapter.arguments.items()},
            attributes={n: formed(n, s) for n, s in adapter.attributes.items()},
        )


def _choices(options: Mapping[str, Sequence[str]]) -> Iterator[dict[str, str]]:
    """Yield one option for each group: all first ones, then with one group changed, and so on.

    >>> [each["W"] + each["b"] for each in _choices({"W": ("W", "W.T"), "b": ("b", "b[:, None]")})]
    ['Wb', 'W.Tb', 'Wb[:, None]', 'W.Tb[:, None]']
    """
    first = {group: forms[0] for group, forms in options.items()}
    for count in range(len(options) + 1):
        for groups in combinations(options, count):
            for forms in product(*(options[group][1:] for group in groups)):
                yield first | dict(zip(groups, forms, strict=True))


def floats(case: Case) -> Callable[[Any], Any]:
    """Return the conversion of symbols to their values at the case's point."""

    def convert(symbols: Any) -> Any:
        flat = [float(case.number(entry)) for entry in symbols.flat]
        return np.array(flat).reshape(symbols.shape)

    return convert


@contextlib.contextmanager
def quietly() -> Iterator[None]:
    """Let foreign code run without its printing, warnings and floating-point errors."""
    with (
        contextlib.redirect_stdout(io.StringIO()),
        warnings.catch_warnings(),
        np.errstate(all="ignore"),
    ):
        warnings.simplefilter("ignore")
        yield


def _score(adapter: Adapter, program: Program, case: Case, results: Any) -> int:
    """Return 2 where the forward value is right, 1 where none is known, 0 where it is wrong."""
    values = values_of(adapter, case, floats(case))
    with quietly():
        found, outcomes = program.run(
            values.arguments, values.attributes, seed_giver(case, floats(case))
        )
    truths = float_values(case)
    if case.goal.outputs:
        first = outcomes[0][0] if isinstance(outcomes[0], tuple) else outcomes[0]
        return 2 if _near(first, [truths_of(case, truths, case.goal.outputs[0])]) else 1
    loss = [
        value for path, value in found.items() if is_loss(path, results) and np.size(value) == 1
    ]
    if loss:
        total = sum(float(t[case.goal.loss]) for t in truths)
        right = _near(np.ravel(loss[0])[0], [total, total / len(truths)])
        return 2 if right else 0
    return 1


def is_loss(path: str, results: Any) -> bool:
    """Whether a result is the loss, by what is stated or by its name."""
    if isinstance(results, Mapping) and path in results:
        return bool(results[path] == "loss")
    words = re.findall(r"[^\W\d]\w*", path)
    if words == path.split("."):
        return normalised(words[-1]) in LOSSES
    return sum(normalised(word) in LOSSES for word in words) == 1


def truths_of(case: Case, truths: Sequence[Mapping[str, Any]], output: str) -> Any:
    """Return the value of an output of the goal in the code's layout."""
    variable, _, last = output.partition("[")
    arrays = [np.asarray(each[variable]) for each in truths]
    if last:
        return arrays[0][-1] if case.batch is None else np.stack([a[-1] for a in arrays])
    return np.asarray(case.laid_out(variable, arrays), float)


def float_values(case: Case) -> list[dict[str, Any]]:
    """Return all variables of the circuit as floats, for each example."""
    convert = floats(case)
    params = {name: convert(np.asarray(a, object)) for name, a in case.params.items()}
    found = []
    for position, values in enumerate(case.inputs):
        tokens = case.tokens[position]
        inputs = {
            name: np.asarray(value)
            if isinstance(case.system.inputs[name].type, Token) and name in tokens
            else convert(np.asarray(value, object))
            for name, value in values.items()
        }
        found.append(case.dag.evaluate({**params, **inputs}))
    return found


def _near(value: Any, wanted: Sequence[Any]) -> bool:
    try:
        array = np.asarray(value, float)
    except (TypeError, ValueError):
        return False
    return any(
        array.size == np.size(each)
        and bool(np.allclose(array.ravel(), np.ravel(each), rtol=1e-6, atol=TOLERANCE))
        for each in wanted
    )
