"""The backward equations of a circuit, to be changed and evaluated many times.

What the forward pass computes does not depend on a change, so its values are handed in: a circuit
of the backward equations alone is read, checked and unfolded in a part of the time.
"""

from __future__ import annotations

import re
import warnings
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from graphgrad.circuit import Circuit
from graphgrad.dims import Token
from graphgrad.doors import door
from graphgrad.errors import GraphgradError
from graphgrad.proof.check_evidence import Evidence
from graphgrad.proof.check_mutants import Mutant

_parse = door("graphgrad.notation.parse:parse")
_EQUATION = re.compile(r"(\w+)(\[[^\]]*\])?(?:, \w+\[[^\]]*\])* = ")


@dataclass
class Backward:
    """The backward equations of a circuit as text, in which forward values are inputs."""

    circuit: Circuit
    text: str
    prefix: str
    equations: dict[str, str]
    targets: tuple[str, ...]


def backward_of(forward: Circuit, loss: str, targets: tuple[str, ...]) -> Backward | None:
    """Return the backward equations, None where there are none."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            adjoint = forward.adjoint(loss, wrt=list(targets))
        except GraphgradError:
            return None
    equations = {
        name: str(equation)
        for name, equation in adjoint.equations.items()
        if name not in forward.equations
    }
    prefix = "dd_" if f"d_{targets[0]}" not in equations else "d_"
    text = "\n".join(_alone(forward, str(adjoint))) + "\n"
    circuit = parsed(text)
    if circuit is None:
        circuit, text = adjoint, str(adjoint)
    return Backward(circuit, text, prefix, equations, targets)


def _alone(forward: Circuit, adjoint: str) -> Iterator[str]:
    """Yield the lines of an adjoint in which the forward variables are declared as inputs."""
    variables, taken = forward.variables, "boundary"
    while taken in adjoint:
        taken += "_"
    declarations, _, equations = adjoint.partition("\n\n")
    for line in declarations.splitlines():
        if re.split(r"\W", line, maxsplit=1)[0] not in variables:
            yield line
    for name, variable in variables.items():
        yield f"{name}{_index(variable.index) or ''}: input({', '.join(map(str, variable.shape))})"
    yield ""
    inputs, boundaries = forward.check().inputs, 0
    for line in equations.splitlines():
        found = _EQUATION.match(line)
        name, step = (found[1], found[2]) if found else ("", None)
        if name in variables and step == _index(variables[name].index):
            continue
        yield line
        if step is not None and (name in variables or name in inputs):
            # what no equation reads would be refused, and a change may be that none does
            token = name in inputs and isinstance(inputs[name].type, Token)
            boundaries += 1
            yield f"{taken}{boundaries} = " + (f"onehot({name}{step})" if token else name + step)


def _index(index: str | None) -> str | None:
    return None if index is None else f"[{index}]"


def changed(backward: Backward, mutant: Mutant) -> Circuit | None:
    """Return the circuit with a change, None where it cannot be computed."""
    return parsed(exchanged(backward.text, mutant.changes))


def exchanged(text: str, changes: Sequence[tuple[str, str]]) -> str:
    """Return a text with lines exchanged."""
    for old, new in changes:
        text = text.replace(f"\n{old}\n", f"\n{new}\n")
    return text


def parsed(text: str) -> Circuit | None:
    """Return the circuit of a text, None where it is none."""
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
            values = case.forward[example] if exact else evidence.values[example]
            given = {name: value for name, value in values.items() if name in circuit.inputs}
            if exact:
                data = {**case.params, **case.inputs[example], **given}
                found.append(dag.evaluate(data, over="sympy", outputs=names))
            else:
                data = evidence.data[example] | given
                found.append(dag.evaluate(data, outputs=names))
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
