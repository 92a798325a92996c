"""Hand-written passes in many styles: the right ones are proved, every planted fault is named."""

from __future__ import annotations

import importlib.util
import re
import sys
from pathlib import Path

import numpy as np
import pytest

import graphgrad as gg

FOLDER = Path(__file__).parent / "passes"
PASSES = sorted(path.stem for path in FOLDER.glob("*.py"))


def loaded(source: str, path: Path):
    """Return the module of a source text, written where `inspect` finds it."""
    path.write_text(source, encoding="utf-8")
    spec = importlib.util.spec_from_file_location(path.stem, path)
    module = importlib.util.module_from_spec(spec)
    sys.modules[path.stem] = module
    spec.loader.exec_module(module)
    return module


def functions(module):
    """Return what FUNCTIONS names: `f`, `forward backward`, `Class(2).method`."""
    space = vars(module)
    names = re.split(r" (?=\w+\b(?:\(|$))", module.FUNCTIONS)
    owners, found = {}, []
    for name in names:
        made = re.fullmatch(r"(\w+\(.*\))\.(\w+)", name)
        if made:
            owner = owners.setdefault(made.group(1), eval(made.group(1), space))
            found.append(getattr(owner, made.group(2)))
        else:
            found.append(space[name])
    return tuple(found) if len(found) > 1 else found[0]


def checked(module):
    circuit = gg.parse(module.CIRCUIT, name=module.__name__)
    options = {"time_limit": 240} | getattr(module, "OPTIONS", {})  # others may use the machine
    return gg.check_function(circuit, functions(module), **options)


def source_of(name: str) -> str:
    return (FOLDER / f"{name}.py").read_text(encoding="utf-8")


def faults():
    for name in PASSES:
        space: dict = {}
        exec(compile(source_of(name), name, "exec"), space)
        for number, fault in enumerate(space["FAULTS"]):
            yield pytest.param(name, *fault, id=f"{name}-{number}")


@pytest.mark.parametrize("name", PASSES)
def test_right_passes_are_proved(name, tmp_path):
    module = loaded(source_of(name), tmp_path / f"right_{name}.py")
    proof = checked(module)
    assert proof.ok, str(proof)
    for assumption in getattr(module, "ASSUMES", ()):
        assert any(assumption in each for each in proof.assumptions), proof.assumptions


@pytest.mark.parametrize(("name", "old", "new", "wrong", "cause"), faults())
def test_planted_faults_are_refuted_and_named(name, old, new, wrong, cause, tmp_path, request):
    source = source_of(name).split("\nFAULTS = ")
    assert old in source[0], "the fault cannot be planted"
    path = tmp_path / f"wrong_{re.sub(r'[^a-z0-9]', '_', request.node.callspec.id)}.py"
    proof = checked(loaded(source[0].replace(old, new), path))
    refuted = [claim.name for claim in proof.claims if claim.verdict == "refuted"]
    assert refuted == [name for name in refuted if name in wrong.split(" ")], str(proof)
    assert set(refuted) == set(wrong.split(" ")), str(proof)
    told = "\n".join(proof.lessons)
    assert any(part in " ".join(told.split()) for part in cause.split("|")), told
    assert all(each in told for each in refuted), told


# What cannot be traced, what is said, what is refused

NET = """
x[t]: input(D)
y[t]: input(H)
W: param(H, H)
U: param(H, D)
h[t] = tanh(W @ h[t-1] + U @ x[t])
loss = sum(squared_error(h[t], y[t]) for t in steps)
"""
BEFORE = np.zeros((10, 2))


def passes(x, y, W, U):
    hs = [np.zeros(len(W))]
    for each in x:
        hs.append(np.tanh(W @ hs[-1] + U @ each))
    loss = sum(0.5 * np.sum((a - b) ** 2) for a, b in zip(hs[1:], y, strict=True))
    dW, dU, carry = np.zeros_like(W), np.zeros_like(U), np.zeros(len(W))
    for k in range(len(x) - 1, -1, -1):
        d = (hs[k + 1] - y[k] + carry) * (1 - hs[k + 1] ** 2)
        dW += np.outer(d, hs[k])
        dU += np.outer(d, x[k])
        carry = W.T @ d
    return loss, dW, dU


def through_floats(x, y, W, U):
    BEFORE[: len(x)] = x
    loss, dW, dU = passes(BEFORE[: len(x)].copy(), y, W, U)
    return loss, dW, dU


def through_bytes(x, y, W, U):
    parts = [np.frombuffer(np.ascontiguousarray(a).tobytes()).reshape(np.shape(a)) for a in (x, y)]
    loss, dW, dU = passes(*parts, W, U)
    return loss, dW, dU


def through_bytes_wrong(x, y, W, U):
    loss, dW, dU = through_bytes(x, y, W, U)
    return loss, dW, 1.01 * dU


def logs(x, y, W, U):
    loss, dW, dU = passes(x, y, W, U)
    assert float(loss) < 1e9
    return loss, dW, dU


def net():
    return gg.parse(NET, name="net")


@pytest.mark.parametrize("fn", [passes, logs])
def test_looking_at_a_number_does_no_harm(fn):
    proof = gg.check_function(net(), fn)
    assert proof.ok, str(proof)


def limited(x, y, W, U, low=-5.0, high=5.0):
    loss, dW, dU = passes(x, y, W, U)
    return loss, np.clip(dW, low, high), dU


def limited_and_never_true(x, y, W, U):
    loss, dW, dU = passes(x, y, W, U)
    dU = dU if type(dU) is not np.ndarray else 2 * dU
    return loss, np.clip(dW, -5, 5), dU


def limited_to_nothing(x, y, W, U):
    loss, dW, dU = limited(x, y, W, U, 0.0, 0.0)
    return loss, dW, dU


def limited_below_at_zero(x, y, W, U):
    loss, dW, dU = limited(x, y, W, U, 0.0, 5.0)
    return loss, dW, dU


def with_a_small_constant_and_never_true(x, y, W, U):
    loss, dW, dU = passes(x, y, W, U)
    dU = dU if type(dU) is not np.ndarray else 2 * dU
    return loss, dW * loss / (loss + 1e-9), dU


def with_a_small_constant_for_nothing(x, y, W, U):
    loss, dW, dU = passes(x, y, W, U)
    return loss, dW + 1e-6, dU


@pytest.mark.parametrize(
    ("fn", "wrong"),
    [
        (limited_and_never_true, "dU"),
        (limited_to_nothing, "dW"),
        (limited_below_at_zero, "dW"),
        (with_a_small_constant_and_never_true, "dU"),
        (with_a_small_constant_for_nothing, "dW + 1e-06"),
    ],
)
def test_limits_and_small_constants_hide_nothing(fn, wrong):
    proof = gg.check_function(net(), fn)
    assert [claim.name for claim in proof.claims if claim.verdict == "refuted"] == [wrong]


@pytest.mark.parametrize("make", [np.empty_like, lambda a: np.empty(a.shape)])
def test_what_is_read_before_it_is_written_is_refuted(make):
    def unwritten(x, y, W, U):
        loss, dW, dU = passes(x, y, W, U)
        total = make(dU)
        total += dU
        return loss, dW, total

    for _ in range(3):  # whatever is left in memory
        proof = gg.check_function(net(), unwritten, results=["loss", "d_W", "d_U"])
        assert [claim.verdict for claim in proof.claims] == ["proved", "proved", "refuted"]
        assert "computed from what np.empty left in memory" in "\n".join(proof.lessons)


def test_what_is_written_before_it_is_read_is_proved():
    def written(x, y, W, U):
        loss, dW, dU = passes(x, y, W, U)
        total = np.empty_like(dU)
        total[dU >= 0] = dU[dU >= 0]
        total[dU < 0] = dU[dU < 0]
        return loss, np.add(dW, 0, out=np.empty(dW.shape)), total

    assert gg.check_function(net(), written, results=["loss", "d_W", "d_U"]).ok


@pytest.mark.parametrize(
    "question",
    [
        lambda x: np.any(np.abs(x) > 3),
        lambda x: not np.all(np.abs(x) < 3),
        lambda x: float(np.sum(x)) > 30,
        lambda x: int(x[0, 0]) > 3,
        lambda x: np.median(x) > 5,
        lambda x: len(np.where(x > 4)[0]) > 0,
    ],
)
def test_what_is_done_only_at_other_values_is_an_assumption(question):
    def sometimes(x, y, W, U):
        loss, dW, dU = passes(x, y, W, U)
        if question(x):
            dW = 0 * dW
        return loss, dW, dU

    proof = gg.check_function(net(), sometimes)
    assert proof.ok
    assert any("goes on as at the sampled values" in each for each in proof.assumptions)


def test_questions_about_constants_are_no_assumption():
    def plain(x, y, W, U):
        loss, dW, dU = passes(x, y, W, U)
        assert np.any(np.ones(2) > 0)
        return loss, dW, dU

    proof = gg.check_function(net(), plain)
    assert proof.ok
    assert not any("sampled" in each for each in proof.assumptions), proof.assumptions


@pytest.mark.parametrize("fn", [through_floats, through_bytes])
def test_what_cannot_be_traced_is_certified_in_digits(fn):
    proof = gg.check_function(net(), fn, sizes={"D": 2, "H": 2})
    assert not proof.ok
    assert proof.verdict == "certified", str(proof)
    assert all(re.fullmatch(r"\d+\.\d digits", claim.reason) for claim in proof.claims)


def test_what_cannot_be_traced_is_refuted_in_digits():
    proof = gg.check_function(net(), through_bytes_wrong, sizes={"D": 2, "H": 2})
    assert [claim.verdict for claim in proof.claims] == ["certified", "certified", "refuted"]


def test_float32_is_certified_to_fewer_digits():
    def single(x, y, W, U):
        loss, dW, dU = through_bytes(x, y, W, U)
        return loss, np.frombuffer(np.float32(dW).tobytes(), np.float32).reshape(dW.shape), dU

    proof = gg.check_function(net(), single, sizes={"D": 2, "H": 2})
    assert proof.verdict == "certified", str(proof)


def test_a_gradient_that_is_not_returned_is_named():
    def partly(x, y, W, U):
        loss, dW, _ = passes(x, y, W, U)
        return loss, dW

    proof = gg.check_function(net(), partly)
    assert proof.unclaimed == ("U",)
    assert "no gradient is returned by U" in str(proof)


def test_a_vanishing_fault_is_found():
    def tiny(x, y, W, U):
        loss, dW, dU = passes(x, y, W, U)
        dU[0, 0] += 1e-30 * W[0, 0]
        return loss, dW, dU

    proof = gg.check_function(net(), tiny)
    assert proof.verdict != "proved"


def test_a_small_constant_in_a_logarithm_is_read_as_zero_and_said():
    circuit = gg.parse("x[t]: input()\nw: param()\nloss = sum(log(w * x[t]) for t in steps)")

    def careful(x, w):
        loss = np.sum(np.log(w * x + 1e-12))
        dw = len(x) / w
        return loss, dw

    proof = gg.check_function(circuit, careful)
    assert proof.ok, str(proof)
    assert any("1e-12, added for safety" in each for each in proof.assumptions)


def test_gradients_of_another_loss_are_told_from_wrong_gradients():
    def halved(x, y, W, U):
        loss, dW, dU = passes(x, y, W, U)
        return loss / 2, dW / 2, dU / 2

    (lesson,) = gg.check_function(net(), halved).lessons
    assert "The forward pass is wrong" in lesson
    assert "the backward pass fits the forward pass" in " ".join(lesson.split())


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"layout": "sideways"}, "is not a layout"),
        ({"loss": "lossy"}, "has no variable lossy"),
        ({"arguments": {"Q": "W"}}, "has no argument Q"),
        ({"arguments": {"W": "__import__('os')"}}, "does not describe a quantity"),
        ({"arguments": {"W": "(W).sum()"}}, "does not describe a quantity"),
        ({"arguments": {"W": "W_"}}, "neither a parameter, an input nor a size"),
        ({"results": {"dQ": "d_W"}}, "returns nothing named dQ"),
        ({"results": {"dW": "d_Q"}}, "is no result of"),
    ],
)
def test_what_is_stated_wrongly_is_refused(options, message):
    with pytest.raises(gg.GraphgradError, match=re.escape(message)):
        gg.check_function(net(), passes, **options)


def test_code_that_does_not_run_is_refused_with_its_own_error():
    def broken(x, y, W, U):
        raise KeyError("nothing here")

    with pytest.raises(gg.GraphgradError, match="KeyError: 'nothing here'"):
        gg.check_function(net(), broken)
    with pytest.raises(gg.GraphgradError, match="a pair"):
        gg.check_function(net(), (passes, passes, passes))
    with pytest.raises(gg.GraphgradError, match="the argument q of unknown"):
        gg.check_function(net(), unknown)


def unknown(x, q):
    return q


def test_a_proof_is_shown_as_text_html_and_json():
    proof = gg.check_function(net(), passes)
    assert "✓ dW   = ∂loss/∂W  proved, 4 entries" in str(proof)
    assert "<table" in proof._repr_html_()
    assert '"verdict": "proved"' in proof.to_json()
