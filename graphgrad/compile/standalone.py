"""Generated modules that stand alone: NumPy and nothing of this library."""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable, Mapping
from typing import Any

from graphgrad.circuit import Circuit
from graphgrad.compile.code import KERNELS
from graphgrad.compile.compiled import Compiled
from graphgrad.compile.functions import value_and_grad
from graphgrad.compile.kernels import BY_COLUMNS, UNPACKED
from graphgrad.compile.schedule import Schedule
from graphgrad.compile.standalone_door import door_source, dtype_code, typed_arrays
from graphgrad.dims import Token
from graphgrad.notation.text import circuit_text

_WRAPPER = '''
def value_and_grad(params, inputs, lengths, sizes):
    """{told}"""
    values = {{**params, **inputs}}
    checked(values, lengths, sizes)
    dtype = np.result_type(*{typed}).type
    dtype = dtype if issubclass(dtype, np.floating) else np.float64
    values = {{
        name: np.asarray(value, {own}) for name, value in values.items()
    }}
    results = compiled(values, lengths, sizes, dtype)
    loss = {value}
    return loss, {{name[{cut}:]: np.array(g, dtype) for name, g in results.items()}}
'''
_CONSTANTS = (
    f"BY_COLUMNS = {BY_COLUMNS}  # how float64 factors lie, where this was made",
    f"UNPACKED = {UNPACKED}  # the size of products that need no copies, where this was made",
)


def module_source(circuit: Circuit, loss: str = "loss") -> str:
    """Return the source of a module with a function `value_and_grad` for a circuit.

    Its inputs have one batch axis after time; the cotangent of a loss that is not one number is one
    of them. The module imports NumPy only.
    """
    function = value_and_grad(circuit, loss)
    circuit = with_seeds(circuit, function.compiled)
    body = function.source
    kernels = needed(body, KERNELS)
    constants = [line for line in _CONSTANTS if any(line.split()[0] in each for each in kernels)]
    parts = ["import numpy as np", *constants, *kernels]
    schedule = function.compiled.schedule_for(frozenset(circuit.check().inputs))
    value = f'np.sum(results.pop("{loss}"), dtype=dtype){times_examples(schedule, loss)}'
    if function.compiled.seeds:
        value = f'np.array(results.pop("{loss}"), dtype)'
    told = told_of(function.compiled.seeds)
    cut = len(function.prefix)
    text = "\n\n\n".join([*(part.strip() for part in parts), body.strip()])
    typed, own = typed_arrays(circuit), dtype_code(circuit, "None")
    wrapper = _WRAPPER.format(told=told, value=value, cut=cut, typed=typed, own=own)
    return f'"""{header(circuit)}"""\n\n{text}\n\n{door_source(circuit)}\n{wrapper}'


def with_seeds(circuit: Circuit, made: Compiled) -> Circuit:
    """Return the circuit with the cotangents that a compiled function takes among its inputs."""
    if not made.seeds:
        return circuit
    result = circuit.copy()
    for name in made.seeds:
        seed = made.system.inputs[name]
        assert isinstance(seed.type, tuple)
        result.input(name, *seed.type, index=seed.index)
    return result


def told_of(seeds: Mapping[str, str]) -> str:
    """Return the sentence that says what the function of a module returns."""
    for seed, loss in seeds.items():
        weighed = f"sum({seed} * {loss})"
        return f"Return {loss} and the gradients of {weighed}, over the batch, as ({loss}, dict)."
    return "Return the loss and its gradients, both summed over the batch, as (loss, dict)."


def times_examples(schedule: Schedule, loss: str) -> str:
    """Return the code of a factor for a loss that is the same for every example.

    Without an input there are no examples, whatever sizes[""] is.
    """
    once = schedule.type_of(loss).batched or not schedule.batched
    return "" if once else ' * sizes[""]'


def header(circuit: Circuit) -> str:
    """Return the docstring: the circuit it was made from, and the arrays it wants."""
    declared = circuit.declared()
    lines = [f"Generated from the circuit {declared.name}:", ""]
    lines += [f"    {line}".rstrip() for line in circuit_text(declared).splitlines()]
    lines += ["", "Arrays (B examples):"]
    for name, param in declared.params.items():
        lines.append(f"    params[{name!r}]: ({', '.join(map(str, param.shape))})")
    for name, given in declared.inputs.items():
        kind = "integers" if isinstance(given.type, Token) else "floats"
        own = () if isinstance(given.type, Token) else given.type
        time = [declared.indices[given.index].length] if given.index else []
        lines.append(f"    inputs[{name!r}]: ({', '.join([*time, 'B', *map(str, own)])}), {kind}")
    lengths = ", ".join(f"{i.name!r}: {i.length}" for i in declared.indices.values())
    sizes = ", ".join(f"{name!r}: {name}" for name in declared.sizes)
    lines.append(f"    lengths = {{{lengths}}}, sizes = {{{sizes}{', ' if sizes else ''}'': B}}")
    text = "\n".join(lines) + "\n"
    shown = "".join(c if c.isprintable() or c == "\n" else ascii(c)[1:-1] for c in text)
    return shown.replace("\\", "\\\\").replace('"""', r"\"\"\"")


def needed(body: str, kernels: Mapping[str, Callable[..., Any]]) -> list[str]:
    """Return the source of the kernels that a body calls, and of those that they call."""
    found: list[str] = []
    pending = [body]
    while pending:
        text = pending.pop()
        for name, function in kernels.items():
            if re.search(rf"\b{name}\(", text) and name not in found:
                found.append(name)
                pending.append(inspect.getsource(function).partition(":\n")[2])
    return [_untyped(inspect.getsource(kernels[name])) for name in kernels if name in found]


def _untyped(source: str) -> str:
    """Return a function's source without its annotations."""
    return re.sub(r": (Any|int|str|Mapping\[\w+, \w+\])(?=[,)= ])|\s*-> [^:]+(?=:\n)", "", source)
