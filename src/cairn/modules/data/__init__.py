"""Datasets: what was committed, who may use it, and every use."""
