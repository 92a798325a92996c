"""Pictures of circuits and of their unfolded graphs."""

from viz.drawing import Drawing
from viz.report import report
from viz.views import circuit, unfolded

__all__ = ["Drawing", "circuit", "report", "unfolded"]
