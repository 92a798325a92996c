"""What all tests share: optional oracles, and a line that says which are here."""

from __future__ import annotations

import importlib
import importlib.metadata
import os
from types import ModuleType

import pytest

ORACLES = {"torch": "torch", "jax": "jax", "autograd": "autograd", "flint": "python-flint"}
REQUIRED = os.environ.get("GRAPHGRAD_REQUIRE_ORACLES", "") not in ("", "0")


def version(oracle: str) -> str | None:
    """The installed version of an oracle, found without importing it."""
    try:
        return importlib.metadata.version(ORACLES[oracle])
    except importlib.metadata.PackageNotFoundError:
        return None


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    found = ", ".join(f"{name} {version(name) or 'missing'}" for name in ORACLES)
    terminalreporter.write_line(f"optional oracles: {found}")


def pytest_runtest_setup(item: pytest.Item) -> None:
    """Skip a test marked `oracle(name)` where the oracle is missing; fail it in CI."""
    for marker in item.iter_markers("oracle"):
        (name,) = marker.args
        if version(name) is None:
            if REQUIRED:
                pytest.fail(f"the oracle {name} is required here but not installed", pytrace=False)
            pytest.skip(f"the oracle {name} is not installed (see requirements-oracles.txt)")


@pytest.fixture
def oracle(request: pytest.FixtureRequest) -> ModuleType:
    """The module that the test's marker names: `@pytest.mark.oracle("torch")`."""
    marker = request.node.get_closest_marker("oracle")
    if marker is None:
        raise LookupError("the fixture `oracle` needs the marker: @pytest.mark.oracle(name)")
    return importlib.import_module(marker.args[0])
