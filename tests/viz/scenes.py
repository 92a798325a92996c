"""All scenes for the tests of the drawing code, and those that are no textbook network."""

from __future__ import annotations

from collections.abc import Callable

from tests.viz.networks import (
    bidirectional,
    bidirectional_circuit,
    deep,
    deep_circuit,
    elman,
    elman_circuit,
    elman_labels,
    encoder_decoder,
    grouped,
    grouped_circuit,
    gru,
    gru_circuit,
    lstm,
    lstm_circuit,
    lstm_operations,
    lstm_operations_circuit,
    lstm_operations_table,
    output_recurrence,
    output_recurrence_circuit,
    single_output,
    skips,
    skips_circuit,
    taps,
    taps_circuit,
    teacher_forcing,
    two_step,
)
from tests.viz.scene_tables import Builder, circuit
from viz.label import roman, symbol
from viz.scene import CircuitScene, Edge, Node, NodeKind, Scene, Track, UnfoldedScene


def static_nodes() -> UnfoldedScene:
    """A parameter transformed once, a static input, a mean, a penalty and a sum of losses."""
    builder = Builder().track(
        {"x": "input", "h": "variable", "L": "loss"},
        [("x", "h", 0), ("h", "h", 1), ("h", "L", 0)],
        (1, 2, 3),
        boundaries=[("h", 0)],
        parameters={"W": "h", "P": "h", "s": "h"},
        sums={"total": "L", "mu": "h"},
    )
    for name, kind in (("A", "parameter"), ("penalty", "loss"), ("objective", "loss")):
        builder.nodes[name] = Node(name, symbol(name), kind)  # type: ignore[arg-type]
    for tail, head in (
        ("A", "P"),
        ("W", "penalty"),
        ("total", "objective"),
        ("penalty", "objective"),
        ("mu", "objective"),
    ):
        builder.edge(tail, head)
    return builder.scene()


def parameters_circuit() -> CircuitScene:
    """An Elman network at the level of operations, its parameters as nodes."""
    kinds: dict[str, NodeKind] = {
        "x": "input",
        "W": "parameter",
        "U": "parameter",
        "b": "parameter",
        "V": "parameter",
        "c": "parameter",
        "Wh": "operation",
        "Ux": "operation",
        "s": "operation",
        "a": "operation",
        "h": "variable",
        "Vh": "operation",
        "o": "output",
        "L": "loss",
        "y": "target",
    }
    symbols = {"Wh": "@", "Ux": "@", "s": "+", "a": "+", "Vh": "@"}
    return circuit(
        kinds,
        [
            ("W", "Wh", 0),
            ("h", "Wh", 1),
            ("U", "Ux", 0),
            ("x", "Ux", 0),
            ("Wh", "s", 0),
            ("Ux", "s", 0),
            ("b", "a", 0),
            ("s", "a", 0),
            ("a", "h", 0),
            ("V", "Vh", 0),
            ("h", "Vh", 0),
            ("Vh", "o", 0),
            ("c", "o", 0),
            ("o", "L", 0),
            ("y", "L", 0),
        ],
        symbols,
    )


def single_node() -> CircuitScene:
    """One node, no edges."""
    return circuit({"theta": "parameter"}, [])


def empty() -> CircuitScene:
    """Nothing at all."""
    return CircuitScene((), ())


def hostile() -> UnfoldedScene:
    """Texts that must be displayed, not obeyed."""
    texts = HOSTILE
    nodes = [
        Node(
            f"n{i}", roman(text), "variable", f"r{i}", 1, "t", tooltip=text, data=(("name", text),)
        )
        for i, text in enumerate(texts)
    ]
    nodes.append(Node('p"\\N<', roman("100% $x_1$ #&~^{}"), "parameter"))
    edges = [Edge(f'e{i}"]; x', f"n{i}", f"n{i + 1}", roman("<i>&amp;")) for i in range(3)]
    edges.append(Edge("last", 'p"\\N<', "n2", kind="parameter"))
    return UnfoldedScene((Track("t", (1,)),), tuple(nodes), tuple(edges))


HOSTILE = (
    'say "hi"',
    "back\\slash \\N \\G",
    "<b>bold</b>",
    "]]><script>alert(1)</script>",
    "&lt;&#65;",
    "100% {x}",
    "nul\0 new\nline",
    "\U0001f600 שלום",
    "javascript:alert(1)",
    "\ud800",
)


ALL: dict[str, Callable[[], Scene]] = {
    "elman_circuit": elman_circuit,
    "elman": elman,
    "elman_labels": elman_labels,
    "output_recurrence": output_recurrence,
    "output_recurrence_circuit": output_recurrence_circuit,
    "single_output": single_output,
    "lstm_circuit": lstm_circuit,
    "lstm": lstm,
    "lstm_operations": lstm_operations,
    "lstm_operations_circuit": lstm_operations_circuit,
    "bidirectional": bidirectional,
    "bidirectional_circuit": bidirectional_circuit,
    "encoder_decoder": encoder_decoder,
    "skips": skips,
    "skips_circuit": skips_circuit,
    "taps": taps,
    "taps_circuit": taps_circuit,
    "deep": deep,
    "deep_circuit": deep_circuit,
    "gru": gru,
    "gru_circuit": gru_circuit,
    "static_nodes": static_nodes,
    "parameters_circuit": parameters_circuit,
    "grouped": grouped,
    "grouped_circuit": grouped_circuit,
    "single_node": single_node,
    "empty": empty,
    "hostile": hostile,
    "two_step": two_step,
    "teacher_forcing": teacher_forcing,
}
ALL["elman_folded"] = lambda: elman((1, 2, 3, None, 9))


ALL["lstm_folded"] = lambda: lstm((1, 2, None, 9), many=False)


ALL["lstm_few"] = lambda: lstm(many=False)


ALL["bidirectional_folded"] = lambda: bidirectional((1, 2, None, 9))


ALL["skips_folded"] = lambda: skips((1, 2, 3, 4, None, 9))


ALL["elman_one"] = lambda: elman((1,))

__all__ = [
    "ALL",
    "HOSTILE",
    "bidirectional",
    "bidirectional_circuit",
    "deep",
    "deep_circuit",
    "elman",
    "elman_circuit",
    "elman_labels",
    "empty",
    "encoder_decoder",
    "grouped",
    "grouped_circuit",
    "gru",
    "gru_circuit",
    "hostile",
    "lstm",
    "lstm_circuit",
    "lstm_operations",
    "lstm_operations_circuit",
    "lstm_operations_table",
    "output_recurrence",
    "output_recurrence_circuit",
    "parameters_circuit",
    "single_node",
    "single_output",
    "skips",
    "skips_circuit",
    "static_nodes",
    "taps",
    "taps_circuit",
    "teacher_forcing",
    "two_step",
]
