"""System: a checked circuit as one typed, flat graph, with its order of computation.

Shapes are the least fix-point of unknown < scalar < array through the recurrence (`shapes`). After
it one strict pass (`typed`) gives every node its type, makes implied steps explicit (a scalar that
stands for an array, a token that stands for its unit vector) and reports what does not fit.
`checks` looks at names, boundary equations and tokens.
"""

from graphgrad.system.build import system_of
from graphgrad.system.checks import unread_boundaries
from graphgrad.system.data import System
from graphgrad.system.shapes import infer_types, leaf_type, result_type

__all__ = [
    "System",
    "infer_types",
    "leaf_type",
    "result_type",
    "system_of",
    "unread_boundaries",
]
