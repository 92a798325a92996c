"""The Numba back end: the emitted source on the whole gallery, compiled code on a part of it."""

from __future__ import annotations

import errno
import importlib
import linecache
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import graphgrad as gg
from graphgrad.compile import run_numba
from graphgrad.compile.emit_numba import emit
from graphgrad.compile.plan import schedule_of
from tests.compile.reference import close, lengths, sizes

pytestmark = pytest.mark.oracle("numba")
COMPILED = ["lstm", "hidden_markov_model"]


@pytest.fixture(scope="module", autouse=True)
def own_cache(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    folder = tmp_path_factory.mktemp("cache")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("GRAPHGRAD_CACHE", str(folder))
        yield folder


def plain() -> dict[str, Any]:
    """The functions of the reference as Python runs them, without Numba."""
    scalar = importlib.import_module("graphgrad.compile.vector.scalar")
    text = Path(str(scalar.__file__)).read_text("utf-8")
    decorator = 'plain = njit(error_model="numpy")'
    assert decorator in text
    namespace: dict[str, Any] = {"__name__": "plain"}
    exec(text.replace(decorator, "plain = lambda function: function"), namespace)
    namespace["njit"] = lambda **options: lambda function: function
    return namespace


@pytest.mark.parametrize("name", gg.cells.names())
@pytest.mark.parametrize("batch", [(), (1,), (3,)], ids=str)
def test_the_source_computes_what_the_reference_computes(name: str, batch: tuple[int, ...]) -> None:
    circuit = gg.cells.load(name)
    chosen = sizes(circuit)
    loss = "loss" if "loss" in circuit.equations and circuit.params else None
    made = circuit.compile(*circuit.variables, grad=loss)
    wanted = [*made.outputs, *made.gradients.values()]
    batched = frozenset(circuit.inputs if batch else ())
    program = emit(schedule_of(made.system, wanted, made.gradients.values(), batched))
    space = plain()
    exec(program.source, space)
    for steps in (1, 3):
        tau = lengths(circuit, steps)
        values = circuit.init(3, **chosen) | circuit.example(2, tau, batch, **chosen)
        dag = circuit.unfold(tau)
        expected = (dag.grad() if loss else dag).evaluate(values)
        number = dict(tau) if isinstance(tau, dict) else {"t": tau}
        scalars = [*(number[i] for i in circuit.indices), *(chosen[n] for n in program.sizes)]
        scalars += [batch[0] if batch else 1]
        real = np.empty(0)
        results, work = space["results"](*scalars, real), space["work"](*scalars, real)
        given = [np.atleast_1d(values[each]) for each in program.arrays]
        with np.errstate(all="ignore"):
            assert space["compiled"](*scalars, real, True, *given, *work, *results)
        names = [*program.lengths, *(f"n_{n}" for n in program.sizes), "B"]
        arrays = dict(zip(program.returned, results, strict=True))
        arrays |= dict(zip(names, scalars, strict=True))
        for key, code in program.results.items():
            value, wanted_value = eval(code, arrays), expected[key]
            if key.removeprefix("d_") in circuit.params and batch:
                wanted_value = wanted_value.sum(axis=0)
            elif np.ndim(value) < np.ndim(wanted_value):
                wanted_value = wanted_value[0]
            close(value, wanted_value, 1e-11)


@pytest.mark.parametrize("name", COMPILED)
def test_compiled_functions_equal_the_reference(name: str) -> None:
    circuit = gg.cells.load(name)
    function = gg.value_and_grad(circuit, backend="numba")
    for size, tau, dtype, tolerance in [
        (1, 4, np.float64, 1e-12),
        (19, 5, np.float64, 1e-12),
        (19, 5, np.float32, 2e-5),
    ]:
        chosen = dict.fromkeys(circuit.sizes, size)
        values = circuit.init(0, **chosen) | circuit.example(1, tau, (3,), **chosen)
        dag = circuit.unfold(tau).grad()
        expected = dag.evaluate(values)
        single = {
            key: value.astype(dtype) if value.dtype.kind == "f" else value
            for key, value in values.items()
        }
        params = {key: single.pop(key) for key in circuit.params}
        loss, grads = function(params, batch="sum", **single)
        assert loss.dtype == dtype
        close(loss, expected["loss"].sum(), tolerance)
        for key, value in grads.items():
            assert value.dtype == dtype
            scale = np.max(np.abs(expected[f"d_{key}"]))
            assert np.max(np.abs(value - expected[f"d_{key}"].sum(axis=0))) <= tolerance * scale


def test_threads_change_only_the_order_of_sums(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(run_numba, "THREADS_PAY", 0)
    circuit = gg.cells.load("lstm")
    chosen = dict.fromkeys(circuit.sizes, 5)
    params, inputs = circuit.init(0, **chosen), circuit.example(1, 6, (7,), **chosen)
    one = gg.value_and_grad(circuit, backend="numba")
    two = gg.value_and_grad(circuit, backend="numba", threads=2)
    first, again = two(params, **inputs), two(params, **inputs)
    loss, grads = one(params, **inputs)
    assert first[0] == again[0]
    close(first[0], loss, 1e-14)
    for key, value in grads.items():
        np.testing.assert_array_equal(first[1][key], again[1][key])
        close(first[1][key], value, 1e-13)


def used_and_fresh(
    name: str, **options: Any
) -> tuple[gg.Circuit, dict[str, Any], dict[str, Any], gg.ValueAndGrad, Callable[..., Any]]:
    """Return a function that was called before, and how one is called that was not."""
    circuit = gg.cells.load(name)
    chosen = dict.fromkeys(circuit.sizes, 5)
    params, inputs = circuit.init(0, **chosen), circuit.example(1, 6, (3,), **chosen)
    used = gg.value_and_grad(circuit, backend="numba", **options)
    used(params, **inputs)

    def fresh(*args: Any, **given: Any) -> Any:
        return gg.value_and_grad(circuit, backend="numba", **options)(*args, **given)

    return circuit, params, inputs, used, fresh


def same(first: Any, second: Any) -> None:
    np.testing.assert_array_equal(first[0], second[0])
    assert first[1].keys() == second[1].keys()
    for key, value in first[1].items():
        assert value.dtype == second[1][key].dtype
        np.testing.assert_array_equal(value, second[1][key])


def test_a_call_like_the_last_one_is_computed_anew() -> None:
    circuit, _, inputs, used, fresh = used_and_fresh("lstm")
    assert used.compiled._last is not None
    other = circuit.init(7, **dict.fromkeys(circuit.sizes, 5))
    for batch in ("mean", "sum"):
        same(used(other, batch=batch, **inputs), fresh(other, batch=batch, **inputs))


@pytest.mark.parametrize("threads", [1, 2])
def test_a_call_unlike_the_last_one_is_looked_at_anew(
    threads: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(run_numba, "THREADS_PAY", 1000 if threads > 1 else run_numba.THREADS_PAY)
    circuit, params, inputs, used, fresh = used_and_fresh("lstm", threads=threads)
    more = circuit.example(2, 9, (4,), **dict.fromkeys(circuit.sizes, 5))
    wide = {key: np.asfortranarray(value) for key, value in inputs.items()}
    fixed = {key: value.copy() for key, value in params.items()}
    for value in fixed.values():
        value.flags.writeable = False
    single, data = (
        {key: value.astype(np.float32) for key, value in each.items()} for each in (params, inputs)
    )
    short = {key: value[:, :2] for key, value in inputs.items()}
    alone = {key: value[:, 0] for key, value in inputs.items()}
    grid = {key: value.reshape(6, 3, 1, -1) for key, value in inputs.items()}
    lists = {key: value.tolist() for key, value in inputs.items()}
    for given, other in (
        (params, more), (params, wide), (fixed, inputs), (single, data), (params, short),
        (params, alone), (params, grid), (params, lists), (params, inputs),
    ):  # fmt: skip
        same(used(given, **other), fresh(given, **other))
        same(used(params, **inputs), fresh(params, **inputs))


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"W_i": np.ones((5, 4))}, "W_i"),
        ({"x": np.ones((6, 3, 6))}, "x"),
        ({"x": np.ones((6, 4, 5))}, "x|y"),
        ({"y": np.full((6, 3, 5), 0.3)}, "y is declared a distribution"),
        ({"y": np.full((6, 3, 5), np.nan)}, "y is declared a distribution"),
        ({"y": np.array([2, -1, 0, 0, 0]) * np.ones((6, 3, 1))}, "y is declared a distribution"),
        ({"q": np.ones(3)}, "q"),
        ({"x": np.ones((6, 3, 5), complex)}, "x holds complex"),
    ],
)
def test_wrong_data_is_refused_at_every_call(wrong: dict[str, Any], message: str) -> None:
    _, params, inputs, used, fresh = used_and_fresh("lstm")
    errors = []
    for function in (used, fresh, used):
        with pytest.raises(gg.GraphgradError, match=message) as caught:
            function({**params, **inputs, **wrong})
        errors.append(str(caught.value))
    assert len(set(errors)) == 1
    given = {**params, **inputs}
    del given["b_f"]
    with pytest.raises(gg.GraphgradError, match="b_f"):
        used(given)
    same(used(params, **inputs), fresh(params, **inputs))


def test_tokens_out_of_range_are_refused_at_every_call() -> None:
    circuit = gg.parse(
        "w[t]: token(V)\nE: param(V, H)\nh[t] = tanh(E[w[t]] + h[t-1])\n"
        "loss = sum(sum(h[t]) for t in steps)"
    )
    used = gg.value_and_grad(circuit, backend="numba")
    params, words = {"E": np.arange(8.0).reshape(4, 2) / 10}, np.array([[0, 3], [1, 2]])
    used(params, w=words)
    for wrong in (words + 1, words - 1):
        with pytest.raises(gg.DataError, match="is not a token below 4"):
            used(params, w=wrong)
    for right in (words, words[::-1].copy()):
        loss, grads = used(params, w=right)
        wanted, gradients = gg.value_and_grad(circuit)(params, w=right)
        close(loss, wanted)
        close(grads["E"], gradients["E"])


def test_targets_that_are_almost_distributions_are_what_the_reference_takes() -> None:
    _, params, inputs, used, fresh = used_and_fresh("lstm")
    off = {**inputs, "y": inputs["y"] * (1 + 5e-6)}
    same(used(params, **off), fresh(params, **off))


def test_results_are_not_shared_between_calls_and_inputs_stay() -> None:
    circuit = gg.cells.load("lstm")
    chosen = dict.fromkeys(circuit.sizes, 5)
    params, inputs = circuit.init(0, **chosen), circuit.example(1, 6, (7,), **chosen)
    before = {key: value.copy() for key, value in {**params, **inputs}.items()}
    function = gg.value_and_grad(circuit, backend="numba")
    _, grads = function(params, **inputs)
    kept = {key: value.copy() for key, value in grads.items()}
    function({key: value + 1 for key, value in params.items()}, **inputs)
    for key, value in kept.items():
        np.testing.assert_array_equal(grads[key], value)
    for key, value in before.items():
        np.testing.assert_array_equal({**params, **inputs}[key], value)


def test_a_debugger_finds_the_source_and_the_next_process_the_machine_code(
    own_cache: Path,
) -> None:
    text = (
        "x[t]: input(H)\nown_W: param(H, H)\ni[t] = sigmoid(own_W @ i[t-1] + x[t])\n"
        "loss = sum(sum(i[t]) for t in steps)"
    )  # a program that no other test compiles: a process has a program once
    code = (
        "import numpy as np, graphgrad as gg\n"
        f"c = gg.parse({text!r})\n"
        "f = gg.value_and_grad(c, backend='numba')\n"
        "f(c.init(0, H=5), **c.example(1, 6, (7,), H=5))\n"
    )
    space: dict[str, Any] = {}
    exec(code, space)
    source = space["f"].source
    assert "for b in range(B):" in source
    assert "sigmoid(" in source
    files = [path for path in own_cache.glob("*.py") if source in path.read_text("utf-8")]
    assert files
    assert source in "".join(linecache.getlines(str(files[0])))
    code += (
        "(run,) = [run for _, run in f.compiled._programs.values()]\n"
        "print(run.module.compiled.stats.cache_misses.total())\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=120
    )
    assert done.stdout.strip() == "0"


def test_without_numba_the_remedy_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(run_numba.importlib.util, "find_spec", lambda name: None)
    with pytest.raises(gg.GraphgradError, match="not installed") as caught:
        _ = gg.cells.load("elman").compile(backend="numba").source
    assert "graphgrad[fast]" in str(caught.value)


def test_other_number_types_are_refused() -> None:
    circuit = gg.cells.load("lstm")
    chosen = dict.fromkeys(circuit.sizes, 5)
    values = circuit.init(0, **chosen) | circuit.example(1, 6, (7,), **chosen)
    made = circuit.compile(grad="loss", backend="numba", dtype=np.longdouble)
    with pytest.raises(gg.DataError, match="float32 and float64"):
        made(values)


@pytest.mark.parametrize("full", [False, True])
def test_without_a_place_for_the_cache_programs_are_compiled_in_memory(
    full: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def no_space(*_: Any) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    (tmp_path / "file").write_text("")
    monkeypatch.setenv("GRAPHGRAD_CACHE", str(tmp_path if full else tmp_path / "file" / "cache"))
    monkeypatch.setattr(os, "fsync", no_space)
    circuit = gg.parse("x[t]: input()\nw: param()\nloss = sum(w**2 * x[t] for t in steps)")
    loss, grads = gg.value_and_grad(circuit, backend="numba")({"w": 3.0}, x=np.array([1.0, 4.0]))
    assert (loss, grads["w"]) == (45, 30)
    assert os.listdir(tmp_path) == ["file"]


def test_functions_of_one_source_are_first_called_in_several_threads() -> None:
    """They share a module: none sees it half made, none forbids another one to compile."""
    circuit = gg.parse("x[t]: input()\nw: param()\nh[t] = w * h[t-1] + 7 * x[t]\nloss = h[tau]")
    values = {"x": np.ones(3), "w": np.array(0.5)}
    with ThreadPoolExecutor(4) as pool:
        calls = [
            pool.submit(circuit.compile(grad="loss", backend="numba"), values) for _ in range(4)
        ]
        assert {float(call.result()["loss"]) for call in calls} == {12.25}
