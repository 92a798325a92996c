"""Hypothesis strategies: random circuits that make sense, and random conditions."""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Any

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st

from tests.drawn import PARAMS, Drawn, Shape, Tree, Variable

# These checks look at the clock, and the clock of a shared machine says nothing.
SLOW_IS_FINE = [HealthCheck.too_slow, HealthCheck.data_too_large]
settings.register_profile(  # the same every time: GRAPHGRAD_HYPOTHESIS=thorough goes further
    "ci", max_examples=100, derandomize=True, deadline=None, suppress_health_check=SLOW_IS_FINE
)
settings.register_profile(
    "thorough", max_examples=2000, deadline=None, suppress_health_check=SLOW_IS_FINE
)
settings.load_profile(os.environ.get("GRAPHGRAD_HYPOTHESIS", "ci"))

SMOOTH = ("tanh", "sigmoid", "sin", "cos", "softplus")


@st.composite
def conditions(draw: Any, names: tuple[str, ...], depth: int = 2) -> Tree:
    """A condition on indices and lengths of these names; its left side is never a plain number."""
    kind = draw(st.integers(0, 5 if depth else 2))
    if kind == 3:
        return ("not", draw(conditions(names, depth - 1)))
    if kind > 3:
        word = "and" if kind == 4 else "or"
        return (word, draw(conditions(names, depth - 1)), draw(conditions(names, depth - 1)))
    relation = draw(st.sampled_from(["==", "!=", "<", "<=", ">", ">="]))
    name, other = draw(st.sampled_from(names)), draw(st.sampled_from(names))
    number = draw(st.integers(0, 4))
    left = draw(
        st.sampled_from(
            [
                name,
                ("-", name, number),
                ("+", name, number),
                ("*", 2, name),
                ("%", name, 2),
                ("%", ("+", name, number), 3),
                ("+", ("%", name, 2), ("*", number, ("%", name, 3))),
                ("-", name, ("%", name, 2)),
            ]
        )
    )
    right = draw(st.sampled_from([number, other, ("-", other, number), ("%", other, 2)]))
    return ("compare", relation, left, right)


# -- circuits --------------------------------------------------------------------------------------


class _Author:
    """Draws the expressions of one circuit; what may be read depends on the component."""

    def __init__(self, draw: Any, drawn: Drawn, flavour: str, wide: bool) -> None:
        self.draw = draw
        self.drawn = drawn
        self.flavour = flavour
        self.wide = wide

    def pick(self, *options: Any) -> Any:
        return self.draw(st.sampled_from(options))

    def chance(self, parts: int) -> bool:
        return bool(self.draw(st.integers(1, parts)) == 1)

    def condition(self, index: str | None) -> Tree:
        lengths = tuple(self.drawn.lengths.values())
        names = (index, index, *lengths) if index else lengths
        found: Tree = self.draw(conditions(names))
        return found

    def leaves(self, shape: Shape, index: str | None, rank: int, own: list[Tree]) -> list[Tree]:
        """Everything of a shape that has a value in a component of this rank, over this index."""
        drawn = self.drawn
        found = [leaf for leaf in own if self.shape_of(leaf) == shape]
        found += [("name", name) for name, each in PARAMS.items() if each == shape]
        if shape == ("K",):
            found.append(("name", "q"))
        if shape == ():
            found += [("number", self.pick(1, 2, 3, 0)), ("name", "tau"), ("name", "H")]
            if index:
                found.append(("name", index))
        if len(shape) == 1:
            found += [("fill", self.pick(0, 1), shape), ("basis", self.pick(0, 1), shape[0])]
        if index == "t" and shape == ("H",) and drawn.tokens:
            found.append(("lookup", ("name", "E"), ("read", "n", self.pick(0, 0, 1))))
        for name, (at, kind, own_shape) in drawn.inputs.items():
            if kind == "input" and own_shape == shape and at is not None:
                found.append(self.instance(name, at, index))
        for v in drawn.variables:
            if v.rank < rank and v.shape == shape:
                if v.index is None:
                    found.append(("name", v.name))
                else:
                    found.append(self.instance(v.name, v.index, index))
        return [leaf for leaf in found if leaf]

    def instance(self, name: str, at: str, index: str | None) -> Tree:
        """A read of an indexed value: mostly relative where its index is in scope, else fixed."""
        if at == index and not self.chance(6):
            return ("read", name, self.pick(0, 0, 1, -1, 2, -2, *((3, -3) if self.wide else ())))
        last, offset = self.pick((False, 1), (True, 0), (True, -1), (False, 2), (False, 0))
        return ("at", name, last, offset)

    def shape_of(self, leaf: Tree) -> Shape:
        for v in self.drawn.variables:
            if v.name == leaf[1]:
                return v.shape
        raise AssertionError(leaf)

    def tree(self, shape: Shape, index: str | None, rank: int, own: list[Tree], depth: int) -> Tree:
        """An expression of a shape; `own` are the reads of the component itself."""
        leaves = self.leaves(shape, index, rank, own)
        if depth == 0 or (leaves and self.chance(4)):
            # what the component reads of itself should be likely
            mine = [leaf for leaf in own if leaf in leaves]
            return self.pick(*mine) if mine and self.chance(2) else self.pick(*leaves)

        def more(inner: Shape) -> Tree:
            return self.tree(inner, index, rank, own, depth - 1)

        options = [
            lambda: ("binary", self.pick("+", "-"), more(shape), more(shape)),
            lambda: ("binary", "*", more(shape), self.plain(shape, index, rank)),
            lambda: ("binary", self.pick("+", "*"), more(()), more(shape)),
            lambda: ("binary", "/", more(shape), ("number", self.pick(2, 3))),
            lambda: ("neg", more(shape)),
            lambda: ("choose", self.condition(index), more(shape), more(shape)),
            lambda: ("choose", self.condition(index), more(shape), ("number", self.pick(0, 0, 1))),
            lambda: ("call", "stop_gradient", more(shape)),
            lambda: self.reduced(shape, rank, depth),
        ]
        if len(shape) == 1:
            other = "K" if shape == ("H",) else "H"
            matrix = ("name", "M") if shape == ("K",) else ("T", ("name", "M"))
            options += [
                lambda: ("binary", "@", matrix, more((other,))),
                lambda: ("split", ("call", "concat", more(shape), more((other,))),
                         (*shape, other), 0),
                lambda: ("split", ("call", "concat", more((other,)), more(shape)),
                         (other, *shape), 1),
            ]  # fmt: skip
        if shape == ("H",):
            options.append(lambda: ("binary", "@", ("name", "W"), more(("H",))))
            if index == "t" and self.drawn.tokens:
                token = ("read", "n", self.pick(0, 1))
                options.append(
                    lambda: ("binary", "@", ("T", ("name", "E")), ("call", "onehot", token))
                )
        if shape == ():
            options += [
                lambda: ("call", self.pick("sum", "mean"), more((self.pick("H", "K"),))),
                lambda: ("binary", "@", more(("H",)), self.plain(("H",), index, rank)),
                lambda: ("component", more(("H",)), self.pick(0, 1)),
                lambda: ("call", "squared_error", more(("H",)), self.plain(("H",), index, rank)),
            ]
        if len(shape) < 2:
            options.append(lambda: ("binary", "**", self.plain(shape, index, rank),
                                    ("number", self.pick(1, 2, 3))))  # fmt: skip
        if len(shape) == 2:
            options.append(lambda: ("call", "outer", more(shape[:1]), more(shape[1:])))
        if self.wide:
            options += self.wider(shape, index, rank, more)
        if self.flavour != "polynomial":
            square = lambda: ("binary", "**", more(shape), ("number", 2))  # noqa: E731
            options.append(
                lambda: ("binary", "/", more(shape), ("binary", "+", ("number", 1), square()))
            )
            options.append(
                lambda: ("where", self.pick(">", "<", ">="), more(shape), more(()), more(shape),
                         more(shape))
            )  # fmt: skip
            options.append(lambda: ("call", self.pick("relu", "abs"), more(shape)))
            options.append(
                lambda: ("call", self.pick("maximum", "minimum"), more(shape), more(shape))
            )
        if self.flavour == "smooth":
            options += 3 * [lambda: ("call", self.pick(*SMOOTH), more(shape))]
            if len(shape) == 1:
                options.append(lambda: ("call", self.pick("softmax", "log_softmax"), more(shape)))
        found: Tree = self.pick(*options)()
        return found

    def wider(
        self, shape: Shape, index: str | None, rank: int, more: Callable[[Shape], Tree]
    ) -> list[Callable[[], Tree]]:
        """What only some consumers are ready for: values that are matrices, and losses."""
        square = ("H", "H")
        if shape == square:
            return [
                lambda: ("T", more(square)),
                lambda: ("binary", "@", self.plain(square, index, rank), more(square)),
                lambda: ("binary", "@", more(square), self.plain(square, index, rank)),
            ]
        if shape == ("H",):
            return [
                lambda: ("binary", "@", more(square), self.plain(shape, index, rank)),
                lambda: ("binary", "@", self.plain(square, index, rank), more(shape)),
            ]
        if shape != () or self.flavour != "smooth":
            return []
        probabilities = lambda tree: ("call", "softmax", tree)  # noqa: E731
        return [
            lambda: ("call", "logsumexp", more(("K",))),
            lambda: ("call", "softmax_cross_entropy", more(("H",)),
                     self.plain(("H",), index, rank)),
            lambda: ("call", "cross_entropy", probabilities(more(("K",))),
                     probabilities(self.plain(("K",), index, rank))),
            lambda: ("call", "sigmoid_binary_cross_entropy", more(()),
                     self.plain((), index, rank)),
        ]  # fmt: skip

    def plain(self, shape: Shape, index: str | None, rank: int) -> Tree:
        """A leaf that is not of the component itself: products with it cannot explode."""
        found: Tree = self.pick(*self.leaves(shape, index, rank, []))
        return found

    def reduced(self, shape: Shape, rank: int, depth: int) -> Tree:
        """A sum or mean over time of what earlier components computed."""
        index = self.pick(*self.drawn.lengths)
        body = self.tree(shape, index, rank, [], depth - 1)
        kind = self.pick("sum", "sum", "mean")
        conditional = self.chance(2) if kind == "sum" else self.wide and self.chance(4)
        condition = self.condition(index) if conditional else None
        return ("reduce", kind, index, condition, body)

    def root(self, v: Variable, own: list[Tree]) -> None:
        """Give a variable its equation, so that its shape can be inferred or is declared."""
        tree = self.tree(v.shape, v.index, v.rank, own, 2)
        if v.shape:
            v.declared = self.chance(2)
            if not v.declared or v.rank >= 0:
                known = [n for n, each in PARAMS.items() if each == v.shape]
                tree = ("binary", "+", tree, ("name", known[0]))
        v.root = tree

    def component(self, rank: int) -> None:
        """Add a component: a static value, a sweep of one or two variables, or a plain map."""
        kind = self.pick("static", "forward", "backward", "map", "skewed")
        index = None if kind == "static" else self.pick(*self.drawn.lengths)
        count = {"static": 1, "map": 1, "skewed": 2}.get(kind) or self.pick(1, 2)
        first = len(self.drawn.variables)
        for k in range(count):
            shape = self.pick(
                (),
                ("H",),
                ("H",),
                ("K",),
                *([("H", "H")] if kind == "static" or self.wide else []),
            )
            self.drawn.variables.append(
                Variable(f"{self.pick('v', 'h', 'α')}{first + k}", index, shape, rank)
            )
        group = self.drawn.variables[first:]
        sign = self.pick(1, -1) if kind == "skewed" else -1 if kind == "backward" else 1
        for position, v in enumerate(group):
            own: list[Tree] = []
            if kind in ("forward", "backward"):
                for k, other in enumerate(group):
                    lags = [sign, 2 * sign] + ([0, 0] if k < position else [])
                    own.append(("read", other.name, self.pick(*lags)))
            elif kind == "skewed":
                # an advance inside a cycle of positive delay, or the mirror image
                lag = -sign if position == 0 else 2 * sign
                own.append(("read", group[1 - position].name, lag))
            self.root(v, own)

    def boundaries(self) -> None:
        """Add boundary equations where reads reach; those of tokens last, for all need them."""
        reads = self.reads()
        ranks = {v.name: v.rank for v in self.drawn.variables}
        shapes: dict[str, Shape] = {n: s for n, (_, _, s) in self.drawn.inputs.items()}
        shapes |= {v.name: v.shape for v in self.drawn.variables}
        for name in sorted(reads):
            reached = {(False, k) for lag in reads[name] for k in range(1 - lag, 1)}
            reached |= {(True, k) for lag in reads[name] for k in range(1, 1 - lag)}
            for last, offset in sorted(reached):
                if name == "n" or self.chance(2):
                    continue
                if self.chance(3):
                    root: Tree = ("number", self.pick(0, 1, 2))
                else:
                    rank = ranks.get(name, -1)
                    root = self.tree(shapes[name], None, rank, [], 1) if rank >= 0 else (
                        self.pick(*[("name", n) for n, s in PARAMS.items() if s == shapes[name]])
                    )  # fmt: skip
                self.drawn.boundaries[name, last, offset] = root
        if 1 in self.reads().get("n", ()):
            self.drawn.boundaries["n", False, 0] = ("number", self.pick(0, 1, 2))

    def reads(self) -> dict[str, set[int]]:
        """The lags by which each name is read."""
        found: dict[str, set[int]] = {}
        pending: list[Any] = [v.root for v in self.drawn.variables]
        pending += self.drawn.boundaries.values()
        while pending:
            tree = pending.pop()
            if isinstance(tree, tuple):
                if len(tree) == 3 and tree[0] == "read":
                    found.setdefault(tree[1], set()).add(tree[2])
                pending.extend(tree)
        return found

    def loss(self) -> None:
        """Add a scalar that everything so far contributes to."""
        rank = len(self.drawn.variables)
        terms: list[Tree] = [("name", "k")]
        for v in self.drawn.variables:
            if v.index is None:
                value: Tree = ("name", v.name)
            else:
                value = ("read", v.name, self.pick(0, 0, 1, -1))
            body: Tree = ("call", "sum", value) if v.shape else value
            if v.index is not None:
                kind = self.pick("sum", "sum", "mean")
                condition = self.condition(v.index) if kind == "sum" and self.chance(3) else None
                body = ("reduce", kind, v.index, condition, body)
            terms.append(body)
        root = terms[0]
        for term in terms[1:]:
            root = ("binary", "+", root, ("binary", "*", ("number", self.pick(1, 2, 3)), term))
        self.drawn.variables.append(Variable("loss", None, (), rank, root))


@st.composite
def circuits(
    draw: Any,
    flavour: str = "polynomial",
    components: int = 3,
    max_steps: int = 4,
    wide: bool = False,
) -> Drawn:
    """A circuit with a scalar `loss`.

    `flavour` is "polynomial", "rational" (with division and kinks: exact over Fractions) or
    "smooth" (with transcendental functions too). `wide` draws matrices as states, longer lags,
    conditional means and, where it is smooth, losses too.
    """
    several = draw(st.integers(1, 4)) == 1
    steps = {"t": draw(st.integers(1, max_steps))}
    if several:
        steps["s"] = draw(st.integers(1, max_steps))
    drawn = Drawn(steps, several, draw(st.booleans()), draw(st.integers(1, 3)) == 1)
    author = _Author(draw, drawn, flavour, wide)
    for rank in range(draw(st.integers(1, components))):
        author.component(rank)
    author.loss()
    author.boundaries()
    return drawn
