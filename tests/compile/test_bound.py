"""Programs bound to sizes: what is refused; a divided batch gives what an undivided one gives."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from threading import Event
from typing import Any

import numpy as np
import pytest

import graphgrad as gg
from graphgrad.compile import run_numba
from graphgrad.compile.bound import Bound, Divided
from graphgrad.compile.functions import ValueAndGrad

pytestmark = pytest.mark.oracle("numba")

COUNT, STEPS, SIZE = 7, 4, 3
TEXT = """
x[t]: input(D)
W: param(H, H)
U: param(H, D)
h[t] = tanh(W @ h[t-1] + U @ x[t])
L[t] = sum(h[t] * h[t])
loss = sum(L[t] for t in steps)
"""


@pytest.fixture(autouse=True)
def always_divided(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(run_numba, "THREADS_PAY", 0)


def called(threads: int) -> tuple[ValueAndGrad, Any, dict[str, Any], dict[str, Any]]:
    """Return a function that was called once, its bound program, and what it was called with."""
    circuit = gg.parse(TEXT)
    sizes = {"H": SIZE, "D": SIZE}
    params, inputs = circuit.init(0, **sizes), circuit.example(1, STEPS, (COUNT,), **sizes)
    function = gg.value_and_grad(circuit, backend="numba", threads=threads)
    function(params, **inputs)
    assert function.compiled._last is not None
    return function, function.compiled._last[1].__self__, params, inputs


@pytest.mark.parametrize("threads", [2, 3, COUNT, 50])
def test_a_divided_batch_gives_what_an_undivided_one_gives(threads: int) -> None:
    _, alone, params, inputs = called(1)
    _, divided, _, _ = called(threads)
    assert isinstance(alone, Bound)
    assert isinstance(divided, Divided)
    assert len(divided._parts) == min(threads, COUNT)
    want, got = (bound.again({**params, **inputs}) for bound in (alone, divided))
    assert want is not None
    assert got is not None
    assert want.keys() == got.keys()
    for name, value in want.items():
        assert got[name].shape == value.shape
        np.testing.assert_allclose(got[name], value, rtol=1e-12)


def changed(**given: Any) -> Mapping[str, Any]:
    return given


@pytest.mark.parametrize("threads", [1, 2])
@pytest.mark.parametrize(
    "other",
    [
        changed(x=np.ones((STEPS, COUNT + 1, SIZE))),
        changed(x=np.ones((STEPS, COUNT, SIZE + 1))),
        changed(x=np.ones((STEPS + 1, COUNT, SIZE))),
        changed(x=np.ones(STEPS)),
        changed(x=np.ones((STEPS, COUNT, SIZE), np.float32)),
        changed(x=np.ones((STEPS, COUNT, SIZE)).tolist()),
        changed(W=np.ones((SIZE, SIZE + 1))),
        changed(W=[[1.0]]),
        changed(more=np.ones(2)),
    ],
    ids=lambda other: "-".join(f"{name}{np.shape(value)}" for name, value in other.items()),
)
def test_values_unlike_the_last_ones_are_left_to_others(
    threads: int, other: Mapping[str, Any]
) -> None:
    _, bound, params, inputs = called(threads)
    given = {**params, **inputs}
    assert bound.again({**given, **other}) is None
    assert bound.again({name: value for name, value in given.items() if name != "U"}) is None
    assert bound.again(given) is not None


def test_what_is_impossible_in_one_part_is_refused_as_a_whole() -> None:
    circuit = gg.cells.load("lstm")
    sizes = dict.fromkeys(circuit.sizes, SIZE)
    params, inputs = circuit.init(0, **sizes), circuit.example(1, STEPS, (COUNT,), **sizes)
    function = gg.value_and_grad(circuit, backend="numba", threads=2)
    function(params, **inputs)
    for example in (0, COUNT - 1):
        wrong = inputs["y"].copy()
        wrong[1, example] = 2
        with pytest.raises(gg.GraphgradError, match="y is declared a distribution"):
            function(params, **inputs | {"y": wrong})


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system cannot fork")
def test_a_forked_process_has_threads_of_its_own() -> None:
    function, _, params, inputs = called(2)
    want, _ = function(params, **inputs)
    sys.stdout.flush()
    child = os.fork()
    if child == 0:
        code = 1
        try:
            code = 0 if function(params, **inputs)[0] == want else 2
        finally:
            os._exit(code)
    _, status = os.waitpid(child, 0)
    assert os.waitstatus_to_exitcode(status) == 0


@pytest.mark.parametrize("threads", [1, 2])
@pytest.mark.parametrize("g", [np.array(0.5), np.float64(0.5)], ids=["array", "number"])
def test_single_numbers_are_taken_as_they_are(threads: int, g: Any) -> None:
    circuit = gg.parse("g: param()\n" + TEXT.replace("tanh(W", "g * tanh(W"))
    sizes = {"H": SIZE, "D": SIZE}
    given = circuit.init(0, **sizes) | circuit.example(1, STEPS, (COUNT,), **sizes) | {"g": g}
    function = circuit.compile("loss", grad="loss", backend="numba", threads=threads)
    want = function(given)
    assert function._last is not None
    bound = function._last[1].__self__
    found = bound.again(given)
    assert found is not None
    np.testing.assert_allclose(found["d_g"] / COUNT, want["d_g"], rtol=1e-12)
    assert bound.again({**given, "g": np.array([0.5])}) is None
    assert bound.again({**given, "g": np.float32(0.5)}) is None
    with pytest.raises(gg.DataError, match="g has shape"):
        function({**given, "g": np.array([0.5])})


def test_arrays_that_are_copied_first_are_not_tried_as_they_are() -> None:
    """To be told that there is no machine code for them takes longer than a small call."""
    function, _, params, inputs = called(1)
    want = function(params, **inputs)
    for other in (np.asfortranarray(inputs["x"]), np.repeat(inputs["x"], 2, axis=1)[:, ::2]):
        function(params, x=other)
        assert function.compiled._last is None
    found = function(params, **inputs)
    assert function.compiled._last is not None
    np.testing.assert_array_equal(found[0], want[0])


def test_no_code_is_made_for_other_types_while_another_thread_has_some_made(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Numba's dispatcher may compile then, and would do so for whatever it is called with."""
    function, bound, params, inputs = called(1)
    dispatcher = bound._code.compiled
    made, begun, go = dispatcher.compile, Event(), Event()

    def slowly(types: Any) -> Any:
        begun.set()
        go.wait(60)
        return made(types)

    monkeypatch.setattr(dispatcher, "compile", slowly)
    single = {name: np.float32(value) for name, value in {**params, **inputs}.items()}
    with ThreadPoolExecutor(2) as pool:
        first = pool.submit(function, single)
        assert begun.wait(60)
        second = pool.submit(bound.again, {**params, "x": np.asfortranarray(inputs["x"])})
        time.sleep(0.2)  # it calls the dispatcher meanwhile
        go.set()
        assert second.result() is None
        assert first.result()[0].dtype == np.float32
