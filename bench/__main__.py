"""`python -m bench`: measure, print the table, write build/bench.json."""

import argparse
import importlib
import sys
import time
from pathlib import Path

from bench.harness import Figure, commit, machine, table, write

GROUPS = ("ceilings", "exact", "evidence", "predictions", "storage", "ledger", "network")


def main() -> int:
    """Run the groups asked for, in order."""
    parser = argparse.ArgumentParser(prog="bench", description=__doc__)
    parser.add_argument("groups", nargs="*", default=[], help=f"of {', '.join(GROUPS)}")
    parser.add_argument("--output", type=Path, default=Path("build/bench.json"))
    parser.add_argument("--quick", action="store_true", help="smaller sizes, for a first look")
    arguments = parser.parse_args()
    unknown = [group for group in arguments.groups if group not in GROUPS]
    if unknown:
        parser.error(f"no group {unknown[0]!r}; there are {', '.join(GROUPS)}")
    figures: list[Figure] = []
    for group in arguments.groups or GROUPS:
        began = time.monotonic()
        print(f"measuring {group} …", file=sys.stderr, flush=True)
        module = importlib.import_module(f"bench.figures.{group}")
        figures.extend(module.measure(quick=arguments.quick))
        print(f"  {time.monotonic() - began:.0f} s", file=sys.stderr, flush=True)
    described = machine()
    print(
        f"{described['cpu']}, {described['cores']} cores, {described['memory_gib']} GiB, "
        f"{described['system']}, Python {described['python']}, commit {commit()}; medians"
    )
    print(table(figures))
    for figure in figures:
        if figure.note:
            print(f"{figure.name}: {figure.note}")
    write(arguments.output, figures)
    print(f"written: {arguments.output}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
