"""Integer arithmetic that consensus may recompute: models, rules, features."""
