"""Planted faults: the library's own backward equations, each time with one small thing changed.

A mutant is a dict of claims and the kind of fault. `differs` is the oracle: floating-point values
at a generic point, against reverse mode on the unfolded graph.
"""

from __future__ import annotations

import re
import warnings
from collections.abc import Iterator
from random import Random
from typing import Any

import numpy as np

import graphgrad as gg

Claims = dict[str, str]


def backward(circuit: gg.Circuit) -> Claims:
    """The library's backward equations, left sides with their right sides."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        adjoint = str(circuit.adjoint())
    own = set(str(circuit).splitlines())
    lines = [line for line in adjoint.splitlines() if line not in own]
    return dict(line.split(" = ", 1) for line in lines if " = " in line)


PATTERNS: list[tuple[str, str, str]] = [
    ("lag", r"\[t-1\]", "[t]"),
    ("lag", r"\[t-1\]", "[t-2]"),
    ("lag", r"\[t\]", "[t-1]"),
    ("lag", r"\[t\]", "[t+1]"),
    ("lag", r"\[t\+1\]", "[t]"),
    ("lag", r"\[t\+1\]", "[t+2]"),
    ("lag", r"\[tau\]", "[tau-1]"),
    ("transpose", r"\.T @", " @"),
    ("transpose", r"(\w+) @", r"\1.T @"),
    ("transpose", r"outer\((\w+\[[^]]*\]), (\w+\[[^]]*\])\)", r"outer(\2, \1)"),
    ("average", r"\bsum\((.*) for", r"mean(\1 for"),
    ("truncation", r" for t in steps\)", " for t in steps if t > tau - 2)"),
    ("truncation", r" for t in steps\)", " for t in steps if t <= 3)"),
    ("boundary", r" for t in steps\)", " for t in steps if t > 1)"),
    ("boundary", r" for t in steps\)", " for t in steps if t < tau)"),
    ("boundary", r"if t < tau", "if t < tau - 1"),
    ("boundary", r"if t == tau", "if t == 1"),
    ("boundary", r"if t > 1", "if t > 2"),
    ("sign", r" - ", " + "),
    ("sign", r" \+ ", " - "),
    ("slope", r"\*\*2", ""),
    ("slope", r"\*\*2", "**3"),
    ("slope", r"1 - ", ""),
]
WHOLE: list[tuple[str, str]] = [
    ("sign", "-({})"),
    ("factor", "2 * ({})"),
    ("factor", "1.000001 * ({})"),
    ("dropped", "0 * ({})"),
    ("boundary", "({}) if t > 1 else 0"),
    ("boundary", "({}) if t < tau else 0"),
    ("truncation", "({}) if t > tau - 3 else 0"),
]


def mutants(circuit: gg.Circuit, count: int, seed: int) -> Iterator[tuple[str, Claims]]:
    """Yield claims with one fault each, and its kind; some may be equivalent, none is malformed.

    The circuit has one size for all dimensions (`square`).
    """
    claims, draw = backward(circuit), Random(seed)
    lefts, found = list(claims), 0
    for _ in range(30 * count):
        if found == count or not lefts:
            return
        left = draw.choice(lefts)
        right = claims[left]
        if draw.random() < 0.3:
            kind, form = draw.choice(WHOLE)
            if "if t" in form and "[t]" not in left:
                continue
            changed = form.format(right)
        else:
            kind, pattern, other = draw.choice(PATTERNS)
            places = list(re.finditer(pattern, right))
            if not places:
                continue
            place = draw.choice(places)
            changed = right[: place.start()] + place.expand(other) + right[place.end() :]
        if changed == right:
            continue
        try:
            circuit.extend(text_of(claims | {left: changed})).check()
        except gg.GraphgradError:
            continue
        found += 1
        yield kind, claims | {left: changed}


def text_of(claims: Claims) -> str:
    return "\n".join(f"{left} = {right}" for left, right in claims.items())


def square(circuit: gg.Circuit) -> gg.Circuit:
    """The circuit with one size for all dimensions, so that transposing is no type error."""
    text = str(circuit)
    for name in circuit.sizes:
        text = re.sub(rf"^{name}: size\(.*\n", "", text, flags=re.M)
        text = re.sub(rf"\b{name}\b(?=[^\n]*\))(?<!\[)", "Nn", text)
    return gg.parse(text, circuit.name)


def differs(circuit: gg.Circuit, claims: Claims, tau: int, n: int) -> dict[str, float]:
    """The largest relative error of each claimed gradient at generic points."""
    opened = circuit.open()
    sizes = dict.fromkeys(circuit.sizes, n)
    stated = opened.extend(text_of(claims)).unfold(tau, **sizes)
    true = opened.unfold(tau, **sizes).grad()
    found: dict[str, float] = {}
    for seed in range(3):
        random = np.random.default_rng(seed)
        values: dict[str, Any] = circuit.example(seed, tau, **sizes)
        for name in opened.inputs:
            if name not in values:
                values |= {name: random.uniform(0.2, 0.9, (n,) * len(opened.inputs[name].type))}
        for name, value in circuit.init(seed, **sizes).items():
            values[name] = random.uniform(0.2, 0.9, np.shape(value)) * random.choice([-1, 1])
        with np.errstate(all="ignore"):
            a, b = stated.evaluate(values), true.evaluate(values)
        for name in circuit.params:
            key = f"d_{name}"
            if key not in claims:
                continue
            scale = np.max(np.abs(b[key])) + 1e-30
            error = float(np.max(np.abs(a[key] - b[key])) / scale)
            found[name] = max(found.get(name, 0.0), error if np.isfinite(error) else 0.0)
    return found
