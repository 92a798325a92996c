"""Random networks as text: layers of gated cells, maps and static values, joined at random.

What `tests.strategies.circuits` draws are expressions of few parameters; here are the shapes that
the compiler looks for: gates side by side or split from one product, states that no example
changes, scalars beside vectors, both directions, several lags, boundaries and conditions.
"""

from __future__ import annotations

import random
import re
from collections.abc import Callable, Sequence
from typing import NamedTuple

Shape = tuple[str, ...]


class Case(NamedTuple):
    """A circuit as text, the steps to unfold it for, and its sizes."""

    text: str
    steps: dict[str, int]
    sizes: dict[str, int]


class Author:
    """Writes a network: its declarations and equations, each thing it adds of what is there."""

    def __init__(self, source: random.Random) -> None:
        self.source = source
        self.params: dict[str, Shape] = {}
        self.inputs: dict[str, tuple[str, Shape]] = {"x[t]": ("input", ("D",))}
        self.reads: dict[str, Shape] = {"x": ("D",)}
        self.static: dict[str, Shape] = {}
        self.declared: list[str] = []
        self.equations: list[str] = []
        self.states: dict[str, Shape] = {}

    def chance(self, probability: float) -> bool:
        return self.source.random() < probability

    def param(self, *shape: str) -> str:
        """A new parameter, or one that is shared."""
        known = [name for name, each in self.params.items() if each == shape]
        if known and self.chance(0.3):
            return self.source.choice(known)
        name = f"P{len(self.params)}"
        self.params[name] = shape
        return name

    def state(self, stem: str, shape: Shape) -> str:
        name = f"{stem}{len(self.declared)}"
        self.declared.append(f"{name}[t]: state({', '.join(shape)})")
        self.states[name] = self.reads[name] = shape
        return name

    def condition(self) -> str:
        return self.source.choice(
            ["t > 2", "t == 1", "t % 2 == 0", "t < tau", "t % 3 != 1", "t == tau or not (t > 1)"]
        )

    def leaf(self, shape: Shape, *, moving: bool = True) -> str:
        """A parameter, a static value, or an instance of what is computed already."""
        found = [name for name, each in self.static.items() if each == shape]
        if moving:
            at = self.source.choice(["[t]", "[t]", "[t]", "[t-1]", "[t+1]", "[t-2]", "[tau]"])
            found += [name + at for name, each in self.reads.items() if each == shape]
        return self.source.choice(found) if found and self.chance(0.7) else self.param(*shape)

    def value(self, shape: Shape, depth: int = 2, *, moving: bool = True) -> str:
        """An expression of a shape; one that is not moving is the same at all steps."""
        if depth == 0 or self.chance(0.15):
            return self.leaf(shape, moving=moving)
        one, other = (self.value(shape, depth - 1, moving=moving) for _ in range(2))
        plain = self.leaf(shape, moving=moving)
        options = [
            f"{one} + {other}",
            f"({one} - {other}) * {plain}",
            f"{self.source.choice(['tanh', 'sigmoid', 'softplus', 'sin', 'relu'])}({one})",
            f"maximum({one}, {plain})",
            f"where({plain} > 0, {one}, {other})",
            f"({one}) * ({self.leaf((), moving=moving)})",
            f"stop_gradient({plain}) + {one}",
        ]
        if moving:
            rest = self.source.choice([other, "0"])
            options.append(f"({one} if {self.condition()} else {rest})")
        if shape:
            near = self.source.choice("HKD")
            inner = self.value((near,), depth - 1, moving=moving)
            product = f"{self.param(*shape, near)} @ ({inner})"
            options += [product, product, product, f"{self.param(near, *shape)}.T @ ({inner})"]
            options.append(f"split(concat({one}, {inner}), {shape[0]}, {near})[0]")
            options.append(f"softmax({one})")
            if moving and shape == ("H",) and "n[t]" in self.inputs:
                options += 3 * [f"{self.param('N', 'H')}[n[t]]"]
        else:
            near = self.source.choice("HKD")
            inner = self.value((near,), depth - 1, moving=moving)
            options += [f"sum({inner})", f"at({inner}, 0)", f"max({inner})", f"mean(({inner})**2)"]
        return self.source.choice(options)

    def equation(self, name: str, text: str) -> None:
        self.equations.append(f"{name}[t] = {text}")

    def boundaries(self, loss: str) -> None:
        """Values where reads reach past an end: of parameters, numbers or other boundaries."""
        text = "\n".join([*self.equations, loss])
        lags = {
            n: {-int(k) for k in re.findall(rf"\b{n}\[t([+-]\d+)\]", text)} for n in self.states
        }
        known: dict[str, list[str]] = {}
        for name, shape in self.states.items():
            reached = [f"[{1 - k}]" for k in range(1, max(lags[name], default=0) + 1)]
            reached += [f"[tau+{k}]" for k in range(1, 1 - min(lags[name], default=0))]
            for outside in (each for each in reached if self.chance(0.4)):
                choices = ["0.5", self.value(shape, 1, moving=False)]
                choices += [f"{n}{outside} * {n}{outside}" for n in known.get(outside, [])
                            if self.states[n] == shape]  # fmt: skip
                self.equations.append(f"{name}{outside} = {self.source.choice(choices)}")
                known.setdefault(outside, []).append(name)

    def recurrence(self) -> None:
        """One state, that reads itself at one or two lags, in either direction."""
        shape: Shape = self.source.choice([("H",), ("H",), ("K",), ()])
        given, factor = self.value(shape), self.leaf(shape)
        lag = self.source.choice([1, 1, 1, 2, -1, -2])
        far = lag + (1 if lag > 0 else -1)
        h = self.state("h", shape)
        own, older = f"{h}[t{-lag:+d}]", f"{h}[t{-far:+d}]"
        matrix = f"{self.param(*shape, *shape)} {'@' if shape else '*'} "
        twice = f"{self.param(*shape, *shape)} {'@' if shape else '*'} {older}"
        text = self.source.choice(
            [
                f"tanh({matrix}{own} + {given})",
                f"tanh({matrix}{own} + {twice} + {given})",
                f"{self.param(*shape)} * {own} + {given}",
                f"sigmoid({factor}) * {own} + {given}",
                f"({own} if {self.condition()} else {given})",
                f"where({own} > {given}, {own}, {given})",
            ]
        )
        self.equation(h, text)

    def gates(self) -> None:
        """A cell of several gates, each with a product of its own or split from one."""
        lag = self.source.choice([1, 1, 1, 2, -1])
        width, count = self.source.choice("HK"), self.source.choice([2, 3, 4])
        given = self.value((width,))
        h, c = self.state("h", (width,)), self.state("c", (width,))
        own, cell = f"{h}[t{-lag:+d}]", f"{c}[t{-lag:+d}]"
        gates = [self.state("g", (width,)) for _ in range(count)]
        named = [f"{gate}[t]" for gate in gates]
        if self.chance(0.4):
            joint = f"{count}*{width}"
            z, parts = self.state("z", (joint,)), [self.state("p", (width,)) for _ in gates]
            product = f"{self.param(joint, width)} @ {own}"
            more = f"{self.param(joint, width)} @ ({given})"
            self.equation(z, self.source.choice([product, f"{product} + {more}"]))
            self.equations.append(f"{', '.join(p + '[t]' for p in parts)} = split({z}[t], {count})")
            terms = [f"{part}[t]" for part in parts]
            del self.reads[z]
        else:
            terms = [f"{self.param(width, width)} @ {own} + {given}"]
            for _ in gates[1:]:
                more = [f"{self.param(width, width)} @ {own}", given, self.param(width), cell]
                terms.append(" + ".join(self.source.sample(more, self.source.randint(1, 4))))
        for gate, term in zip(gates, terms, strict=True):
            self.equation(gate, f"{self.source.choice(['sigmoid', 'tanh', 'sigmoid'])}({term})")
        last = self.source.choice([named[-1], f"{gates[-1]}[t{-lag:+d}]"])
        self.equation(c, f"{named[0]} * {cell} + {named[1]} * {last}")
        options = [f"{named[-1]} * tanh({c}[t])", f"tanh({c}[t])", f"{c}[t] + {named[1]}"]
        options.append(f"(1 - {named[0]}) * {own} + {named[0]} * {c}[t]")
        self.equation(h, self.source.choice(options))

    def cell(self) -> None:
        """A cell as in a textbook: each gate has matrices for the state and the input, a vector."""
        width, lag = self.source.choice("HK"), self.source.choice([1, 1, 1, -1])
        read = self.source.choice([name for name, shape in self.reads.items() if len(shape) == 1])
        matrix = (width, *self.reads[read])
        h, c = self.state("h", (width,)), self.state("c", (width,))
        own, cell = f"{h}[t{-lag:+d}]", f"{c}[t{-lag:+d}]"
        gates = [self.state("g", (width,)) for _ in range(self.source.choice([2, 3, 4]))]
        first, second, last = f"{gates[0]}[t]", f"{gates[1]}[t]", f"{gates[-1]}[t]"
        for gate in gates:
            reset = gate != gates[0] and self.chance(0.25)
            before = f"({first} * {own})" if reset and self.chance(0.5) else own
            product = f"{self.param(width, width)} @ {before}"
            if reset and before == own:
                product = f"{first} * ({product} + {self.param(width)})"
            terms = [product] if self.chance(0.95) else []
            terms += [f"{self.param(*matrix)} @ {read}[t]"] if self.chance(0.9) else []
            terms += [self.param(width)] if self.chance(0.8) or not terms else []
            terms += [f"{self.param(width)} * {cell}"] if self.chance(0.15) else []
            self.source.shuffle(terms)
            squash = self.source.choice(["sigmoid", "sigmoid", "tanh", "relu"])
            self.equation(gate, f"{squash}({' + '.join(terms)})")
        self.equation(c, f"{first} * {cell} + {second} * {last}")
        options = [f"{last} * tanh({c}[t])", f"(1 - {second}) * {own} + {second} * {c}[t]"]
        self.equation(h, self.source.choice(options))

    def vector(self, width: str, depth: int = 3) -> str:
        """An expression of H or 2*H components: pieces of vectors, and pieces joined."""
        wide = width == "2*H"
        if depth == 0:
            return self.leaf((width,))
        one, other = self.vector(width, depth - 1), self.vector(width, depth - 1)
        number, sign = self.source.choice(["1", "2", "0.5"]), self.source.choice("+-*")
        inner = self.source.choice(["H", "2*H"])
        halves = [self.vector("H", depth - 1) if wide else "" for _ in range(2)]
        piece = self.source.choice([f"concat({', '.join(halves)})"] * wide or [self.piece()])
        options = [
            f"{self.source.choice(['tanh', 'sigmoid', 'sin'])}({one})",
            f"({one} + {other})",
            f"({one}) * ({other})",
            f"({number} {sign} ({one}))",
            f"{self.param(width, inner)} @ tanh({self.leaf((inner,))})",
        ]
        return self.source.choice([*options, *[piece] * 3])

    def piece(self) -> str:
        """Half of a vector: of a parameter, of an input, of another step."""
        return f"split({self.leaf(('2*H',))}, 2)[{self.source.randint(0, 1)}]"

    def cut(self) -> None:
        """A state of pieces and joined pieces; or two gates, each with half of a vector."""
        width, lag = self.source.choice(["H", "2*H"]), self.source.choice([1, 1, 2, -1])
        given, factor = self.vector(width), self.leaf((width,))
        if self.chance(0.6):
            v = self.state("v", (width,))
            own = f"{v}[t{-lag:+d}]"
            more = [f"0.5 * ({given})", f"tanh({given})", f"tanh({factor} * {own}) + {given}"]
            self.equation(v, self.source.choice([*more, f"tanh({own} + {given})"]))
            return
        whole, at = self.leaf(("2*H",)), self.source.choice(["", "", "-1"])
        a, b, h = self.state("a", ("H",)), self.state("b", ("H",)), self.state("h", ("H",))
        self.equations.append(f"{a}[t], {b}[t] = split({whole}, 2)")
        f, g = self.state("g", ("H",)), self.state("g", ("H",))
        own = f"{h}[t{-lag:+d}]"
        for gate, part in ((f, a), (g, b)):
            self.equation(gate, f"sigmoid({self.param('H', 'H')} @ {own} + {part}[t{at}])")
        self.equation(h, f"{f}[t] * {own} + (1 - {f}[t]) * {g}[t]")

    def feedback(self) -> None:
        """A state that reads the output, which reads the state."""
        inner, outer = self.source.choice("HK"), self.source.choice("KD")
        given = self.value((inner,))
        h, o = self.state("h", (inner,)), self.state("o", (outer,))
        self.equation(h, f"tanh({self.param(inner, outer)} @ {o}[t-1] + {given})")
        squash = self.source.choice(["tanh", "softmax", "sigmoid"])
        self.equation(o, f"{squash}({self.param(outer, inner)} @ {h}[t] + {self.param(outer)})")

    def map(self) -> None:
        shape: Shape = self.source.choice([("H",), ("K",), ()])
        text = self.value(shape, 3)
        self.equation(self.state("m", shape), text)

    def constant(self) -> None:
        """A static value that is computed from parameters."""
        shape: Shape = self.source.choice([("H",), ("K",), ("H", "H"), ()])
        name = f"s{len(self.declared)}"
        if len(shape) == 2:
            text = f"outer({self.value(('H',), 1, moving=False)}, {self.param('H')})"
        else:
            text = self.value(shape, 2, moving=False)
        self.declared.append(f"{name}: state({', '.join(shape)})")
        self.equations.append(f"{name} = {text}")
        self.static[name] = shape

    def loss(self) -> str:
        terms = []
        for name, shape in self.states.items():
            if name[0] in "gpz" and self.chance(0.5):
                continue
            read = name + self.source.choice(["[t]", "[t]", "[t-1]"])
            term = self.source.choice([f"sum({read})", f"sum({read}**2)"]) if shape else read
            over = f" if {self.condition()}" if self.chance(0.2) else ""
            kind = "sum" if over else self.source.choice(["sum", "sum", "mean"])
            final = f"{name}[tau]" if not shape else f"sum({name}[tau])"
            total = f"{kind}({term} for t in steps{over})"
            terms.append(final if self.chance(0.15) else total)
        if "n[t]" in self.inputs:
            scores = self.value(("N",), 1)
            terms.append(f"sum(softmax_cross_entropy({scores}, n[t]) for t in steps)")
        if not self.params:
            self.param()
        name, shape = self.source.choice(list(self.params.items()))
        return " + ".join([*terms, f"0.01 * sum({name}**2)" if shape else f"{name}**2"])


def network(number: int) -> Case:
    """Return the network of a number: the same on every machine."""
    author = Author(random.Random(number))
    optional: list[tuple[str, str, Shape]] = [
        ("u[t]", "input", ()),
        ("q", "input", ("H",)),
        ("n[t]", "token", ("N",)),
    ]
    for name, kind, shape in optional:
        if author.chance(0.35):
            author.inputs[name] = (kind, shape)
            if kind == "input":
                (author.reads if name.endswith("]") else author.static)[name[0]] = shape
    kinds = [author.gates, author.gates, author.recurrence, author.recurrence]
    kinds += [author.feedback, author.map, author.constant]
    return case(author, kinds, 3)


def stacked(number: int) -> Case:
    """Return the network of a number that has cells as in textbooks, one or two."""
    author = Author(random.Random(number))
    author.cell()
    return case(author, [author.cell, author.map], 1)


def cuts(number: int) -> Case:
    """Return the network of a number that cuts vectors into pieces and joins them."""
    author = Author(random.Random(number))
    author.inputs |= {"u[t]": ("input", ("H",)), "w[t]": ("input", ("2*H",))}
    author.reads |= {"u": ("H",), "w": ("2*H",)}
    author.cut()
    return case(author, [author.cut, author.cut, author.cell], 4)


def case(author: Author, kinds: Sequence[Callable[[], None]], most: int) -> Case:
    """Return the network of an author who adds up to `most` things of these kinds."""
    source = author.source
    for _ in range(source.randint(1, most)):
        source.choice(kinds)()
    loss = author.loss()
    author.boundaries(loss)
    lines = [f"{name}: {kind}({', '.join(s)})" for name, (kind, s) in author.inputs.items()]
    lines += [f"{name}: param({', '.join(shape)})" for name, shape in author.params.items()]
    text = "\n".join([*lines, *author.declared, *author.equations, f"loss = {loss}"])
    sizes = {dim: source.choice([1, 2, 3, 8]) for dim in "DHKN"}
    return Case(text, {"t": source.choice([1, 2, 3, 7])}, sizes)
