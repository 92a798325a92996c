"""Calling hand-written code: one function, or a forward and a backward one, plain or methods.

Methods run on a copy of their object, in which the attributes that hold parameters are replaced;
so are global names and variables of enclosing functions, for the run.
What comes back is spread out by name: the names in the `return` statement, keys of dicts, and the
attributes that the run has set.
"""

from __future__ import annotations

import ast
import inspect
import re
import textwrap
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from traceback import extract_tb
from typing import Any

import numpy as np

from graphgrad.proof.check_case import CheckError, normalised
from graphgrad.proof.check_places import (
    Slot,
    attributes_of,
    copied,
    numbers_of,
    replaced,
    slot_arrays,
    slots_of,
)

CACHES = {
    "cache",
    "caches",
    "ctx",
    "context",
    "saved",
    "history",
    "memory",
    "memo",
    "store",
    "state",
}
LARGEST_RESULT = 10_000


@dataclass(frozen=True)
class Stage:
    """One function of the code: its parameters and the names in its return statement."""

    function: Callable[..., Any]
    parameters: dict[str, inspect.Parameter]
    returned: tuple[str, ...]
    """The names of what it returns, one for each element of a tuple."""

    @property
    def name(self) -> str:
        """What the function is called."""
        return getattr(self.function, "__name__", type(self.function).__name__)


@dataclass
class Program:
    """The functions that are checked, and the object whose methods they are."""

    stages: list[Stage]
    owner: Any = None
    slots: dict[str, Slot] = field(default_factory=dict)
    """What the functions read from global names and closures."""
    attributes: dict[str, Any] = field(default_factory=dict)
    """Arrays of the owner, of global names and closures, by path: `W`, `params.W`."""
    numbers: dict[str, int] = field(default_factory=dict)
    """Whole numbers found at the same places."""

    @property
    def functions(self) -> list[Callable[..., Any]]:
        """The functions as they were given."""
        return [stage.function for stage in self.stages]

    @property
    def name(self) -> str:
        """What the code is called in reports."""
        return " and ".join(stage.name for stage in self.stages)

    def run(
        self,
        arguments: Mapping[str, Any],
        attributes: Mapping[str, Any],
        seed_of: Callable[[str, list[str]], tuple[str, Any] | None],
    ) -> tuple[dict[str, Any], list[Any]]:
        """Return all results by path, and what each stage returned.

        `arguments` are values by parameter, `attributes` by path; `seed_of(parameter, forward
        names)` gives the upstream cotangent that a parameter of the backward function is.
        """
        own = {path: v for path, v in attributes.items() if not self.is_outside(path)}
        owner = None if self.owner is None else copied(self.owner, own)
        outside = {path: v for path, v in attributes.items() if path not in own}
        with replaced(self.slots, outside) as changed:
            found, outcomes = self._stages(arguments, owner, seed_of)
        if owner is not None:
            found |= _set_attributes(self.owner, owner)
        return found | _spread(changed), outcomes

    def is_outside(self, path: str) -> bool:
        """Whether a path belongs to a global name or a closure, not to the object."""
        name = path.partition(".")[0]
        return name in self.slots and not hasattr(self.owner, name)

    def _stages(
        self,
        arguments: Mapping[str, Any],
        owner: Any,
        seed_of: Callable[[str, list[str]], tuple[str, Any] | None],
    ) -> tuple[dict[str, Any], list[Any]]:
        """Call one function after the other."""
        found: dict[str, Any] = {}
        outcomes: list[Any] = []
        earlier: dict[str, Any] = {}
        for position, stage in enumerate(self.stages):
            values = {}
            for name, parameter in stage.parameters.items():
                if name in arguments:
                    values[name] = arguments[name]
                    continue
                if position:
                    value = self._handed_on(name, stage, earlier, outcomes[0], seed_of)
                    if value is not None:
                        values[name] = value[0]
                        continue
                if parameter.default is inspect.Parameter.empty:
                    raise CheckError(
                        f"the argument {name} of {stage.name} matches nothing in the circuit",
                        remedy=f"say what it is: arguments={{{name!r}: 'W.T'}}, or give a number",
                    )
            outcome = _call(stage, owner, values)
            outcomes.append(outcome)
            parts = _named(outcome, stage.returned)
            if not position and len(self.stages) > 1:
                earlier = parts
            found |= _spread(parts)
        return found, outcomes

    def last_results(self, outcomes: Sequence[Any]) -> list[str]:
        """Return the paths of what the last function returned."""
        return list(_spread(_named(outcomes[-1], self.stages[-1].returned)))

    def _handed_on(
        self,
        name: str,
        stage: Stage,
        earlier: Mapping[str, Any],
        outcome: Any,
        seed_of: Callable[[str, list[str]], tuple[str, Any] | None],
    ) -> tuple[Any] | None:
        """Return what a parameter of the backward function takes from the forward one."""
        if name in earlier:
            return (earlier[name],)
        if normalised(name) in CACHES and earlier:
            return (list(earlier.values())[-1],)
        seed = seed_of(name, list(earlier))
        if seed is not None:
            return (seed[1],)
        if isinstance(outcome, tuple) and list(stage.parameters)[-1] == name:
            return (outcome[-1],)
        return None


def program_of(fn: Any) -> Program:
    """Return the code that a function, a method or a pair of them is."""
    functions = list(fn) if isinstance(fn, tuple | list) else [fn]
    if not 1 <= len(functions) <= 2 or not all(callable(each) for each in functions):
        raise CheckError(
            "what is checked is a function, or a pair (forward, backward) of functions",
            remedy="give f, (forward, backward), model.loss, or (model.forward, model.backward)",
        )
    owners = [getattr(each, "__self__", None) for each in functions]
    owner = next((o for o in owners if o is not None and not inspect.ismodule(o)), None)
    slots = slots_of(functions)
    return Program(
        [_stage(each) for each in functions],
        owner,
        slots,
        slot_arrays(slots) | attributes_of(owner),
        numbers_of({name: slot.value for name, slot in slots.items()})
        | numbers_of(getattr(owner, "__dict__", {})),
    )


def _stage(function: Callable[..., Any]) -> Stage:
    try:
        parameters = dict(inspect.signature(function).parameters)
    except (TypeError, ValueError):
        raise CheckError(
            f"{function!r} does not tell its arguments",
            remedy="wrap it in a Python function whose arguments have names",
        ) from None
    variadic = (inspect.Parameter.VAR_POSITIONAL, inspect.Parameter.VAR_KEYWORD)
    parameters = {n: p for n, p in parameters.items() if p.kind not in variadic}
    return Stage(function, parameters, _returned(function))


def _returned(function: Callable[..., Any]) -> tuple[str, ...]:
    """Return the expressions in the last return statement, as text."""
    try:
        tree = ast.parse(textwrap.dedent(inspect.getsource(inspect.unwrap(function))))
    except (OSError, TypeError, SyntaxError, ValueError):
        return ()
    pending: list[ast.AST] = list(tree.body[0].body) if hasattr(tree.body[0], "body") else []
    last: ast.Return | None = None
    while pending:
        node = pending.pop()
        if isinstance(node, ast.FunctionDef | ast.ClassDef | ast.Lambda):
            continue
        if isinstance(node, ast.Return) and node.value is not None:
            last = node if last is None or node.lineno > last.lineno else last
        pending.extend(ast.iter_child_nodes(node))
    if last is None or last.value is None:
        return ()
    parts = last.value.elts if isinstance(last.value, ast.Tuple | ast.List) else [last.value]
    return tuple("" if _is_dict(part) else ast.unparse(part) for part in parts)


def _is_dict(node: ast.expr) -> bool:
    """Whether an expression makes a dict, whose keys are the names."""
    if isinstance(node, ast.Call):
        return isinstance(node.func, ast.Name) and node.func.id == "dict"
    return isinstance(node, ast.Dict | ast.DictComp)


def _set_attributes(before: Any, after: Any) -> dict[str, Any]:
    """Return what a run has set on an object: attributes, and entries of dicts."""
    old = vars(before)
    return _spread(
        {name: value for name, value in vars(after).items() if old.get(name) is not value}
    )


def _call(stage: Stage, owner: Any, values: Mapping[str, Any]) -> Any:
    function = stage.function
    if owner is not None and getattr(function, "__self__", None) is not None:
        function = getattr(function, "__func__").__get__(owner)  # noqa: B009
    positional, named = [], {}
    for name, parameter in stage.parameters.items():
        if name not in values:
            continue
        if parameter.kind is inspect.Parameter.POSITIONAL_ONLY:
            positional.append(values[name])
        else:
            named[name] = values[name]
    return function(*positional, **named)


def not_running(program: Program, failure: Exception) -> CheckError:
    """Return the error for code that fails on the arrays that it is given."""
    files = {
        inspect.unwrap(each).__code__.co_filename
        for each in program.functions
        if hasattr(inspect.unwrap(each), "__code__")
    }
    frames = [f for f in extract_tb(failure.__traceback__) if f.filename in files]
    where = f", line {frames[-1].lineno} in {frames[-1].name}" if frames else ""
    return CheckError(
        f"{program.name} does not run on arrays of the circuit's shapes: "
        f"{type(failure).__name__}: {failure}{where}",
        remedy="say what its arguments are, arguments={'Wx': 'U.T', 'h0': 'h_0[:, None]'}, and how "
        "its arrays are laid out, batch=2, layout='batch_first'",
    )


# Results


def _named(outcome: Any, names: Sequence[str]) -> dict[str, Any]:
    """Return the elements of what a function returned, by name."""
    if hasattr(outcome, "_asdict"):
        return dict(outcome._asdict())
    if not isinstance(outcome, tuple) and not (isinstance(outcome, list) and len(names) > 1):
        single = names[0] if len(names) == 1 and names[0].isidentifier() else ""
        return {single: outcome}
    distinct = len(names) == len(outcome) == len(set(names))
    known = names if distinct else [str(k) for k in range(len(outcome))]
    return dict(zip(known, outcome, strict=True))


def _spread(parts: Mapping[str, Any]) -> dict[str, Any]:
    """Return results with dicts, tuples and plain objects taken apart, by path."""
    found: dict[str, Any] = {}
    pending = list(reversed(list(parts.items())))
    while pending and len(found) < LARGEST_RESULT:
        path, value = pending.pop()
        if isinstance(value, dict) and value and all(isinstance(key, str) for key in value):
            path = path if re.fullmatch(r"[\w.]*", path) else ""  # an expression is no name
            pending += [(_under(path, key), each) for key, each in reversed(value.items())]
        elif hasattr(value, "_asdict"):
            pending += [(_under(path, k), v) for k, v in reversed(value._asdict().items())]
        elif isinstance(value, tuple) and not _is_array(value):
            pending += [(_under(path, k), each) for k, each in reversed(list(enumerate(value)))]
        elif isinstance(value, list) and _unlike(value):
            pending += reversed(list(zip(_elements(path, len(value)), value, strict=True)))
        else:
            found[path or "result"] = value
    return found


def _unlike(value: list[Any]) -> bool:
    """Whether a list holds arrays of several shapes: gradients, and not one value for each step."""
    shapes = {getattr(each, "shape", None) for each in value}
    return len(shapes) > 1 and None not in shapes


def _elements(path: str, count: int) -> list[str]:
    """Return what the elements of a list are called: as they are written, else by number.

    >>> _elements("[dW, db]", 2), _elements("grads", 2)
    (['dW', 'db'], ['grads.0', 'grads.1'])
    """
    try:
        written = ast.parse(path, mode="eval").body
    except SyntaxError:
        written = None
    if isinstance(written, ast.List) and len(written.elts) == count:
        names = [ast.unparse(each) for each in written.elts]
        if len(set(names)) == count:
            return names
    return [_under(path, place) for place in range(count)]


def _under(path: str, key: Any) -> str:
    return f"{path}.{key}" if path else str(key)


def _is_array(value: tuple[Any, ...]) -> bool:
    """Whether a tuple is a row of numbers; np.ndim would make an array of a ragged list."""
    nested = (list, tuple, dict)
    return bool(value) and not any(isinstance(e, nested) or np.ndim(e) for e in value)
