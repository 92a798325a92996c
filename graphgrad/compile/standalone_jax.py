"""Generated modules that stand alone with JAX: JAX, NumPy and nothing of this library."""

from __future__ import annotations

from graphgrad.circuit import Circuit
from graphgrad.compile.emit_jax import emit
from graphgrad.compile.functions import value_and_grad
from graphgrad.compile.run_jax import KERNELS
from graphgrad.compile.standalone import header, needed, times_examples, told_of, with_seeds
from graphgrad.compile.standalone_door import (
    as_tuple,
    dim_lookup,
    distributions,
    door_source,
    dtype_code,
    token_sizes,
    typed_arrays,
)

_IMPORTS = """import jax
import jax.numpy as jnp
import numpy as np
from jax import lax"""
_WRAPPER = '''
def value_and_grad(params, inputs, lengths, sizes):
    """{told}

    To be jitted as a function of the first two: lengths and sizes are plain numbers.{nan}
    """
    values = {{**params, **inputs}}
    checked(values, lengths, sizes)
{weight}    dtype = jnp.result_type(*map(jnp.asarray, {typed}))
    dtype = dtype if jnp.issubdtype(dtype, jnp.floating) else jnp.result_type(float)
    values = {{
        name: jnp.asarray(value, {own}) for name, value in values.items()
    }}
    results = compiled(values, lengths, sizes, dtype)
    loss = {value}
    gradients = {{name[{cut}:]: jnp.asarray(g, dtype) for name, g in results.items()}}
    return {returned}
'''
_REAL = """    for name, value in values.items():
        if jnp.iscomplexobj(value):
            raise ValueError(f"{name} holds something else than real numbers")
"""
_WEIGHT = '''

def weight(values, sizes):
    """Return 1; where a token or a distribution is none, NaN if JAX traces it, else ValueError."""
    whole = 1
    for name, size in {sizes}:  # of a distribution None
        given = values[name] if isinstance(values[name], jax.Array) else np.asarray(values[name])
        fine = all_distributions(given) if size is None else all_tokens(given, size)
        if isinstance(fine, jax.core.Tracer):
            whole = whole * jnp.where(fine, 1, jnp.nan)
        elif not fine:
            kind = "distributions: entries of 0 or more with the sum 1"
            kind = kind if size is None else f"tokens: integers from 0 to {{size - 1}}"
            raise ValueError(f"{{name}} holds {{kind}}")
    return whole
'''
_WEIGHTED = "loss * whole, {name: g * whole for name, g in gradients.items()}"
_NAN = """
    Where JAX traces the inputs, a token or a distribution that is none makes every result NaN."""


def jax_module_source(circuit: Circuit, loss: str = "loss") -> str:
    """Return the source of a module with a pure function `value_and_grad` for a circuit.

    Its inputs have one batch axis after time; the cotangent of a loss that is not one number is one
    of them. The module imports JAX and NumPy only.
    """
    function = value_and_grad(circuit, loss)
    circuit = with_seeds(circuit, function.compiled)
    schedule = function.compiled.schedule_for(frozenset(circuit.check().inputs))
    body, weight = emit(schedule), _weight(circuit)
    door = door_source(circuit, contents=False) + _REAL + weight
    parts = [_IMPORTS, *needed(body + door, KERNELS), body]
    text = "\n\n\n".join(part.strip() for part in parts)
    value = f'jnp.sum(results.pop("{loss}"), dtype=dtype){times_examples(schedule, loss)}'
    if function.compiled.seeds:
        value = f'jnp.asarray(results.pop("{loss}"), dtype)'
    wrapper = _WRAPPER.format(
        told=told_of(function.compiled.seeds),
        value=value,
        cut=len(function.prefix),
        nan=_NAN if weight else "",
        weight="    whole = weight(values, sizes)\n" if weight else "",
        typed=typed_arrays(circuit),
        own=dtype_code(circuit, "None"),
        returned=_WEIGHTED if weight else "loss, gradients",
    )
    return f'"""{header(circuit)}"""\n\n{text}\n\n{door}\n{wrapper}'


def _weight(circuit: Circuit) -> str:
    """Return the source of `weight(values, sizes)`; nothing where all real numbers are possible."""
    sizes = [f'("{name}", {dim_lookup(dim)})' for name, dim in token_sizes(circuit).items()]
    sizes += [f'("{name}", None)' for name in distributions(circuit)]
    return _WEIGHT.format(sizes=as_tuple(sizes)) if sizes else ""
