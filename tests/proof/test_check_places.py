"""What code reads without taking it: found by name, replaced for a run, and put back."""

import numpy as np
import pytest

import graphgrad as gg
from graphgrad.proof.check_places import (
    attributes_of,
    copied,
    fixed_sizes,
    numbers_of,
    replaced,
    shown_sizes,
    size_names,
    slot_arrays,
    slots_of,
)

weights = np.ones((2, 2))
tables = {"b": np.zeros(2), "name": "b"}


def helper():
    return weights.sum() + tables["b"].sum()


def closure():
    inner = np.full(3, 2.0)

    def run():
        return helper() + inner.sum()

    return run


def test_names_outside_functions_are_found_through_what_they_call():
    found = slots_of([closure()])
    assert set(slot_arrays(found)) == {"weights", "tables.b", "inner"}


def test_values_are_replaced_and_put_back():
    run = closure()
    slots = slots_of([run])
    before = run(), weights, tables
    new = {"weights": np.full((2, 2), 10.0), "tables.b": np.ones(2), "inner": np.ones(3)}
    with replaced(slots, new) as changed:
        assert run() == 40 + 2 + 3
        tables["b"] += 1
    assert (run(), weights, tables) == before
    assert weights is before[1]
    assert not tables["b"].any()
    assert "tables" in changed
    with pytest.raises(ZeroDivisionError), replaced(slots, new):
        raise ZeroDivisionError
    assert run() == before[0]


class Cell:
    def __init__(self):
        self.W = np.ones(2)
        self.params = {"U": np.ones(3), "n": 3}
        self.hidden, self.ready = 4, True


def test_attributes_are_found_and_copies_share_nothing():
    cell = Cell()
    assert set(attributes_of(cell)) == {"W", "params.U"}
    assert numbers_of(vars(cell)) == {"hidden": 4}
    twin = copied(cell, {"W": np.zeros(2), "params.U": np.zeros(3)})
    twin.params["n"] = 9
    assert not twin.W.any()
    assert not twin.params["U"].any()
    assert cell.W.all()
    assert cell.params["U"].all()
    assert cell.params["n"] == 3


SHAPES = {
    name: param.shape
    for name, param in gg.parse(
        "W: param(4*H, H)\nU: param(H, D)\nb: param(H)\nx: input(D)\nloss = sum(W @ b) + sum(U @ x)"
    )
    .check()
    .params.items()
}


@pytest.mark.parametrize(
    ("arrays", "sizes"),
    [
        ({"W": (8, 2), "U": (2, 3), "b": (2,)}, {"H": 2, "D": 3}),
        ({"W": (2, 8), "U": (3, 2), "b": (2, 1)}, {"H": 2, "D": 3}),
        ({"W": (8, 2), "U": (3, 3), "b": (2,)}, {}),
        ({"W": (9, 2), "U": (2, 3), "b": (2,)}, {}),
    ],
)
def test_sizes_by_shapes(arrays, sizes):
    arrays = {name: np.zeros(shape) for name, shape in arrays.items()}
    assert shown_sizes(SHAPES, arrays) == sizes


def test_sizes_that_code_insists_on():
    sizes = {"H": 3, "D": 2}
    assert fixed_sizes(sizes, {"n": 3}) == {"H": 3}
    assert fixed_sizes({"H": 100, "D": 2}, {"n": 100, "m": 2}) == {}
    numbers = {"self.hidden_size": 3, "epochs": 2, "input_dim": 2, "vocab": 7}
    assert size_names(sizes, numbers) == {"self.hidden_size": "H", "input_dim": "D"}
    assert size_names({"H": 2, "D": 2}, numbers) == {}
