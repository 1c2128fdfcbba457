"""The quality of a data file: what is missing, wrong, repeated, extreme or tells too much."""
