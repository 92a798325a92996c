"""Textbook networks as scenes: each is one table, drawn as a circuit and unfolded."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from tests.viz.scene_tables import Arrow, Builder, circuit
from viz.label import roman, symbol
from viz.scene import CircuitScene, Group, Node, NodeKind, UnfoldedScene

Columns = tuple[int | None, ...]


@dataclass(frozen=True)
class Network:
    """A table of rows and of arrows (tail, head, delay, parameter).

    Unfolded, the parameters stand beside the arrows, unless they are given as nodes: the name of
    each, and the rows that read it.
    """

    kinds: dict[str, NodeKind]
    arrows: list[Arrow | tuple[str, str, int, str]]
    parameters: dict[str, str] = field(default_factory=dict)
    boundaries: tuple[tuple[str, int], ...] = ()
    sums: dict[str, str] = field(default_factory=dict)
    symbols: dict[str, str] | None = None
    columns: Columns = (1, 2, 3)

    def circuit(self) -> CircuitScene:
        """One node a row."""
        return circuit(self.kinds, self.arrows, self.symbols)

    def builder(self, columns: Columns | None = None) -> Builder:
        """One node a row and step, to which more can be added."""
        arrows = [arrow[:3] for arrow in self.arrows] if self.parameters else self.arrows
        return Builder().track(
            self.kinds,
            arrows,
            columns or self.columns,
            symbols=self.symbols,
            boundaries=self.boundaries,
            parameters=self.parameters,
            sums=self.sums,
        )

    def unfolded(self, columns: Columns | None = None) -> UnfoldedScene:
        """One node a row and step."""
        return self.builder(columns).scene()


def kinds_of(variables: str, **others: NodeKind) -> dict[str, NodeKind]:
    """Rows of an input x and of variables, and others."""
    inner: Mapping[str, NodeKind] = dict.fromkeys(variables.split(), "variable")
    return {"x": "input", **inner, **others}


def readers(table: str) -> dict[str, str]:
    """The row that reads each parameter: "U:h V:o" says that h reads U, and o reads V."""
    return dict(pair.split(":") for pair in table.split())


# Without gates.

OUTPUT: dict[str, NodeKind] = {"o": "output", "L": "loss", "y": "target"}
COMPARED: list[Arrow | tuple[str, str, int, str]] = [("o", "L", 0), ("y", "L", 0)]
HIDDEN = kinds_of("h", **OUTPUT)

ELMAN = Network(
    HIDDEN,
    [("x", "h", 0, "U"), ("h", "h", 1, "W"), ("h", "o", 0, "V"), *COMPARED],
    readers("U:h W:h b:h V:o c:o"),
    (("h", 0),),
    {"loss": "L"},
)
"""Goodfellow's figure 10.3."""
OUTPUT_RECURRENCE = Network(
    HIDDEN, [("x", "h", 0, "U"), ("o", "h", 1, "W"), ("h", "o", 0, "V"), *COMPARED]
)
"""Goodfellow's figure 10.4: the output feeds the next hidden state."""
TEACHER_FORCING = Network(
    HIDDEN, [("x", "h", 0, "U"), ("y", "h", 1, "W"), ("h", "o", 0, "V"), *COMPARED]
)
"""Goodfellow's figure 10.6: the target of one step is read in the next."""
CHAIN = Network(kinds_of("h"), [("x", "h", 0), ("h", "h", 1)], readers("U:h W:h b:h"), (("h", 0),))
BIDIRECTIONAL = Network(
    kinds_of("h g", **OUTPUT),
    [
        ("x", "h", 0),
        ("x", "g", 0),
        ("h", "h", 1),
        ("g", "g", -1),
        ("h", "o", 0),
        ("g", "o", 0),
        *COMPARED,
    ],
    readers("W:h R:g V:o"),
)
"""Goodfellow's figure 10.11: a delay on one chain, an advance on the other."""
SKIPS = Network(
    kinds_of("h", o="output"),
    [("x", "h", 0, "U"), ("h", "h", 1, "W"), ("h", "h", 3, "S"), ("h", "o", 0)],
    readers("W:h S:h"),
    (("h", 0), ("h", -1), ("h", -2)),
    columns=(1, 2, 3, 4, 5, 6),
)
"""A state reads itself one and three steps back."""
TAPS = Network(
    kinds_of("h", o="output"),
    [("x", "h", 0, "A"), ("x", "h", 1, "B"), ("x", "h", 2, "C"), ("h", "o", 0)],
    readers("W:h"),
    columns=(1, 2, 3, 4),
)
"""A memoryless model with delay taps."""
DEEP = Network(
    kinds_of("h1 h2 h3", o="output"),
    [
        ("x", "h1", 0),
        ("h1", "h2", 0),
        ("h2", "h3", 0),
        ("h3", "o", 0),
        ("h1", "h1", 1),
        ("h2", "h2", 1),
        ("h3", "h3", 1),
    ],
    readers("W_1:h1 U_1:h1 W_2:h2 W_3:h3 V:o"),
    (("h1", 0), ("h2", 0), ("h3", 0)),
)
"""Three recurrent layers."""
TWO_STEP = Network(
    kinds_of("z h", yhat="output", L="loss", y="target"),
    [
        ("x", "z", 0),
        ("h", "z", 1),
        ("z", "h", 0),
        ("h", "yhat", 0),
        ("yhat", "L", 0),
        ("y", "L", 0),
    ],
    readers("W:z U:z b:z V:yhat c:yhat"),
    (("h", 0),),
    {"loss": "L"},
    columns=(1, 2),
)
"""The two-step scalar network with half the squared error."""

elman, elman_circuit = ELMAN.unfolded, ELMAN.circuit
output_recurrence = OUTPUT_RECURRENCE.unfolded
output_recurrence_circuit = OUTPUT_RECURRENCE.circuit
teacher_forcing = TEACHER_FORCING.unfolded
bidirectional_circuit = BIDIRECTIONAL.circuit
skips, skips_circuit = SKIPS.unfolded, SKIPS.circuit
taps, taps_circuit = TAPS.unfolded, TAPS.circuit
deep, deep_circuit = DEEP.unfolded, DEEP.circuit
two_step = TWO_STEP.unfolded


def elman_labels() -> UnfoldedScene:
    """Elman's with the parameters repeated on the edges, open at both ends."""
    names = {1: "t-1", 2: "t", 3: "t+1"}
    columns = (None, 1, 2, 3, None)
    return Builder().track(HIDDEN, ELMAN.arrows, columns, index=names.__getitem__).scene()


def bidirectional(columns: Columns = (1, 2, 3)) -> UnfoldedScene:
    """The backward chain starts after the last column."""
    last = max(time for time in columns if time is not None)
    return replace(BIDIRECTIONAL, boundaries=(("h", 0), ("g", last + 1))).unfolded(columns)


def single_output(columns: Columns = (1, 2, 3)) -> UnfoldedScene:
    """Goodfellow's figure 10.5: one output at the end."""
    builder = CHAIN.builder(columns)
    for name, kind in (*OUTPUT.items(), ("V", "parameter")):
        builder.nodes[name] = Node(name, symbol(name), kind)  # type: ignore[arg-type]
    builder.edge(f"h.{columns[-1]}", "o")
    builder.edge("V", "o", kind="parameter")
    builder.edge("o", "L")
    builder.edge("y", "L")
    return builder.scene()


def encoder_decoder() -> UnfoldedScene:
    """Goodfellow's figure 10.12."""
    builder = Builder().track(
        CHAIN.kinds,
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


# With gates.

GATES = "ifgo"
LSTM = Network(
    kinds_of("i f g o c h"),
    [
        *(("x", gate, 0) for gate in GATES),
        *(("h", gate, 1) for gate in GATES),
        ("c", "c", 1),
        ("f", "c", 0),
        ("i", "c", 0),
        ("g", "c", 0),
        ("c", "h", 0),
        ("o", "h", 0),
    ],
    {f"{matrix}_{gate}": gate for gate in GATES for matrix in "WUb"},
    (("h", 0), ("c", 0)),
)
GRU = Network(
    kinds_of("z r htilde h"),
    [
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
    ],
    boundaries=(("h", 0),),
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

    for gate in GATES:
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


def _lstm_operations() -> Network:
    kinds, arrows, symbols = lstm_operations_table()
    parameters: dict[str, str] = {}
    for gate in GATES:
        parameters |= {f"W_{gate}": f"W{gate}", f"U_{gate}": f"U{gate}", f"b_{gate}": f"a{gate}"}
    return Network(kinds, [*arrows], parameters, LSTM.boundaries, symbols=symbols)


LSTM_OPERATIONS = _lstm_operations()

lstm_circuit = LSTM.circuit
lstm_operations, lstm_operations_circuit = LSTM_OPERATIONS.unfolded, LSTM_OPERATIONS.circuit
gru, gru_circuit = GRU.unfolded, GRU.circuit


def lstm(columns: Columns = (1, 2, 3), *, many: bool = True) -> UnfoldedScene:
    """The LSTM unfolded, with twelve parameters or with three."""
    few = dict.fromkeys("WUb", " ".join(GATES))
    return (LSTM if many else replace(LSTM, parameters=few)).unfolded(columns)


def grouped() -> UnfoldedScene:
    """A frame with a title: the gates of an LSTM."""
    return replace(lstm(many=False), groups=(_gates(),))


def grouped_circuit() -> CircuitScene:
    """The same in a circuit."""
    return replace(lstm_circuit(), groups=(_gates(),))


def _gates() -> Group:
    return Group("gates", roman("gates"), frozenset(GATES))
