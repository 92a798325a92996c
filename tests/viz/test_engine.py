"""viz.engine: pictures come out, and Graphviz can neither hang nor crash a program."""

from __future__ import annotations

import gc
import io
import json
import os
import re
import signal
import subprocess
import sys
import threading
import time

import pypdf
import pytest

from graphgrad.errors import GraphgradError
from viz import engine
from viz.engine import DrawingError, render

PICTURE = 'digraph { a [label=<<I>h</I><SUP>(t)</SUP>>]; a -> b [label="W"] }'
# A complete graph keeps `dot` busy for hours.
ENDLESS = "digraph {" + "".join(f"{i}->{j};" for i in range(150) for j in range(i)) + "}"


@pytest.fixture
def fresh():
    """Start and end without warm workers, so that a test sees its own."""
    engine._stop_workers()
    yield
    engine._stop_workers()


def idle() -> list[engine._Worker]:
    return [worker for pool in engine._pools.values() for worker in pool.idle]


@pytest.mark.parametrize(
    ("form", "start"),
    [
        ("svg", b"<?xml"),
        ("png", b"\x89PNG\r\n\x1a\n"),
        ("pdf", b"%PDF-"),
        ("dot", b"digraph {"),
        ("xdot", b"digraph {"),
        ("json", b"{"),
        ("plain", b"graph 1 "),
    ],
)
def test_formats(form, start):
    picture = render(PICTURE, format=form)
    assert picture.startswith(start)
    assert picture == render(PICTURE, format=form)


def test_html_labels_are_set_with_superscripts():
    svg = render(PICTURE).decode()
    assert 'font-style="italic"' in svg
    assert 'baseline-shift="super"' in svg


def test_dpi_scales_a_png_only():
    def size(dpi):
        png = render(PICTURE, format="png", dpi=dpi)
        return int.from_bytes(png[16:20]), int.from_bytes(png[20:24])

    (w1, h1), (w2, h2) = size(96), size(192)
    assert w2 == pytest.approx(2 * w1, abs=2)
    assert h2 == pytest.approx(2 * h1, abs=2)
    assert render(PICTURE, dpi=96) == render(PICTURE, dpi=192)


def test_nop2_draws_what_the_text_says():
    dot = 'digraph { a [pos="0,0"]; b [pos="100,0"]; a -> b [pos="e,90,0 10,0 20,30 50,30 80,0"] }'
    svg = render(dot, engine="nop2").decode()
    assert "M37,-18C47,-48 77,-48 107,-18" in svg  # moved so that everything is on the page


def test_lengths_may_be_given_enlarged_for_an_even_setting_of_text():
    """Pango puts glyphs on a grid of 3/4 points; `size` shrinks a larger drawing, grid and all."""
    page = (
        'graph {{ graph [pad=0 margin=0 size="2,1"]'
        " a [shape=box width={w} height={h} fontsize={f}] }}"
    )
    natural = render(page.format(w=2, h=1, f=13), engine="nop2", format="pdf")
    enlarged = render(page.format(w=32, h=16, f=208), engine="nop2", format="pdf")
    boxes = [pypdf.PdfReader(io.BytesIO(pdf)).pages[0].mediabox for pdf in (natural, enlarged)]
    assert [float(box.width) for box in boxes] == pytest.approx([144, 144], abs=2)


def test_pdf_embeds_our_font_and_no_date():
    pdf = render(PICTURE, format="pdf")
    document = pypdf.PdfReader(io.BytesIO(pdf))
    fonts = document.pages[0]["/Resources"]["/Font"]
    names = {fonts[key]["/BaseFont"].split("+")[-1] for key in fonts}
    assert names <= {"graphgrad-Regular", "graphgrad-Italic"}
    assert names
    assert document.metadata["/CreationDate"].startswith("D:1970")


def test_foreign_scripts_do_not_fail():
    for form in ("svg", "png", "pdf"):
        assert render('graph { a [label="שלום 漢字 😀 Жук"] }', format=form)


@pytest.mark.parametrize(
    ("dot", "said"),
    [
        ("digraph {", "syntax error in line 1"),
        ("", "refuses"),
        ("graph { a [label=<<B>x] }", "HTML"),
        ("graph { a\0b }", "NUL"),
        ("graph { \ud800 }", "UTF-8"),
    ],
)
def test_refusals_say_why_and_keep_the_worker(dot, said, capfd):
    render(PICTURE)
    before = {worker.process.pid for worker in idle()}
    with pytest.raises(DrawingError, match=re.escape(said)) as caught:
        render(dot)
    assert isinstance(caught.value, GraphgradError)
    assert before <= {worker.process.pid for worker in idle()}
    assert capfd.readouterr() == ("", "")


def test_messages_of_one_picture_do_not_reach_the_next():
    for _ in range(2):
        with pytest.raises(DrawingError) as caught:
            render("digraph {")
        assert str(caught.value).count("syntax error") == 1


def test_warnings_are_logged_not_printed(capfd, caplog):
    with caplog.at_level("DEBUG", "viz.engine"):
        assert render("graph { a [shape=nonsense] }")
    assert "nonsense" in caplog.text
    assert capfd.readouterr() == ("", "")


def test_unknown_engine_and_format():
    with pytest.raises(DrawingError, match="no engine 'nonsense'"):
        render(PICTURE, engine="nonsense")
    with pytest.raises(DrawingError, match=r"no format 'webp'.*\n.*svg, png"):
        render(PICTURE, format="webp")


def test_hanging_graphviz_is_stopped(fresh):
    render(PICTURE)
    start = time.monotonic()
    with pytest.raises(DrawingError, match=r"stopped after 0\.5 s"):
        render(ENDLESS, timeout=0.5)
    assert time.monotonic() - start < 5
    assert not engine._workers
    assert render(PICTURE)


def test_interrupt_stops_the_worker(fresh, monkeypatch):
    render(PICTURE)
    monkeypatch.setattr(
        engine._Worker, "_read", lambda *_: (_ for _ in ()).throw(KeyboardInterrupt)
    )
    with pytest.raises(KeyboardInterrupt):
        render(PICTURE)
    monkeypatch.undo()
    assert not engine._workers
    assert render(PICTURE)


def test_worker_that_died_while_idle_is_replaced(fresh):
    render(PICTURE)
    (worker,) = idle()
    worker.process.kill()
    assert render(PICTURE)
    assert [w.process.pid for w in idle()] != [worker.process.pid]


def test_warm_worker_that_crashes_is_replaced_once_and_a_fresh_one_is_believed(fresh):
    render(PICTURE)
    pids = []

    def kill_each():
        while len(pids) < 2:
            for worker in list(engine._workers):
                if worker not in idle() and worker.process.pid not in pids:
                    time.sleep(0.6)  # let a fresh one become ready
                    pids.append(worker.process.pid)
                    os.kill(worker.process.pid, signal.SIGSEGV)
            time.sleep(0.01)

    killer = threading.Thread(target=kill_each)
    killer.start()
    try:
        with pytest.raises(DrawingError, match="crashed on this picture"):
            render(ENDLESS)
    finally:
        killer.join()
    assert len(set(pids)) == 2
    assert render(PICTURE)


def test_worker_that_cannot_start(fresh, monkeypatch, tmp_path):
    (tmp_path / "pygraphviz.py").write_text("raise ImportError('no Graphviz here')")
    monkeypatch.syspath_prepend(str(tmp_path))
    with pytest.raises(DrawingError, match="no Graphviz here") as caught:
        render(PICTURE)
    assert "reinstall" in caught.value.remedy
    monkeypatch.setattr(sys, "executable", str(tmp_path / "no python"))
    with pytest.raises(DrawingError, match="cannot start"):
        render(PICTURE)
    assert not engine._workers


def test_threads_draw_in_parallel(fresh):
    expected = {n: render(f"graph {{ a{n} -- b }}") for n in range(8)}
    found: dict[int, bytes] = {}

    def work(n):
        for _ in range(3):
            found[n] = render(f"graph {{ a{n} -- b }}")

    threads = [threading.Thread(target=work, args=(n,)) for n in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert found == expected
    assert len(engine._workers) <= engine._MAX_WORKERS


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
@pytest.mark.filterwarnings("ignore:This process:DeprecationWarning")
def test_forked_child_has_workers_of_its_own(fresh):
    expected = render(PICTURE)
    parents = [worker.process.pid for worker in idle()]
    child = os.fork()
    if child == 0:
        status = 1
        try:
            good = not idle() and render(PICTURE) == expected
            status = 0 if good and [w.process.pid for w in idle()] != parents else 1
            engine._stop_workers()
        finally:
            os._exit(status)
    assert os.waitpid(child, 0)[1] == 0
    assert render(PICTURE) == expected
    assert [worker.process.pid for worker in idle()] == parents


def test_nothing_is_left_when_the_interpreter_ends(tmp_path):
    script = (
        "from viz.engine import render, _workers\n"
        "render('graph { a }')\n"
        "print(*(w.process.pid for w in _workers))\n"
    )
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", script],
        capture_output=True,
        text=True,
        env=os.environ | {"TMPDIR": str(tmp_path), "PYTHONPATH": os.pathsep.join(sys.path)},
        check=True,
        timeout=60,
    )
    assert done.stderr == ""
    with pytest.raises(ProcessLookupError):
        os.kill(int(done.stdout), 0)
    assert not list(tmp_path.iterdir())


def test_worker_ends_with_its_parent():
    """Killed without a chance to clean up, the parent leaves no process behind."""
    script = (
        "import os, signal\n"
        "from viz.engine import render, _workers\n"
        "render('graph { a }')\n"
        "print(*(w.process.pid for w in _workers), flush=True)\n"
        "os.kill(os.getpid(), signal.SIGKILL)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, timeout=60, check=False
    )
    pid = int(done.stdout)
    deadline = time.monotonic() + 10
    while time.monotonic() < deadline:
        try:
            with open(f"/proc/{pid}/stat") as file:
                if file.read().rpartition(")")[2].split()[0] == "Z":
                    return
        except FileNotFoundError:
            return
        time.sleep(0.05)
    pytest.fail("the worker outlived its parent")


def test_without_fonts_and_home_the_picture_is_the_same(fresh, monkeypatch, tmp_path):
    expected = render(PICTURE, format="png")
    engine._stop_workers()
    monkeypatch.setenv("HOME", str(tmp_path / "nowhere"))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "nowhere"))
    monkeypatch.setenv("FONTCONFIG_FILE", str(tmp_path / "none.conf"))
    monkeypatch.setenv("LANG", "ja_JP.UTF-8")
    assert render(PICTURE, format="png") == expected


def test_worker_is_replaced_after_enough_pictures(fresh, monkeypatch):
    monkeypatch.setattr(engine, "_MAX_SERVED", 2)
    pids = set()
    for _ in range(4):
        render(PICTURE)
        pids |= {worker.process.pid for worker in engine._workers}
    assert len(pids) == 2
    assert not engine._workers


def test_font_folder_stays_as_it_is(fresh):
    """The wheel's fontconfig wants to leave a file `.uuid` in a folder of fonts; we ship one."""
    before = sorted(os.listdir(engine.font.FOLDER))
    assert ".uuid" in before
    render(PICTURE)
    assert sorted(os.listdir(engine.font.FOLDER)) == before


def test_no_descriptors_leak(fresh):
    if not os.path.isdir("/proc/self/fd"):
        pytest.skip("needs /proc")
    render(PICTURE)
    before = len(os.listdir("/proc/self/fd"))
    for _ in range(3):
        engine._stop_workers()
        render(PICTURE)
    gc.collect()
    assert len(os.listdir("/proc/self/fd")) == before


def test_json_output_is_json():
    assert json.loads(render(PICTURE, format="json"))["directed"] is True
