"""The fault corpus: every wrong backward pass put to the proof, and to the standard checkers.

    python tools/fault_corpus.py run                # resumes; out/fault-corpus.jsonl
    python tools/fault_corpus.py stories            # two published misses, measured again
    python tools/fault_corpus.py library --minutes 30   # mutants of the library's own modules
    python tools/fault_corpus.py right --count 2000     # right equations: none is refuted
    python tools/fault_corpus.py refactored --count 3000    # right hand-written passes, the same
    python tools/fault_corpus.py table              # docs/fault-corpus.md from what was found

Each fault is judged once: by `gg.prove` or `gg.check_function`, and, where they are installed, by
`torch.autograd.gradcheck` and the `check_grads` of autograd and JAX at their default tolerances.
"""

from __future__ import annotations

import argparse
import itertools
import json
import sys
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from tests.faults.checkers import installed, passed  # noqa: E402
from tests.faults.corpus import parts  # noqa: E402
from tests.faults.fault import Fault, Stopped  # noqa: E402
from tests.faults.refactored import refactored  # noqa: E402
from tests.faults.stories import cut, flipped  # noqa: E402
from tests.faults.subjects import generated  # noqa: E402
from tests.faults.summary import VISIBLE, document, visible  # noqa: E402
from tests.faults.survival import GROUPS, LONG, applies, equivalent, killer, mutants  # noqa: E402

RESULTS = ROOT / "out" / "fault-corpus.jsonl"
TABLE = ROOT / "docs" / "fault-corpus.md"
QUICK = 0.03
"""How long calls of tests take to which a mutant of the library is put first, in seconds."""
POINTS = 3
"""At how many points floating point looks, at most, until it sees that a pass is wrong."""


def main(argv: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    commands = parser.add_subparsers(dest="command", required=True)
    run = commands.add_parser("run", help="judge the corpus; resumes")
    run.add_argument("--seed", type=int, default=0)
    run.add_argument("--parts", default="", help="only parts whose names begin so")
    run.add_argument("--minutes", type=float, default=float("inf"), help="stop after so long")
    run.add_argument("--out", type=Path, default=RESULTS)
    run.add_argument("--without-checkers", action="store_true", help="ours alone")
    library = commands.add_parser("library", help="mutate the library, see its tests fail")
    library.add_argument("--minutes", type=float, default=float("inf"), help="stop after so long")
    library.add_argument("--out", type=Path, default=RESULTS)
    correct = commands.add_parser("right", help="judge the right equations of generated circuits")
    correct.add_argument("--count", type=int, default=2000)
    correct.add_argument("--minutes", type=float, default=float("inf"), help="stop after so long")
    correct.add_argument("--out", type=Path, default=RESULTS)
    reworded = commands.add_parser("refactored", help="judge right hand-written passes")
    reworded.add_argument("--count", type=int, default=3000)
    reworded.add_argument("--minutes", type=float, default=float("inf"), help="stop after so long")
    reworded.add_argument("--out", type=Path, default=RESULTS)
    for name, text in (("stories", "two published misses"), ("table", "write the summary")):
        command = commands.add_parser(name, help=text)
        command.add_argument("--out", type=Path, default=RESULTS)
    options = parser.parse_args(argv)
    options.out.parent.mkdir(parents=True, exist_ok=True)
    if options.command == "run":
        return judge(options)
    lived = options.out.with_suffix(".library.jsonl")
    if options.command == "library":
        return mutate(lived, options.minutes)
    kept = options.out.with_suffix(".right.jsonl")
    if options.command == "right":
        return judge_right(kept, options.count, options.minutes)
    same = options.out.with_suffix(".refactored.jsonl")
    if options.command == "refactored":
        return judge_refactored(same, options.count, options.minutes)
    told = options.out.with_suffix(".stories.jsonl")
    if options.command == "stories":
        told.write_text("".join(json.dumps(row) + "\n" for row in measured()), encoding="utf-8")
        return 0
    found = [list(read(path)) for path in (options.out, told, lived, kept, same)]
    found[2] = [*{(row["group"], row["name"]): row for row in found[2]}.values()]
    TABLE.write_text(document(*found), encoding="utf-8")
    print(TABLE)
    return 0


def measured() -> Iterator[dict[str, Any]]:
    """Yield what is said of the two stories."""
    for story in (flipped(), cut()):
        numbers, proof = story.numbers(), story.proof()
        row = {"title": story.title, "verdict": proof.verdict, "fault": proof.claims[0].fault}
        row |= {"error": numbers.error, "passed": passed(numbers, installed())}
        print(row)
        yield row


def mutate(path: Path, minutes: float) -> int:
    """Go through the mutants of the library, the groups in turn; return 1 if one survives.

    Each is put to the quick calls first, and what survives to all of them once nothing is new,
    those of generated circuits among them.
    """
    known = {(row["group"], row["name"]): row for row in read(path)}
    harmless = equivalent()
    rounds = itertools.zip_longest(*([(g, m) for m in mutants(g)] for g in ("rules", *GROUPS)))
    order = [each for each in itertools.chain.from_iterable(rounds) if each]
    started = time.monotonic()
    with path.open("a", encoding="utf-8") as file:
        for seconds in (QUICK, LONG):
            for group, mutant in order:
                if time.monotonic() - started > 60 * minutes:
                    break
                row = known.get((group, mutant.name), {"all": False})
                if row.get("killer") or row["all"] or ("group" in row and seconds == QUICK):
                    continue
                if "group" not in row and not applies(mutant, group):
                    continue
                row = {"group": group, "name": mutant.name, "all": seconds > QUICK}
                same = mutant.name in harmless
                row["killer"] = None if same else killer(mutant, group, seconds)
                known[group, mutant.name] = row
                file.write(json.dumps(row) + "\n")
                file.flush()
                if row["killer"] is None and not same and row["all"]:
                    print(f"{group}: {mutant.name}", flush=True)
    return int(any(not row["killer"] and row["name"] not in harmless for row in known.values()))


def judge_right(path: Path, count: int, minutes: float) -> int:
    """Judge the right backward equations of generated circuits; return 1 if one is refuted."""
    known = {row["name"]: row["verdict"] for row in read(path)}
    started = time.monotonic()
    with path.open("a", encoding="utf-8") as file:
        for number in range(count):
            subject = generated(number)
            if subject.name in known:
                continue
            if time.monotonic() - started > 60 * minutes:
                break
            known[subject.name] = subject.prove(subject.backward).verdict
            row = {"name": subject.name, "verdict": known[subject.name]}
            file.write(json.dumps(row) + "\n")
            file.flush()
    print(Counter(known.values()))
    return int("refuted" in known.values())


def judge_refactored(path: Path, count: int, minutes: float) -> int:
    """Judge right hand-written passes in other words; return 1 if one is refuted."""
    known = {row["number"]: row for row in read(path)}
    started = time.monotonic()
    with path.open("a", encoding="utf-8") as file:
        for number in range(count):
            if number in known:
                continue
            if time.monotonic() - started > 60 * minutes:
                break
            right = refactored(number)
            row = {"number": number, "name": right.name, "kind": right.kind}
            row |= {"digest": right.digest, "right": right.is_right}
            if right.is_right:
                said = right.verdict()
                row |= {"verdict": said.verdict, "reason": said.reason}
                row |= {"seconds": round(said.seconds, 4)}
            known[number] = row
            file.write(json.dumps(row) + "\n")
            file.flush()
    verdicts = Counter(row.get("verdict", "no pass") for row in known.values())
    print(verdicts)
    return int("refuted" in verdicts)


def judge(options: argparse.Namespace) -> int:
    """Judge what is not judged yet; return 1 if a wrong pass is called right."""
    known = {(row["name"], row["digest"]): row for row in read(options.out)}
    whole = {row["part"] for row in known.values() if row.get("last")}
    checkers = [] if options.without_checkers else installed()
    started, count, slipped = time.monotonic(), 0, 0
    with options.out.open("a", encoding="utf-8") as file:
        for part in parts(options.seed):
            if not part.name.startswith(options.parts) or f"{options.seed} {part.name}" in whole:
                continue
            before = count
            for fault in part.faults():
                if time.monotonic() - started > 60 * options.minutes:
                    return int(slipped > 0)
                if (fault.name, fault.digest) in known:
                    continue
                row = judged(fault, f"{options.seed} {part.name}", checkers)
                slipped += slips(row)
                count += 1
                file.write(json.dumps(row) + "\n")
                file.flush()
            last = {"name": part.name, "digest": "", "part": f"{options.seed} {part.name}"}
            file.write(json.dumps({**last, "last": True}) + "\n")
            file.flush()
            pace = count / (time.monotonic() - started)
            print(
                f"{part.name}: {count - before} faults, {count} in all, {pace:.1f} a second",
                flush=True,
            )
    return int(slipped > 0)


def judged(fault: Fault, part: str, checkers: list[str]) -> dict[str, Any]:
    """Return all that is said of one fault."""
    row: dict[str, Any] = {
        "name": fault.name, "digest": fault.digest, "part": part, "family": fault.family,
        "cause": fault.cause, "subject": fault.subject, "text": fault.text[:300],
    }  # fmt: skip
    try:
        said = fault.verdict()
        row |= {"verdict": said.verdict, "reason": said.reason, "seconds": round(said.seconds, 4)}
        numbers = [fault.numbers(0)]
        while numbers[-1].error < VISIBLE and len(numbers) < POINTS:
            numbers.append(fault.numbers(len(numbers)))
    except (Exception, Stopped) as error:
        return {**row, "failed": f"{type(error).__name__}: {error}"[:200]}
    error = max(each.error for each in numbers)
    row["error"] = error if error < 1e300 else 1e300
    row["passed"] = passed(numbers[0], checkers)
    return row


def slips(row: dict[str, Any]) -> bool:
    """Whether a pass whose numbers are wrong is called right."""
    return "failed" not in row and visible(row) and row["verdict"] in ("proved", "certified")


def read(path: Path) -> Iterator[dict[str, Any]]:
    """Yield what is stored, a line cut off by an interruption left out."""
    if not path.exists():
        return
    for line in path.read_text(encoding="utf-8").splitlines():
        try:
            yield json.loads(line)
        except json.JSONDecodeError:
            continue


if __name__ == "__main__":
    sys.exit(main())
