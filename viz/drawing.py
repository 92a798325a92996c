"""A finished picture in all its formats."""

from __future__ import annotations

import os
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Literal, cast, get_args

from graphgrad.files import write_atomically
from viz.engine import DrawingError, render
from viz.picture import Layout
from viz.render_dot import to_dot
from viz.render_svg import output_scale, to_svg
from viz.render_tikz import to_tikz
from viz.style import Style

Format = Literal["svg", "pdf", "png", "dot", "tex"]


@dataclass(frozen=True)
class Drawing:
    """A picture that can be shown in a notebook and saved.

    `alt` says in words what is to be seen, for screen readers. Equal drawings give equal bytes in
    every format.
    """

    layout: Layout
    alt: str = ""
    title: str = ""

    @classmethod
    def of(
        cls, layout: Layout, style: Style | None = None, alt: str = "", title: str = ""
    ) -> Drawing:
        """A drawing of a layout; `style`, if given, replaces colours and lines, not places."""
        if style is not None and style != layout.style:
            layout = replace(layout, style=style)
        return cls(layout, alt, title)

    @cached_property
    def svg(self) -> str:
        """The picture as an SVG document that brings its font with it."""
        return to_svg(self.layout, title=self.title, alt=self.alt)

    @cached_property
    def dot(self) -> str:
        """The DOT text, with every place given, that Graphviz draws for PNG and PDF."""
        return to_dot(self.layout, title=self.title)

    @cached_property
    def tex(self) -> str:
        """The picture as a LaTeX document with a TikZ picture."""
        return to_tikz(self.layout, title=self.title)

    def to_bytes(self, format: Format, *, dpi: float = 192.0, timeout: float = 60.0) -> bytes:
        """The picture in one of the formats; `dpi` and `timeout` (in seconds) are for PNG."""
        if format == "svg":
            return self.svg.encode()
        if format == "dot":
            return self.dot.encode()
        if format == "tex":
            return self.tex.encode()
        return render(self.dot, engine="nop2", format=format, dpi=dpi, timeout=timeout)

    def save(
        self, path: str | os.PathLike[str], *, dpi: float = 192.0, timeout: float = 60.0
    ) -> None:
        """Write the picture to a file, in the format that its ending names, all or nothing."""
        write_atomically(path, self.to_bytes(format_of(path), dpi=dpi, timeout=timeout))

    @property
    def size(self) -> tuple[float, float]:
        """Width and height in points, scaled down to the width of the page."""
        scale = output_scale(self.layout)
        return (self.layout.width * scale, self.layout.height * scale)

    def __repr__(self) -> str:
        width, height = self.size
        return f"<Drawing {self.title}: {width:.0f} × {height:.0f} points>"

    def _repr_svg_(self) -> str:
        return self.svg


def format_of(path: str | os.PathLike[str]) -> Format:
    """Return the format that the ending of a file's name stands for."""
    ending = Path(path).suffix.lower().removeprefix(".")
    if ending in get_args(Format):
        return cast("Format", ending)
    raise DrawingError(
        f"cannot save a picture as {ending!r}" if ending else "the file name has no ending",
        remedy="end the name in one of " + ", ".join(f".{f}" for f in get_args(Format)),
    )
