"""The demo's folder: its own from the first to the last file, so that it can be replaced."""

import shutil
from dataclasses import dataclass
from pathlib import Path

from cairn.packs.payments.demo.errors import DemoError

MARKER_FILE = ".cairn-demo"
_MARKER_TEXT = "Made by `cairn demo`; the next run in this folder replaces everything in it.\n"
_NAMES = (
    MARKER_FILE,
    "attacks",
    "backtest.html",
    "bank",
    "data",
    "decision.cairn",
    "demo.json",
    "demo.txt",
    "evaluation.html",
    "lineage.html",
    "payment.cairn",
    "period.cairn",
    "quality.html",
    "report.html",
    "trust.json",
    "verifier",
    "witness",
)


@dataclass(frozen=True, slots=True)
class DemoFolder:
    """Where the demo leaves what."""

    path: Path

    @property
    def bank(self) -> Path:
        """The bank's workspace: keys, ledger, settings."""
        return self.path / "bank"

    @property
    def witness(self) -> Path:
        """The supervisor's witness, which the bank cannot write to in real life."""
        return self.path / "witness"

    @property
    def data(self) -> Path:
        """Payments, their commitments and salts."""
        return self.path / "data"

    @property
    def attacks(self) -> Path:
        """Copies that are tampered with; removed in the end."""
        return self.path / "attacks"

    @property
    def verifier(self) -> Path:
        """What the verifier has, and nothing else; removed in the end."""
        return self.path / "verifier"

    @property
    def trust(self) -> Path:
        """The trust file."""
        return self.path / "trust.json"

    @property
    def payment(self) -> Path:
        """The story of one held payment."""
        return self.path / "payment.cairn"

    @property
    def period(self) -> Path:
        """Everything decided in the test period."""
        return self.path / "period.cairn"

    @property
    def decision(self) -> Path:
        """The story of one decision on which another rail acted."""
        return self.path / "decision.cairn"

    @property
    def quality(self) -> Path:
        """How good the payments were as they came, as a page."""
        return self.path / "quality.html"

    @property
    def evaluation(self) -> Path:
        """What the model is worth, as a page."""
        return self.path / "evaluation.html"

    @property
    def lineage(self) -> Path:
        """What the model came from, as a page."""
        return self.path / "lineage.html"

    @property
    def backtest(self) -> Path:
        """What the rule would have done, as a page."""
        return self.path / "backtest.html"

    @property
    def page(self) -> Path:
        """The report on the whole stream, as a page."""
        return self.path / "report.html"

    @property
    def report(self) -> Path:
        """What the demo printed."""
        return self.path / "demo.txt"

    @property
    def figures(self) -> Path:
        """The summary's numbers."""
        return self.path / "demo.json"


def take_folder(path: Path) -> tuple[DemoFolder, bool]:
    """Return an empty folder for the demo, and whether a former run was removed from it.

    Raises:
        DemoError: It holds something else, or cannot be written.
    """
    try:
        path.mkdir(parents=True, exist_ok=True)
        names = sorted(entry.name for entry in path.iterdir())
        _check_own(path, names)
        for name in names:
            entry = path / name
            if entry.is_dir() and not entry.is_symlink():
                shutil.rmtree(entry)
            elif name != MARKER_FILE:
                entry.unlink()
        (path / MARKER_FILE).write_text(_MARKER_TEXT, encoding="utf-8")
    except OSError as error:
        raise DemoError(
            f"{path} cannot be used: {error.strerror}", "choose a folder that you may write to"
        ) from error
    return DemoFolder(path), bool(names)


def _check_own(path: Path, names: list[str]) -> None:
    """Check that a folder is empty or holds a former run and nothing else."""
    hint = "choose a new folder with --dir, or empty this one yourself"
    if names and MARKER_FILE not in names:
        raise DemoError(f"{path} is not empty, and what it holds is not a demo's", hint)
    for name in names:
        if name not in _NAMES:
            raise DemoError(f"{path} holds {name}, which no demo has made", hint)
