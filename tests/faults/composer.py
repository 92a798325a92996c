"""Lines of a hand-written pass: values kept, products, gates forwards and backwards, gradients.

What is written is drawn from `styles.py` at every use; the circuit of the pass is written along.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from tests.faults.styles import BY_VALUE, FAMILIES, Hand, grouped

PREFIXES = ("d{}", "d{}", "grad_{}", "g{}", "d_{}", "{}_grad")


@dataclass
class Gate:
    """An activation of an affine map: its names, its input from the past, its diagonal weight."""

    name: str
    kind: str
    past: str
    diagonal: str = ""
    steep: bool = False
    """Whether its slope is written by the argument."""


@dataclass
class Composer:
    """A pass under construction: lines of the circuit and of the code, gradients by parameter."""

    hand: Hand
    kept: tuple[str, ...]
    """The variables with a value before the first step."""
    circuit: list[str] = field(default_factory=list)
    equations: list[str] = field(default_factory=list)
    forward: list[str] = field(default_factory=list)
    setup: list[str] = field(default_factory=list)
    backward: list[str] = field(default_factory=list)
    after: list[str] = field(default_factory=list)
    joins: list[str] = field(default_factory=list)
    splits: list[str] = field(default_factory=list)
    tail: list[str] = field(default_factory=list)
    start: str = ""
    zs: dict[str, str] = field(default_factory=dict)
    """What the cotangent of each gate's argument is called."""
    tanh_kept: bool = False
    gates: dict[str, Gate] = field(default_factory=dict)
    steep_kinds: tuple[str, ...] = ("tanh",)
    """The activations whose slopes may be written by the argument."""
    params: dict[str, str] = field(default_factory=dict)
    """The form in which the code gets each parameter."""

    def __post_init__(self) -> None:
        hand = self.hand
        self.layout = hand.layout
        self.turned = self.layout.stack == 1 and hand.chance(0.4)
        self.words = FAMILIES[hand.pick([*FAMILIES])]
        self.stored = hand.pick(("dict", "list", "array"))
        self.summed = hand.pick(("+=", "+=", "= +", "add", "listed", "afterwards"))
        self.helper = hand.pick(self.words["sigmoid"]) if hand.chance(0.5) else ""
        self.prefix = hand.pick(PREFIXES)
        self.bias = hand.chance(0.7)
        self.joined = hand.chance(0.5)
        self.mean = self.layout.is_batched and hand.chance(0.4)
        self.stores: list[str] = []

    # Names and values

    def now(self, name: str) -> str:
        """Return a value at this step."""
        if name in self.kept and self.stored != "dict":
            return f"{name}[t + 1]"
        return f"{name}[t]"

    def before(self, name: str) -> str:
        """Return a value of the step before."""
        return f"{name}[t]" if self.stored != "dict" else f"{name}[t - 1]"

    def signal(self, name: str) -> str:
        """Return an input at this step."""
        return self.layout.at.format(name)

    def param(self, name: str, *shape: str) -> str:
        """Declare a parameter; return its name."""
        if name not in self.params:
            self.circuit.append(f"{name}: param({', '.join(shape)})")
            matrix = "{}.T" if self.turned else "{}"
            self.params[name] = (matrix if len(shape) == 2 else self.layout.vector).format(name)
        return name

    def product(self, weight: str, value: str) -> str:
        """Return a matrix times a value of each example."""
        if self.turned:
            return self.hand.pick(("{v} @ {W}", "np.dot({v}, {W})", "np.matmul({v}, {W})")).format(
                W=weight, v=grouped(value)
            )
        return self.hand.pick(self.layout.product).format(W=weight, v=grouped(value))

    def back(self, weight: str, cotangent: str) -> str:
        """Return the transposed matrix times a cotangent of each example."""
        if self.turned:
            forms = ("{d} @ {W}.T", "np.dot({d}, {W}.T)", "({W} @ {d}.T).T")
            return self.hand.pick(forms).format(W=weight, d=cotangent)
        return self.hand.pick(self.layout.back).format(W=weight, d=cotangent)

    def outer(self, cotangent: str, value: str) -> str:
        """Return the gradient by a matrix, summed over the examples."""
        if self.turned:
            forms = ("{v}.T @ {d}", "np.dot({v}.T, {d})", "({d}.T @ {v}).T",
                     "np.einsum('bj,bi->ji', {v}, {d})")  # fmt: skip
            return self.hand.pick(forms).format(d=cotangent, v=grouped(value))
        return self.hand.pick(self.layout.outer).format(d=cotangent, v=grouped(value))

    def total(self, value: str) -> str:
        """Return the gradient by a vector, summed over the examples."""
        return self.hand.pick(self.layout.total).format(d=grouped(value))

    @property
    def out(self) -> str:
        """The output, which an LSTM's output gate must not be taken for."""
        return "out" if "c" in self.kept else "o"

    @property
    def examples(self) -> str:
        """The number of examples."""
        return f"x.shape[{0 if self.layout.at == '{}[:, t]' else 1}]"

    def scaled(self, cotangent: str) -> str:
        """Return a cotangent of the loss, divided by the number of examples for a mean."""
        return f"{cotangent} / {self.examples}" if self.mean else cotangent

    def last(self, name: str) -> str:
        """Return the value at the last step."""
        return f"{name}[T]" if self.stored != "dict" else f"{name}[T - 1]"

    def started(self) -> list[str]:
        """Return the lines that make what values are kept in."""
        lines = []
        for name in dict.fromkeys([*self.kept, *self.stores]):
            first = name in self.kept
            if self.stored == "list":
                lines.append(f"{name} = [{name}0]" if first else f"{name} = []")
            elif self.stored == "dict" or not first:
                lines.append(f"{name} = {{-1: {name}0}}" if first else f"{name} = {{}}")
            else:
                lines.append(f"{name} = np.zeros((T + 1, *{name}0.shape))")
                lines.append(f"{name}[0] = {name}0")
        return lines

    # Lines

    def keep(self, name: str, value: str) -> None:
        """Store a value of this step."""
        self.stores.append(name)
        if self.stored == "list":
            self.forward.append(f"{name}.append({value})")
        else:
            self.forward.append(f"{self.now(name)} = {value}")

    def accumulate(self, name: str, value: str) -> None:
        """Add to the gradient by a parameter."""
        gradient = self.prefix.format(name)
        match self.summed:
            case "+=":
                self.backward.append(f"{gradient} += {value}")
            case "= +":
                self.backward.append(f"{gradient} = {self.hand.sum_of([gradient, value])}")
            case "add":
                self.backward.append(f"np.add({gradient}, {value}, out={gradient})")
            case "listed":
                self.backward.append(f"all_{name}.append({value})")
                self.setup.append(f"all_{name} = []")
                ways = ("sum(all_{})", "np.sum(all_{}, axis=0)", "np.array(all_{}).sum(axis=0)")
                self.after.append(f"{gradient} = {self.hand.pick(ways).format(name)}")
            case "afterwards":
                self.after.append(f"{gradient} = sum({value} for t in range(T))")
        if self.summed in ("+=", "= +", "add"):
            ways = (
                "np.zeros_like({})",
                "np.zeros({0}.shape)",
                "0 * {}",
                "np.zeros_like({}, float)",
            )
            self.setup.append(f"{gradient} = {self.hand.pick(ways).format(name)}")

    def cotangent(self, name: str, value: str) -> str:
        """Give a cotangent a name; return what it is called."""
        if self.summed == "afterwards":
            self.setup.append(f"d{name} = {{}}")
            self.backward.append(f"d{name}[t] = {value}")
            return f"d{name}[t]"
        self.backward.append(f"d{name} = {value}")
        return f"d{name}"

    # Gates

    def gate(self, name: str, kind: str, past: str = "", peep: str = "", see: str = "") -> None:
        """Write one gate forwards: kind(W @ past + U @ x + b + p * peep)."""
        state = self.kept[0]
        gate = Gate(name, kind, past or self.before(state), peep, self.steep(kind))
        self.gates[name] = gate
        seen = f"{self.param(f'W_{name}', 'H', 'H')} @ {see or f'{state}[t-1]'}"
        equation = [seen, f"{self.param(f'U_{name}', 'H', 'D')} @ x[t]"]
        terms = [self.product(f"W_{name}", gate.past), self.product(f"U_{name}", self.signal("x"))]
        if self.bias:
            equation.append(self.param(f"b_{name}", "H"))
            terms.append(f"b_{name}")
        if peep:
            diagonal = self.param(f"p_{name}", "H")
            equation.append(f"{diagonal} * {'c[t]' if peep == self.now('c') else 'c[t-1]'}")
            terms.append(f"{diagonal} * {peep}")
        self.equations.append(f"{name}[t] = {kind}({' + '.join(equation)})")
        self.activate(gate, self.hand.sum_of(terms))

    def fused_gates(self, kinds: dict[str, str]) -> None:
        """Write several gates forwards as pieces of one affine map."""
        count, axis = len(kinds), self.layout.stack
        sums = [self.product("W", self.before("h")), self.product("U", self.signal("x"))]
        equation = ["W @ h[t-1]", "U @ x[t]"] + (["b"] if self.bias else [])
        if self.joined:
            self.param("W", f"{count}*H", "H")
            self.param("U", f"{count}*H", "D")
            if self.bias:
                self.param("b", f"{count}*H")
            self.equations.append(f"a[t] = {' + '.join(equation)}")
            pieces = ", ".join(f"a_{name}[t]" for name in kinds)
            self.equations.append(f"{pieces} = split(a[t], {count})")
            self.equations += [f"{name}[t] = {kind}(a_{name}[t])" for name, kind in kinds.items()]
        else:
            self._join_separate(kinds)
        if self.bias:
            sums.append("b")
        self.forward.append(f"a = {self.hand.sum_of(sums)}")
        self.forward.append(f"size = a.shape[{axis}] // {count}")
        for position, (name, kind) in enumerate(kinds.items()):
            self.gates[name] = Gate(name, kind, self.before("h"), "", self.steep(kind))
            piece = f"{position} * size:{position + 1} * size" if position else ":size"
            self.activate(self.gates[name], f"a[:, {piece}]" if axis else f"a[{piece}]")

    def _join_separate(self, kinds: dict[str, str]) -> None:
        """Stack separate parameters for the code, and split their gradients."""
        axis = int(self.turned)
        for mark, shape in (("W", ("H", "H")), ("U", ("H", "D")), ("b", ("H",))):
            if mark == "b" and not self.bias:
                continue
            names = [self.param(f"{mark}_{name}", *shape) for name in kinds]
            along = axis if mark != "b" else 0
            self.joins.append(f"{mark} = np.concatenate([{', '.join(names)}], axis={along})")
            gradients = ", ".join(self.prefix.format(name) for name in names)
            whole = self.prefix.format(mark)
            self.splits.append(f"{gradients} = np.split({whole}, {len(names)}, axis={along})")
        for name, kind in kinds.items():
            terms = [f"W_{name} @ h[t-1]", f"U_{name} @ x[t]"] + [f"b_{name}"] * self.bias
            self.equations.append(f"{name}[t] = {kind}({' + '.join(terms)})")

    def steep(self, kind: str) -> bool:
        """Whether a slope is written by the argument."""
        steep = f"steep {kind}" in self.words and kind in self.steep_kinds
        return steep and self.hand.chance(0.25)

    def activate(self, gate: Gate, argument: str) -> None:
        """Store the value of a gate, and its argument where that is read again."""
        if gate.steep:
            self.keep(f"z{gate.name}", argument)
            argument = f"z{gate.name}[t]"
        elif self.hand.chance(0.5):
            self.forward.append(f"pre = {argument}")
            argument = "pre"
        if gate.kind == "sigmoid" and self.helper and self.hand.chance(0.8):
            value = f"sigmoid({argument})"
        else:
            value = self.hand.pick(self.words[gate.kind]).format(z=grouped(argument))
        self.keep(gate.name, value)

    def slope(self, name: str, cotangent: str) -> str:
        """Return the cotangent of a gate's argument."""
        gate = self.gates[name]
        forms = self.words[f"steep {gate.kind}"] if gate.steep else BY_VALUE[gate.kind]
        slope = self.hand.pick(forms).format(s=self.now(name), z=f"z{name}[t]")
        if self.hand.chance(0.4):
            self.backward.append(f"d{name}_out = {cotangent}")
            cotangent = f"d{name}_out"
        self.zs[name] = self.cotangent(f"z{name}", self.hand.times(cotangent, slope))
        return self.zs[name]

    def gate_back(self, name: str, cotangent: str) -> str:
        """Write one gate backwards; return what goes back to its past."""
        gate, d = self.gates[name], self.slope(name, cotangent)
        if gate.diagonal:
            self.accumulate(f"p_{name}", self.total(f"{d} * {gate.diagonal}"))
        self.accumulate(f"W_{name}", self.outer(d, gate.past))
        self.accumulate(f"U_{name}", self.outer(d, self.signal("x")))
        if self.bias:
            self.accumulate(f"b_{name}", self.total(d))
        return self.back(f"W_{name}", d)

    def fused_back(self, cotangents: dict[str, str]) -> str:
        """Write fused gates backwards; return what goes back to the state before."""
        parts = ", ".join([self.slope(name, each) for name, each in cotangents.items()])
        axis = self.layout.stack
        ways = [
            f"np.concatenate([{parts}], axis={axis})",
            f"np.concatenate(({parts}), axis={axis})",
        ]
        ways.append(f"np.hstack([{parts}])" if self.layout.stacks_flat else f"np.vstack([{parts}])")
        d = self.cotangent("a", self.hand.pick(ways))
        self.accumulate("W", self.outer(d, self.before("h")))
        self.accumulate("U", self.outer(d, self.signal("x")))
        if self.bias:
            self.accumulate("b", self.total(d))
        return self.back("W", d)
