"""How strongly one step depends on another: norms of derivatives, computed from the equations.

Forward mode carries one input's step to all later values, reverse mode all values back to all
earlier ones. Both run compiled, with one example of a batch for each direction.
"""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from typing import Any

import numpy as np

from graphgrad.circuit import Circuit
from graphgrad.compile.call import as_arrays
from graphgrad.data import bind, check_names, lengths_of
from graphgrad.dims import Token, concrete
from graphgrad.errors import DataError, GradientError, unknown_name
from graphgrad.evaluate import prepared

LARGEST = 2**28
"""Bytes of derivatives at most."""


def together(
    circuit: Circuit, params: Mapping[str, Any], inputs: Mapping[str, Any]
) -> dict[str, Any]:
    """Return parameters and inputs as arrays in one dict.

    Raises DataError where a value is missing or unknown, or is no array.
    """
    try:
        values = as_arrays({**params, **inputs})
    except TypeError:
        raise DataError(
            "parameters and inputs are given by name",
            remedy="give two dicts, such as those of c.init(0) and c.example(1, tau=5)",
        ) from None
    check_names(circuit.check(), values)
    return values


def from_input(
    circuit: Circuit,
    values: Mapping[str, Any],
    source: str,
    step: int,
    tau: int | Mapping[str, int] | None = None,
) -> dict[str, Any]:
    """Return ‖∂v[t]/∂x[step]‖ (Frobenius) for every variable with an index: array of τ numbers.

    `source` is an input with an index that holds numbers. Raises GradientError for tokens.
    """
    system = circuit.check()
    if source not in system.inputs:
        raise unknown_name(source, system.inputs)
    declared = system.inputs[source]
    if isinstance(declared.type, Token) or declared.index is None:
        kind = "holds tokens" if isinstance(declared.type, Token) else "has no steps"
        raise GradientError(
            f"{source} {kind}: no derivative by one of its steps",
            remedy="choose an input x[t] of numbers; for tokens, embed them outside the circuit",
        )
    lengths = lengths_of(system, values, tau)
    if bind(system, lengths, {}, values).batch:
        raise DataError(
            f"{source} has shape {values[source].shape}: one example is wanted, not a batch",
            remedy=f"give one of them, such as {source}[:, 0]",
        )
    steps, *own = values[source].shape
    if not 1 <= step <= steps:
        raise DataError(
            f"step={step} is not in 1..{steps}", remedy="steps are counted from 1, as in x[1]"
        )
    count = int(np.prod(own, dtype=int))
    direction = np.zeros((steps, count, *own))
    direction[step - 1] = np.eye(count).reshape(count, *own)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        forward = circuit.tangent(wrt=[source])
    prefix = next(
        name.removesuffix(source) for name in forward.inputs if name not in circuit.inputs
    )
    names = [
        name
        for name, variable in circuit.variables.items()
        if variable.index == declared.index and prefix + name in forward.variables
    ]
    run = forward.compile(*(prefix + name for name in names))
    found = run({**_repeated(circuit, values, count), prefix + source: direction}, tau=lengths)
    result = {}
    for name, variable in circuit.variables.items():
        if variable.index is None:
            continue
        tangent = found.get(prefix + name)
        if tangent is None:
            result[name] = np.zeros(steps) if variable.index == declared.index else None
        else:
            result[name] = np.sqrt((tangent.reshape(len(tangent), -1) ** 2).sum(axis=1))
    return {name: value for name, value in result.items() if value is not None}


def between_steps(
    circuit: Circuit,
    values: Mapping[str, Any],
    state: str,
    tau: int | Mapping[str, int] | None = None,
) -> Any:
    """Return the Jacobians ∂v[t]/∂v[k] as an array [t, k, components, components].

    The derivative is that through v[k] itself: what other states carry past it is not in it. Raises
    DataError where the array would take more than 256 MiB.
    """
    system = circuit.check()
    if state not in system.variables:
        raise unknown_name(state, system.variables)
    variable = system.variables[state]
    if variable.index is None:
        raise GradientError(f"{state} has no steps", remedy="name a variable with an index")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        adjoint = circuit.adjoint(state)
    (seed,) = [name for name in adjoint.inputs if name not in circuit.inputs]
    cotangent = next(
        name for name in adjoint.variables
        if name not in circuit.variables and name.lstrip("d") == f"_{state}"
    )  # fmt: skip
    lengths = lengths_of(system, values, tau)
    steps = lengths[variable.index]
    sizes = prepared(circuit.unfold(lengths), values, None).sizes
    shape = concrete(variable.shape, sizes)
    width = int(np.prod(shape, dtype=int))
    if 8 * (steps * width) ** 2 > LARGEST:
        raise DataError(
            f"the Jacobians of {steps} steps with {width} components take more than 256 MiB",
            remedy="use fewer steps or a smaller state",
        )
    seeds = np.eye(steps * width).reshape(steps * width, steps, *shape)
    run = adjoint.compile(cotangent)
    repeated = _repeated(circuit, values, steps * width)
    found = run({**repeated, seed: np.moveaxis(seeds, 1, 0)}, tau=lengths)[cotangent]
    by_seed = found.reshape(steps, steps, width, width)  # [k, t, component of v[t], of v[k]]
    return by_seed.transpose(1, 0, 2, 3)


def _repeated(circuit: Circuit, values: Mapping[str, Any], count: int) -> dict[str, Any]:
    """Return values with the inputs that have steps given to each of `count` examples."""
    found = {}
    for name, value in values.items():
        array = np.asarray(value)
        declared = circuit.inputs.get(name)
        if declared is not None and declared.index is not None:
            array = np.broadcast_to(array[:, None], (len(array), count, *array.shape[1:]))
        found[name] = array
    return found


def norms(jacobians: Any) -> Any:
    """Return the spectral norm of each Jacobian."""
    return np.linalg.norm(jacobians, ord=2, axis=(-2, -1))


def spectral_radius(matrix: Any) -> float:
    """Return the largest absolute value of an eigenvalue."""
    return float(np.abs(np.linalg.eigvals(np.asarray(matrix, float))).max())


def recurrent_matrices(circuit: Circuit, state: str) -> list[str]:
    """Return the square matrices by which an equation multiplies earlier steps of a state."""
    system = circuit.check()
    found: dict[str, None] = {}
    for root in system.roots.values():
        for node in system.below(root):
            op, args, _, _ = system.graph.nodes[node]
            if op.name != "matmul":
                continue
            left, right = (system.graph.nodes[arg] for arg in args)
            if left.op.name in ("param", "input") and right.op.name == "read":
                shape = system.type_of(left.attr)
                square = isinstance(shape, tuple) and len(shape) == 2 and shape[0] == shape[1]
                if square and right.attr.name == state and right.attr.lag:
                    found[left.attr] = None
    return list(found)
