"""Pictures of circuits, of their unfolded graphs and of the gradients that flow back in them."""

from viz.backward import backward
from viz.drawing import Drawing
from viz.flow import gradient_flow, saturation
from viz.report import report
from viz.shading import sensitivity
from viz.views import circuit, unfolded

__all__ = [
    "Drawing",
    "backward",
    "circuit",
    "gradient_flow",
    "report",
    "saturation",
    "sensitivity",
    "unfolded",
]
