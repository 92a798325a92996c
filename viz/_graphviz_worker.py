"""The process that holds Graphviz: reads DOT, writes pictures, one after the other.

Run by `viz.engine`, never imported. Graphviz keeps the interpreter lock while it works, and may
hang or crash; here that hurts nobody. It speaks in lines of JSON followed by bytes:

    ready                                    once, when fonts are loaded
    {"engine", "format", "dpi", "limit", "size"} + DOT       →
    {"refused", "size"} + picture                            ←

What Graphviz has to say goes to standard error, which `viz.engine` reads.
"""

from __future__ import annotations

import json
import os
import re
import signal
import sys
import tempfile
from pathlib import Path
from xml.sax.saxutils import escape

# Every family name leads to our font first; other fonts only lend characters that it lacks.
# Without hinting, a glyph has the same shape and width at every size.
FONTCONFIG = """<?xml version="1.0"?>
<!DOCTYPE fontconfig SYSTEM "fonts.dtd">
<fontconfig>
  {folders}
  <config><rescan><int>0</int></rescan></config>
  <match target="pattern">
    <edit name="family" mode="prepend" binding="strong"><string>graphgrad</string></edit>
  </match>
  <match target="font">
    <edit name="antialias" mode="assign"><bool>true</bool></edit>
    <edit name="hinting" mode="assign"><bool>false</bool></edit>
    <edit name="autohint" mode="assign"><bool>false</bool></edit>
    <edit name="hintstyle" mode="assign"><const>hintnone</const></edit>
    <edit name="rgba" mode="assign"><const>none</const></edit>
  </match>
</fontconfig>
"""
SYSTEM_FONTS = (
    "/usr/share/fonts",
    "/usr/local/share/fonts",
    "~/.local/share/fonts",
    "~/.fonts",
    "/System/Library/Fonts",
    "/Library/Fonts",
    "~/Library/Fonts",
    "C:/Windows/Fonts",
)


def load(folder: str, system_fonts: bool) -> None:
    """Start Graphviz with exactly the fonts of a folder, and those of the machine if wanted."""
    folders, cache = [folder], ""
    if system_fonts:
        cache = '<cachedir prefix="xdg">fontconfig</cachedir>'  # a machine may have thousands
        folders += [
            path for name in SYSTEM_FONTS if os.path.isdir(path := os.path.expanduser(name))
        ]
    entries = "".join(f"<dir>{escape(path)}</dir>" for path in folders) + cache
    with tempfile.TemporaryDirectory(prefix="graphgrad-") as temporary:
        config = Path(temporary, "fonts.conf")
        config.write_text(FONTCONFIG.format(folders=entries), encoding="utf-8")
        os.environ["FONTCONFIG_FILE"] = str(config)
        draw(b'graph { node [label="x"]; a }', "dot", "png", 72.0)  # reads the configuration


def draw(dot: bytes, engine: str, form: str, dpi: float | None) -> bytes:
    """One picture; ValueError where Graphviz refuses, which has said why on standard error."""
    # Imported late: the libraries read the environment when they are loaded.
    from pygraphviz import graphviz as gv

    with tempfile.TemporaryFile() as file:
        file.write(dot)
        file.seek(0)
        graph = gv.agread(file, None)
    try:
        if dpi is not None:
            gv.agattr(graph, gv.AGRAPH, b"dpi", str(dpi).encode())
        context = gv.gvContextWithBuiltins()
        try:
            if gv.gvLayout(context, graph, engine.encode()) != 0:
                raise ValueError("no layout")
            try:
                result = gv.gvRenderData(context, graph, form.encode())
            finally:
                gv.gvFreeLayout(context, graph)
        finally:
            gv.gvFreeContext(context)
    finally:
        gv.agclose(graph)
    if isinstance(result, int):  # a bare status without data
        raise ValueError("no picture")
    status, picture = result
    if status != 0:
        raise ValueError("no picture")
    # The time of day is no part of a picture; of all formats only PDF has it.
    return re.sub(rb"(/CreationDate \(D:)\d{14}", rb"\g<1>19700101000000", picture)


def main(folder: str, system_fonts: str) -> None:
    """Serve until standard input is closed."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for the process that started this one
    requests, replies = sys.stdin.buffer, os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)  # a stray print of a C library must not end up in a picture
    load(folder, system_fonts == "system")
    replies.write(b"ready\n")
    replies.flush()
    while line := requests.readline():
        request = json.loads(line)
        dot = requests.read(request["size"])
        if hasattr(signal, "setitimer"):
            # Ends the process even inside C, should the one that would stop it have died.
            signal.setitimer(signal.ITIMER_REAL, request["limit"])
        try:
            picture = draw(dot, request["engine"], request["format"], request["dpi"])
            refused = False
        except ValueError:
            picture, refused = b"", True
        if hasattr(signal, "setitimer"):
            signal.setitimer(signal.ITIMER_REAL, 0)
        replies.write(
            json.dumps({"refused": refused, "size": len(picture)}).encode() + b"\n" + picture
        )
        replies.flush()


if __name__ == "__main__":
    main(*sys.argv[1:])
