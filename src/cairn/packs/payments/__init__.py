"""Payments: a seeded generator, a column mapping, the two-line rule and the comparison of a model with it."""
