"""`import graphgrad` is light: SymPy, networkx and drawing are loaded when they are used."""

from __future__ import annotations

import inspect
import re
import subprocess
import sys
from collections.abc import Callable
from typing import Any

import pytest

import graphgrad as gg
from graphgrad.adjoint import adjoint
from graphgrad.compile.functions import compile_circuit
from graphgrad.contributions import contributions
from graphgrad.evaluate import evaluate
from graphgrad.notation.latex import circuit_latex
from graphgrad.paths import paths
from graphgrad.proof.check import check_function
from graphgrad.proof.prove import prove
from graphgrad.time_slices import slices
from graphgrad.unfold import Dag

HEAVY = [
    "sympy",
    "networkx",
    "graphviz",
    "pygraphviz",
    "rich",
    "scipy",
    "matplotlib",
    "torch",
    "jax",
    "flint",
    "numba",
    "viz",
]


def loaded_after(code: str) -> set[str]:
    """The top-level modules that a fresh interpreter has loaded after some code."""
    script = f"{code}\nimport sys\nprint(*sorted({{m.split('.')[0] for m in sys.modules}}))"
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True, timeout=120
    )
    assert done.stderr == ""
    return set(done.stdout.split())


def test_importing_loads_nothing_heavy() -> None:
    assert not loaded_after("import graphgrad") & set(HEAVY)


def test_reading_and_writing_circuits_loads_no_sympy_and_no_drawing() -> None:
    code = (
        "import graphgrad as gg\n"
        "c = gg.cells.load('elman')\n"
        "d = c.unfold(3)\n"
        "d.grad().evaluate(c.init(0, H=2, D=2, K=2) | c.example(0, 3, H=2, D=2, K=2))\n"
        "str(c)"
    )
    assert not loaded_after(code) & {"sympy", "graphviz", "pygraphviz", "viz", "matplotlib"}


def test_what_sympy_is_for_loads_it() -> None:
    code = (
        "import graphgrad as gg\n"
        "gg.parse('k: param()\\nout = k * 2').unfold(1).evaluate({}, over='sympy')"
    )
    assert "sympy" in loaded_after(code)


@pytest.mark.parametrize(
    "name",
    ["parse", "load", "cells", "Circuit", "t", "tau", "steps", "sum", "mean", "max", "choose",
     "where", "split", "at", "zeros", "ones", "onehot", "index", "tanh", "softmax", "cross_entropy",
     "prove", "GraphgradError", "__version__"],
)  # fmt: skip
def test_public_names(name: str) -> None:
    assert hasattr(gg, name)


@pytest.mark.parametrize(
    ("public", "behind"),
    [
        (gg.prove, prove), (gg.check_function, check_function), (gg.slices, slices),
        (gg.value_and_grad, compile_circuit), (gg.Circuit.compile, compile_circuit),
        (gg.Circuit.adjoint, adjoint), (gg.Circuit.latex, circuit_latex), (Dag.evaluate, evaluate),
        (Dag.contributions, contributions), (Dag.paths, paths),
    ],
)  # fmt: skip
def test_help_names_every_option(public: Callable[..., Any], behind: Callable[..., Any]) -> None:
    """A function that is imported when it is called has a signature that says little."""
    options = inspect.signature(behind).parameters.values()
    names = [each.name for each in options if each.kind is each.KEYWORD_ONLY]
    told = {*inspect.signature(public).parameters, *re.findall(r"`(\w+)", public.__doc__ or "")}
    assert names
    assert set(names) - {"grad"} <= told


def test_the_functions_of_the_notation_are_public() -> None:
    for name, op in gg.FUNCTIONS.items():
        assert getattr(gg, name) is op


def test_a_misspelt_attribute_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError):
        _ = gg.tnah
