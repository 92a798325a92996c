"""Gradients as sums over paths: ∂L₂/∂h₂ ∂h₂/∂h₁ ∂h₁/∂W and so on, each term a product to evaluate.

`find` finds the paths, `values` multiplies local derivatives along them, `show` writes them down.
"""

from graphgrad.paths.find import paths
from graphgrad.paths.show import Factor, Paths, Term

__all__ = ["Factor", "Paths", "Term", "paths"]
