"""Texts that are committed, to be compared with."""

from __future__ import annotations

import os
from pathlib import Path


def same_as_snapshot(found: str, path: Path) -> None:
    """Compare with the committed text; GRAPHGRAD_UPDATE_SNAPSHOTS=1 writes it anew, to be read."""
    if os.environ.get("GRAPHGRAD_UPDATE_SNAPSHOTS"):
        path.write_text(found, encoding="utf-8")
    assert found == path.read_text(encoding="utf-8")
