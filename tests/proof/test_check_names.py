"""What code calls things: texts of quantities, arguments by spelling, gradients by path."""

import numpy as np
import pytest

import graphgrad as gg
from graphgrad.proof.check_case import CheckError, goal_of
from graphgrad.proof.check_names import (
    Reader,
    boundaries,
    gradient_name,
    match_argument,
    match_seed,
    names_in,
)

A = np.arange(6).reshape(2, 3)
ARRAYS = {"A": A, "b": np.arange(3)}
READER = Reader(ARRAYS.__getitem__, {"tau": lambda name: f"last {name}"})


@pytest.mark.parametrize(
    ("text", "want"),
    [
        ("A.T", A.T),
        ("-b", -np.arange(3)),
        ("b[:, None]", np.arange(3)[:, None]),
        ("A[-1, ::2]", A[-1, ::2]),
        ("A[..., 1]", A[..., 1]),
        ("hstack(A, A[:, 1:])", np.hstack([A, A[:, 1:]])),
        ("concat(b, b)", np.concatenate([np.arange(3)] * 2)),
        ("concatenate((A, A.T[:2, :1]), axis=1)", np.concatenate([A, A.T[:2, :1]], axis=1)),
        ("stack([b, b], axis=-1)", np.stack([np.arange(3)] * 2, axis=-1)),
        ("A.reshape(3, -1)", A.reshape(3, -1)),
        ("A.transpose(1, 0)", A.T),
    ],
)
def test_texts_of_quantities(text, want):
    np.testing.assert_array_equal(READER.read(text), want)


def test_the_last_step():
    assert READER.read("h[tau]") == "last h"


@pytest.mark.parametrize(
    "text",
    [
        "A + b",
        "open('x')",
        "A.__class__",
        "A[b[0]]",
        "A.T(",
        "",
        "A.reshape(n)",
        "b" * 501,
        "hstack(A, axis=1)",
        "stack(b, b, out=b)",
        "stack(b, axis=b)",
        "tau(b, axis=0)",
    ],
)
def test_what_is_no_quantity_is_refused(text):
    with pytest.raises(CheckError, match="does not describe a quantity"):
        READER.read(text)


@pytest.mark.parametrize("text", ["hstack(A, b)", "A.reshape(5, 5)", "b[7]", "stack(b, axis=4)"])
def test_what_does_not_fit_the_shapes_is_refused_with_numpys_reason(text):
    with pytest.raises(CheckError, match="does not fit the shapes of the circuit: "):
        READER.read(text)


def test_tokens_in_specs():
    spec = {"a": "tokens(x)", "b": {"c": "stack(tokens( y ), z)"}, "d": 3}
    assert names_in(spec) == {"x", "y"}


GOAL = goal_of(gg.cells.load("lstm"), "h")


@pytest.mark.parametrize(
    ("name", "found"),
    [
        ("x", "x"),
        ("inputs", "x"),
        ("W_i", "W_i"),
        ("Wi", "W_i"),
        ("h0", "h_0"),
        ("prev_h", "h_0"),
        ("c_prev", "c_0"),
        ("initial_c", "c_0"),
        ("state", None),
        ("eta", None),
    ],
)
def test_arguments_by_their_names(name, found):
    assert boundaries(GOAL) == {"h_0": "h", "c_0": "c"}
    assert match_argument(name, GOAL, ()) == found
    assert found is None or match_argument(name, GOAL, [found]) != found


def test_a_dict_of_parameters():
    assert match_argument("params", GOAL, ())["U_f"] == "U_f"


def test_seeds_by_their_names():
    (seed,) = GOAL.seeds.values()
    for name in ("dh", "dnext_h", "grad_hs", "dout", seed):
        assert match_seed(name, GOAL, ["hs"], [seed]) == seed
    assert match_seed("dc", GOAL, ["hs"], [seed]) is None
    assert match_seed("dh", GOAL, ["hs"], []) is None


@pytest.mark.parametrize(
    ("path", "found"),
    [
        ("dWx", "Wx"),
        ("grad_Wx", "Wx"),
        ("Wx_grad", "Wx"),
        ("dL_dWx", "Wx"),
        ("grads.Wx", "Wx"),
        ("Wx.grad.numpy()", "Wx"),
        ("np.clip(dWx, -5, 5)", "Wx"),
        ("dWx + db", None),
        ("Wx", None),
        ("values.Wx", None),
        ("dU", None),
    ],
)
def test_gradients_by_path(path, found):
    assert gradient_name(path, {"Wx": 0, "b": 0}) == found


def test_lengths_and_sizes_are_arguments():
    """A number that code takes for the length, as an integrator does, is that of every run."""
    flow = gg.parse(
        "z0: input(H)\nA: param(H, H)\nz[0] = z0\nz[t] = z[t-1] + tanh(A @ z[t-1])\n"
        "loss = sum(z[tau])"
    )

    def gradient(z0, A, steps, width):
        z, ahead, dA = [z0], np.ones(width), np.zeros((width, width))
        for _ in range(steps):
            z.append(z[-1] + np.tanh(A @ z[-1]))
        for before in reversed(z[:-1]):
            delta = ahead * (1 - np.tanh(A @ before) ** 2)
            dA, ahead = dA + np.outer(delta, before), ahead + A.T @ delta
        return {"dA": dA, "dz0": ahead}

    proof = gg.check_function(flow, gradient, tau=2, arguments={"steps": "tau", "width": "H"})
    assert (proof.verdict, proof.limits) == ("proved", ())
    assert not any("not tried" in note for note in proof.notes), proof.notes
    with pytest.raises(CheckError, match="neither a parameter, an input nor a size") as caught:
        gg.check_function(flow, gradient, arguments={"steps": "tua", "width": "H"})
    assert "tau, H" in str(caught.value)
