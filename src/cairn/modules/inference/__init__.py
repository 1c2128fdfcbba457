"""Predictions: scores that the ledger computed or that were recorded with it."""
