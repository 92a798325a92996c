"""What must hold of the adjoint of any circuit, checked for one that was drawn at random."""

from __future__ import annotations

from collections import Counter
from typing import Any

import numpy as np

import graphgrad as gg
from graphgrad.errors import DomainError
from tests.adjoint.square import closed, quietly, square
from tests.drawn import SIZES, Drawn


def keep(drawn: Drawn, seed: int, flavour: str) -> Counter[str]:
    """Raise for the first promise that is broken; return how much was compared.

    "Guard smart" and "guard always" both give what reverse mode on the unfolded graph gives, in
    every cotangent and gradient, by parameters and by inputs; the second order too; the texts of
    all these circuits give them back; the number of equations is bounded by the size of the text.
    """
    circuit = gg.parse(drawn.text())
    values = drawn.values(seed)
    targets = [name for name in values if name != "n"]
    try:
        circuit.unfold(drawn.steps, **SIZES)
    except DomainError:
        return Counter(undefined=1)  # a mean over no step
    done = Counter(circuits=1)
    if flavour == "smooth":
        values = {n: v if n == "n" else np.asarray(v, float) / 2 for n, v in values.items()}
    for guard in ("smart", "always"):
        adjoint = quietly(circuit, wrt=targets, guard=guard)
        assert closed(adjoint), f"the text of the adjoint, guard {guard}"
        _check_form(circuit, adjoint, targets)
        both = square(circuit, drawn.steps, wrt=targets, guard=guard, **SIZES)
        if flavour == "smooth":
            done["decided with 50 digits"] += not both.check_closely(values)
        else:
            both.check_exactly(values)
        done["cotangents and gradients"] += len(both.names)
        done["merged"] += len(both.merged)
    if flavour == "polynomial":
        _check_second_order(circuit, drawn, values)
        done["second order"] += 1
    done["seeded"] += _check_seeded(circuit, drawn, values)
    return done


def _check_form(circuit: gg.Circuit, adjoint: gg.Circuit, targets: list[str]) -> None:
    names = list(circuit.equations)
    assert list(adjoint.equations)[: len(names)] == names, "the circuit itself comes first"
    assert set(adjoint.boundaries) == set(circuit.boundaries), "cotangents have no boundaries"
    for name in targets:
        kind = circuit.params[name].shape if name in circuit.params else circuit.inputs[name].type
        assert adjoint.variables[f"d_{name}"].shape == kind, name
    system = circuit.check()
    inner = sum(bool(node.args) for node in system.graph.nodes)
    units = len(system.roots) + len(system.boundary_roots)
    assert len(adjoint.equations) <= len(names) + units + inner + len(targets)


def _check_second_order(circuit: gg.Circuit, drawn: Drawn, values: dict[str, Any]) -> None:
    """The adjoint of the adjoint against reverse mode applied twice."""
    twice = quietly(quietly(circuit), "d_k")
    assert closed(twice), "the text of the adjoint of the adjoint"
    found = twice.unfold(drawn.steps, **SIZES).evaluate(values)
    expected = circuit.unfold(drawn.steps, **SIZES).grad().grad("d_k").evaluate(values)
    for name in circuit.params:
        one, other = found[f"dd_{name}"], expected[f"dd_{name}"]
        assert np.all(np.asarray(one, object) == np.asarray(other, object)), f"dd_{name}"


def _check_seeded(circuit: gg.Circuit, drawn: Drawn, values: dict[str, Any]) -> int:
    """A loss that is not one number: its seed weighs it, as a sum of products would."""
    variable = drawn.variables[0]
    if variable.index is None and not variable.shape:
        return 0
    name, index = variable.name, variable.index
    seed = "seed_" + name
    at = f"[{index}]" if index else ""
    product = f"{seed}{at} * {name}{at}"
    product = f"sum({product})" if variable.shape else product
    product = f"sum({product} for {index} in steps)" if index else product
    dims = ", ".join(variable.shape)
    weighed = circuit.extend(f"{seed}{at}: input({dims})\nprobe = {product}")
    adjoint = quietly(circuit, name)
    shape = tuple(SIZES[dim] for dim in variable.shape)
    if index:
        shape = (drawn.steps[index], *shape)
    numbers = np.arange(1, int(np.prod(shape)) + 1).reshape(shape)
    weights = numbers / 8 if isinstance(values["k"].flat[0], float) else numbers.astype(object)
    # nothing that is asked for may depend on the weights' being there: then nothing is declared
    given = values | ({seed: weights} if seed in adjoint.inputs else {})
    found = adjoint.unfold(drawn.steps, **SIZES).evaluate(given)
    expected = weighed.unfold(drawn.steps, **SIZES).grad("probe").evaluate(values | {seed: weights})
    for param in circuit.params:
        one = np.asarray(found[f"d_{param}"], object)
        other = np.asarray(expected[f"d_{param}"], object)
        if isinstance(values["k"].flat[0], float):
            largest = max((abs(u) for u in np.ravel(other)), default=0.0)
            same = np.abs(one - other) <= 1e-9 * largest
        else:
            same = one == other
        assert np.all(same), f"d_{param} of {name}"
    return 1
