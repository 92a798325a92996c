"""Hand-written passes put together from interchangeable pieces: cells, layouts, loops, sums, names.

A number is a pass: right, small, and written differently from the others. Its circuit says what
it should compute.
"""

from __future__ import annotations

from random import Random
from typing import Any

from tests.faults.composer import Composer
from tests.faults.passes import Pass
from tests.faults.styles import (
    BACKWARDS,
    ENTROPIES,
    LAYOUTS,
    SOFTMAXES,
    SQUARES,
    Hand,
)

CELLS = ("elman", "elman", "leaky", "output", "lstm", "fused lstm", "peephole", "gru", "minimal")
GATED = ("lstm", "fused lstm", "peephole", "gru")
"""Cells of which the whole loss is long; they have no output layer, and few units in a batch."""
LOSSES = ("state", "state", "last", "readout", "softmax", "tokens")


def composed(number: int, *, steep_kinds: tuple[str, ...] = ("tanh",)) -> Pass:
    """Return the pass of a number; slopes of some activations may be written by the argument."""
    draw = Random(f"composed {number}")
    cell, loss = draw.choice(CELLS), draw.choice(LOSSES)
    layout = draw.choice([*LAYOUTS])
    if cell == "output":
        loss = "readout"
    elif cell in GATED:
        loss = draw.choice(("state", "last"))
    if loss == "tokens":
        layout = "vectors"
    hand = Hand(draw, LAYOUTS[layout])
    kept = ("o",) if cell == "output" else ("h", "c") if cell in WITH_CELLS else ("h",)
    work = Composer(hand, kept, steep_kinds=steep_kinds)
    ahead = {"o": "do_next"} if cell == "output" else {"h": "dh_next", "c": "dc_next"}
    FORWARDS[cell](work)
    readout(work, loss)
    objective(work, loss, cell)
    BACKWARD[cell](work)
    return Pass(f"composed-{number}", source(work, loss, cell, ahead))


# -- cells -----------------------------------------------------------------------------------------


def elman(work: Composer) -> None:
    work.gate("h", "tanh")


def elman_back(work: Composer) -> None:
    work.backward.append(f"dh_next = {work.gate_back('h', 'dh')}")


def leaky(work: Composer) -> None:
    work.param("k", "H")
    work.gate("s", work.hand.pick(("sigmoid", "tanh")))
    work.equations.append("h[t] = (1 - k) * h[t-1] + k * s[t]")
    before, s = work.before("h"), work.now("s")
    ways = (f"(1 - k) * {before} + k * {s}", f"{before} + k * ({s} - {before})")
    work.keep("h", work.hand.pick(ways))


def leaky_back(work: Composer) -> None:
    share = work.cotangent("share", f"dh * ({work.now('s')} - {work.before('h')})")
    work.accumulate("k", work.total(share))
    past = work.gate_back("s", work.hand.times("dh", "k"))
    work.backward.append(f"dh_next = {work.hand.sum_of([work.hand.times('dh', '(1 - k)'), past])}")


def output(work: Composer) -> None:
    work.gate("h", "tanh")


def output_back(work: Composer) -> None:
    work.backward.append(f"do_next = {work.gate_back('h', 'dh')}")


def lstm(work: Composer, *, peephole: bool = False, fused: bool = False) -> None:
    if fused:
        work.fused_gates({"i": "sigmoid", "f": "sigmoid", "o": "sigmoid", "g": "tanh"})
    else:
        for name in "if":
            work.gate(name, "sigmoid", peep=work.before("c") if peephole else "")
        work.gate("g", "tanh")
    i, f, g = map(work.now, "ifg")
    work.equations.append("c[t] = f[t] * c[t-1] + i[t] * g[t]")
    work.keep("c", work.hand.sum_of([work.hand.times(f, work.before("c")), work.hand.times(i, g)]))
    if not fused:
        work.gate("o", "sigmoid", peep=work.now("c") if peephole else "")
    work.equations.append("h[t] = o[t] * tanh(c[t])")
    work.tanh_kept = work.hand.chance(0.5)
    if work.tanh_kept:
        work.keep("tc", f"np.tanh({work.now('c')})")
    bent = work.now("tc") if work.tanh_kept else f"np.tanh({work.now('c')})"
    work.keep("h", work.hand.times(work.now("o"), bent))


def lstm_back(work: Composer, *, peephole: bool = False, fused: bool = False) -> None:
    hand, bent = work.hand, work.now("tc") if work.tanh_kept else f"np.tanh({work.now('c')})"
    d_o = hand.times("dh", bent)
    slope = hand.pick(("(1 - {} ** 2)", "(1 - {0} * {0})", "(1 - np.square({}))")).format(bent)
    terms = ["dc_next", hand.times("dh", work.now("o"), slope)]
    past, cell = [], []
    if not fused:
        past.append(work.gate_back("o", d_o))
    if peephole:
        terms.append(hand.times("p_o", work.zs["o"]))
    work.backward.append(f"dc = {hand.sum_of(terms)}")
    rest = {
        "i": hand.times("dc", work.now("g")),
        "f": hand.times("dc", work.before("c")),
        "g": hand.times("dc", work.now("i")),
    }
    if fused:
        past.append(work.fused_back({"i": rest["i"], "f": rest["f"], "o": d_o, "g": rest["g"]}))
    else:
        past += [work.gate_back(name, each) for name, each in rest.items()]
    cell.append(hand.times("dc", work.now("f")))
    if peephole:
        cell += [hand.times(f"p_{name}", work.zs[name]) for name in "if"]
    work.backward.append(f"dc_next = {hand.sum_of(cell)}")
    work.backward.append(f"dh_next = {hand.sum_of(past)}")


def gru(work: Composer) -> None:
    work.gate("z", "sigmoid")
    work.gate("r", "sigmoid")
    past = f"{work.now('r')} * {work.before('h')}"
    work.gate("n", "tanh", past, see="(r[t] * h[t-1])")
    mix(work)


def mix(work: Composer) -> None:
    """Write the state as a mixture of what it was and what is new."""
    z, n, before = work.now("z"), work.now("n"), work.before("h")
    work.equations.append("h[t] = (1 - z[t]) * n[t] + z[t] * h[t-1]")
    ways = (
        work.hand.sum_of([work.hand.times(f"(1 - {z})", n), work.hand.times(z, before)]),
        f"{n} + {z} * ({before} - {n})",
        f"{n} - {z} * {n} + {z} * {before}",
    )
    work.keep("h", work.hand.pick(ways))


def gru_back(work: Composer) -> None:
    hand, z, n, before = work.hand, work.now("z"), work.now("n"), work.before("h")
    through = work.gate_back("n", hand.times("dh", f"(1 - {z})"))
    work.backward.append(f"drh = {through}")
    past = [hand.times("drh", work.now("r")), hand.times("dh", z)]
    past.append(work.gate_back("r", hand.times("drh", before)))
    past.append(work.gate_back("z", hand.times("dh", f"({before} - {n})")))
    work.backward.append(f"dh_next = {hand.sum_of(past)}")


def minimal(work: Composer) -> None:
    work.gate("z", "sigmoid")
    work.gate("n", "tanh")
    mix(work)


def minimal_back(work: Composer) -> None:
    hand, z, n, before = work.hand, work.now("z"), work.now("n"), work.before("h")
    past = [hand.times("dh", z), work.gate_back("n", hand.times("dh", f"(1 - {z})"))]
    past.append(work.gate_back("z", hand.times("dh", f"({before} - {n})")))
    work.backward.append(f"dh_next = {hand.sum_of(past)}")


WITH_CELLS = ("lstm", "fused lstm", "peephole")
FORWARDS: dict[str, Any] = {
    "elman": elman, "leaky": leaky, "output": output, "lstm": lstm, "gru": gru, "minimal": minimal,
    "fused lstm": lambda work: lstm(work, fused=True),
    "peephole": lambda work: lstm(work, peephole=True),
}  # fmt: skip
BACKWARD: dict[str, Any] = {
    "elman": elman_back, "leaky": leaky_back, "output": output_back, "lstm": lstm_back,
    "gru": gru_back, "minimal": minimal_back,
    "fused lstm": lambda work: lstm_back(work, fused=True),
    "peephole": lambda work: lstm_back(work, peephole=True),
}  # fmt: skip


# -- what is on top --------------------------------------------------------------------------------


def readout(work: Composer, loss: str) -> None:
    """Write the output o = V @ h + q forwards."""
    if loss in ("state", "last"):
        return
    shape = ("H",) if work.kept == ("o",) else ("K",)
    work.param("V", *shape, "H")
    work.param("q", *shape)
    work.equations.append(f"{work.out}[t] = V @ h[t] + q")
    work.keep(work.out, work.hand.sum_of([work.product("V", work.now("h")), "q"]))


def objective(work: Composer, loss: str, cell: str) -> None:
    """Write the loss forwards, and backwards down to the cotangent `dh` of the state."""
    hand, target = work.hand, work.signal("y")
    ahead = "do_next" if cell == "output" else "dh_next"
    if loss == "last":
        work.equations.append("loss = squared_error(h[tau], y)")
        start = "dh_next"
        error = f"{work.last('h')} - y"
        work.tail.append(f"e = {error}")
        work.tail.append(f"loss = {hand.pick(SQUARES).format(e='e')}")
        work.start = f"{start} = {work.scaled('e')}"
        work.backward.append("dh = dh_next")
        return
    if loss in ("softmax", "tokens"):
        d_out = softmax(work, loss, target)
    else:
        value = work.now("h" if loss == "state" else work.out)
        name = "h" if loss == "state" else work.out
        work.equations.append(f"loss = sum(squared_error({name}[t], y[t]) for t in steps)")
        if hand.chance(0.5):
            work.keep("e", f"{value} - {target}")
            d_out = work.now("e")
            work.forward.append(f"loss += {hand.pick(SQUARES).format(e=d_out)}")
        else:
            d_out = f"({value} - {target})"
            work.forward.append(f"loss += {hand.pick(SQUARES).format(e=d_out)}")
    d_out = work.scaled(d_out)
    if loss == "state":
        work.backward.append(f"dh = {hand.sum_of([d_out, ahead])}")
        return
    d_out = hand.sum_of([d_out, ahead]) if cell == "output" else d_out
    d = work.cotangent("out", d_out)
    work.accumulate("V", work.outer(d, work.now("h")))
    work.accumulate("q", work.total(d))
    terms = [work.back("V", d)] + ([] if cell == "output" else [ahead])
    work.backward.append(f"dh = {hand.sum_of(terms)}")


def softmax(work: Composer, loss: str, target: str) -> str:
    """Write probabilities and their cross entropy; return the cotangent of the logits."""
    hand, axis = work.hand, work.layout.stack
    deep = work.layout.is_batched or work.layout.vector != "{}"
    k = f", axis={axis}, keepdims=True" if deep else ""
    o = work.now(work.out)
    work.keep("p", hand.pick(SOFTMAXES).format(o=o, k=k))
    p = work.now("p")
    if loss == "softmax":
        work.equations.append(f"p[t] = softmax({work.out}[t])")
        work.equations.append("loss = sum(cross_entropy(p[t], y[t]) for t in steps)")
        work.forward.append(f"loss += {hand.pick(ENTROPIES).format(y=target, p=p)}")
        return f"({p} - {target})"
    work.equations.append(f"loss = sum(softmax_cross_entropy({work.out}[t], y[t]) for t in steps)")
    ways = ("loss += -np.log({p}[y[t]])", "loss -= np.log({p}[y[t]])")
    if hand.chance(0.3):
        work.forward.append(f"loss += np.log(np.sum(np.exp({o}))) - {o}[y[t]]")
    else:
        work.forward.append(hand.pick(ways).format(p=p))
    work.backward.append(f"dy = np.copy({p})" if hand.chance(0.5) else f"dy = {p}.copy()")
    work.backward.append("dy[y[t]] -= 1")
    return "dy"


def source(work: Composer, loss: str, cell: str, ahead: dict[str, str]) -> str:
    """Return the module of a pass."""
    hand, layout = work.hand, work.layout
    size = "H" if cell == "output" or loss in ("state", "last") else "K"
    kind = {"softmax": f"distribution({size})", "tokens": f"token({size})"}
    target = f"y: input({size})" if loss == "last" else f"y[t]: {kind.get(loss, f'input({size})')}"
    starts = [f"{name}0" for name in work.kept]
    names = list(work.params)
    if hand.chance(0.3):
        hand.draw.shuffle(names)
    arguments = {name: form for name, form in work.params.items() if form != name}
    vector = layout.vector if not layout.is_batched else "{}"
    arguments |= {f"{name}0": vector.format(f"{name}_0") for name in work.kept}
    if layout.series != "{}":
        arguments |= {"x": layout.series.format("x")}
        arguments |= {"y": (layout.vector if loss == "last" else layout.series).format("y")}
    options = {"tau": 3 if layout.options == {} and cell in ("elman", "leaky") else 2}
    few = cell in GATED and layout.is_batched
    options |= {
        "sizes": ({"D": 2, "H": 1} if few else {"D": 1, "H": 2}) | ({"K": 2} if size == "K" else {})
    }
    options |= layout.options
    options |= {"arguments": arguments}
    lines = [f"T = {hand.pick(layout.length).format('x')}", *work.joins, *work.started()]
    lines += ["loss = 0" if hand.chance(0.5) else "loss = 0.0"] * (loss != "last")
    lines += ["for t in range(T):", *(f"    {line}" for line in work.forward), *work.tail]
    if layout.is_batched and work.mean:
        lines += [f"loss = loss / {work.examples}"]
    lines += list(dict.fromkeys(work.setup))
    zeros = ("np.zeros_like({})", "0 * {}", "np.zeros({}.shape)")
    for name in work.kept:
        lines.append(f"{ahead[name]} = {hand.pick(zeros).format(f'{name}0')}")
    lines += [work.start] if work.start else []
    head, first, last = hand.pick(BACKWARDS)
    lines += ["t = T - 1"] if head.startswith("while") else []
    body = [first, *work.backward, last]
    lines += [head, *(f"    {line}" for line in body if line)]
    lines += [*dict.fromkeys(work.after), *work.splits]
    gradients = {name: work.prefix.format(name) for name in names}
    for name in work.kept:
        lines.append(f"{work.prefix.format(f'{name}0')} = {ahead[name]}")
        gradients[f"{name}0"] = work.prefix.format(f"{name}0")
    if hand.chance(0.3):
        held = ", ".join(f'"{name}": {value}' for name, value in gradients.items())
        lines.append(f"grads = {{{held}}}")
        lines.append("return loss, grads")
    else:
        lines.append(f"return loss, {', '.join(gradients.values())}")
    helper = work.helper.format(z="z") if any("sigmoid(" in line for line in lines) else ""
    parts = [
        "import numpy as np",
        'CIRCUIT = """\n'
        + "\n".join(["x[t]: input(D)", target, *work.circuit, *work.equations])
        + '\n"""',
        'FUNCTIONS = "train"',
        f"OPTIONS = {options!r}",
        *([f"def sigmoid(z):\n    return {helper}\n"] if helper else []),
        f"def train(x, y, {', '.join([*starts, *names])}):",
        *(f"    {line}" for line in lines),
    ]
    return "\n".join(parts) + "\n"
