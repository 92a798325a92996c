"""A laid-out picture as a TikZ document, its labels set by TeX as mathematics."""

from __future__ import annotations

from collections.abc import Iterable
from itertools import groupby

from viz.label import Label, Run, displayable
from viz.picture import Layout, PlacedNode
from viz.render_svg import blend
from viz.routing import Curve, Point

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
}
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
_SIGNS = _GREEK | {
    "∂": "partial",
    "⊙": "odot",
    "−": "-",
    "·": "cdot",
    "×": "times",
    "∇": "nabla",
    "∑": "sum",
    "√": "surd",
    "≤": "leq",
    "≥": "geq",
    "≠": "neq",
    "→": "to",
    "…": "dots",
    "∞": "infty",
}


def to_tikz(layout: Layout, *, title: str = "") -> str:
    """A complete document of class standalone; one point of ours is 1 bp.

    Letters outside ASCII, Greek and the usual operators need XeLaTeX or LuaLaTeX and a font that
    has them.
    """
    style = layout.style
    colours = _Colours()
    body: list[str] = []
    if style.background != "#ffffff":
        body.append(
            rf"\fill[{colours.name(style.background)}] (0,0) rectangle "
            f"({_at((layout.width, layout.height))});"
        )
    for frame in layout.frames:
        left, bottom, right, top = frame.box
        body.append(
            rf"\draw[{colours.name(style.frame)},dashed] ({_at((left, bottom))}) rectangle "
            f"({_at((right, top))});"
        )
    for edge in layout.edges:
        look = style.edges[edge.kind]
        dash = ",dashed" if look.dash else ""
        colour = colours.name(look.stroke)
        body.append(rf"\draw[{colour},line width={_n(look.line)}bp{dash}] {_path(edge.curve)};")
        if edge.tip is not None:
            (x0, y0), (x1, y1) = edge.curve[-1], edge.tip
            dx, dy = x1 - x0, y1 - y0
            corners = (edge.tip, (x0 - 0.36 * dy, y0 + 0.36 * dx), (x0 + 0.36 * dy, y0 - 0.36 * dx))
            joined = " -- ".join(f"({_at(corner)})" for corner in corners)
            body.append(rf"\fill[{colour}] {joined} -- cycle;")
    for mark in layout.marks:
        colour = colours.name(style.edges[mark.kind].stroke)
        fill = colours.name(style.background) if mark.hollow else colour
        left, bottom, right, top = mark.box
        body.append(
            rf"\draw[{colour},fill={fill}] ({_at((left, bottom))}) rectangle "
            f"({_at((right, top))});"
        )
    for dot in layout.dots:
        colour = colours.name(style.edges[dot.kind].stroke)
        body.append(rf"\fill[{colour}] ({_at((dot.x, dot.y))}) circle[radius={_n(dot.radius)}];")
    for node in layout.nodes:
        body.extend(_node(node, layout, colours))
    body.extend(
        _text(label.text.label, (label.x, label.y), label.text.size, colour, colours)
        for label, colour in zip(layout.labels, layout.label_colours(), strict=True)
    )
    head = [
        r"\documentclass[tikz]{standalone}",
        r"\usepackage{amsmath,iftex}",
        r"\iftutex\usepackage{fontspec}\else\usepackage[T1]{fontenc}\usepackage{textcomp}\fi",
        r"\IfFileExists{lmodern.sty}{\usepackage{lmodern}}{}",
        *([f"% {displayable(title)}"] if title else []),
        r"\begin{document}",
        *colours.definitions(),
        r"\begin{tikzpicture}[x=1bp,y=1bp]",
    ]
    return "\n".join((*head, *body, r"\end{tikzpicture}", r"\end{document}", ""))


def escaped(text: str) -> str:
    r"""Text that TeX shows as it was typed.

    >>> print(escaped("50% of $x_1"))
    50\% of \$x\_1
    """
    parts = []
    for character in displayable(text):
        if character in _SIGNS:
            parts.append(rf"\ensuremath{{{_command(_SIGNS[character])}}}")
        else:
            parts.append(_SPECIAL.get(character, character))
    return "".join(parts)


def mathematics(label: Label) -> str:
    r"""A label as TeX mathematics, scripts stacked on their base.

    >>> from viz.label import symbol
    >>> print(mathematics(symbol("W_hh", sup="(t-1)")))
    W_{hh}^{(t{-}1)}
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
    if len(text) == 1 and text in _SIGNS:
        inside = _command(_SIGNS[text])
    elif run.italic and len(text) == 1 and text.isascii() and text.isalpha():
        inside = text
    elif run.italic and text.isascii() and text.isalpha():
        inside = rf"\mathit{{{text}}}"
    elif text.isascii() and text.isalpha():
        inside = rf"\mathrm{{{text}}}"
    elif all(c.isdigit() or c in "()+−,=[] " for c in text):
        inside = "".join(_command(_SIGNS[c]) if c in _SIGNS else c for c in text)
        inside = inside.replace(" ", r"\,").replace("-", "{-}")
    else:
        inside = rf"\text{{{escaped(text)}}}"
    if run.bold:
        inside = rf"\mathbf{{{inside}}}"
    return rf"\{run.accent}{{{inside}}}" if run.accent else inside


def _command(name: str) -> str:
    return name if name == "-" else rf"\{name} "


def _node(node: PlacedNode, layout: Layout, colours: _Colours) -> Iterable[str]:
    look = layout.style.nodes[node.node.kind]
    shade = node.node.shade
    fill = look.fill if shade is None else blend(look.fill, layout.style.shade, shade)
    left, bottom, right, top = node.box
    options = f"{colours.name(look.stroke)},fill={colours.name(fill)},line width={_n(look.line)}bp"
    if node.shape == "round":
        radius = _n(node.height / 2)
        corner = f",rounded corners={radius}bp"
        if abs(node.width - node.height) < 0.01:
            yield rf"\draw[{options}] ({_at((node.x, node.y))}) circle[radius={radius}];"
        else:
            yield (
                rf"\draw[{options}{corner}] ({_at((left, bottom))}) rectangle "
                f"({_at((right, top))});"
            )
    elif node.shape == "box":
        yield rf"\draw[{options}] ({_at((left, bottom))}) rectangle ({_at((right, top))});"
    colour = layout.style.background if shade is not None and shade >= 0.5 else look.text
    yield _text(node.node.label, (node.x, node.y), node.text.size, colour, colours)


def _text(label: Label, at: Point, size: float, colour: str, colours: _Colours) -> str:
    font = rf"\fontsize{{{_n(size)}bp}}{{{_n(1.2 * size)}bp}}\selectfont"
    return (
        rf"\node[text={colours.name(colour)},inner sep=0,font={{{font}}}] at ({_at(at)}) "
        f"{{$\\mathstrut {mathematics(label)}$}};"
    )


class _Colours:
    """Names for the colours that occur, in order of appearance."""

    def __init__(self) -> None:
        self._names: dict[str, str] = {}

    def name(self, colour: str) -> str:
        """The name of a colour written #rrggbb."""
        return self._names.setdefault(colour, f"gg{len(self._names)}")

    def definitions(self) -> list[str]:
        """The lines that define them."""
        return [
            rf"\definecolor{{{name}}}{{HTML}}{{{colour[1:].upper()}}}"
            for colour, name in self._names.items()
        ]


def _path(curve: Curve) -> str:
    parts = [f"({_at(curve[0])})"]
    for index in range(1, len(curve), 3):
        p1, p2, p3 = curve[index : index + 3]
        parts.append(f".. controls ({_at(p1)}) and ({_at(p2)}) .. ({_at(p3)})")
    return " ".join(parts)


def _at(point: Point) -> str:
    return f"{_n(point[0])},{_n(point[1])}"


def _n(value: float) -> str:
    text = f"{value:.2f}".rstrip("0").rstrip(".")
    return "0" if text in ("-0", "") else text
