"""Labels in TeX: mathematics as mathematics, everything else as typed."""

from __future__ import annotations

import re

import pytest

from viz.label import Label, Run, roman, symbol
from viz.tex import escaped, mathematics


def test_nothing_that_tex_obeys_is_left() -> None:
    safe = escaped(r"\input{/etc/passwd} 100% $x$ #1 & ~^_{}")
    assert r"\input" not in safe.replace(r"\textbackslash{}input", "")
    for special in "%$#&_":
        assert re.search(rf"(?<!\\){re.escape(special)}", safe) is None


@pytest.mark.parametrize(
    ("label", "shown"),
    [
        (symbol("yhat", sup="(t)"), r"\hat{y}^{(t)}"),
        (symbol("delta_h"), r"\delta _{h}"),
        (roman("½‖·‖²"), r"\tfrac12\Vert \cdot \Vert ^2"),
        (roman("tanh"), r"\mathrm{tanh}"),
        (roman("gates", bold=True), r"\boldsymbol{\mathrm{gates}}"),
        (roman("a 1", bold=True), r"\text{\textbf{a\ 1}}"),
        (Label((Run("1", level=1), Run("2", level=-1), Run("3", level=1))), "{}^{1}_{2}{}^{3}"),
    ],
)
def test_mathematics(label: Label, shown: str) -> None:
    assert mathematics(label) == shown
