"""Rules for sums: zeros, signs, like terms, common factors, denominators and conditions."""

from __future__ import annotations

from collections.abc import Sequence

from graphgrad.dims import Shape
from graphgrad.ir import OPS, Expr, constant
from graphgrad.ops.leaves import zeros
from graphgrad.ops.linear import concat
from graphgrad.simplify.core import is_neg, is_zero, plain, rule, same, spread
from graphgrad.simplify.products import ones_times


@rule("neg")
def _neg(expr: Expr, a: Expr) -> Expr | None:
    if is_zero(a):
        return a
    if is_neg(a):
        return a.args[0]
    if a.op is OPS["const"]:
        return constant(-a.attr)
    if a.op is OPS["sub"]:
        return plain(a.args[1] - a.args[0])
    return None


@rule("add")
def _add(expr: Expr, a: Expr, b: Expr) -> Expr | None:
    if is_zero(a):
        return spread(b, expr.shape)
    if is_zero(b):
        return spread(a, expr.shape)
    if is_neg(b):
        return plain(a - b.args[0])
    if is_neg(a):
        return plain(b - a.args[0])
    if b.op is OPS["add"] or b.op is OPS["sub"]:
        return plain(b.op(plain(a + b.args[0]), b.args[1]))
    merged = _merged(expr, a, b)
    if merged is None and a.op is OPS["add"]:
        inner = _merged(expr, a.args[1], b)
        merged = None if inner is None else plain(a.args[0] + inner)
    return merged if merged is not None else _broadcast(expr, a, b)


@rule("sub")
def _sub(expr: Expr, a: Expr, b: Expr) -> Expr | None:
    if is_zero(b):
        return spread(a, expr.shape)
    if is_zero(a):
        return plain(-spread(b, expr.shape))
    if is_neg(b):
        return plain(a + b.args[0])
    if same(a, b) and a.shape == expr.shape:
        return zeros(expr.shape)
    merged = _merged(expr, a, b)
    return merged if merged is not None else _broadcast(expr, a, b)


def _merged(expr: Expr, a: Expr, b: Expr) -> Expr | None:
    """Return `a ± b` (by the op of `expr`) as one term; None if they have nothing in common."""
    if a.shape != b.shape:
        return None
    if expr.op is OPS["add"] and a.op is not OPS["choose"] and same(a, b):
        return plain(2 * a)
    for way in (_joined, _factored, _over_one_denominator, _chosen_together, _summed_together):
        found = way(expr, a, b)
        if found is not None:
            return found
    return plain(2 * a) if expr.op is OPS["add"] and same(a, b) else None


def _broadcast(expr: Expr, a: Expr, b: Expr) -> Expr | None:
    """Return `a ± s` for `a ± s·ones`: a scalar is broadcast anyway.

    `ones(H) / n` stays, as it says the shape, which may follow from nothing else.
    """
    first, second = (None if each.op is OPS["div"] else ones_times(each) for each in (a, b))
    if not expr.shape or (first is None) == (second is None):
        return None
    if second is not None and a.shape:
        return plain(expr.op(a, second))
    return plain(expr.op(first, b)) if first is not None and b.shape else None


def _joined(expr: Expr, a: Expr, b: Expr) -> Expr | None:
    """Return the sum of two joined vectors piece by piece, where one of each pair is zero."""
    if expr.op is not OPS["add"] or a.op is not OPS["concat"] or b.op is not OPS["concat"]:
        return None
    if [p.type for p in a.args] != [p.type for p in b.args]:
        return None
    pairs = list(zip(a.args, b.args, strict=True))
    if not all(is_zero(p) or is_zero(q) for p, q in pairs):
        return None
    return concat(*(q if is_zero(p) else p for p, q in pairs))


def _factored(expr: Expr, a: Expr, b: Expr) -> Expr | None:
    """Return `(x ± y) * g` for `x * g ± y * g`, where g is a value with a name; x or y may be 1."""
    (x, g), (y, other) = _with_factor(a), _with_factor(b)
    if g.args or g.op.name not in ("read", "static", "at_step") or not same(g, other):
        return None
    if not x.args and not y.args and x.op is OPS["const"] and y.op is OPS["const"]:
        return None
    if x.shape != y.shape and x.shape and y.shape:
        return None
    return plain(plain(expr.op(x, y)) * g)


def _with_factor(term: Expr) -> tuple[Expr, Expr]:
    if term.op is OPS["mul"]:
        return term.args[0], term.args[1]
    return constant(1), term


def _over_one_denominator(expr: Expr, a: Expr, b: Expr) -> Expr | None:
    """Return `(x ± y) / n` for `x / n ± y / n`."""
    if a.op is not OPS["div"] or b.op is not OPS["div"] or not same(a.args[1], b.args[1]):
        return None
    if a.args[0].shape != b.args[0].shape:
        return None
    if a.args[0].op is OPS["const"] and a.args[0].attr < 0:
        x, y = constant(-a.args[0].attr), b.args[0]
        flipped = x - y if expr.op is OPS["add"] else x + y
        return plain(-plain(plain(flipped) / a.args[1]))
    return plain(plain(expr.op(a.args[0], b.args[0])) / a.args[1])


def _chosen_together(expr: Expr, a: Expr, b: Expr) -> Expr | None:
    """Return one choice for two by the same condition, zero otherwise."""
    choices = a.op is OPS["choose"] and b.op is OPS["choose"]
    if not choices or a.attr != b.attr or not is_zero(a.args[1]) or not is_zero(b.args[1]):
        return None
    if a.args[0].shape != b.args[0].shape:
        return None
    return plain(OPS["choose"](plain(expr.op(a.args[0], b.args[0])), a.args[1], attr=a.attr))


def _summed_together(expr: Expr, a: Expr, b: Expr) -> Expr | None:
    """Return one sum over time for two whose bodies merge."""
    if a.op is not OPS["reduce"] or b.op is not OPS["reduce"] or a.attr != b.attr:
        return None
    body = _merged(expr, a.args[0], b.args[0])
    return None if body is None else plain(OPS["reduce"](body, attr=a.attr))


def total(terms: Sequence[Expr], shape: Shape) -> Expr:
    """Return the simplified sum of terms, zero of the given shape if there are none.

    A term is merged with an earlier one where they have a factor in common.
    """
    kept: list[Expr] = []
    for term in terms:
        if is_zero(term):
            continue
        for position, earlier in enumerate(kept):
            merged = _pair(earlier, term)
            if merged is not None:
                kept[position] = merged
                break
        else:
            kept.append(term)
    kept.sort(key=is_neg)
    result: Expr | None = None
    for term in kept:
        result = term if result is None else plain(result + term)
    return zeros(shape) if result is None else result


def _pair(a: Expr, b: Expr) -> Expr | None:
    """Return the sum of two signed terms as one term, None if they have nothing in common."""
    if is_neg(a) and is_neg(b):
        found = _pair(a.args[0], b.args[0])
        return None if found is None else plain(-found)
    if is_neg(a):
        a, b = b, a
    expr = a - b.args[0] if is_neg(b) else a + b
    found = _merged(expr, expr.args[0], expr.args[1])
    return None if found is None else plain(found)
