"""Rules: conditions over scores and features that hold, refuse or freeze before value moves."""
