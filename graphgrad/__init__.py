"""graphgrad: recurrences as circuits — unfolded, differentiated, proved, drawn and compiled."""

from graphgrad import cells
from graphgrad.circuit import (
    Circuit,
    at,
    choose,
    index,
    max,  # noqa: A004
    mean,
    onehot,
    ones,
    split,
    steps,
    sum,  # noqa: A004
    t,
    tau,
    where,
    zeros,
)
from graphgrad.doors import door
from graphgrad.errors import (
    BoundaryError,
    CausalityError,
    DataError,
    DomainError,
    FileError,
    GradientError,
    GraphgradError,
    NameClashError,
    NotationError,
    ShapeError,
    UnknownNameError,
)
from graphgrad.ops import FUNCTIONS, OPS

__version__ = "0.1.0"
