"""The time limit holds whatever is done; progress is counted; Ctrl-C leaves nothing behind."""

import io
import os
import signal
import subprocess
import sys
import threading
import time

import pytest

import graphgrad as gg
from graphgrad.proof import clock
from graphgrad.proof.check_case import CheckError
from graphgrad.proof.clock import AGAIN, NO_TIME, Clock, enforced
from graphgrad.proof.poly import ExhaustedError

SLACK = 3.0
"""Seconds over the limit that are no fault on a machine with much to do; without interruption the
blocks below would take minutes, or for ever."""


def within(clock, run):
    with enforced(clock):
        run()


def endless(clock):
    with enforced(clock):
        while True:
            pass


def test_what_does_not_look_at_the_clock_is_interrupted():
    started = time.monotonic()
    with pytest.raises(ExhaustedError, match=NO_TIME):
        endless(Clock(0.05))
    assert time.monotonic() - started < SLACK


def test_what_swallows_an_interruption_is_interrupted_again():
    count = 0

    def stubborn():
        nonlocal count
        try:
            endless(Clock())
        finally:
            count += 1
            if count == 1:
                endless(Clock())

    with pytest.raises(ExhaustedError):
        within(Clock(0.01), stubborn)
    assert count == 1


def test_nothing_comes_late():
    """A block that ends in time is followed by nothing, though its watch was about to fire."""
    for _ in range(20):
        clock = Clock(0.02)
        try:
            with enforced(clock):
                time.sleep(0.02)
        except ExhaustedError:
            pass
    time.sleep(AGAIN)
    sum(range(100_000))
    assert not [each for each in threading.enumerate() if "_wait" in each.name]


def test_an_interruption_on_the_way_out_does_not_leave_the_watch_going(monkeypatch):
    """As where freeing what a proof held takes longer than the time between interruptions."""
    met, end = [], clock._Watch.end

    def interrupted_once(watch):
        met.append(watch)
        if len(met) == 1:
            raise clock._OverrunError
        end(watch)

    monkeypatch.setattr(clock._Watch, "end", interrupted_once)
    with enforced(Clock(60.0)):
        pass
    assert [watch.ended.is_set() for watch in met] == [True, True]


TRACED = """
import sys
from graphgrad.proof.clock import Clock, enforced
from graphgrad.proof.poly import ExhaustedError
try:
    with enforced(Clock({limit})):
        for _ in range({rounds}):
            pass
except ExhaustedError:
    print("interrupted")
sys.settrace(lambda *_: None)
print("".join(["traced"]), (lambda: 1)())
"""


@pytest.mark.parametrize(
    ("limit", "rounds", "said"),
    [(60.0, 1, "traced 1\n"), (0.01, 10**12, "interrupted\ntraced 1\n")],
)
def test_debuggers_run_after_a_proof(limit, rounds, said):
    """Python 3.11 hangs where it traces while it looks for an exception that was taken back."""
    program = TRACED.format(limit=limit, rounds=rounds)
    run = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, timeout=60, check=True
    )
    assert run.stdout == said


def test_interruptions_at_the_end_are_not_left_behind():
    """Whether a block ends just before its watch fires or just after: nothing comes later."""
    for pause in (0.3, 0.305, 0.31, 0.32):
        for _ in range(3):
            try:
                with enforced(Clock(0.01)):
                    time.sleep(pause)
            except ExhaustedError:
                pass
            sum(range(1000))


def test_no_limit_is_no_limit():
    with enforced(Clock()):
        assert Clock().left == float("inf")
    assert not Clock().is_over
    assert Clock(10.0).part(0.5).left <= 5.0


@pytest.mark.parametrize(
    ("name", "n", "tau", "method"),
    [
        ("lstm", 8, 300, "auto"),
        ("lstm", 3, 8, "sympy"),
        ("lstm", 16, 60, "enclosure"),
        ("lstm", 32, 60, "probabilistic"),
        ("lstm", 24, 3, "induction"),
        ("elman", 60, 30, "certificate"),
    ],
)
def test_no_method_overruns(name, n, tau, method):
    circuit = gg.cells.load(name)
    sizes = dict.fromkeys(circuit.sizes, n)
    started = time.monotonic()
    proof = gg.prove(circuit, method=method, tau=tau, sizes=sizes, time_limit=0.3)
    assert time.monotonic() - started < 0.3 + SLACK
    assert proof.verdict == "undecided"
    assert {claim.reason for claim in proof.claims} == {NO_TIME}
    assert [claim.name for claim in proof.claims][:2] == [f"d_{n}" for n in [*circuit.params][:2]]


def test_a_claim_keeps_its_name_and_entries_when_there_is_no_time_at_all():
    proof = gg.prove(gg.cells.load("elman"), time_limit=0.0, wrt=["W", "x"])
    assert [(c.name, c.entries, c.reason) for c in proof.claims] == [
        ("d_W", 4, NO_TIME),
        ("d_x", 6, NO_TIME),
    ]


def test_code_that_never_ends_is_given_up():
    def endless(x, y, w, u, h0):
        while x is not y:
            pass

    with pytest.raises(CheckError, match=r"endless could not be run and judged in 0\.2 s"):
        gg.check_function(gg.cells.load("tied"), endless, time_limit=0.2)


class Screen:
    """A display that remembers."""

    def __init__(self):
        self.said = []

    def stage(self, text):
        self.said.append(text)

    def count(self, done, total, what):
        assert 0 <= done <= total
        self.said.append(what)


def test_progress_counts_nodes_equations_and_lengths(monkeypatch):
    screen = Screen()
    monkeypatch.setattr("graphgrad.proof.prove.Shown", lambda *_: _Entered(screen))
    gg.prove(gg.cells.load("elman"))
    assert {"nodes", "equations", "gradients", "lengths compared", "lengths proved"} <= {
        *screen.said
    }
    assert "adjoint equations: certificate" in screen.said
    gg.prove(gg.cells.load("elman"), method="probabilistic")
    assert "nodes at a random point" in screen.said


class _Entered:
    def __init__(self, screen):
        self.screen = screen

    def __enter__(self):
        return self.screen

    def __exit__(self, *_):
        return None


def test_nothing_is_shown_where_stderr_is_no_terminal(capsys):
    gg.prove(gg.cells.load("tied"))
    assert capsys.readouterr() == ("", "")


def test_a_bar_on_a_terminal(monkeypatch):
    class Terminal(io.StringIO):
        def isatty(self):
            return True

    stderr = Terminal()
    monkeypatch.setattr(sys, "stderr", stderr)
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setattr("graphgrad.proof.progress.EVERY", 0.0)
    gg.prove(gg.cells.load("elman"), progress=None)
    assert "proving elman" in stderr.getvalue()


@pytest.mark.usefixtures("keyboard")
def test_interrupted_at_the_keyboard():
    """Ctrl-C: one line, status 130, no traceback and no thread that goes on."""
    command = [sys.executable, "-m", "graphgrad.cli", "prove", "lstm", "--tau", "20000"]
    running = subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=dict(os.environ)
    )
    time.sleep(6)
    assert running.poll() is None, running.communicate()
    running.send_signal(signal.SIGINT)
    out, err = running.communicate(timeout=20)
    assert running.returncode == 130
    assert out == ""
    assert err.strip().splitlines()[-1] == "interrupted"
    assert "Traceback" not in err


@pytest.mark.usefixtures("keyboard")
def test_after_an_interruption_proofs_are_what_they_were():
    """Where Python cannot raise, as in what frees an object, it drops one: then the next counts."""
    ended = threading.Event()

    def interrupt() -> None:
        pause = 0.3
        while not ended.wait(pause):
            signal.raise_signal(signal.SIGINT)
            pause = 1.0

    presses = threading.Thread(target=interrupt)
    presses.start()
    try:
        with pytest.raises(KeyboardInterrupt):
            gg.prove(gg.cells.load("lstm"), tau=200, sizes={"H": 8})
    finally:
        ended.set()
    presses.join()
    assert gg.prove(gg.cells.load("elman")).ok
