"""Rolled circuits to NumPy source: lifted over time where possible, a loop where not.

Every variable is one array with time in front: `before` rows for the steps before the first, one
row a step, `after` rows for those behind the last; boundary values stand in these rows, so a
delayed read is a slice. What does not depend on a recurrence is computed for all steps at once,
before or after its loop, forwards and backwards alike; sums of outer products become one product.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from graphgrad.causality import Component
from graphgrad.compile.code import (
    ATOM,
    BATCH,
    LEVELS,
    POWER,
    PRODUCT,
    SIGN,
    TIME,
    Value,
    condition_code,
    dim_code,
    joined,
    plus,
    size_code,
    var,
)
from graphgrad.conditions import ALWAYS
from graphgrad.dims import Dim, Shape, Token
from graphgrad.ir import OPS, At
from graphgrad.ops.shapes import part_sizes
from graphgrad.system import System

_KERNELS_WITH_RANK = {
    "sum": "total",
    "mean": "mean",
    "max": "largest",
    "squared_error": "squared_error",
    "hinge": "hinge",
    "sigmoid_binary_cross_entropy": "sigmoid_binary_cross_entropy",
}
_KERNELS = {
    "logsumexp": "logsumexp",
    "cross_entropy": "cross_entropy",
    "softmax_cross_entropy": "softmax_cross_entropy",
    "outer": "outer",
    "transpose": "transpose",
}


@dataclass(frozen=True)
class Program:
    """Source of a function `name(values, lengths, sizes, dtype)` that returns a dict of outputs."""

    name: str
    source: str


class Emitter:
    """Writes the source for one system; `batched` names the inputs with a batch axis."""

    def __init__(
        self, system: System, outputs: Sequence[str], summed: Iterable[str], batched: Iterable[str]
    ) -> None:
        self.system = system
        self.nodes = system.graph.nodes
        self.outputs = list(outputs)
        self.summed = set(summed)
        self.batched = set(batched)
        self.lines: list[str] = []
        self.indent = 1
        self.count = 0
        self.values: dict[int, Value] = {}
        self.known: dict[tuple[Any, ...], Value] = {}
        self.batch_of = self._batches()
        self.before, self.after = self._margins()
        self.step: str | None = None
        self.presummed: set[int] = set()
        self.keys = self._keys()
        self.repeats: Counter[int] = Counter()
        self.wanted_inside: set[int] = set()
        self.users: dict[int, list[int]] = {}
        for user, (_, args, _, _) in enumerate(self.nodes):
            for arg in args:
                self.users.setdefault(arg, []).append(user)

    # -- analysis -------------------------------------------------------------------------------

    def _batches(self) -> dict[str, bool]:
        """Return which variables differ from example to example."""
        has: dict[str, bool] = {name: name in self.batched for name in self.system.inputs}
        has |= dict.fromkeys(self.system.variables, False)
        changed = True
        while changed:
            changed = False
            for unit, root in self._all_roots():
                if not has[unit] and any(
                    self._leaf_batched(n, has) for n in self.system.below(root)
                ):
                    has[unit] = changed = True
        return has

    def _all_roots(self) -> list[tuple[str, int]]:
        roots = list(self.system.roots.items())
        return roots + [(key.name, root) for key, root in self.system.boundary_roots.items()]

    def _leaf_batched(self, node: int, has: Mapping[str, bool]) -> bool:
        op, args, attr, _ = self.nodes[node]
        if args or op.name in ("param", "const", "fill", "basis", "size", "counter"):
            return False
        return has[attr if isinstance(attr, str) else attr.name]

    def _margins(self) -> tuple[dict[str, int], dict[str, int]]:
        before: dict[str, int] = {}
        after: dict[str, int] = {}
        for node in self.nodes:
            if node.op is OPS["read"]:
                name, lag = node.attr
                before[name] = max(before.get(name, 0), lag)
                after[name] = max(after.get(name, 0), -lag)
        for key in self.system.boundary_roots:
            if key.last:
                after[key.name] = max(after.get(key.name, 0), key.offset)
            else:
                before[key.name] = max(before.get(key.name, 0), 1 - key.offset)
        return before, after

    def _keys(self) -> list[int]:
        """Return a number for each node, equal where the expressions are equal."""
        numbers: dict[Any, int] = {}
        keys: list[int] = []
        for op, args, attr, kind in self.nodes:
            own = (op.name, attr, type(attr), kind, tuple(keys[arg] for arg in args))
            keys.append(numbers.setdefault(own, len(numbers)))
        return keys

    # -- writing --------------------------------------------------------------------------------

    def write(self, line: str) -> None:
        """Append a line at the present indentation."""
        self.lines.append("    " * self.indent + line)

    def fresh(self) -> str:
        """Return a new name for a value."""
        self.count += 1
        return f"v{self.count}"

    def length(self, index: str) -> str:
        """Return the name of an index's length."""
        return self.system.indices[index].length

    def shape_code(self, shape: Shape) -> list[str]:
        """Return the axes of a shape as code."""
        return [dim_code(dim) for dim in shape]

    def program(self, name: str) -> Program:
        """Return the whole function."""
        self._survey()
        self._unpack()
        for component in self.system.components:
            if component.direction == 0:
                self._static(component.units[0])
            elif component.recurrent:
                self._loop(component)
            else:
                self._lifted(str(component.units[0]))
        self._result()
        header = f"def {name}(values, lengths, sizes, dtype):"
        return Program(name, "\n".join([header, *self.lines]) + "\n")

    def _survey(self) -> None:
        """Count equal expressions outside loops, and find what loops need from outside."""
        inner: set[int] = set()
        for component in self.system.components:
            if component.recurrent:
                units = {str(unit) for unit in component.units}
                for unit in units:
                    own = self._inner(unit, units)
                    inner |= own
                    outside = {a for n in own for a in self.nodes[n].args} - own
                    self.wanted_inside |= {n for n in outside if self.nodes[n].args}
        self.repeats = Counter(
            key for node, key in enumerate(self.keys) if node not in inner and self.nodes[node].args
        )

    def _unpack(self) -> None:
        for index in self.system.indices.values():
            self.write(f'{index.length} = lengths["{index.name}"]')
        sizes = sorted(self.system.declared.sizes)
        for size in sizes:
            self.write(f'{size_code(size)} = sizes["{size}"]')
        self.write('B = sizes[""]')
        for name in self.system.params:
            self.write(f'{var(name)} = values["{name}"]')
        for name, declared in self.system.inputs.items():
            self.write(f'{var(name)} = values["{name}"]')
            margins = self.before.get(name, 0), self.after.get(name, 0)
            if declared.index is not None and any(margins):
                widths = f"[{margins}] + [(0, 0)] * ({var(name)}.ndim - 1)"
                self.write(f"{var(name)} = np.pad({var(name)}, {widths})")

    def _static(self, unit: str | At) -> None:
        if isinstance(unit, At):
            self._boundary(unit, self.value(self.system.boundary_roots[unit]))
        elif unit in self.summed and self.batched:
            terms = [self._over_batch(term) for term in self._terms(self.system.roots[unit])]
            self.write(f"{var(unit)} = {' + '.join(terms)}")
        else:
            self.write(f"{var(unit)} = {self.value(self.system.roots[unit]).code}")

    def _terms(self, root: int) -> list[int]:
        """Return the terms of a sum, in order."""
        terms: list[int] = []
        pending = [root]
        while pending:
            node = pending.pop()
            if self.nodes[node].op is OPS["add"]:
                pending.extend(reversed(self.nodes[node].args))
            else:
                terms.append(node)
        return terms

    def _over_batch(self, term: int) -> str:
        """Return a term of a gradient, summed over the examples."""
        value = self.value(term)
        if term in self.presummed:
            return value.code
        if BATCH in value.lead:
            return f"{value.grouped}.sum(axis=0)"
        return f"B * {value.at(SIGN)}"

    def _boundary(self, key: At, value: Value) -> None:
        """Put a boundary value into the margin of its variable's array."""
        self._declare(key.name)
        row = self._row(key.name, key.last, key.offset)
        lead = BATCH if self.batch_of[key.name] else ""
        self.write(f"{var(key.name)}[{row}] = {value.to(lead, self.rank(key.name))}")

    def _row(self, name: str, last: bool, offset: int) -> str:
        base = self.before.get(name, 0) - 1 + offset
        if not last:
            return str(base)
        length = self.length(self.system.index_of(name) or "")
        return f"{length} + {base}" if base >= 0 else f"{length} - {-base}"

    def rank(self, name: str) -> int:
        """Return the number of axes of one step of a variable."""
        kind = self.system.type_of(name)
        return 0 if isinstance(kind, Token) else len(kind)

    def _declare(self, name: str) -> None:
        """Allocate a variable's array, once."""
        if name in self.system.inputs or ("array", name) in self.known:
            return
        self.known["array", name] = Value(var(name), "", 0)
        kind = self.system.type_of(name)
        assert not isinstance(kind, Token)
        index = self.system.index_of(name)
        assert index is not None
        extra = self.before.get(name, 0) + self.after.get(name, 0)
        rows = f"{self.length(index)} + {extra}" if extra else self.length(index)
        shape = [rows, *(["B"] if self.batch_of[name] else []), *self.shape_code(kind)]
        self.write(f"{var(name)} = np.zeros(({', '.join(shape)}{',' * (len(shape) == 1)}), dtype)")

    def _all_steps(self, name: str, lag: int = 0) -> str:
        """Return the slice of a variable's array for all steps, `lag` steps ago."""
        before, after = self.before.get(name, 0), self.after.get(name, 0)
        if not before and not after:
            return var(name)
        start = before - lag
        length = self.length(self.system.index_of(name) or "")
        return f"{var(name)}[{start}:{start} + {length}]" if start else f"{var(name)}[:{length}]"

    def _lifted(self, unit: str) -> None:
        """Compute a variable for all steps at once."""
        value = self.value(self.system.roots[unit])
        lead = TIME + (BATCH if self.batch_of[unit] else "")
        margins = self.before.get(unit, 0) + self.after.get(unit, 0)
        if value.lead == lead and not margins and value.rank == self.rank(unit):
            self.known["array", unit] = value
            self.write(f"{var(unit)} = {value.code}")
            return
        self._declare(unit)
        rows = self._all_steps(unit)
        target = rows if rows.endswith("]") else f"{rows}[...]"
        self.write(f"{target} = {value.to(lead, self.rank(unit))}")

    def _loop(self, component: Component) -> None:
        """Sweep over the steps of a recurrence, with everything else computed before it."""
        units = [str(unit) for unit in component.units]
        index = self.system.index_of(units[0])
        assert index is not None
        for unit in units:
            self._declare(unit)
        inner = {unit: self._inner(unit, set(units)) for unit in units}
        for unit in units:
            for node in self.system.below(self.system.roots[unit]):
                if node not in inner[unit] and self._needed_inside(node, inner[unit]):
                    self.value(node)
        length = self.length(index)
        offsets = dict(zip(component.units, component.offsets, strict=True))
        low, high = min(component.offsets), max(component.offsets)
        span = f"{length} + {high - low}" if high > low else length
        order = f"range({span})" if component.direction > 0 else f"reversed(range({span}))"
        self.write(f"for t in {order}:")
        self.indent += 1
        kept = dict(self.known)
        for unit in units:
            shift = offsets[unit] - low
            if high > low:
                self.write(f"t_{var(unit)} = t - {shift}" if shift else f"t_{var(unit)} = t")
                self.write(f"if 0 <= t_{var(unit)} < {length}:")
                self.indent += 1
                self.step = f"t_{var(unit)}"
            else:
                self.step = "t"
            value = self.inside(self.system.roots[unit], inner[unit])
            lead = BATCH if self.batch_of[unit] else ""
            row = plus(self.step, self.before.get(unit, 0))
            self.write(f"{var(unit)}[{row}] = {value.to(lead, self.rank(unit))}")
            if high > low:
                self.indent -= 1
                self.known = dict(kept)
        self.step = None
        self.indent -= 1
        self.known = kept

    def _inner(self, unit: str, units: set[str]) -> set[int]:
        """Return the nodes of an equation that depend on the recurrence at the same sweep."""
        inner: set[int] = set()
        for node in self.system.below(self.system.roots[unit]):
            op, args, attr, _ = self.nodes[node]
            if (
                (op is OPS["read"] and attr.name in units)
                or any(arg in inner for arg in args)
                or (op is OPS["choose"] and self.system.spaces[node] is not None)
            ):
                inner.add(node)
        return inner

    def _needed_inside(self, node: int, inner: set[int]) -> bool:
        """Whether a node outside a loop is an operand of one inside."""
        return any(node in self.nodes[user].args for user in inner)

    def _result(self) -> None:
        self.write("return {")
        for name in self.outputs:
            index = self.system.index_of(name)
            code = var(name) if index is None else self._all_steps(name)
            self.write(f'    "{name}": {code},')
        self.write("}")

    # -- values of nodes ------------------------------------------------------------------------

    def value(self, node: int) -> Value:
        """Return the value of a node for all its steps, writing what it needs first."""
        for each in self.system.below(node):
            if each not in self.values and not self._inside_outer_sum(each):
                known = self.known.get(("key", self.keys[each]))
                self.values[each] = known or self._named(
                    each, self._compute(each, self.values, lifted=True)
                )
        return self.values[node]

    def _inside_outer_sum(self, each: int) -> bool:
        """Whether a node is the outer product under a sum that is done as one product."""
        return self.nodes[each].op is OPS["outer"] and any(
            self._outer_sum(user) == each for user in self.users.get(each, [])
        )

    def inside(self, root: int, inner: set[int]) -> Value:
        """Return the value of a root at one step of its loop, writing what it needs first."""
        local: dict[int, Value] = {}
        for each in self.system.below(root):
            if each not in inner:
                continue
            operands = {}
            for arg in self.nodes[each].args:
                if arg in inner:
                    operands[arg] = local[arg]
                elif self.nodes[arg].op is OPS["read"]:
                    operands[arg] = self._leaf(arg, lifted=False)
                else:
                    operands[arg] = self._at_this_step(self.values[arg])
            local[each] = self._compute(each, operands, lifted=False)
        return local[root]

    def _at_this_step(self, value: Value) -> Value:
        if TIME not in value.lead:
            return value
        return Value(f"{value.grouped}[{self.step}]", value.lead.replace(TIME, ""), value.rank)

    def _named(self, node: int, value: Value, *, always: bool = False) -> Value:
        """Give a value a name if it is needed more than once or inside a loop."""
        if value.code.isidentifier() or not self.nodes[node].args:
            return value
        key = self.keys[node]
        repeated = self.repeats[key] > 1 or node in self.wanted_inside
        if not (repeated or always):
            return value
        if ("key", key) not in self.known:
            name = self.fresh()
            self.write(f"{name} = {value.code}")
            self.known["key", key] = replace(value, code=name, level=ATOM)
        return self.known["key", key]

    def _compute(self, node: int, values: Mapping[int, Value], *, lifted: bool) -> Value:
        op, args, attr, kind = self.nodes[node]
        rank = 0 if isinstance(kind, Token) else len(kind)
        if not args:
            return self._leaf(node, lifted)
        if op is OPS["reduce"]:
            return self._reduction(node, values)
        given = [values[arg] for arg in args]
        lead = joined(given)
        if op is OPS["choose"]:
            return self._choice(node, given, rank, lifted)
        if op is OPS["matmul"]:
            return self._matmul(args, given)
        if op is OPS["expand"]:
            ones = f"np.ones(({', '.join(self.shape_code(attr))},), dtype)"
            return Value(
                f"{given[0].aligned(lead, rank).at(PRODUCT)} * {ones}", lead, rank, PRODUCT
            )
        if op.name in ("lookup", "onehot", "concat", "part", "component"):
            return self._structure(node, given, rank, lead)
        if op.name in _KERNELS_WITH_RANK or op.name in _KERNELS:
            return self._kernel(node, given, rank, lead)
        operands = [each.aligned(lead, rank) for each in given]
        codes = ", ".join(each.code for each in operands)
        if op.name == "where":
            return Value(f'select("{attr}", {codes})', lead, rank)
        if op is OPS["neg"]:
            return Value(f"-{operands[0].at(SIGN)}", lead, rank, SIGN)
        if op.infix in LEVELS:
            level = LEVELS[op.infix]
            left = operands[0].at(ATOM if level == POWER else level)
            return Value(f"{left} {op.infix} {operands[1].at(level + 1)}", lead, rank, level)
        if op.name == "stop_gradient":
            return operands[0]
        name = op.name if op.ufunc is None else f"np.{op.ufunc.__name__}"
        return Value(f"{name}({codes})", lead, rank)

    def _kernel(self, node: int, given: list[Value], rank: int, lead: str) -> Value:
        op = self.nodes[node].op
        own = max((each.rank for each in given), default=0)
        codes = ", ".join(each.to(lead, each.rank) for each in given)
        if op.name in _KERNELS_WITH_RANK:
            if not own and op.name in ("sum", "mean", "max"):
                return given[0]
            return Value(f"{_KERNELS_WITH_RANK[op.name]}({codes}, {own})", lead, rank)
        return Value(f"{_KERNELS[op.name]}({codes})", lead, rank)

    def _matmul(self, args: Sequence[int], given: list[Value]) -> Value:
        left, right = given
        lead = joined(given)
        if left.rank == 1:
            return Value(f"dot({left.to(lead, 1)}, {right.to(lead, 1)})", lead, 0)
        if right.rank == 1:
            if not left.lead:
                return Value(f"matvec({left.code}, {right.code})", lead, 1)
            return Value(f"matvecs({left.to(lead, 2)}, {right.to(lead, 1)})", lead, 1)
        code = f"{left.aligned(lead, 2).at(PRODUCT)} @ {right.aligned(lead, 2).at(SIGN)}"
        return Value(code, lead, 2, PRODUCT)

    def _structure(self, node: int, given: list[Value], rank: int, lead: str) -> Value:
        op, args, attr, kind = self.nodes[node]
        first = given[0]
        if op.name == "lookup":
            token = given[1]
            if first.lead == BATCH:
                return Value(f"lookup_each({first.code}, {token.to(lead, 0)})", lead, rank)
            return Value(f"lookup({first.code}, {token.code})", lead, rank)
        if op.name == "onehot":
            assert isinstance(kind, tuple)
            return Value(f"onehot({first.code}, {dim_code(kind[0])}, dtype)", lead, rank)
        if op.name == "component":
            return Value(f"{first.grouped}[..., {attr}]", lead, rank)
        if op.name == "part":
            whole = self.nodes[args[0]].type
            assert isinstance(whole, tuple)
            sizes = part_sizes(attr, whole[0])
            start, stop = Dim.of(0), Dim.of(0)
            for size in sizes[: attr.position]:
                start = start + size
            stop = start + sizes[attr.position]
            return Value(f"{first.grouped}[..., {dim_code(start)}:{dim_code(stop)}]", lead, rank)
        codes = [each.to(lead, 1) if each.rank else f"{each.grouped}[..., None]" for each in given]
        return Value(f"concat({', '.join(codes)})", lead, rank)

    def _leaf(self, node: int, lifted: bool) -> Value:
        op, _, attr, kind = self.nodes[node]
        rank = 0 if isinstance(kind, Token) else len(kind)
        match op.name:
            case "param":
                return Value(var(attr), "", rank)
            case "input" | "static":
                return Value(var(attr), BATCH if self._has_batch(attr) else "", rank)
            case "const":
                return Value(repr(attr), "", 0, ATOM if attr >= 0 else SIGN)
            case "size":
                return Value(size_code(attr), "", 0)
            case "counter":
                return self._counter(attr, lifted)
            case "fill":
                word = "ones" if attr.value else "zeros"
                shape = ", ".join(self.shape_code(attr.shape))
                return Value(f"np.{word}(({shape},), dtype)", "", rank)
            case "basis":
                return Value(f"onehot({attr.position}, {dim_code(attr.size)}, dtype)", "", rank)
            case "at_step":
                return self._absolute(attr, rank)
        batch = BATCH if self.batch_of[attr.name] else ""
        if lifted:
            return Value(self._all_steps(attr.name, attr.lag), TIME + batch, rank)
        assert self.step is not None
        row = plus(self.step, self.before.get(attr.name, 0) - attr.lag)
        return Value(f"{var(attr.name)}[{row}]", batch, rank)

    def _has_batch(self, name: str) -> bool:
        return self.batch_of[name] and name not in self.summed

    def _counter(self, name: str, lifted: bool) -> Value:
        if name not in self.system.indices:
            return Value(name, "", 0)
        if lifted:
            return Value(f"np.arange(1, {self.length(name)} + 1).astype(dtype)", TIME, 0)
        return Value(f"({self.step} + 1)", "", 0)

    def _absolute(self, key: At, rank: int) -> Value:
        """Return the value at a fixed step, which may lie outside for short sequences."""
        batch = BATCH if self.batch_of[key.name] else ""
        before = self.before.get(key.name, 0)
        row = self._row(key.name, key.last, key.offset)
        safe = key.offset >= 1 - before if not key.last else key.offset == 0
        safe = safe and (key.last or key.offset <= 1)
        if safe:
            return Value(f"{var(key.name)}[{row}]", batch, rank)
        array = var(key.name)
        code = f"({array}[{row}] if 0 <= {row} < len({array}) else np.zeros_like({array}[0]))"
        return Value(code, batch, rank)

    def _choice(self, node: int, given: list[Value], rank: int, lifted: bool) -> Value:
        condition = self.nodes[node].attr
        space = self.system.spaces[node]
        lead = joined(given)
        if lifted and space is not None:
            lead = TIME + lead.replace(TIME, "")
            steps = {space: f"np.arange(1, {self.length(space)} + 1)"}
            mask = Value(condition_code(condition, steps), TIME, 0)
            codes = ", ".join(each.to(lead, rank) for each in given)
            mask_code = mask.to(lead, rank)
            return Value(f"np.where({mask_code}, {codes})", lead, rank)
        names = {space: f"({self.step} + 1)"} if space is not None else {}
        first, second = (each.to(lead, rank) for each in given)
        test = condition_code(condition, names)
        return Value(f"({first} if {test} else {second})", lead, rank)

    # -- reductions -----------------------------------------------------------------------------

    def _outer_sum(self, node: int) -> int | None:
        """Return the outer product that a reduction sums, if it can be one product."""
        op, args, attr, _ = self.nodes[node]
        if op is not OPS["reduce"] or attr.kind != "sum" or not self._ends_in_sum(node):
            return None
        body = args[0]
        return body if self.nodes[body].op is OPS["outer"] else None

    def _ends_in_sum(self, node: int) -> bool:
        """Whether a node is a term of an output that is summed over the batch anyway."""
        return not self.batched or any(
            node in self._terms(self.system.roots[name]) for name in self.summed
        )

    def _reduction(self, node: int, values: Mapping[int, Value]) -> Value:
        _, (body,), attr, kind = self.nodes[node]
        assert isinstance(kind, tuple)
        rank = len(kind)
        product = self._outer_sum(node)
        mask = None
        if attr.condition != ALWAYS:
            steps = {attr.over: f"np.arange(1, {self.length(attr.over)} + 1)"}
            mask = Value(f"np.asarray({condition_code(attr.condition, steps)})", TIME, 0)
        if product is not None:
            left, right = (self.values[arg] for arg in self.nodes[product].args)
            lead = TIME + (BATCH if BATCH in joined([left, right]) else "")
            if left.lead == right.lead == lead and (BATCH in lead or not self.batched):
                self.presummed.add(node)
                codes = [
                    each.grouped + (f"[{mask.code}]" if mask else "") for each in (left, right)
                ]
                token = self.nodes[product].args[0]
                if self.nodes[token].op is OPS["onehot"]:
                    inner = self.values[self.nodes[token].args[0]]
                    row = inner.grouped + (f"[{mask.code}]" if mask else "")
                    code = f"scatter({row}, {codes[1]}, {dim_code(kind[0])})"
                    return Value(code, "", rank)
                return Value(f"outer_sum({', '.join(codes)})", "", rank)
            if product not in self.values:
                self.values[product] = self._compute(product, self.values, lifted=True)
        value = self.values[body] if body in self.values else values[body]
        length = self.length(attr.over)
        if TIME not in value.lead:
            count = f"np.count_nonzero({mask.code})" if mask else length
            if attr.kind == "mean":
                return value
            return replace(value, code=f"{value.at(PRODUCT)} * {count}", level=PRODUCT)
        rows = value.grouped + (f"[{mask.code}]" if mask else "")
        word = "sum" if attr.kind == "sum" else "mean"
        return Value(f"{rows}.{word}(axis=0)", value.lead.replace(TIME, ""), rank)
