"""Type rules: the shape of a result from the shapes of the operands, or a ShapeError."""

from __future__ import annotations

from typing import Any

from graphgrad.dims import Dim, Shape, Token, shape_text
from graphgrad.errors import ShapeError
from graphgrad.ir import Part, Type, type_text

SCALAR: Shape = ()


def arrays(name: str, *types: Type) -> tuple[Shape, ...]:
    """Return the operand shapes; a token among them is an error."""
    for each in types:
        if isinstance(each, Token):
            raise ShapeError(
                f"{name} cannot compute with a {each}",
                remedy="look up a row with E[x[t]], or use onehot(x[t])",
            )
    return tuple(each for each in types if not isinstance(each, Token))


def elementwise(name: str) -> Any:
    """Return the rule for an elementwise op: equal shapes, or scalars against anything."""

    def rule(attr: Any, *types: Type) -> Shape:
        return common_shape(name, *types)

    return rule


def common_shape(name: str, *types: Type) -> Shape:
    """Return the shape that operands of an elementwise op have in common, scalars aside."""
    result = SCALAR
    for shape in arrays(name, *types):
        if shape and result and shape != result:
            remedy = "only scalars are broadcast: shapes must be equal, axis by axis"
            if name == "*" and shape[-1:] == result[-1:] and {len(shape), len(result)} == {1, 2}:
                remedy = "* goes component by component; a matrix times a vector is written W @ v"
            raise ShapeError(
                f"{name} does not fit: {shape_text(result)} with {shape_text(shape)}",
                remedy=remedy,
            )
        result = result or shape
    return result


def matmul(attr: Any, left: Type, right: Type) -> Shape:
    """Return the rule for `@`: matrix·vector, matrix·matrix, vector·vector."""
    a, b = arrays("@", left, right)
    fits = {(2, 1): a[1:] == b, (2, 2): a[1:] == b[:1], (1, 1): a == b}
    if fits.get((len(a), len(b))):
        return a[:-1] + b[1:]
    remedy = "inner sizes must be equal; M.T transposes"
    if len(a) == 1 and len(b) == 2:
        remedy = "a vector stands on the right: write M.T @ v"
    elif not a or not b:
        remedy = "a scalar is multiplied with *"
    raise ShapeError(f"@ does not fit: {shape_text(a)} @ {shape_text(b)}", remedy=remedy)


def outer(attr: Any, left: Type, right: Type) -> Shape:
    """Return the rule for the outer product of two vectors."""
    a, b = arrays("outer", left, right)
    if len(a) != 1 or len(b) != 1:
        raise ShapeError(
            f"outer takes two vectors, not {shape_text(a)} and {shape_text(b)}",
            remedy="matrices are multiplied with @",
        )
    return a + b


def transpose(attr: Any, operand: Type) -> Shape:
    """Return the rule for `.T`, which takes a matrix."""
    (a,) = arrays(".T", operand)
    if len(a) != 2:
        raise ShapeError(
            f".T takes a matrix, not {shape_text(a)}",
            remedy="vectors need no transpose: u @ v is their product, outer(u, v) the matrix",
        )
    return a[::-1]


def vector_to_scalar(name: str) -> Any:
    """Return the rule for a function of one vector whose value is a scalar."""

    def rule(attr: Any, operand: Type) -> Shape:
        (a,) = arrays(name, operand)
        if len(a) != 1:
            raise ShapeError(
                f"{name} takes a vector, not {shape_text(a)}",
                remedy="a matrix is reduced with sum, mean or max",
            )
        return SCALAR

    return rule


def any_to_scalar(name: str) -> Any:
    """Return the rule for a reduction of all components to a scalar."""

    def rule(attr: Any, operand: Type) -> Shape:
        arrays(name, operand)
        return SCALAR

    return rule


def vector_or_rows(name: str) -> Any:
    """Return the rule for a function of a vector, or of each row of a matrix."""

    def rule(attr: Any, operand: Type) -> Shape:
        (a,) = arrays(name, operand)
        if not a:
            raise ShapeError(
                f"{name} takes a vector or a matrix, not a scalar",
                remedy="join scalars with concat(a, b)",
            )
        return a

    return rule


def loss(name: str, *, vectors: bool) -> Any:
    """Return the rule for a loss of two operands of one shape; its value is a scalar."""

    def rule(attr: Any, output: Type, target: Type) -> Shape:
        a, b = arrays(name, output, target)
        if a != b:
            raise ShapeError(
                f"{name} does not fit: output {shape_text(a)}, target {shape_text(b)}",
                remedy="output and target must have the same shape",
            )
        if vectors and len(a) != 1:
            raise ShapeError(
                f"{name} takes vectors, not {shape_text(a)}",
                remedy="for scalars write sigmoid_binary_cross_entropy or squared_error",
            )
        return SCALAR

    return rule


def concat(attr: Any, *operands: Type) -> Shape:
    """Return the rule for joining vectors (and scalars, as vectors of one component)."""
    total = Dim.of(0)
    for shape in arrays("concat", *operands):
        if len(shape) > 1:
            raise ShapeError(
                f"concat joins vectors, not {shape_text(shape)}",
                remedy="declare one larger matrix instead",
            )
        total = total + (shape[0] if shape else 1)
    if not operands:
        raise ShapeError("concat of nothing", remedy="give at least one vector")
    return (total,)


def part_sizes(attr: Part, whole: Dim) -> Shape:
    """Return the sizes of all pieces into which `split` cuts a vector."""
    if isinstance(attr.sizes, int):
        piece = whole.divided(attr.sizes)
        if piece is None:
            raise ShapeError(
                f"split cannot cut {whole} into {attr.sizes} equal parts",
                remedy=f"declare the length as {attr.sizes}*H, or give the sizes",
            )
        return (piece,) * attr.sizes
    total = Dim.of(0)
    for size in attr.sizes:
        total = total + size
    if total != whole:
        raise ShapeError(
            f"split sizes {', '.join(map(str, attr.sizes))} add up to {total}, not to {whole}",
            remedy=f"declare the length as {total}, or give other sizes",
        )
    return attr.sizes


def part(attr: Part, operand: Type) -> Shape:
    """Return the rule for one piece of a split vector."""
    (a,) = arrays("split", operand)
    if len(a) != 1:
        raise ShapeError(
            f"split takes a vector, not {shape_text(a)}", remedy="split the product with a vector"
        )
    sizes = part_sizes(attr, a[0])
    if not 0 <= attr.position < len(sizes):
        raise ShapeError(
            f"split has {len(sizes)} parts; there is no part {attr.position}",
            remedy="parts are counted from 0",
        )
    return (sizes[attr.position],)


def component(attr: int, operand: Type) -> Shape:
    """Return the rule for one component of a vector."""
    (a,) = arrays("at", operand)
    if len(a) != 1:
        raise ShapeError(
            f"at takes a vector, not {shape_text(a)}", remedy="a row is onehot(0, H) @ M.T"
        )
    if attr < 0 or (a[0].known and attr >= int(a[0])):
        raise ShapeError(
            f"at({attr}) is outside a vector of length {a[0]}",
            remedy="components are counted from 0",
        )
    return SCALAR


def lookup(attr: Any, table: Type, row: Type) -> Shape:
    """Return the rule for `E[x[t]]`: a row of a matrix (a component of a vector)."""
    (a,) = arrays("a look-up", table)
    if not isinstance(row, Token):
        raise ShapeError(
            f"a look-up needs a token in the brackets, not {type_text(row)}",
            remedy="declare it as x[t]: token(N)",
        )
    if not a or a[0] != row.size:
        raise ShapeError(
            f"{row} does not fit the {shape_text(a)} it looks a row up in",
            remedy="the first axis must be the number of tokens",
        )
    return a[1:]


def onehot(attr: Any, token: Type) -> Shape:
    """Return the rule for `onehot(x[t])`."""
    if not isinstance(token, Token):
        raise ShapeError(
            f"onehot takes a token, not {type_text(token)}",
            remedy="onehot(0, K) is the constant unit vector",
        )
    return (token.size,)


def expand(attr: Shape, operand: Type) -> Type:
    """Return the rule for a scalar that stands for an array of a given shape."""
    (a,) = arrays("a boundary", operand)
    if a and a != attr:
        raise ShapeError(
            f"{shape_text(a)} does not fit {shape_text(attr)}", remedy="give a scalar or that shape"
        )
    return attr


def branches(attr: Any, chosen: Type, otherwise: Type) -> Type:
    """Return the rule for `a if condition else b`; a scalar 0 fits anything."""
    if isinstance(chosen, Token) or isinstance(otherwise, Token):
        if chosen != otherwise:
            raise ShapeError(
                f"the branches do not fit: {type_text(chosen)} and {type_text(otherwise)}",
                remedy="choose between two look-ups instead",
            )
        return chosen
    return common_shape("a choice between", chosen, otherwise)


def same(attr: Any, operand: Type) -> Type:
    """Return the rule for an op whose result has the shape of its operand."""
    return operand
