"""Columns of examples, time last, cells with dictionaries of gradients, softmax outputs."""
# ruff: noqa: RUF059

import numpy as np

CIRCUIT = """
x[t]: input(D)
Wax: param(H, D)
Waa: param(H, H)
ba: param(H)
a[t] = tanh(Wax @ x[t] + Waa @ a[t-1] + ba)
loss = sum(a[tau])
"""
FUNCTIONS = "rnn_forward rnn_backward"
OPTIONS = {"loss": "a", "batch": 2, "layout": "features_first", "tau": 2}


def cell_backward(da_next, cache):
    a_next, a_prev, xt, parameters = cache
    dtanh = (1 - np.power(a_next, 2)) * da_next
    gradients = {
        "dxt": np.dot(parameters["Wax"].T, dtanh),
        "dWax": np.dot(dtanh, xt.T),
        "da_prev": np.dot(parameters["Waa"].T, dtanh),
        "dWaa": np.dot(dtanh, a_prev.T),
        "dba": np.sum(dtanh, axis=1, keepdims=True),
    }
    return gradients


def rnn_forward(x, a0, parameters):
    n_x, m, T_x = x.shape
    a = np.zeros((a0.shape[0], m, T_x))
    a_next, caches = a0, []
    for t in range(T_x):
        xt, a_prev = x[:, :, t], a_next
        z = np.dot(parameters["Waa"], a_prev) + np.dot(parameters["Wax"], xt) + parameters["ba"]
        a_next = np.tanh(z)
        a[:, :, t] = a_next
        caches.append((a_next, a_prev, xt, parameters))
    return a, caches


def rnn_backward(da, caches):
    (a1, a0, x1, parameters) = caches[0]
    n_a, m, T_x = da.shape
    dx = np.zeros((x1.shape[0], m, T_x))
    dWax, dWaa = np.zeros((n_a, x1.shape[0])), np.zeros((n_a, n_a))
    dba = np.zeros((n_a, 1))
    da_prevt = np.zeros((n_a, m))
    for t in reversed(range(T_x)):
        gradients = cell_backward(da[:, :, t] + da_prevt, caches[t])
        da_prevt = gradients["da_prev"]
        dx[:, :, t] = gradients["dxt"]
        dWax += gradients["dWax"]
        dWaa += gradients["dWaa"]
        dba += gradients["dba"]
    da0 = da_prevt
    return {"dx": dx, "da0": da0, "dWax": dWax, "dWaa": dWaa, "dba": dba}


FAULTS = [
    ("np.sum(dtanh, axis=1, keepdims=True)", "np.mean(dtanh, axis=1, keepdims=True)",
     "dba", "times 1/2"),
    ("da[:, :, t] + da_prevt", "da[:, :, t]",
     "dx da0 dWax dWaa dba", "lacks the term Waa.T"),
    ("np.dot(dtanh, a_prev.T)", "np.dot(dtanh, a_next.T)", "dWaa", "reads a[t] where a[t-1]"),
]  # fmt: skip
