"""The example values of a report: every variable and its gradient, for each length."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from graphgrad.autodiff import cotangent_prefix
from graphgrad.circuit import Circuit
from graphgrad.data import bind, check_names
from graphgrad.dims import shape_text
from graphgrad.errors import GraphgradError
from graphgrad.system import System
from graphgrad.unfold import checked_sizes
from viz.report_flow import reach_section
from viz.report_operations import observed
from viz.unfolding import FOLD_FROM, columns

SEED = 0
LARGEST_SHOWN = 64
"""Arrays with more entries are shown by their shape and norm."""
Lengths = Mapping[str, int]


class Values:
    """Values of a circuit at any length up to `longest`, cut from one set of inputs.

    `given` are parameters and inputs by name, time first; without them they are random, from
    `SEED`. `origin` says so in words.
    """

    def __init__(
        self,
        circuit: Circuit,
        longest: Lengths,
        sizes: Mapping[str, int],
        loss: str | None,
        given: Mapping[str, Any] | None,
    ) -> None:
        self.circuit = circuit
        self.system: System = circuit.check()
        self.observed = observed(circuit)
        self.loss = loss
        if given is None:
            self.sizes = chosen_sizes(circuit, sizes)
            data = circuit.example(SEED, dict(longest), (), **self.sizes)
            self.data = {**circuit.init(SEED, **self.sizes), **data}
            sources = [f"parameters by c.init({SEED})"] * bool(self.system.params)
            sources += [f"inputs by c.example({SEED}, …)"] * bool(self.system.inputs)
            made = ", ".join(sources)
            self.origin = "example values, random and untrained" + (f" ({made})" if made else "")
        else:
            self.data = {name: np.asarray(value) for name, value in given.items()}
            check_names(self.system, self.data)
            bound = bind(self.system, steps_of(circuit, given), sizes, self.data)
            self.sizes = bound.sizes
            self.origin = "values given by the author of this report"

    def at(self, lengths: Lengths) -> dict[str, Any]:
        """Return `{"values": …, "gradients": …}` by name; series are lists over the steps.

        Those of long sequences are dicts instead, of the steps that are drawn.
        Operations and boundary equations have theirs under their key and their text; gradients,
        if the loss is computed through them.
        """
        data = {name: self._cut(name, value, lengths) for name, value in self.data.items()}
        try:
            known = {**data, **self._evaluated(self.observed.circuit, data, lengths)}
        except GraphgradError:
            try:
                known = {**data, **self._evaluated(self.circuit, data, lengths)}
            except GraphgradError as error:
                return {"error": error.message, "values": {}, "gradients": {}}
        own = [*self.system.params, *self.system.inputs, *self.system.variables]
        values = {name: self._entry(name, known[name]) for name in own if name in known}
        for key, name in self.observed.names.items():
            if name in known:
                values[key] = self._entry(name, known[name])
        gradients = {}
        if self.loss is not None:
            prefix = cotangent_prefix(self.observed.circuit.declared().names())
            variables = {name: name for name in own}
            variables |= {key: self.observed.names[key] for key in self.observed.inner}
            gradients = {
                key: self._entry(name, known[prefix + name])
                for key, name in variables.items()
                if prefix + name in known
            }
        return {"values": values, "gradients": gradients}

    def reach(self, lengths: Lengths) -> str:
        """Return the tables of contributions by loss step and use step, as HTML."""
        data = {name: self._cut(name, value, lengths) for name, value in self.data.items()}
        return reach_section(self.circuit, data, lengths, self.loss)

    def _evaluated(
        self, circuit: Circuit, data: Mapping[str, Any], lengths: Lengths
    ) -> dict[str, Any]:
        dag = circuit.unfold(dict(lengths), **self.sizes)
        if self.loss is not None:
            numbers = [name for name, i in self.system.inputs.items() if i.kind == "input"]
            dag = dag.grad(self.loss, wrt=[*self.system.params, *numbers])
        with np.errstate(all="ignore"):  # an infinity is shown as one
            return dag.evaluate(data)

    @property
    def observations(self) -> dict[str, dict[str, Any]]:
        """Shape and index of operations and boundary equations by key, where they are known."""
        known = self.observed.circuit.variables
        return {
            key: {"shape": shape_text(known[name].shape), "index": known[name].index}
            for key, name in self.observed.names.items()
        }

    def _cut(self, name: str, value: Any, lengths: Lengths) -> Any:
        declared = self.system.inputs.get(name)
        if declared is None or declared.index is None:
            return value
        return value[: lengths[declared.index]]

    def _entry(self, name: str, value: Any) -> Any:
        """Return an array as JSON data: a list over the steps where it has a time index."""
        array = np.asarray(value)
        variables = self.observed.circuit.variables
        variable = variables.get(name) or self.system.inputs.get(name)
        if variable is None or variable.index is None:
            return shown(array)
        if len(array) <= FOLD_FROM:
            return [shown(step) for step in array]
        return {t: shown(array[t - 1]) for t in columns(len(array), None) if t is not None}


def steps_of(circuit: Circuit, given: Mapping[str, Any]) -> dict[str, int]:
    """Return the length of every time index for which there are inputs among given values."""
    system = circuit.check()
    return {
        declared.index: len(given[name])
        for name, declared in system.inputs.items()
        if declared.index is not None and name in given
    }


def chosen_sizes(circuit: Circuit, sizes: Mapping[str, int]) -> dict[str, int]:
    """Return a number for every size: the one asked for, its default, or a small one."""
    checked_sizes(circuit.check(), sizes)
    small = (3, 2, 4)
    chosen = {}
    for position, (name, default) in enumerate(circuit.sizes.items()):
        chosen[name] = sizes.get(name, default or small[position % len(small)])
    return chosen


def shown(array: Any) -> Any:
    """Return an array of numbers as nested lists of four significant digits.

    Large arrays become `{"shape": …, "norm": …}`; what is not a finite number becomes a word.
    """
    array = np.asarray(array)
    if array.size > LARGEST_SHOWN:
        return {"shape": list(array.shape), "norm": _number(float(np.linalg.norm(array)))}
    if array.ndim:
        return [shown(part) for part in array]
    return _number(array.item())


def _number(value: float) -> Any:
    if isinstance(value, int):
        return value
    if not np.isfinite(value):
        return str(value)
    return float(f"{value:.4g}")
