"""Training runs: what a model was made from, and with what result."""
