"""What all tests share: optional oracles, and a line that says which are here."""

from __future__ import annotations

import functools
import importlib
import importlib.metadata
import os
import shutil
import signal
import subprocess
from collections.abc import Iterator
from types import ModuleType

import pytest

ORACLES = {
    "torch": "torch",
    "jax": "jax",
    "autograd": "autograd",
    "flint": "python-flint",
    "numba": "numba",
}
PROGRAMS = {"chromium": ("chromium", "chromedriver"), "latex": ("pdflatex", "kpsewhich")}
"""Oracles that are programs: what has to be on the path; the first one tells its version."""
REQUIRED = os.environ.get("GRAPHGRAD_REQUIRE_ORACLES", "") not in ("", "0")


@functools.cache
def version(oracle: str) -> str | None:
    """The installed version of an oracle, found without importing it."""
    if oracle in PROGRAMS:
        found = [shutil.which(program) for program in PROGRAMS[oracle]]
        return None if None in found else _program_version(str(found[0]))
    try:
        return importlib.metadata.version(ORACLES[oracle])
    except importlib.metadata.PackageNotFoundError:
        return None


def _program_version(program: str) -> str:
    """What a program says about itself, without its own name: `156.0.8078.79`."""
    done = subprocess.run([program, "--version"], capture_output=True, text=True, check=False)
    return next((word for word in done.stdout.split() if word[0].isdigit()), "of unknown version")


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    names = (*ORACLES, *PROGRAMS)
    found = ", ".join(f"{name} {version(name) or 'missing'}" for name in names)
    terminalreporter.write_line(f"optional oracles: {found}")


def pytest_runtest_setup(item: pytest.Item) -> None:
    """Skip a test marked `oracle(name)` where the oracle is missing; fail it in CI."""
    for marker in item.iter_markers("oracle"):
        (name,) = marker.args
        if version(name) is None:
            if REQUIRED:
                pytest.fail(f"the oracle {name} is required here but not installed", pytrace=False)
            remedy = "install it" if name in PROGRAMS else "see requirements-oracles.txt"
            pytest.skip(f"the oracle {name} is not installed ({remedy})")


@pytest.fixture
def oracle(request: pytest.FixtureRequest) -> ModuleType:
    """The module that the test's marker names: `@pytest.mark.oracle("torch")`."""
    marker = request.node.get_closest_marker("oracle")
    if marker is None:
        raise LookupError("the fixture `oracle` needs the marker: @pytest.mark.oracle(name)")
    return importlib.import_module(marker.args[0])


@pytest.fixture
def keyboard() -> Iterator[None]:
    """Ctrl-C interrupts, here and in what a test starts: shells ignore it in what runs behind."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)
