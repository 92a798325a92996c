"""Gradients of three cells against PyTorch's."""

from __future__ import annotations

from types import ModuleType
from typing import Any

import numpy as np
import pytest

from tests.autodiff.derivatives import LENGTHS, gallery


def torch_loss(name: str, v: dict[str, Any], torch: ModuleType) -> Any:
    """The loss of a cell as one writes it in PyTorch."""
    zero = torch.zeros(LENGTHS["H"], dtype=torch.float64)
    tau = len(v["x"])
    if name == "elman":
        h, total = v["h_0"], 0
        for k in range(tau):
            h = torch.tanh(v["b"] + v["W"] @ h + v["U"] @ v["x"][k])
            total = total - (v["y"][k] * torch.log_softmax(v["c"] + v["V"] @ h, 0)).sum()
        return total
    if name == "lstm":
        h, c, total = v["h_0"], v["c_0"], 0
        for k in range(tau):
            gate = {q: v[f"b_{q}"] + v[f"W_{q}"] @ h + v[f"U_{q}"] @ v["x"][k] for q in "ifog"}
            c = torch.sigmoid(gate["f"]) * c + torch.sigmoid(gate["i"]) * torch.tanh(gate["g"])
            h = torch.sigmoid(gate["o"]) * torch.tanh(c)
            total = total - (v["y"][k] * torch.log_softmax(v["b_y"] + v["V"] @ h, 0)).sum()
        return total
    assert name == "bidirectional"
    h, forward = zero, []
    for k in range(tau):
        h = torch.tanh(v["b"] + v["W"] @ h + v["U"] @ v["x"][k])
        forward.append(h)
    g, backward = torch.zeros(LENGTHS["G"], dtype=torch.float64), [None] * tau
    for k in reversed(range(tau)):
        g = torch.tanh(v["r"] + v["R"] @ g + v["S"] @ v["x"][k])
        backward[k] = g
    total = 0
    for k in range(tau):
        o = v["c"] + v["V"] @ forward[k] + v["Q"] @ backward[k]
        total = total - (v["y"][k] * torch.log_softmax(o, 0)).sum()
    return total


@pytest.mark.oracle("torch")
@pytest.mark.parametrize("name", ["elman", "lstm", "bidirectional"])
def test_against_torch(name: str, oracle: ModuleType) -> None:
    circuit, dag, values = gallery(name, tau=6)
    tensors = {n: oracle.tensor(v, dtype=oracle.float64) for n, v in values.items()}
    wanted = [*circuit.params, "x"]
    for n in wanted:
        tensors[n].requires_grad_(True)
    loss = torch_loss(name, tensors, oracle)
    loss.backward()
    found = dag.grad(wrt=wanted).evaluate(values)
    assert found["loss"] == pytest.approx(loss.item(), rel=1e-13)
    for n in wanted:
        expected = tensors[n].grad.numpy()
        np.testing.assert_allclose(found["d_" + n], expected, rtol=1e-11, atol=1e-15)


@pytest.mark.oracle("torch")
def test_lstm_against_the_lstm_of_torch(oracle: ModuleType) -> None:
    """torch.nn.LSTM itself, its stacked weights taken apart: gates i, f, g, o, two biases."""
    _, dag, values = gallery("lstm", tau=5)
    hidden, width = LENGTHS["H"], LENGTHS["D"]
    module = oracle.nn.LSTM(width, hidden).double()
    order = "ifgo"
    with oracle.no_grad():
        for q, name in (("ih", "U"), ("hh", "W")):
            stacked = np.concatenate([values[f"{name}_{k}"] for k in order])
            getattr(module, f"weight_{q}_l0").copy_(oracle.tensor(stacked))
        biases = np.concatenate([values[f"b_{k}"] for k in order])
        module.bias_ih_l0.copy_(oracle.tensor(biases))
        module.bias_hh_l0.zero_()
    start = tuple(oracle.tensor(values[n]).reshape(1, hidden) for n in ("h_0", "c_0"))
    states, _ = module(oracle.tensor(values["x"]), start)
    V, b = (oracle.tensor(values[n]) for n in ("V", "b_y"))
    log_p = oracle.log_softmax(states @ V.T + b, 1)
    loss = -(oracle.tensor(values["y"]) * log_p).sum()
    loss.backward()
    found = dag.grad().evaluate(values)
    assert found["loss"] == pytest.approx(loss.item(), rel=1e-13)
    for q, name in (("ih", "U"), ("hh", "W")):
        stacked = np.concatenate([found[f"d_{name}_{k}"] for k in order])
        expected = getattr(module, f"weight_{q}_l0").grad.numpy()
        np.testing.assert_allclose(stacked, expected, rtol=1e-11, atol=1e-15)
    biases = np.concatenate([found[f"d_b_{k}"] for k in order])
    np.testing.assert_allclose(biases, module.bias_ih_l0.grad.numpy(), rtol=1e-11, atol=1e-15)
