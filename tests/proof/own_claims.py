"""The library's own backward equations as claims, to be changed and put to the proof."""


def backward(circuit, **options):
    """The library's own backward equations, left sides with their right sides."""
    own = set(str(circuit).splitlines())
    lines = [line for line in str(circuit.adjoint(**options)).splitlines() if line not in own]
    return dict(line.split(" = ", 1) for line in lines if " = " in line)
