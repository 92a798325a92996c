"""Compiled functions of random circuits: `python -m tools.compile_campaign --circuits 1000`.

Every promise of `tests/compile/promises.py` is checked for every circuit. What is done is kept in a
file, a line a batch: the next call goes on where the last one stopped, and `--report` only counts.
Circuits that break a promise are written beside it, as text that can be parsed again.
"""

from __future__ import annotations

import sys
from collections.abc import Mapping
from typing import Any

from hypothesis import strategies as st

from graphgrad.compile.functions import BACKENDS
from tests.compile.lanes import by_python
from tests.compile.networks import Case, cuts, network, stacked
from tests.compile.pairs import pairs
from tests.compile.promises import keep
from tests.compile.tables import tables
from tests.drawn import SIZES
from tests.strategies import circuits
from tools.campaign import Campaign, go_on, parser

PYTHON = "numba-by-python"
"""What Numba would compile, run by Python: nothing waits for a compiler."""
FLAVOURS: dict[str, Any] = {
    "expressions": circuits("smooth", 2, wide=True).map(
        lambda drawn: Case(drawn.text(), drawn.steps, SIZES)
    ),
    "networks": st.integers(0, 2**32 - 1).map(network),
    "cuts": st.integers(0, 2**32 - 1).map(cuts),
    "tables": st.integers(0, 2**32 - 1).map(tables),
    "pairs": st.integers(0, 2**32 - 1).map(pairs),
    "stacked": st.integers(0, 2**32 - 1).map(stacked),
}


def main() -> int:
    made = parser(__doc__, "compile_campaign", 1000)
    made.add_argument("--flavour", choices=FLAVOURS, action="append")
    made.add_argument("--backend", choices=(*BACKENDS, PYTHON), default="numpy")
    options = made.parse_args()
    backend: str = options.backend

    def check(flavour: str, case: Case, values: int) -> Mapping[str, int]:
        if backend != PYTHON:
            return keep(case, values, backend)
        with by_python(width=2 + 2 * (values % 2)):
            return keep(case, values, "numba")

    def text(case: Case, values: int) -> str:
        place = f"# {backend}, steps {case.steps}, sizes {case.sizes}, values {values}"
        return f"{place}\n{case.text}"

    return go_on(Campaign(FLAVOURS, 1000, 50, check, text, {"backend": backend}), options)


if __name__ == "__main__":
    sys.exit(main())
