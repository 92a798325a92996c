"""Compiled recurrences: rolled circuits as readable NumPy source that runs on whole batches."""
