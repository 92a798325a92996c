"""Names as mathematics."""

from __future__ import annotations

from xml.etree import ElementTree

import pytest
from hypothesis import given
from hypothesis import strategies as st

from graphgrad import cells
from graphgrad.notation.names import symbol
from graphgrad.notation.naming import Names
from graphgrad.notation.parse import parse

SHOWN = {
    "h": ("h", "h"),
    "alpha": ("α", r"\alpha"),
    "α": ("α", r"\alpha"),
    "lam": ("λ", r"\lambda"),
    "Omega": ("Ω", r"\Omega"),
    "epsilon": ("ε", r"\varepsilon"),
    "yhat": ("ŷ", r"\hat{y}"),
    "htilde": ("h̃", r"\tilde{h}"),
    "xbar": ("x̄", r"\bar{x}"),
    "y_hat": ("ŷ", r"\hat{y}"),
    "thetahat": ("θ̂", r"\hat{\theta}"),
    "what": ("ŵ", r"\hat{w}"),
    "bar": ("bar", r"\mathrm{bar}"),
    "h1": ("h_1", "h_1"),
    "b12": ("b_12", "b_{12}"),
    "h_0": ("h_0", "h_0"),
    "h_m1": ("h_−1", "h_{-1}"),
    "W_xh": ("W_xh", "W_{xh}"),
    "W_x_h": ("W_x,h", "W_{x, h}"),
    "W_in": ("W_in", r"W_{\mathrm{in}}"),
    "W_out": ("W_out", r"W_{\mathrm{out}}"),
    "W_fb": ("W_fb", r"W_{\mathrm{fb}}"),
    "W_fh": ("W_fh", "W_{fh}"),
    "b_hidden": ("b_hidden", r"b_{\mathrm{hidden}}"),
    "theta_yhat": ("θ_ŷ", r"\theta_{\hat{y}}"),
    "ridge": ("ridge", r"\mathrm{ridge}"),
    "layer1": ("layer_1", r"\mathrm{layer}_1"),
    "delta_h": ("δ_h", r"\delta_h"),
    "d_h": ("δ_h", r"\delta_h"),
    "dd_h": ("δ̄_h", r"\bar{\delta}_h"),
    "dot_h": ("ḣ", r"\dot{h}"),
    "dot_W_xh": ("Ẇ_xh", r"\dot{W}_{xh}"),
    "ddot_h": ("ḧ", r"\ddot{h}"),
    "dot_yhat": ("ẏ\u0302", r"\dot{\hat{y}}"),
    "dot_d_h": ("δ̇_h", r"\dot{\delta}_h"),
    "loss": ("L", "L"),
    "tau": ("τ", r"\tau"),
    "_x": ("_x", r"\mathrm{\_x}"),
    "a__b": ("a__b", r"\mathrm{a\_\_b}"),
    "x1y": ("x1y", r"\mathrm{x1y}"),
}


@pytest.mark.parametrize("name", SHOWN)
def test_symbols(name: str) -> None:
    assert (str(symbol(name)), symbol(name).latex()) == SHOWN[name]


def test_a_dot_is_for_the_tangents_of_a_circuit_only() -> None:
    circuit = parse("dot_product: param()\nw: param()\nh[t] = w * dot_product\nloss = h[tau]")
    assert str(Names(circuit.declared())["dot_product"]) == "dot_product"
    forward = parse(str(circuit.tangent("w")))
    assert str(Names(forward.declared())["ddot_h"]) == "ḧ"
    elman = cells.load("elman").tangent()
    shown = Names(elman.declared())
    assert str(shown["dot_loss"]) == str(shown["dot_L"]) == "L̇"


def test_runs_for_pictures() -> None:
    label = pytest.importorskip("viz.label")
    runs = [label.Run(*run) for run in symbol("yhat_h1").runs(sup="(t-1)")]
    assert label.Label(tuple(runs)).text.startswith("ŷ_h")
    assert [run.level for run in runs] == [0, -1, -1, 1, 1, 1]
    assert [run.italic for run in runs] == [True, True, False, False, True, False]
    assert str(symbol("W_xh")) == "W_xh"
    for name in ("W_in", "W_out", "W_fb"):
        assert [run.italic for run in symbol(name).runs()] == [True, False]


NAME = st.from_regex(r"[A-Za-z_α-ωΓΔ][A-Za-z0-9_α-ω]{0,30}", fullmatch=True)


@given(NAME)
def test_every_name_can_be_shown(name: str) -> None:
    shown = symbol(name)
    ElementTree.fromstring(shown.mathml())
    assert shown.latex().count("{") == shown.latex().count("}")
    assert shown.latex().isascii()
    assert all(run.text for run in shown.runs())


def test_long_names_cost_no_recursion() -> None:
    assert "_" in str(symbol("d_" * 5000 + "h"))


def names_of(text: str, **options: object) -> Names:
    return Names(parse(text).declared(), **options)  # type: ignore[arg-type]


def latex_of(text: str, **options: object) -> dict[str, str]:
    return {name: shown.latex() for name, shown in names_of(text, **options).items()}


def test_names_that_would_look_alike_differ() -> None:
    shown = latex_of(
        "h1: param()\nh_1: param()\nlam: param()\nλ: param()\nloss = h1 * h_1 * lam * λ"
    )
    assert shown["h1"] == "h_1"
    assert shown["h_1"] == r"\mathrm{h\_1}"
    assert (shown["λ"], shown["lam"]) == (r"\lambda", r"\mathrm{lam}")


def test_loss_beside_its_terms() -> None:
    shown = latex_of("x[t]: input()\nL[t] = x[t]\nloss = sum(L[t] for t in steps)")
    assert (shown["L"], shown["loss"]) == ("L", "L")
    shown = latex_of("x[t]: input()\nL: param()\nloss = L * sum(x[t] for t in steps)")
    assert (shown["L"], shown["loss"]) == ("L", r"\mathrm{loss}")


def test_subscript_names_differ_from_steps() -> None:
    text = "h0: input()\nw: param()\nh[0] = h0\nh[t] = w * h[t-1]\nloss = h[tau]"
    assert latex_of(text)["h0"] == "h_0"
    assert latex_of(text, subscripts=True)["h0"] == r"\mathrm{h0}"


def test_cotangents() -> None:
    shown = latex_of(
        """
h0: input(H)
W_hh: param(H, H)
h[0] = h0
g[tau+1] = h0
h[t] = W_hh @ h[t-1]
g[t] = W_hh @ g[t+1]
C = h[tau] + g[1]
loss = C @ C
d_h[t] = h[t]
delta_h[t] = h[t]
delta_h2[t] = h[t]
d_C = h0
d_h_0 = h0
d_h_m1 = h0
d_g_tau1 = h0
d_W_hh = W_hh
d_h0 = h0
dd_h[t] = h[t]
dd_W_hh = W_hh
d_k = h0
"""
    )
    assert {name: shown[name] for name in shown if name.startswith("d")} == {
        "d_h": r"\delta_h",
        "delta_h": r"\tilde{\delta}_h",
        "delta_h2": r"\tilde{\delta}_{h, 2}",
        "d_C": r"\delta_C",
        "d_h_0": r"\delta_h^{(0)}",
        "d_h_m1": r"\delta_h^{(-1)}",
        "d_g_tau1": r"\delta_g^{(\tau+1)}",
        "d_W_hh": r"\frac{\partial L}{\partial W_{hh}}",
        "d_h0": r"\frac{\partial L}{\partial h_0}",
        "dd_h": r"\bar{\delta}_h",
        "dd_W_hh": r"\bar{\delta}_{W_{hh}}",
        "d_k": "d_k",
    }


def test_loss_of_another_name() -> None:
    names = names_of("w: param()\nJ = w * w\nd_w = 2 * w", loss="J")
    assert names["d_w"].latex() == r"\frac{\partial J}{\partial w}"
    assert str(names["d_w"]) == "∂J/∂w"
    assert latex_of("w: param()\nJ = w * w\nd_w = 2 * w")["d_w"] == names["d_w"].latex()
    several = latex_of("w: param()\nJ = w * w\nK = 2 * w\nd_w = 2 * w")
    assert several["d_w"] == r"\frac{\partial L}{\partial w}"


@pytest.mark.parametrize("cell", cells.names())
@pytest.mark.parametrize("subscripts", [False, True])
def test_no_two_names_of_a_cell_look_alike(cell: str, subscripts: bool) -> None:
    declared = cells.load(cell).declared()
    names = Names(declared, subscripts=subscripts)
    used = [*declared.params, *declared.inputs, *declared.equations, *declared.sizes]
    looks = [(names[name].latex(), declared.index_of(name) is None) for name in used]
    assert len(set(looks)) == len(looks)
