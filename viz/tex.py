"""Labels and texts in TeX: mathematics set by TeX, everything else displayed as typed."""

from __future__ import annotations

from itertools import groupby

from viz.label import Label, Run, displayable

_SPECIAL = {
    "\\": r"\textbackslash{}",
    "{": r"\{",
    "}": r"\}",
    "$": r"\$",
    "&": r"\&",
    "#": r"\#",
    "%": r"\%",
    "_": r"\_",
    "^": r"\textasciicircum{}",
    "~": r"\textasciitilde{}",
    "<": r"\textless{}",
    ">": r"\textgreater{}",
    "|": r"\textbar{}",
    '"': r"\textquotedbl{}",
    "'": r"\textquotesingle{}",
    "`": r"\textasciigrave{}",
    "-": r"{-}",
    ",": r"{,}",
    " ": r"\ ",
    "\u00a0": "~",
}
"""What TeX would obey, join to ligatures, or run together."""
_GREEK = {
    "α": "alpha",
    "β": "beta",
    "γ": "gamma",
    "δ": "delta",
    "ε": "varepsilon",
    "ζ": "zeta",
    "η": "eta",
    "θ": "theta",
    "ι": "iota",
    "κ": "kappa",
    "λ": "lambda",
    "μ": "mu",
    "ν": "nu",
    "ξ": "xi",
    "π": "pi",
    "ρ": "rho",
    "σ": "sigma",
    "τ": "tau",
    "υ": "upsilon",
    "φ": "varphi",
    "χ": "chi",
    "ψ": "psi",
    "ω": "omega",
    "Γ": "Gamma",
    "Δ": "Delta",
    "Θ": "Theta",
    "Λ": "Lambda",
    "Ξ": "Xi",
    "Π": "Pi",
    "Σ": "Sigma",
    "Φ": "Phi",
    "Ψ": "Psi",
    "Ω": "Omega",
}
_SIGNS = {name: rf"\{command} " for name, command in _GREEK.items()} | {
    "−": "-",
    "∂": r"\partial ",
    "⊙": r"\odot ",
    "⊤": r"\top ",
    "·": r"\cdot ",
    "×": r"\times ",
    "÷": r"\div ",
    "∇": r"\nabla ",
    "∑": r"\sum ",
    "√": r"\surd ",
    "≤": r"\leq ",
    "≥": r"\geq ",
    "≠": r"\neq ",
    "→": r"\to ",
    "…": r"\dots ",
    "∞": r"\infty ",
    "‖": r"\Vert ",
    "½": r"\tfrac12",
    "²": "^2",
}
"""Signs of mathematics and how TeX writes them."""
_PLAIN = frozenset("0123456789()+=,[]/ ") | _SIGNS.keys()
"""What a run of mathematics without letters consists of."""

TYPED = r"""\newcommand\typed[2]{\begingroup\let\typedfound=n%
  \iftutex\iffontchar\font"#1 \let\typedfound=y\fi
  \else\ifcsname u8:\detokenize{#2}\endcsname\let\typedfound=y\fi\fi
  \if\typedfound y#2\else\fbox{\tiny U+#1}\fi\endgroup}"""
"""A letter beyond ASCII, or its number in Unicode where the font of the document has none."""

FITTED = r"""\newcommand\fitted[2]{\setbox0\hbox{$#2$}%
  \ifdim\wd0>#1\relax\resizebox{#1}{\height}{\box0}\else\box0\fi}"""
"""A formula, made narrower where it is wider than the room for it."""


def escaped(text: str) -> str:
    r"""Text that TeX shows as it was typed.

    Letters beyond ASCII, Greek and the signs of mathematics stand in the command `TYPED`.

    >>> print(escaped("50% of $x_1"))
    50\%\ of\ \$x\_1
    >>> print(escaped("é"))
    \typed{E9}{é}
    """
    return "".join(map(_character, displayable(text)))


def _character(character: str) -> str:
    if character in _SIGNS:
        return rf"\ensuremath{{{_SIGNS[character]}}}"
    if character in _SPECIAL:
        return _SPECIAL[character]
    if character.isascii():
        return character
    return rf"\typed{{{ord(character):X}}}{{{character}}}"


def mathematics(label: Label) -> str:
    r"""A label as TeX mathematics, scripts stacked on their base.

    >>> from viz.label import symbol
    >>> print(mathematics(symbol("W_hh", sup="(t-1)")))
    W_{hh}^{(t-1)}
    """
    parts: list[str] = []
    scripts_open: set[int] = set()
    for level, runs in groupby(label.runs, key=lambda run: run.level):
        inside = "".join(map(_run, runs))
        if level == 0:
            parts.append(inside)
            scripts_open = set()
        else:
            if level in scripts_open or not parts:
                parts.append("{}")
                scripts_open = set()
            parts.append(("^" if level > 0 else "_") + "{" + inside + "}")
            scripts_open.add(level)
    return "".join(parts)


def _run(run: Run) -> str:
    text = run.text
    letters = text.isascii() and text.isalpha()
    if run.italic and letters:
        inside = text if len(text) == 1 else rf"\mathit{{{text}}}"
    elif letters:
        inside = rf"\mathrm{{{text}}}"
    elif _PLAIN.issuperset(text):
        inside = "".join(_SIGNS.get(c, c) for c in text)  # TeX sees to the spaces
    elif run.bold:
        return rf"\text{{\textbf{{{escaped(text)}}}}}"
    else:
        inside = rf"\text{{{escaped(text)}}}"
    if run.bold:
        inside = rf"\boldsymbol{{{inside}}}"
    return rf"\{run.accent}{{{inside}}}" if run.accent else inside
