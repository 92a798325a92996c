"""The JAX back end: as the reference interpreter, jitted, sharded, and as source."""

from __future__ import annotations

import subprocess
import sys
import textwrap
import warnings

import numpy as np
import pytest

import graphgrad as gg
from graphgrad.adjoint.build import GradientWarning
from graphgrad.autodiff import cotangent_prefix
from tests.compile.reference import accurate, cast, expectation, over_examples

CELLS = [name for name in gg.cells.names() if gg.cells.load(name).params]
pytestmark = pytest.mark.oracle("jax")


def sizes_of(circuit):
    """Sizes that are all different, so that a transposed product cannot hide."""
    declared = circuit.check().declared.sizes
    return {name: size or 3 + k for k, (name, size) in enumerate(declared.items())}


def steps_of(circuit, tau):
    indices = list(circuit.check().indices)
    return tau if len(indices) == 1 else {name: tau + k for k, name in enumerate(indices)}


def given_tau(circuit, tau):
    indexed = any(each.index is not None for each in circuit.check().inputs.values())
    return {} if indexed else {"tau": tau}


def reference(circuit, values, tau, dtype="float64"):
    """The loss and its gradients for each example, in higher precision."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        found = expectation(circuit, values, tau, dtype)
    prefix = cotangent_prefix(circuit.check().declared.names())
    return found["loss"], {name: found[prefix + name] for name in circuit.params}


HARD = ["encoder_decoder", "hidden_markov_model", "bidirectional", "sequence_to_one"]
CASES = [(name, 3, "float64") for name in CELLS]
CASES += [(name, tau, "float32") for name in HARD for tau in (1, 2)]


@pytest.mark.parametrize(("name", "tau", "dtype"), CASES)
def test_equals_the_reference_on_the_gallery(name, tau, dtype, oracle):
    circuit = gg.cells.load(name)
    sizes, steps = sizes_of(circuit), steps_of(circuit, tau)
    params = cast(circuit.init(0, **sizes), dtype)
    data = cast(circuit.example(1, steps, batch=(2,), **sizes), dtype)
    with warnings.catch_warnings(), oracle.disable_jit():
        warnings.simplefilter("ignore")
        f = gg.value_and_grad(circuit, backend="jax")
        loss, grads = f(params, batch="sum", **data, **given_tau(circuit, steps))
    batch = (2,) if data else ()
    want, want_grads = reference(circuit, params | data, steps, dtype)
    accurate(loss, want.sum())
    for each, value in grads.items():
        accurate(value, over_examples(want_grads[each], value, batch, gradient=True))


ADVANCE = """
x[t]: input(H)
W: param(H, H)
h0: param(H)
g1: param(H)
h[0] = h0
b[tau+1] = g1
a[t] = W @ b[t+1] + x[t]
b[t] = tanh(a[t-2]) + h[t-1]
h[t] = tanh(W @ h[t-1] + b[t]) if t % 2 == 1 else h[t-1] / t
m = mean(sum(b[t]**2) for t in steps)
loss = sum(sum(a[t] * h[t]) for t in steps if t > 1) + sum(h[tau-1]) + m
"""


@pytest.mark.parametrize("tau", [1, 2, 3, 6])
def test_advances_boundaries_and_choices_inside_a_recurrence(tau, oracle):
    circuit = gg.parse(ADVANCE)
    params, data = circuit.init(0, H=3), circuit.example(1, tau, H=3)
    with oracle.disable_jit():
        loss, grads = gg.value_and_grad(circuit, backend="jax")(params, **data)
    want, want_grads = reference(circuit, params | data, tau)
    accurate(loss, want)
    for name, value in grads.items():
        accurate(value, want_grads[name])


@pytest.mark.parametrize("name", ["lstm", "encoder_decoder", "bidirectional"])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_jitted_in_both_precisions(name, dtype):
    circuit = gg.cells.load(name)
    sizes, steps = sizes_of(circuit), steps_of(circuit, 4)
    params = cast(circuit.init(0, **sizes), dtype)
    data = cast(circuit.example(1, steps, batch=(3,), **sizes), dtype)
    kept = {k: v.copy() for k, v in (params | data).items()}
    loss, grads = gg.value_and_grad(circuit, backend="jax")(params, **data)
    want, want_grads = gg.value_and_grad(circuit)(params, **data)
    tolerance = 1e-12 if dtype == np.float64 else 1e-5
    np.testing.assert_allclose(loss, want, rtol=tolerance)
    for each, value in grads.items():
        assert value.dtype == dtype
        scale = np.abs(want_grads[each]).max()
        np.testing.assert_allclose(value, want_grads[each], atol=tolerance * scale)
    for each, value in (params | data).items():
        np.testing.assert_array_equal(value, kept[each])


def test_ragged_batches():
    circuit = gg.cells.load("elman")
    params, data = circuit.init(0, H=3, D=2, K=2), circuit.example(1, 4, batch=(3,), H=3, D=2, K=2)
    f = gg.value_and_grad(circuit, backend="jax")
    g = gg.value_and_grad(circuit)
    loss, grads = f(params, lengths=[4, 2, 1], **data)
    want, want_grads = g(params, lengths=[4, 2, 1], **data)
    np.testing.assert_allclose(loss, want, rtol=1e-12)
    np.testing.assert_allclose(grads["W"], want_grads["W"], rtol=1e-11, atol=1e-14)


def test_the_pure_function_is_what_jax_makes_of_the_loss(oracle):
    """Jitted, mapped over examples, and against JAX's own reverse mode of our forward pass."""
    circuit = gg.cells.load("leaky_units")
    sizes = sizes_of(circuit)
    params, data = circuit.init(0, **sizes), circuit.example(1, 4, batch=(3,), **sizes)
    with oracle.enable_x64(True):
        pure = gg.value_and_grad(circuit, backend="jax").pure
        loss, grads = oracle.jit(lambda p, d: pure(p, **d))(params, data)
        own = oracle.jit(oracle.grad(lambda p, d: pure(p, **d)[0]))(params, data)
        each = np.asarray(oracle.vmap(lambda d: pure(params, **d)[0], in_axes=1)(data))
    np.testing.assert_allclose(loss, each.mean(), rtol=1e-12)
    for name, value in grads.items():
        np.testing.assert_allclose(value, own[name], rtol=1e-9, atol=1e-13)


def test_examples_are_sharded_over_devices():
    """Eight devices of the host, each with its part of the batch: the numbers of one device."""
    code = """
        import os
        os.environ["XLA_FLAGS"] = "--xla_force_host_platform_device_count=8"
        import jax, numpy as np
        import graphgrad as gg
        from jax.sharding import Mesh, NamedSharding, PartitionSpec
        jax.config.update("jax_enable_x64", True)
        circuit = gg.cells.load("lstm")
        params = circuit.init(0, H=4, D=3, K=2)
        data = circuit.example(1, 5, batch=(16,), H=4, D=3, K=2)
        pure = gg.value_and_grad(circuit, backend="jax").pure
        mesh = Mesh(np.array(jax.devices()), ("examples",))
        everywhere = NamedSharding(mesh, PartitionSpec())
        apart = NamedSharding(mesh, PartitionSpec(None, "examples"))
        step = jax.jit(
            lambda p, d: pure(p, **d), in_shardings=(everywhere, apart), out_shardings=everywhere
        )
        loss, grads = step(params, jax.device_put(data, apart))
        text = step.lower(params, jax.device_put(data, apart)).compile().as_text()
        want, want_grads = gg.value_and_grad(circuit)(params, **data)
        assert len(jax.devices()) == 8
        assert "all-reduce" in text
        np.testing.assert_allclose(loss, want, rtol=1e-12)
        for name in grads:
            np.testing.assert_allclose(grads[name], want_grads[name], rtol=1e-10, atol=1e-14)
        print("same")
    """
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(code)], capture_output=True, text=True, check=False
    )
    assert done.stdout.strip() == "same", done.stderr


def test_source_is_what_a_person_would_write():
    source = gg.value_and_grad(gg.cells.load("elman"), backend="jax").source
    assert "lax.scan(forwards" in source
    assert "lax.scan(backwards" in source
    assert "d_h = v" in source
    assert source.count("def ") == 3


def test_a_missing_jax_is_named_with_the_remedy():
    code = """
        import sys
        sys.modules["jax"] = None
        import graphgrad as gg
        try:
            gg.value_and_grad(gg.cells.load("elman"), backend="jax").source
        except gg.GraphgradError as error:
            print(error)
    """
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(code)], capture_output=True, text=True, check=False
    )
    assert "graphgrad[jax]" in done.stdout, done.stderr


def test_the_pure_function_takes_what_the_ordinary_one_takes():
    """Integers, sizes by default, gradients by inputs, a loss that is the same for all examples."""
    text = "x[t]: input()\nK: size(4)\na: param()\nh[t] = h[t-1] + a * x[t] * K\n"
    summed = gg.parse(f"{text}loss = sum(h[t] for t in steps)")
    both = gg.value_and_grad(summed, wrt=["a", "x"], backend="jax")
    given = np.arange(6.0).reshape(3, 2)
    for params in ({"a": np.array(2)}, {"a": 0.5}):
        for batch in ("mean", "sum"):
            wanted, found = (
                both(params, x=given, batch=batch),
                both.pure(params, x=given, batch=batch),
            )
            assert found[0] == pytest.approx(wanted[0], rel=1e-6)
            for name, value in wanted[1].items():
                np.testing.assert_allclose(found[1][name], value, rtol=1e-6)
    penalty = gg.value_and_grad(gg.parse(f"{text}loss = a * a"), backend="jax").pure
    assert penalty({"a": 0.5}, x=given)[0] == 0.25
    assert penalty({"a": 0.5}, x=given, batch="sum")[0] == 0.5
    with pytest.warns(GradientWarning):
        number = gg.value_and_grad(gg.parse(f"{text}loss = sum(2 for t in steps)"), backend="jax")
    loss, gradients = number.pure({"a": np.float32(1)}, x=given.astype("f4"), batch="sum")
    assert (loss, gradients["a"], gradients["a"].dtype) == (12, 0, np.float32)


def test_the_pure_function_refuses_what_the_ordinary_one_refuses():
    circuit = gg.parse(
        "x[t]: input(D)\nv: param(D)\nh[t] = v * x[t]\nloss = sum(at(h[t], 5) for t in steps)"
    )
    pure, v = gg.value_and_grad(circuit, backend="jax").pure, np.ones(3)
    wrong = {
        "there is no component 5": ({"v": v}, np.ones((2, 3)), {}),
        "tau = 0 is not possible": ({"v": v}, np.ones((0, 3)), {}),
        "q is not a time index": ({"v": v}, np.ones((2, 3)), {"tau": {"q": 3}}),
        "tau = 'a' is not possible": ({"v": v}, np.ones((2, 3)), {"tau": "a"}),
        "values by name are needed": (None, np.ones((2, 3)), {}),
        "the value of v is not an array": ({"v": None}, np.ones((2, 3)), {}),
    }
    for message, (params, x, options) in wrong.items():
        with pytest.raises(gg.GraphgradError, match=message):
            pure(params, x=x, **options)


def test_requests_that_cannot_be_met():
    circuit = gg.cells.load("elman")
    with pytest.raises(gg.GraphgradError, match="JAX back end"):
        _ = gg.value_and_grad(circuit).pure
    pure = gg.value_and_grad(circuit, backend="jax").pure
    params, data = (
        circuit.init(0, H=3, D=2, K=2),
        circuit.example(1, 4, batch=(2, 2), H=3, D=2, K=2),
    )
    with pytest.raises(gg.GraphgradError, match="one batch axis"):
        pure(params, **data)
    spelled = gg.parse("n[t]: token(N)\nE: param(N)\nloss = sum(E @ onehot(n[t]) for t in steps)")
    with pytest.raises(gg.DataError, match="n holds tokens, not float"):
        gg.value_and_grad(spelled, backend="jax").pure({"E": np.ones(3)}, n=np.ones(2))
    longer = {name: value.astype(np.longdouble) for name, value in (params | data).items()}
    if np.longdouble(0).itemsize > 8:
        with pytest.raises(gg.DataError, match="float64 at most"):
            gg.value_and_grad(circuit, backend="jax")(longer)


SCALAR = "x[t]: input()\nw: param()\nloss = sum(w * x[t] for t in steps)\n"
LOOKED_UP = """n[t]: token(N)
y[t]: distribution(N)
E: param(N, N)
loss = sum(cross_entropy(softmax(E[n[t]]), y[t]) for t in steps)
"""


@pytest.mark.parametrize(
    ("name", "value", "message"),
    [
        ("n", np.array([[0, 3]]), r"n\[0, 1\] = 3 is not a token below 3"),
        ("n", np.array([[0, -1]]), r"n\[0, 1\] = -1 is not a token below 3"),
        ("n", np.array([[0, 2**32 + 1]]), r"n\[0, 1\] = 4294967297 is not a token"),
        ("y", np.full((1, 2, 3), 0.5), "y is declared a distribution"),
    ],
)
def test_the_pure_function_of_impossible_inputs_is_an_error_or_nan(name, value, message, oracle):
    pure = gg.value_and_grad(gg.parse(LOOKED_UP), backend="jax").pure
    params = {"E": np.eye(3, dtype="f4")}
    data = {"n": np.array([[0, 2]]), "y": np.full((1, 2, 3), 1 / 3, "f4")}
    assert np.isfinite(oracle.jit(pure)(params, **data)[0])
    changed = data | {name: value}
    with pytest.raises(gg.DataError, match=message):
        pure(params, **changed)
    if value.max() >= 2**32:  # JAX counts in 32 bits before it traces anything
        return
    loss, grads = oracle.jit(pure)(params, **changed)
    assert np.isnan(loss)
    assert np.isnan(grads["E"]).all()
    again = oracle.jit(oracle.grad(lambda given, **rest: pure(given, **rest)[0]))
    assert np.isnan(again(params, **changed)["E"]).any()
    each = oracle.vmap(lambda given: pure(params, **(data | {name: given}))[0])
    found = each(oracle.numpy.stack([data[name], value]))
    assert [bool(nan) for nan in np.isnan(found)] == [False, True]


def test_the_pure_function_takes_real_numbers_alone():
    pure = gg.value_and_grad(gg.parse(SCALAR), backend="jax").pure
    x = np.array([[2**33]])  # more than JAX counts to with its usual setting
    assert float(pure({"w": np.float32(1)}, x=x)[0]) == 2**33
    with pytest.raises(gg.DataError, match="the value of w holds complex64, not real numbers"):
        pure({"w": np.complex64(1j)}, x=x)
    with pytest.raises(gg.DataError, match="the value of x is a masked array"):
        pure({"w": np.float32(1)}, x=np.ma.masked_equal(x, 1))
