"""Screening: what accounts did lately, as features of the next payment, and confirmed outcomes."""
