"""Cairn measured on published data: one script for each data set, run by `make case`."""
