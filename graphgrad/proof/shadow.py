"""Bounds of every op's value and of its derivative, for the error of a probabilistic proof."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from fractions import Fraction
from math import log2, prod
from typing import Any

from graphgrad.dims import Token, concrete
from graphgrad.ir import OPS, Type
from graphgrad.proof.degrees import ONE, ZERO, Bounds, Shadow
from graphgrad.proof.poly import UndecidableError
from graphgrad.unfold import Dag

Pair = tuple[Shadow, Shadow]
"""Bounds of a value and of its derivative in a direction."""


class Shadows:
    """Bounds for all nodes, one after the other."""

    def __init__(self, dag: Dag) -> None:
        self.dag = dag
        self.bounds = Bounds()
        self.shapes = [self._shape(template.type) for template in dag.templates]

    def _shape(self, kind: Type) -> tuple[int, ...]:
        dims = (kind.size,) if isinstance(kind, Token) else kind
        return concrete(dims, self.dag.sizes)

    def leaf(self, node: int, *, varies: bool) -> Pair:
        """Return the bounds of a leaf; `varies` says whether the direction moves it."""
        op, attr, _ = self.dag.templates[int(self.dag.kinds[node])]
        if op.name in ("param", "input"):
            entries = 1 + prod(self._shape_of(node))
            return Shadow(1, log2(entries)), Shadow(1) if varies else ZERO
        if op.name == "const":
            if isinstance(attr, int) and attr == 0:
                return ZERO, ZERO
            return Shadow(0, _bits(attr)), ZERO
        if op.name == "fill":
            return (ONE if attr.value else ZERO), ZERO
        return Shadow(0, 64.0), ZERO  # counters, sizes, unit vectors

    def _shape_of(self, node: int) -> tuple[int, ...]:
        return self.shapes[int(self.dag.kinds[node])]

    def node(self, node: int, pairs: Sequence[Pair], operands: Sequence[int]) -> Pair:
        """Return the bounds of an op applied to operands."""
        op, attr, _ = self.dag.templates[int(self.dag.kinds[node])]
        rule = RULES.get(op.name)
        if rule is None:
            raise UndecidableError(f"no bound of degrees is known for {op.name}")
        shapes = [self._shape_of(each) for each in operands]
        out = prod(self._shape_of(node))
        if op.name == "pow":
            exponent = self.dag.templates[int(self.dag.kinds[operands[1]])]
            number = Fraction(str(exponent.attr)) if exponent.op is OPS["const"] else Fraction(1, 2)
            if number.denominator == 1 and abs(number) <= 64:
                return _whole_power(self.bounds, int(number), out, pairs[0])
        return rule(self.bounds, attr, out, shapes, *pairs)


def _bits(number: Any) -> float:
    fraction = Fraction(str(number))
    return log2(max(1, abs(fraction.numerator))) + log2(fraction.denominator)


def _sum(b: Bounds, attr: Any, out: int, shapes: Any, *pairs: Pair) -> Pair:
    return b.sum(v for v, _ in pairs), b.sum(t for _, t in pairs)


def _same(b: Bounds, attr: Any, out: int, shapes: Any, *pairs: Pair) -> Pair:
    return _sum(b, attr, out, shapes, *pairs)


def _product(b: Bounds, u: Pair, v: Pair, count: int = 1) -> Pair:
    value = b.sum([b.product(u[0], v[0])], count)
    tangent = b.sum([b.product(u[0], v[1]), b.product(u[1], v[0])], count)
    return value, tangent


def _mul(b: Bounds, attr: Any, out: int, shapes: Any, u: Pair, v: Pair) -> Pair:
    return _product(b, u, v)


def _matmul(b: Bounds, attr: Any, out: int, shapes: Any, u: Pair, v: Pair) -> Pair:
    return _product(b, u, v, shapes[0][-1])


def _inverse(b: Bounds, u: Pair, entries: int) -> Pair:
    value = b.inverse(u[0], entries)
    return value, b.product(value, value, u[1])


def _div(b: Bounds, attr: Any, out: int, shapes: Any, u: Pair, v: Pair) -> Pair:
    return _product(b, u, _inverse(b, v, prod(shapes[1])))


def _total(b: Bounds, attr: Any, out: int, shapes: Any, u: Pair) -> Pair:
    count = max(1, prod(shapes[0]))
    return b.sum([u[0]], count), b.sum([u[1]], count)


def _mean(b: Bounds, attr: Any, out: int, shapes: Any, u: Pair) -> Pair:
    count = max(1, prod(shapes[0]))
    return b.sum([u[0]], count * count), b.sum([u[1]], count * count)


def _unary(degree: int) -> Callable[..., Pair]:
    """The rule of a function whose slope has that degree in atoms."""

    def rule(b: Bounds, attr: Any, out: int, shapes: Any, u: Pair) -> Pair:
        b.atom([u[0]], out)
        return Shadow(1, 1.0), b.product(Shadow(degree, 2.0), u[1])

    return rule


def _softplus(b: Bounds, attr: Any, out: int, shapes: Any, u: Pair) -> Pair:
    """softplus(u) is an atom, or an atom plus u; its slope is an atom."""
    return b.sum([b.atom([u[0]], 2 * out), u[0]]), b.product(Shadow(1, 1.0), u[1])


def _inverse_slope(b: Bounds, attr: Any, out: int, shapes: Any, u: Pair) -> Pair:
    return b.atom([u[0]], out), b.product(b.inverse(u[0], out), u[1])


def _sqrt(b: Bounds, attr: Any, out: int, shapes: Any, u: Pair) -> Pair:
    raise UndecidableError("roots are algebraic: no bound of degrees is known")


def _exp_pair(b: Bounds, u: Pair, entries: int) -> Pair:
    """exp(u) is an atom, and exp(-u) its inverse."""
    atom = b.atom([u[0]], entries)
    value = b.sum([atom, b.inverse(atom, entries)])
    return value, b.product(value, u[1])


def _softmax(b: Bounds, attr: Any, out: int, shapes: Any, u: Pair) -> Pair:
    weights = _exp_pair(b, u, out)
    across = shapes[0][-1]
    total = b.sum([weights[0]], across), b.sum([weights[1]], across)
    return _product(b, weights, _inverse(b, total, max(1, out // across)))


def _logsumexp(b: Bounds, attr: Any, out: int, shapes: Any, u: Pair) -> Pair:
    entries, across = prod(shapes[0]), shapes[0][-1]
    weights = _exp_pair(b, u, entries)
    total = b.sum([weights[0]], across), b.sum([weights[1]], across)
    rows = max(1, entries // across)
    return b.atom([total[0]], rows), b.product(b.inverse(total[0], rows), total[1])


def _log_softmax(b: Bounds, attr: Any, out: int, shapes: Any, u: Pair) -> Pair:
    return _sum(b, attr, out, shapes, u, _logsumexp(b, attr, out, shapes, u))


def _cross_entropy(b: Bounds, attr: Any, out: int, shapes: Any, p: Pair, y: Pair) -> Pair:
    log = _inverse_slope(b, attr, prod(shapes[0]), shapes, p)
    return _product(b, y, log, prod(shapes[0]))


def _softmax_entropy(b: Bounds, attr: Any, out: int, shapes: Any, o: Pair, y: Pair) -> Pair:
    return _product(b, y, _log_softmax(b, attr, prod(shapes[0]), shapes, o), prod(shapes[0]) ** 2)


def _binary_entropy(b: Bounds, attr: Any, out: int, shapes: Any, o: Pair, y: Pair) -> Pair:
    count = max(1, prod(shapes[0]))
    plus = _softplus(b, attr, count, shapes, o)
    return _sum(b, attr, out, shapes, _total(b, attr, out, shapes, plus),
                _product(b, o, y, count))  # fmt: skip


def _squared_error(b: Bounds, attr: Any, out: int, shapes: Any, u: Pair, v: Pair) -> Pair:
    error = _sum(b, attr, out, shapes, u, v)
    return _product(b, error, error, 4 * max(1, prod(shapes[0])))


def _hinge(b: Bounds, attr: Any, out: int, shapes: Any, u: Pair, y: Pair) -> Pair:
    count = max(1, prod(shapes[0]))
    margin = _sum(b, attr, out, shapes, (ONE, ZERO), _product(b, u, y))
    test = b.atom([margin[0]], count), ZERO
    return _product(b, test, margin, count)


def _relu(b: Bounds, attr: Any, out: int, shapes: Any, u: Pair) -> Pair:
    return _product(b, (Shadow(1, 2.0), ZERO), (b.sum([u[0], b.atom([u[0]], out)]), u[1]))


def _where(
    b: Bounds, attr: Any, out: int, shapes: Any, left: Pair, right: Pair, u: Pair, v: Pair
) -> Pair:
    b.atom([b.sum([left[0], right[0]])], out)
    return _product(b, (Shadow(1, 64.0), ZERO), _sum(b, attr, out, shapes, u, v))


def _extremum(b: Bounds, attr: Any, out: int, shapes: Any, u: Pair, v: Pair) -> Pair:
    return _where(b, attr, out, shapes, u, v, u, v)


def _max(b: Bounds, attr: Any, out: int, shapes: Any, u: Pair) -> Pair:
    count = max(1, prod(shapes[0]))
    b.atom([u[0]], count * count)
    value, tangent = _product(b, (Shadow(1, log2(count + 1)), ZERO), u, count)
    b.atom([value], 1)
    return value, tangent


def _whole_power(b: Bounds, n: int, out: int, u: Pair) -> Pair:
    """The rule of a whole power, n at most 64 in size."""
    if n == 0:
        return ONE, ZERO
    base = u if n > 0 else _inverse(b, u, out)
    value = b.product(*[base[0]] * abs(n))
    lower = b.product(*[base[0]] * (abs(n) - 1)) if abs(n) > 1 else ONE
    return value, b.sum([b.product(lower, base[1])], abs(n))


def _pow(b: Bounds, attr: Any, out: int, shapes: Any, u: Pair, v: Pair) -> Pair:
    """The rule of a power that is an atom, or of a whole number that is not written as one."""
    if v[0].degree == 0 and v[1].zero and not v[0].divisors:
        wholes = [_whole_power(b, n, out, u) for n in (64, -64)]
    else:
        wholes = []
    atom = b.atom([u[0], v[0]], 3 * out)
    atoms = b.sum([atom, b.product(atom, u[0]), b.product(atom, b.inverse(u[0], out))])
    by_base = b.product(v[0], atoms, b.inverse(u[0], prod(shapes[0])), u[1])
    by_exponent = b.product(atoms, b.atom([u[0]], out), v[1])
    pairs = [*wholes, (atoms, b.sum([by_base, by_exponent]))]
    return b.sum(value for value, _ in pairs), b.sum(tangent for _, tangent in pairs)


def _lookup(b: Bounds, attr: Any, out: int, shapes: Any, table: Pair, token: Pair) -> Pair:
    return _product(b, table, token, shapes[0][0])


RULES: dict[str, Callable[..., Pair]] = {
    **dict.fromkeys(("add", "sub", "neg", "accumulate"), _sum),
    **dict.fromkeys(("copy", "transpose", "concat", "part", "component", "expand"), _same),
    "mul": _mul,
    "outer": _mul,
    "matmul": _matmul,
    "div": _div,
    "sum": _total,
    "mean": _mean,
    "pow": _pow,
    "tanh": _unary(2),
    "sigmoid": _unary(2),
    "softplus": _softplus,
    "sin": _unary(1),
    "cos": _unary(1),
    "exp": lambda b, attr, out, shapes, u: _exp_pair(b, u, out),
    "log": _inverse_slope,
    "sqrt": _sqrt,
    "relu": _relu,
    "abs": _relu,
    "where": _where,
    "maximum": _extremum,
    "minimum": _extremum,
    "max": _max,
    "softmax": _softmax,
    "logsumexp": _logsumexp,
    "log_softmax": _log_softmax,
    "cross_entropy": _cross_entropy,
    "softmax_cross_entropy": _softmax_entropy,
    "sigmoid_binary_cross_entropy": _binary_entropy,
    "squared_error": _squared_error,
    "hinge": _hinge,
    "lookup": _lookup,
    "onehot": _same,
    "stop_gradient": lambda b, attr, out, shapes, u: (u[0], ZERO),
}
assert set(RULES) <= set(OPS)
