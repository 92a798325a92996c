"""The command line: `graphgrad COMMAND FILE`.

Exit status 0 means yes, 1 refuted or invalid, 2 wrong usage.
"""

from __future__ import annotations

import argparse
import io
import json
import os
import re
import sys
import warnings
from collections.abc import Callable, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from graphgrad import __version__, cells
from graphgrad.circuit import Circuit
from graphgrad.dims import Token, shape_text
from graphgrad.doors import door
from graphgrad.errors import FileError, GraphgradError, nearest
from graphgrad.ir import OPS, Expr

if TYPE_CHECKING:
    from collections.abc import Iterator

    from graphgrad.unfold import Dag, View

_load = door("graphgrad.notation.parse:load")
_parse = door("graphgrad.notation.parse:parse")
_expression = door("graphgrad.notation.text:expression_text")
_prove = door("graphgrad.proof.prove:prove")
_recheck = door("graphgrad.proof.recheck:recheck")
_truncation = door("graphgrad.proof.recheck:truncation")
_proof = door("graphgrad.proof.result:proof_of")
METHODS = ("auto", "induction", "certificate", "sympy", "probabilistic", "enclosure")
_module = door("graphgrad.compile.standalone:module_source")
_circuit = door("viz:circuit")
_unfolded = door("viz:unfolded")
_backward = door("viz:backward")
_report = door("viz:report")
FORMATS = ("svg", "png", "pdf")


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a command and return its exit status."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):  # a console that lacks Greek gets question marks
            stream.reconfigure(errors="replace")
    parser = _parser()
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
        if getattr(options, "json", False):
            print(json.dumps({"ok": False, "error": _error_data(error)}, ensure_ascii=False))
        else:
            print(f"error: {error}", file=sys.stderr)
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
    print(f"warning: {message}", file=sys.stderr)


def _error_data(error: GraphgradError) -> dict[str, Any]:
    place = error.place
    return {
        "kind": type(error).__name__,
        "message": error.message,
        "remedy": error.remedy,
        "line": place.line if place else None,
        "column": place.column + 1 if place else None,
    }


# -- commands --------------------------------------------------------------------------------------


def _check(options: argparse.Namespace) -> int:
    circuit = _read(options.file)
    system = circuit.check()
    sweeps: list[dict[str, Any]] = [
        {
            "variables": [unit for unit in component.units if isinstance(unit, str)],
            "sweep": {1: "forward", -1: "backward", 0: "once"}[component.direction],
            "recurrent": component.recurrent,
        }
        for component in system.components
        if any(isinstance(unit, str) for unit in component.units)
    ]
    if options.json:
        shapes = {v.name: [str(dim) for dim in v.shape] for v in system.variables.values()}
        print(json.dumps({"ok": True, "name": circuit.name, "shapes": shapes, "order": sweeps}))
        return 0
    print(f"{circuit.name} is a circuit: {_count(len(system.variables), 'equation')}")
    for variable in system.variables.values():
        shown = variable.name if variable.index is None else f"{variable.name}[{variable.index}]"
        print(f"  {shown}: {shape_text(variable.shape)}")
    print("computed in this order:")
    for sweep in sweeps:
        kind = f"{sweep['sweep']}, recurrent" if sweep["recurrent"] else sweep["sweep"]
        print(f"  {', '.join(sweep['variables'])}  ({kind})")
    return 0


def _show(options: argparse.Namespace) -> int:
    circuit = _read(options.file)
    if options.out:
        _save(_circuit(circuit, level=options.level, style=options.style), options.out)
    print(circuit.latex() if options.latex else str(circuit), end="")
    return 0


def _unfold(options: argparse.Namespace) -> int:
    circuit = _read(options.file)
    dag = circuit.unfold(_lengths(circuit, options.tau), **options.sizes)
    if options.out:
        drawing = _unfolded(
            circuit,
            _lengths(circuit, options.tau),
            level=options.level,
            style=options.style,
        )
        _save(drawing, options.out)
    if options.json:
        nodes = [
            {"id": v.id, "op": v.op, "name": v.name, "time": v.time, "args": [a.id for a in v.args]}
            for v in dag.nodes
        ]
        print(json.dumps({"ok": True, "nodes": nodes, "params": list(dag.params)}))
        return 0
    lengths = ", ".join(f"{circuit.indices[i].length} = {n}" for i, n in dag.tau.items())
    print(
        f"{circuit.name} unfolded for {lengths}: {_count(len(dag), 'node')}, "
        f"{_count(len(dag.args), 'edge')}"
    )
    if len(dag) <= options.limit:
        for line in _node_lines(dag):
            print(line)
    else:
        print(f"(--limit {len(dag)} lists them)")
    return 0


def _node_lines(dag: Dag) -> Iterator[str]:
    """Yield a line for each node: `#16  h[1] = tanh(a[1])`."""
    declared = dag.system.declared
    names = {view.id: _node_name(view) for view in dag.nodes}
    width = max(map(len, names.values()))
    for view in dag.nodes:
        kind = view.template.type
        given = [names[arg.id] or f"#{arg.id}" for arg in view.args]
        if view.op in ("param", "input"):
            value = f"{view.op} {kind if isinstance(kind, Token) else shape_text(kind)}"
        elif view.op in ("accumulate", "copy"):
            value = " + ".join(given)
        else:
            args = tuple(
                Expr(OPS["static"], attr=name, type=arg.template.type)
                for name, arg in zip(given, view.args, strict=True)
            )
            value = _expression(Expr(OPS[view.op], args, view.attr, kind), declared)
        sign = "=" if names[view.id] else " "
        yield f"  #{view.id:<4} {names[view.id]:{width}} {sign} {value}"


def _node_name(view: View) -> str:
    name = view.name or ""
    return f"{name}[{view.time}]" if view.op == "input" and view.time is not None else name


def _grad(options: argparse.Namespace) -> int:
    circuit = _read(options.file)
    if options.paths is not None:
        return _paths(circuit, options)
    if options.tangent:
        derived = circuit.tangent(options.wrt)
    else:
        derived = circuit.adjoint(options.loss, wrt=options.wrt)
    if options.out:
        drawing = _backward(
            circuit,
            _lengths(circuit, options.tau),
            loss=options.loss,
            wrt=options.wrt,
            level=options.level,
            derivatives=options.derivatives,
            style=options.style,
        )
        _save(drawing, options.out)
    found = [
        equation for name, equation in derived.equations.items() if name not in circuit.equations
    ]
    if options.latex:
        print(derived.latex(only=[equation.name for equation in found]), end="")
    elif options.json:
        print(json.dumps({"ok": True, "equations": [str(equation) for equation in found]}))
    elif options.whole:
        print(str(derived), end="")
    else:
        for line in _equation_lines(circuit, derived):
            print(line)
    return 0


def _paths(circuit: Circuit, options: argparse.Namespace) -> int:
    """Print gradients as sums over paths."""
    dag = circuit.unfold(_lengths(circuit, options.tau), **options.sizes)
    names = options.paths or options.wrt or list(circuit.params)
    through = None if options.through is None else [n for n in options.through.split(",") if n]
    found = [dag.paths(_instance(name), options.loss, through=through) for name in names]
    if options.json:
        data = [
            {"wrt": name, "text": str(paths), "terms": [term.points for term in paths]}
            for name, paths in zip(names, found, strict=True)
        ]
        print(json.dumps({"ok": True, "paths": data}, ensure_ascii=False))
        return 0
    for paths in found:
        print(paths.latex() if options.latex else paths, end="" if options.latex else "\n")
    return 0


def _instance(text: str) -> str | tuple[str, int]:
    """Return `h[1]` as a name with a step, any other name as it is."""
    found = re.fullmatch(r"(.+)\[(-?\d+)\]", text)
    return (found[1], int(found[2])) if found else text


def _equation_lines(circuit: Circuit, derived: Circuit) -> list[str]:
    """Return the lines of a derived circuit's text that the circuit's own text does not have."""
    own = set(str(circuit).splitlines())
    return [line for line in str(derived).splitlines() if line and line not in own]


def _prove_command(options: argparse.Namespace) -> int:
    if options.recheck:
        return _recheck_command(options)
    if options.file is None:
        print("error: prove needs a FILE with a circuit, or --recheck PROOF", file=sys.stderr)
        return 2
    circuit = _read(options.file)
    claims: Any = Path(options.claims) if options.claims else None
    if options.claims == "-":
        claims = _text("-")
    truncate = None if options.truncate is None else _truncation(options.truncate)
    try:
        proof = _prove(
            circuit,
            options.loss,
            claims=claims,
            wrt=options.wrt,
            tau=_lengths(circuit, options.tau),
            sizes=options.sizes,
            method=options.method,
            truncate=truncate,
            time_limit=options.time_limit,
            progress=False if options.json else None,
        )
    except GraphgradError as error:
        if error.place is not None and error.place.source == "claims":
            error.place = replace(error.place, source="stdin")
        raise
    if options.json:
        print(proof.to_json())
    elif options.latex:
        print(proof.latex(), end="")
    else:
        print(proof)
    return 0 if proof.ok else 1


def _recheck_command(options: argparse.Namespace) -> int:
    """Check a proof that was written with --json again."""
    text = _text(options.recheck)
    with _waiting("checking the proof again", quiet=options.json):
        found = _recheck(_proof(text), time_limit=options.time_limit)
    if options.json:
        print(json.dumps(found.as_dict(), indent=2, ensure_ascii=False))
    else:
        print(found)
    return 0 if found.ok and found.proof.ok else 1


def _report_command(options: argparse.Namespace) -> int:
    circuit = _read(options.file)
    tau = _lengths(circuit, options.tau)
    out = Path(options.out)
    _folder(out)
    proof = None
    has_gradient = options.loss in circuit.equations and circuit.params
    if has_gradient:
        print(f"Backpropagation through time of {circuit.name}:\n")
        for line in _equation_lines(circuit, circuit.adjoint(options.loss)):
            print(f"  {line}")
        print()
        with _waiting("proving the gradient"):
            proof = _prove(
                circuit,
                options.loss,
                tau=tau,
                sizes=options.sizes,
                time_limit=options.time_limit,
            )
        print(proof)
    else:
        print(f"{circuit.name} has no {options.loss} with parameters: nothing to differentiate")
    print()
    written = []
    with _waiting("drawing"):
        for kind, drawing in (
            ("circuit", _circuit(circuit, style=options.style)),
            ("unfolded", _unfolded(circuit, tau, style=options.style)),
        ):
            for suffix in FORMATS:
                path = out / f"{circuit.name}-{kind}.{suffix}"
                drawing.save(path)
                written.append(path)
        page = out / f"{circuit.name}.html"
        _report(circuit, tau=tau, sizes=options.sizes, loss=options.loss, proof=proof).save(page)
        written.insert(0, page)
    for path in written:
        print(f"wrote {path}")
    return 0 if proof is None or proof.ok else 1


def _code(options: argparse.Namespace) -> int:
    print(_module(_read(options.file), options.loss), end="")
    return 0


def _cells_command(options: argparse.Namespace) -> int:
    if options.name:
        text = cells.path(options.name).read_text(encoding="utf-8")
        if options.json:
            data = {"ok": True, "name": options.name, "text": text}
            print(json.dumps(data, ensure_ascii=False, indent=2))
        else:
            print(text, end="")
        return 0
    titles = {name: cells.load(name).title for name in cells.names()}
    if options.json:
        print(json.dumps({"ok": True, "cells": titles}, ensure_ascii=False, indent=2))
        return 0
    width = max(map(len, titles))
    for name, title in titles.items():
        print(f"{name:{width}}  {title}")
    return 0


# -- helpers ---------------------------------------------------------------------------------------


def _read(name: str) -> Circuit:
    """Return the circuit in a file, from standard input (`-`), or of the gallery."""
    circuit: Circuit
    if name == "-":
        circuit = _parse(_text(name), "stdin")
    elif name in cells.names() and not Path(name).is_file():
        circuit = cells.load(name)
    else:
        guess = nearest(name, cells.names())
        try:
            circuit = _load(name)
        except FileError as error:
            if guess is not None and not Path(name).exists():
                error.remedy = f"did you mean {guess}, of the gallery?"
            raise
    return circuit


def _text(path: str) -> str:
    """Return what a file holds, or standard input (`-`)."""
    try:
        return sys.stdin.read() if path == "-" else Path(path).read_text(encoding="utf-8")
    except UnicodeDecodeError:
        shown = "standard input" if path == "-" else path
        raise FileError(f"{shown} is not UTF-8 text", remedy="save it as UTF-8") from None
    except OSError as error:
        raise FileError(
            f"{path} cannot be read: {error.strerror}", remedy="check the path"
        ) from None


def _folder(path: Path) -> None:
    try:
        path.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        reason = error.strerror or str(error)
        raise FileError(f"{path} cannot be made: {reason}", remedy="name another folder") from None


def _save(drawing: Any, path: str) -> None:
    drawing.save(path)
    print(f"wrote {path}", file=sys.stderr)


def _lengths(circuit: Circuit, tau: Mapping[str, int]) -> Any:
    """Return the lengths asked for: one number for a single index."""
    if set(tau) == {""}:
        return tau[""]
    return dict.fromkeys(circuit.indices, tau.get("", 3)) | {k: n for k, n in tau.items() if k}


def _count(number: int, what: str) -> str:
    return f"{number:,} {what}{'s' * (number != 1)}"


@contextmanager
def _waiting(what: str, *, quiet: bool = False) -> Iterator[None]:
    """Show what is going on while it goes on, on a terminal."""
    if quiet or not sys.stderr.isatty():
        yield
        return
    from rich.console import Console

    with Console(stderr=True).status(f"{what} …"):
        yield


# -- arguments -------------------------------------------------------------------------------------


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
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
        "report", _report_command, "write a report: equations, pictures, gradients and a proof",
        "elman --out out",
    )  # fmt: skip
    _file(sub)
    sub.add_argument("--out", default="out", metavar="DIR", help="folder to write to (default out)")
    _lengths_options(sub)
    _loss(sub)
    _time_limit(sub)
    _style(sub)
    sub = command("check", _check, "check a circuit: names, shapes and order", "elman")
    _file(sub)
    _json(sub)
    sub = command("show", _show, "print a circuit, and draw it", "elman --out elman.svg")
    _file(sub)
    sub.add_argument("--latex", action="store_true", help="print LaTeX instead of the notation")
    _picture(sub)
    sub = command(
        "unfold", _unfold, "unfold a circuit, and draw it", "elman --tau 3 --out elman.svg"
    )
    _file(sub)
    _lengths_options(sub)
    sub.add_argument(
        "--limit", type=int, default=200, metavar="N", help="list nodes up to N (default 200)"
    )
    _picture(sub)
    _json(sub)
    sub = command(
        "grad", _grad, "print the backward equations, or a gradient as a sum over paths",
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
    sub.add_argument("--latex", action="store_true", help="print LaTeX instead of the notation")
    sub.add_argument("--whole", action="store_true", help="print the whole circuit, forwards too")
    _lengths_options(sub)
    _picture(sub)
    sub.add_argument("--derivatives", action="store_true", help="draw the local derivatives, too")
    _json(sub)
    sub = command(
        "prove", _prove_command, "prove the backward equations, or a person's own",
        "elman",
        "graphgrad grad elman > mine.rec && graphgrad prove elman --claims mine.rec",
        "graphgrad prove tied --json > proof.json && graphgrad prove --recheck proof.json",
    )  # fmt: skip
    sub.add_argument(
        "file", nargs="?", metavar="FILE",
        help="a .rec file, a circuit of the gallery (see graphgrad cells), or - for stdin",
    )  # fmt: skip
    _lengths_options(sub)
    _loss(sub)
    _wrt(sub)
    sub.add_argument(
        "--claims", metavar="CLAIMS", help="file with equations such as d_W = …, or - for stdin"
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
    sub.add_argument("--latex", action="store_true", help="print the proof in LaTeX")
    _time_limit(sub)
    _json(sub)
    sub = command("code", _code, "print a NumPy module that needs nothing of this library", "lstm")
    _file(sub)
    _loss(sub)
    sub = command("cells", _cells_command, "list the gallery, or print one of it", "lstm")
    sub.add_argument("name", nargs="?", help="a circuit to print")
    _json(sub)
    return parser


def _file(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("file", metavar="FILE", help="a .rec file, a gallery name, or - for stdin")


def _json(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--json", action="store_true", help="print JSON for programs")


def _loss(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--loss", default="loss", help="what to differentiate (default loss)")


def _wrt(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--wrt",
        action="append",
        metavar="NAME",
        help="by what, repeatable (default all parameters)",
    )


def _lengths_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--tau", type=_numbers, default={"": 3}, metavar="N",
        help="number of steps, or s=3,t=4 for several indices (default 3)",
    )  # fmt: skip
    parser.add_argument(
        "--sizes", type=_named_numbers, default={}, metavar="H=4,D=3", help="sizes of dimensions"
    )


def _time_limit(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--time-limit", type=_seconds, default=60.0, metavar="SECONDS",
        help="stop proving after this time (default 60)",
    )  # fmt: skip


def _style(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--style", choices=("book", "colour", "dark"), default="colour", help="default colour"
    )


def _picture(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--out", metavar="PICTURE", help="draw to .svg, .png, .pdf, .dot or .tex")
    parser.add_argument(
        "--level", choices=("variables", "operations"), default="variables",
        help="one node a variable, or one an operation",
    )  # fmt: skip
    _style(parser)


def _numbers(text: str) -> dict[str, int]:
    if "=" in text:
        return _named_numbers(text)
    try:
        return {"": int(text)}
    except ValueError:
        raise argparse.ArgumentTypeError(f"{text!r} is not a whole number") from None


def _seconds(text: str) -> float:
    try:
        number = float(text)
    except ValueError:
        number = -1.0
    if not number >= 0:
        raise argparse.ArgumentTypeError(f"{text!r} is not a number of seconds")
    return number


def _named_numbers(text: str) -> dict[str, int]:
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
            raise argparse.ArgumentTypeError(f"{part!r} is not NAME=NUMBER")
    return found


if __name__ == "__main__":
    sys.exit(main())
