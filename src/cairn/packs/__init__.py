"""The verticals; payments first."""
