"""Hard circuits, one for each thing that is easily got wrong, exactly, for τ = 1..8.

Each cotangent is compared with its meaning: the derivative of the loss by something added to that
one value, in forward mode through the definition of the notation (`tests/naive.py`).
"""

from __future__ import annotations

import itertools
import random
from collections.abc import Callable
from fractions import Fraction
from typing import Any

import numpy as np
import pytest

import graphgrad as gg
from graphgrad.adjoint import boundary_name
from graphgrad.conditions import ALWAYS
from graphgrad.declared import Boundary, Equation
from graphgrad.ir import constant
from graphgrad.notation.text import boundary_text, expression_text, style_of
from graphgrad.substitute import later
from tests.adjoint.square import Whole, closed, square
from tests.naive import Dual, Naive, lifted

LENGTHS = {"H": 2, "K": 3, "N": 3}

NASTY = {
    "lags of both signs in one circuit": """
        w: param()
        U: param(H, K)
        x[t]: input(K)
        a[t] = U @ x[t+1] - w * (U @ x[t-2])
        h[t] = w * h[t-1] + a[t] * a[t+3] - h[t-2]
        g[t] = g[t+2] * w - h[t-3] * h[t+1] + g[t+1]
        loss = sum(g[t] @ h[t] + sum(a[t-1]) for t in steps)
    """,
    "h[0] given and h[-1] not": """
        w: param()
        r: param(H)
        x[t]: input(H)
        h[0] = r * r
        h[t] = w * h[t-1] + 2 * h[t-2] - x[t] * h[t-2]
        loss = sum(h[t-2] @ x[t] + sum(h[t-1]) for t in steps)
    """,
    "both ends given, and something between left out": """
        w: param()
        r: param(H)
        x[t]: input(H)
        h[-2] = r
        h[0] = w * r
        h[t] = w * h[t-1] + x[t] * h[t-3] - h[t-2]
        g[tau+2] = r - h[tau]
        g[t] = w * g[t+1] * h[t] + g[t+2]
        loss = sum(sum(g[t-1]) + g[t] @ h[t-1] for t in steps)
    """,
    "a conditional sum": """
        w: param()
        x[t]: input()
        h[t] = w * h[t-1] + x[t]
        p = sum(h[t] * h[t-1] for t in steps if t > 2 and t % 3 != 1)
        loss = p - w * sum(h[t+1] for t in steps if t == tau - 2 or t == 1)
    """,
    "a conditional sum whose condition two products share": """
        w: param()
        x[t]: input()
        h[t] = w * h[t-1] + x[t]
        g[t] = x[t] * h[t-2]
        loss = sum(h[t] + w * x[t] * (h[t-1] * g[t]) for t in steps if t > 2)
    """,
    "a conditional mean, and a mean of a conditional sum": """
        w: param()
        x[t]: input()
        h[t] = w * h[t-1] + x[t] * (w if t % 2 == 0 else 1)
        m = mean(h[t] ** 2 for t in steps if t <= 4)
        loss = m * mean(h[t-1] * m for t in steps) + sum(x[t] * m for t in steps if t == tau)
    """,
    "h[tau] and h[tau-1]": """
        w: param()
        r: param(H)
        x[t]: input(H)
        h[0] = r
        h[t] = w * h[t-1] + x[t] * h[t-2]
        loss = h[tau] @ h[tau] - 3 * (h[tau-1] @ h[tau]) + sum(h[tau-2]) + h[1] @ h[tau-1]
    """,
    "division by an indexed value": """
        w: param()
        x[t]: input(H)
        n[t] = x[t] @ x[t] + w * w
        h[t] = (w * h[t-1] + x[t]) / n[t]
        g[t] = h[t-2] / n[t] + g[t+1] * w / (n[t] + 1) ** 2
        loss = sum(sum(g[t]) / n[t] + sum(h[t-1] / x[t]) for t in steps)
    """,
    "a parameter transformed before the loop and used inside": """
        A: param(H, H)
        s: param(H)
        x[t]: input(H)
        B = (A + A.T) / 2
        W = B @ B - outer(s, s)
        q = W @ s
        h[0] = q
        h[t] = W @ h[t-1] + x[t] * q
        loss = sum(h[t] @ (B @ h[t]) for t in steps) + q @ h[tau]
    """,
    "a reduction inside an equation": """
        w: param()
        U: param(H, H)
        x[t]: input(H)
        h[t] = w * h[t-1] + U @ (x[t] - mean(x[t] for t in steps))
        g[t] = h[t] * w + sum(h[t] * x[t] for t in steps if t > 1) * k[t]
        k[t] = mean(h[t] @ x[t] for t in steps) if t < tau else 1
        loss = sum(sum(g[t] * h[t]) for t in steps)
    """,
    "an advance inside a positive cycle": """
        W: param(H, H)
        w: param()
        x[t]: input(H)
        a[t] = W @ b[t+1] + x[t]
        b[t] = a[t-2] * w - b[t-1]
        loss = sum(a[t] @ b[t] for t in steps) + sum(a[tau])
    """,
    "a delay inside a negative cycle": """
        w: param()
        x[t]: input()
        a[tau+1] = w
        a[t] = w * b[t-1] + x[t]
        b[t] = a[t+2] - w * b[t+1]
        loss = sum(a[t] * b[t] * x[t] for t in steps) + b[1]
    """,
    "two index sets": """
        s: steps(m)
        t: steps(n)
        W: param(H, H)
        F: param(N, H)
        w: param()
        x[s]: input(H)
        y[t]: token(N)
        h[s] = W @ h[s-1] + w * x[s]
        C = h[m] - mean(h[s] for s in steps)
        y[0] = 0
        g[0] = W @ C
        g[t] = w * g[t-1] + F[y[t-1]] * C + g[t-2]
        loss = sum(g[t] @ C for t in steps if t > 1 or n == 1) + g[n-1] @ h[m-1]
    """,
    "choices by the index, by parity and by the length": """
        w: param()
        x[t]: input()
        r = w * w if tau > 3 else 2 * w
        h[t] = (h[t-1] * w if t % 2 == 0 else h[t-2] - r * x[t]) if not (t == 1) else r
        g[t] = g[t+1] * h[t] if t < tau - 1 else r * h[t]
        loss = g[1] + sum(h[t] * h[t-1] for t in steps if t % 3 == 0 or t == tau)
    """,
    "a choice by the index that several reads share": """
        w: param(H)
        x[t]: input(H)
        p[t] = w * x[t]
        v[t] = (2 if t == 1 else 3) * (p[t] @ (x[t] + p[t-1]))
        loss = sum(v[t] for t in steps)
    """,
    "boundary values that depend on each other and on the ends": """
        w: param()
        x[t]: input()
        h[-1] = w * x[1]
        h[0] = w * w - h[tau+1]
        h[tau+1] = w / 2
        h[t] = x[t] * h[t-1] - w * h[t-2] * x[t-1]
        loss = sum(h[t+1] * h[t-2] for t in steps) + h[tau] * h[0]
    """,
    "a matrix as the state, tokens, and pieces of a vector": """
        E: param(N, H)
        M: param(H, H)
        w: param()
        n[t]: token(N)
        n[0] = 1
        S[t] = w * S[t-1] + outer(E[n[t]], M @ E[n[t-1]]) - S[t-1].T
        u[t] = concat(S[t] @ E[n[t]], w * E[n[t]])
        loss = sum(split(u[t], H, H)[0] @ split(u[t], H, H)[1] + at(u[t], 3) for t in steps)
    """,
    "a static value that hangs on a sweep that hangs on it": """
        w: param()
        x[t]: input()
        a[t] = w * a[t-1] + x[t]
        z = a[tau] * a[1]
        b[t] = b[t+1] * z + a[t-1]
        y = b[1] + sum(b[t] * z for t in steps)
        loss = y * y - z * w
    """,
}  # fmt: skip


def probed(circuit: gg.Circuit) -> tuple[gg.Circuit, dict[str, str]]:
    """The circuit with an input added to every value, and which cotangent belongs to which."""
    declared = circuit.declared()
    system = circuit.check()
    style = style_of(declared)
    lines = [line for line in str(circuit).splitlines() if " = " not in line]
    lines += [f"{i.name}: steps({i.length})" for i in declared.indices.values()]
    equations: list[str] = []
    found: dict[str, str] = {}
    parts: list[Equation | Boundary] = [*declared.boundaries.values(), *declared.equations.values()]
    for each in parts:
        shape = ", ".join(str(dim) for dim in circuit.variables[each.name].shape) if (
            each.name in circuit.variables) else None  # fmt: skip
        right = expression_text(each.root, declared)
        if isinstance(each, Boundary):
            left = boundary_text(each, style).split(" = ")[0]
            stem, at = boundary_name(system, each.key), ""
        else:
            at = f"[{each.index}]" if each.index else ""
            left, stem = f"{each.name}{at}", each.name
        if shape is None:  # a token has no derivative
            equations.append(f"{left} = {right}")
            continue
        lines.append(f"e_{stem}{at}: input({shape})")
        equations.append(f"{left} = ({right}) + e_{stem}{at}")
        found[f"e_{stem}"] = f"d_{stem}"
    return gg.parse("\n".join([*dict.fromkeys(lines), *equations])), found


def numbers(circuit: gg.Circuit, steps: dict[str, int], seed: int) -> dict[str, Any]:
    """Random values, zero for what was added to a value."""
    source = random.Random(seed)
    values: dict[str, Any] = {}
    declared = {n: (p.shape, None, "param") for n, p in circuit.params.items()}
    declared |= {n: (i.shape, i.index, i.kind) for n, i in circuit.inputs.items()}
    for name, (dims, index, kind) in declared.items():
        lead = (steps[index],) if index else ()
        array = np.empty((*lead, *(int(dim.bind(LENGTHS)) for dim in dims)), object)
        for position in np.ndindex(*array.shape):
            drawn = Fraction(source.choice((-3, -2, -1, 1, 2, 3)), source.choice((1, 2, 5)))
            array[position] = Fraction(0) if name.startswith("e_") else drawn
        values[name] = array
        if kind == "token":
            values[name] = np.array([source.randrange(LENGTHS["N"]) for _ in range(lead[0])])
    return values


def check(title: str, longest: int) -> set[str]:
    """Compare everything for 1..longest steps; return the names of what was compared."""
    circuit = gg.parse(NASTY[title])
    meaning, cotangents = probed(circuit)
    indices = list(circuit.declared().indices)
    sizes = {name: LENGTHS[name] for name in circuit.sizes}
    targets = [*circuit.params, *(n for n, i in circuit.inputs.items() if i.kind != "token")]
    roads = [Whole(circuit, targets, guard).run() for guard in ("smart", "always")]
    asked = {name: f"d_{name}" for name in targets} | cotangents
    compared = set()
    for lengths in itertools.product(range(1, longest + 1), repeat=len(indices)):
        if len(set(lengths)) > 1 and max(lengths) > 3:
            continue  # two lengths: all pairs up to 3, then equal ones
        steps = dict(zip(indices, lengths, strict=True))
        values = numbers(meaning, steps, sum(lengths))
        duals = {n: lifted(n, v) if n in asked else v for n, v in values.items()}
        loss = Dual.of(Naive(meaning, steps, LENGTHS, duals).value("loss"))
        own = {n: v for n, v in values.items() if n not in cotangents}
        for adjoint in roads:
            found = adjoint.unfold(steps, **sizes).evaluate(own)
            assert found["loss"] == loss.value
            for name, cotangent in asked.items():
                array = np.asarray(found[cotangent], object)
                for position in np.ndindex(*array.shape):
                    expected = loss.parts.get((name, *position), 0)
                    assert array[position] == expected, (cotangent, position, steps)
                compared.add(cotangent)
        square(circuit, steps, wrt=targets, **sizes).check_exactly(own)
    return compared


@pytest.mark.parametrize("title", NASTY)
def test_every_cotangent_is_what_it_means(title: str) -> None:
    compared = check(title, 8)
    circuit = gg.parse(NASTY[title])
    assert {f"d_{name}" for name in circuit.variables} <= compared
    assert closed(circuit.adjoint())


def always(*_: Any) -> bool:
    return True


@pytest.mark.parametrize(
    ("place", "wrong"),
    [
        ("graphgrad.adjoint.deliver.vanishes_outside", always),
        ("graphgrad.adjoint.names.vanishes_outside", always),
        ("graphgrad.adjoint.deliver.within", lambda condition, index, length: ALWAYS),
        ("graphgrad.adjoint.deliver.Delivery.at_boundary", lambda self, found, key: []),
        ("graphgrad.adjoint.deliver.Delivery._at_one_step", lambda self, found, attr: None),
        ("graphgrad.adjoint.live.Dependence._can_reach", lambda self, leaf, key: False),
        ("graphgrad.adjoint.rules.negate", lambda condition: condition),
        (
            "graphgrad.adjoint.sweep.EquationSweep._crossed",
            lambda self, outer, arg, condition, value: (condition, value),
        ),
        (
            "graphgrad.adjoint.deliver.later",
            lambda root, condition, index, lag: later(root, condition, index, -lag),
        ),
        (
            "graphgrad.adjoint.rules.Rules._count",
            lambda self, index, condition: constant(2),
        ),
    ],
)
def test_a_wrong_rule_does_not_pass(
    monkeypatch: pytest.MonkeyPatch, place: str, wrong: Callable[..., Any]
) -> None:
    """The tester is tested: each part of the adjoint, made wrong, fails for some circuit."""
    monkeypatch.setattr(place, wrong)
    for title in NASTY:
        try:
            check(title, 3)
        except (AssertionError, gg.GraphgradError, KeyError):
            return
    pytest.fail(f"{place} is wrong, and no circuit shows it")
