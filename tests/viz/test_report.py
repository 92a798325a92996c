"""The report as text: whole, well-formed, small, offline, escaped, the same every time."""

from __future__ import annotations

import base64
import hashlib
import json
import re
import xml.etree.ElementTree as ET
import zlib
from html.parser import HTMLParser
from itertools import accumulate

import numpy as np
import pytest

import graphgrad as gg
import viz
from graphgrad.errors import DataError, GraphgradError
from viz.report import LIMIT
from viz.report_flow import reach_section
from viz.report_values import shown

HOSTILE = "</script><b>\"'`&amp; javascript:alert(1) ]]> {} $title \\N % 😀 שלום <!--"
NAMESPACES = {"http://www.w3.org/2000/svg", "http://www.w3.org/1998/Math/MathML"}
VOID = {"meta", "input", "br", "hr", "link", "img"}


class Page(HTMLParser):
    """Reads a page strictly: every element is closed, attributes are given once."""

    def __init__(self, html: str) -> None:
        super().__init__(convert_charrefs=True)
        self.open: list[str] = []
        self.ids: list[str] = []
        self.targets: list[str] = []
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.text: list[str] = []
        self.feed(html)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag, attrs):
        assert len({name for name, _ in attrs}) == len(attrs), (tag, attrs)
        named = dict(attrs)
        self.elements.append((tag, named))
        self.ids += [named["id"]] if "id" in named else []
        for reference in ("aria-labelledby", "data-copy"):
            self.targets += [named[reference]] if reference in named else []
        if named.get("href"):
            self.targets.append(named["href"].removeprefix("#"))
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag, attrs):
        self.elements.append((tag, dict(attrs)))

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        self.text.append(data)


def payload(html: str) -> dict:
    packed = re.search(r'id="data">([^<]*)<', html)[1]
    data = json.loads(zlib.decompress(base64.b64decode(packed)))
    data["pictures"] = {
        key: "\n".join(data["lines"][number] for number in accumulate(steps))
        for key, steps in data["pictures"].items()
    }
    return data


@pytest.fixture(scope="module")
def elman() -> str:
    return viz.report(gg.cells.load("elman")).html


@pytest.mark.parametrize("name", gg.cells.names())
def test_every_cell(name):
    circuit = gg.cells.load(name)
    html = viz.report(circuit).html
    assert len(html.encode()) <= 0.85 * LIMIT  # there is room for a proof
    page = Page(html)
    assert len(set(page.ids)) == len(page.ids)
    assert set(page.targets) <= set(page.ids)
    assert set(re.findall(r"https?://[^\s\"'<>)]+", html)) <= NAMESPACES
    data = payload(html)
    assert data["levels"] == ["variables", "operations"]
    assert data["backward"] == (data["levels"] if data["loss"] else [])
    assert max(data["choices"][0]["steps"]) == (4 if len(data["choices"]) == 2 else 6)
    for svg in data["pictures"].values():
        assert set(re.findall(r"https?://[^\s\"'<>)]+", svg)) <= NAMESPACES
        ET.fromstring(svg)
        assert not re.search(r" (?:id|style|(?:fill|stroke)=\"#)", svg.partition(">")[2])
    for item in data["items"].values():
        if "mathml" in item:
            ET.fromstring(item["mathml"])
    for math in re.findall(r"<math.*?</math>", html, re.DOTALL):
        ET.fromstring(math)
    assert not [v["error"] for v in data["values"].values() if "error" in v]


def test_pictures_for_every_choice(elman):
    data = payload(elman)
    assert [choice["steps"] for choice in data["choices"]] == [[1, 2, 3, 4, 5, 6]]
    assert set(data["pictures"]) == {
        f"{view}:{level}:{steps}"
        for level in data["levels"]
        for view, choices in (
            ("circuit", [""]),
            ("forward", range(1, 7)),
            ("backward", range(1, 7)),
        )
        for steps in choices
    }
    assert (
        data["pictures"]["forward:variables:5"].count('data-name="h"') == 6
    )  # h[0] is one of them
    assert set(data["values"]) == set("123456")


def test_two_index_sets():
    html = viz.report(gg.cells.load("encoder_decoder"), tau={"s": 2, "t": 4}).html
    data = payload(html)
    assert [c["length"] for c in data["choices"]] == ["m", "n"]
    assert [c["start"] for c in data["choices"]] == [2, 4]
    assert "forward:variables:2,3" in data["pictures"]
    assert html.count('class="length"') == 2


def test_values_are_those_of_the_engine():
    circuit = gg.cells.load("lstm")
    data = payload(viz.report(circuit, sizes={"H": 2, "D": 2, "K": 2}).html)
    sizes = {"H": 2, "D": 2, "K": 2}
    inputs = {name: array[:4] for name, array in circuit.example(0, 6, **sizes).items()}
    values = circuit.init(0, **sizes) | inputs
    found = circuit.adjoint().unfold(4, **sizes).evaluate(values)
    at = data["values"]["4"]
    for name in ("c", "h", "yhat"):
        np.testing.assert_allclose(at["values"][name], found[name], rtol=1e-3)
    for name in ("W_f", "V", "b_i", "h", "c"):
        np.testing.assert_allclose(at["gradients"][name], found[f"d_{name}"], rtol=1e-3)
    np.testing.assert_allclose(at["values"]["x"], inputs["x"], rtol=1e-3)


def test_gradients_of_operations_are_those_of_the_loss():
    found = payload(viz.report(gg.cells.load("gru")).html)["values"]["3"]
    grads = found["gradients"]
    assert grads["h/add1"] == grads["h"]  # the last operation of an equation
    assert grads["h[0] = h0"] == grads["h0"]  # a boundary value
    h, z = (np.array(found["values"][name]) for name in ("h/add1", "z"))
    before = np.vstack([found["values"]["h0"], h[:-1]])
    np.testing.assert_allclose(grads["h/mul2"], grads["h"])
    np.testing.assert_allclose(
        grads["z"], grads["h"] * (before - found["values"]["htilde"]), rtol=5e-3, atol=1e-4
    )
    np.testing.assert_allclose(grads["z/add2"], grads["z"] * z * (1 - z), rtol=5e-3, atol=1e-6)
    assert grads["loss/term1"] == [1.0, 1.0, 1.0]


def test_operations_at_some_steps_have_values_and_no_gradients():
    found = payload(viz.report(gg.cells.load("hidden_markov_model")).html)["values"]["3"]
    assert "prior/matmul1" in found["values"]
    assert "prior/matmul1" not in found["gradients"]
    assert "u/mul1" in found["gradients"]


def test_given_values():
    circuit = gg.parse(
        "x[t]: input()\nw: param()\nh[t] = w * x[t]\nloss = sum(h[t] for t in steps)"
    )
    report = viz.report(circuit, tau=2, values={"w": 3.0, "x": [1.0, 2.0, 4.0]})
    data = payload(report.html)
    assert data["choices"][0]["steps"] == [1, 2, 3]  # as long as the data
    assert data["values"]["3"]["values"]["h"] == [3.0, 6.0, 12.0]
    assert data["values"]["2"]["gradients"]["w"] == 3.0
    assert "given by the author" in report.html
    with pytest.raises(DataError, match="3 steps"):
        viz.report(circuit, tau=4, values={"w": 3.0, "x": [1.0, 2.0, 4.0]})
    with pytest.raises(DataError, match="no value for the parameter w"):
        viz.report(circuit, tau=2, values={"x": [1.0, 2.0]})


def test_shown_numbers():
    assert shown(np.array([1 / 3, 2e-7, -5])) == [0.3333, 2e-07, -5.0]
    assert shown(np.array([1, 2])) == [1, 2]
    assert shown(np.array(np.nan)) == "nan"
    assert shown(np.ones((9, 9))) == {"shape": [9, 9], "norm": 9.0}


def test_no_loss_and_no_parameters():
    fixed = viz.report(gg.cells.load("fixed_point")).html
    assert "has no equation for loss" in fixed
    assert "nothing to prove" in fixed
    assert payload(fixed)["loss"] is None
    loss_only = gg.parse("x[t]: input()\nloss = sum(x[t] for t in steps)")
    assert "has no parameters" in viz.report(loss_only).html
    static = gg.parse("w: param()\nloss = w * w")
    html = viz.report(static).html
    assert 'class="length"' not in html  # there is no time to choose
    assert payload(html)["values"]["3"]["gradients"]["w"] is not None


def test_series_as_loss():
    circuit = gg.parse("x[t]: input()\nw: param()\nloss[t] = w * x[t]")
    Page(viz.report(circuit).html)


def test_gradient_that_is_zero_is_remarked():
    circuit = gg.parse("w: param()\nv: param()\nloss = w * w")
    assert re.search(r'class="note">[^<]*v', viz.report(circuit).html)


def test_proof(elman):
    assert "graphgrad.prove(c)" in elman
    circuit = gg.cells.load("two_step_scalar")
    proof = gg.prove(circuit, tau=2)
    html = viz.report(circuit, tau=2, proof=proof).html
    assert proof._repr_html_() in html
    assert all(assumption in html for assumption in proof.assumptions)


def test_hostile_title():
    circuit = gg.cells.load("vanilla")
    html = viz.report(circuit, title=HOSTILE).html
    page = Page(html)
    assert "".join(page.text).count(HOSTILE) == 2  # title and heading, as typed
    assert len(re.findall("</script>", html)) == 2
    assert [tag for tag, _ in page.elements].count("b") == 2  # the captions' own
    for control in ("a\0b", "a\x1bb", "\ud800"):
        Page(viz.report(circuit, title=control).html)
        viz.report(circuit, title=control).html.encode()


@pytest.mark.parametrize("name", [HOSTILE, "a\0b", "\ud800", '"""\nassert False\n"""', "a\\"])
def test_hostile_name_of_a_circuit(name):
    circuit = gg.cells.load("vanilla")
    circuit.name = circuit.title = name
    html = viz.report(circuit).html
    html.encode()
    page = Page(html)
    assert [tag for tag, _ in page.elements].count("script") == 2
    assert not [key for _, attributes in page.elements for key in attributes if key[:2] == "on"]
    exec(compile(payload(html)["code"], "code", "exec"), {})


def test_hostile_comment():
    circuit = gg.parse(f"# {HOSTILE}\n{gg.cells.load('vanilla')}")
    assert HOSTILE in "".join(Page(viz.report(circuit).html).text)


def test_policy_names_the_script(elman):
    script = re.search(r"<script>(.*?)</script>", elman, re.DOTALL)[1]
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    policy = re.search(r'Content-Security-Policy" content="([^"]*)"', elman)[1]
    assert f"script-src 'sha256-{digest}'" in policy
    assert "default-src 'none'" in policy
    for tag, attributes in Page(elman).elements:
        assert not [name for name in attributes if name.startswith("on")], tag
        assert "src" not in attributes


def test_same_bytes(elman):
    assert viz.report(gg.cells.load("elman")).html == elman
    other = gg.parse(str(gg.cells.load("elman")), name="elman")
    assert viz.report(other).html == elman


def test_landmarks_and_labels(elman):
    page = Page(elman)
    tags = [tag for tag, _ in page.elements]
    for landmark in ("header", "nav", "main", "aside"):
        assert tags.count(landmark) == 1
    assert next(tag for tag in tags if re.fullmatch("h[1-6]", tag)) == "h1"
    assert dict(page.elements)["html"] == {"lang": "en"}
    assert any(a.get("aria-live") == "polite" for _, a in page.elements)
    pictures = [a for tag, a in page.elements if tag == "svg"]
    assert len(pictures) == 2
    assert all(picture["aria-label"] for picture in pictures)


def test_save(tmp_path, elman):
    path = tmp_path / "elman.html"
    viz.report(gg.cells.load("elman")).save(path)
    assert path.read_bytes() == elman.encode()
    assert [file.name for file in tmp_path.iterdir()] == ["elman.html"]


def test_notebook():
    frame = viz.report(gg.cells.load("vanilla"))._repr_html_()
    (((tag, attributes),)) = Page(frame).elements
    assert tag == "iframe"
    assert attributes["sandbox"] == "allow-scripts"
    assert attributes["srcdoc"].startswith("<!DOCTYPE html>")


def test_long_sequence_is_folded_and_small():
    html = viz.report(gg.cells.load("lstm"), tau=60).html
    assert len(html.encode()) <= LIMIT
    assert payload(html)["choices"][0]["start"] == 60


def test_of_a_long_sequence_the_values_are_there_that_are_drawn():
    circuit, sizes = gg.cells.load("elman"), {"D": 2, "H": 2, "K": 2}
    html = viz.report(circuit, tau=2000, sizes=sizes).html
    assert len(html.encode()) <= LIMIT
    at = payload(html)["values"]["2000"]
    values = circuit.init(0, **sizes) | circuit.example(0, 2000, **sizes)
    found = circuit.unfold(2000, **sizes).grad().evaluate(values)
    for kind, prefix in (("values", ""), ("gradients", "d_")):
        assert list(at[kind]["h"]) == ["1", "2", "3", "2000"]
        for t, numbers in at[kind]["h"].items():
            np.testing.assert_allclose(numbers, found[f"{prefix}h"][int(t) - 1], rtol=1e-3)
    assert len(payload(html)["values"]["6"]["values"]["h"]) == 6


def test_errors_are_ours():
    circuit = gg.Circuit()
    h = circuit.var("h")
    h[gg.t] = h[gg.t]
    with pytest.raises(GraphgradError):
        viz.report(circuit)
    with pytest.raises(GraphgradError):
        viz.report(gg.cells.load("elman"), tau=0)
    with pytest.raises(GraphgradError):
        viz.report(gg.cells.load("elman"), sizes={"Q": 3})


def test_contributions_are_tables_by_loss_step_and_use_step():
    circuit = gg.parse(
        "x[t]: input()\nw: param()\nh[t] = w * h[t-1] + x[t]\nloss = sum(h[t] for t in steps)"
    )
    html = viz.report(circuit, values={"w": 0.5, "x": np.arange(1.0, 6.0)}, tau=5).html
    table = ET.fromstring(re.search(r'<table class="map">.*?</table>', html, re.DOTALL)[0])
    rows = [[cell.text for cell in row.findall("td")] for row in table.iter("tr")][1:]
    assert [row[1:] for row in rows[:2]] == [["·"] * 4, ["1", "·", "·", "·"]]
    assert rows[2] == ["·", ".5", "2.5", "·", "·"]
    summed = sum(float(cell) for row in rows for cell in row if cell != "·")
    assert summed == pytest.approx(18.75, abs=0.2)


def test_the_code_of_the_page_runs(elman):
    source = payload(elman)["code"]
    space: dict = {}
    exec(compile(source, "code", "exec"), space)
    circuit = gg.cells.load("elman")
    params, data = circuit.init(0, D=2, H=3, K=2), circuit.example(1, 4, (2,), D=2, H=3, K=2)
    sizes = {"D": 2, "H": 3, "K": 2, "": 2}
    loss, grads = space["value_and_grad"](params, data, {"t": 4}, sizes)
    want, want_grads = gg.value_and_grad(circuit)(params, batch="sum", **data)
    assert loss == pytest.approx(want)
    np.testing.assert_allclose(grads["W"], want_grads["W"], atol=1e-14)


def test_an_index_without_a_loss_has_no_rows() -> None:
    """An encoder's steps are columns of the tables, not rows: no loss is counted there."""
    circuit = gg.cells.load("encoder_decoder")
    lengths = {"s": 2, "t": 3}
    sizes = {"N": 3, "K": 2, "H": 4, "G": 3}
    values = {**circuit.init(0, **sizes), **circuit.example(0, lengths, **sizes)}
    section = reach_section(circuit, values, lengths, "loss")
    rows = set(re.findall(r"<tr><th>(\w\[\d\])</th>", section))
    assert rows == {"t[1]", "t[2]", "t[3]"}
    assert "<th>s[1]</th>" in section
