"""The order of one step: few crossings, rows that lines enter from the side are outermost."""

from __future__ import annotations

from viz.layering import layers_of
from viz.step import Link, Step, arrange

ROWS = dict.fromkeys(("x", "w", "a", "h"), (10.0, 10.0))
LAYERS = {"x": 0, "w": 0, "a": 1, "h": 2}


def placed(links: list[Link], **options: object) -> Step:
    return arrange(ROWS, LAYERS, links, top=2, node_gap=8.0, **options)  # type: ignore[arg-type]


def test_neighbours_keep_their_distance() -> None:
    step = placed([Link("x", "a", "0"), Link("w", "a", "0"), Link("a", "h", "0")])
    assert abs(step.x["x"] - step.x["w"]) >= 28.0
    assert step.x["a"] == step.x["h"]
    assert all(10.0 <= x <= step.width - 10.0 for x in step.x.values())


def test_rows_are_outermost_where_lines_reach_them() -> None:
    links = [Link("x", "a", "0"), Link("w", "a", "0"), Link("a", "h", "0")]
    for side, first in (("first", "x"), ("first", "w"), ("last", "x"), ("last", "w")):
        step = placed(links, **{side: [first]})
        other = "w" if first == "x" else "x"
        assert (step.x[first] < step.x[other]) == (side == "first")


def test_stacked_rows_stand_one_above_the_other() -> None:
    """What is stacked stands straight, whatever else has a line to it."""
    step = placed([Link("w", "a", "0")], stacked=["x", "a", "h"])
    assert step.x["x"] == step.x["a"] == step.x["h"] != step.x["w"]


def test_lines_from_the_side_cross_no_lanes_that_can_pass_behind() -> None:
    """Four parameters of h pass the layer of a; a line comes to a from one side."""
    links = [Link("x", "a", "0"), Link("w", "a", "0"), Link("a", "h", "0")]
    links += [Link(None, "h", name) for name in "pqrs"]
    for entered, outermost in ((-1, "first"), (1, "last")):
        step = placed(links, **{outermost: ["a"]}, entered={"a": entered})
        lanes = [lanes[-1] for link, lanes in step.lanes.items() if link.lower is None]
        assert len(lanes) == 4
        assert all((lane - step.x["a"]) * entered < 0 for lane in lanes)


def test_links_do_not_cross_where_they_need_not() -> None:
    rows = dict.fromkeys("abcdef", (10.0, 10.0))
    layers = {"a": 0, "b": 0, "c": 0, "d": 1, "e": 1, "f": 1}
    links = [Link("a", "f", "0"), Link("b", "d", "0"), Link("c", "e", "0")]
    step = arrange(rows, layers, links, top=1, node_gap=8.0)
    below = sorted("abc", key=lambda row: step.x[row])
    above = {"a": "f", "b": "d", "c": "e"}
    assert [above[row] for row in below] == sorted("def", key=lambda row: step.x[row])


def test_what_reads_no_input_stands_by_its_reader() -> None:
    """The product with a state of the second layer of a deep network, and the sum with its bias."""
    arcs = [
        ("x", "h1", 0), ("h1", "h1", 1), ("h1", "sum", 0), ("product", "biased", 0),
        ("biased", "sum", 0), ("sum", "h2", 0), ("h2", "product", 1),
    ]  # fmt: skip
    rows = ["x", "h1", "product", "biased", "sum", "h2"]
    layers = layers_of(rows, arcs, inputs={"x"})
    assert layers["sum"] - 1 == layers["biased"] == layers["product"] + 1 == layers["h1"]
    assert layers["x"] == 0


def test_inputs_can_have_a_layer_below_all() -> None:
    arcs = [("x", "product", 0), ("state", "sum", 0), ("product", "sum", 0)]
    rows = ["x", "product", "state", "sum"]
    apart = layers_of(rows, [*arcs, ("x", "sum", 0)], inputs={"x"}, lowest={"x"})
    assert apart["x"] == 0
    assert min(apart[row] for row in rows if row != "x") == 1
