"""Generated modules that stand alone with Numba: NumPy, Numba and nothing of this library.

They carry the plain functions of `vector.scalar`, so every number is computed by itself: readable,
compiled, and not the fastest.
"""

from __future__ import annotations

import re
from pathlib import Path

from graphgrad.autodiff import cotangent_prefix
from graphgrad.circuit import Circuit
from graphgrad.compile.code import size_code
from graphgrad.compile.emit_numba import emit
from graphgrad.compile.functions import compile_circuit
from graphgrad.compile.standalone import header, times_examples, told_of, with_seeds
from graphgrad.compile.standalone_door import door_source, dtype_code, typed_arrays

_WRAPPER = '''
def named({scalars}, B, {returned}):
    """Return {named} of each example, and the gradients by name."""
    return {loss}, {{
{gradients}
    }}


def value_and_grad(params, inputs, lengths, sizes):
    """{told}"""
    values = {{**params, **inputs}}
    checked(values, lengths, sizes)
    dtype = np.result_type(*{typed})
    dtype = dtype if dtype.kind == "f" else np.dtype(float)
    arrays = [np.ascontiguousarray(values[name], {own}) for name in {names}]
    real = np.empty(0, dtype)
    numbers = {values}, sizes[""]
    allocated = results(*numbers, real)
    room = work(*numbers, real)
    if not compiled(*numbers, real, False, *arrays, *room, *allocated):
        raise ValueError("shapes do not fit")
    loss, gradients = named(*numbers, *allocated)
    return {value}, gradients
'''


def numba_module_source(circuit: Circuit, loss: str = "loss") -> str:
    """Return the source of a module with a function `value_and_grad` for a circuit.

    Its inputs have one batch axis after time; the cotangent of a loss that is not one number is one
    of them. The module imports Numba and NumPy only.
    """
    made = compile_circuit(circuit, (), grad=loss)
    circuit = with_seeds(circuit, made)
    schedule = made.schedule_for(frozenset(made.system.inputs))
    program = emit(schedule)
    cut = len(cotangent_prefix(circuit.check().declared.names()))
    indices = made.system.indices.values()
    scalars = [*program.lengths, *map(size_code, program.sizes)]
    values = [f'lengths["{index.name}"]' for index in indices]
    values += [f'sizes["{size}"]' for size in program.sizes]
    gradients = [
        f'        "{name[cut:]}": {program.results[name]},' for name in made.gradients.values()
    ]
    wrapper = _WRAPPER.format(
        names=program.arrays,
        typed=typed_arrays(circuit),
        own=dtype_code(circuit, "np.int64"),
        scalars=", ".join(scalars),
        values=", ".join(values),
        returned=", ".join(program.returned),
        gradients="\n".join(gradients),
        loss=program.results[loss],
        named=loss if made.seeds else "the loss",
        told=told_of(made.seeds),
        value="loss" if made.seeds else f"np.sum(loss){times_examples(schedule, loss)}",
    )
    body = program.source.replace(", cache=True)", ")")
    parts = ["import numpy as np\nfrom numba import njit", _functions(body), body.strip()]
    text = "\n\n\n".join(part for part in parts if part)
    return f'"""{header(circuit)}"""\n\n{text}\n\n{door_source(circuit)}\n{wrapper}'


def _functions(body: str) -> str:
    """Return the plain functions that a program calls."""
    text = (Path(__file__).parent / "vector" / "scalar.py").read_text("utf-8")
    _, _, text = text.partition("from numba import njit\n")
    room, _, text = text.partition('plain = njit(error_model="numpy")')
    blocks = [f"@plain\n{block.strip()}" for block in text.split("@plain\n")[1:]]
    kept = [block for block in blocks if _called(block, body)]
    plain = 'plain = njit(error_model="numpy")'
    return "\n\n\n".join([_untyped(room.strip()), plain, *map(_untyped, kept)])


def _called(block: str, body: str) -> bool:
    name = re.search(r"def (\w+)\(", block)
    return name is not None and (name[1] == "_offset" or bool(re.search(rf"\b{name[1]}\(", body)))


def _untyped(source: str) -> str:
    """Return a function's source without its annotations."""
    return re.sub(r": (Any|int|bool|tuple\[int, \.\.\.\])|\s*-> \w+(?=:)", "", source)
