"""Forward mode as a circuit: the tangent recurrence in the same notation.

For each equation `u[t] = F(…)`, the tangent `dot_u[t]` is the derivative of F along the tangents of
what it reads. Where F is linear that is F itself applied to the tangents, and y = a / b is read as
y · b = a. Everywhere else it is the transpose of the reverse rule in the op table, which is a
linear function of its cotangent: no op has a forward rule of its own that could disagree with it.

`transpose` turns reverse rules round, `equation` differentiates one equation, `build` puts the
circuit together, `directions` makes what it is applied to.
"""

from graphgrad.tangent.build import tangent, tangent_prefix
from graphgrad.tangent.directions import basis_directions

__all__ = ["basis_directions", "tangent", "tangent_prefix"]
