"""What the code calls things: arguments and results against the names of a circuit.

A quantity is written as in NumPy: `U.T`, `b[:, None]`, `hstack(W, U)`, `tokens(y)`, and `d_U.T` for
its gradient. Such a text is read with `ast` and an allow-list. A name that is not stated is matched
by its spelling: `h0`, `hprev` and `prev_h` are the state before the first step.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Callable, Iterable, Mapping
from typing import Any

import numpy as np

from graphgrad.dims import Token
from graphgrad.proof.check_case import Case, CheckError, Goal, normalised, variable_of

X_NAMES = {"x", "xs", "input", "inputs", "data", "seq", "sequence", "xseq", "xt", "xbatch"}
Y_NAMES = {"y", "ys", "target", "targets", "label", "labels", "yt", "t", "ts", "z", "d", "ybatch"}
STATES = {"state", "initialstate", "initstate", "prevstate", "statprev", "hidden", "h", "s0", "a0"}
PARAM_DICTS = {"params", "parameters", "p", "weights", "theta", "model", "net"}
LOSSES = {"loss", "cost", "l", "j", "e", "error", "totalloss", "lossvalue", "nll", "objective"}
GRADIENTS = {"grads", "gradients", "grad", "gradient", "g", "dparams", "gradparams", "d", "dp"}
_GRADIENT = re.compile(r"(?:d|grad|gradient|g|delta|∂|nabla)_?(?=\w)(.+)")
_RATIO = re.compile(r"(?:d|∂|partial)_?(?:L|J|E|C|loss|Loss|cost|error)_?(?:d|∂)_?(?=\w)(.+)")
_SUFFIX = re.compile(r"(.+?)_?(?:grad|gradient)s?")
_LARGEST_TEXT = 500

JOINING: dict[str, Callable[..., Any]] = {
    "hstack": np.hstack,
    "vstack": np.vstack,
    "concat": np.concatenate,
    "concatenate": np.concatenate,
    "stack": np.stack,
}
_WITH_AXIS = {"concat", "concatenate", "stack"}


class Reader:
    """Reads the text of a quantity with the names that `known` gives arrays for."""

    def __init__(
        self, known: Callable[[str], Any], special: Mapping[str, Callable[[str], Any]]
    ) -> None:
        self.known = known
        self.special = special

    def read(self, text: str) -> Any:
        """Return the array that a text describes; CheckError if it does not."""
        try:
            if len(text) > _LARGEST_TEXT:
                raise SyntaxError
            body = ast.parse(text.strip(), mode="eval").body
        except (SyntaxError, ValueError, RecursionError, MemoryError):
            body = None
        if body is None:
            raise _unreadable(text)
        try:
            return self._value(body, text)
        except (TypeError, ValueError, IndexError) as error:  # as NumPy says it of shapes
            raise CheckError(
                f"{text!r} does not fit the shapes of the circuit: {error}",
                remedy="arrays have the axes of their declaration, time first for what has steps",
            ) from error

    def _value(self, node: ast.expr, text: str) -> Any:
        if isinstance(node, ast.Name):
            return self.known(node.id)
        if isinstance(node, ast.Attribute) and node.attr == "T":
            return np.transpose(self._value(node.value, text))
        if isinstance(node, ast.Subscript):
            if isinstance(node.value, ast.Name) and isinstance(node.slice, ast.Name):
                return self.special["tau"](node.value.id)
            return self._value(node.value, text)[_index(node.slice, text)]
        if isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.USub):
            return -self._value(node.operand, text)
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name):
            name, args = node.func.id, node.args
            if name in JOINING:
                parts = [self._value(part, text) for part in _parts(args)]
                return JOINING[name](parts, **_axis(node, text))
            single = args[0] if len(args) == 1 and not node.keywords else None
            if name in self.special and isinstance(single, ast.Name):
                return self.special[name](single.id)
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute):
            sides = [_whole(arg, text) for arg in node.args]
            if node.func.attr == "reshape":
                return np.reshape(self._value(node.func.value, text), sides)
            if node.func.attr == "transpose":
                return np.transpose(self._value(node.func.value, text), sides or None)
        raise _unreadable(text)


def _unreadable(text: str) -> CheckError:
    return CheckError(
        f"{text!r} does not describe a quantity of the circuit",
        remedy="write U, U.T, b[:, None], hstack(W, U), concatenate(W, U, axis=1), tokens(y), "
        "d_U.T, h, h[tau], tau, or give a function of a dict of arrays",
    )


def _parts(args: list[ast.expr]) -> list[ast.expr]:
    """Return what is joined: the arguments, or as in NumPy the elements of the only one."""
    if len(args) == 1 and isinstance(args[0], ast.Tuple | ast.List):
        return args[0].elts
    return args


def _axis(call: ast.Call, text: str) -> dict[str, int]:
    """Return the axis that a call names, if it does."""
    assert isinstance(call.func, ast.Name)
    if not call.keywords:
        return {}
    (keyword, *others) = call.keywords
    if others or keyword.arg != "axis" or call.func.id not in _WITH_AXIS:
        raise _unreadable(text)
    return {"axis": _whole(keyword.value, text)}


def _index(node: ast.expr, text: str) -> Any:
    parts = node.elts if isinstance(node, ast.Tuple) else [node]
    found: list[Any] = []
    for part in parts:
        if isinstance(part, ast.Slice):
            ends = (part.lower, part.upper, part.step)
            found.append(slice(*(None if end is None else _whole(end, text) for end in ends)))
        elif isinstance(part, ast.Constant) and part.value in (None, ...):
            found.append(part.value)
        else:
            found.append(_whole(part, text))
    return tuple(found)


def _whole(node: ast.expr, text: str) -> int:
    sign = 1
    if isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.USub):
        sign, node = -1, node.operand
    if not isinstance(node, ast.Constant) or not isinstance(node.value, int):
        raise _unreadable(text)
    return sign * node.value


def names_in(spec: Any) -> set[str]:
    """Return the inputs that a spec, or the texts inside it, takes as tokens."""
    found: set[str] = set()
    pending = [spec]
    while pending:
        value = pending.pop()
        if isinstance(value, str):
            found |= set(re.findall(r"tokens\(\s*(\w+)\s*\)", value))
        elif isinstance(value, Mapping):
            pending += value.values()
    return found


def argument_reader(case: Case) -> Reader:
    """Return the reader of arguments: arrays of symbols."""

    def known(name: str) -> Any:
        if name in case.params or name in case.system.inputs:
            return case.quantity(name)
        if name == "tau" or name in case.sizes:
            return case.tau if name == "tau" else case.sizes[name]
        raise CheckError(
            f"{name} is neither a parameter, an input nor a size of {case.goal.circuit.name}",
            remedy=f"there are {', '.join([*quantities(case.goal), 'tau', *case.sizes])}",
        )

    def onehot(name: str) -> Any:
        tokens = case.token_array(name)
        declared = case.system.inputs[name].type
        assert isinstance(declared, Token)
        from_size = int(declared.size.bind(case.sizes))
        return np.eye(from_size, dtype=int)[tokens].astype(object)

    return Reader(known, {"tokens": case.token_array, "onehot": onehot})


def truth_reader(case: Case) -> Reader:
    """Return the reader of results: true gradients `d_U` and values."""

    def known(name: str) -> Any:
        if name in case.system.variables:
            return case.value(name)
        if name.startswith("d_") and (name[2:] in case.params or name[2:] in case.system.inputs):
            return case.gradient(case.quantity(name[2:]))
        raise CheckError(
            f"{name} is no result of {case.goal.circuit.name}",
            remedy="write loss, a variable, or d_ and " + ", ".join(quantities(case.goal)),
        )

    return Reader(known, {"tau": lambda name: case.value(name, last=True)})


def quantities(goal: Goal) -> list[str]:
    """Return the names of what code may take as arguments: parameters, inputs, boundaries."""
    system = goal.circuit.check()
    return [*system.params, *(n for n in system.inputs if n not in goal.seeds.values())]


def boundaries(goal: Goal) -> dict[str, str]:
    """Return the inputs and parameters that states start from, with their variable: h_0 of h."""
    return {
        boundary.root.attr: key.name
        for key, boundary in goal.circuit.boundaries.items()
        if boundary.root.op.name in ("input", "param", "static") and not key.last
    }


def match_argument(name: str, goal: Goal, taken: Iterable[str]) -> Any:
    """Return the spec for an argument by its name, None where nothing fits."""
    system = goal.circuit.check()
    free = [each for each in quantities(goal) if each not in set(taken)]
    if name in free:
        return name
    short = normalised(name)
    same = [each for each in free if normalised(each) == short]
    if len(same) == 1:
        return same[0]
    starts = {each: variable for each, variable in boundaries(goal).items() if each in free}
    for each, variable in starts.items():
        v = normalised(variable)
        if short in {
            f"{v}0",
            f"{v}prev",
            f"prev{v}",
            f"{v}init",
            f"init{v}",
            f"initial{v}",
            f"{v}start",
        }:
            return each
    if len(starts) == 1 and (
        short in STATES or short.removesuffix("0").removesuffix("prev") in STATES
    ):
        return next(iter(starts))
    plain = [each for each in free if each in system.inputs and each not in starts]
    signals = [each for each in system.inputs if each not in boundaries(goal)]
    signals = [each for each in signals if each not in goal.seeds.values()]
    if signals and short in X_NAMES and signals[0] in plain:
        return signals[0]
    if len(signals) > 1 and short in Y_NAMES and signals[-1] in plain:
        return signals[-1]
    if short in PARAM_DICTS:
        return {each: each for each in system.params}
    return None


def match_seed(name: str, goal: Goal, forward: list[str], free: list[str]) -> str | None:
    """Return the seed that an argument of a backward function is: dout, dh, dnext_h."""
    found = _GRADIENT.fullmatch(name)
    inner = normalised(found.group(1)) if found else ""
    for position, output in enumerate(goal.outputs):
        seed = goal.seeds[output]
        spelled = normalised(variable_of(output))
        known = {spelled, f"next{spelled}", f"{spelled}next", f"{spelled}s", f"{spelled}t"}
        if position < len(forward):
            known.add(normalised(forward[position]))
        if seed in free and (inner in known or normalised(name) == normalised(seed)):
            return seed
    general = {
        "dout",
        "dy",
        "upstream",
        "gradoutput",
        "gradout",
        "dnext",
        "dhs",
        "dvalues",
        "delta",
    }
    if len(free) == 1 and normalised(name) in general:
        return free[0]
    return None


def gradient_name(path: str, known: Mapping[str, Any]) -> str | None:
    """Return which of the known names a result is the gradient of, by its path `grads.W`."""
    *parents, name = path.split(".")
    spelled = {normalised(each): each for each in known}
    for pattern in (_GRADIENT, _RATIO, _SUFFIX):
        found = pattern.fullmatch(name)
        if found and normalised(found.group(1)) in spelled:
            return spelled[normalised(found.group(1))]
    if any(normalised(parent) in GRADIENTS for parent in parents) and normalised(name) in spelled:
        return spelled[normalised(name)]
    attribute = re.match(r"([^\W\d]\w*)\.grad\b", path)  # W.grad.numpy()
    if attribute and normalised(attribute.group(1)) in spelled:
        return spelled[normalised(attribute.group(1))]
    words = re.findall(r"[^\W\d]\w*", path)
    if words != [path]:  # an expression in a return statement: dW / n, np.clip(dW, -5, 5)
        inside = {gradient_name(word, known) for word in words} - {None}
        return inside.pop() if len(inside) == 1 else None
    return None
