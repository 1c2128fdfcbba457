"""`python -m bench.cases NAME --data FOLDER`: run one case, print its table, write its files."""

import argparse
import importlib
import os
import sys
import time
from pathlib import Path

from bench.cases.result import CaseError, show, write_case

NAMES = ("fraud_handbook", "credit_default_uci", "german_credit")
DATA_VARIABLE = "CAIRN_DATA"


def main() -> int:
    """Run the case that the arguments name."""
    parser = argparse.ArgumentParser(prog="python -m bench.cases", description=__doc__)
    parser.add_argument("name", choices=NAMES)
    parser.add_argument(
        "--data",
        default=os.environ.get(DATA_VARIABLE, ""),
        help=f"the case's folder, or one that holds it (default: ${DATA_VARIABLE})",
    )
    parser.add_argument("--seeds", type=int, default=20, help="how many seeds, from 0 (default 20)")
    parser.add_argument("--output", type=Path, default=Path("build/cases"))
    arguments = parser.parse_args()
    try:
        folder = find_folder(arguments.name, arguments.data)
        module = importlib.import_module(f"bench.cases.{arguments.name}")
        began = time.monotonic()
        result = module.run(folder, seeds=range(arguments.seeds))
    except CaseError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    page = write_case(arguments.output, arguments.name, result)
    print(show(result))
    print(f"{time.monotonic() - began:.0f} s; written: {page.with_suffix('.json')}, {page}")
    return 0


def find_folder(name: str, data: str) -> Path:
    """Return the folder of a case's data.

    Raises:
        CaseError: No folder is named, or the data is not in it.
    """
    if not data:
        raise CaseError(
            f"no data\n\nhint: make case NAME={name} DATA=FOLDER, or set {DATA_VARIABLE}; the data "
            "is published and not part of this project, docs/cases.md says where it comes from"
        )
    given = Path(data)
    folder = given / name if (given / name).is_dir() else given
    if not folder.is_dir():
        raise CaseError(f"there is no folder {folder}\n\nhint: DATA is the folder of the data set")
    return folder


if __name__ == "__main__":
    sys.exit(main())
