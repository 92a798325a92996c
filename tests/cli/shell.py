"""Command lines as a person types them."""

import os
import subprocess
import sys
from pathlib import Path


def shell(line, **options):
    """Run a line as a person types it, with `graphgrad` in the path."""
    path = os.pathsep.join([str(Path(sys.executable).parent), os.environ.get("PATH", "")])
    return subprocess.run(
        ["bash", "-c", line],
        env=os.environ | {"PATH": path, "PYTHONUTF8": "1"},
        capture_output=True,
        encoding="utf-8",
        timeout=100,
        check=False,
        **options,
    )
