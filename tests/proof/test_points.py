"""Points at which sides are compared: valid data, halved, rounded, and written as plain data."""

from fractions import Fraction

import numpy as np
import pytest

import graphgrad as gg
from graphgrad.proof.points import PLAIN, as_data, middle, rounded, sample

SYSTEM = gg.parse(
    "W: param(H, H)\nx[t]: token(K)\ny[t]: distribution(K)\nh[t] = W @ h[t-1]\n"
    "loss = sum(sum(h[t]) * sum(y[t]) * sum(onehot(x[t])) for t in steps)"
).check()
SIZES = {"H": 2, "K": 3}


def point(seed):
    return sample(SYSTEM, {"t": 4}, SIZES, seed)


@pytest.mark.parametrize("seed", [0, 1, 5, PLAIN, PLAIN + 1])
def test_points_are_valid_data(seed):
    found = point(seed)
    assert found["W"].shape == (2, 2)
    assert found["y"].shape == (4, 3)
    assert set(found["x"]) <= {0, 1, 2}
    assert all(isinstance(entry, Fraction) and entry for entry in found["W"].flat)
    assert [*found["y"].sum(axis=1)] == [1] * 4
    assert min(found["y"].flat) > 0


def test_odd_seeds_are_positive_and_seeds_differ():
    assert min(point(1)["W"].flat) > 0
    assert min(min(point(seed)["W"].flat) for seed in (0, 2, 4)) < 0
    assert (point(0)["W"] != point(2)["W"]).any()
    assert (point(3)["W"] == point(3)["W"]).all()


def test_half_way():
    a, b = point(0), point(2)
    half = middle(a, b)
    assert (half["W"] * 2 == a["W"] + b["W"]).all()
    assert (half["x"] == a["x"]).all()


def test_rounding_keeps_what_it_must():
    values = {"W": np.array([Fraction(355, 113)]), "y": np.array([Fraction(355, 113)])}
    found = rounded(values, 10, lambda name: name == "y")
    assert found["W"][0] == Fraction(22, 7)
    assert found["y"][0] == Fraction(355, 113)
    assert as_data(found | {"x": np.array([2, 0])}) == {"W": ["22/7"], "y": ["355/113"],
                                                        "x": [2, 0]}  # fmt: skip
