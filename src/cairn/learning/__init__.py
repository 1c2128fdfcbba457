"""What runs off the ledger in floating point: datasets, training, conversion to exact models."""
