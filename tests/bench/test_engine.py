"""How long Graphviz takes: a start, a picture from a warm worker, a long picture with positions."""

from __future__ import annotations

import pytest

from viz import engine

PICTURE = 'digraph { node [fontname="graphgrad"] x -> h; h -> h; h -> o; o -> L; y -> L }'


def chain(steps: int) -> str:
    """Columns of five nodes, every position and curve given."""
    lines = ["digraph { graph [margin=0 pad=0] node [width=0.5 height=0.5 fixedsize=true]"]
    for t in range(steps):
        for row in range(5):
            lines.append(f'n{t}_{row} [label=<<I>h</I>> pos="{60 * t},{50 * row}"]')
            if row:
                x, y = 60 * t, 50 * row
                curve = f"e,{x},{y - 18} {x},{y - 32} {x},{y - 30} {x},{y - 25} {x},{y - 22}"
                lines.append(f'n{t}_{row - 1} -> n{t}_{row} [pos="{curve}"]')
    return "\n".join([*lines, "}"])


def test_start(benchmark):
    def cold() -> None:
        engine._stop_workers()
        engine.render(PICTURE)

    benchmark.pedantic(cold, rounds=5)


@pytest.mark.parametrize("form", ["svg", "png", "pdf"])
def test_warm_picture(benchmark, form):
    benchmark(engine.render, PICTURE, format=form)


@pytest.mark.parametrize("steps", [10, 100])
def test_positions_given(benchmark, steps):
    benchmark.pedantic(
        engine.render, (chain(steps),), {"engine": "nop2", "format": "svg"}, rounds=5
    )
