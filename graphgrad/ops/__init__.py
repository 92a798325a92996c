"""The table of primitives: one entry an op, in modules by theme.

Importing this package fills `OPS`. `FUNCTIONS` are those with a name in the notation.
"""

from graphgrad.ir import OPS, Op
from graphgrad.ops import elementwise, leaves, linear, reductions

FUNCTIONS: dict[str, Op] = {
    name: OPS[name]
    for name in (
        *("tanh", "sigmoid", "relu", "exp", "log", "sqrt", "sin", "cos", "abs", "softplus"),
        *("maximum", "minimum", "stop_gradient", "softmax", "log_softmax", "logsumexp"),
        *("cross_entropy", "softmax_cross_entropy", "sigmoid_binary_cross_entropy"),
        *("squared_error", "hinge", "outer", "concat"),
    )
}
LOSSES = frozenset(
    name for name in FUNCTIONS if "cross_entropy" in name or name in ("squared_error", "hinge")
)

__all__ = ["FUNCTIONS", "LOSSES", "OPS", "elementwise", "leaves", "linear", "reductions"]
