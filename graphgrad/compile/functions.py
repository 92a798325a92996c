"""What users compile: outputs of a circuit with gradients, or a loss and its gradients.

A loss need not be one number. The gradients of `h[t]` are those of the sum of its products with an
input that the compiled function has besides, the cotangent `seed_h[t]`: the pullback of `h`.
"""

from __future__ import annotations

import warnings
from collections.abc import Collection, Iterable, Mapping
from typing import Any

import numpy as np

from graphgrad.adjoint.build import GradientWarning
from graphgrad.autodiff import (
    cotangent_prefix,
    is_one_number,
    target_names,
    total_of,
    unknown_loss,
)
from graphgrad.circuit import Circuit
from graphgrad.compile.call import as_arrays, examples, no_mapping
from graphgrad.compile.compiled import Compiled
from graphgrad.declared import unused_name
from graphgrad.dims import is_whole
from graphgrad.doors import door
from graphgrad.errors import DataError, GradientError, GraphgradError, nearest, unknown_name
from graphgrad.system import System
from graphgrad.truncation import Chunks, Window

BACKENDS = ("numpy", "numba", "jax")
OPTIONS = ("wrt", "backend", "dtype", "threads", "truncate", "checkpoint")
WITH_DATA = ("batch", "tau", "lengths", "state", "return_state", "check_finite")
_pieces = door("graphgrad.compile.checkpoint:Checkpointed")
_pure_function = door("graphgrad.compile.run_jax:PureFunction")


def compile_circuit(
    circuit: Circuit,
    outputs: tuple[str, ...],
    *,
    grad: str | None = None,
    wrt: Iterable[str] | str | None = None,
    backend: str = "numpy",
    dtype: Any = None,
    threads: int = 1,
    truncate: Any = None,
    checkpoint: int | Mapping[str, int] | None = None,
    **others: Any,
) -> Any:
    """Return a function that computes outputs (all variables, if none is named) from values.

    `grad` names a variable whose gradients by `wrt` (all parameters) are computed as well, under
    the names that `circuit.adjoint` gives them. Where it is not one number, its cotangent is among
    the values, as the input `seed_h`, and weighs it. The numba back end divides large batches among
    as many `threads` as are given; results depend on that number only in the order of sums over
    examples. `truncate` is a truncation of the gradient, `gg.window(k)` or `gg.chunks(k)`. With
    `checkpoint`, a budget in bytes or a schedule, long sequences are computed in bounded memory:
    see `graphgrad.compile.checkpoint`.
    """
    _check_known("compile", others, ("grad", *OPTIONS))
    system = circuit.check()
    _check_options(backend, dtype, threads)
    for name in outputs:
        if not isinstance(name, str):
            raise DataError(f"{name!r} is no name", remedy='write c.compile("h", "loss")')
        if name not in system.variables:
            raise unknown_name(name, system.variables)
    if grad is not None and not isinstance(grad, str):
        raise unknown_loss(grad, system.variables)
    if wrt is not None:
        wrt = target_names(system, wrt)
    recipe: dict[str, Any] = {"grad": grad, "wrt": wrt, "backend": backend, "dtype": dtype}
    recipe |= {"threads": threads, "truncate": truncate, "checkpoint": checkpoint}
    if grad is not None:
        _check_loss(system, grad, in_pieces=checkpoint is not None)
    elif checkpoint is not None:
        raise _not_in_pieces()
    made = (_compiled if checkpoint is None else _checkpointed)(circuit, outputs, recipe)
    made.recipe = _recompiled, (circuit, outputs, recipe)
    return made


def _compiled(circuit: Circuit, outputs: tuple[str, ...], options: Mapping[str, Any]) -> Compiled:
    """Return outputs, and gradients if there is a loss, as a function of whole sequences."""
    system, grad, wrt = circuit.check(), options["grad"], options["wrt"]
    wanted = list(outputs or ([] if grad else system.variables))
    dtype, backend, threads = options["dtype"], options["backend"], options["threads"]

    def remade(other: Circuit, more: Iterable[str]) -> Compiled:
        """Return the same function of another circuit, with more outputs."""
        made: Compiled = compile_circuit(other, tuple(dict.fromkeys((*wanted, *more))), **options)
        return made

    if grad is None:
        return Compiled(circuit, wanted, {}, dtype, backend, threads, circuit, remade)
    prefix = cotangent_prefix(system.declared.names())
    adjoint, seeds = _backward(circuit, options)
    targets = list(system.params) if wrt is None else wrt
    gradients = {name: prefix + name for name in targets if name in system.params}
    by_inputs = {prefix + name: name for name in targets if name not in system.params}
    names = [grad, *(name for name in wanted if name != grad), *by_inputs]
    made = Compiled(adjoint, names, gradients, dtype, backend, threads, circuit, remade)
    made.by_inputs, made.seeds = by_inputs, seeds
    return made


def _backward(circuit: Circuit, options: Mapping[str, Any]) -> tuple[Circuit, dict[str, str]]:
    """Return the backward pass, and what each seed among its inputs weighs.

    A loss that is not one number has its seed also where no gradient needs it: who calls the
    function need not know.
    """
    system, loss = circuit.check(), options["grad"]
    adjoint = circuit.adjoint(loss, wrt=options["wrt"], truncate=options["truncate"])
    seeds = [name for name in adjoint.inputs if name not in system.inputs]
    if not seeds and not is_one_number(system, loss):
        variable = system.variables[loss]
        seeds = [unused_name(f"seed_{loss}", adjoint.declared().names())]
        adjoint.input(seeds[0], *variable.shape, index=variable.index)
    return adjoint, dict.fromkeys(seeds, loss)


def _check_loss(system: System, grad: str, *, in_pieces: bool) -> None:
    if grad not in system.variables:
        raise unknown_loss(grad, system.variables)
    if in_pieces and not is_one_number(system, grad):
        total = total_of(system, grad, f"seed_{grad}")
        raise GradientError(
            f"checkpoint= computes a loss alone, and {grad} is not one number",
            remedy=f"leave out checkpoint=, or declare the cotangent seed_{grad} as an input, and "
            f"take the gradient of total = {total}",
        )


def _check_known(caller: str, options: Iterable[str], known: Collection[str]) -> None:
    """Raise GraphgradError for an option that a function does not have."""
    for name in options:
        if name in known:
            continue
        guess = nearest(name, known)
        remedy = f"did you mean {guess}?" if guess else f"its options are: {', '.join(known)}"
        if name in WITH_DATA:
            remedy = f"give {name}= with the data, where the compiled function is called"
        raise GraphgradError(f"{caller} has no option {name}", remedy=remedy)


def _check_options(backend: Any, dtype: Any, threads: Any) -> None:
    if not isinstance(backend, str) or backend not in BACKENDS:
        raise GraphgradError(
            f"there is no back end {backend!r}", remedy=f"use one of {', '.join(BACKENDS)}"
        )
    if not is_whole(threads) or threads < 1:
        raise GraphgradError(f"threads={threads!r} is not possible", remedy="use an int ≥ 1")
    try:
        real = dtype is None or np.dtype(dtype).kind == "f"
    except (TypeError, ValueError):
        real = False
    if not real:
        raise GraphgradError(
            f"dtype={dtype!r} is no type of real numbers", remedy="use np.float32 or np.float64"
        )


def _recompiled(circuit: Circuit, outputs: tuple[str, ...], options: Mapping[str, Any]) -> Any:
    """Return a compiled function of another process, or a copy of one."""
    with warnings.catch_warnings():  # they have been given once
        warnings.simplefilter("ignore", GradientWarning)
        return compile_circuit(circuit, outputs, **options)


def _checkpointed(circuit: Circuit, outputs: tuple[str, ...], options: Mapping[str, Any]) -> Any:
    """Return the loss and its gradients as a function that computes them piece by piece."""
    system, grad, wrt = circuit.check(), options["grad"], options["wrt"]
    targets = list(system.params) if wrt is None else wrt
    if {*outputs} - {grad} or {*targets} - {*system.params}:
        raise _not_in_pieces()
    if options["truncate"] is not None:
        circuit.adjoint(grad, wrt=wrt, truncate=options["truncate"])  # it knows what is none
        raise _no_truncation_in_pieces(options["truncate"])

    def compiled(
        made: Circuit, shown: tuple[str, ...], loss: str | None, by: list[str] | None
    ) -> Compiled:
        own = {name: options[name] for name in ("backend", "dtype", "threads")}
        function: Compiled = compile_circuit(made, shown, grad=loss, wrt=by, **own)
        return function

    return _pieces(circuit, grad, targets, options["checkpoint"], compiled)


def _not_in_pieces() -> GraphgradError:
    return GraphgradError(
        "checkpoint= is for the whole gradient of a loss by parameters",
        remedy="give grad=, no other outputs, and parameters in wrt=",
    )


def _no_truncation_in_pieces(truncation: Window | Chunks) -> GraphgradError:
    """Return the error for a truncated gradient with checkpoints, which says why there is none."""
    if isinstance(truncation, Chunks):
        return GraphgradError(
            f"checkpoint= does not go with truncate={truncation}: no cotangent goes from one chunk "
            "to the one before, so that no state has to be kept",
            remedy=f"leave out both and compute {truncation.k} steps at a time, with "
            "return_state=True and state=, and add the gradients up; means are then of a piece",
        )
    return GraphgradError(
        f"checkpoint= does not go with truncate={truncation}: pieces hand on one cotangent of each "
        "state, a window needs one for each age",
        remedy="leave out checkpoint=, or truncate= for the whole gradient in bounded memory",
    )


class ValueAndGrad:
    """`f(params, **inputs) -> (loss, grads)`; `source` is the code it runs.

    Of a loss that is not one number the value comes as it is, and the gradients are weighed by its
    cotangent, which is given with the inputs: `f(params, x=x, seed_h=seed) -> (h, grads)`.
    """

    def __init__(self, circuit: Circuit, loss: str, options: Mapping[str, Any]) -> None:
        _check_known("value_and_grad", options, ("loss", *OPTIONS))
        system = circuit.check()
        if not isinstance(loss, str):
            raise unknown_loss(loss, system.variables)
        names = target_names(system, options.get("wrt"))
        options = options if options.get("wrt") is None else {**options, "wrt": names}
        self._recipe = circuit, loss, options
        self.loss = loss
        self.compiled = compile_circuit(circuit, (), grad=loss, **options)
        self._reduces = is_one_number(system, loss)
        self._plain = getattr(self.compiled, "plain", None)  # there is none with checkpoints
        self.prefix = cotangent_prefix(system.declared.names())
        self._gradients = [(name, self.prefix + name) for name in names]
        self._sizes = frozenset(system.declared.sizes)

    def __reduce__(self) -> Any:
        """Return what compiles the function again: programs are neither pickled nor copied."""
        return ValueAndGrad, self._recipe

    def __repr__(self) -> str:
        circuit, _, _ = self._recipe
        seeds = getattr(self.compiled, "seeds", ())  # there are none with checkpoints
        given = "".join(f", {name}=…" for name in (*circuit.inputs, *seeds))
        by = ", ".join(name for name, _ in self._gradients)
        return f"<f(params{given}) -> {self.loss} of {circuit.name}, gradients by {by}>"

    @property
    def plan(self) -> Any:
        """With `checkpoint`, how the last call cut its sequence: a `checkpoint.Plan`; else None."""
        return getattr(self.compiled, "plan", None)

    @property
    def source(self) -> str:
        """The code for data with one batch axis on every input."""
        source: str = self.compiled.source
        return source

    @property
    def pure(self) -> Any:
        """The same function of JAX arrays, with `backend="jax"`: to jit, map, shard.

        See `graphgrad.compile.run_jax.PureFunction`.
        """
        if getattr(self.compiled, "backend", "") != "jax":  # there is none with checkpoints
            raise GraphgradError(
                "a pure function is made by the JAX back end", remedy='give backend="jax"'
            )
        return _pure_function(self.compiled, self.loss, self._gradients)

    def __call__(
        self,
        /,
        params: Mapping[str, Any],
        *others: Any,
        batch: str = "mean",
        tau: int | Mapping[str, int] | None = None,
        lengths: Any = None,
        state: Mapping[str, Any] | None = None,
        return_state: bool = False,
        check_finite: bool = False,
        **inputs: Any,
    ) -> Any:
        """Return the loss, reduced over the batch, and the gradients by name.

        Those by parameters are of that loss; that by an input is for each example of its own loss.
        What is not one number comes for each step and example, not reduced; the loss of an example
        is then the sum of its products with the seed, and `batch` says what becomes of these: with
        "sum" a gradient is the whole batch's seed times Jacobian, with "mean" its share of that.
        A size that no array shows is given by its name, among the inputs: `H=4`. With
        `return_state=True` the state after the last step comes third, and the loss is that of the
        piece, with a mean and penalties of its own; for the options see `Compiled`.
        """
        if others:
            raise DataError(
                "the inputs are given by name", remedy="write f(params, **data), or f(params, x=x)"
            )
        sizes: dict[str, Any] = {}
        if not self._sizes.isdisjoint(inputs):
            sizes = {name: inputs.pop(name) for name in self._sizes if name in inputs}
        try:
            values = {**params, **inputs}
        except TypeError:
            raise no_mapping(params) from None
        ordinary = lengths is None and state is None
        ordinary &= return_state is False and check_finite is False
        if self._plain is not None and ordinary:
            results = self._plain(values, tau, sizes, batch)
        else:
            results = self.compiled(
                values, batch=batch, tau=tau, lengths=lengths, state=state,
                return_state=return_state, check_finite=check_finite, **sizes,
            )  # fmt: skip
        after: tuple[Any, ...] = ()
        if return_state:
            results, after = results[0], results[1:]
        gradients = {name: results[key] for name, key in self._gradients}
        loss = results[self.loss]
        if not self._reduces:
            return loss, gradients, *after
        if loss.size == 1:
            reduced = loss[(0,) * loss.ndim]
            if batch == "sum" and not loss.ndim:  # the same for every example
                reduced = reduced * examples(self.compiled.system, as_arrays(values))
        else:
            reduced = loss.sum()
            if batch == "mean":
                reduced = reduced / loss.size
        return reduced, gradients, *after


def value_and_grad(circuit: Circuit, loss: str = "loss", **options: Any) -> ValueAndGrad:
    """Return `f(params, **inputs) -> (loss, grads)`, compiled once; dicts in, dict out.

    The loss may be any variable. Where it is not one number, `f(params, x=x, seed_h=seed)` returns
    its value as it is, and its gradients weighed by the cotangent `seed_h`: the pullback of `h`.

    Options are those of `compile_circuit`: `wrt`, `backend`, `dtype`, `threads`, `truncate`,
    `checkpoint`.

    Called with `return_state=True` and `state=`, `f` computes a sequence in pieces. Each piece has
    a loss of its own: a mean is that of the piece (zero, if the piece has none of the chosen
    steps), and what is no sum over steps, such as a penalty on a parameter, counts once for each.
    With `checkpoint=` they count as in the whole sequence.
    """
    return ValueAndGrad(circuit, loss, options)
