"""Replay a ledger from genesis with every supported Python found, and compare every root.

    python -m tools.replay_everywhere            # records a ledger of random messages first
    python -m tools.replay_everywhere --dir DIR  # a node's directory, which is copied

Looked for are the Pythons of pyenv and of the PATH, 3.11 and newer. Each gets an environment with
the locked core requirements in `build/replay/<version>`, without numba: its models are scored by
the NumPy path. One that cannot be set up, as without a network, is passed over with a line.
"""

import argparse
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from cairn.primitives.hashes import sha256

ROOT = Path(__file__).parents[1]
REQUIREMENTS = ROOT / "requirements" / "core.txt"
ENVIRONMENTS = ROOT / "build" / "replay"
OLDEST = (3, 11)
HASH_SEEDS = ("0", "1", "4242")
"""Of this interpreter; the others replay once, with the last one."""
INSTALL_SECONDS_MAX = 600
_EXECUTABLE = re.compile(r"(python|pypy)3(\.[0-9]+)?", re.ASCII)
_MARK = "installed"
_PROBE = "import json, platform, sys; print(json.dumps([platform.python_version(), \
platform.python_implementation(), list(sys.version_info[:2]), sys.base_prefix]))"
_REPLAY = """
import json, sys
from dataclasses import asdict
from pathlib import Path
from cairn.node.opening import replay_from_genesis
report = asdict(replay_from_genesis(Path(sys.argv[1])))
print(json.dumps({k: v.hex() if isinstance(v, bytes) else v for k, v in report.items()}))
"""


@dataclass(frozen=True, slots=True)
class Interpreter:
    """A Python that was found."""

    executable: Path
    version: str
    name: str
    """Such as `CPython`."""


@dataclass(frozen=True, slots=True)
class Replayed:
    """What a replay came to; `error` says why it came to nothing."""

    report: dict[str, int | str]
    error: str = ""


def main(arguments: Sequence[str] | None = None) -> int:
    """Replay as the command line says; the exit code is 1 if anything differs."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--dir", type=Path, help="a node's directory")
    parser.add_argument("--seed", type=int, default=1, help="of the ledger that is recorded")
    parser.add_argument("--blocks", type=int, default=120, help="of the ledger that is recorded")
    parser.add_argument(
        "--ready-only", action="store_true", help="set up no environment that is not there"
    )
    given = parser.parse_args(arguments)
    with tempfile.TemporaryDirectory(prefix="cairn-replay-") as directory:
        ledger = Path(directory) / "node"
        if given.dir is None:
            from tests.e2e.recording import record

            record(ledger, given.seed, given.blocks)
        else:
            shutil.copytree(given.dir, ledger, ignore=shutil.ignore_patterns("*.sock"))
        return replay_everywhere(ledger, may_install=not given.ready_only)


def replay_everywhere(ledger: Path, *, may_install: bool) -> int:
    """Replay with every interpreter, print a line for each, and return the exit code."""
    reference = replay(Path(sys.executable), ledger, HASH_SEEDS[0])
    if reference.error:
        print(f"error: this interpreter cannot replay it: {reference.error}", file=sys.stderr)
        return 1
    print(_line(_own_version(), HASH_SEEDS[0], reference, reference))
    differing = 0
    for hash_seed in HASH_SEEDS[1:]:
        replayed = replay(Path(sys.executable), ledger, hash_seed)
        print(_line(_own_version(), hash_seed, replayed, reference))
        differing += replayed != reference
    others = [one for one in find_interpreters() if one.version != _own_version()]
    if not others:
        print(f"no other Python of {OLDEST[0]}.{OLDEST[1]} or newer was found (pyenv, PATH)")
    for interpreter in others:
        python = environment_of(interpreter, may_install=may_install)
        if isinstance(python, str):
            print(f"{interpreter.name} {interpreter.version}: passed over, {python}")
            continue
        replayed = replay(python, ledger, HASH_SEEDS[-1])
        name = f"{interpreter.name} {interpreter.version}"
        print(_line(name, HASH_SEEDS[-1], replayed, reference))
        differing += replayed != reference
    return 1 if differing else 0


def _own_version() -> str:
    return ".".join(str(part) for part in sys.version_info[:3])


def _line(name: str, hash_seed: str, replayed: Replayed, reference: Replayed) -> str:
    start = f"{name}, hash seed {hash_seed}: "
    if replayed.error:
        return f"{start}DIFFERS: {replayed.error}"
    report = replayed.report
    verdict = "every root the same" if replayed == reference else "THE ROOTS DIFFER"
    return (
        f"{start}{report['height']} blocks, {report['transactions']} transactions, "
        f"application hash {str(report['app_hash'])[:16]}: {verdict}"
    )


def replay(python: Path, ledger: Path, hash_seed: str) -> Replayed:
    """Replay a node's directory from genesis in a process of its own."""
    done = subprocess.run(
        [str(python), "-c", _REPLAY, str(ledger)],
        env={"PYTHONPATH": str(ROOT / "src"), "PYTHONHASHSEED": hash_seed, "PATH": ""},
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        lines = done.stderr.strip().splitlines() or [f"exit code {done.returncode}"]
        return Replayed({}, lines[-1])
    return Replayed(json.loads(done.stdout))


# Interpreters and their environments


def find_interpreters() -> list[Interpreter]:
    """Return the supported Pythons of pyenv and of the PATH, one for each version, sorted."""
    found: dict[str, Interpreter] = {}
    for candidate in _candidates():
        interpreter = _probe(candidate)
        if interpreter is not None:
            found.setdefault(interpreter.version, interpreter)
    return [found[version] for version in sorted(found, key=_numbers)]


def _numbers(version: str) -> tuple[int, ...]:
    return tuple(int(part) for part in version.split(".") if part.isdigit())


def _candidates() -> Iterator[Path]:
    pyenv = Path(os.environ.get("PYENV_ROOT", Path.home() / ".pyenv"))
    yield from sorted(pyenv.glob("versions/3.*/bin/python3"))
    for folder in os.environ.get("PATH", "").split(os.pathsep):
        if folder:
            yield from sorted(Path(folder).glob("python3*"))
            yield from sorted(Path(folder).glob("pypy3*"))


def _probe(executable: Path) -> Interpreter | None:
    """Return what an executable is; None if it is no Python that is supported."""
    if _EXECUTABLE.fullmatch(executable.name) is None:
        return None
    try:
        done = subprocess.run(
            [str(executable), "-c", _PROBE], capture_output=True, text=True, timeout=30, check=False
        )
        version, name, minor, base = json.loads(done.stdout)
    except (OSError, subprocess.TimeoutExpired, ValueError):
        return None
    if tuple(minor) < OLDEST:
        return None
    # A shim or an environment's link leads to the interpreter behind it.
    behind = Path(base) / "bin" / f"python{minor[0]}.{minor[1]}"
    return Interpreter(behind if behind.exists() else executable, version, name)


def environment_of(interpreter: Interpreter, *, may_install: bool) -> Path | str:
    """Return the Python of an environment with the core requirements, or why there is none."""
    directory = ENVIRONMENTS / interpreter.version
    python = directory / "bin" / "python"
    locked = sha256(REQUIREMENTS.read_bytes()).hex()
    mark = directory / _MARK
    if mark.exists() and mark.read_text() == locked and python.exists():
        return python
    if not may_install:
        return "it has no environment yet (`make replay` sets one up)"
    shutil.rmtree(directory, ignore_errors=True)
    print(f"setting up {interpreter.name} {interpreter.version}", file=sys.stderr)
    install = [str(python), "-m", "pip", "install", "--quiet", "--require-hashes"]
    for command in (
        [str(interpreter.executable), "-m", "venv", str(directory)],
        [*install, "-r", str(REQUIREMENTS)],
    ):
        problem = _run(command)
        if problem:
            shutil.rmtree(directory, ignore_errors=True)
            return f"its environment cannot be set up: {problem}"
    mark.write_text(locked)
    return python


def _run(command: Sequence[str]) -> str:
    """Run a command; return the last line that it complained with, empty if all went well."""
    try:
        done = subprocess.run(
            command, capture_output=True, text=True, timeout=INSTALL_SECONDS_MAX, check=False
        )
    except subprocess.TimeoutExpired:
        return f"no end within {INSTALL_SECONDS_MAX} s"
    lines = (done.stderr.strip() or done.stdout.strip()).splitlines()
    return (lines[-1] if lines else f"exit code {done.returncode}") if done.returncode else ""


if __name__ == "__main__":
    sys.exit(main())
