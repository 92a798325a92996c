"""A bounded slice of `tools/compile_campaign.py`; and the promises fail where a kernel is wrong."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import graphgrad as gg
from graphgrad.compile.code import KERNELS, plus
from graphgrad.compile.emit_numpy import emit_numpy
from graphgrad.compile.lane_code import LaneCode
from graphgrad.compile.sources import Memory
from tests.compile.lanes import by_python
from tests.compile.networks import Case, cuts, network, stacked
from tests.compile.pairs import pairs
from tests.compile.promises import keep
from tests.compile.tables import tables

CIRCUITS = 16
NUMBA_CIRCUITS = 8
GATED = Case(
    "x[t]: input(H)\nW: param(H, H)\nh[t] = sigmoid(W @ h[t-1] + x[t])\n"
    "loss = sum(sum(h[t]**2) for t in steps)",
    {"t": 3},
    {"H": 2},
)


@pytest.mark.parametrize("drawn", [network, stacked, cuts, tables])
def test_the_promises_hold_for_random_networks(drawn: Callable[[int], Case]) -> None:
    done: Counter[str] = Counter()
    for number in range(CIRCUITS):
        done += keep(drawn(number), number, "numpy")
    assert done["circuits"] + done["undefined"] == CIRCUITS
    assert done["modules"] >= done["adjoints"] > 0 < done["pullbacks"]
    for what in ("alone", "batches", "ragged batches", "pieces", "checkpoints"):
        assert done[f"{what} float64"] == done[f"{what} float32"] > 0, what


def test_the_promises_hold_for_two_sequences() -> None:
    done: Counter[str] = Counter()
    for number in range(CIRCUITS):
        done += keep(pairs(number), number, "numpy")
    assert done["circuits"] + done["undefined"] == CIRCUITS
    assert done["modules"] >= done["adjoints"] > 0 < done["pullbacks"]
    texts = [pairs(number).text for number in range(50)]
    for part in ("[m]", "[m-1]", "split(", "for s in steps", "s-1]", "t-1]", "[tau+1] ="):
        assert sum(part in text for text in texts) >= 5, part


@pytest.mark.parametrize("drawn", [network, stacked, cuts, tables, pairs])
def test_the_promises_hold_for_what_numba_would_compile(drawn: Callable[[int], Case]) -> None:
    done: Counter[str] = Counter()
    with by_python(width=4):
        for number in range(NUMBA_CIRCUITS):
            done += keep(drawn(number), number, "numba")
    assert done["circuits"] + done["undefined"] == NUMBA_CIRCUITS
    assert done["alone float64"] == done["alone float32"] > 0


def test_networks_have_what_the_campaign_is_for() -> None:
    texts = [network(number).text for number in range(100)]
    for part in (
        "split(",
        "[tau+1] = ",
        "[0] = ",
        "softmax_cross_entropy",
        "state()",
        "t+1]",
        " if ",
    ):
        assert sum(part in text for text in texts) >= 5, part


@pytest.mark.filterwarnings("ignore::graphgrad.adjoint.build.GradientWarning")
def test_gates_of_stacked_cells_are_computed_together() -> None:
    sources = []
    for number in range(20):
        circuit = gg.parse(stacked(number).text)
        made = circuit.compile("loss", grad="loss")
        sources.append(emit_numpy(made.schedule_for(circuit.inputs), "compiled").source)
    for part in ("matvec_parts(", "part_factors(", "_now", "np.dot("):
        assert sum(part in text for text in sources) >= 5, part


def wrong_value(u: Any, v: Any) -> Any:
    return np.tensordot(u, v, (range(u.ndim - 1),) * 2) * (1 + 1e-4)


def wrong_in_batches(u: Any, v: Any) -> Any:
    return np.tensordot(u, v, (range(u.ndim - 1),) * 2) * (1 + 1e-4 * (np.ndim(u) > 2))


def changes_its_argument(u: Any, v: Any) -> Any:
    np.asarray(u)[...] *= 0.5
    return np.tensordot(u, v, (range(u.ndim - 1),) * 2)


@pytest.mark.parametrize("wrong", [wrong_value, wrong_in_batches, changes_its_argument])
def test_a_wrong_kernel_breaks_a_promise(
    wrong: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    assert keep(GATED, 1, "numpy")["batches float32"] == 1
    monkeypatch.setitem(KERNELS, "outer_sum", wrong)
    with pytest.raises(AssertionError, match="is off by"):
        keep(GATED, 1, "numpy")


GUARDS: dict[str, tuple[Any, str, Callable[..., str]]] = {
    "a vector stored whole": (
        LaneCode, "_store", lambda self, memory, to, text: f"write({memory.array}, {to}, {text})"
    ),
    "a row too far": (Memory, "row", lambda self, lag: plus("t", self.before - lag + 1)),
}  # fmt: skip


@pytest.mark.parametrize("guard", GUARDS)
def test_wrong_accesses_of_memory_break_a_promise(
    guard: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(*GUARDS[guard])
    with by_python(width=4), pytest.raises((AssertionError, AttributeError)):
        keep(GATED, 1, "numba")
