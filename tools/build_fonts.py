"""Build the fonts of the pictures, viz/fonts/*, from two published families.

Letters come from STIX Two Text, signs that it lacks from STIX 1; both are under the SIL Open Font
License. The result is a small family named "graphgrad" without kerning, ligatures or hinting: the
width of a text is the sum of its advance widths, wherever it is drawn.

How the committed files were made, with fontTools 4.68 and brotli 1.2 installed:

    npm pack @fontsource/stix-two-text@5.3.0 && tar xf fontsource-stix-two-text-5.3.0.tgz
    apt-get download fonts-stix && dpkg -x fonts-stix_1.1.1-4.1_all.deb stix1
    mkdir sources
    cp package/files/*-{400-normal,400-italic,700-normal}.woff2 sources
    cp stix1/usr/share/fonts/opentype/stix-word/STIX-{Regular,Bold}.otf sources
    python tools/build_fonts.py sources
"""

from __future__ import annotations

import json
import sys
import unicodedata
import uuid
from collections.abc import Iterator
from pathlib import Path

from fontTools.fontBuilder import FontBuilder
from fontTools.pens.boundsPen import BoundsPen
from fontTools.pens.cu2quPen import Cu2QuPen
from fontTools.pens.recordingPen import DecomposingRecordingPen
from fontTools.pens.transformPen import TransformPen
from fontTools.pens.ttGlyphPen import TTGlyphPen
from fontTools.ttLib import TTFont

FAMILY = "graphgrad"
TARGET = Path(__file__).resolve().parent.parent / "viz" / "fonts"
UNITS = 1000
ASCENT, DESCENT = 900, 300
EPOCH = 2_082_844_800  # 1970 in the calendar of font files, so that a rebuild gives equal bytes

# Style: (files of the letters, files of the signs that those lack). Signs are upright everywhere.
STYLES = {
    "Regular": ("400-normal", ("STIX-Regular.otf",)),
    "Italic": ("400-italic", ("STIX-Regular.otf",)),
    "Bold": ("700-normal", ("STIX-Bold.otf", "STIX-Regular.otf")),
}

LETTERS = [
    *range(0x20, 0x7F),
    *range(0xA0, 0x180),  # Latin-1 and Latin Extended-A, with ŷ ŵ â ū
    *map(ord, "ˆˇˉ˙˚˜ẐẑẼẽỸỹẆẇẊẋẎẏ"),
    *range(0x386, 0x3D7),  # Greek
    *map(ord, "ϰϱϵ"),
]
SIGNS = [
    *map(ord, "‐‑‒–—―‖‘’‚“”„†‡•…′″‴€\u2212\ufffd"),
    *map(ord, "ℂℓℕℚℝℤℜℑℯ𝟏𝟙⅓⅔"),
    *map(ord, "←↑→↓↔↕↖↗↘↙↦⇐⇒⇔⟵⟶⟼"),
    *map(ord, "∀∂∃∅∆∇∈∉∋∏∐∑∓∗∘∙√∛∝∞∠∣∥∧∨∩∪∫∮∴∼≃≅≈≔≕≜≠≡≤≥≪≫≺≻⊂⊃⊆⊇⊕⊖⊗⊘⊙⊢⊣⊤⊥⋅⋆⋮⋯⋰⋱"),
    *map(ord, "⌈⌉⌊⌋⟦⟧⟨⟩■□▪▫▲△▶▷▼▽◀◁◆◇○●◦"),
]
MARKS = {
    0x0300: "`", 0x0301: "´", 0x0302: "ˆ", 0x0303: "˜", 0x0304: "¯", 0x0305: "¯", 0x0307: "˙",
    0x0308: "¨", 0x030A: "˚", 0x030C: "ˇ",
}  # fmt: skip
RAISED = dict(zip("⁰⁴⁵⁶⁷⁸⁹⁺⁻⁼⁽⁾ⁿⁱᵀᵗ", "0456789+\u2212=()niTt", strict=True))
LOWERED = dict(zip("₀₁₂₃₄₅₆₇₈₉₊₋₌₍₎ₜᵢⱼₖₙ", "0123456789+\u2212=()tijkn", strict=True))


class Sources:
    """The glyphs of some font files, the first file that has a character wins."""

    def __init__(self, paths: list[Path]) -> None:
        self.fonts = [TTFont(path) for path in paths]
        self.tables = [(font.getBestCmap(), font.getGlyphSet()) for font in self.fonts]

    def find(self, code: int):
        """The outline of a character as recorded curves, and its advance width; or None."""
        for characters, glyphs in self.tables:
            if code in characters:
                pen = DecomposingRecordingPen(glyphs)
                glyph = glyphs[characters[code]]
                glyph.draw(pen)
                return pen, glyph.width
        return None


def draw(curves, *, scale: float = 1, dx: float = 0, dy: float = 0):
    """An outline in quadratic curves, moved and scaled."""
    pen = TTGlyphPen(None)
    curves.replay(TransformPen(Cu2QuPen(pen, 1.0), (scale, 0, 0, scale, dx, dy)))
    return pen.glyph()


def middle(curves) -> float:
    pen = BoundsPen(None)
    curves.replay(pen)
    return (pen.bounds[0] + pen.bounds[2]) / 2


def outlines(sources: Sources) -> Iterator[tuple[int, object, int]]:
    """Every character with its outline and its advance width."""
    for code in sorted({*LETTERS, *SIGNS}):
        found = sources.find(code)
        if found is not None and unicodedata.category(chr(code)) not in ("Cc", "Cf"):
            curves, width = found
            yield code, draw(curves), round(width)
    for code, accent in MARKS.items():  # text engines move a mark to the middle of its letter
        curves, _ = sources.find(ord(accent))
        yield code, draw(curves, dx=-250 - middle(curves)), 0
    for table, dy in ((RAISED, 270), (LOWERED, -130)):
        for small, full in table.items():
            curves, width = sources.find(ord(full))
            yield ord(small), draw(curves, scale=0.62, dy=dy), round(width * 0.62)


def missing():
    """The frame that stands for a character nobody has."""
    pen = TTGlyphPen(None)
    for points in (
        [(60, 0), (60, 700), (540, 700), (540, 0)],
        [(100, 40), (500, 40), (500, 660), (100, 660)],
    ):
        pen.moveTo(points[0])
        for point in points[1:]:
            pen.lineTo(point)
        pen.closePath()
    return pen.glyph()


def build(style: str, sources: Sources) -> tuple[TTFont, dict[str, int]]:
    """One face, and the advance widths of its characters."""
    glyphs, widths, characters = {".notdef": missing()}, {".notdef": 600}, {}
    for code, outline, width in outlines(sources):
        name = f"uni{code:04X}" if code < 0x10000 else f"u{code:X}"
        characters[code], glyphs[name], widths[name] = name, outline, width
    builder = FontBuilder(UNITS, isTTF=True)
    builder.setupGlyphOrder(list(glyphs))
    builder.setupCharacterMap(characters)
    builder.setupGlyf(glyphs)
    bearings = {name: getattr(glyph, "xMin", 0) for name, glyph in glyphs.items()}
    builder.setupHorizontalMetrics({name: (widths[name], bearings[name]) for name in glyphs})
    builder.setupHorizontalHeader(ascent=ASCENT, descent=-DESCENT)
    builder.setupNameTable(
        {
            "copyright": "Copyright 2001-2021 The STIX Fonts Project Authors. "
            "Copyright (c) 2001-2010 by the STI Pub Companies. Modified by graphgrad developers.",
            "familyName": FAMILY,
            "styleName": style,
            "uniqueFontIdentifier": f"{FAMILY} {style} 1",
            "fullName": f"{FAMILY} {style}",
            "psName": f"{FAMILY}-{style}",
            "version": "Version 1.0",
            "licenseDescription": "SIL Open Font License, Version 1.1",
            "licenseInfoURL": "https://openfontlicense.org",
        }
    )
    selection = {"Regular": 1 << 6, "Italic": 1, "Bold": 1 << 5}[style]
    builder.setupOS2(
        sTypoAscender=ASCENT,
        sTypoDescender=-DESCENT,
        sTypoLineGap=0,
        usWinAscent=ASCENT,
        usWinDescent=DESCENT,
        usWeightClass=700 if style == "Bold" else 400,
        version=4,
        fsSelection=selection | 1 << 7,  # 7: use the typographic heights
    )
    builder.setupPost(keepGlyphNames=False, italicAngle=-15.5 if style == "Italic" else 0)
    font = builder.font
    font["head"].macStyle = {"Regular": 0, "Bold": 1, "Italic": 2}[style]
    font["head"].created = font["head"].modified = EPOCH
    font.recalcTimestamp = False
    return font, {chr(code): widths[name] for code, name in sorted(characters.items())}


def main(folder: str) -> None:
    # Fontconfig 2.13, which is in the wheel of pygraphviz, writes this file where it is missing.
    (TARGET / ".uuid").write_text(str(uuid.uuid5(uuid.NAMESPACE_DNS, FAMILY)), encoding="ascii")
    advances = {}
    for style, (letters, signs) in STYLES.items():
        parts = sorted(Path(folder).glob(f"*-{letters}.woff2"))  # cut by alphabet
        font, advances[style.lower()] = build(
            style, Sources([*parts, *(Path(folder) / name for name in signs)])
        )
        font.save(TARGET / f"{FAMILY}-{style}.ttf")
        font.flavor = "woff2"
        font.save(TARGET / f"{FAMILY}-{style}.woff2")
    text = json.dumps(advances, ensure_ascii=False, separators=(",", ":"), indent=None)
    (TARGET / "advances.json").write_text(text.replace('},"', '},\n"') + "\n", encoding="utf-8")


if __name__ == "__main__":
    main(*sys.argv[1:])
