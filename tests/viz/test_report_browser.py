"""The report in a browser: driven by mouse and keyboard, watched for errors and requests."""

from __future__ import annotations

import base64
import io
import sys

import numpy as np
import pypdf
import pytest

import graphgrad as gg
import viz
from viz.report import Report

pytest.importorskip("selenium.webdriver", reason="selenium comes with the dev extra")
from selenium.webdriver.common.by import By
from selenium.webdriver.common.keys import Keys
from selenium.webdriver.support.ui import WebDriverWait

from tests.viz.browser import Browser

pytestmark = pytest.mark.oracle("chromium")
HOSTILE = "</script><script>document.title='owned'</script><b onclick=alert(1)>\"' ]]> 😀 שלום"


@pytest.fixture(scope="module")
def running(tmp_path_factory):
    browser = Browser(tmp_path_factory.mktemp("profile"))
    yield browser
    browser.driver.quit()


@pytest.fixture
def show(running, tmp_path):
    """Open a report; afterwards there must be no message and no request to anywhere."""

    def opened(report: Report) -> Browser:
        running.open(report.html, tmp_path)
        return running

    running.messages(), running.requests()
    yield opened
    assert running.messages() == []
    local = ("file:", "data:", "about:", "chrome:")  # the last for the browser's own first page
    assert [url for url in running.requests() if not url.startswith(local)] == []


@pytest.fixture(scope="module")
def elman() -> Report:
    circuit = gg.cells.load("elman")
    return viz.report(circuit, proof=gg.prove(circuit, tau=2))


@pytest.mark.parametrize("name", ["lstm", "bidirectional", "fixed_point", "many_to_one"])
def test_cells_open(show, name):
    browser = show(viz.report(gg.cells.load(name)))
    assert browser.count("#unfolded .node") > 3
    assert browser.count("#circuit .node") > 0


def test_a_boundary_value_in_the_circuit_says_its_equation(show):
    browser = show(viz.report(gg.cells.load("one_to_many")))
    browser.point_at(browser.node("h[0]", "circuit"))
    assert "h[0] = tanh(R @ x)" in browser.details()
    assert "value" in browser.details()


def test_slider(show, elman):
    browser = show(elman)
    slider = browser.find("input.length")
    for keys, steps in ((Keys.ARROW_RIGHT, 4), (Keys.END, 6), (Keys.HOME, 1)):
        slider.send_keys(keys)
        assert browser.count("#unfolded .node.variable[data-name=h]") == steps
        assert browser.find("#unfolded .lengths").text == f"τ = {steps}"
        assert slider.get_attribute("aria-valuetext") == f"tau = {steps}"
    assert browser.js("return document.activeElement.className") == "length"


def test_two_sliders(show):
    browser = show(viz.report(gg.cells.load("encoder_decoder")))
    first, second = browser.driver.find_elements(By.CSS_SELECTOR, "input.length")
    first.send_keys(Keys.HOME)
    second.send_keys(Keys.END)
    assert browser.count("#unfolded .node.variable[data-name=h]") == 1
    assert browser.count("#unfolded .node.variable[data-name=g]") == 4


def test_hover_shows_equation_value_and_gradient(show, elman):
    circuit = gg.cells.load("elman")
    browser = show(elman)
    browser.point_at(browser.node("h.2"))
    said = browser.details()
    assert "h[2] = tanh(a[2])" in said
    assert "(H)" in said
    assert browser.count("#details math") == 2
    sizes = {"D": 3, "K": 2, "H": 4}
    data = circuit.example(0, 6, **sizes)
    values = circuit.init(0, **sizes) | {"x": data["x"][:3], "y": data["y"][:3]}
    found = circuit.unfold(3, **sizes).grad().evaluate(values)
    tables = browser.driver.find_elements(By.CSS_SELECTOR, "#details .array")
    for table, expected in zip(tables, (found["h"][1], found["d_h"][1]), strict=True):
        cells = [cell.text.replace("−", "-") for cell in table.find_elements(By.TAG_NAME, "td")]
        np.testing.assert_allclose([float(cell) for cell in cells], expected, atol=6e-4, rtol=6e-3)
    browser.point_at(browser.find("h1"))
    assert "Point at a node" in browser.details()


def test_values_of_a_long_sequence(show):
    browser = show(viz.report(gg.cells.load("elman"), tau=40))
    browser.point_at(browser.node("h.40"))
    assert "h[40] = tanh(a[40])" in browser.details()
    assert browser.count("#details .array") == 2
    browser.point_at(browser.find("#circuit .node.variable[data-name=h]"))
    said = browser.details()
    assert [step for step in ("t = 1", "t = 3", "⋮", "t = 40") if step not in said] == []
    assert "t = 4\n" not in said


def test_tracing(show, elman):
    browser = show(elman)
    browser.point_at(browser.node("h.2"))
    assert browser.lit("here") == {"h.2"}
    assert browser.lit("up") == {"a.2", "x.2", "h.1", "a.1", "x.1", "h.0", "U", "W", "b"}
    down = {"o.2", "yhat.2", "L.2", "a.3", "h.3", "o.3", "yhat.3", "L.3", "loss"}
    assert browser.lit("down") == down
    browser.click("input[value=up]")
    browser.point_at(browser.node("h.2"))
    assert browser.lit("down") == set()
    browser.click("#trace input[value=both]")
    browser.point_at(browser.node("W"))
    assert browser.lit("down") == {"a.1", "a.2", "a.3"}  # the uses of the parameter
    browser.point_at(browser.node("h", "circuit"))
    assert browser.lit("up", "circuit") == {"a"}
    assert browser.count("[data-names~=h].lit") >= 2  # its equation and its declaration


def test_keyboard(show, elman):
    browser = show(elman)
    browser.js("document.getElementById('full-size').focus()")
    browser.press(Keys.TAB)
    focused = "return document.activeElement.dataset.id"
    assert browser.js(focused)
    browser.js("arguments[0].focus()", browser.node("h.1"))
    browser.press(Keys.ARROW_RIGHT)
    assert browser.js(focused) == "h.2"
    browser.press(Keys.ARROW_UP)
    assert browser.js(focused) == "o.2"
    browser.press(Keys.ARROW_DOWN)
    browser.press(Keys.ARROW_LEFT)
    assert browser.js(focused) == "h.1"
    assert "h[1] = tanh(a[1])" in browser.details()
    outline = "return getComputedStyle(document.activeElement.querySelector('circle')).strokeWidth"
    assert browser.js(outline) == "4px"
    browser.press(Keys.ENTER)
    assert browser.node("h.1").get_attribute("aria-pressed") == "true"
    browser.press(Keys.TAB)  # on to the circuit; what is kept stays in the panel
    browser.js("document.activeElement.blur()")
    assert "h[1] = tanh(a[1])" in browser.details()
    slider = browser.find("input.length")
    slider.send_keys(Keys.ARROW_RIGHT)
    assert "h[1] = tanh(a[1])" in browser.details()  # kept through a redrawing
    browser.press(Keys.ESCAPE)
    assert browser.lit("here") == set()


def test_names_for_screen_readers(show, elman):
    browser = show(elman)
    assert browser.node("h.2").get_attribute("aria-label") == "h at step 2, variable"
    assert browser.find("#unfolded svg").get_attribute("role") == "application"
    assert "h[t] = tanh(a[t])" in browser.find("#unfolded svg").get_attribute("aria-label")
    tree = browser.driver.execute_cdp_cmd("Accessibility.getFullAXTree", {})["nodes"]
    named = {(n["role"]["value"], n["name"]["value"]) for n in tree if "role" in n and "name" in n}
    assert ("button", "h at step 2, variable") in named
    assert ("region", "Graph") in named
    assert ("main", "") in named
    assert ("navigation", "Sections") in named
    unnamed = [role for role, name in named if role in ("button", "slider", "radio") and not name]
    assert unnamed == []


def test_level(show, elman):
    browser = show(elman)
    browser.click("input[value=operations]")
    assert browser.count("#unfolded .node.operation") > 10
    assert browser.count("#circuit .node.operation") > 3
    browser.point_at(browser.find("#unfolded .node.operation"))
    assert "the equation of" in browser.details()
    browser.click("input[value=variables]")
    assert browser.count(".node.operation") == 0


def test_flow(show):
    browser = show(viz.report(gg.cells.load("gru")))
    assert browser.count("#unfolded .adjoint") == 0
    browser.click("#flow input[value=both]")
    assert browser.count("#unfolded .adjoint") > 5
    hidden = "return getComputedStyle(document.querySelector('#unfolded .edge.forward')).visibility"
    assert browser.js(hidden) == "visible"
    browser.point_at(browser.node("h.1"))
    assert "x.1" in browser.lit("up")
    assert "loss" in browser.lit("down")
    assert browser.count("#details math") == 2  # its equation and that of its gradient
    browser.click("input[value=backward]")
    assert browser.js(hidden) == "hidden"
    browser.find("input.length").send_keys(Keys.END)
    assert browser.count("#unfolded .node[data-name=h].variable") == 6
    assert browser.count("#unfolded .adjoint") > 10
    browser.click("input[value=forward]")
    assert browser.count("#unfolded .adjoint") == 0


def test_no_dead_control(show, monkeypatch):
    browser = show(viz.report(gg.cells.load("fixed_point")))
    assert browser.count("#flow") == 0
    # where the page would be too long, only the variables have a backward view
    richest = viz.report(gg.cells.load("vanilla")).html
    monkeypatch.setattr(sys.modules["viz.report"], "LIMIT", len(richest.encode()) - 1)
    browser = show(viz.report(gg.cells.load("vanilla")))
    flow = browser.find("#flow")
    assert flow.is_displayed()
    browser.click("input[value=operations]")
    assert not flow.is_displayed()
    browser.click("input[value=variables]")
    assert flow.is_displayed()


def test_operations_and_boundaries_have_values(show):
    circuit = gg.parse(
        "x[t]: input()\nh0: input()\nw: param()\nh[0] = h0 / 2\n"
        "h[t] = tanh(w * h[t-1]) + x[t]\nloss = h[tau]"
    )
    values = {"x": [0.25, 0.5, 1.0], "h0": 3.0, "w": 0.5}
    found = circuit.unfold(3).evaluate(values)
    browser = show(viz.report(circuit, values=values))
    browser.point_at(browser.node("h.0"))
    assert "h[0] = h0 / 2" in browser.details()
    assert "1.500" in browser.details()
    browser.click("input[value=operations]")
    browser.point_at(browser.find('#unfolded [data-name^="h/tanh"][data-time="2"]'))
    assert f"{np.tanh(0.5 * found['h'][0]):.3f}" in browser.details()
    browser.point_at(browser.find('#circuit [data-name^="h/tanh"]'))
    assert "t = 3" in browser.details()  # in the circuit, a node stands for all steps


def test_lines_that_join_are_lit_to_their_end(show):
    browser = show(viz.report(gg.cells.load("lstm")))
    browser.point_at(browser.node("yhat.2"))
    assert "loss" in browser.lit("down")
    assert browser.count("#unfolded .prolonged.down") == 1
    browser.click("#flow input[value=backward]")
    browser.point_at(browser.node("yhat.2"))
    assert browser.count("#unfolded .prolonged.adjoint") == 1
    browser.point_at(browser.find("h1"))
    assert browser.count(".prolonged") == 0


def test_light_and_dark(show, elman):
    browser = show(elman)
    colours = "return [getComputedStyle(document.body).backgroundColor, "
    colours += "getComputedStyle(document.querySelector('.node.input > circle')).fill]"
    light = browser.js(colours)
    theme = browser.find("#theme")
    theme.click()
    dark = browser.js(colours)
    assert light[0] == "rgb(255, 255, 255)"
    assert light[0] != dark[0]
    assert light[1] != dark[1]
    assert theme.get_attribute("aria-pressed") == "true"
    theme.click()
    assert browser.js(colours) == light
    browser.js("delete document.documentElement.dataset.theme")
    prefers = [{"name": "prefers-color-scheme", "value": "dark"}]
    browser.driver.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": prefers})
    try:
        assert browser.js(colours) == dark
    finally:
        browser.driver.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": []})


def test_copy(show, elman):
    browser = show(elman)
    copied = "window.copied = []; document.addEventListener('copy', () => "
    copied += "copied.push(String(document.activeElement.value ?? '')))"
    browser.js("delete Navigator.prototype.clipboard; " + copied)
    for target, text in (("text-forward", "h[t] = tanh(a[t])"), ("latex-backward", "align*")):
        button = browser.find(f"[data-copy={target}]")
        browser.click(f"[data-copy={target}]")
        WebDriverWait(browser.driver, 5).until(lambda _, b=button: b.text == "Copied")
        assert text in browser.js("return copied.at(-1)")
    assert browser.find("#status").get_attribute("textContent") == "Copied"


def test_text_is_shown_as_typed(show):
    circuit = gg.cells.load("vanilla")
    browser = show(viz.report(circuit, title=HOSTILE))
    assert browser.driver.title == HOSTILE
    assert browser.find("h1").text == HOSTILE


def test_narrow_window(show, elman):
    browser = show(elman)
    metrics = {"width": 360, "height": 740, "deviceScaleFactor": 1, "mobile": False}
    browser.driver.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", metrics)
    try:
        assert browser.js("return document.documentElement.scrollWidth") <= 360
    finally:
        browser.driver.execute_cdp_cmd("Emulation.clearDeviceMetricsOverride", {})


def printed(browser: Browser) -> list[str]:
    """The texts of the pages that a report is printed on."""
    data = browser.driver.execute_cdp_cmd(
        "Page.printToPDF", {"paperWidth": 8.27, "paperHeight": 11.69}
    )["data"]
    pages = pypdf.PdfReader(io.BytesIO(base64.b64decode(data))).pages
    return [page.extract_text() for page in pages]


def test_print(show, elman):
    text = "".join(printed(show(elman)))
    for heading in ("Forward", "Backward", "Declarations", "Unfolded", "Circuit", "Proof"):
        assert heading in text
    for control in ("Copy notation", "Trace", "Details", "Skip to"):
        assert control not in text


def test_long_equations_go_on_over_the_page(show):
    pages = printed(show(viz.report(gg.cells.load("lstm"))))
    assert [
        text for text in pages if len(text) <= 80
    ] == []  # no sheet is empty, or has a heading alone
    (first,) = [number for number, text in enumerate(pages) if "Backward: " in text]
    assert "∂" in pages[first] or "𝜕" in pages[first]
    assert len(pages) <= 7


def test_printed_pages_are_full(show, elman):
    """The declarations stand in two columns, the pictures side by side, proofs go on over pages."""
    first, second, third = printed(show(elman))
    assert "Declarations" in first
    assert "Backward: " in first
    assert "Circuit: " in second
    assert "Unfolded" in second
    assert "How far" in second
    assert "boundary values" in third


TRANSDUCER = """
# Encoder-decoder
s: steps(m)
t: steps(n)
x[s]: input(D)
y[t]: distribution(K)
W: param(H, H)
U: param(H, D)
R: param(H, H)
C: param(H, H)
S: param(H, K)
V: param(K, H)
h[s] = tanh(W @ h[s-1] + U @ x[s])
g[0] = tanh(C @ h[m])
g[t] = tanh(R @ g[t-1] + S @ y[t-1])
yhat[t] = softmax(V @ g[t])
L[t] = cross_entropy(yhat[t], y[t])
loss = sum(L[t] for t in steps)
"""


def test_a_long_backward_pass_leaves_no_page_half_empty(show):
    """The pictures find room behind the equations that went on over the page."""
    pages = printed(show(viz.report(gg.parse(TRANSDUCER))))
    (pictures,) = [text for text in pages if "Circuit: " in text]
    for text in ("Unfolded", "How far"):
        assert text in pictures
    assert pages.index(pictures) == 1


def test_notebook_frame(running, tmp_path, elman):
    page = tmp_path / "notebook.html"
    page.write_text(f"<!DOCTYPE html><title>n</title>{elman._repr_html_()}", encoding="utf-8")
    running.driver.get(page.as_uri())
    running.driver.switch_to.frame(0)
    try:
        WebDriverWait(running.driver, 20).until(
            lambda driver: running.js("return document.documentElement.dataset.ready ?? null")
        )
        running.find("#theme").click()
        running.find("input.length").send_keys(Keys.END)
        assert running.count("#unfolded .node.variable[data-name=h]") == 6
    finally:
        running.driver.switch_to.default_content()
