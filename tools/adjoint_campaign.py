"""Adjoints of thousands of random circuits: `python -m tools.adjoint_campaign --circuits 5000`.

Every promise of `tests/adjoint/promises.py` is checked for every circuit. What is done is kept in a
file, a line a batch: the next call goes on where the last one stopped, and `--report` only counts.
Circuits that break a promise are written beside it, as text that can be parsed again.
"""

from __future__ import annotations

import sys
from collections.abc import Mapping

from tests.adjoint.promises import keep
from tests.drawn import Drawn
from tests.strategies import circuits
from tools.campaign import Campaign, go_on, parser

COMPONENTS = {"polynomial": 2, "rational": 3, "smooth": 2}


def check(flavour: str, drawn: Drawn, values: int) -> Mapping[str, int]:
    return keep(drawn, values, flavour)


def text(drawn: Drawn, values: int) -> str:
    return f"# steps {drawn.steps}, values {values}\n{drawn.text()}"


def main() -> int:
    made = parser(__doc__, "adjoint_campaign", 5000)
    made.add_argument("--flavour", choices=COMPONENTS, action="append")
    drawn = {name: circuits(name, count, wide=True) for name, count in COMPONENTS.items()}
    return go_on(Campaign(drawn, 3, 100, check, text), made.parse_args())


if __name__ == "__main__":
    sys.exit(main())
