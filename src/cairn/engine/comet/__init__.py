"""The replicated engine: CometBFT orders blocks, this package is its application."""
