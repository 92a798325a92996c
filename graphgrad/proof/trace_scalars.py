"""What the ufuncs of NumPy are on traced scalars."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from graphgrad.proof.trace import Traced, lift


def select(mask: Traced, a: Traced, b: Traced) -> Traced:
    """Return `a` where a mask is 1, `b` where it is 0."""
    return Traced(mask.tape, mask.tape.choose(mask.node, a.node, b.node))


def _unary(name: str) -> Callable[[Traced], Traced]:
    return lambda u: u.function(name)


def _maximum(a: Traced, b: Traced) -> Traced:
    return select(a > b, a, b)


def _minimum(a: Traced, b: Traced) -> Traced:
    return select(b > a, a, b)


def _exponent_base(base: int) -> Callable[[Traced], Traced]:
    return lambda u: u.log() / lift(u.tape, base).log()


SCALAR: dict[str, Callable[..., Any]] = {
    "exp": _unary("exp"),
    "log": _unary("log"),
    "tanh": _unary("tanh"),
    "sin": _unary("sin"),
    "cos": _unary("cos"),
    "sqrt": lambda u: u.sqrt(),
    "square": lambda u: u * u,
    "reciprocal": lambda u: 1 / u,
    "absolute": abs,
    "fabs": abs,
    "conjugate": lambda u: u,
    "real": lambda u: u,  # a ufunc since NumPy 2.5
    "expit": lambda u: u.sigma(),
    "log1p": lambda u: (1 + u).log(),
    "expm1": lambda u: u.exp() - 1,
    "exp2": lambda u: (u * lift(u.tape, 2).log()).exp(),
    "log2": _exponent_base(2),
    "log10": _exponent_base(10),
    "sinh": lambda u: (u.exp() - (-u).exp()) / 2,
    "cosh": lambda u: (u.exp() + (-u).exp()) / 2,
    "sign": lambda u: (u > 0) * 2 - 1,
    "heaviside": lambda u, v: u > 0,
    "maximum": _maximum,
    "fmax": _maximum,
    "minimum": _minimum,
    "fmin": _minimum,
    "logaddexp": lambda a, b: (a.exp() + b.exp()).log(),
    "greater": lambda a, b: a > b,
    "less": lambda a, b: a < b,
    "greater_equal": lambda a, b: a >= b,
    "less_equal": lambda a, b: a <= b,
    "equal": lambda a, b: a == b,
    "not_equal": lambda a, b: a != b,
    "logical_not": lambda a: ~a,
    "invert": lambda a: ~a,
    "logical_and": lambda a, b: a & b,
    "bitwise_and": lambda a, b: a & b,
    "logical_or": lambda a, b: a | b,
    "bitwise_or": lambda a, b: a | b,
    "float_power": lambda a, b: a**b,
}
NATIVE = {"add", "subtract", "multiply", "divide", "true_divide", "power", "negative", "positive"}
NATIVE |= {"matmul", "vecdot", "matvec", "vecmat"}
TESTS = {"isnan": False, "isinf": False, "isfinite": True}
BOOLEAN = {"greater", "less", "greater_equal", "less_equal", "equal", "not_equal", "logical_not"}
BOOLEAN |= {"invert", "logical_and", "logical_or", "bitwise_and", "bitwise_or"}
