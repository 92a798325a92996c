"""What a module that stands alone asks of its arrays, before it computes anything.

Without it arrays of other shapes would be broadcast, and a token that is none read another row.
"""

from __future__ import annotations

from collections.abc import Iterable

from graphgrad.circuit import Circuit
from graphgrad.data import positions
from graphgrad.dims import Dim, Shape, Token

_SHAPES = '''
def checked(values, lengths, sizes):
    """Raise ValueError for arrays that are missing, unknown, or of other shapes than these."""
    shapes = {{
{shapes}
    }}
    if min([*lengths.values(), *sizes.values()]) < 1:
        raise ValueError(f"lengths and sizes are 1 or more, not {{lengths}} and {{sizes}}")
    for name in sorted(shapes.keys() ^ values.keys()):
        what = f"no value for {{name}}" if name in shapes else f"unknown: {{name}}"
        raise ValueError(what)
    for name, shape in shapes.items():
        if np.shape(values[name]) != shape:
            raise ValueError(f"{{name}} has the shape {{np.shape(values[name])}}, not {{shape}}")
'''
_POSITIONS = """    for position, size in {positions}:
        if position >= size:
            raise ValueError(f"there is no component {{position}} of {{size}}")
"""
_NUMBERS = """    for name, value in values.items():
        kind = np.asarray(value).dtype.kind
        if kind not in "fiu" or np.ma.is_masked(value):
            raise ValueError(f"{name} holds something else than real numbers")
"""
_TOKENS = """    for name, size in {tokens}:
        token = np.asarray(values[name])
        if token.dtype.kind not in "iu" or not ((token >= 0) & (token < size)).all():
            raise ValueError(f"{{name}} holds tokens: integers from 0 to {{size - 1}}")
"""
_DISTRIBUTIONS = """    for name in {names}:
        value = np.asarray(values[name])
        if (value < 0).any() or not np.allclose(value.sum(axis=-1), 1, rtol=0, atol=1e-5):
            raise ValueError(f"{{name}} holds distributions: entries of 0 or more with the sum 1")
"""


def door_source(circuit: Circuit, *, contents: bool = True) -> str:
    """Return the source of `checked(values, lengths, sizes)`, which raises ValueError.

    With `contents` it looks at the numbers of tokens and distributions, too.
    """
    system = circuit.check()
    shapes = {name: _code(param.shape) for name, param in system.params.items()}
    for name, given in system.inputs.items():
        own: Shape = () if isinstance(given.type, Token) else given.type
        time = [f'lengths["{given.index}"]'] if given.index else []
        shapes[name] = _code(own, *time, 'sizes[""]')
    lines = [f'        "{name}": {shape},' for name, shape in shapes.items()]
    source = _SHAPES.format(shapes="\n".join(lines))
    named = {(position, dim) for position, dim, _ in positions(system) if dim.names}
    if named:
        pairs = sorted((position, dim_lookup(dim)) for position, dim in named)
        source += _POSITIONS.format(positions=as_tuple(f"({k}, {size})" for k, size in pairs))
    if not contents:
        return source
    if tokens := token_sizes(circuit):
        pairs_of = (f'("{name}", {dim_lookup(size)})' for name, size in tokens.items())
        source += _TOKENS.format(tokens=as_tuple(pairs_of))
    if names := distributions(circuit):
        source += _DISTRIBUTIONS.format(names=names)
    return source + _NUMBERS


def token_sizes(circuit: Circuit) -> dict[str, Dim]:
    """Return the inputs that are tokens, and how many tokens there are."""
    kinds = {name: given.type for name, given in circuit.check().inputs.items()}
    return {name: kind.size for name, kind in kinds.items() if isinstance(kind, Token)}


def distributions(circuit: Circuit) -> tuple[str, ...]:
    """Return the inputs that are distributions."""
    inputs = circuit.check().inputs.items()
    return tuple(name for name, given in inputs if given.kind == "distribution")


def typed_arrays(circuit: Circuit) -> str:
    """Return the code of the arrays whose type is that of the results: parameters, if any."""
    system = circuit.check()
    if system.params:
        return "params.values()"
    tokens = token_sizes(circuit)
    return as_tuple([*(f'values["{name}"]' for name in system.inputs if name not in tokens), "0.0"])


def dtype_code(circuit: Circuit, of_tokens: str) -> str:
    """Return the code of the type in which the array `name` is taken."""
    tokens = tuple(token_sizes(circuit))
    return f"{of_tokens} if name in {tokens} else dtype" if tokens else "dtype"


def dim_lookup(dim: Dim) -> str:
    """Return a dimension as code that looks sizes up by name."""
    return str(Dim(tuple((f'sizes["{name}"]', count) for name, count in dim.terms), dim.constant))


def _code(own: Shape, *lead: str) -> str:
    return as_tuple([*lead, *map(dim_lookup, own)])


def as_tuple(parts: Iterable[str]) -> str:
    """Return pieces of code as a tuple."""
    parts = list(parts)
    return f"({', '.join(parts)}{',' * (len(parts) == 1)})"
