"""What must hold of the compiled functions of any circuit, checked for one drawn at random."""

from __future__ import annotations

import random
import warnings
from collections import Counter
from collections.abc import Mapping
from typing import Any

import numpy as np

import graphgrad as gg
from graphgrad.adjoint.build import GradientWarning
from graphgrad.compile.functions import compile_circuit
from graphgrad.compile.standalone import module_source
from graphgrad.compile.standalone_numba import numba_module_source
from graphgrad.errors import DomainError, GradientError, GraphgradError
from graphgrad.unfold import Dag
from tests.compile.networks import Case
from tests.compile.reference import ULPS, cast, weighed

EXAMPLES = 3
LARGEST = 1e5
"""Circuits with larger numbers are not compared: digits that cancel would be too many."""
Values = dict[str, Any]


class Undefined(Exception):
    """The reference has no value, or one that is too large to be compared."""


def keep(case: Case, seed: int, backend: str) -> Counter[str]:
    """Raise for the first promise that is broken; return how much was compared.

    In both precisions, examples by themselves, together, and of different lengths give what the
    interpreter gives; so do pieces of a sequence, and a schedule of checkpoints. In one precision
    so do gradients by inputs, truncated ones, their circuit, those of what is no single number, and
    the modules that stand alone. No input changes. The circuit has an input, so that there are
    several examples.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", GradientWarning)
        try:
            return _Check(case, seed, backend).all()
        except Undefined:
            return Counter(undefined=1)


class _Check:
    """One circuit with its values, its compiled function and what that has to give."""

    def __init__(self, case: Case, seed: int, backend: str) -> None:
        self.circuit = gg.parse(case.text)
        self.case, self.backend, self.seed = case, backend, seed
        self.sizes = {n: size for n, size in case.sizes.items() if n in self.circuit.sizes}
        self.params = _short(self.circuit.init(seed, **self.sizes), 0.7)
        self.examples = [
            _short(self.circuit.example(seed + k, case.steps, **self.sizes))
            for k in range(EXAMPLES)
        ]
        self.axes = {n: int(e.index is not None) for n, e in self.circuit.inputs.items()}
        self.axes |= {n: int(e.index is not None) for n, e in self.circuit.variables.items()}
        self.expected = [self.reference(each, case.steps) for each in self.examples]
        self.scale = max(
            np.abs(each).max(initial=1e-3) for found in self.expected for each in found.values()
        )
        draw = random.Random(seed)
        share = draw.choice([0, 0.3, 1])  # what is no output may be written over
        variables = [each for each in self.circuit.variables if draw.random() < share]
        self.names = tuple(dict.fromkeys((*variables, "loss")))
        self.compiled = compile_circuit(self.circuit, self.names, grad="loss", backend=backend)
        self.gradients = list(self.compiled.gradients.values())
        self.batch = {
            name: np.stack([each[name] for each in self.examples], axis=self.axes[name])
            for name in self.circuit.inputs
        }

    def all(self) -> Counter[str]:
        drawn = ("float64", "float32")[self.seed % 2]
        done = Counter(circuits=1) + self.adjoint(drawn) + self.module(drawn)
        done += self.pullback(drawn)
        for dtype in ("float64", "float32"):
            done += self.alone(dtype) + self.together(dtype)
            if len(self.case.steps) == 1:
                done += self.ragged(dtype) + self.pieces(dtype) + self.checkpoints(dtype)
        return done

    def reference(self, example: Mapping[str, Any], steps: Any) -> Values:
        try:
            dag = self.circuit.unfold(steps, **self.sizes).grad()
        except DomainError:  # a mean over no step
            raise Undefined from None
        return self.evaluated(dag, example)

    def evaluated(self, dag: Dag, example: Mapping[str, Any]) -> Values:
        with np.errstate(all="ignore"):
            found: Values = dag.evaluate(cast({**self.params, **example}, np.longdouble))
        for each in found.values():
            numbers = np.asarray(each, np.longdouble)
            if not (np.isfinite(numbers).all() and np.abs(numbers).max(initial=0) < LARGEST):
                raise Undefined
        return found

    def alone(self, dtype: str) -> Counter[str]:
        for example, expected in zip(self.examples, self.expected, strict=True):
            found = self.call(self.params | example, dtype, tau=self.case.steps, **self.sizes)
            for name in (*self.names, *self.gradients):
                self.close(f"{name} alone", found[name], expected[name], dtype)
        return Counter({f"alone {dtype}": EXAMPLES})

    def together(self, dtype: str) -> Counter[str]:
        values = self.params | self.batch
        found = self.call(values, dtype, tau=self.case.steps, batch="sum", **self.sizes)
        for name in self.names:
            self.close(f"{name} in a batch", found[name], self.stacked(name), dtype, name)
        self.summed("in a batch", found, self.expected, dtype)
        return Counter({f"batches {dtype}": 1})

    def ragged(self, dtype: str) -> Counter[str]:
        """Examples of different lengths; one has all steps."""
        (steps,) = self.case.steps.values()
        lengths = [steps, *((self.seed + 2 * k) % steps + 1 for k in range(1, EXAMPLES))]
        expected = [
            self.reference({n: v[:tau] if self.axes[n] else v for n, v in each.items()}, tau)
            for each, tau in zip(self.examples, lengths, strict=True)
        ]
        values = self.params | self.batch
        found = self.call(values, dtype, lengths=np.array(lengths), batch="sum", **self.sizes)
        for name in self.names:
            shape = np.shape(self.stacked(name))
            all_examples = _spread(found[name], shape, self.axes[name])
            for k, (tau, wanted) in enumerate(zip(lengths, expected, strict=True)):
                own = all_examples[:tau, k] if self.axes[name] else all_examples[k]
                self.close(f"{name} of {lengths}", own, wanted[name], dtype)
        self.summed(f"of {lengths}", found, expected, dtype)
        done = Counter({f"ragged batches {dtype}": 1})
        return done + self.checkpoints(dtype, lengths, expected)

    def pieces(self, dtype: str) -> Counter[str]:
        """A sequence in two pieces, the state of the first given to the second."""
        (steps,) = self.case.steps.values()
        if steps == 1:
            return Counter()
        cut = self.seed % (steps - 1) + 1
        parts = [slice(0, cut), slice(cut, steps)]
        state = None
        found = []
        for part in parts:
            cut_off = {n: v[part] if self.axes[n] else v for n, v in self.batch.items()}
            options = {"state": state, "return_state": True, **self.sizes}
            try:
                piece, state = self.call(self.params | cut_off, dtype, **options)
            except GraphgradError as error:
                _check_refusal(error)
                return Counter({"no streams": 1})
            found.append(piece)
        for name in (n for n in self.names if self.axes[n]):
            for part, piece in zip(parts, found, strict=True):
                what = f"{name} in steps {part.start + 1} to {part.stop}"
                self.close(what, piece[name], self.stacked(name)[part], dtype, name)
        return Counter({f"pieces {dtype}": 2})

    def checkpoints(
        self, dtype: str, lengths: list[int] | None = None, expected: list[Values] | None = None
    ) -> Counter[str]:
        """Examples of one length, or of several."""
        (steps,) = self.case.steps.values()
        each = expected or self.expected
        options: dict[str, Any] = {"tau": steps} if lengths is None else {"lengths": lengths}
        plan = {"every": self.seed % steps + 1, "snapshots": self.seed % 3}
        try:
            function = self.circuit.compile(grad="loss", backend=self.backend, checkpoint=plan)
            found = self.call(self.params | self.batch, dtype, function, batch="sum", **options)
        except GraphgradError as error:
            _check_refusal(error)
            return Counter({"no checkpoints": 1})
        losses = np.stack([values["loss"] for values in each])
        self.close("loss", found["loss"], losses, dtype, "loss")
        self.summed(f"of {lengths} with {plan}", found, each, dtype)
        return Counter({f"{'ragged ' if lengths else ''}checkpoints {dtype}": 1})

    def adjoint(self, dtype: str) -> Counter[str]:
        """Gradients by some parameters and inputs, truncated or not; and some of their circuit."""
        draw = random.Random(self.seed)
        steps = draw.randint(1, max(self.case.steps.values()))
        real = [name for name, each in self.circuit.inputs.items() if each.kind == "input"]
        wrt = [name for name in (*self.circuit.params, *real) if draw.random() < 0.6]
        given = {"wrt": wrt, "truncate": draw.choice([None, gg.window(steps), gg.chunks(steps)])}
        try:
            circuit = self.circuit.adjoint("loss", **given)
        except GradientError as error:
            if not error.message.startswith(ONE_SWEEP):
                raise
            return Counter({"no one sweep": 1})
        dag = circuit.unfold(self.case.steps, **self.sizes)
        expected = [self.evaluated(dag, each) for each in self.examples]
        scale = max(np.abs(each).max(initial=0) for found in expected for each in found.values())
        names = [name for name in circuit.variables if draw.random() < 0.3] or ["loss"]
        function = self.circuit.compile(grad="loss", backend=self.backend, **given)
        options = {"tau": self.case.steps, "batch": "sum", **self.sizes}
        for made in (circuit.compile(*names, backend=self.backend), function):
            found = self.call(self.params | self.batch, dtype, made, **options)
            for name, value in found.items():
                over = int(circuit.variables[name].index is not None)
                each = [values[name] for values in expected]
                summed = name in made.gradients.values()
                wanted = sum(each) if summed else np.stack(each, axis=over)
                value = value if summed else _spread(value, wanted.shape, over)
                self.close(f"{name} of {given}", value, wanted, dtype, scale=scale)
        return Counter(adjoints=1)

    def pullback(self, dtype: str) -> Counter[str]:
        """A variable that is no single number, with its seed: together, ragged, as a module."""
        many = [n for n, v in self.circuit.variables.items() if v.index or v.shape]
        name = random.Random(self.seed + 1).choice(many)
        function = self.circuit.compile(grad=name, backend=self.backend)
        circuit, seed, over = weighed(self.circuit, name), f"seed_{name}", self.axes[name]
        examples = []
        for k, example in enumerate(self.examples, start=10):
            drawn = _short(circuit.example(self.seed + k, self.case.steps, **self.sizes))
            examples.append({**example, seed: drawn[seed]})
        batch = {**self.batch, seed: np.stack([each[seed] for each in examples], axis=over)}
        axes, values = {**self.axes, seed: over}, self.params | batch
        steps = max(self.case.steps.values())
        ragged = [steps, *((self.seed + k) % steps + 1 for k in range(1, EXAMPLES))]
        for lengths in (ragged, None) if len(self.case.steps) == 1 else (None,):
            expected = []
            for example, tau in zip(examples, lengths or EXAMPLES * [0], strict=True):
                cut = {n: v[:tau] if tau and axes[n] else v for n, v in example.items()}
                try:
                    dag = circuit.unfold(tau or self.case.steps, **self.sizes).grad("weighed")
                    expected.append(self.evaluated(dag, cut))
                except (DomainError, Undefined):
                    return Counter({"undefined pullbacks": 1})
            options = {"lengths": lengths} if lengths else {"tau": self.case.steps}
            found = self.call(values, dtype, function, batch="sum", **options, **self.sizes)
            self.pulled_back(f"{name} of {lengths}", found, expected, dtype)
        if self.backend != "jax":  # each operation of a module would be compiled by itself
            value, gradients = self.run_module(name, self.params, batch, EXAMPLES, dtype)
            named = {key: gradients[param] for param, key in self.compiled.gradients.items()}
            found = {name: value, **named}
            self.pulled_back(f"{name} of the module", found, expected, dtype)
        wanted = np.stack([each[name] for each in expected], axis=over)
        self.close(name, _spread(found[name], wanted.shape, over), wanted, dtype)
        return Counter(pullbacks=1)

    def pulled_back(self, what: str, found: Values, expected: list[Values], dtype: str) -> None:
        """Assert that gradients, with their variable's seed, are those of the sum of products."""
        scale = max(np.abs(each).max(initial=0) for e in expected for each in e.values())
        for key in self.gradients:
            wanted = sum(each[key] for each in expected)
            self.close(f"{key} of {what}", found[key], wanted, dtype, scale=scale)

    def run_module(
        self, loss: str, params: Values, batch: Values, count: int, dtype: str
    ) -> tuple[Any, Values]:
        """Call the function of a module; Python runs what Numba would."""
        numba = self.backend == "numba"
        source = (numba_module_source if numba else module_source)(self.circuit, loss)
        space: dict[str, Any] = {}
        exec(
            source.replace("from numba import njit", "njit = lambda **_: lambda made: made"), space
        )
        given = cast(params, dtype), cast(batch, dtype)
        with np.errstate(all="ignore"):
            found: tuple[Any, Values] = space["value_and_grad"](
                *given, self.case.steps, {**self.sizes, "": count}
            )
        return found

    def module(self, dtype: str) -> Counter[str]:
        """The module that stands alone, for fewer examples."""
        if self.backend == "jax":  # each of its operations would be compiled by itself
            return Counter()
        count = self.seed % EXAMPLES + 1
        batch = {name: np.take(v, range(count), self.axes[name]) for name, v in self.batch.items()}
        loss, gradients = self.run_module("loss", self.params, batch, count, dtype)
        expected = self.expected[:count]
        self.close("loss of the module", loss, sum(e["loss"] for e in expected), dtype)
        for name, key in self.compiled.gradients.items():
            wanted = sum(each[key] for each in expected)
            self.close(f"{key} of the module", gradients[name], wanted, dtype)
        return Counter(modules=1)

    def call(self, values: Values, dtype: str, function: Any = None, **options: Any) -> Any:
        """Call with copies of the values, and assert that they stay what they were."""
        given = {name: value.copy() for name, value in cast(values, dtype).items()}
        kept = {name: value.copy() for name, value in given.items()}
        found = (function or self.compiled)(given, **options)
        for name, value in given.items():
            assert np.array_equal(value, kept[name]), f"{name} was changed"
        return found

    def stacked(self, name: str) -> Any:
        return np.stack([each[name] for each in self.expected], axis=self.axes[name])

    def summed(self, what: str, found: Values, expected: list[Values], dtype: str) -> None:
        for name in self.gradients:
            self.close(f"{name} {what}", found[name], sum(e[name] for e in expected), dtype)

    def close(
        self, what: str, found: Any, expected: Any, dtype: str, batched: str | None = None,
        scale: float = 0.0,
    ) -> None:  # fmt: skip
        """Assert that arrays agree to ULPS of the largest number in the computation."""
        found, expected = np.asarray(found), np.asarray(expected)
        assert found.dtype == dtype, f"{what} is {found.dtype}"
        if batched:
            found = _spread(found, expected.shape, self.axes[batched])
        assert found.shape == expected.shape, f"{what} has the shape {found.shape}"
        off = np.max(np.abs(found - expected), initial=0.0)
        scale = max(scale, self.scale, np.abs(expected).max(initial=0))
        ulps = off / (np.finfo(dtype).eps * scale)
        assert ulps <= ULPS, f"{what} is off by {float(ulps):.3g} units in the last place, {dtype}"


REFUSALS = (
    "cannot be computed piece by piece",  # steps that read later ones, a loss that is no sum
    "the first piece of a stream has",  # fewer steps than tokens are read back
    "JAX would compile every piece anew",
)


ONE_SWEEP = ("paths run both ways in time", "a cotangent leaves the steps and enters them again")


def _check_refusal(error: GraphgradError) -> None:
    """Raise an error unless it says why there are no pieces."""
    if not any(reason in error.message for reason in REFUSALS):
        raise error


def _short(values: Mapping[str, Any], factor: float = 1.0) -> Values:
    """Numbers that both precisions have."""
    return {
        name: value if value.dtype.kind in "iu" else (factor * value).astype("f4").astype("f8")
        for name, value in ((name, np.asarray(value)) for name, value in values.items())
    }


def _spread(found: Any, shape: tuple[int, ...], axis: int) -> Any:
    """A value of all examples; one that is the same for all of them has no axis for them."""
    found = np.asarray(found)
    if found.ndim == len(shape):
        return found
    return np.broadcast_to(np.expand_dims(found, axis), shape)
