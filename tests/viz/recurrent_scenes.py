"""Textbook networks without gates as scenes: chains, both directions, skips, layers, pairs."""

from __future__ import annotations

from tests.viz.scene_tables import Arrow, Builder, circuit
from viz.label import roman, symbol
from viz.scene import CircuitScene, Node, NodeKind, UnfoldedScene

ELMAN: dict[str, NodeKind] = {
    "x": "input",
    "h": "variable",
    "o": "output",
    "L": "loss",
    "y": "target",
}


def elman_circuit() -> CircuitScene:
    """Goodfellow's figure 10.3, left."""
    return circuit(
        ELMAN,
        [
            ("x", "h", 0, "U"),
            ("h", "h", 1, "W"),
            ("h", "o", 0, "V"),
            ("o", "L", 0),
            ("y", "L", 0),
        ],
    )


ELMAN_ARROWS: list[Arrow] = [
    ("x", "h", 0),
    ("h", "h", 1),
    ("h", "o", 0),
    ("o", "L", 0),
    ("y", "L", 0),
]


ELMAN_PARAMETERS = {"U": "h", "W": "h", "b": "h", "V": "o", "c": "o"}


def elman(columns: tuple[int | None, ...] = (1, 2, 3)) -> UnfoldedScene:
    """Goodfellow's figure 10.3, right, with its parameters as shared nodes."""
    return (
        Builder()
        .track(
            ELMAN,
            ELMAN_ARROWS,
            columns,
            boundaries=[("h", 0)],
            parameters=ELMAN_PARAMETERS,
            sums={"loss": "L"},
        )
        .scene()
    )


def elman_labels() -> UnfoldedScene:
    """The same with the parameters repeated on the edges, open at both ends."""
    arrows = [
        ("x", "h", 0, "U"),
        ("h", "h", 1, "W"),
        ("h", "o", 0, "V"),
        ("o", "L", 0),
        ("y", "L", 0),
    ]
    names = {1: "t-1", 2: "t", 3: "t+1"}
    return (
        Builder()
        .track(
            ELMAN,
            arrows,
            (None, 1, 2, 3, None),
            index=names.__getitem__,  # type: ignore[arg-type]
        )
        .scene()
    )


def output_recurrence() -> UnfoldedScene:
    """Goodfellow's figure 10.4: the output feeds the next hidden state."""
    arrows = [
        ("x", "h", 0, "U"),
        ("o", "h", 1, "W"),
        ("h", "o", 0, "V"),
        ("o", "L", 0),
        ("y", "L", 0),
    ]
    return Builder().track(ELMAN, arrows, (1, 2, 3)).scene()  # type: ignore[arg-type]


def output_recurrence_circuit() -> CircuitScene:
    """Its circuit."""
    return circuit(
        ELMAN,
        [
            ("x", "h", 0, "U"),
            ("o", "h", 1, "W"),
            ("h", "o", 0, "V"),
            ("o", "L", 0),
            ("y", "L", 0),
        ],
    )


def single_output(columns: tuple[int | None, ...] = (1, 2, 3)) -> UnfoldedScene:
    """Goodfellow's figure 10.5: one output at the end."""
    builder = Builder().track(
        {"x": "input", "h": "variable"},
        [("x", "h", 0), ("h", "h", 1)],
        columns,
        boundaries=[("h", 0)],
        parameters={"U": "h", "W": "h", "b": "h"},
    )
    last = columns[-1]
    for name, kind in (("o", "output"), ("L", "loss"), ("y", "target"), ("V", "parameter")):
        builder.nodes[name] = Node(name, symbol(name), kind)  # type: ignore[arg-type]
    builder.edge(f"h.{last}", "o")
    builder.edge("V", "o", kind="parameter")
    builder.edge("o", "L")
    builder.edge("y", "L")
    return builder.scene()


BIDIRECTIONAL: dict[str, NodeKind] = {
    "x": "input",
    "h": "variable",
    "g": "variable",
    "o": "output",
    "L": "loss",
    "y": "target",
}


BIDIRECTIONAL_ARROWS: list[Arrow] = [
    ("x", "h", 0),
    ("x", "g", 0),
    ("h", "h", 1),
    ("g", "g", -1),
    ("h", "o", 0),
    ("g", "o", 0),
    ("o", "L", 0),
    ("y", "L", 0),
]


def bidirectional(columns: tuple[int | None, ...] = (1, 2, 3)) -> UnfoldedScene:
    """Goodfellow's figure 10.11."""
    last = max(time for time in columns if time is not None)
    return (
        Builder()
        .track(
            BIDIRECTIONAL,
            BIDIRECTIONAL_ARROWS,
            columns,
            boundaries=[("h", 0), ("g", last + 1)],
            parameters={"W": "h", "R": "g", "V": "o"},
        )
        .scene()
    )


def bidirectional_circuit() -> CircuitScene:
    """Its circuit: a delay on one chain, an advance on the other."""
    return circuit(BIDIRECTIONAL, BIDIRECTIONAL_ARROWS)


def encoder_decoder() -> UnfoldedScene:
    """Goodfellow's figure 10.12."""
    builder = Builder().track(
        {"x": "input", "h": "variable"},
        [("x", "h", 0), ("h", "h", 1)],
        (1, 2, 3),
        key="s",
        boundaries=[("h", 0)],
        parameters={"W": "h", "U": "h"},
        title=roman("encoder"),
    )
    builder.track(
        {"g": "variable", "yhat": "output", "L": "loss", "y": "target"},
        [("g", "g", 1), ("g", "yhat", 0), ("yhat", "L", 0), ("y", "L", 0), ("y", "g", 1)],
        (1, 2, 3, 4),
        key="t",
        boundaries=[("g", 0)],
        parameters={"R": "g", "S": "g", "V": "yhat"},
        sums={"loss": "L"},
        title=roman("decoder"),
    )
    builder.nodes["C"] = Node("C", symbol("C"), "variable")
    builder.nodes["Q"] = Node("Q", symbol("Q"), "parameter")
    builder.edge("h.3", "C")
    builder.edge("C", "g.0")
    builder.edge("Q", "g.0", kind="parameter")
    for time in (1, 2, 3, 4):
        builder.edge("C", f"g.{time}")
    return builder.scene()


def skips(columns: tuple[int | None, ...] = (1, 2, 3, 4, 5, 6)) -> UnfoldedScene:
    """Skip connections: a state reads itself one and three steps back."""
    return (
        Builder()
        .track(
            {"x": "input", "h": "variable", "o": "output"},
            [("x", "h", 0), ("h", "h", 1), ("h", "h", 3), ("h", "o", 0)],
            columns,
            boundaries=[("h", 0), ("h", -1), ("h", -2)],
            parameters={"W": "h", "S": "h"},
        )
        .scene()
    )


def skips_circuit() -> CircuitScene:
    """Its circuit, with 3 beside a square."""
    return circuit(
        {"x": "input", "h": "variable", "o": "output"},
        [
            ("x", "h", 0, "U"),
            ("h", "h", 1, "W"),
            ("h", "h", 3, "S"),
            ("h", "o", 0),
        ],
    )


def taps() -> UnfoldedScene:
    """A memoryless model with delay taps."""
    return (
        Builder()
        .track(
            {"x": "input", "h": "variable", "o": "output"},
            [("x", "h", 0), ("x", "h", 1), ("x", "h", 2), ("h", "o", 0)],
            (1, 2, 3, 4),
            parameters={"W": "h"},
        )
        .scene()
    )


def taps_circuit() -> CircuitScene:
    """Its circuit."""
    return circuit(
        {"x": "input", "h": "variable", "o": "output"},
        [
            ("x", "h", 0, "A"),
            ("x", "h", 1, "B"),
            ("x", "h", 2, "C"),
            ("h", "o", 0),
        ],
    )


DEEP: dict[str, NodeKind] = {
    "x": "input",
    "h1": "variable",
    "h2": "variable",
    "h3": "variable",
    "o": "output",
}


DEEP_ARROWS: list[Arrow] = [
    ("x", "h1", 0),
    ("h1", "h2", 0),
    ("h2", "h3", 0),
    ("h3", "o", 0),
    ("h1", "h1", 1),
    ("h2", "h2", 1),
    ("h3", "h3", 1),
]


def deep(columns: tuple[int | None, ...] = (1, 2, 3)) -> UnfoldedScene:
    """Three recurrent layers."""
    return (
        Builder()
        .track(
            DEEP,
            DEEP_ARROWS,
            columns,
            boundaries=[("h1", 0), ("h2", 0), ("h3", 0)],
            parameters={"W_1": "h1", "U_1": "h1", "W_2": "h2", "W_3": "h3", "V": "o"},
        )
        .scene()
    )


def deep_circuit() -> CircuitScene:
    """Its circuit."""
    return circuit(DEEP, DEEP_ARROWS)


def two_step() -> UnfoldedScene:
    """The two-step scalar network with half the squared error."""
    return (
        Builder()
        .track(
            {
                "x": "input",
                "z": "variable",
                "h": "variable",
                "yhat": "output",
                "L": "loss",
                "y": "target",
            },
            [
                ("x", "z", 0),
                ("h", "z", 1),
                ("z", "h", 0),
                ("h", "yhat", 0),
                ("yhat", "L", 0),
                ("y", "L", 0),
            ],
            (1, 2),
            boundaries=[("h", 0)],
            parameters={"W": "z", "U": "z", "b": "z", "V": "yhat", "c": "yhat"},
            sums={"loss": "L"},
        )
        .scene()
    )


def teacher_forcing() -> UnfoldedScene:
    """Goodfellow's figure 10.6: the target of one step is read in the next."""
    arrows = [
        ("x", "h", 0, "U"),
        ("y", "h", 1, "W"),
        ("h", "o", 0, "V"),
        ("o", "L", 0),
        ("y", "L", 0),
    ]
    return Builder().track(ELMAN, arrows, (1, 2, 3)).scene()  # type: ignore[arg-type]
