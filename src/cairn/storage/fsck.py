"""`fsck`: read everything that is stored, hold it against itself, and change nothing.

1. Every frame of every segment of the log, and what each payload means.
2. The B-trees of the checkpoint, page by page, before LMDB is let near them.
3. The state root, computed again from all rows and read from the trie.
4. Series, leaves and tree nodes, by functions that know what they mean.
"""

import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

from cairn.ledger.errors import Fault
from cairn.primitives import trie
from cairn.primitives.errors import PrimitiveError
from cairn.storage.block_log import list_segments
from cairn.storage.checkpoint import DATA_FILE, Checkpoint, structure_damage
from cairn.storage.disk import Disk, OSDisk
from cairn.storage.errors import named_disk_errors
from cairn.storage.layers import LayeredReader
from cairn.storage.segment import (
    FRAME_HEAD_SIZE_BYTES,
    Damage,
    TornTail,
    parse_frame_head,
    parse_segment_head,
    scan_segment,
    segment_name,
)
from cairn.storage.store import CHECKPOINT_FOLDER, LOG_FOLDER, lock_ledger, read_stamp

FINDINGS_MAX = 100
"""Damage of one kind that is listed; there may be more."""
_PROGRESS_STEP = 1000

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
    notes: list[str] = field(default_factory=list)
    """What opening the ledger puts right by itself."""


@dataclass(frozen=True, slots=True)
class Meaning:
    """What only the ledger can tell about stored bytes; each raises a Fault or PrimitiveError."""

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
    """Return what is stored in a ledger's directory and what is damaged.

    Raises:
        DirectoryInUseError: A node runs on it.
        WrongFormatError: It is not a ledger directory.
        ReadOnlyError, DiskFaultError: It cannot be read.
    """
    report = FsckReport()
    tell = progress if progress is not None else _say_nothing
    lock = lock_ledger(directory)
    try:
        _check_log(directory / LOG_FOLDER, meaning, report, disk or OSDisk(), tell)
        _check_checkpoint(directory / CHECKPOINT_FOLDER, meaning, report, tell)
    finally:
        os.close(lock)
    return report


def _check_log(
    directory: Path, meaning: Meaning, report: FsckReport, disk: Disk, progress: Progress
) -> None:
    """Read every segment; go on with the next one where one is damaged."""
    with named_disk_errors(directory):
        heights = list_segments(disk, directory)
    expected, previous = 1, 0
    for first in heights:
        if first != expected:
            report.damage.append(f"log: blocks {expected} to {first - 1} are missing")
        is_last = first == heights[-1]
        with named_disk_errors(directory / segment_name(first)):
            file = disk.open(str(directory / segment_name(first)), writable=False)
            data = file.read(0, file.size())
            file.close()
        head = parse_segment_head(data)
        if head is None or (head.first_height, head.previous) != (first, previous):
            report.damage.append(f"log: the head of {segment_name(first)} is not valid")
            expected, previous = first, first
            continue
        expected = first
        for height, payload in _frames(data, first, report, is_last=is_last):
            _check_block(height, payload, meaning, report)
            expected = height + 1
            if height % _PROGRESS_STEP == 0:
                progress("blocks", height)
        previous = first
    report.blocks = expected - 1
    progress("blocks", report.blocks)


def _frames(
    data: bytes, first: int, report: FsckReport, *, is_last: bool
) -> Iterator[tuple[int, bytes]]:
    """Yield the valid entries of a segment; report what is wrong after them."""
    head = parse_segment_head(data)
    assert head is not None
    offsets, tail = scan_segment(data, head.salt, first)
    for index, offset in enumerate(offsets):
        frame = parse_frame_head(head.salt, data[offset : offset + FRAME_HEAD_SIZE_BYTES])
        assert frame is not None
        start = offset + FRAME_HEAD_SIZE_BYTES
        yield first + index, data[start : start + frame.size]
    name = segment_name(first)
    if isinstance(tail, TornTail) and is_last:
        report.notes.append(
            f"log: the append of block {tail.height} was interrupted ({name}, offset {tail.offset})"
        )
    elif tail is not None:
        reason = tail.reason if isinstance(tail, Damage) else "the segment is cut off"
        report.damage.append(f"log: {reason} ({name}, offset {tail.offset}, height {tail.height})")


def _check_block(height: int, payload: bytes, meaning: Meaning, report: FsckReport) -> None:
    try:
        meaning.check_block(height, payload)
    except (Fault, PrimitiveError) as error:
        if len(report.damage) < FINDINGS_MAX:
            report.damage.append(f"log: block {height}: {_text(error)}")


def _check_checkpoint(
    directory: Path, meaning: Meaning, report: FsckReport, progress: Progress
) -> None:
    if not (directory / DATA_FILE).exists():
        report.notes.append("checkpoint: there is none; opening the ledger replays the whole log")
        return
    progress("checkpoint pages", 0)
    broken = structure_damage(directory)
    if broken:
        report.damage += [f"checkpoint: {finding}" for finding in broken[:FINDINGS_MAX]]
        return
    try:
        checkpoint = Checkpoint(directory)
    except Fault as error:
        report.damage.append(f"checkpoint: {error}")
        return
    try:
        _check_rows(checkpoint, meaning, report, progress)
    except (Fault, PrimitiveError) as error:
        report.damage.append(f"checkpoint: {_text(error)}")
    finally:
        checkpoint.close()


def _check_rows(
    checkpoint: Checkpoint, meaning: Meaning, report: FsckReport, progress: Progress
) -> None:
    stamp = read_stamp(checkpoint)
    if stamp is None:
        report.notes.append("checkpoint: it is empty; opening the ledger replays the whole log")
        return
    report.checkpoint_height, meta = stamp
    if report.checkpoint_height > report.blocks:
        report.damage.append(
            f"checkpoint: at height {report.checkpoint_height}, the log ends at {report.blocks}"
        )
    snapshot = checkpoint.snapshot()
    report.rows = snapshot.count("state")
    report.trie_nodes = snapshot.count("trie")
    report.leaves = snapshot.count("leaves")
    reader = LayeredReader((), snapshot)
    try:
        stated = meaning.state_root(meta)
        if trie.rebuild_root(_counted(reader.scan(b""), progress)) != stated:
            report.damage.append("checkpoint: the rows do not give the state root")
        if trie.root_of(reader.trie_node) != stated:
            report.damage.append("checkpoint: the trie's root is not the state root")
        meaning.check_rows(reader, meta)
    finally:
        reader.close()


def _counted(
    rows: Iterator[tuple[bytes, bytes]], progress: Progress
) -> Iterator[tuple[bytes, bytes]]:
    count = 0
    for count, row in enumerate(rows, start=1):
        yield row
        if count % _PROGRESS_STEP == 0:
            progress("rows", count)
    progress("rows", count)


def _text(error: Exception) -> str:
    """Return what an error says, or its name if it says nothing."""
    return str(error) or type(error).__name__


def _say_nothing(what: str, count: int) -> None:
    """Report no progress."""
