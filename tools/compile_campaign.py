"""Compiled functions of random circuits: `python -m tools.compile_campaign --circuits 1000`.

Every promise of `tests/compile/promises.py` is checked for every circuit. What is done is kept in a
file, a line a batch: the next call goes on where the last one stopped, and `--report` only counts.
Circuits that break a promise are written beside it, as text that can be parsed again.
"""

from __future__ import annotations

import argparse
import json
import sys
import traceback
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

from hypothesis import HealthCheck, Phase, given, seed, settings
from hypothesis import strategies as st

from graphgrad.compile.functions import BACKENDS
from tests.compile.networks import Case, network
from tests.compile.promises import keep
from tests.drawn import SIZES
from tests.strategies import circuits

BATCH = 50
FLAVOURS: dict[str, Any] = {
    "expressions": circuits("smooth", 2, wide=True).map(
        lambda drawn: Case(drawn.text(), drawn.steps, SIZES)
    ),
    "networks": st.integers(0, 2**32 - 1).map(network),
}
Failure = Callable[[Case, int, str], None]


def batch(
    flavour: str, number: int, backend: str, failed: Failure, size: int = BATCH
) -> Counter[str]:
    """Check one batch of circuits, the same for a number on every machine; return counts."""
    counts: Counter[str] = Counter()

    @seed(number)
    @settings(
        max_examples=size,
        database=None,
        deadline=None,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    @given(FLAVOURS[flavour], st.integers(0, 1000))
    def run(case: Case, values: int) -> None:
        counts["drawn"] += 1
        try:
            counts.update(keep(case, values, backend))
        except Exception:
            counts["failed"] += 1
            failed(case, values, traceback.format_exc(limit=-3))

    run()
    return counts


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--circuits", type=int, default=1000, help="of each flavour")
    parser.add_argument("--flavour", choices=FLAVOURS, action="append")
    parser.add_argument("--backend", choices=BACKENDS, default="numpy")
    parser.add_argument("--out", type=Path, default=Path("build/compile_campaign.jsonl"))
    parser.add_argument("--report", action="store_true", help="only count what is done")
    options = parser.parse_args()
    options.out.parent.mkdir(parents=True, exist_ok=True)
    lines = options.out.read_text(encoding="utf-8").splitlines() if options.out.exists() else []
    done = [each for each in map(json.loads, lines) if each["backend"] == options.backend]
    known = {(each["flavour"], each["batch"]) for each in done}
    wanted = options.flavour or list(FLAVOURS)
    failed = _written(options.out.with_suffix(".failed.txt"), options.backend)
    numbers = range(0 if options.report else -(-options.circuits // BATCH))
    for flavour in wanted:
        for number in (n for n in numbers if (flavour, n) not in known):
            counts = batch(flavour, number, options.backend, failed)
            place = {"backend": options.backend, "flavour": flavour, "batch": number}
            done.append({**place, "counts": counts})
            with options.out.open("a", encoding="utf-8") as file:
                file.write(json.dumps(done[-1]) + "\n")
    broken = 0
    for flavour in wanted:
        total = sum((Counter(e["counts"]) for e in done if e["flavour"] == flavour), Counter())
        print(f"{flavour}: {', '.join(f'{count} {what}' for what, count in total.items())}")
        broken += total["failed"]
    return 1 if broken else 0


def _written(path: Path, backend: str) -> Failure:
    def failed(case: Case, values: int, error: str) -> None:
        with path.open("a", encoding="utf-8") as file:
            head = "".join(f"# {line}\n" for line in error.strip().splitlines())
            place = f"# {backend}, steps {case.steps}, sizes {case.sizes}, values {values}"
            file.write(f"{head}{place}\n{case.text}\n\n")

    return failed


if __name__ == "__main__":
    sys.exit(main())
