"""Running a command: errors and warnings as lines, exit statuses."""

from __future__ import annotations

import argparse
import io
import json
import os
import re
import sys
import warnings
from collections.abc import Sequence
from typing import Any

from graphgrad.cli.arguments import argument_parser
from graphgrad.cli.inputs import UsageError
from graphgrad.errors import GraphgradError

_ARGUMENT = re.compile(
    r"""\b(wrt|through|tau|method|loss|truncate)=(\[[^\]]*\]|\{[^}]*\}|"[^"]*"|'[^']*')"""
)
_INSTANCE = re.compile(r"""dag\["(\w+)", (-?\d+)\]""")


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a command and return its exit status."""
    if sys.stderr is None:  # closed by whoever started this: nobody wants to know
        sys.stderr = open(os.devnull, "w")  # noqa: SIM115
    if sys.stdout is None:
        print("error: the output cannot be written: it is closed", file=sys.stderr)
        return 1
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):  # a console that lacks Greek gets question marks
            stream.reconfigure(errors="replace")
    parser = argument_parser()
    options = parser.parse_args(arguments)
    if options.run is None:
        parser.print_help(sys.stderr)
        return 2
    with warnings.catch_warnings():
        warnings.simplefilter("default", UserWarning)
        warnings.showwarning = _show_warning
        return _status(options)


def _status(options: argparse.Namespace) -> int:
    """Run the command that was chosen; say what went wrong."""
    try:
        status: int = options.run(options)
        sys.stdout.flush()
    except GraphgradError as error:
        error.remedy = error.remedy and as_options(error.remedy)
        if getattr(options, "json", False):
            print(json.dumps({"ok": False, "error": _error_data(error)}, ensure_ascii=False))
        else:
            print(f"error: {error}", file=sys.stderr)
        return 2 if isinstance(error, UsageError) else 1
    except MemoryError:
        print("error: there is not enough memory for this", file=sys.stderr)
        print("Remedy: use fewer steps (--tau) or smaller sizes (--sizes)", file=sys.stderr)
        return 1
    except OSError as error:  # the output went away: a closed pipe, a full disk
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        if not isinstance(error, BrokenPipeError):
            print(f"error: the output cannot be written: {error.strerror}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("interrupted", file=sys.stderr)
        return 130
    return status


def _show_warning(message: Warning | str, *_: Any, **__: Any) -> None:
    print(f"warning: {as_options(str(message))}", file=sys.stderr)


def as_options(text: str) -> str:
    """Return a text about arguments of functions with the options of the command line instead.

    >>> as_options("as in wrt=['x', 'y']"), as_options("give tau={'s': 3, 't': 3}")
    ('as in --wrt x --wrt y', 'give --tau s=3,t=3')
    >>> as_options('show more with through=[…]'), as_options('write dag["x", 1]')
    ('show more with --through h,L', 'write x[1]')
    """
    text = _INSTANCE.sub(r"\1[\2]", text)
    return _ARGUMENT.sub(_option, text)


def _option(argument: re.Match[str]) -> str:
    """Return an argument such as wrt=["x"] as an option: --wrt x."""
    name, value = argument.groups()
    names = re.findall(r"['\"]([^'\"]+)['\"]", value)
    if name == "wrt":
        return " ".join(f"--wrt {each}" for each in names or ["NAME"])
    if name == "tau":
        numbers = re.findall(r": (\d+)", value)
        return f"--tau {','.join(map('='.join, zip(names, numbers, strict=True)))}"
    return f"--{name} {','.join(names) or 'h,L'}"


def _error_data(error: GraphgradError) -> dict[str, Any]:
    place = error.place
    return {
        "kind": type(error).__name__,
        "message": error.message,
        "remedy": error.remedy,
        "line": place.line if place else None,
        "column": place.column + 1 if place else None,
    }
