"""Vector kernels for Numba: lanes of numbers, functions of them, products of packed matrices.

Generated code sees plain functions (`load`, `tanh`, `product`, …) and vector values with the usual
operators; vector instructions, their width and their tails stay in this package. `scalar` offers
the same functions for one number at a time, in a few lines of plain Numba each: the reference.
"""
