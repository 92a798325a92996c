"""Scenes of textbook networks, built by hand, for the tests of the drawing code."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import replace

from viz.label import Label, roman, symbol
from viz.scene import (
    CircuitScene,
    Edge,
    Group,
    Node,
    NodeKind,
    Scene,
    Track,
    UnfoldedScene,
)

Rows = dict[str, tuple[NodeKind, str]]
Arrow = tuple[str, str, int]

KINDS: dict[str, NodeKind] = {"x": "input", "y": "target", "o": "output", "L": "loss"}


def circuit(
    kinds: dict[str, NodeKind],
    arrows: Iterable[tuple[str, str, int] | tuple[str, str, int, str]],
    symbols: dict[str, str] | None = None,
) -> CircuitScene:
    """A circuit from a table of nodes and arrows (tail, head, delay, parameter)."""
    nodes = tuple(
        Node(name, text(symbols, name), kind, tooltip=f"{name}[t]") for name, kind in kinds.items()
    )
    edges = []
    for number, (tail, head, delay, *parameter) in enumerate(arrows):
        label = symbol(parameter[0]) if parameter else None
        edges.append(Edge(f"e{number}", tail, head, label, delay))
    return CircuitScene(nodes, tuple(edges))


def text(symbols: dict[str, str] | None, name: str, sup: str = "") -> Label:
    """The label of a name; names in the table stand for an operation's sign."""
    if symbols and name in symbols:
        return roman(symbols[name])
    return symbol(name, sup=sup)


class Builder:
    """Unfolds a table of rows and arrows over the columns of one or more tracks."""

    def __init__(self) -> None:
        self.nodes: dict[str, Node] = {}
        self.edges: list[Edge] = []
        self.tracks: list[Track] = []

    def track(
        self,
        kinds: dict[str, NodeKind],
        arrows: Iterable[Arrow | tuple[str, str, int, str]],
        columns: tuple[int | None, ...],
        *,
        key: str = "t",
        symbols: dict[str, str] | None = None,
        boundaries: Iterable[tuple[str, int]] = (),
        parameters: dict[str, str] | None = None,
        sums: dict[str, str] | None = None,
        index: Callable[[int], str] = str,
        title: Label | None = None,
    ) -> Builder:
        """Add a track; `parameters` and `sums` name static nodes read by and reading rows."""
        self.tracks.append(Track(key, columns, title))
        times = [time for time in columns if time is not None]
        for time in times:
            for row, kind in kinds.items():
                label = text(symbols, row, f"({index(time)})")
                self.nodes[f"{row}.{time}"] = Node(
                    f"{row}.{time}", label, kind, row, time, key, tooltip=f"{row}[{time}]"
                )
        for row, time in boundaries:
            name = f"{row}.{time}"
            label = text(symbols, row, f"({index(time)})")
            self.nodes[name] = Node(name, label, "boundary", row, time, key)
        for tail, head, lag, *label_text in arrows:
            for time in sorted(self._times(key)):
                if time + lag in times:
                    self.edge(f"{tail}.{time}", f"{head}.{time + lag}", *label_text)
        for name, users in (parameters or {}).items():
            self.nodes.setdefault(name, Node(name, symbol(name), "parameter"))
            for row in users.split():
                for time in times:
                    self.edge(name, f"{row}.{time}", kind="parameter")
        for name, row in (sums or {}).items():
            self.nodes.setdefault(name, Node(name, symbol(name), "loss"))
            for time in times:
                self.edge(f"{row}.{time}", name)
        return self

    def _times(self, key: str) -> set[int]:
        nodes = self.nodes.values()
        return {n.time for n in nodes if n.track == key and n.time is not None}

    def edge(self, tail: str, head: str, label: str = "", kind: str = "forward") -> None:
        """An edge if both ends are in the picture."""
        if tail in self.nodes and head in self.nodes:
            self.edges.append(
                Edge(f"e{len(self.edges)}", tail, head, symbol(label) if label else None, kind=kind)  # type: ignore[arg-type]
            )

    def scene(self) -> UnfoldedScene:
        """The scene."""
        return UnfoldedScene(tuple(self.tracks), tuple(self.nodes.values()), tuple(self.edges))


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


LSTM: dict[str, NodeKind] = {
    "x": "input",
    "i": "variable",
    "f": "variable",
    "g": "variable",
    "o": "variable",
    "c": "variable",
    "h": "variable",
}
LSTM_ARROWS: list[Arrow] = (
    [("x", gate, 0) for gate in "ifgo"]
    + [("h", gate, 1) for gate in "ifgo"]
    + [("c", "c", 1), ("f", "c", 0), ("i", "c", 0), ("g", "c", 0), ("c", "h", 0), ("o", "h", 0)]
)
LSTM_PARAMETERS = {f"{m}_{gate}": gate for gate in "ifgo" for m in "WUb"}


def lstm_circuit() -> CircuitScene:
    """An LSTM at the level of variables."""
    return circuit(LSTM, LSTM_ARROWS)


def lstm(columns: tuple[int | None, ...] = (1, 2, 3), *, many: bool = True) -> UnfoldedScene:
    """The LSTM unfolded, with twelve parameters or with three."""
    few = {"W": "i f g o", "U": "i f g o", "b": "i f g o"}
    return (
        Builder()
        .track(
            LSTM,
            LSTM_ARROWS,
            columns,
            boundaries=[("h", 0), ("c", 0)],
            parameters=LSTM_PARAMETERS if many else few,
        )
        .scene()
    )


def lstm_operations_table() -> tuple[dict[str, NodeKind], list[Arrow], dict[str, str]]:
    """The LSTM with a node for every primitive operation."""
    kinds: dict[str, NodeKind] = {"x": "input"}
    arrows: list[Arrow] = []
    symbols: dict[str, str] = {}

    def operation(name: str, sign: str, *reads: tuple[str, int]) -> None:
        kinds[name] = "operation"
        symbols[name] = sign
        arrows.extend((read, name, lag) for read, lag in reads)

    for gate in "ifgo":
        operation(f"W{gate}", "@", ("h", 1))
        operation(f"U{gate}", "@", ("x", 0))
        operation(f"s{gate}", "+", (f"W{gate}", 0), (f"U{gate}", 0))
        operation(f"a{gate}", "+", (f"s{gate}", 0))
        kinds[gate] = "variable"
        arrows.append((f"a{gate}", gate, 0))
    operation("fc", "⊙", ("f", 0), ("c", 1))
    operation("ig", "⊙", ("i", 0), ("g", 0))
    kinds["c"] = "variable"
    arrows += [("fc", "c", 0), ("ig", "c", 0)]
    operation("tc", "tanh", ("c", 0))
    kinds["h"] = "variable"
    arrows += [("o", "h", 0), ("tc", "h", 0)]
    return kinds, arrows, symbols


def lstm_operations(columns: tuple[int | None, ...] = (1, 2, 3)) -> UnfoldedScene:
    """It, unfolded, with the twelve parameters."""
    kinds, arrows, symbols = lstm_operations_table()
    parameters: dict[str, str] = {}
    for gate in "ifgo":
        parameters |= {f"W_{gate}": f"W{gate}", f"U_{gate}": f"U{gate}", f"b_{gate}": f"a{gate}"}
    return (
        Builder()
        .track(
            kinds,
            arrows,
            columns,
            symbols=symbols,
            boundaries=[("h", 0), ("c", 0)],
            parameters=parameters,
        )
        .scene()
    )


def lstm_operations_circuit() -> CircuitScene:
    """Its circuit."""
    kinds, arrows, symbols = lstm_operations_table()
    return circuit(kinds, arrows, symbols)


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


def gru_circuit() -> CircuitScene:
    """A gated recurrent unit."""
    return circuit(GRU, GRU_ARROWS)


GRU: dict[str, NodeKind] = {
    "x": "input",
    "z": "variable",
    "r": "variable",
    "htilde": "variable",
    "h": "variable",
}
GRU_ARROWS: list[Arrow] = [
    ("x", "z", 0),
    ("x", "r", 0),
    ("x", "htilde", 0),
    ("h", "z", 1),
    ("h", "r", 1),
    ("h", "htilde", 1),
    ("r", "htilde", 0),
    ("z", "h", 0),
    ("htilde", "h", 0),
    ("h", "h", 1),
]


def gru(columns: tuple[int | None, ...] = (1, 2, 3)) -> UnfoldedScene:
    """It, unfolded."""
    return Builder().track(GRU, GRU_ARROWS, columns, boundaries=[("h", 0)]).scene()


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


def grouped() -> UnfoldedScene:
    """Frames with titles: the gates of an LSTM."""
    scene = lstm(many=False)
    group = Group("gates", roman("gates"), frozenset("ifgo"))
    return replace(scene, groups=(group,))


def grouped_circuit() -> CircuitScene:
    """The same in a circuit."""
    group = Group("gates", roman("gates"), frozenset("ifgo"))
    return replace(lstm_circuit(), groups=(group,))


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
    maker.__name__: maker
    for maker in (
        elman_circuit,
        elman,
        elman_labels,
        output_recurrence,
        output_recurrence_circuit,
        single_output,
        lstm_circuit,
        lstm,
        lstm_operations,
        lstm_operations_circuit,
        bidirectional,
        bidirectional_circuit,
        encoder_decoder,
        skips,
        skips_circuit,
        taps,
        taps_circuit,
        deep,
        deep_circuit,
        gru,
        gru_circuit,
        static_nodes,
        parameters_circuit,
        grouped,
        grouped_circuit,
        single_node,
        empty,
        hostile,
        two_step,
        teacher_forcing,
    )
}
ALL["elman_folded"] = lambda: elman((1, 2, 3, None, 9))
ALL["lstm_folded"] = lambda: lstm((1, 2, None, 9), many=False)
ALL["lstm_few"] = lambda: lstm(many=False)
ALL["bidirectional_folded"] = lambda: bidirectional((1, 2, None, 9))
ALL["skips_folded"] = lambda: skips((1, 2, 3, 4, None, 9))
ALL["elman_one"] = lambda: elman((1,))
