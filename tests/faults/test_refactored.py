"""A fixed slice of the right hand-written passes in other words: each is proved.

The whole set is gone through by `python tools/fault_corpus.py refactored`.
"""

import ast

import numpy as np
import pytest

from tests.faults.composed import CELLS, composed
from tests.faults.passes import written
from tests.faults.refactored import SOURCES, refactored
from tests.faults.rewrite import PATTERNS, rewrites
from tests.faults.styles import LAYOUTS

SLICE = (0, 1, 2, 3, 4, 5, 6, 7, 9, 12, 13, 15, 16, 18, 19)


@pytest.mark.parametrize("number", SLICE)
def test_right_passes_in_other_words_are_proved(number):
    right = refactored(number)
    if not right.is_right:
        pytest.fail("a rewrite changed its numbers: take another number into the slice")
    said = right.verdict()
    assert said.verdict == "proved", (right.name, said, right.source)


def test_the_slice_has_passes_of_every_kind():
    assert {refactored(number).kind for number in SLICE} == set(SOURCES)


def test_composed_passes_differ():
    sources = [composed(number).source for number in range(120)]
    assert len(set(sources)) == len(sources)
    text = "\n".join(sources)
    for layout in LAYOUTS.values():
        assert all(f"'{key}': {value!r}" in text for key, value in layout.options.items())
    assert len(CELLS) <= len({source.split("loss =")[0] for source in sources})


def test_a_composed_pass_is_right_by_finite_differences():
    for number in range(8):
        right = composed(number)
        numbers = right.numbers(right.source, 0)
        steps = 1e-5 * np.eye(len(numbers.point))
        apart = [numbers.value(numbers.point + d) - numbers.value(numbers.point - d) for d in steps]
        np.testing.assert_allclose(np.array(apart) / 2e-5, numbers.claimed, rtol=1e-6, atol=1e-8)


@pytest.mark.parametrize(
    ("condition", "verdict", "where"),
    [
        ("norm > max_norm", "proved", "is False, as at the sampled values"),
        ("norm > 0.01", "proved", "is False, as for small numbers"),
        ("norm <= max_norm", "refuted", "is True, as at the sampled values"),
    ],
)
def test_a_clip_by_the_norm_is_an_exception_for_large_numbers(condition, verdict, where):
    """Clipping what is small was proved once: the branch of small numbers was left out."""
    right = next(each for each in written() if each.name == "sequence_to_one")
    source = right.source.replace("norm > max_norm", condition)
    proof = right.prove(source)
    assert proof.verdict == verdict, proof
    assert any(where in each for each in proof.assumptions), proof.assumptions


def values(text, space):
    found = eval(text, space)
    return np.array([*found] if np.ndim(found) or "range" in text else found)


@pytest.mark.parametrize("kind", sorted({kind for kind, *_ in PATTERNS}))
def test_rewrites_are_identities(kind):
    random = np.random.default_rng(0)
    space = {"np": np} | {name: random.normal(size=(3, 3)) for name in "bc"}
    for known, pattern, forms in PATTERNS:
        if known == kind:
            text = ast.unparse(pattern)
            space["a"] = 3 if "range" in text else random.normal(size=(3, 3))
            if kind == "outer product":
                space |= {name: random.normal(size=3) for name in "ab"}
            if kind == "stacked":
                space["a"] = [space["b"], space["c"]]
            want = values(text, space)
            for form in forms:
                found = values(ast.unparse(form), space)
                np.testing.assert_allclose(found, want, rtol=1e-9, atol=1e-12)


def test_rewrites_are_found_where_they_fit():
    source = (
        "def f(n, h, g):\n    for t in reversed(range(n)):\n        g += (1 - h[t] ** 2) * 0.5\n"
    )
    found = {each.cause for each in rewrites(ast.parse(source), "part")}
    assert {"steps down", "sum in place", "slope", "square", "while", "named part"} <= found
    assert "product" not in found
