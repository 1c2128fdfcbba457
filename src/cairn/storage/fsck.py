"""`fsck`: read everything that is stored and hold it against itself.

The log is read frame by frame, the checkpoint row by row; the state root is computed again from all
rows, and every tree node and leaf is left to the functions that know what they mean.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from cairn.primitives import trie
from cairn.storage.block_log import BlockLog
from cairn.storage.checkpoint import Checkpoint
from cairn.storage.disk import Disk, OSDisk
from cairn.storage.errors import StorageError
from cairn.storage.layers import LayeredReader

Progress = Callable[[str, int], None]
"""Called with what is being read and how much of it was."""


@dataclass(slots=True)
class FsckReport:
    """What was read and what is wrong; empty `damage` means that all is well."""

    blocks: int = 0
    rows: int = 0
    trie_nodes: int = 0
    leaves: int = 0
    checkpoint_height: int = 0
    damage: list[str] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class Meaning:
    """What only the ledger can tell about stored bytes; each raises a `StorageError` or Fault."""

    check_block: Callable[[int, bytes], None]
    """Checks a log entry's payload at its height."""
    state_root: Callable[[bytes], bytes]
    """Returns the state root that a checkpoint's meta states."""
    check_rows: Callable[[LayeredReader, bytes], None]
    """Checks series heads, leaves and nodes against each other, given the meta."""


def fsck(
    directory: Path,
    meaning: Meaning,
    *,
    disk: Disk | None = None,
    progress: Progress | None = None,
) -> FsckReport:
    """Return what is stored in a ledger's directory and what is damaged; changes nothing.

    The caller holds the directory's lock, or knows that no node runs on it.
    """
    report = FsckReport()
    tell = progress if progress is not None else _silent
    for name, check in (("log", _check_log), ("checkpoint", _check_checkpoint)):
        try:
            check(directory, meaning, report, disk or OSDisk(), tell)
        except Exception as error:  # noqa: BLE001 - the report is for all kinds of damage
            hint = f" ({error.hint})" if isinstance(error, StorageError) else ""
            report.damage.append(f"{name}: {str(error) or type(error).__name__}{hint}")
    return report


def _check_log(
    directory: Path, meaning: Meaning, report: FsckReport, disk: Disk, progress: Progress
) -> None:
    log = BlockLog(disk, directory / "blocks")
    log.open(repair=False)
    try:
        for height, _, payload in log.entries():
            meaning.check_block(height, payload)
            report.blocks = height
            if height % 1000 == 0:
                progress("blocks", height)
    finally:
        log.close()


def _check_checkpoint(
    directory: Path, meaning: Meaning, report: FsckReport, disk: Disk, progress: Progress
) -> None:
    if not (directory / "checkpoint" / "data.mdb").exists():
        report.damage.append("checkpoint: there is none; opening the ledger replays the whole log")
        return
    checkpoint = Checkpoint(directory / "checkpoint")
    try:
        stamped = checkpoint.meta()
        if stamped is None:
            report.damage.append("checkpoint: it is empty; opening the ledger replays the log")
            return
        report.checkpoint_height, meta = int.from_bytes(stamped[:8], "big"), stamped[8:]
        if report.checkpoint_height > report.blocks:
            report.damage.append(
                f"checkpoint: at height {report.checkpoint_height}, the log ends at {report.blocks}"
            )
        snapshot = checkpoint.snapshot()
        reader = LayeredReader((), snapshot)
        try:
            report.rows = snapshot.count("state")
            report.trie_nodes = snapshot.count("trie")
            report.leaves = snapshot.count("leaves")
            progress("rows", report.rows)
            stated = meaning.state_root(meta)
            rebuilt = trie.rebuild_root(reader.scan(b""))
            if rebuilt != stated:
                report.damage.append("checkpoint: the rows do not give the state root")
            if trie.root_of(reader.trie_node) != stated:
                report.damage.append("checkpoint: the trie's root is not the state root")
            meaning.check_rows(reader, meta)
        finally:
            reader.close()
    finally:
        checkpoint.close()


def _silent(what: str, count: int) -> None:
    """Say nothing."""
