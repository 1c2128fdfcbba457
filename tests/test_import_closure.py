"""The verifier is small: what `cairn.evidence` pulls in, counted in a fresh interpreter."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
SOURCE = ROOT / "src"

FORBIDDEN = (
    "cairn.bridges",
    "cairn.cli",
    "cairn.engine",
    "cairn.gateway",
    "cairn.learning",
    "cairn.node",
    "cairn.packs",
    "cairn.sdk",
    "cairn.storage",
    "httpx",
    "lmdb",
    "starlette",
    "typer",
    "uvicorn",
)
"""What no part of the verifier loads."""

ARRAYS = ("numba", "numpy", "sklearn", "lightgbm", "pyarrow")
"""What the verifier loads only to replay scores."""

THIRD_PARTY_MAX = 12
"""Distributions outside the standard library that checking a proof may load."""

PROBE = """
import importlib, json, sys
before = set(sys.modules)
for name in sys.argv[1:]:
    importlib.import_module(name)
print(json.dumps(sorted(set(sys.modules) - before)))
"""


def modules_of(package: str) -> list[str]:
    """Return the dotted names of all modules of `package`, found on disk, in order."""
    folder = SOURCE.joinpath(*package.split("."))
    names = []
    for path in sorted(folder.rglob("*.py")):
        parts = path.relative_to(SOURCE).with_suffix("").parts
        names.append(".".join(parts[:-1] if parts[-1] == "__init__" else parts))
    return names


def closure(names: list[str]) -> list[str]:
    """Return what importing `names` loads in a fresh interpreter."""
    done = subprocess.run(
        [sys.executable, "-c", PROBE, *names],
        env={"PYTHONPATH": str(SOURCE), "PATH": ""},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    loaded: list[str] = json.loads(done.stdout)
    return loaded


def matching(loaded: list[str], prefixes: tuple[str, ...]) -> list[str]:
    """Return what of `loaded` is one of `prefixes` or lies below it."""
    return [
        name
        for name in loaded
        if any(name == prefix or name.startswith(prefix + ".") for prefix in prefixes)
    ]


def test_the_verifier_loads_no_node() -> None:
    loaded = closure(modules_of("cairn.evidence"))
    assert "cairn.evidence" in loaded
    assert matching(loaded, FORBIDDEN) == []


def test_importing_the_package_loads_nothing() -> None:
    loaded = closure(["cairn", "cairn.evidence", "cairn.modules", "cairn.ledger"])
    assert [name for name in loaded if name.startswith("cairn.")] == [
        "cairn.evidence",
        "cairn.ledger",
        "cairn.modules",
    ]


REPLAY = ("replay", "scores", "scoring")
"""Names of the verifier's files that recompute scores, the only ones that may load arrays."""


@pytest.mark.parametrize(
    "name", [name for name in modules_of("cairn.evidence") if not name.endswith(REPLAY)]
)
def test_checking_a_proof_loads_no_arrays(name: str) -> None:
    loaded = closure([name])
    assert matching(loaded, ARRAYS) == []
    outside = {
        top
        for top in (entry.split(".")[0] for entry in loaded)
        if top not in sys.stdlib_module_names and top != "cairn" and not top.startswith("_")
    }
    assert len(outside) <= THIRD_PARTY_MAX, sorted(outside)


@pytest.mark.parametrize("package", ["cairn.primitives", "cairn.ledger", "cairn.modules"])
def test_consensus_code_loads_no_arrays_and_no_network(package: str) -> None:
    names = modules_of(package)
    if package == "cairn.modules":  # its scoring modules use cairn.exact, and that uses arrays
        names = [name for name in names if name.endswith((".records", ".messages", ".events"))]
    loaded = closure(names or [package])
    assert matching(loaded, (*FORBIDDEN, *ARRAYS)) == []
