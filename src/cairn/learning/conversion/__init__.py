"""Conversion of trained models to exact ones, with a report of how far the two are apart."""
