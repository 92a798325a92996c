"""The order of expressions: each once, arguments first, however deep they are."""

from __future__ import annotations

from graphgrad.ir import OPS, Expr, topological


def test_topological_order_is_without_repetition_and_without_recursion() -> None:
    a, b = (Expr(OPS["param"], attr=name, type=()) for name in "ab")
    shared = a * b
    root = shared + shared * a
    order = topological([root])
    assert len(order) == len({id(e) for e in order}) == 5
    position = {id(e): k for k, e in enumerate(order)}
    assert all(position[id(arg)] < position[id(e)] for e in order for arg in e.args)
    deep = a
    for _ in range(50_000):
        deep = -deep * b
    assert len(topological([deep])) == 100_002
    assert topological([root], known={id(shared)}) == [a, root.args[1], root]
    assert topological([]) == []
