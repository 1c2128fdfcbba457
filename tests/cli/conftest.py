"""Commands run as a user types them, on a real workspace."""

import json
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from cairn.cli.main import run
from cairn.sdk.founding import found_workspace
from tests.sdk.conftest import CHEAP, PASSPHRASE, PLAN


@dataclass
class Ran:
    """What a command did."""

    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        return json.loads(self.out)


class Shell:
    """Runs commands in a workspace."""

    def __init__(self, directory: Path, capsys: pytest.CaptureFixture[str]) -> None:
        self.directory = directory
        self._capsys = capsys

    def __call__(self, line: str, *more: str, code: int = 0) -> Ran:
        """Run a line, split at blanks, and `more` arguments as they are; check the exit code."""
        self._capsys.readouterr()
        found = run([*line.split(), *more])
        ran = Ran(found, *self._capsys.readouterr())
        assert found == code, f"{line} ended with {found}\n{ran.out}{ran.err}"
        assert "Traceback" not in ran.err
        if code and code != 3:
            assert ran.err.startswith("error: ") or "\nerror: " in ran.err or "Usage:" in ran.err
        return ran

    def json(self, line: str, *more: str) -> Any:
        """Run a line with --json and return what it printed."""
        return self(f"{line} --json", *more).json


@pytest.fixture(scope="session")
def founded(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A workspace that no test changes."""
    directory = tmp_path_factory.mktemp("founded") / "bank"
    found_workspace(directory, PLAN, PASSPHRASE, cost=CHEAP)
    return directory


@pytest.fixture
def cairn(
    founded: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> Shell:
    """A shell inside a workspace of the test's own."""
    shutil.copytree(founded, tmp_path / "bank")
    monkeypatch.chdir(tmp_path / "bank")
    monkeypatch.setenv("CAIRN_PASSPHRASE", PASSPHRASE)
    for name in ("CAIRN_DIR", "CAIRN_AS", "CAIRN_PASSPHRASE_FILE"):
        monkeypatch.delenv(name, raising=False)
    return Shell(tmp_path / "bank", capsys)
