"""A matplotlib figure that a notebook shows by itself, whether or not pyplot is used there."""

from __future__ import annotations

import io

from matplotlib.figure import Figure


class Plot(Figure):
    """A figure with a picture of its own for notebooks: IPython knows those of pyplot only."""

    def _repr_png_(self) -> bytes:
        picture = io.BytesIO()
        self.savefig(picture, format="png")
        return picture.getvalue()
