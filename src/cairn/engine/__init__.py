"""Who orders blocks, behind one small interface."""
