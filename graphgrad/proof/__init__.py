"""Proofs that a backward pass is right: exact algebra, certified witnesses, and their reports."""
