"""The command line: `graphgrad COMMAND FILE`.

Exit status 0 means yes, 1 refuted or invalid, 2 wrong usage.
"""

from graphgrad.cli.running import main

__all__ = ["main"]
