"""Cairn: a shared ledger for training, approving and acting on machine-learning models."""
