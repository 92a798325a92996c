"""One gradient on several machines: the JAX function on a mesh of all their devices.

Every machine runs this script and reads its own part of the batch; JAX adds up the gradients:

    python several_machines.py --at first-machine:1234 --machines 4 --number 0    # and 1, 2, 3

Without options it starts two such processes here, with two devices each, and compares what they
learn with NumPy on the whole batch. It needs JAX: pip install "graphgrad[jax]".
"""

import argparse
import importlib.util
import os
import socket
import subprocess
import sys

import numpy as np

import graphgrad as gg

STEPS, EXAMPLES, RATE, UPDATES = 12, 8, 0.5, 20
SIZES = {"H": 6, "D": 3, "K": 2}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--at", help="address and port of the first machine")
    parser.add_argument("--machines", type=int, default=1)
    parser.add_argument("--number", type=int, default=0)
    given = parser.parse_args()
    if importlib.util.find_spec("jax") is None:
        print('JAX is not installed: pip install "graphgrad[jax]"')
    elif given.at is None:
        rehearse()
    else:
        train(given.at, given.machines, given.number)


def train(address: str, machines: int, number: int) -> None:
    """Be one of several machines."""
    import jax
    from jax.sharding import Mesh, NamedSharding, PartitionSpec

    jax.distributed.initialize(address, machines, number)
    jax.config.update("jax_enable_x64", True)
    mesh = Mesh(np.array(jax.devices()), ("examples",))  # those of all machines
    everywhere = NamedSharding(mesh, PartitionSpec())
    apart = NamedSharding(mesh, PartitionSpec(None, "examples"))  # time is the first axis

    circuit = gg.cells.load("lstm")
    gradient = gg.value_and_grad(circuit, backend="jax").pure

    def update(params, data):
        loss, grads = gradient(params, **data)
        return loss, {name: value - RATE * grads[name] for name, value in params.items()}

    step = jax.jit(update, in_shardings=(everywhere, apart), out_shardings=everywhere)
    share = EXAMPLES // machines
    own = slice(number * share, (number + 1) * share)  # here: what this machine reads
    data = {
        name: jax.make_array_from_process_local_data(apart, value[:, own])
        for name, value in circuit.example(1, STEPS, (EXAMPLES,), **SIZES).items()
    }
    params = {
        name: jax.make_array_from_process_local_data(everywhere, value)
        for name, value in circuit.init(0, **SIZES).items()
    }
    for _ in range(UPDATES):
        loss, params = step(params, data)
    if number == 0:
        total = sum(float(abs(np.asarray(value)).sum()) for value in params.values())
        print(f"{jax.device_count()} devices of {machines} machines")
        print(f"loss {float(loss):.12f}, weights {total:.12f}", flush=True)


def rehearse() -> None:
    """Start two processes with two devices each, and do the same with NumPy."""
    with socket.socket() as free:
        free.bind(("localhost", 0))
        address = f"localhost:{free.getsockname()[1]}"
    flags = {"XLA_FLAGS": "--xla_force_host_platform_device_count=2", "JAX_PLATFORMS": "cpu"}
    command = [sys.executable, __file__, "--at", address, "--machines", "2", "--number"]
    started = [
        subprocess.Popen([*command, str(number)], env=os.environ | flags, stdout=subprocess.PIPE)
        for number in range(2)
    ]
    told = [process.communicate(timeout=100)[0].decode() for process in started]
    assert not any(process.returncode for process in started)
    lines = told[0].splitlines()[-2:]  # Gloo, which connects the processes, speaks before
    print("\n".join(lines))

    circuit = gg.cells.load("lstm")
    params, data = circuit.init(0, **SIZES), circuit.example(1, STEPS, (EXAMPLES,), **SIZES)
    function = gg.value_and_grad(circuit)
    for _ in range(UPDATES):
        loss, grads = function(params, **data)
        params = {name: value - RATE * grads[name] for name, value in params.items()}
    total = sum(float(abs(value).sum()) for value in params.values())
    print(f"loss {loss:.12f}, weights {total:.12f} by NumPy, on the whole batch")
    assert lines[0] == "4 devices of 2 machines"
    numbers = [float(word.rstrip(",")) for word in lines[1].split()[1::2]]
    np.testing.assert_allclose(numbers, [loss, total], rtol=1e-11)


if __name__ == "__main__":
    main()
