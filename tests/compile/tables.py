"""Random networks with matrices: of each example, of each step, looked up by tokens, summed."""

from __future__ import annotations

import random
from collections.abc import Callable

from tests.compile.networks import Author, Case, Shape, case

MATRICES: list[Shape] = [("H", "K"), ("K", "H"), ("H", "H"), ("N", "H")]


class _Author(Author):
    """Writes matrices as well; `totals` are sums over steps, which later steps may read."""

    def __init__(self, source: random.Random) -> None:
        super().__init__(source)
        self.totals: dict[str, Shape] = {}

    def leaf(self, shape: Shape, *, moving: bool = True) -> str:
        found = [name for name, each in self.totals.items() if each == shape and moving]
        if found and self.chance(0.5):
            return self.source.choice(found)
        return super().leaf(shape, moving=moving)

    def value(self, shape: Shape, depth: int = 2, *, moving: bool = True) -> str:
        if depth <= 0 or self.chance(0.15):
            return self.leaf(shape, moving=moving)

        def more(*inner: str) -> str:
            return self.value(inner, depth - 1, moving=moving)

        def plain(*inner: str) -> str:
            return self.leaf(inner, moving=moving)

        near, function = self.source.choice("HK"), self.source.choice(["tanh", "sigmoid", "sin"])
        options: list[Callable[[], str]] = [
            lambda: f"{more(*shape)} + {more(*shape)}",
            lambda: f"{more(*shape)} * {plain(*shape)}",
            lambda: f"{function}({more(*shape)})",
            lambda: f"{plain()} * {more(*shape)}",
        ]
        if moving:
            options.append(lambda: f"{more(*shape)} if {self.condition()} else {plain(*shape)}")
        if len(shape) == 2:
            rows, columns = shape
            options += [
                lambda: f"outer({more(rows)}, {more(columns)})",
                lambda: f"outer({more(rows)}, {more(columns)})",
                lambda: f"{more(columns, rows)}.T",
                lambda: f"{more(rows, near)} @ {more(near, columns)}",
                lambda: f"softmax({more(*shape)})",
            ]
        elif shape:
            options += [lambda: f"{more(*shape, near)} @ {more(near)}"] * 3
            options += [lambda: f"{more(near, *shape)}.T @ {more(near)}"] * 2
            options += [lambda: f"{more('N', 'H')}[n[t]]"] * 3 * (moving and shape == ("H",))
        else:
            options += [lambda: f"{more(near)} @ {more(near)}", lambda: f"sum({more('H', 'K')})"]
            options += [lambda: f"{more('N')}[n[t]]"] * 2 * moving
        return f"({self.source.choice(options)()})"

    def matrix(self) -> None:
        """A matrix at every step, of its own last one or not."""
        shape = self.source.choice(MATRICES)
        given = self.value(shape)
        m = self.state("m", shape)
        self.equation(m, self.source.choice([given, f"tanh({m}[t-1] + {given})"]))

    def total(self) -> None:
        """A sum over steps."""
        shape: Shape = self.source.choice([*MATRICES, ("H",), ("K",), ()])
        name = f"s{len(self.declared)}"
        over = f" if {self.condition()}" if self.chance(0.2) else ""
        self.equations.append(f"{name} = 0.5 * sum({self.value(shape)} for t in steps{over})")
        self.declared.append(f"{name}: state({', '.join(shape)})")
        self.totals[name] = shape

    def loss(self) -> str:
        terms = [f"sum({n}**2)" if shape else f"{n}**2" for n, shape in self.totals.items()]
        return " + ".join([super().loss(), *terms])


def tables(number: int) -> Case:
    """Return the network of a number that has matrices which are no parameters."""
    author = _Author(random.Random(number))
    author.inputs |= {"q": ("input", ("H",)), "n[t]": ("token", ("N",))}
    author.static["q"] = ("H",)
    author.matrix()
    kinds = [author.matrix, author.total, author.total, author.recurrence, author.map]
    return case(author, [*kinds, author.feedback], 3)
