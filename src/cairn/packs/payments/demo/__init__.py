"""The main job end to end: a bank, its payments, a model, a rule, evidence and tampering."""
