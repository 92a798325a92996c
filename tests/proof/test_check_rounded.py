"""Numbers of code that are rounded constants of the circuit, as `np.log(2 * np.pi)`."""

import numpy as np
import pytest

import graphgrad as gg

GAUSS = gg.parse(
    """x[t]: input()
a: param()
s: param()
e[t] = x[t] - a * x[t-1]
loss = sum(0.5*log(2*3.141592653589793) + log(s) + 0.5*(e[t]/s)**2 for t in steps)
""",
    name="gauss",
)


def gaussian(x, a, s, constant):
    before = np.concatenate([[0.0], x[:-1]])
    e = x - a * before
    loss = constant * len(x) + len(x) * np.log(s) + 0.5 * np.sum((e / s) ** 2)
    return {
        "loss": loss,
        "da": -np.sum(e * before) / s**2,
        "ds": len(x) / s - np.sum(e**2) / s**3,
    }


def test_a_rounded_constant_of_the_circuit_is_read_as_that_constant():
    def likelihood(x, a, s):
        return gaussian(x, a, s, 0.5 * np.log(2 * np.pi))

    proof = gg.check_function(GAUSS, likelihood)
    assert proof.verdict == "proved"
    assert "is read as 3*log(6.28319)/2, of which it is the rounding" in str(proof)


@pytest.mark.parametrize("wrong", [np.log(np.pi), 0.9189385332, 0.5 * np.log(2 * np.pi) + 1e-12])
def test_another_constant_is_refuted(wrong):
    def likelihood(x, a, s):
        return gaussian(x, a, s, wrong)

    proof = gg.check_function(GAUSS, likelihood)
    assert proof.verdict == "refuted"
    assert "is read as" not in str(proof)
