"""What standard gradient checkers say of a wrong backward pass, at their default tolerances.

Each is given the function as an operation whose backward pass is the wrong one, the way a person
checks a hand-written pass, in double precision and at one random point.
"""

from __future__ import annotations

import importlib.util
from collections.abc import Callable
from functools import cache
from typing import Any

import numpy as np

from tests.faults.fault import Numbers, quietly

Function = Callable[[Any], float]


def torch_passes(value: Function, point: Any, claimed: Any) -> bool:
    """Whether `torch.autograd.gradcheck` accepts a gradient."""
    import torch

    class Wrong(torch.autograd.Function):
        @staticmethod
        def forward(ctx: Any, x: Any) -> Any:
            return torch.tensor(value(x.detach().numpy()), dtype=torch.float64)

        @staticmethod
        def backward(ctx: Any, g: Any) -> Any:
            return g * torch.from_numpy(claimed)

    x = torch.tensor(point, dtype=torch.float64, requires_grad=True)
    return bool(torch.autograd.gradcheck(Wrong.apply, (x,), raise_exception=False))


def autograd_passes(value: Function, point: Any, claimed: Any) -> bool:
    """Whether `autograd.test_util.check_grads` accepts a gradient."""
    from autograd.extend import defvjp, primitive
    from autograd.test_util import check_grads

    @primitive
    def wrong(x: Any) -> float:
        return value(x)

    defvjp(wrong, lambda out, x: lambda g: g * claimed)
    try:
        check_grads(wrong, modes=["rev"], order=1)(point)
    except AssertionError:
        return False
    return True


@cache
def _jax_operation() -> tuple[Any, dict[str, Any]]:
    """Return an operation of JAX, and the dict in which it looks up what it computes.

    One operation for all passes: JAX compiles each new one.
    """
    import jax

    jax.config.update("jax_enable_x64", True)
    held: dict[str, Any] = {}
    scalar = jax.ShapeDtypeStruct((), np.float64)

    def call(v: Any) -> Any:
        return np.float64(held["value"](np.asarray(v)))

    @jax.custom_vjp
    def wrong(x: Any) -> Any:
        return jax.pure_callback(call, scalar, x)

    wrong.defvjp(lambda x: (wrong(x), None), lambda kept, g: (g * held["claimed"],))
    return wrong, held


def jax_passes(value: Function, point: Any, claimed: Any) -> bool:
    """Whether `jax.test_util.check_grads` accepts a gradient."""
    wrong, held = _jax_operation()
    from jax.test_util import check_grads

    held.update(value=value, claimed=claimed)
    try:
        check_grads(wrong, (point,), order=1, modes=["rev"])
    except AssertionError:
        return False
    return True


CHECKERS: dict[str, Callable[[Function, Any, Any], bool]] = {
    "torch": torch_passes, "autograd": autograd_passes, "jax": jax_passes,
}  # fmt: skip


def installed() -> list[str]:
    """Return the checkers that are here."""
    return [name for name in CHECKERS if importlib.util.find_spec(name) is not None]


def passed(numbers: Numbers, names: list[str], seed: int = 0) -> dict[str, bool]:
    """Return which checkers accept a pass; what is not finite is accepted by none."""
    if not np.all(np.isfinite(numbers.claimed)):
        return dict.fromkeys(names, False)
    known: dict[bytes, float] = {}

    def value(vector: Any) -> float:
        key = np.asarray(vector, float).tobytes()
        if key not in known:
            known[key] = numbers.value(np.asarray(vector, float))
        return known[key]

    found = {}
    for name in names:
        np.random.seed(seed)  # autograd and JAX draw directions
        with quietly():
            found[name] = CHECKERS[name](value, numbers.point.copy(), numbers.claimed.copy())
    return found
