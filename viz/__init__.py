"""Pictures of circuits and of their unfolded graphs."""

from viz.drawing import Drawing
from viz.views import circuit, unfolded

__all__ = ["Drawing", "circuit", "unfolded"]
