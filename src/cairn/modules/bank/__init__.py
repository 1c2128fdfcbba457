"""Value that settles on the ledger: assets, balances, escrow, freezes and holds."""
