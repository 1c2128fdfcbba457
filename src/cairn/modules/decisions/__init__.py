"""Decisions asked before somebody else acts, and what the executor then did."""
