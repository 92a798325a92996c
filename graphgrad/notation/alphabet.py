"""Greek letters, and text made safe for LaTeX and XML."""

from __future__ import annotations

import re
import unicodedata

_SMALL = "alpha beta gamma delta epsilon zeta eta theta iota kappa mu nu xi omicron pi rho sigma"
_SMALL += " tau upsilon phi chi psi omega"
_CAPITAL = "Gamma Delta Theta Xi Pi Sigma Phi Psi Omega"

GREEK = {name: unicodedata.lookup(f"GREEK SMALL LETTER {name}") for name in _SMALL.split()}
"""Greek letters by their names in the notation."""
GREEK |= {name: unicodedata.lookup(f"GREEK CAPITAL LETTER {name}") for name in _CAPITAL.split()}
# Unicode says lamda, and lambda is a word of Python
GREEK |= {"lambda": "λ", "lam": "λ", "Lambda": "Λ", "eps": "ε"}

COMMANDS = {letter: f"\\{name}" for name, letter in GREEK.items()}
"""The LaTeX of Greek letters; omicron has no command of its own."""
COMMANDS |= {"λ": r"\lambda", "ε": r"\varepsilon", "φ": r"\varphi", "ς": r"\varsigma", "ο": "o"}

LATEX_SPECIAL = {c: f"\\{c}" for c in "#$%&_{}"} | {
    "\\": r"\textbackslash{}",
    "~": r"\textasciitilde{}",
    "^": r"\textasciicircum{}",
}


def latex_escape(text: str) -> str:
    r"""Return a text as it stands in the text mode of LaTeX.

    >>> print(latex_escape("50 % of {x_1}, δ"))
    50 \% of \{x\_1\}, \ensuremath{\delta}
    """
    greek = {letter: rf"\ensuremath{{{command}}}" for letter, command in COMMANDS.items()}
    return "".join(LATEX_SPECIAL.get(c) or greek.get(c, c) for c in text)


def xml_escape(text: str) -> str:
    """Return a text as it stands in XML, attributes included; what XML forbids becomes U+FFFD.

    >>> print(xml_escape('a < "b"'))
    a &lt; &quot;b&quot;
    """
    text = re.sub(r"[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]", "\ufffd", text)
    entities = (("&", "&amp;"), ("<", "&lt;"), (">", "&gt;"), ('"', "&quot;"), ("'", "&#39;"))
    for character, entity in entities:
        text = text.replace(character, entity)
    return text
