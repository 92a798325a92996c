"""What is asked: whose gradient, for which length and sizes, and the backward passes to judge."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from math import prod
from typing import Any

import numpy as np

from graphgrad import formulas
from graphgrad.adjoint import boundary_name
from graphgrad.autodiff import cotangent_prefix
from graphgrad.autodiff.requests import unknown_loss
from graphgrad.circuit import Circuit
from graphgrad.data import wanted_sizes
from graphgrad.declared import Variable, unused_name
from graphgrad.dims import Token, concrete, shape_text
from graphgrad.errors import GraphgradError, Place, ShapeError, unknown_name
from graphgrad.proof.certificate import BackwardPass, Instance
from graphgrad.proof.result import ProofError
from graphgrad.system import System
from graphgrad.unfold import Dag

DEFAULT_SIZE = 2
CLAIMED = "claimed"
"""Where the equations of a person are from, in a proof."""


@dataclass(frozen=True)
class Side:
    """One backward pass: a graph that holds it with the forward pass, and its gradients by name.

    `loss` is the variable it differentiates; `seed` the input that is its upstream cotangent, if it
    is no number; `called` has the cotangents with names of a person's own, by variable.
    """

    origin: str
    prefix: str
    dag: Dag
    names: tuple[str, ...]
    loss: str
    seed: str | None = None
    called: Mapping[str, str] = field(default_factory=dict)

    def cotangent(self, name: str) -> str:
        """Return what the cotangent of a variable is called: `d_h`, or as a person calls it."""
        return self.called.get(name, self.prefix + name)

    @property
    def scalars(self) -> int:
        """The number of scalar entries of all nodes together."""
        sizes = []
        for _, _, kind in self.dag.templates:
            shape = () if isinstance(kind, Token) else kind
            sizes.append(prod(concrete(shape, self.dag.sizes)))
        counts = np.bincount(self.dag.kinds, minlength=len(sizes))
        return int(counts @ np.array(sizes))


@dataclass(frozen=True)
class Question:
    """What is asked: a loss of a circuit with open boundaries, and the scalar it stands for.

    A loss that is not one number is multiplied by an upstream cotangent, the input `seed_h`, and
    summed; `probed` is the circuit with that scalar, whose name is `scalar`.
    """

    opened: Circuit
    loss: str
    probed: Circuit
    scalar: str

    @property
    def shown(self) -> str:
        """The scalar, as it stands in a statement."""
        return self.loss if self.scalar == self.loss else f"(Σ seed_{self.loss}·{self.loss})"


def sizes_of(circuit: Circuit, sizes: Mapping[str, int] | None) -> dict[str, int]:
    """Return a number for every size: what is given, defaults, else 2."""
    system = circuit.check()
    chosen = dict(sizes or {})
    for name, default in system.declared.sizes.items():
        if default is None:
            chosen.setdefault(name, DEFAULT_SIZE)
    return wanted_sizes(system, chosen)


def targets_of(circuit: Circuit, loss: str, wrt: Any, *, claimed: bool) -> list[str]:
    """Return what to differentiate by; raise ProofError where nothing can be proved."""
    system = circuit.check()
    if wrt is None and not claimed and not system.params:
        without = "" if loss in system.variables else f" and no {loss}"
        inputs = [n for n, i in system.inputs.items() if not isinstance(i.type, Token)]
        remedy = f"add parameters and a {loss}, or unfold and evaluate the circuit as it is"
        if loss in system.variables:
            by = f", or name inputs to differentiate by, as in wrt={inputs[:1]}" if inputs else ""
            remedy = f"add parameters{by}"
        raise ProofError(
            f"{circuit.name} has no parameter{without}: there is no gradient to prove",
            remedy=remedy,
        )
    if loss not in system.variables:
        error = unknown_loss(loss, system.variables)
        raise ProofError(error.message, remedy=error.remedy)
    if wrt is None:
        return list(system.params)
    names = list(dict.fromkeys([wrt] if isinstance(wrt, str) else wrt))
    if not names:
        raise ProofError("wrt names nothing", remedy="name parameters or inputs, or leave it out")
    opened = circuit.open().check()
    for name in names:
        if name not in opened.params and name not in opened.inputs:
            raise unknown_name(name, {*opened.params, *opened.inputs})
        _check_free(opened, name)
    return names


def _check_free(system: System, name: str, place: Place | None = None) -> None:
    """Raise ProofError for inputs whose entries are no free real numbers."""
    kind = system.inputs[name].kind if name in system.inputs else "input"
    if kind == "token":
        raise ProofError(
            f"{name} holds tokens: there is no derivative by an integer",
            place=place,
            remedy="differentiate by the matrix that it looks rows up in",
        )
    if kind == "distribution":
        raise ProofError(
            f"the entries of {name} sum to 1: none has a derivative of its own",
            place=place,
            remedy=f"declare {name} as input(…) to differentiate by it",
        )


def question_of(circuit: Circuit, loss: str) -> Question:
    """Open the boundaries, and multiply a loss that is not one number by an upstream cotangent."""
    opened = circuit.open()
    variable = opened.check().variables[loss]
    if variable.index is None and not variable.shape:
        return Question(opened, loss, opened, loss)
    probed = opened.copy()
    seed: Any = probed.input(f"seed_{loss}", *variable.shape, index=variable.index)
    value: Any = probed[loss]
    over = None if variable.index is None else formulas.index(variable.index)
    if over is not None:
        seed, value = seed[over], value[over]
    product = formulas.sum(seed * value) if variable.shape else seed * value
    scalar = unused_name(f"probe_{loss}", probed.declared().names())
    probed[scalar] = product if over is None else formulas.sum(product, over=over)
    return Question(opened, loss, probed, scalar)


@dataclass(frozen=True)
class Stated:
    """Backward equations, of any length: a circuit that holds them with the forward pass.

    The fields are those of the sides that it gives when it is unfolded.
    """

    origin: str
    prefix: str
    circuit: Circuit
    names: tuple[str, ...]
    loss: str
    seed: str | None = None
    called: Mapping[str, str] = field(default_factory=dict)

    def cotangent(self, name: str) -> str:
        """Return what the cotangent of a variable is called: `d_h`, or as a person calls it."""
        return self.called.get(name, self.prefix + name)

    def side(self, tau: Any, sizes: Mapping[str, int]) -> Side:
        """Return the backward pass for one length."""
        dag = self.circuit.unfold(tau, **sizes)
        return self.of(dag)

    def of(self, dag: Dag) -> Side:
        """Return the backward pass in an unfolded graph."""
        return Side(
            self.origin, self.prefix, dag, self.names, self.loss, self.seed, self.called
        )  # fmt: skip


def own_equations(question: Question, targets: list[str], truncate: Any = None) -> Stated:
    """Return the adjoint circuit of the library, or its truncation."""
    seed = f"seed_{question.loss}" if question.scalar != question.loss else None
    prefix = cotangent_prefix(question.opened.check().declared.names())
    adjoint = question.opened.adjoint(question.loss, wrt=targets, truncate=truncate)
    return Stated("adjoint equations", prefix, adjoint, tuple(targets), question.loss, seed)


def swept(question: Question, targets: list[str], tau: Any, sizes: Mapping[str, int]) -> Side:
    """Return what the reverse sweep of the library computes on an unfolded graph."""
    dag = question.probed.unfold(tau, **sizes).grad(question.scalar, wrt=targets)
    prefix = cotangent_prefix(question.probed.check().declared.names())
    return Side("reverse sweep on the unfolded graph", prefix, dag, tuple(targets), question.scalar)


def claimed_equations(
    question: Question,
    claims: str | Mapping[str, str],
    targets: list[str],
    wrt: Any,
    source: str = "claims",
) -> Stated:
    """Return the backward equations that a person claims; errors say where in `source` they are."""
    text = claims if isinstance(claims, str) else _claims_text(claims)
    known = question.probed.check()
    prefix = cotangent_prefix(known.declared.names())
    try:
        stated = question.probed.extend(text)
    except GraphgradError as error:
        if error.place is not None:
            error.place = replace(error.place, source=source)
        if " is already " in error.message:
            error.remedy = (
                f"claims hold backward equations only, {prefix}… = …, and what they need: leave "
                f"out the lines of {question.opened.name} itself"
            )
        raise
    if wrt is None:
        targets = [*known.params, *known.inputs]
    outside = {boundary_name(known, key) for key in known.boundary_roots}
    names = []
    for equation in stated.equations.values():
        name = equation.name.removeprefix(prefix)
        if equation.name == name or equation.name in known.variables:
            continue
        place = equation.place and replace(equation.place, source=source)
        if name in targets:
            _check_free(known, name, place)
            _check_shape(known, name, stated.variables[equation.name], place)
            names.append(name)
        elif wrt is None and equation.index is None and name not in {*known.variables, *outside}:
            guess = unknown_name(name, {*known.params, *known.inputs, *known.variables})
            raise ProofError(
                f"{equation.name} is the gradient of nothing: {question.opened.name} has no {name}",
                place=place,
                remedy=f"{guess.remedy} (an auxiliary equation needs a name without {prefix})",
            )
    if not names:
        wanted = next(iter(targets), "W")
        raise ProofError(
            f"the claims contain no gradient of {', '.join(targets) or 'anything'}",
            remedy=f"write an equation for {prefix}{wanted}",
        )
    return Stated(CLAIMED, prefix, stated, tuple(names), question.scalar)


def _check_shape(system: System, name: str, claimed: Variable, place: Place | None) -> None:
    """Raise ShapeError unless a claimed gradient has the shape of what it is taken by."""
    kind = system.type_of(name)
    assert not isinstance(kind, Token)
    index = system.index_of(name) if name in system.inputs else None
    if claimed.index != index:
        shown = f"{claimed.name}[{index}]" if index else claimed.name
        how = "has one value per step" if index else "is one value for all steps"
        raise ShapeError(
            f"the gradient of {name} {how}", place=place, remedy=f"write an equation for {shown}"
        )
    if claimed.shape != kind:
        if claimed.shape == kind[::-1]:
            remedy = "transpose it: write .T, or exchange the arguments of outer"
        elif not claimed.shape:
            sizes = ", ".join(map(str, kind))
            remedy = f"a constant array is written zeros({sizes}) or ones({sizes})"
        else:
            remedy = "a gradient has the shape of what it is taken by"
        raise ShapeError(
            f"{claimed.name} has shape {shape_text(claimed.shape)}, "
            f"but {name} has shape {shape_text(kind)}",
            place=place,
            remedy=remedy,
        )


def _claims_text(claims: Mapping[str, str]) -> str:
    return "\n".join(f"{left} = {right}" for left, right in claims.items())


# -- instances -------------------------------------------------------------------------------------


def instances(dag: Dag, names: Iterable[str]) -> dict[Instance, int]:
    """Return the node of every instance of the named variables, those outside 1..τ included."""
    found: dict[Instance, int] = {}
    for name in names:
        one = dag.series[name]
        if one.index is None:
            found[name, None] = int(one.nodes[0])
            continue
        found.update({(name, k + 1): node for k, node in enumerate(one.nodes.tolist())})
        found.update({(name, k): node for k, node in one.outside.items()})
    return found


def may_compare_equals(passes: BackwardPass) -> bool:
    """Whether claims compare values that may be equal in a whole region, as `relu(u) > 0` does.

    Only what has kinks itself can be; what the forward pass compares is never equal in the domain.
    """
    dag, forward = passes.dag, passes.forward()
    starts, args, kinds = dag.starts.tolist(), dag.args.tolist(), dag.kinds.tolist()
    bent, compared = bytearray(len(dag)), bytearray(len(dag))
    for node in range(len(dag)):
        operands = args[starts[node] : starts[node + 1]]
        kinked = bool(dag.templates[kinds[node]].op.kinks)
        bent[node] = kinked or any(bent[arg] for arg in operands)
        if kinked and forward[node]:
            for arg in operands:
                compared[arg] = 1
    return any(
        dag.templates[kinds[node]].op.name == "where"
        and not forward[node]
        and any(bent[arg] and not compared[arg] for arg in args[starts[node] : starts[node] + 2])
        for node in range(len(dag))
    )


def backward_pass(question: Question, side: Side) -> BackwardPass:
    """Return the nodes of a side's values, cotangents and gradients.

    The claim `d_s = 2` for an array s is a cotangent: a number is broadcast, as in any equation.
    """
    dag, prefix = side.dag, side.prefix
    system = (question.opened if side.seed else question.probed).check()
    values = instances(dag, system.variables)
    cotangents: dict[Instance, int] = {}
    for name in system.variables:
        own = side.cotangent(name)
        one = dag.series.get(own)
        if one is None or one.index != system.index_of(name):
            continue
        if one.type not in (system.type_of(name), ()):
            continue
        if one.index is None:
            cotangents[name, None] = int(one.nodes[0])
            continue
        cotangents.update({(name, k + 1): node for k, node in enumerate(one.nodes.tolist())})
        if own not in dag.system.variables:  # a sweep; equations have static variables
            cotangents.update({(name, k): node for k, node in one.outside.items()})
    for key in system.boundary_roots:
        one = dag.series.get(prefix + boundary_name(system, key))
        if key.name not in system.variables or one is None or one.index is not None:
            continue
        if one.type in (system.type_of(key.name), ()):
            length = dag.tau[system.index_of(key.name) or ""]
            step = length + key.offset if key.last else key.offset
            cotangents[key.name, step] = int(one.nodes[0])
    cotangents = {each: node for each, node in cotangents.items() if each in values}
    gradients = {}
    for name in side.names:
        if prefix + name in dag.outputs:
            gradients[name] = (dag.outputs[prefix + name],)
        else:
            gradients[name] = tuple(dag.series[prefix + name].nodes.tolist())
    return BackwardPass(dag, side.loss, values, cotangents, gradients, side.seed, side.called)
