"""Generated modules that stand alone with JAX: JAX, NumPy and nothing of this library."""

from __future__ import annotations

from graphgrad.circuit import Circuit
from graphgrad.compile.emit_jax import emit
from graphgrad.compile.functions import value_and_grad
from graphgrad.compile.run_jax import KERNELS
from graphgrad.compile.standalone import header, needed, times_examples, token_sizes

_IMPORTS = """import jax
import jax.numpy as jnp
import numpy as np
from jax import lax"""
_WRAPPER = '''
def value_and_grad(params, inputs, lengths, sizes):
    """Return the loss and its gradients, both summed over the batch, as (loss, dict).

    To be jitted as a function of the first two: lengths and sizes are plain numbers.
    """
    values = {{name: jnp.asarray(value) for name, value in {{**params, **inputs}}.items()}}
    dtype = jnp.result_type(*(values[name] for name in params))
    dtype = dtype if jnp.issubdtype(dtype, jnp.floating) else jnp.result_type(float)
{tokens}    results = compiled(values, lengths, sizes, dtype)
    loss = jnp.sum(results.pop("{loss}"), dtype=dtype){examples}
    return loss, {{name[{cut}:]: jnp.asarray(g, dtype) for name, g in results.items()}}
'''
_NUMBERS = """    values = {{name: value.astype(dtype) for name, value in values.items()}}
"""
_TOKENS = """    for name, value in values.items():
        if name not in {names}:
            values[name] = value.astype(dtype)
        elif not jnp.issubdtype(value.dtype, jnp.integer):
            raise ValueError(f"{{name}} holds tokens: integers, not {{value.dtype}}")
"""


def jax_module_source(circuit: Circuit, loss: str = "loss") -> str:
    """Return the source of a module with a pure function `value_and_grad` for a circuit.

    Its inputs have one batch axis after time. The module imports JAX and NumPy only.
    """
    function = value_and_grad(circuit, loss)
    schedule = function.compiled.schedule_for(frozenset(circuit.check().inputs))
    body = emit(schedule)
    examples, cut = times_examples(schedule, loss), len(function.prefix)
    parts = [_IMPORTS, *needed(body, KERNELS), body]
    text = "\n\n\n".join(part.strip() for part in parts)
    names = tuple(token_sizes(circuit))
    tokens = (_TOKENS if names else _NUMBERS).format(names=names)
    wrapper = _WRAPPER.format(loss=loss, cut=cut, examples=examples, tokens=tokens)
    return f'"""{header(circuit)}"""\n\n{text}\n\n{wrapper}'
