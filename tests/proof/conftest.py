"""What tests of the proof share: both interval arithmetics."""

import pytest

from graphgrad.proof import intervals


@pytest.fixture(params=["flint", "mpmath"])
def arithmetic(request, monkeypatch):
    """Both interval arithmetics, whichever is installed."""
    if request.param == "mpmath":
        monkeypatch.setattr(intervals, "flint", None)
    elif intervals.flint is None:
        pytest.skip("python-flint is not installed")
