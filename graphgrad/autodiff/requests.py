"""What is differentiated, and by what: names looked up, or refused with a reason."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np

from graphgrad.dims import Token, shape_text
from graphgrad.errors import GradientError, UnknownNameError, nearest, unknown_name
from graphgrad.system import System
from graphgrad.unfold import Dag


def cotangent_prefix(names: Iterable[str]) -> str:
    """Return `d_`, or `dd_`, … whichever is the first that no name begins with."""
    taken = list(names)
    prefix = "d_"
    while any(name.startswith(prefix) for name in taken):
        prefix = "d" + prefix
    return prefix


def scalar_root(dag: Dag, loss: str) -> int:
    """Return the node of a loss; GradientError if there is none, or it is more than one number."""
    if isinstance(loss, str) and loss in dag.outputs:
        node = dag.outputs[loss]
    elif isinstance(loss, str) and loss in dag.series and loss not in dag.system.inputs:
        check_one_number(dag.system, loss)
        node = int(dag.series[loss].nodes[0])
    else:
        known = [name for name in dag.series if name not in dag.system.inputs]
        raise unknown_loss(loss, [*known, *dag.outputs])
    kind = dag.templates[dag.kinds[node]].type
    if kind != ():
        assert isinstance(kind, tuple)
        raise GradientError(
            f"{loss} is {shape_text(kind)}, not one number", remedy="add a sum of its components"
        )
    return node


def is_one_number(system: System, name: str) -> bool:
    """Whether a variable has neither several components nor a value at each step."""
    return system.variables[name].index is None and not system.variables[name].shape


def total_of(system: System, name: str, seed: str = "") -> str:
    """Return the text of the sum of all numbers of a variable, each times its own of a seed."""
    index, shape = system.variables[name].index, system.variables[name].shape
    at = "" if index is None else f"[{index}]"
    total = f"{seed}{at} * {name}{at}" if seed else f"{name}{at}"
    total = f"sum({total})" if shape else total
    return total if index is None else f"sum({total} for {index} in steps)"


def check_one_number(system: System, loss: str) -> None:
    """Raise GradientError for a variable that has several components, or a value at each step."""
    if is_one_number(system, loss):
        return
    index, shape = system.variables[loss].index, system.variables[loss].shape
    if index is None:
        message = f"{loss} is {shape_text(shape)}, not one number"
    else:
        message = f"{loss}[{index}] is not one number: it has a value at each step"
    raise GradientError(
        message,
        remedy=f'add total = {total_of(system, loss)}, or take c.adjoint("{loss}"), where the '
        f"input seed_{loss} weighs it",
    )


def targets_of(dag: Dag, wrt: Iterable[str] | str | None) -> dict[str, Any]:
    """Return the nodes of what is differentiated by, by name."""
    return {
        name: np.array([dag.param_nodes[name]])
        if name in dag.param_nodes
        else dag.series[name].nodes
        for name in target_names(dag.system, wrt)
    }


def target_names(system: System, wrt: Iterable[str] | str | None) -> list[str]:
    """Return the parameters and inputs that `wrt` names, each once; all parameters for None.

    Raises UnknownNameError for other names, GradientError for tokens and for what is no name.
    """
    if wrt is None:
        return list(system.params)
    chosen = names_in(wrt)
    for name in chosen:
        if name in system.variables:
            raise UnknownNameError(
                f"{name} is a variable, not a parameter or an input",
                remedy="its cotangent is in the result anyway; for a derivative by it alone, add "
                "an input to its equation",
            )
        if name not in system.params and name not in system.inputs:
            raise unknown_name(name, {*system.params, *system.inputs})
        if isinstance(system.type_of(name), Token):
            raise GradientError(
                f"{name} holds tokens: there is no derivative by an integer",
                remedy="differentiate by the matrix that it looks rows up in",
            )
    return list(dict.fromkeys(chosen))


def names_in(wrt: object) -> list[str]:
    """Return the names that `wrt` gives, one or several; GradientError for what is no name."""
    try:
        names = [wrt] if isinstance(wrt, str) else list(wrt)  # type: ignore[call-overload]
    except TypeError:  # not iterable, or an array without axes
        names = [wrt]
    if not all(isinstance(name, str) for name in names):
        raise GradientError(
            f"wrt={wrt!r} names nothing to differentiate by",
            remedy='give names of parameters and inputs, for example wrt=["W", "x"]',
        )
    return names


def _result(known: Iterable[str]) -> str:
    """Return the name of what is most likely meant to be the loss: the last that is one number."""
    names = list(known)
    if isinstance(known, Mapping):
        numbers = [n for n in names if known[n].index is None and not known[n].shape]
        names = numbers or names
    return names[-1]


def unknown_loss(loss: object, known: Iterable[str]) -> GradientError:
    """Return the error for a loss that does not exist, with the nearest name that does."""
    if not isinstance(loss, str):
        return GradientError(
            f"loss={loss!r} is no name", remedy='give the name of a variable: loss="loss"'
        )
    names = list(known)
    remedy = unknown_name(loss, names).remedy
    if nearest(loss, names) is None:
        example = f', as in loss="{_result(known)}",' if names else ""
        remedy = f"{remedy}; name one of them{example} or write an equation for it"
    return GradientError(f"there is no {loss or repr(loss)} to differentiate", remedy=remedy)
