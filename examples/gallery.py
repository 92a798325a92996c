"""Draw every cell of the gallery: circuit diagram, unfolded graph, and the gradient flowing back.

    python examples/gallery.py [FOLDER]

writes an SVG each, and an index.html that shows them, to FOLDER (out/gallery, if left out).
"""

import argparse
import warnings
from html import escape
from pathlib import Path

from rich.progress import track

import graphgrad as gg
import viz
from graphgrad.files import write_atomically

PAGE = """<!DOCTYPE html>
<html lang="en"><meta charset="utf-8"><title>The gallery of graphgrad</title>
<style>
body {{ font: 16px/1.5 Georgia, serif; max-width: 75rem; margin: 2rem auto; padding: 0 1rem }}
section {{ border-top: 1px solid #ccc; margin-top: 2rem }}
figure {{ display: inline-block; vertical-align: top; margin: 1rem 1.5rem 0 0; max-width: 100% }}
img {{ max-width: 100% }}
</style>
<h1>The gallery of graphgrad</h1>
{sections}
</html>
"""


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("folder", nargs="?", default="out/gallery", type=Path, metavar="FOLDER")
    folder = parser.parse_args().folder
    folder.mkdir(parents=True, exist_ok=True)
    sections = []
    drawn = 0
    for name in track(gg.cells.names(), description="drawing the gallery"):
        circuit = gg.cells.load(name)
        figures = []
        for kind, drawing in pictures(circuit).items():
            drawing.save(folder / f"{name}-{kind}.svg")
            caption = f"{kind} ({name})"
            figures.append(
                f'<figure><img src="{name}-{kind}.svg" alt="{escape(drawing.alt)}" loading="lazy">'
                f"<figcaption>{caption}</figcaption></figure>"
            )
            drawn += 1
        text = "\n".join(figures)
        sections.append(f'<section id="{name}"><h2>{escape(circuit.title)}</h2>\n{text}</section>')
    page = PAGE.format(sections="\n".join(sections))
    write_atomically(folder / "index.html", page.encode())
    print(f"{drawn} pictures of {len(sections)} cells: open {folder / 'index.html'}")


def pictures(circuit: gg.Circuit) -> dict[str, viz.Drawing]:
    """The drawings of one cell by their kinds; what has no loss has no gradient."""
    tau = dict.fromkeys(circuit.indices, 3)
    drawings = {"circuit": viz.circuit(circuit), "unfolded": viz.unfolded(circuit, tau)}
    if "loss" in circuit.equations:
        with warnings.catch_warnings():
            # Some parameters of a cell may not matter to its loss; here that is no surprise.
            warnings.simplefilter("ignore")
            drawings["backward"] = viz.backward(circuit, tau, derivatives=True)
    return drawings


if __name__ == "__main__":
    main()
