"""The tables of the fault corpus, from what was found: counts, misses by class, what stays open."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

from tests.faults.fault import CAUSES, FAMILIES
from tests.faults.survival import equivalent, mutants

NAMES = {"torch": "torch gradcheck", "autograd": "autograd check_grads", "jax": "JAX check_grads"}
VISIBLE = 1e-9
"""A relative error that no rounding makes."""
Row = dict[str, Any]

HEAD = """# The fault corpus

{total:,} changed backward passes, each put to `gg.prove` or `gg.check_function`, and, at one random
point in double precision, to the gradient checkers of other libraries with their default
tolerances. Written by

    python tools/fault_corpus.py run --seed {seed}    # resumable; {hours}
    python tools/fault_corpus.py stories
    python tools/fault_corpus.py right
    python tools/fault_corpus.py refactored
    python tools/fault_corpus.py library
    python tools/fault_corpus.py table

A change that leaves the pass equivalent has to be *proved* so; every other one has to be *refuted*,
which takes a witness: rational data at which rigorous enclosures of the two gradients are apart. A
*miss* is a refuted pass that a checker accepts. Floating point, which knows nothing of the proof,
watches: {slipped} of the passes whose numbers it sees to be wrong were proved. Of the refuted ones
{false} show no error at the points that were tried; their witnesses are other points.
{failed}"""

PARTS = """
## Where the faults come from

`rules`: one change in the source of a derivative rule, and the backward equations that the library
makes of it. `adjoint`: one change in the backward equations of a circuit of the gallery or a
generated one. `drivers`: one change in the loop around a cell whose step is right. `passes`: one
change in the syntax tree of a hand-written NumPy pass of the tests, or of one that is put together
from interchangeable pieces (`tests/faults/composed.py`). One or two units a layer, two to four
steps.
"""


REFACTORED = """
{total:,} right hand-written passes with different sources (`python tools/fault_corpus.py
refactored`): seven cells in five layouts, with σ by exponentials or by tanh, gates fused or
separate, softmax with and without shift, σ' and tanh' by the value or by the argument (σ' in exp or
tanh, whatever σ itself is written in), loops up and down, sums in every form
(`tests/faults/composed.py`); and those, with the passes of the tests, after one to twelve rewrites
of their syntax trees (`tests/faults/rewrite.py`). {dropped} more whose numbers a rewrite changed,
since it does not hold for lists or scalars, do not count.
"""


def document(
    rows: Iterable[Row],
    stories: list[Row],
    library: list[Row],
    right: list[Row],
    refactored: list[Row],
) -> str:
    """Return the document about the results of one seed."""
    rows = [row for row in rows if not row.get("last")]
    judged = [row for row in rows if "failed" not in row]
    seed = judged[0]["part"].partition(" ")[0] if judged else "0"
    wrong = [row for row in judged if row["verdict"] == "refuted"]
    slipped = [r for r in judged if r["verdict"] in ("proved", "certified") and visible(r)]
    false = [r for r in wrong if not visible(r)]
    seconds = sum(row["seconds"] for row in judged)
    pace = len(judged) / seconds if seconds else 0
    hours = f"{seconds / 60:.0f} minutes of proofs on one busy core, {pace:.0f} a second"
    parts = [
        HEAD.format(
            total=len(judged),
            seed=seed,
            hours=hours,
            slipped=len(slipped),
            false=len(false),
            failed=_failed(rows),
        ),
        _misses("class of fault", CAUSES, lambda row: row["cause"], judged),
        PARTS,
        _misses("source", FAMILIES, lambda row: row["family"], judged),
        _right(right),
        _refactored(refactored),
        _stories(stories),
        _library(library),
        _open(judged),
    ]
    return "\n".join(part for part in parts if part)


def _failed(rows: list[Row]) -> str:
    """Say how many passes could not be judged at all, and why."""
    failed = [row["failed"] for row in rows if "failed" in row]
    return (
        f"{len(failed)} more could not be judged: {'; '.join(dict.fromkeys(failed))}\n"
        if failed
        else ""
    )


def visible(row: Row) -> bool:
    """Whether the numbers of a pass are wrong, too."""
    return row["error"] is not None and row["error"] > VISIBLE


def _misses(title: str, keys: Iterable[str], of: Callable[[Row], str], rows: list[Row]) -> str:
    """Return the table of verdicts, and of what each checker misses."""
    checkers = [name for name in NAMES if any(name in row["passed"] for row in rows)]
    heads = [title, "passes", "proved equivalent", "undecided", "refuted"]
    heads += [f"missed by {NAMES[name]}" for name in checkers]
    lines = ["| " + " | ".join(heads) + " |", "|---|" + "---:|" * (len(heads) - 1)]
    for key in [*keys, ""]:
        chosen = [row for row in rows if not key or of(row) == key]
        if not chosen:
            continue
        wrong = [row for row in chosen if row["verdict"] == "refuted"]
        cells = [len(chosen), *(_count(chosen, v) for v in ("proved", "undecided")), len(wrong)]
        shown = [key or "**all**", *(f"{cell:,}" for cell in cells)]
        for name in checkers:
            missed = sum(row["passed"].get(name, False) for row in wrong)
            rate = 100 * missed / len(wrong) if wrong else 0
            shown.append(f"{missed:,} ({rate:.1f} %)")
        lines.append("| " + " | ".join(shown) + " |")
    return "\n".join(lines) + "\n"


def _count(rows: list[Row], verdict: str) -> int:
    same = {verdict, "certified"} if verdict == "undecided" else {verdict}
    return sum(row["verdict"] in same for row in rows)


def _right(rows: list[Row]) -> str:
    """Return what is said of right equations."""
    if not rows:
        return ""
    proved, refuted = _count(rows, "proved"), _count(rows, "refuted")
    return (
        f"\n## Right passes\n\nThe right backward equations of {len(rows):,} generated circuits: "
        f"{proved:,} proved, {refuted} refuted, {len(rows) - proved - refuted} undecided "
        "(`python tools/fault_corpus.py right`).\n"
    )


KINDS = {
    "composed": "put together from pieces",
    "composed, rewritten": "put together, syntax tree rewritten",
    "hand-written": "hand-written, syntax tree rewritten",
}


def _refactored(rows: list[Row]) -> str:
    """Return what is said of right hand-written passes in other words."""
    if not rows:
        return ""
    distinct = {row["digest"]: row for row in rows if row["right"]}
    dropped = sum(not row["right"] for row in rows)
    lines = [REFACTORED.format(total=len(distinct), dropped=dropped)]
    lines += ["| passes | judged | proved | refuted | undecided |", "|---|---:|---:|---:|---:|"]
    for kind, title in {**KINDS, "": "**all**"}.items():
        chosen = [row for row in distinct.values() if not kind or row["kind"] == kind]
        cells = [len(chosen), *(_count(chosen, v) for v in ("proved", "refuted", "undecided"))]
        lines.append(" | ".join([f"| {title}", *(f"{cell:,}" for cell in cells)]) + " |")
    left = [row for row in distinct.values() if row["verdict"] != "proved"]
    lines += ["", *(f"- `{row['name']}`: {row['verdict']}: {row['reason']}" for row in left)]
    return "\n".join(lines).rstrip() + "\n"


def _stories(rows: list[Row]) -> str:
    """Return what is said of the two passes that were seen to be accepted elsewhere."""
    if not rows:
        return ""
    lines = ["\n## Two passes that were accepted elsewhere\n"]
    for row in rows:
        checkers = ", ".join(
            f"{NAMES[name]} {'accepts' if ok else 'rejects'} it"
            for name, ok in row["passed"].items()
        )
        lines.append(
            f"- {row['title'][0].upper()}{row['title'][1:]}: {checkers}; graphgrad has it "
            f"**{row['verdict']}** (first wrong: `{row['fault']}`). The largest error of an entry "
            f"is {row['error']:.2g} of the entry."
        )
    return "\n".join(lines) + "\n"


GROUPS = {
    "rules": "rules of differentiation, `ops/`",
    "sweep": "reverse sweep, `autodiff/`",
    "adjoint": "adjoint circuits, `adjoint/`",
    "truncation": "truncations, `truncation.py`, `adjoint/copies.py`",
}


def _library(rows: list[Row]) -> str:
    """Return what became of the mutants of the library itself."""
    if not rows:
        return ""
    harmless = equivalent()
    lines = [
        "\n## Mutants of the library\n",
        "One change in the source of a module, in a fixed random order; the tests of the module",
        "are called until one fails; some changes make no mutant, since no function changes.",
        "`python tools/fault_corpus.py library` goes on from here.\n",
        "| module | changes | mutants tried | killed | equivalent | survivors |",
        "|---|---:|---:|---:|---:|---:|",
    ]
    survivors = []
    for group, title in {**GROUPS, "": "**all**"}.items():
        chosen = [row for row in rows if not group or row["group"] == group]
        killed = sum(row["killer"] is not None for row in chosen)
        left = [row for row in chosen if not row["killer"] and row["name"] not in harmless]
        survivors += left if group else []
        changes = sum(len(mutants(each)) for each in ([group] if group else GROUPS))
        cells = [changes, len(chosen), killed, len(chosen) - killed - len(left), len(left)]
        lines.append(" | ".join([f"| {title}", *(f"{cell:,}" for cell in cells)]) + " |")
    if survivors:
        lines.append("\nSurvivors are either equivalent or not tested; nobody has looked yet at:\n")
        for row in survivors:
            some = "" if row["all"] else " (quick tests only)"
            lines.append(f"- `{row['name'].replace('`', '')}`{some}")
    return "\n".join(lines) + "\n"


def _open(rows: list[Row]) -> str:
    """Return the list of what was neither proved nor refuted."""
    left = [row for row in rows if row["verdict"] in ("undecided", "certified")]
    if not left:
        return "\nNothing is undecided.\n"
    lines = [
        f"\n## Undecided: {len(left)}\n",
        "| fault | said | wrong in floating point |",
        "|---|---|---|",
    ]
    for row in left:
        seen = "yes" if visible(row) else "not seen"
        lines.append(f"| `{row['name']}` | {row['verdict']}: {row['reason']} | {seen} |")
    return "\n".join(lines) + "\n"
