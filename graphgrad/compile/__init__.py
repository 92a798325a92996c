"""Compiled recurrences: rolled circuits as readable source for NumPy, Numba and JAX."""
