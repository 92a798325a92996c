"""What notebooks show of a circuit: its notation, and its equations where it checks."""

from __future__ import annotations

from graphgrad.circuit import Circuit
from graphgrad.errors import GraphgradError
from graphgrad.notation.alphabet import xml_escape
from graphgrad.notation.latex import circuit_latex
from graphgrad.notation.mathml import circuit_mathml


def mimebundle(circuit: Circuit) -> dict[str, str]:
    """Return a circuit as text, LaTeX and HTML; as text alone where it does not check."""
    bundle = {"text/plain": str(circuit)}
    try:
        latex, mathml = circuit_latex(circuit), circuit_mathml(circuit)
    except GraphgradError:
        return bundle
    title = f"<p>{xml_escape(circuit.title)}</p>" if circuit.title else ""
    bundle["text/latex"] = latex
    bundle["text/html"] = f'<div class="graphgrad">{title}{mathml}</div>'
    return bundle
