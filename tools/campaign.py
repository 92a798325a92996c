"""Campaigns: random circuits checked batch by batch; what is done is kept, and gone on from."""

from __future__ import annotations

import argparse
import json
import traceback
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from hypothesis import HealthCheck, Phase, given, seed, settings
from hypothesis import strategies as st


@dataclass(frozen=True)
class Campaign:
    """What is drawn in each flavour, how it is checked, and the text that is written if it fails.

    A batch has `size` circuits, each with a number of values from 0 to `values`. `check` returns
    counts of what was done. Batches of another `place` are left alone.
    """

    flavours: Mapping[str, Any]
    values: int
    size: int
    check: Callable[[str, Any, int], Mapping[str, int]]
    text: Callable[[Any, int], str]
    place: Mapping[str, str] = field(default_factory=dict)


def batch(campaign: Campaign, flavour: str, number: int, failures: Path) -> Counter[str]:
    """Check one batch of circuits, the same for a number on every machine; return counts."""
    counts: Counter[str] = Counter()

    @seed(number)
    @settings(
        max_examples=campaign.size,
        database=None,
        deadline=None,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    @given(campaign.flavours[flavour], st.integers(0, campaign.values))
    def run(drawn: Any, values: int) -> None:
        counts["drawn"] += 1
        try:
            counts.update(campaign.check(flavour, drawn, values))
        except Exception:
            counts["failed"] += 1
            error = traceback.format_exc(limit=-3).strip().splitlines()
            with failures.open("a", encoding="utf-8") as file:
                file.write("".join(f"# {line}\n" for line in error))
                file.write(f"{campaign.text(drawn, values)}\n\n")

    run()
    return counts


def parser(doc: str | None, name: str, circuits: int) -> argparse.ArgumentParser:
    """Return the options that every campaign has, but for its flavours."""
    made = argparse.ArgumentParser(description=doc)
    made.add_argument("--circuits", type=int, default=circuits, help="of each flavour")
    made.add_argument("--out", type=Path, default=Path(f"build/{name}.jsonl"))
    made.add_argument("--report", action="store_true", help="only count what is done")
    return made


def go_on(campaign: Campaign, options: argparse.Namespace) -> int:
    """Check the batches that are not done yet, print all counts; return 1 if anything failed."""
    out: Path = options.out
    out.parent.mkdir(parents=True, exist_ok=True)
    lines = out.read_text(encoding="utf-8").splitlines() if out.exists() else []
    done = [each for each in map(json.loads, lines) if campaign.place.items() <= each.items()]
    known = {(each["flavour"], each["batch"]) for each in done}
    wanted = options.flavour or list(campaign.flavours)
    numbers = range(0 if options.report else -(-options.circuits // campaign.size))
    for flavour in wanted:
        for number in (n for n in numbers if (flavour, n) not in known):
            counts = batch(campaign, flavour, number, out.with_suffix(".failed.txt"))
            done.append({**campaign.place, "flavour": flavour, "batch": number, "counts": counts})
            with out.open("a", encoding="utf-8") as file:
                file.write(json.dumps(done[-1]) + "\n")
    broken = 0
    for flavour in wanted:
        total = sum((Counter(e["counts"]) for e in done if e["flavour"] == flavour), Counter())
        print(f"{flavour}: {', '.join(f'{count} {what}' for what, count in total.items())}")
        broken += total["failed"]
    return 1 if broken else 0
