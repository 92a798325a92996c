"""Random networks over two sequences: one over s, and one over t that reads its results."""

from __future__ import annotations

import random
import re

from tests.compile.networks import Author, Case, Shape

RESULTS: list[Shape] = [("H",), ("2*H",), ("K",), ()]


class _Author(Author):
    """Writes about one sequence; of the one `before` it knows fixed steps."""

    def __init__(self, source: random.Random) -> None:
        super().__init__(source)
        self.before: dict[str, Shape] = {}
        self.inputs = {"q": ("input", ("H",)), "n[t]": ("token", ("N",))}
        self.static["q"] = ("H",)

    def leaf(self, shape: Shape, *, moving: bool = True) -> str:
        found = [name for name, each in self.before.items() if each == shape]
        if found and self.chance(0.35):
            at = self.source.choice(["[m]", "[m]", "[1]", "[m-1]", "[2]"])
            return self.source.choice(found) + at
        return super().leaf(shape, moving=moving)

    def begin(self, inputs: dict[str, Shape]) -> None:
        """Begin a sequence with these inputs."""
        self.before = {**self.reads} if self.states else {}
        self.reads = {**inputs}
        self.states, self.declared, self.equations = {}, [], []

    def sequence(self, number: int) -> str:
        """Write a sequence of up to two things; return what it adds to the loss."""
        self.declared = [""] * number  # names are counted on
        kinds = [self.cut, self.cut, self.cell, self.gates, self.recurrence, self.map]
        for _ in range(self.source.randint(1, 2)):
            self.source.choice([*kinds, self.feedback])()
        loss = self.loss()
        self.boundaries(loss)
        self.declared = self.declared[number:]
        return loss

    def totals(self) -> None:
        """Add sums over the steps, for the next sequence."""
        for shape in RESULTS:
            if self.chance(0.5):
                name = f"r{len(self.static)}"
                over = f" if {self.condition()}" if self.chance(0.25) else ""
                text = self.vector(*shape) if shape in RESULTS[:2] else self.value(shape)
                self.equations.append(f"{name} = 0.5 * sum({text} for t in steps{over})")
                self.declared.append(f"{name}: state({', '.join(shape)})")
                self.static[name] = shape


def _first(text: str) -> str:
    """Return what is written about t as something about s."""
    for old, new in ((r"\bn\[t", "k[t"), (r"\btau\b", "m"), (r"\bt\b", "s")):
        text = re.sub(old, new, text)
    return text


def pairs(number: int) -> Case:
    """Return the network of a number that has two sequences."""
    source = random.Random(number)
    author = _Author(source)
    author.begin({"x": ("D",), "e": ("2*H",)})
    loss = _first(author.sequence(0))
    author.totals()
    first = [*map(_first, [*author.declared, *author.equations])]
    author.begin({"y": ("K",), "w": ("2*H",)})
    loss += f" + {author.sequence(len(first))}"
    lines = ["s: steps(m)", "t: steps(tau)", "x[s]: input(D)", "e[s]: input(2*H)", "k[s]: token(N)"]
    lines += ["y[t]: input(K)", "w[t]: input(2*H)", "n[t]: token(N)", "q: input(H)"]
    lines += [f"{name}: param({', '.join(shape)})" for name, shape in author.params.items()]
    text = "\n".join([*lines, *first, *author.declared, *author.equations, f"loss = {loss}"])
    sizes = {dim: source.choice([1, 2, 3, 8]) for dim in "DHKN"}
    return Case(text, {"s": source.choice([2, 3, 5]), "t": source.choice([1, 2, 3, 7])}, sizes)
