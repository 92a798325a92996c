"""Networks with gates as scenes: LSTM and GRU, also as operations and in groups."""

from __future__ import annotations

from dataclasses import replace

from tests.viz.scene_tables import Arrow, Builder, circuit
from viz.label import roman
from viz.scene import CircuitScene, Group, NodeKind, UnfoldedScene

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


def grouped() -> UnfoldedScene:
    """Frames with titles: the gates of an LSTM."""
    scene = lstm(many=False)
    group = Group("gates", roman("gates"), frozenset("ifgo"))
    return replace(scene, groups=(group,))


def grouped_circuit() -> CircuitScene:
    """The same in a circuit."""
    group = Group("gates", roman("gates"), frozenset("ifgo"))
    return replace(lstm_circuit(), groups=(group,))
