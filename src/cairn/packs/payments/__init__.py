"""Payments: generator, column mapping, the two-line rule, comparison of a model with it."""
