"""Dimensions: integer-linear expressions in named sizes."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from graphgrad.dims import LARGEST, Dim, Token, bind_shape, concrete, parse_dim, shape_text
from graphgrad.errors import ShapeError

NAMES = ("H", "K", "D")
VALUES = {"H": 3, "K": 5, "D": 7}
dims = st.builds(
    lambda terms, constant: sum((Dim.of(n) * k for n, k in terms.items()), Dim.of(constant)),
    st.dictionaries(st.sampled_from(NAMES), st.integers(-4, 4)),
    st.integers(0, 20),
)


@given(dims, dims, st.integers(-5, 5))
def test_arithmetic_is_that_of_the_numbers(a: Dim, b: Dim, factor: int) -> None:
    def number(dim: Dim) -> int:
        return int(dim.bind(VALUES))

    assert number(a + b) == number(a) + number(b)
    assert number(a - b) == number(a) - number(b)
    assert number(a * factor) == factor * number(a)
    assert (a == b) == (str(a) == str(b))


@given(dims)
def test_text_is_read_back(dim: Dim) -> None:
    assert Dim.of(str(dim)) == dim
    assert repr(dim) == f"Dim({dim})"


@given(dims, st.integers(1, 4))
def test_divided(dim: Dim, parts: int) -> None:
    assert (dim * parts).divided(parts) == dim
    piece = dim.divided(parts)
    assert piece is None or piece * parts == dim
    assert dim.divided(0) is None


def test_bind_part_of_the_names() -> None:
    dim = Dim.of("2*H+K+1")
    assert str(dim.bind({"H": 3})) == "K+7"
    assert dim.names == ("H", "K")
    assert not dim.known
    assert dim.bind(VALUES).known
    assert bind_shape((dim, Dim.of("D")), {"K": 1, "D": 2}) == (Dim.of("2*H+2"), Dim.of(2))


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("H", "H"),
        (" 4 * H ", "4*H"),
        ("H*4", "4*H"),
        ("K+H", "H+K"),
        ("H+H", "2*H"),
        ("H-H", "0"),
        ("2*(H+1)-3", "2*H-1"),
        ("-H+K", "-H+K"),
        ("7-3", "4"),
    ],
)
def test_written_and_shown(text: str, shown: str) -> None:
    assert str(parse_dim(text)) == shown


@pytest.mark.parametrize(
    "value",
    ["", "H/2", "H*K", "H**2", "2.5", "f(H)", "H[0]", "H +", "'H'", "True", "H\x00", 1.5, None,
     True, -1, [3], "H" * 300, "9" * 150, LARGEST + 1, 10**5000],
    ids=lambda value: repr(value)[:30] if not isinstance(value, int) else "number",
)  # fmt: skip
def test_not_a_dimension(value: object) -> None:
    with pytest.raises(ShapeError) as caught:
        Dim.of(value)  # type: ignore[arg-type]
    assert caught.value.remedy


def test_numbers_that_are_missing_or_too_small() -> None:
    with pytest.raises(ShapeError, match="the size H has no number yet") as caught:
        int(Dim.of("H"))
    assert caught.value.remedy == "give H=…, or data that show it"
    assert concrete((Dim.of("H"), Dim.of("2*K")), VALUES) == (3, 10)
    with pytest.raises(ShapeError, match="the size H-5 comes out as -2"):
        concrete((Dim.of("H-5"),), VALUES)
    with pytest.raises(ShapeError, match="the size H-3 comes out as 0"):
        concrete((Dim.of("H-3"),), VALUES)


def test_shapes_as_text() -> None:
    assert shape_text(()) == "scalar"
    assert shape_text((Dim.of("4*H"), Dim.of(2))) == "(4*H, 2)"
    assert str(Token(Dim.of("N"))) == "token(N)"
