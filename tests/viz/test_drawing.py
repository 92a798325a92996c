"""Finished pictures: every format, escaped, deterministic, atomically written."""

from __future__ import annotations

import errno
import io
import os
import re
import xml.etree.ElementTree as ET
from pathlib import Path

import pypdf
import pytest

from graphgrad.errors import GraphgradError
from tests.viz import scenes
from viz.drawing import Drawing
from viz.engine import DrawingError, render
from viz.label import displayable
from viz.layout import lay_out
from viz.render_dot import to_dot
from viz.render_svg import to_svg
from viz.style import BOOK, COLOUR, DARK, STYLES

SVG = "{http://www.w3.org/2000/svg}"


def drawing(name: str = "elman") -> Drawing:
    return Drawing.of(lay_out(scenes.ALL[name]()), alt="a network", title="Elman & <b>")


def texts(svg: str) -> list[str]:
    return [element.text or "" for element in ET.fromstring(svg).iter(f"{SVG}text")]


@pytest.mark.parametrize("name", scenes.ALL)
def test_every_scene_is_well_formed_in_every_format(name: str) -> None:
    picture = drawing(name)
    root = ET.fromstring(picture.svg)
    ids = [element.get("id") for element in root.iter() if element.get("id")]
    assert len(ids) == len(set(ids))
    assert render(picture.dot, engine="nop2", format="plain").startswith(b"graph")
    assert picture.to_bytes("png", dpi=48).startswith(b"\x89PNG")
    assert picture.tex.count("{") - picture.tex.count(r"\{") == (
        picture.tex.count("}") - picture.tex.count(r"\}")
    )


def test_title_and_description() -> None:
    root = ET.fromstring(drawing().svg)
    assert root.get("role") == "img"
    assert root.get("aria-label") == "Elman & <b>"
    assert root.findtext(f"{SVG}title") == "Elman & <b>"
    assert root.findtext(f"{SVG}desc") == "a network"


def test_ids_classes_and_data_reach_the_svg() -> None:
    root = ET.fromstring(drawing().svg)
    groups = {element.get("id"): element for element in root.iter(f"{SVG}g")}
    assert groups["h.2"].get("class") == "node variable"
    assert groups["h.2"].findtext(f"{SVG}title") == "h[2]"
    edge = next(e for e in scenes.elman().edges if (e.tail, e.head) == ("h.1", "h.2"))
    assert groups[edge.id].get("data-tail") == "h.1"
    assert groups[edge.id].get("data-head") == "h.2"
    trunk = next(e for e in groups.values() if e.get("class") == "trunk parameter")
    assert trunk.get("data-tail") in set("UWVbc")


def test_hostile_texts_are_displayed_and_not_obeyed() -> None:
    layout = lay_out(scenes.hostile())
    svg = to_svg(layout, title=scenes.HOSTILE[3], alt=scenes.HOSTILE[0])
    root = ET.fromstring(svg)
    shown = texts(svg)
    for text in scenes.HOSTILE:
        assert displayable(text) in shown
    assert not list(root.iter(f"{SVG}script"))
    assert all(not key.startswith("on") for e in root.iter() for key in e.attrib)
    dot = to_dot(layout, title=scenes.HOSTILE[1])
    drawn = render(dot, engine="nop2", format="svg").decode()
    shown = [text.replace("\xa0", " ") for text in texts(drawn)]
    for text in scenes.HOSTILE:
        assert displayable(text).replace("\xa0", " ") in shown
    assert "<script" not in drawn


def test_hostile_texts_are_in_the_pdf() -> None:
    pdf = Drawing.of(lay_out(scenes.hostile()), title="</title>").to_bytes("pdf")
    (page,) = pypdf.PdfReader(io.BytesIO(pdf)).pages
    shown = page.extract_text().replace("\xa0", " ")
    for text in scenes.HOSTILE[:6]:
        assert text in shown
    assert b"/JavaScript" not in pdf
    assert b"/URI" not in pdf


@pytest.mark.parametrize("ending", ["svg", "dot", "tex", "png", "pdf"])
def test_same_input_same_bytes(ending: str, tmp_path: Path) -> None:
    first, second = tmp_path / f"a.{ending}", tmp_path / f"b.{ending}"
    drawing("lstm").save(first)
    drawing("lstm").save(second)
    assert first.read_bytes() == second.read_bytes()
    assert len(first.read_bytes()) > 500


def test_only_known_endings(tmp_path: Path) -> None:
    for name in ("picture.bmp", "picture"):
        with pytest.raises(DrawingError, match="end"):
            drawing().save(tmp_path / name)
    drawing().save(tmp_path / "picture.SVG")
    with pytest.raises(GraphgradError):
        drawing().save(tmp_path / "nowhere" / "picture.svg")
    assert [path.name for path in tmp_path.iterdir()] == ["picture.SVG"]


def test_a_page_width_scales_the_picture_down() -> None:
    style = BOOK.with_options(page_width=200.0)
    picture = Drawing.of(lay_out(scenes.lstm(), style))
    assert picture.size[0] == pytest.approx(200.0)
    assert 'width="200pt"' in picture.svg
    narrow = picture.to_bytes("png", dpi=72)
    assert int.from_bytes(narrow[16:20], "big") == pytest.approx(200, abs=2)


def test_png_and_svg_have_one_size() -> None:
    picture = drawing()
    png = picture.to_bytes("png", dpi=72)
    width, height = (int.from_bytes(png[i : i + 4], "big") for i in (16, 20))
    assert width == pytest.approx(picture.layout.width, abs=2)
    assert height == pytest.approx(picture.layout.height, abs=2)


def test_styles() -> None:
    assert set(STYLES) == {"book", "colour", "dark"}
    book = Drawing.of(lay_out(scenes.elman()))
    dark = Drawing.of(book.layout, DARK)
    assert DARK.background in dark.svg
    assert set(re.findall(r"#[0-9a-f]{6}", book.svg.split("</style>")[1])) <= {
        "#000000", "#ffffff", "#808080", "#777777", "#888888",
    }  # fmt: skip
    assert Drawing.of(lay_out(scenes.elman(), COLOUR))._repr_svg_().startswith("<svg")


@pytest.mark.parametrize("ending", ["svg", "dot", "tex", "png", "pdf"])
@pytest.mark.parametrize("trouble", [OSError(errno.ENOSPC, "No space left"), KeyboardInterrupt()])
def test_no_half_written_file(
    ending: str, trouble: BaseException, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / f"picture.{ending}"
    path.write_bytes(b"the earlier picture")

    def fail(_: int) -> None:
        raise trouble

    picture = drawing()
    picture.to_bytes(ending)  # type: ignore[arg-type]
    monkeypatch.setattr(os, "fsync", fail)
    with pytest.raises((GraphgradError, KeyboardInterrupt)):
        picture.save(path)
    assert path.read_bytes() == b"the earlier picture"
    assert list(tmp_path.iterdir()) == [path]
