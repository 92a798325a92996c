"""The arguments of all commands."""

from __future__ import annotations

import argparse
import re
from collections.abc import Callable
from typing import Any, NoReturn

from graphgrad import __version__
from graphgrad.cli.circuits import check, code, list_cells, show, unfold
from graphgrad.cli.gradients import grad
from graphgrad.cli.proofs import prove
from graphgrad.cli.reports import report
from graphgrad.doors import door
from graphgrad.errors import nearest

_is_length = door("graphgrad.unfold.lengths:is_length")

METHODS = ("auto", "induction", "certificate", "sympy", "probabilistic", "enclosure")


class Parser(argparse.ArgumentParser):
    """A parser whose errors are told as all others are: what is wrong, and the remedy."""

    def parse_known_args(self, args: Any = None, namespace: Any = None) -> Any:
        """Parse arguments; what a command does not know is told with how that command is called."""
        found, unknown = super().parse_known_args(args, namespace)
        if unknown:
            self.error(f"unrecognized arguments: {' '.join(unknown)}")
        return found, unknown

    def error(self, message: str) -> NoReturn:
        """Say what is wrong with the arguments, and how the command is called; exit with 2."""
        misspelt = re.search(r"COMMAND: invalid choice: '(.*?)' \(choose from (.*)\)", message)
        if misspelt and (guess := nearest(misspelt[1], re.findall(r"\w+", misspelt[2]))):
            self.exit(2, f"error: {message}\nRemedy: did you mean {guess}?\n")
        example = (self.epilog or "").partition("\n")[0].removeprefix("example: ")
        call = f'write for example "{example}", or see' if example else "see"
        self.exit(2, f"error: {message}\nRemedy: {call} {self.prog} --help\n")


def argument_parser() -> argparse.ArgumentParser:
    """Return the parser of the command line, with one subparser a command."""
    parser = Parser(
        prog="graphgrad",
        description="Recurrences as circuits: unfolded, differentiated, proved and drawn.",
        epilog="example: graphgrad report elman --out out",
    )
    parser.add_argument("--version", action="version", version=f"graphgrad {__version__}")
    commands = parser.add_subparsers(title="commands", metavar="COMMAND")
    parser.set_defaults(run=None)

    def command(
        name: str, run: Callable[[argparse.Namespace], int], text: str, example: str, *more: str
    ) -> argparse.ArgumentParser:
        sub = commands.add_parser(
            name, help=text, description=text[0].upper() + text[1:] + ".",
            epilog="\n".join(f"example: {e}" for e in (f"graphgrad {name} {example}", *more)),
            formatter_class=argparse.RawDescriptionHelpFormatter,
        )  # fmt: skip
        sub.set_defaults(run=run)
        return sub

    sub = command(
        "report", report, "write a report: equations, pictures, gradients and a proof",
        "elman --out out",
    )  # fmt: skip
    _file(sub)
    sub.add_argument("--out", default="out", metavar="DIR", help="folder to write to (default out)")
    _lengths_options(sub)
    _loss(sub)
    _time_limit(sub)
    _style(sub)
    sub = command("check", check, "check a circuit: names, shapes and order", "elman")
    _file(sub)
    _json(sub)
    sub = command("show", show, "print a circuit, and draw it", "elman --out elman.svg")
    _file(sub)
    sub.add_argument("--latex", action="store_true", help="print LaTeX instead of the notation")
    _picture(sub)
    sub = command(
        "unfold", unfold, "unfold a circuit, and draw it", "elman --tau 3 --out elman.svg"
    )
    _file(sub)
    _lengths_options(sub)
    sub.add_argument(
        "--limit", type=_count, default=200, metavar="N", help="list nodes up to N (default 200)"
    )
    _picture(sub)
    _json(sub)
    sub = command(
        "grad", grad, "print the backward equations, or a gradient as a sum over paths",
        "elman --wrt W", "graphgrad grad elman --paths W --tau 2",
        "graphgrad grad elman --out backward.svg --derivatives",
    )  # fmt: skip
    _file(sub)
    _loss(sub)
    _wrt(sub)
    sub.add_argument(
        "--tangent", action="store_true", help="print the equations of forward mode instead"
    )
    sub.add_argument(
        "--paths", nargs="*", metavar="NAME",
        help="print the gradient by W, or by h[1], as a sum over paths (default all parameters)",
    )  # fmt: skip
    sub.add_argument(
        "--through", metavar="h,L", help="variables shown on the paths (default states and losses)"
    )
    form = sub.add_mutually_exclusive_group()
    form.add_argument("--latex", action="store_true", help="print LaTeX instead of the notation")
    form.add_argument("--whole", action="store_true", help="print the whole circuit, forwards too")
    _json(form)
    _lengths_options(sub)
    _picture(sub)
    sub.add_argument(
        "--derivatives", action="store_true",
        help="write the local derivatives, too, one node a variable; that of an arrow without a "
        "label is 1 or the identity, or not one short formula, or has no room",
    )  # fmt: skip
    sub = command(
        "prove", prove, "prove the backward equations, or a person's own",
        "elman",
        "graphgrad grad elman > mine.rec && graphgrad prove elman --claims mine.rec",
        "graphgrad prove tied --json > proof.json && graphgrad prove --recheck proof.json",
    )  # fmt: skip
    sub.add_argument(
        "file", nargs="?", metavar="FILE", help="a .rec file, a gallery name, or - for stdin"
    )  # fmt: skip
    _lengths_options(sub)
    _loss(sub)
    _wrt(sub)
    sub.add_argument(
        "--claims", metavar="FILE", help="file with equations such as d_W = …, or - for stdin"
    )
    sub.add_argument(
        "--method", choices=METHODS, default="auto",
        help="how to prove (default auto: the strongest that is fast enough)",
    )  # fmt: skip
    sub.add_argument(
        "--truncate", metavar="KIND", help='prove a truncated gradient: "window(3)", "chunks(5)"'
    )
    sub.add_argument(
        "--recheck", metavar="PROOF", help="check a proof written with --json again, independently"
    )
    _time_limit(sub)
    form = sub.add_mutually_exclusive_group()
    form.add_argument("--latex", action="store_true", help="print the proof in LaTeX")
    _json(form)
    sub = command(
        "code", code, "print a module that needs nothing of this library",
        "lstm", "graphgrad code lstm --loss h --backend jax > layer.py",
    )  # fmt: skip
    _file(sub)
    sub.add_argument(
        "--loss", metavar="NAME",
        help="what to differentiate (default loss); what is no single number, such as h, is "
        "weighed by its cotangent: the module takes seed_h with the inputs",
    )  # fmt: skip
    backends = ("numpy", "numba", "jax")
    sub.add_argument(
        "--backend", choices=backends, default="numpy", help="what runs it (default numpy)"
    )
    sub = command("cells", list_cells, "list the gallery, or print one of it", "lstm")
    sub.add_argument("name", nargs="?", metavar="NAME", help="a circuit to print")
    _json(sub)
    return parser


def _file(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("file", metavar="FILE", help="a .rec file, a gallery name, or - for stdin")


def _json(parser: argparse._ActionsContainer) -> None:
    parser.add_argument("--json", action="store_true", help="print JSON for programs")


def _loss(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--loss", default="loss", help="what to differentiate (default loss)")


def _wrt(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--wrt",
        action="extend",
        type=_names,
        metavar="NAME",
        help="by what: W, or W,U (default all parameters)",
    )


def _lengths_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--tau", type=_lengths, default={"": 3}, metavar="N",
        help="number of steps, or s=3,t=4 for several indices (default 3)",
    )  # fmt: skip
    parser.add_argument(
        "--sizes", type=_sizes, default={}, metavar="H=4,D=3", help="sizes of dimensions"
    )


def _time_limit(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--time-limit", type=_seconds, default=60.0, metavar="SECONDS",
        help="stop proving after this time (default 60)",
    )  # fmt: skip


def _style(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--style", choices=("book", "colour", "dark"), help="default colour")


def _picture(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--out", metavar="PICTURE", help="draw to .svg, .png, .pdf, .dot or .tex")
    parser.add_argument(
        "--level", choices=("variables", "operations"),
        help="one node a variable (default), or one an operation",
    )  # fmt: skip
    _style(parser)


def _names(text: str) -> list[str]:
    return [name.strip() for name in text.split(",") if name.strip()] or [text]


def _lengths(text: str) -> dict[str, int]:
    try:
        found = _named_numbers(text, "t=4") if "=" in text else {"": int(text)}
    except ValueError:
        raise argparse.ArgumentTypeError(
            f"{text!r} is not a whole number: write --tau 4, or --tau s=3,t=4"
        ) from None
    for number in found.values():
        if not _is_length(number):
            raise argparse.ArgumentTypeError(f"{number} is not a possible number of steps")
    return found


def _sizes(text: str) -> dict[str, int]:
    found = _named_numbers(text)
    for name, number in found.items():
        if number < 1:
            raise argparse.ArgumentTypeError(f"the size {name} = {number} is not possible")
    return found


def _count(text: str) -> int:
    try:
        number = int(text)
    except ValueError:
        number = -1
    if number < 0:
        raise argparse.ArgumentTypeError(f"{text!r} is not a number of nodes")
    return number


def _seconds(text: str) -> float:
    try:
        number = float(text)
    except ValueError:
        number = -1.0
    if not number >= 0:
        raise argparse.ArgumentTypeError(f"{text!r} is not a number of seconds")
    return number


def _named_numbers(text: str, example: str = "H=4") -> dict[str, int]:
    found: dict[str, int] = {}
    for part in text.split(","):
        name, mark, value = part.partition("=")
        if name.strip() in found:
            raise argparse.ArgumentTypeError(f"{name.strip()} is given twice")
        try:
            found[name.strip()] = int(value)
        except ValueError:
            mark = ""
        if not mark or not name.strip():
            raise argparse.ArgumentTypeError(f"{part!r} is not NAME=NUMBER, such as {example}")
    return found
