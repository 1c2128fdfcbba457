"""Bundles, trust files and their verification; needs no node."""
