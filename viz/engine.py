"""The one place that runs Graphviz, in worker processes that can be stopped.

Graphviz comes as C libraries inside the pygraphviz wheel. They hold the interpreter lock, may hang
and may crash, so they live in a process of their own (`_graphviz_worker.py`). Workers are kept
warm, because a start costs more than most pictures, and know only the fonts of this package,
because a picture shall be the same on every machine.
"""

from __future__ import annotations

import atexit
import json
import logging
import os
import subprocess
import sys
import tempfile
import threading
from pathlib import Path
from typing import Literal, NamedTuple, get_args

from graphgrad.errors import GraphgradError
from viz import font

Engine = Literal["dot", "neato", "nop2"]
Format = Literal["svg", "png", "pdf", "dot", "xdot", "json", "plain"]

_WORKER = Path(__file__).resolve().with_name("_graphviz_worker.py")
_START_LIMIT = 60.0
_MAX_WORKERS = min(4, os.cpu_count() or 1)
_MAX_SERVED = 2000
"""Requests before a worker is replaced: Graphviz loses some kilobytes of memory with each."""

_log = logging.getLogger(__name__)


class DrawingError(GraphgradError):
    """A picture that cannot be drawn."""


class _CrashError(Exception):
    """The worker went away during a request."""


def render(
    dot: str,
    *,
    engine: Engine = "dot",
    format: Format = "svg",
    dpi: float = 192.0,
    timeout: float = 30.0,
) -> bytes:
    """Draw a DOT text and return the picture.

    - `engine`: "nop2" takes node positions and edge curves from the text (`neato -n2`).
    - `dpi`: dots per inch of a PNG; the other formats have no dots.
    - A PDF has margins of half an inch unless the text says `margin=0`.
    - Glyphs of PNG and PDF stand on a grid of 3/4 points. Where that is too coarse, give all
      lengths enlarged, and the true size of the page in inches as `size`.
    - `timeout`: seconds, after which Graphviz is stopped.

    Equal texts give equal bytes, PDF included. `DrawingError` where Graphviz refuses, crashes or
    needs too long.

    >>> render("graph { a -- b }", format="plain").decode().split()[:2]
    ['graph', '1']
    """
    if engine not in get_args(Engine):
        raise DrawingError(f"there is no engine {engine!r}", remedy=_one_of(get_args(Engine)))
    if format not in get_args(Format):
        raise DrawingError(f"there is no format {format!r}", remedy=_one_of(get_args(Format)))
    if "\0" in dot:
        raise DrawingError(
            "a DOT text cannot contain the character NUL", remedy="leave it out of the labels"
        )
    try:
        data = dot.encode("utf-8")
    except UnicodeEncodeError as error:
        raise DrawingError(
            f"a DOT text must be encodable as UTF-8: {error}",
            remedy="leave lone surrogates out of the labels",
        ) from None
    request = {
        "engine": engine,
        "format": format,
        "dpi": dpi if format == "png" else None,
        "limit": timeout + 5.0,
        "size": len(data),
    }
    message = json.dumps(request).encode() + b"\n" + data
    pool = _pools["own" if font.covers(dot) else "system"]
    with pool.slots:
        while True:
            worker = pool.take()
            warm = worker.served > 0
            try:
                reply = worker.ask(message, timeout)
            except _CrashError as crash:
                if warm:  # it may have died of an earlier picture, or somebody stopped it
                    continue
                raise DrawingError(
                    f"Graphviz crashed on this picture: {crash}",
                    remedy="draw a smaller part of the graph, or report the DOT text as a bug",
                ) from None
            pool.give_back(worker)
            break
    if reply.picture is None:
        raise DrawingError(
            f"Graphviz refuses the picture: {reply.messages or 'no reason given'}",
            remedy="mend the DOT text; if the library wrote it, report it as a bug",
        )
    if reply.messages:
        _log.debug("Graphviz: %s", reply.messages)
    return reply.picture


def _one_of(names: tuple[str, ...]) -> str:
    return "use one of " + ", ".join(names)


class _Reply(NamedTuple):
    """What a worker made of a request; no picture where Graphviz refused."""

    picture: bytes | None
    messages: str


class _Worker:
    """A Graphviz process; `served` counts the requests it has answered."""

    def __init__(self, fonts: str) -> None:
        self.served = 0
        # Both sides use one open file with one position: where it is reset here, Graphviz writes.
        self._messages = tempfile.TemporaryFile(buffering=0)  # noqa: SIM115
        environment = os.environ | {
            "PYTHONPATH": os.pathsep.join(filter(None, sys.path)),
            "LC_ALL": "C.UTF-8",  # pango chooses fonts by language
        }
        environment.pop("PANGO_LANGUAGE", None)
        try:
            self.process = subprocess.Popen(
                [sys.executable, "-P", str(_WORKER), str(font.FOLDER), fonts],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=self._messages,
                bufsize=0,
                env=environment,
            )
        except OSError as error:
            self._messages.close()
            raise DrawingError(
                f"cannot start the process that runs Graphviz: {error}",
                remedy="check that sys.executable names a Python interpreter",
            ) from error
        _workers.add(self)
        self._start()

    def _start(self) -> None:
        """Wait until the worker is ready."""
        try:
            with _Alarm(self.process, _START_LIMIT):
                ready = self._read_line() == b"ready\n"
        except (OSError, EOFError):
            ready = False
        except BaseException:
            self.stop()
            raise
        if not ready:
            said = self._said()
            self.stop()
            raise DrawingError(
                f"Graphviz does not start: {said or 'no reason given'}",
                remedy="reinstall it: pip install --force-reinstall pygraphviz",
            )

    def ask(self, message: bytes, timeout: float) -> _Reply:
        """Send a request and wait for the reply; if that fails, the worker is gone."""
        self._messages.seek(0)
        self._messages.truncate()
        alarm = _Alarm(self.process, timeout)
        try:
            with alarm:
                self._write(message)
                header = json.loads(self._read_line())
                picture = self._read(header["size"])
        except (OSError, EOFError):
            said = self._said()
            self.stop()
            if alarm.rang:
                raise DrawingError(
                    f"Graphviz was stopped after {timeout:g} s",
                    remedy="draw fewer time steps, or allow more time with timeout=",
                ) from None
            raise _CrashError(said or f"exit status {self.process.returncode}") from None
        except BaseException:  # Ctrl-C: the reply that is still to come belongs to nobody
            self.stop()
            raise
        self.served += 1
        return _Reply(None if header["refused"] else picture, self._said())

    def stop(self) -> None:
        """End the process and release what belongs to it."""
        self.process.kill()
        self.process.wait()
        self.abandon()

    def abandon(self) -> None:
        """Let go of the process without a word: in a forked child it is the parent's."""
        _workers.discard(self)
        for file in (self.process.stdin, self.process.stdout, self._messages):
            assert file is not None
            file.close()
        if self.process.returncode is None:
            self.process.returncode = 0

    def _said(self) -> str:
        """What Graphviz has written to standard error, on one line."""
        self._messages.seek(0)
        text = self._messages.read().decode("utf-8", "replace")
        return "; ".join(filter(None, map(str.strip, text.splitlines())))

    def _write(self, data: bytes) -> None:
        assert self.process.stdin is not None
        view = memoryview(data)
        while view:  # an unbuffered pipe takes what fits
            view = view[self.process.stdin.write(view) :]

    def _read(self, size: int) -> bytes:
        assert self.process.stdout is not None
        data = bytearray()
        while len(data) < size:
            part = self.process.stdout.read(min(size - len(data), 1 << 20))
            if not part:
                raise EOFError
            data += part
        return bytes(data)

    def _read_line(self) -> bytes:
        line = b""
        while not line.endswith(b"\n"):
            line += self._read(1)
        return line


class _Alarm:
    """Kills a process when a block takes too long; the read that waits for it then ends."""

    def __init__(self, process: subprocess.Popen[bytes], seconds: float) -> None:
        self.rang = False
        self._process = process
        self._timer = threading.Timer(seconds, self._ring)
        self._timer.daemon = True

    def _ring(self) -> None:
        self.rang = True
        self._process.kill()

    def __enter__(self) -> None:
        self._timer.start()

    def __exit__(self, *_: object) -> None:
        self._timer.cancel()


class _Pool:
    """Workers with the same fonts: those that wait for work, and leave for a few more."""

    def __init__(self, fonts: str) -> None:
        self._fonts = fonts
        self.idle: list[_Worker] = []
        self.slots = threading.Semaphore(_MAX_WORKERS)

    def take(self) -> _Worker:
        """A worker that nobody else uses, warm if possible."""
        while True:
            try:
                worker = self.idle.pop()
            except IndexError:
                return _Worker(self._fonts)
            if worker.process.poll() is None:
                return worker
            worker.stop()

    def give_back(self, worker: _Worker) -> None:
        """Keep a worker for the next picture, unless it has done enough."""
        if worker.served < _MAX_SERVED:
            self.idle.append(worker)
        else:
            worker.stop()


def _new_pools() -> dict[str, _Pool]:
    # The fonts of the machine are looked through only for a text that needs them: it takes long.
    return {"own": _Pool("own"), "system": _Pool("system")}


_workers: set[_Worker] = set()
_pools = _new_pools()


@atexit.register
def _stop_workers() -> None:
    for pool in _pools.values():
        pool.idle.clear()
    for worker in list(_workers):
        worker.stop()


def _forget_workers() -> None:
    """In a forked child: the workers, and threads that hold a slot, are the parent's."""
    global _pools
    for worker in list(_workers):
        worker.abandon()
    _pools = _new_pools()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forget_workers)
