"""The SymPy anchor: the derivative of the fully substituted loss against the backward passes.

For a small length and small sizes the loss is one SymPy expression in real symbols. SymPy
differentiates it; the adjoint circuit and the reverse sweep on the unfolded graph compute the same
gradient over the same symbols; `zero.py` decides exactly whether they are equal. States before the
first step are symbols too, since at zero a fault in the oldest step would not show.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import sympy

from graphgrad import formulas
from graphgrad.autodiff import cotangent_prefix
from graphgrad.circuit import Circuit
from graphgrad.data import wanted_sizes
from graphgrad.declared import Variable
from graphgrad.dims import Token, shape_text
from graphgrad.errors import GraphgradError, Place, ShapeError, unknown_name
from graphgrad.proof.algebra import SympyAlgebra
from graphgrad.proof.derivative import Derivatives
from graphgrad.proof.result import Claim, Proof
from graphgrad.proof.zero import Field, Simplex, ZeroDecision
from graphgrad.system import System
from graphgrad.unfold import Dag, checked_lengths

METHODS = ("auto", "sympy")
DEFAULT_SIZE = 2
METHOD_TEXT = "SymPy differentiation of the fully substituted loss, zero decided exactly"


class ProofError(GraphgradError):
    """A proof that cannot be asked for."""


@dataclass(frozen=True)
class _Side:
    """One backward pass over symbols: where it comes from and its gradients by name."""

    origin: str
    prefix: str
    values: Mapping[str, Any]


@dataclass(frozen=True)
class _Question:
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


def prove(
    circuit: Circuit,
    loss: str = "loss",
    *,
    claims: str | Mapping[str, str] | None = None,
    wrt: Any = None,
    tau: int | Mapping[str, int] = 3,
    sizes: Mapping[str, int] | None = None,
    method: str = "auto",
    time_limit: float = 60.0,
) -> Proof:
    """Return the proof that the backward equations give the gradient of a loss.

    `claims` holds a person's own equations (`d_W = …`, with whatever auxiliary equations they
    need), as text in the notation or as a dict of right sides; every gradient in them is judged,
    or those that `wrt` names. Without claims the library's own adjoint circuit and its reverse
    sweep on the unfolded graph are put to the proof. `tau` and `sizes` (2 each, where no default is
    declared) are what the proof is for. Verdicts are proved, refuted (with a witness) or undecided;
    after `time_limit` seconds what is left is undecided. Raises ProofError where there is nothing
    to prove, and ShapeError for a claim that has not the shape of a gradient.
    """
    if method not in METHODS:
        raise ProofError(
            f"{method!r} is not a method of proof", remedy=f"use one of {', '.join(METHODS)}"
        )
    started = time.monotonic()
    deadline = started + time_limit
    system = circuit.check()
    targets = _targets(circuit, loss, wrt, claimed=claims is not None)
    chosen = dict(sizes or {})
    for name, default in system.declared.sizes.items():
        if default is None:
            chosen.setdefault(name, DEFAULT_SIZE)
    bound = wanted_sizes(system, chosen)
    question = _question(circuit, loss)
    if claims is None:
        sides = _own_sides(question, targets, tau, bound)
    else:
        side, targets = _claimed_side(question, claims, targets, wrt, tau, bound)
        sides = iter([side])
    forward = question.probed.unfold(tau, **bound)
    symbols = SympyAlgebra().symbols(forward.system, forward.tau, forward.sizes, {})
    scalar = question.scalar
    truth = Derivatives(forward.evaluate({}, over="sympy", outputs=[scalar])[scalar])
    field = Field(simplices=_simplices(forward.system, symbols))
    found = [
        _judge(field, truth, side, name, question, symbols, deadline)
        for side in sides
        for name in targets
        if side.prefix + name in side.values
    ]
    judged = {claim.by for claim in found}
    return Proof(
        circuit.name,
        loss,
        checked_lengths(system, tau),
        bound,
        METHOD_TEXT,
        tuple(found),
        tuple(_assumptions(circuit, forward)),
        time.monotonic() - started,
        tuple(name for name in system.params if name not in judged) if claims is not None else (),
    )


def _targets(circuit: Circuit, loss: str, wrt: Any, *, claimed: bool) -> list[str]:
    """Return what to differentiate by; raise ProofError where nothing can be proved."""
    system = circuit.check()
    if wrt is None and not claimed and not system.params:
        without = "" if loss in system.variables else f" and no {loss}"
        raise ProofError(
            f"{circuit.name} has no parameter{without}: there is no gradient to prove",
            remedy="name inputs to differentiate by, as in wrt=['x']"
            if loss in system.variables
            else f"add parameters and a {loss}, or unfold and evaluate the circuit as it is",
        )
    if loss not in system.variables:
        error = unknown_name(loss, system.variables)
        raise ProofError(f"{circuit.name} has no {loss} to differentiate", remedy=error.remedy)
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


def _question(circuit: Circuit, loss: str) -> _Question:
    """Open the boundaries, and multiply a loss that is not one number by an upstream cotangent."""
    opened = circuit.open()
    variable = opened.check().variables[loss]
    if variable.index is None and not variable.shape:
        return _Question(opened, loss, opened, loss)
    probed = opened.copy()
    seed: Any = probed.input(f"seed_{loss}", *variable.shape, index=variable.index)
    value: Any = probed[loss]
    over = None if variable.index is None else formulas.index(variable.index)
    if over is not None:
        seed, value = seed[over], value[over]
    product = formulas.sum(seed * value) if variable.shape else seed * value
    scalar = f"probe_{loss}"
    while scalar in probed.declared().names():
        scalar += "_"
    probed[scalar] = product if over is None else formulas.sum(product, over=over)
    return _Question(opened, loss, probed, scalar)


def _own_sides(
    question: _Question, targets: list[str], tau: Any, sizes: Mapping[str, int]
) -> Iterator[_Side]:
    """Yield the two backward passes of the library."""
    adjoint = question.opened.adjoint(question.loss, wrt=targets)
    prefix = cotangent_prefix(question.opened.check().declared.names())
    names = [prefix + name for name in targets]
    dag = adjoint.unfold(tau, **sizes)
    values = dag.evaluate({}, over="sympy", outputs=names)
    yield _Side("adjoint equations", prefix, values)
    swept = question.probed.unfold(tau, **sizes).grad(question.scalar, wrt=targets)
    prefix = cotangent_prefix(question.probed.check().declared.names())
    values = swept.evaluate({}, over="sympy", outputs=[prefix + name for name in targets])
    yield _Side("reverse sweep on the unfolded graph", prefix, values)


def _claimed_side(
    question: _Question,
    claims: str | Mapping[str, str],
    targets: list[str],
    wrt: Any,
    tau: Any,
    sizes: Mapping[str, int],
) -> tuple[_Side, list[str]]:
    """Return the gradients that a person claims, and by what they are."""
    text = claims if isinstance(claims, str) else _claims_text(claims)
    known = question.probed.check()
    prefix = cotangent_prefix(known.declared.names())
    try:
        stated = question.probed.extend(text)
    except GraphgradError as error:
        if error.place is not None:
            error.place = replace(error.place, source="claims")
        raise
    if wrt is None:
        targets = [*known.params, *known.inputs]
    names = []
    for equation in stated.equations.values():
        name = equation.name.removeprefix(prefix)
        if equation.name == name or equation.name in known.variables:
            continue
        place = equation.place and replace(equation.place, source="claims")
        if name in targets:
            _check_free(known, name, place)
            _check_shape(known, name, stated.variables[equation.name], place)
            names.append(name)
        elif wrt is None and equation.index is None and name not in known.variables:
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
    dag = stated.unfold(tau, **sizes)
    outputs = [prefix + name for name in names]
    return _Side("claimed", prefix, dag.evaluate({}, over="sympy", outputs=outputs)), names


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


def _judge(
    field: Field,
    truth: Derivatives,
    side: _Side,
    name: str,
    question: _Question,
    symbols: Mapping[str, Any],
    deadline: float,
) -> Claim:
    """Decide one gradient, entry by entry, and stop at the first that is refuted."""
    by = np.asarray(symbols[name], object)
    claimed = np.asarray(side.values[side.prefix + name], object)
    claim = Claim(
        side.prefix + name,
        f"∂{question.shown}/∂{name}",
        side.origin,
        "proved",
        by.size,
        by=name,
        indexed=name in question.opened.inputs and question.opened.inputs[name].index is not None,
    )
    for entry in np.ndindex(*by.shape):
        decision = _entry(field, truth, by[entry], claimed[entry], deadline)
        if decision.verdict == "nonzero":
            bounds = decision.enclosure
            return replace(
                claim,
                verdict="refuted",
                reason=decision.reason,
                entry=entry,
                witness=_witness(question.probed.check(), symbols, decision.witness or {}),
                difference=(str(bounds[0]), str(bounds[1])) if bounds else None,
            )
        if decision.verdict == "undecided":
            claim = replace(claim, verdict="undecided", reason=decision.reason)
    return claim


def _entry(
    field: Field, truth: Derivatives, symbol: sympy.Symbol, claimed: Any, deadline: float
) -> ZeroDecision:
    left = deadline - time.monotonic()
    if left <= 0:
        return ZeroDecision("undecided", "the time limit was reached")
    return field.equal(claimed, truth.by(symbol), time_limit=left)


def _witness(
    system: System, symbols: Mapping[str, Any], point: Mapping[sympy.Symbol, sympy.Rational]
) -> dict[str, Any]:
    """Return a point as data for the circuit: nested lists of rationals, tokens as integers."""
    found: dict[str, Any] = {}
    for name, given in symbols.items():
        array = np.asarray(given, object)
        kind = system.inputs[name].kind if name in system.inputs else "input"
        other = sympy.S.One  # what neither side depends on gets some value, too
        if kind != "input":
            other = sympy.S.Zero if kind == "token" else sympy.Rational(1, 13 * array.shape[-1])
        values = {s: point.get(s, other) for s in array.flat if isinstance(s, sympy.Symbol)}
        entries = np.empty(array.shape, object)
        for entry in np.ndindex(*array.shape):
            entries[entry] = str(sympy.sympify(array[entry]).xreplace(values))
        if kind == "token":
            found[name] = np.argmax(entries == "1", axis=-1).tolist()
        else:
            found[name] = entries.tolist()
    return found


def _simplices(system: System, symbols: Mapping[str, Any]) -> Iterator[Simplex]:
    """Yield the symbols that are probability vectors, and those that stand for tokens."""
    for name, declared in system.inputs.items():
        if declared.kind == "input":
            continue
        for row in np.reshape(symbols[name], (-1, np.shape(symbols[name])[-1])):
            if len(row) > 1:
                yield Simplex(tuple(row[:-1]), vertices=declared.kind == "token")


def _assumptions(circuit: Circuit, dag: Dag) -> Iterator[str]:
    """Yield what the verdicts leave out, or hold for."""
    kinks = {t.op.name: t.op.kinks for t in dag.templates if t.op.kinks}
    for name, where in sorted(kinks.items()):
        yield f"no {name} stands at its kink ({where})"
    domains = {t.op.name: t.op.domain for t in dag.templates if t.op.domain}
    for name, where in sorted(domains.items()):
        yield f"every {name} is inside its domain ({where})"
    for name, declared in circuit.check().inputs.items():
        if declared.kind == "distribution":
            yield f"the entries of {name} sum to 1"
        if declared.kind == "token":
            yield f"{name} is a token: proved for every row of weights with sum 1"
    opened = [name for name in circuit.open().inputs if name not in circuit.inputs]
    if opened:
        yield f"the boundary values {', '.join(opened)} are arbitrary, not only zero"
