"""Pictures of circuits, of their unfolded graphs and of the gradients that flow back in them."""

from viz.backward import backward
from viz.drawing import Drawing
from viz.report import report
from viz.views import circuit, unfolded

__all__ = ["Drawing", "backward", "circuit", "report", "unfolded"]
