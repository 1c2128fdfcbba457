#!/usr/bin/env python3
"""Builds the wheel of `cairn-verify`: the verifier's import closure, from the one source.

    tools/build_verifier.py [OUTPUT]

Files are chosen by importing the command in a fresh interpreter and looking at what it loaded;
what only `--replay` over many rows loads (NumPy's part of `cairn.exact`) is added.
"""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parent.parent
SOURCE = ROOT / "src"
PROJECT = ROOT / "packaging" / "cairn-verify"
ENTRY = ("cairn.evidence.cli",)
REPLAY = ("cairn.exact.scoring",)
EPOCH = "1700000000"
"""Time stamp of every file in the wheel, so that the same source gives the same wheel."""

PROBE = """
import importlib, json, sys
for name in sys.argv[1:]:
    importlib.import_module(name)
files = {n: m.__file__ for n, m in sys.modules.items() if n.split(".")[0] == "cairn"}
print(json.dumps(files))
"""


def closure(names: tuple[str, ...]) -> dict[str, Path]:
    """Return the modules of `cairn` that importing `names` loads, with their files."""
    environment = {**os.environ, "PYTHONPATH": str(SOURCE)}
    done = subprocess.run(
        [sys.executable, "-c", PROBE, *names],
        env=environment,
        capture_output=True,
        text=True,
        check=True,
    )
    found: dict[str, str] = json.loads(done.stdout)
    return {name: Path(file) for name, file in sorted(found.items())}


def stage(folder: Path) -> list[Path]:
    """Copy the project and the closure into `folder`; return the copied sources."""
    if folder.exists():
        shutil.rmtree(folder)
    folder.mkdir(parents=True)
    for file in (PROJECT / "pyproject.toml", PROJECT / "README.md", ROOT / "LICENSE"):
        shutil.copy2(file, folder / file.name)
    copied = []
    for file in (*closure((*ENTRY, *REPLAY)).values(), SOURCE / "cairn" / "py.typed"):
        target = folder / "src" / file.relative_to(SOURCE)
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy2(file, target)
        copied.append(target)
    return copied


def build(output: Path) -> Path:
    """Build the wheel into `output` and return it."""
    folder = output / "cairn-verify"
    stage(folder)
    output.mkdir(parents=True, exist_ok=True)
    code = "import sys; from hatchling.build import build_wheel; print(build_wheel(sys.argv[1]))"
    done = subprocess.run(
        [sys.executable, "-c", code, str(output.resolve())],
        cwd=folder,
        env={**os.environ, "SOURCE_DATE_EPOCH": EPOCH},
        capture_output=True,
        text=True,
        check=True,
    )
    return output / done.stdout.split()[-1]


if __name__ == "__main__":
    wheel = build(Path(sys.argv[1]) if len(sys.argv) > 1 else ROOT / "build")
    print(wheel)
