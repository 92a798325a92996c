"""Shape rules: what fits, and what is refused with shapes and remedy named."""

from __future__ import annotations

from typing import Any

import pytest

from graphgrad.dims import Dim, Token
from graphgrad.errors import ShapeError
from graphgrad.ir import OPS, Part
from graphgrad.ops import LOSSES
from tests.ops.cases import CASES

H, K = Dim.of("H"), Dim.of("K")
S: Any = ()
V, U, M, N = (H,), (K,), (H, K), (H, H)
TOKEN = Token(K)


@pytest.mark.parametrize(
    ("op", "attr", "operands", "expected"),
    [
        ("add", None, (S, M), M),
        ("matmul", None, (M, U), V),
        ("matmul", None, (M, (K, H)), N),
        ("matmul", None, (V, V), S),
        ("outer", None, (V, U), M),
        ("transpose", None, (M,), (K, H)),
        ("concat", None, (V, S, U), (H + K + 1,)),
        ("part", Part(2, 0), ((H * 2,),), V),
        ("part", Part(V + U, 1), ((H + K,),), U),
        ("component", 3, (V,), S),
        ("lookup", None, ((K, H), TOKEN), V),
        ("lookup", None, (U, TOKEN), S),
        ("onehot", None, (TOKEN,), U),
        ("where", ">", (S, V, S, V), V),
        ("choose", None, (TOKEN, TOKEN), TOKEN),
        ("softmax", None, (M,), M),
        ("max", None, (M,), S),
    ],
)
def test_rule(op: str, attr: Any, operands: Any, expected: Any) -> None:
    assert OPS[op].shape(attr, *operands) == expected


@pytest.mark.parametrize(
    ("op", "attr", "operands", "message"),
    [
        ("add", None, (V, U), "+ does not fit: (H) with (K)"),
        ("add", None, (V, M), "+ does not fit: (H) with (H, K)"),
        ("maximum", None, (V, U), "maximum does not fit: (H) with (K)"),
        ("matmul", None, (M, V), "@ does not fit: (H, K) @ (H)"),
        ("matmul", None, (V, M), "@ does not fit: (H) @ (H, K)"),
        ("matmul", None, (S, V), "@ does not fit: scalar @ (H)"),
        ("matmul", None, (V, U), "@ does not fit: (H) @ (K)"),
        ("outer", None, (V, M), "outer takes two vectors, not (H) and (H, K)"),
        ("transpose", None, (V,), ".T takes a matrix, not (H)"),
        ("concat", None, (V, M), "concat joins vectors, not (H, K)"),
        ("concat", None, (), "concat of nothing"),
        ("part", Part(2, 0), (V,), "split cannot cut H into 2 equal parts"),
        ("part", Part(2, 2), ((H * 2,),), "split has 2 parts; there is no part 2"),
        ("part", Part(V + U, 0), (V,), "split sizes H, K add up to H+K, not to H"),
        ("part", Part(2, 0), (M,), "split takes a vector, not (H, K)"),
        ("component", 0, (M,), "at takes a vector, not (H, K)"),
        ("component", 3, ((Dim.of(3),),), "at(3) is outside a vector of length 3"),
        ("lookup", None, (V, TOKEN), "token(K) does not fit the (H) it looks a row up in"),
        ("lookup", None, (S, TOKEN), "token(K) does not fit the scalar it looks a row up in"),
        ("lookup", None, (V, V), "a look-up needs a token in the brackets, not (H)"),
        ("onehot", None, (V,), "onehot takes a token, not (H)"),
        ("choose", None, (TOKEN, S), "the branches do not fit: token(K) and scalar"),
        ("choose", None, (V, U), "a choice between does not fit: (H) with (K)"),
        ("softmax", None, (S,), "softmax takes a vector or a matrix, not a scalar"),
        ("logsumexp", None, (M,), "logsumexp takes a vector, not (H, K)"),
        ("cross_entropy", None, (M, M), "cross_entropy takes vectors, not (H, K)"),
        ("squared_error", None, (V, S), "squared_error does not fit: output (H), target scalar"),
        ("expand", V, (U,), "(K) does not fit (H)"),
    ],
)
def test_refused(op: str, attr: Any, operands: Any, message: str) -> None:
    with pytest.raises(ShapeError) as caught:
        OPS[op].shape(attr, *operands)
    assert caught.value.message == message
    assert caught.value.remedy


@pytest.mark.parametrize("name", sorted({case.op for case in CASES} - LOSSES))
def test_tokens_are_not_numbers(name: str) -> None:
    op = OPS[name]
    attr = {"where": ">", "part": Part(1, 0), "component": 0}.get(name)
    with pytest.raises(ShapeError, match="token"):
        op.shape(attr, *[TOKEN] * (op.arity or 2))
