"""The command `prove`."""

from __future__ import annotations

import argparse
import json
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

from rich.console import Console

from graphgrad.cli.inputs import UsageError, lengths_for, read_circuit, read_text, usage, waiting
from graphgrad.doors import door
from graphgrad.errors import GraphgradError

_prove = door("graphgrad.proof.prove:prove")
_recheck = door("graphgrad.proof.recheck:recheck")
_truncation = door("graphgrad.proof.recheck:truncation")
_proof = door("graphgrad.proof.result:proof_of")


def prove(options: argparse.Namespace) -> int:
    """Print a proof of the backward equations or of claims."""
    if options.recheck:
        return recheck(options)
    if options.file is None:
        raise UsageError("there is nothing to prove", remedy="give a FILE, or --recheck PROOF")
    with usage():
        truncate = None if options.truncate is None else _truncation(options.truncate)
    circuit = read_circuit(options.file)
    claims: Any = Path(options.claims) if options.claims else None
    if options.claims == "-":
        claims = read_text("-")
    try:
        proof = _prove(
            circuit,
            options.loss,
            claims=claims,
            wrt=options.wrt,
            tau=lengths_for(circuit, options.tau),
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
        printed(proof)
    return 0 if proof.ok else 1


def printed(found: Any) -> None:
    """Print a proof as a table: in colour on a terminal, 80 columns wide in a pipe."""
    console = Console(file=sys.stdout, highlight=False)
    if console.is_terminal:
        console.print(found)
        return
    with console.capture() as captured:
        console.print(found)
    print("\n".join(line.rstrip() for line in captured.get().splitlines()))


def recheck(options: argparse.Namespace) -> int:
    """Check a proof that was written with --json again."""
    text = read_text(options.recheck)
    with waiting("checking the proof again", quiet=options.json):
        found = _recheck(_proof(text), time_limit=options.time_limit)
    if options.json:
        print(json.dumps(found.as_dict(), indent=2, ensure_ascii=False))
    else:
        printed(found)
    return 0 if found.ok and found.proof.ok else 1
