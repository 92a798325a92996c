"""The notation: text to circuit and circuit to text, LaTeX and MathML."""
