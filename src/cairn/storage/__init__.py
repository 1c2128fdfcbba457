"""Block log, LMDB checkpoint and the disk they sit on."""
