"""Texts to circuits: what is accepted means what it says, what is not is refused with a remedy."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from hypothesis import given

import graphgrad as gg
from graphgrad import t, tanh
from graphgrad.conditions import ALWAYS, Affine, Compare
from graphgrad.errors import FileError, GraphgradError
from graphgrad.ir import At
from graphgrad.notation.parse import load, parse
from tests.drawn import Drawn
from tests.notation.bad_texts import BAD
from tests.snapshots import same_as_snapshot
from tests.strategies import circuits

MESSAGES = Path(__file__).with_name("messages.txt")


def refusal(text: str) -> GraphgradError:
    with pytest.raises(GraphgradError) as caught:
        parse(text)
    return caught.value


def rendered() -> str:
    """What is said about every bad text, one paragraph each."""
    parts = []
    for kind, title, text in BAD:
        error = refusal(text)
        parts.append(f"== {title}: {kind.__name__}\n{error}\n")
    return "\n".join(parts)


def test_messages() -> None:
    """Every message as committed."""
    same_as_snapshot(rendered(), MESSAGES)


@pytest.mark.parametrize(("kind", "title", "text"), BAD, ids=[title for _, title, _ in BAD])
def test_refused_with_place_and_remedy(kind: type[GraphgradError], title: str, text: str) -> None:
    error = refusal(text)
    assert type(error) is kind
    assert error.message
    assert error.remedy
    if title not in ("nothing", "a comment", "only declarations", "shape without an equation"):
        place = error.place
        assert place is not None
        lines = re.split("\r\n|\r|\n", text)
        assert 1 <= place.line <= len(lines)
        assert 0 <= place.column <= len(place.text)
        assert place.end > place.column
        assert re.search(r"\n    \s*\^+(\n|$)", str(error))
    shown = str(error)
    assert not re.search("[\x00-\x08\x0b-\x1f\u202e\u2028]", shown), "no control characters"
    assert len(shown) < 2000


# -- what texts mean -------------------------------------------------------------------------------


def root(text: str, name: str = "h") -> str:
    """The equation of a variable, printed with every parenthesis that it needs."""
    return str(parse(text).equations[name])


def test_declarations() -> None:
    c = parse(
        "# A title\n"
        "H: size(4)\n"
        "x[t]: input(D)\ns: input()\nq[t]: token(N)\ny[t]: distribution(K)\n"
        "W: param(4*H, H+D)\nlam: param()\nE: param(N, H)\n"
        "h[t]: state(H)\n"
        "h[t] = lam * h[t-1] + E[q[t]]\n"
    )
    assert c.title == "A title"
    assert dict(c.sizes) == {"H": 4, "D": None, "N": None, "K": None}
    assert [str(dim) for dim in c.params["W"].shape] == ["4*H", "D+H"]
    assert c.params["lam"].shape == ()
    assert [(i.name, i.kind, i.index) for i in c.inputs.values()] == [
        ("x", "input", "t"),
        ("s", "input", None),
        ("q", "token", "t"),
        ("y", "distribution", "t"),
    ]
    assert list(c.equations) == ["h"]
    assert [str(dim) for dim in c.variables["h"].shape] == ["H"]


def test_declarations_may_come_last_and_in_any_order() -> None:
    first = parse("W: param(H, H)\nh[t] = W @ h[t-1]")
    assert parse("h[t] = W @ h[t-1]\nW: param(H, H)") == first
    assert parse("W: param(H, H)\nH: size(3)\nh[t] = W @ h[t-1]").sizes == {"H": 3}
    assert parse("h[s] = 1\ns: steps(m)").indices["s"].length == "m"
    assert parse("t: steps(tau)\nh[t] = 1") == parse("h[t] = 1")


@pytest.mark.parametrize(
    ("written", "kept"),
    [
        ("1 + 2 * 3", "1 + 2 * 3"),
        ("(1 + 2) * 3", "(1 + 2) * 3"),
        ("1 - (2 - 3)", "1 - (2 - 3)"),
        ("(1 - 2) - 3", "1 - 2 - 3"),
        ("1 / (2 / 3)", "1 / (2 / 3)"),
        ("1 / 2 * 3", "1 / 2 * 3"),
        ("2 ** 3 ** 2", "2**3**2"),
        ("(2 ** 3) ** 2", "(2**3)**2"),
        ("-k ** 2", "-k**2"),
        ("(-k) ** 2", "(-k)**2"),
        ("2 ** -k", "2**-k"),
        ("-(k * 2)", "-(k * 2)"),
        ("-k * 2", "-k * 2"),
        ("- - k", "--k"),
        ("k - -k", "k - -k"),
        ("+k", "k"),
        ("-3", "-3"),
        ("(1 if t > 1 else 2) + 3", "(1 if t > 1 else 2) + 3"),
        ("1 if t > 1 else 2 if t > 2 else 3", "1 if t > 1 else 2 if t > 2 else 3"),
        ("(1 if t > 2 else 2) if t > 1 else 3", "(1 if t > 2 else 2) if t > 1 else 3"),
        ("sum(M.T @ (M @ v))", "sum(M.T @ (M @ v))"),
        ("sum(M.T @ M @ v)", "sum(M.T @ M @ v)"),
        ("sum((M @ M).T @ v)", "sum((M @ M).T @ v)"),
        ("where(k > 0, 1, -1)", "where(k > 0, 1, -1)"),
        ("at(split(concat(v, v), 2)[1], 0)", "at(split(concat(v, v), 2)[1], 0)"),
        ("sum(x[t] for t in steps)", "sum(x[t] for t in steps)"),
        ("mean(x[t] for t in steps if 1 < t < 4)", "mean(x[t] for t in steps if 1 < t and t < 4)"),
        ("sum(x[t] for t in steps if t > 1 if t != 3)",
         "sum(x[t] for t in steps if t > 1 and t != 3)"),
        ("1 if not t == 2 else 0", "1 if t != 2 else 0"),
        ("1 if not (t > 1 and t < 3) else 0", "1 if not (t > 1 and t < 3) else 0"),
        ("1 if t > 1 or t < 3 and t != 2 else 0", "1 if t > 1 or (t < 3 and t != 2) else 0"),
        ("1 if (t > 1 or t < 3) or t == 2 else 0", "1 if t > 1 or t < 3 or t == 2 else 0"),
        ("1 if 2*t - tau + 1 >= -3 else 0", "1 if 2*t - tau + 1 >= -3 else 0"),
        ("1 if (t + 1) % 3 == t % 2 else 0", "1 if (t + 1) % 3 == t % 2 else 0"),
        ("1 if tau - (t % 2) * 3 > 0 else 0", None),
        ("x[t-0]", "x[t]"),
        ("x[1+t-2]", "x[t-1]"),
        ("x[t+3]", "x[t+3]"),
        ("x[tau-1]", "x[tau-1]"),
        ("x[2]", "x[2]"),
        ("0.1", "0.1"),
        ("1e-5", "1e-05"),
        ("0x10", "16"),
        ("1_000", "1000"),
        ("t / tau", "t / tau"),
        ("1 / H", "1 / H"),
    ],
)  # fmt: skip
def test_expressions_keep_their_meaning(written: str, kept: str | None) -> None:
    declared = "k: param()\nv: param(H)\nH: size(4)\nM: param(H, H)\nx[t]: input()\n"
    text = f"{declared}h[t] = {written}"
    circuit = parse(text)
    assert parse(str(circuit)) == circuit
    if kept is not None:
        assert str(circuit.equations["h"]) == f"h[t] = {kept}"
        assert f"h[t] = {kept}\n" in str(circuit)


def test_reads_and_boundaries() -> None:
    c = parse("g: param()\nh[0] = g\nh[-1] = 2\nh[tau+1] = 3\nh[t] = h[t-2]\nk[t] = h[t+1]")
    assert set(c.boundaries) == {At("h", False, 0), At("h", False, -1), At("h", True, 1)}
    assert str(c.boundaries[At("h", False, 0)].root) == str(c["g"])


def test_split_into_names() -> None:
    c = parse("z[t]: input(2*H)\na[t], b[t] = split(z[t], 2)\nk: param(H+K)\np, q = split(k, H, K)")
    assert [str(e) for e in c.equations.values()] == [
        "a[t] = split(z[t], 2)[0]",
        "b[t] = split(z[t], 2)[1]",
        "p = split(k, H, K)[0]",
        "q = split(k, H, K)[1]",
    ]
    assert "a[t], b[t] = split(z[t], 2)\n" in str(c)
    assert "p, q = split(k, H, K)\n" in str(c)
    assert parse(str(c)) == c


def test_split_of_a_formula_is_computed_once() -> None:
    c = parse("W: param(2*H, H)\nx[t]: input(H)\na[t], b[t] = split(W @ x[t], 2)")
    assert [str(e) for e in c.equations.values()] == [
        "v1[t] = W @ x[t]",
        "a[t] = split(v1[t], 2)[0]",
        "b[t] = split(v1[t], 2)[1]",
    ]


def test_lines_may_be_joined_by_brackets_and_hold_comments() -> None:
    plain = parse("h[t] = tanh(h[t-1] + 1)")
    assert parse("h[t] = tanh(  # squash\n    h[t-1]\n\n    + 1  # one\n)") == plain
    assert parse("\ufeff  h[t]=tanh(h[t-1]+1)\r\n") == plain
    assert parse("\n\n\th[t] = tanh(h[t-1] + 1)\r\r") == plain
    assert parse("h[t] = tanh(h[t-1] + 1) # é 漢 \x00") == plain


def test_python_and_text_give_the_same_circuit() -> None:
    c = gg.Circuit("elman")
    x = c.input("x", "D", index=t)
    W, U, b = c.param("W", "H", "H"), c.param("U", "H", "D"), c.param("b", "H")
    h = c.var("h")
    h[t] = tanh(b + W @ h[t - 1] + U @ x[t])
    c["loss"] = gg.sum(gg.sum(h[t] ** 2), over=t, where=t > 3)
    assert c == parse(
        "x[t]: input(D)\nW: param(H, H)\nU: param(H, D)\nb: param(H)\n"
        "h[t] = tanh(b + W @ h[t-1] + U @ x[t])\n"
        "loss = sum(sum(h[t] ** 2) for t in steps if t > 3)"
    )


@given(circuits("smooth"))
def test_generated_circuits_from_text_and_from_python(drawn: Drawn) -> None:
    circuit = parse(drawn.text())
    assert drawn.build() == circuit
    assert parse(str(circuit)) == circuit
    assert str(parse(str(circuit))) == str(circuit)
    for variable in drawn.variables:
        shape = circuit.variables[variable.name].shape
        assert tuple(map(str, shape)) == variable.shape


# -- files -----------------------------------------------------------------------------------------


def test_load(tmp_path: Path) -> None:
    path = tmp_path / "my_cell.rec"
    path.write_text("# My cell\nh[t] = h[t-1] + 1\n", encoding="utf-8")
    circuit = load(path)
    assert (circuit.name, circuit.title) == ("my_cell", "My cell")
    assert load(str(path)) == circuit


def test_load_names_the_file_in_messages(tmp_path: Path) -> None:
    path = tmp_path / "bad.rec"
    path.write_text("h[t] = 1\ng[t] = hh[t]\n")
    with pytest.raises(GraphgradError, match=r"^bad.rec:2:8: hh is not declared"):
        load(path)


def test_load_what_cannot_be_read(tmp_path: Path) -> None:
    with pytest.raises(FileError, match="No such file"):
        load(tmp_path / "none.rec")
    with pytest.raises(FileError, match="directory"):
        load(tmp_path)
    with pytest.raises(FileError):
        load("a\x00b")
    (tmp_path / "latin.rec").write_bytes(b"# \xe9\nh[t] = 1")
    with pytest.raises(FileError, match="not UTF-8") as caught:
        load(tmp_path / "latin.rec")
    assert caught.value.remedy == "save it as UTF-8"


def test_extend() -> None:
    c = parse("h[t] = h[t-1] + 1")
    more = c.extend("loss = sum(h[t] for t in steps)")
    assert list(c.equations) == ["h"], "the circuit itself stays as it was"
    assert list(more.equations) == ["h", "loss"]
    with pytest.raises(GraphgradError, match="h has an equation already"):
        c.extend("h[t] = 2")


def test_condition_objects() -> None:
    c = parse("h[t] = 1 if t == tau else 0")
    condition = c.equations["h"].root.attr
    assert condition == Compare("==", Affine.name("t"), Affine.name("tau"))
    c = parse("h[t] = 1\nloss = sum(h[t] for t in steps)")
    assert c.equations["loss"].root.attr.condition == ALWAYS
