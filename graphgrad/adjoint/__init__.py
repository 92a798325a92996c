"""Backpropagation through time as a circuit.

`live` finds what depends on what, `rules` applies the rule of one node, `names` knows the
cotangents, `sweep` carries one through an equation, `deliver` puts contributions at their steps,
`copies` truncates, `build` puts it all together.
"""

from graphgrad.adjoint.build import GradientWarning, adjoint, boundary_name

__all__ = ["GradientWarning", "adjoint", "boundary_name"]
