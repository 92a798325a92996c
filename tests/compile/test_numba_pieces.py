"""The Numba back end in use: any size, batch and layout, sequences in pieces, threads, NaN.

A campaign of more generated circuits: GRAPHGRAD_HYPOTHESIS=thorough.
"""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
import pytest
from hypothesis import given, note, settings
from hypothesis import strategies as st

import graphgrad as gg
from graphgrad.compile import bound, run_numba
from graphgrad.compile.emit_numba import emit
from graphgrad.compile.plan import schedule_of
from graphgrad.compile.workers import workers
from tests.compile.test_generated import as_floats, close, reference
from tests.compile.test_numba import plain
from tests.drawn import SIZES, Drawn
from tests.strategies import circuits

pytestmark = pytest.mark.oracle("numba")
EXAMPLES = settings().max_examples
SIZE = {"H": 5, "D": 3, "K": 2}


@pytest.fixture(scope="module", autouse=True)
def own_cache(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("GRAPHGRAD_CACHE", str(tmp_path_factory.mktemp("cache")))
        yield


@pytest.fixture(scope="module")
def lstm() -> Any:
    """One LSTM for all tests of the module: it is compiled once for each type of numbers."""
    return gg.value_and_grad(gg.cells.load("lstm"), backend="numba")


def example(
    tau: int, batch: tuple[int, ...], seed: int = 0, cell: str = "lstm", **sizes: int
) -> tuple[dict[str, Any], dict[str, Any]]:
    """Parameters and inputs of a cell."""
    circuit, chosen = gg.cells.load(cell), SIZE | sizes
    return circuit.init(seed, **chosen), circuit.example(seed + 1, tau, batch, **chosen)


def same(found: Any, wanted: Any, tolerance: float = 1e-12) -> None:
    """Loss and gradients agree, each with the largest entry as the measure."""
    for actual, expected in [
        (found[0], wanted[0]),
        *((found[1][k], wanted[1][k]) for k in wanted[1]),
    ]:
        assert np.shape(actual) == np.shape(expected)
        gap = np.max(np.abs(np.asarray(actual) - expected), initial=0)
        assert gap <= tolerance * np.max(np.abs(expected), initial=1e-300)


def same_bytes(found: Any, wanted: Any) -> None:
    assert found[0].tobytes() == wanted[0].tobytes()
    for key, value in wanted[1].items():
        assert found[1][key].tobytes() == value.tobytes(), key


# -- sizes, batches, layouts -----------------------------------------------------------------------


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_every_size_has_its_tails(lstm: Any, dtype: Any) -> None:
    reference_function = gg.value_and_grad(gg.cells.load("lstm"))
    tolerance = 1e-12 if dtype == np.float64 else 3e-5
    cases = [
        (H, 1 + H % 5, 1 + H % 3, B)
        for H in (1, 2, 3, 5, 7, 8, 9, 15, 16, 17, 33)
        for B in (1, 6 + H)
    ]
    for H, D, K, B in cases:
        params, inputs = example(3, (B,), H=H, D=D, K=K)
        wanted = reference_function(params, **inputs)
        single = [{k: v.astype(dtype) for k, v in part.items()} for part in (params, inputs)]
        found = lstm(single[0], **single[1])
        assert found[0].dtype == dtype
        same(found, wanted, tolerance)


@pytest.mark.parametrize("batch", [(), (1,), (40,), (100,)], ids=str)
def test_products_some_steps_ahead_and_of_single_rows(batch: tuple[int, ...]) -> None:
    params, inputs = example(205, batch, cell="gru", H=9)
    circuit = gg.cells.load("gru")
    wanted = gg.value_and_grad(circuit)(params, **inputs)
    same(gg.value_and_grad(circuit, backend="numba")(params, **inputs), wanted, 1e-11)


def test_extra_axes_are_one_batch(lstm: Any) -> None:
    params, inputs = example(4, (6,))
    wanted = lstm(params, **inputs)
    parted = {k: v.reshape(4, 2, 3, *v.shape[2:]) for k, v in inputs.items()}
    same_bytes(lstm(params, **parted), wanted)


def test_no_layout_matters_and_nothing_given_is_changed(lstm: Any) -> None:
    params, inputs = example(5, (4,))
    wanted = lstm(params, **inputs)
    layouts = {
        "columns first": np.asfortranarray,
        "every other number": lambda v: np.repeat(v, 2, axis=-1)[..., ::2],
        "backwards": lambda v: v[::-1].copy()[::-1],
        "the other byte order": lambda v: v.astype(v.dtype.newbyteorder()),
    }
    for change in layouts.values():
        given = {k: change(v) for k, v in params.items()}, {k: change(v) for k, v in inputs.items()}
        kept = [{k: v.copy() for k, v in part.items()} for part in given]
        for part in given:
            for value in part.values():
                value.flags.writeable = False
        same_bytes(lstm(given[0], **given[1]), wanted)
        for part, before in zip(given, kept, strict=True):
            for key, value in part.items():
                np.testing.assert_array_equal(value, before[key])


@pytest.mark.parametrize("reduction", ["mean", "sum"])
def test_each_example_of_a_ragged_batch_is_as_if_alone(lstm: Any, reduction: str) -> None:
    params, inputs = example(6, (5,))
    lengths = [4, 6, 1, 4, 2]
    alone = [
        lstm(params, **{k: v[:length, [b]] for k, v in inputs.items()}, batch="sum")
        for b, length in enumerate(lengths)
    ]
    scale = 1 / len(lengths) if reduction == "mean" else 1
    found = lstm(params, lengths=lengths, batch=reduction, **inputs)
    same((found[0], {}), (np.array([loss for loss, _ in alone]).sum() * scale, {}))
    for key in params:
        same((found[1][key], {}), (sum(grads[key] for _, grads in alone) * scale, {}))


def test_tokens_in_a_ragged_batch() -> None:
    circuit = gg.cells.load("many_to_one")
    sizes = {"N": 4, "H": 3}
    params, inputs = circuit.init(0, **sizes), circuit.example(1, 5, (4,), **sizes)
    made = [gg.value_and_grad(circuit, backend=each) for each in ("numba", "numpy")]
    found, wanted = (f(params, lengths=[5, 2, 1, 2], **inputs) for f in made)
    same(found, wanted)


# -- sequences in pieces ---------------------------------------------------------------------------


def test_a_stream_in_pieces_and_its_state() -> None:
    params, inputs = example(11, (3,), cell="elman")
    made = [gg.value_and_grad(gg.cells.load("elman"), backend=b) for b in ("numba", "numpy")]
    states: list[Any] = [None, None]
    for start in range(0, 11, 4):
        piece = {k: v[start : start + 4] for k, v in inputs.items()}
        (*found, states[0]), (*wanted, states[1]) = (
            f(params, state=state, return_state=True, **piece)
            for f, state in zip(made, states, strict=True)
        )
        same(found, wanted)
        same((states[0]["h"], {}), (states[1]["h"], {}))


def test_checkpoints_do_not_change_the_gradients() -> None:
    params, inputs = example(23, (2,), cell="elman")
    circuit = gg.cells.load("elman")
    wanted = gg.value_and_grad(circuit)(params, **inputs)
    pieces = gg.value_and_grad(circuit, backend="numba", checkpoint={"every": 5, "snapshots": 1})
    same(pieces(params, **inputs), wanted)


def test_pieces_between_checkpoints_are_divided_among_threads(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    asked: list[int] = []
    monkeypatch.setattr(run_numba, "THREADS_PAY", 0)
    monkeypatch.setattr(bound, "workers", lambda count: asked.append(count) or workers(count))
    params, inputs = example(9, (4,), cell="elman")
    circuit = gg.cells.load("elman")
    wanted = gg.value_and_grad(circuit)(params, **inputs)
    pieces = gg.value_and_grad(circuit, backend="numba", threads=2, checkpoint={"every": 5})
    same(pieces(params, **inputs), wanted)
    assert asked == [1, 1, 1]  # ahead over one piece, back over two


# -- calls beside each other -----------------------------------------------------------------------


def test_calls_from_several_threads_do_not_disturb_each_other(lstm: Any) -> None:
    """Different data, and different sizes, for which the room to work in is not the same."""
    given = [example(20 + 5 * (k % 3), (4 + k % 2,), seed=k, H=16 + k % 2) for k in range(8)]
    alone = [lstm(params, **inputs) for params, inputs in given]
    with ThreadPoolExecutor(4) as pool:
        together = list(pool.map(lambda each: lstm(each[0], **each[1]), given * 20))
    for position, found in enumerate(together):
        same_bytes(found, alone[position % len(given)])


def test_the_same_call_gives_the_same_bytes_whatever_was_called_before(lstm: Any) -> None:
    params, inputs = example(9, (13,))
    first = lstm(params, **inputs)
    larger, more = example(30, (20,), H=40)
    lstm({k: v * np.nan for k, v in larger.items()}, **more)  # leaves NaN in the room to work in
    same_bytes(lstm(params, **inputs), first)
    lstm({k: v * np.nan for k, v in params.items()}, **inputs)
    same_bytes(lstm(params, **inputs), first)


def test_subnormal_numbers_are_back_after_a_call(lstm: Any) -> None:
    params, inputs = example(3, (2,))
    lstm(params, **inputs)
    assert np.array([2e-310])[0] / 2 > 0
    with ThreadPoolExecutor(1) as pool:
        assert pool.submit(lambda: (lstm(params, **inputs), np.array([2e-310]) / 2)[1]).result() > 0


# -- what is not finite ----------------------------------------------------------------------------

FUNCTIONS = """
x[t]: input(9)
a[t] = tanh(x[t])
b[t] = sigmoid(x[t])
c[t] = exp(x[t])
d[t] = log(x[t])
e[t] = relu(x[t])
f[t] = sqrt(x[t])
g[t] = abs(x[t])
h[t] = softplus(x[t])
i[t] = maximum(x[t], 0.5)
j[t] = minimum(x[t], 0.5)
k[t] = where(x[t] > 0, x[t], -x[t])
l[t] = logsumexp(x[t])
m[t] = softmax(x[t])
n[t] = x[t] ** 3
o[t] = sin(x[t]) + cos(x[t])
p[t] = max(x[t])
q[t] = log_softmax(x[t])
r[t] = 1 / x[t]
"""
SPECIAL = [np.nan, np.inf, -np.inf, 0.0, -0.0, 1e300, -1e300, 800.0, -800.0]


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_functions_of_what_is_not_finite(dtype: Any) -> None:
    """NaN stays NaN, infinities are the limits: what NumPy says, in every lane of a vector."""
    circuit = gg.parse(FUNCTIONS)
    with np.errstate(over="ignore"):
        special = np.array(SPECIAL).astype(dtype)
    one = np.ones(9, dtype)
    x = np.stack([special] + [np.where(np.arange(9) == k, special, one) for k in range(9)])
    found, wanted = (
        circuit.compile(backend=each, dtype=dtype)({"x": x}) for each in ("numba", "numpy")
    )
    for name, value in wanted.items():
        np.testing.assert_allclose(
            found[name], value, rtol=1e-13 if dtype == np.float64 else 3e-6, err_msg=name
        )


def test_where_values_stop_being_finite(lstm: Any) -> None:
    params, inputs = example(12, ())
    lstm(params, **inputs, check_finite=True)
    broken = inputs["x"].copy()
    broken[6, 1] = np.nan
    with pytest.raises(gg.DataError, match=r"the input x\[6, 1\] is nan"):
        lstm(params, x=broken, y=inputs["y"], check_finite=True)
    circuit = gg.parse(
        "w: param()\nx[t]: input()\nh[t] = w * h[t-1] + x[t]\nloss = sum(h[t] for t in steps)"
    )
    function = gg.value_and_grad(circuit, backend="numba")
    with pytest.raises(gg.GraphgradError, match=r"h\[12\] is inf: the first value"):
        function({"w": np.array(1e30)}, x=np.ones(30), check_finite=True)


# -- generated circuits ----------------------------------------------------------------------------


def as_python(compiled: Any, batched: frozenset[str]) -> Any:
    """The emitted program, run by Python over the functions of one number."""
    wanted = [*compiled.outputs, *compiled.gradients.values()]
    schedule = schedule_of(compiled.system, wanted, compiled.gradients.values(), batched)
    program, space = emit(schedule), plain()
    exec(program.source, space)

    def run(values: dict[str, Any], steps: dict[str, int], count: int) -> dict[str, Any]:
        scalars = [*(steps[i] for i in compiled.system.indices)]
        scalars += [*(SIZES[n] for n in program.sizes), count]
        real = np.empty(0)
        results, work = space["results"](*scalars, real), space["work"](*scalars, real)
        arrays = [np.ascontiguousarray(values[each]) for each in program.arrays]
        with np.errstate(all="ignore"):
            assert space["compiled"](*scalars, real, True, *arrays, *work, *results)
        names = [*program.lengths, *(f"n_{n}" for n in program.sizes), "B", *program.returned]
        known = dict(zip(names, [*scalars, *results], strict=True))
        return {key: eval(code, known) for key, code in program.results.items()}

    return run


def agrees(drawn: Drawn, seed: int, run: Any) -> None:
    """`run(compiled, values, batched, count)` gives what the interpreter says, alone and together.

    Everything that depends on no input is the same for both examples.
    """
    note(drawn.text())
    circuit = gg.parse(drawn.text())
    one, two = (as_floats(drawn.values(each)) for each in (seed, seed + 1))
    values = [one, {name: two[name] if name in circuit.inputs else one[name] for name in one}]
    expected = [reference(circuit, drawn, each) for each in values]
    names = tuple(circuit.variables)
    compiled = circuit.compile(*names, grad="loss", backend="numba")
    scale = max(np.abs(each).max(initial=1.0) for found in expected for each in found.values())
    together = dict(one)
    for name, declared in circuit.inputs.items():
        axis = int(declared.index is not None)
        together[name] = np.stack([each[name] for each in values], axis=axis)
    for given_values, batched, count in [
        (one, frozenset[str](), 1),
        (together, frozenset(circuit.inputs), 2),
    ]:
        if count == 2 and not batched:
            return
        found = run(compiled, given_values, batched, count)
        for key in names:
            axis = int(circuit.variables[key].index is not None)
            wanted = expected[0][key]
            if np.ndim(found[key]) > np.ndim(wanted):
                wanted = np.stack([each[key] for each in expected[:count]], axis=axis)
            close(np.asarray(found[key]).reshape(np.shape(wanted)), wanted, scale)
        for key in compiled.gradients.values():
            wanted = sum(each[key] for each in expected[:count])
            close(np.asarray(found[key]).reshape(np.shape(wanted)), wanted, scale)


DECLARED = "x[t]: input(2*H)\nz[t]: input()\nk: param()\nw: param(2*H)\nW: param(2*H, 2*H)\n"
EDGES = [
    "loss = k * z[tau] + z[tau-1]",
    "loss = sum(w * x[0]) + k * z[tau+1] + z[2]",
    """h[t] = tanh(W @ x[t] + k * w)
    a[t] = at(h[t], 0)
    loss = sum(a[t+1] * a[t-1] * k for t in steps)""",
    """h[t] = tanh(W @ h[t-1] + x[t])
    a[t] = at(h[t], 0)
    a[0] = k + 5
    a[-1] = 2
    loss = sum(a[t-1] * a[t-2] + sum(w * h[t-1]) for t in steps)""",
    """h[t] = tanh(W @ concat(b[t-1], a[t-1]) + w + x[t])
    a[t], b[t] = split(h[t], 2)
    a[0] = k + 5
    loss = sum(sum(a[t-2]) + sum(b[t+2] * a[t-1]) + sum(w * h[t-1]) for t in steps)""",
    """x[0] = w
    a[t] = at(x[t], 0)
    a[0] = k
    b[t] = at(x[t-1], 1)
    loss = sum(a[t-1] * b[t+1] + sum(x[t-2] * w) * a[t-2] for t in steps)""",
]


@pytest.mark.filterwarnings("ignore::graphgrad.adjoint.build.GradientWarning")
@pytest.mark.parametrize("text", EDGES)
def test_what_is_read_outside_the_steps_is_not_in_the_array_beside(text: str) -> None:
    """Parts of a value have other boundaries than the value they are part of."""
    circuit = gg.parse(DECLARED + text.replace("    ", ""))
    for tau in (2, 5):
        values = circuit.init(0, H=2) | circuit.example(1, tau, H=2)
        wanted = circuit.compile(*circuit.variables, grad="loss")(values)
        compiled = circuit.compile(*circuit.variables, grad="loss", backend="numba")
        found = as_python(compiled, frozenset())(values, {"t": tau}, 1)
        for key, value in wanted.items():
            np.testing.assert_allclose(found[key], value, rtol=1e-12, atol=1e-12, err_msg=key)


@settings(max_examples=max(1, EXAMPLES // 4))
@pytest.mark.filterwarnings("ignore::graphgrad.adjoint.build.GradientWarning")
@given(circuits("smooth", wide=True), st.integers(0, 3))
def test_the_source_of_generated_circuits(drawn: Drawn, seed: int) -> None:
    agrees(
        drawn,
        seed,
        lambda compiled, values, batched, count: as_python(compiled, batched)(
            values, drawn.steps, count
        ),
    )


@settings(max_examples=max(1, EXAMPLES // 50))
@pytest.mark.filterwarnings("ignore::graphgrad.adjoint.build.GradientWarning")
@given(circuits("smooth", wide=True), st.integers(0, 3))
def test_machine_code_of_generated_circuits(drawn: Drawn, seed: int) -> None:
    agrees(
        drawn,
        seed,
        lambda compiled, values, batched, count: compiled(
            values, tau=drawn.steps, batch="sum", **SIZES
        ),
    )
