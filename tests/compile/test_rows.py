"""What is done together row by row, read off the emitted source: loops, and what is left out."""

from __future__ import annotations

import re

import pytest

import graphgrad as gg
from graphgrad.compile.emit_numba import emit

COPY = re.compile(r"store\((\w+, \([^()]*\)), left, read\((\w+, \([^()]*\))\)\)")


def source(name: str) -> str:
    """The source of a cell's loss and gradients, for a batch."""
    circuit = gg.cells.load(name)
    made = circuit.compile(*circuit.variables, grad="loss" if circuit.params else None)
    return emit(made.schedule_for(circuit.inputs)).source


def component_loops(text: str) -> list[str]:
    """The bodies of the loops over components."""
    lines = text.split("\n")
    found = []
    for number, line in enumerate(lines):
        if line.lstrip().startswith("for j in"):
            depth = len(line) - len(line.lstrip())
            body = []
            for inner in lines[number + 1 :]:
                if len(inner) - len(inner.lstrip()) <= depth:
                    break
                body.append(inner)
            found.append("\n".join(body))
    return found


@pytest.mark.parametrize("name", ["lstm", "lstm_peephole"])
def test_a_function_that_waits_for_another_one_has_a_loop_of_its_own(name: str) -> None:
    costly = [
        loop for loop in component_loops(source(name)) if "sigmoid(" in loop or "tanh(" in loop
    ]
    gates, output = costly
    assert len(re.findall(r"sigmoid\(", gates)) == (2 if name == "lstm_peephole" else 3)
    assert gates.count("tanh(") == 1
    assert re.search(r"tanh\((read|load)\(c, \(t \+ 1, b, j\)", output)
    assert ("sigmoid(" in output) == (name == "lstm_peephole")  # this gate looks at the new state


def test_a_chain_of_functions_is_divided_once() -> None:
    inner = [f"h{k}[t] = tanh(h{k - 1}[t])" for k in range(1, 8)]
    text = "x[t]: input(H)\nW: param(H, H)\nh0[t] = tanh(x[t] + W @ h7[t-1])\n" + "\n".join(inner)
    made = gg.parse(text + "\nloss = sum(h7[t] @ h7[t] for t in steps)").compile("loss")
    loops = component_loops(emit(made.schedule_for(["x"])).source)
    assert [each.count("tanh(") for each in loops if "tanh(" in each] == [3, 5]


def test_what_waits_for_nothing_stays_in_one_loop() -> None:
    (loop,) = [each for each in component_loops(source("elman")) if "tanh(" in each]
    assert "store(h, (t + 1, b, j), left, tanh(" in loop


@pytest.mark.parametrize("name", [n for n in gg.cells.names() if n != "fixed_point"])
def test_nothing_is_copied_onto_itself(name: str) -> None:
    copies = COPY.findall(source(name))
    assert [to for to, start in copies if to == start] == []
