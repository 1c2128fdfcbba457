"""Golden vectors: what the project produces must equal what lies in `vectors/`.

A test calls `replay("name", produced)`. With `CAIRN_VECTORS=write` in the environment the file is
rewritten instead, and the difference shows up in version control: a change of protocol.
"""

import json
import os
from pathlib import Path
from typing import Any

VECTORS = Path(__file__).parent.parent / "vectors"


def load(name: str) -> Any:
    """Return the content of `vectors/<name>.json`."""
    return json.loads((VECTORS / f"{name}.json").read_text(encoding="utf-8"))


def replay(name: str, produced: object) -> None:
    """Check that `produced` is what `vectors/<name>.json` holds, or write it there if asked to.

    Args:
        name: File name without its ending.
        produced: Integers, text, booleans, None, lists and dicts; bytes appear as hex.
    """
    path = VECTORS / f"{name}.json"
    text = json.dumps(produced, indent=1, ensure_ascii=True) + "\n"
    if os.environ.get("CAIRN_VECTORS") == "write":
        path.parent.mkdir(exist_ok=True)
        path.write_text(text, encoding="utf-8")
        return
    assert path.is_file(), f"{path.name} is missing: make vectors writes it"
    assert json.loads(text) == load(name), f"{path.name} differs: has the protocol moved?"
