"""PyTensor's scan in a process of its own, since it needs another version of Numba than we do.

`python -m tests.bench.pytensor_worker` reads one JSON object a line and answers with one:
{"cell", "dtype", "data": file.npz} prepares a case and runs it once, {"repeat": n} runs it n times.
Functions are compiled once for each cell and type, in PyTensor's own cache on disk.
"""

from __future__ import annotations

import json
import sys
import time
from functools import cache
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytensor
import pytensor.tensor as pt
from pytensor.tensor.special import log_softmax

from tests.bench.cell_steps import CELLS, loss


def main() -> None:
    answers = sys.stdout
    sys.stdout = sys.stderr  # what the library prints is no answer
    run, values = None, ()
    for line in sys.stdin:
        asked = json.loads(line)
        started = time.perf_counter()
        if "cell" in asked:
            with np.load(asked["data"]) as file:
                given = dict(file)
            x, y = given.pop("x"), given.pop("y")
            names = tuple((name, value.ndim) for name, value in given.items())
            run = compiled(asked["cell"], asked["dtype"], names)
            values = (x, y, *given.values())
            found = run(*values)
            answer: dict[str, Any] = {"seconds": time.perf_counter() - started}
            grads = dict(zip(given, found[1:], strict=True))
            np.savez(asked["data"], loss=found[0], **{f"d_{n}": g for n, g in grads.items()})
        else:
            assert run is not None
            for _ in range(asked["repeat"]):
                run(*values)
            answer = {"seconds": time.perf_counter() - started}
        print(json.dumps(answer), file=answers, flush=True)


@cache
def compiled(name: str, dtype: str, names: tuple[tuple[str, int], ...]) -> Any:
    """Return the function of all parameters that computes the loss and its gradients."""
    x, y = pt.tensor3("x", dtype=dtype), pt.tensor3("y", dtype=dtype)
    params = {each: pt.tensor(each, dtype=dtype, shape=(None,) * ndim) for each, ndim in names}

    def scan(step: Any, start: Any, given: Any, backwards: bool) -> Any:
        found = pytensor.scan(
            lambda now, *state: [*(made := step(state, now))[0], made[1]],
            sequences=[given],
            outputs_info=[*start, None],
            go_backwards=backwards,
            return_updates=False,
        )
        return found[-1][::-1] if backwards else found[-1]

    f = SimpleNamespace(
        tanh=pt.tanh,
        sigmoid=pt.sigmoid,
        log_softmax=lambda u: log_softmax(u, axis=-1),
        zeros=lambda *shape: pt.zeros(shape, dtype=dtype),
        scan=scan,
    )
    value = loss(CELLS[name], params, x, y, f, hoisted=True)
    grads = pt.grad(value, list(params.values()))
    return pytensor.function([x, y, *params.values()], [value, *grads], mode="NUMBA")


if __name__ == "__main__":
    main()
