"""One file per group of figures; each defines `measure(quick) -> list[Figure]`."""
