"""Adjoints of thousands of random circuits: `python -m tools.adjoint_campaign --circuits 5000`.

Every promise of `tests/adjoint/promises.py` is checked for every circuit. What is done is kept in a
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

from hypothesis import HealthCheck, Phase, given, seed, settings
from hypothesis import strategies as st

from tests.adjoint.promises import keep
from tests.drawn import Drawn
from tests.strategies import circuits

BATCH = 100
COMPONENTS = {"polynomial": 2, "rational": 3, "smooth": 2}
Failure = Callable[[Drawn, int, str], None]


def batch(flavour: str, number: int, failed: Failure, size: int = BATCH) -> Counter[str]:
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
    @given(circuits(flavour, COMPONENTS[flavour], wide=True), st.integers(0, 3))
    def run(drawn: Drawn, values: int) -> None:
        counts["drawn"] += 1
        try:
            counts.update(keep(drawn, values, flavour))
        except Exception:
            counts["failed"] += 1
            failed(drawn, values, traceback.format_exc(limit=-3))

    run()
    return counts


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--circuits", type=int, default=5000, help="of each flavour")
    parser.add_argument("--flavour", choices=COMPONENTS, action="append")
    parser.add_argument("--out", type=Path, default=Path("build/adjoint_campaign.jsonl"))
    parser.add_argument("--report", action="store_true", help="only count what is done")
    options = parser.parse_args()
    options.out.parent.mkdir(parents=True, exist_ok=True)
    lines = options.out.read_text(encoding="utf-8").splitlines() if options.out.exists() else []
    done = [json.loads(line) for line in lines]
    known = {(each["flavour"], each["batch"]) for each in done}
    wanted = options.flavour or list(COMPONENTS)
    numbers = range(0 if options.report else -(-options.circuits // BATCH))
    for flavour in wanted:
        for number in (n for n in numbers if (flavour, n) not in known):
            counts = batch(flavour, number, _written(options.out.with_suffix(".failed.txt")))
            done.append({"flavour": flavour, "batch": number, "counts": counts})
            with options.out.open("a", encoding="utf-8") as file:
                file.write(json.dumps(done[-1]) + "\n")
    broken = 0
    for flavour in wanted:
        total = sum((Counter(e["counts"]) for e in done if e["flavour"] == flavour), Counter())
        print(f"{flavour}: {', '.join(f'{count} {what}' for what, count in total.items())}")
        broken += total["failed"]
    return 1 if broken else 0


def _written(path: Path) -> Failure:
    def failed(drawn: Drawn, values: int, error: str) -> None:
        with path.open("a", encoding="utf-8") as file:
            head = "".join(f"# {line}\n" for line in error.strip().splitlines())
            file.write(f"{head}# steps {drawn.steps}, values {values}\n{drawn.text()}\n\n")

    return failed


if __name__ == "__main__":
    sys.exit(main())
