"""Simplification of derived expressions: what a person would not write down is not written.

Only identities that hold for every value are used (products with ones and zeros, signs, transposed
transposes, pieces of joined vectors, common factors), so derivatives stay exact; circuits as
written are never simplified.
"""

from graphgrad.simplify.core import Memo, is_neg, is_one, is_zero, same, simplified
from graphgrad.simplify.products import ones_times
from graphgrad.simplify.structure import polished
from graphgrad.simplify.sums import total

__all__ = [
    "Memo",
    "is_neg",
    "is_one",
    "is_zero",
    "ones_times",
    "polished",
    "same",
    "simplified",
    "total",
]
