"""Wiring, configuration and life cycle of a ledger process; prover and witness."""
