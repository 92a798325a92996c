"""Draw the pictures that the README shows: `python tools/pictures.py`, or `make pictures`."""

from __future__ import annotations

from pathlib import Path

import graphgrad as gg
import viz
from viz.drawing import Drawing

FOLDER = Path(__file__).resolve().parent.parent / "docs" / "pictures"


def drawings() -> dict[str, Drawing]:
    """The pictures by the names of their files."""
    elman, lstm = gg.cells.load("elman"), gg.cells.load("lstm")
    return {
        "elman-circuit": viz.circuit(elman),
        "elman-unfolded": viz.unfolded(elman, 3),
        "elman-backward": viz.backward(elman, 3, derivatives=True),
        "elman-sensitivity": viz.sensitivity(
            elman, elman.init(0, D=3, K=2, H=4), elman.example(1, 5, D=3, K=2, H=4)
        ),
        "lstm-circuit": viz.circuit(lstm),
        "lstm-unfolded": viz.unfolded(
            lstm, 3, parameters="none", groups={"cell": ["c", "i", "f", "o", "g"]}
        ),
        "bidirectional": viz.unfolded(gg.cells.load("bidirectional"), 3),
        "encoder_decoder": viz.unfolded(gg.cells.load("encoder_decoder"), {"s": 3, "t": 3}),
    }


def main() -> None:
    FOLDER.mkdir(parents=True, exist_ok=True)
    for name, drawing in drawings().items():
        drawing.save(FOLDER / f"{name}.svg")
        print(FOLDER / f"{name}.svg")


if __name__ == "__main__":
    main()
