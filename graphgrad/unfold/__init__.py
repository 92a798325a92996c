"""Unfolding: a circuit of any length as one explicit graph in flat arrays.

Parameters are one node each. Identical subexpressions are not merged: what was written is what is
there. `dag` is the graph; `existence` finds which nodes exist at which steps, `instances` numbers
them, `places` knows which instance a read stands for, `build` puts it all together.
"""

from graphgrad.unfold.build import unfold
from graphgrad.unfold.dag import STATIC, Dag, Nodes, Series, Template, View
from graphgrad.unfold.existence import check_means
from graphgrad.unfold.lengths import checked_lengths, checked_sizes

__all__ = [
    "STATIC",
    "Dag",
    "Nodes",
    "Series",
    "Template",
    "View",
    "check_means",
    "checked_lengths",
    "checked_sizes",
    "unfold",
]
