"""Benchmarks: each figure beside a peer or a stated ceiling, measured in the same run."""
