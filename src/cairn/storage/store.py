"""A ledger's directory: block log, checkpoint and the rows between them, behind one lock.

    LOCK            held by the one process that has the directory open
    FORMAT          version of this layout
    blocks/         the block log
    checkpoint/     LMDB

A block counts once `append_block` has returned. `apply` then lays its changes over the earlier ones
in memory; a checkpoint writes them to LMDB in the background, with the head they belong to. After a
crash, the entries after the checkpoint are executed again by whoever opened the store, and applied
again, so that the next checkpoint holds them.
"""

import fcntl
import os
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from cairn.ledger.changes import ChangeSet, StateReader
from cairn.storage.block_log import SEGMENT_SIZE_BYTES, BlockLog
from cairn.storage.checkpoint import DATA_FILE, LOCK_FILE, MAP_SIZE_BYTES, Checkpoint
from cairn.storage.disk import Disk, OSDisk
from cairn.storage.errors import (
    CheckpointFailedError,
    DirectoryInUseError,
    MisuseError,
    WrongFormatError,
    named_disk_errors,
)
from cairn.storage.layers import Layer, LayeredReader
from cairn.storage.segment import TornTail

FORMAT_TEXT = "cairn ledger directory 1\n"
LOG_FOLDER = "blocks"
CHECKPOINT_FOLDER = "checkpoint"
_FORMAT_FILE = "FORMAT"
_LOCK_FILE = "LOCK"
_HEIGHT_SIZE_BYTES = 8
_BACKLOG_FACTOR = 4
"""Pending rows, in units of `checkpoint_rows`, at which execution waits for the checkpoint."""
_ROOM_BYTES_PLENTY = 64 * 2**30
"""Room in the checkpoint's map that pending rows, which are in memory, cannot fill."""
_ROOM_BYTES_LEAST = 2**26
_ROOM_FACTOR = 64
"""Bytes of pages that LMDB may have to write anew for one byte of a row."""


@dataclass(frozen=True, slots=True)
class StoreSettings:
    """When a checkpoint is written."""

    checkpoint_blocks: int = 200
    """Blocks after which the pending rows are written."""
    checkpoint_rows: int = 100_000
    """Pending rows after which they are written."""


@dataclass(frozen=True, slots=True)
class _Stamp:
    """What a checkpoint's rows belong to."""

    height: int
    meta: bytes

    def encoded(self) -> bytes:
        return self.height.to_bytes(_HEIGHT_SIZE_BYTES, "big") + self.meta


class LedgerStore:
    """One ledger's storage.

    One thread, the writer, appends, applies, begins checkpoints and uses `reader`. Any thread may
    read blocks and take views; a view is used by one thread at a time.
    """

    def __init__(
        self,
        directory: Path,
        *,
        disk: Disk | None = None,
        settings: StoreSettings | None = None,
        map_size_bytes: int = MAP_SIZE_BYTES,
        segment_size_bytes: int = SEGMENT_SIZE_BYTES,
    ) -> None:
        """Open the directory, making it if it does not exist or is empty.

        Args:
            directory: The ledger's own directory.
            disk: Where the log is; the checkpoint is always on the real disk.
            settings: When checkpoints are written.
            map_size_bytes: Address space of the checkpoint at first; small only in tests.
            segment_size_bytes: Size of the log's files; small only in tests.

        Raises:
            DirectoryInUseError: Another process has it open.
            WrongFormatError: It is not a ledger directory of this version.
            CorruptLogError, CorruptCheckpointError: It is damaged.
            ReadOnlyError, NoSpaceError, DiskFaultError: The disk refuses.
        """
        self.directory = directory
        self._settings = settings if settings is not None else StoreSettings()
        self._mutex = threading.Lock()  # guards which layers and which snapshot there are
        self._writer: _CheckpointWriter | None = None
        self._is_failed = False
        with named_disk_errors(directory):
            OSDisk().make_directory(str(directory))
        self._lock = _lock_directory(directory)
        try:
            _check_format(directory)
            self._checkpoint = Checkpoint(
                directory / CHECKPOINT_FOLDER, map_size_bytes=map_size_bytes
            )
            self._open(disk if disk is not None else OSDisk(), segment_size_bytes)
        except BaseException:
            os.close(self._lock)
            raise

    def _open(self, disk: Disk, segment_size_bytes: int) -> None:
        try:
            stamp = read_stamp(self._checkpoint)
            self.checkpoint_height = 0 if stamp is None else stamp[0]
            """Height that the checkpoint holds; 0 for none, or for the founding state alone."""
            self.checkpoint_meta: bytes | None = None if stamp is None else stamp[1]
            """What was given to `apply` with the checkpoint's last block; None if there is none."""
            self._log = BlockLog(
                disk, self.directory / LOG_FOLDER, segment_size_bytes=segment_size_bytes
            )
            self._log.open(self.checkpoint_height)
            self._applied_height = self.checkpoint_height
            self._applied_meta = self.checkpoint_meta
            self._active = Layer()
            self._frozen: Layer | None = None
            self._reader = LayeredReader((self._active,), self._checkpoint.snapshot())
        except BaseException:
            self._checkpoint.close()
            raise

    @property
    def head_height(self) -> int:
        """Height of the last block in the log."""
        return self._log.head_height

    @property
    def applied_height(self) -> int:
        """Height of the last block that was applied."""
        return self._applied_height

    @property
    def torn_tail(self) -> TornTail | None:
        """What an interrupted append had left at the end of the log, cut when it was opened."""
        return self._log.torn_tail

    @property
    def reader(self) -> StateReader:
        """The rows after the last block applied, for the writer; valid until its next call."""
        return self._reader

    def append_block(self, height: int, payload: bytes) -> None:
        """Append a block to the log, durably: the commit point.

        Raises:
            NoSpaceError, ReadOnlyError, DiskFaultError: It may not be there: the node stops, and
                finds out when it opens the directory again.
            StorageError: A checkpoint could not be written.
        """
        self._collect()
        self._log.append(height, payload)
        self._log.sync()

    def apply(self, height: int, changes: ChangeSet, meta: bytes) -> None:
        """Lay a block's changes over the rows; `meta` is what a checkpoint keeps beside them.

        The founding state is applied at height 0.

        Raises:
            MisuseError: The height does not follow, or is not in the log.
            StorageError: A checkpoint could not be written.
        """
        self._collect()
        if height != self._applied_height + 1 and not (height == 0 and self._applied_meta is None):
            raise MisuseError(f"height {height} applied after {self._applied_height}")
        if height > self._log.head_height:
            raise MisuseError(f"height {height} is applied before it is in the log")
        with self._mutex:
            self._active.add(changes)
            self._applied_height = height
            self._applied_meta = meta

    def maybe_checkpoint(self) -> None:
        """Begin a checkpoint in the background if enough is pending.

        If much more than that is pending because the last one is still being written, wait for it.

        Raises:
            StorageError: A checkpoint could not be written.
        """
        self._collect()
        rows = self._active.row_count()
        if self._writer is not None and rows >= _BACKLOG_FACTOR * self._settings.checkpoint_rows:
            self._collect(wait=True)
        blocks = self._applied_height - self.checkpoint_height
        if self._writer is None and (
            blocks >= self._settings.checkpoint_blocks or rows >= self._settings.checkpoint_rows
        ):
            self._begin_checkpoint()

    def checkpoint(self) -> None:
        """Write everything applied so far to the checkpoint, and wait for it.

        Raises:
            StorageError: It could not be written.
        """
        self._collect(wait=True)
        if self._applied_meta != self.checkpoint_meta or self._active.row_count():
            self._begin_checkpoint()
            self._collect(wait=True)

    def view(self) -> LayeredReader:
        """Return the rows as they are now, for one thread to read and to close after use."""
        with self._mutex:
            layers = (self._active,) if self._frozen is None else (self._active, self._frozen)
            snapshot = self._checkpoint.snapshot()
            return LayeredReader(layers, snapshot, self._active.overwritten())

    def block(self, height: int) -> bytes:
        """Return the payload of a block in the log.

        Raises:
            CorruptLogError: It is damaged.
        """
        return self._log.read(height)

    def blocks(self, from_height: int) -> Iterator[tuple[int, bytes]]:
        """Yield `(height, payload)` of the log's blocks from a height on.

        Raises:
            CorruptLogError: The next one is damaged.
        """
        return self._log.entries(from_height)

    def close(self) -> None:
        """Close everything; views expire. What is pending stays in the log.

        Raises:
            StorageError: A checkpoint that was being written failed.
        """
        try:
            if not self._is_failed:
                self._collect(wait=True)
        finally:
            with self._mutex:
                self._reader.close()
                self._log.close()
                self._checkpoint.close()
                os.close(self._lock)

    def _begin_checkpoint(self) -> None:
        """Freeze the layer, lay an empty one over it and let a thread write the frozen one."""
        assert self._frozen is None
        assert self._applied_meta is not None
        frozen = self._active
        self._make_room(frozen)
        with self._mutex:
            self._frozen, self._active = frozen, Layer()
            self._relayer()
        stamp = _Stamp(self._applied_height, self._applied_meta)
        self._writer = _CheckpointWriter(self._checkpoint, frozen.changes, stamp)
        self._writer.start()

    def _make_room(self, layer: Layer) -> None:
        """Let the checkpoint's map grow, if it must and no view is open."""
        room_bytes = self._checkpoint.room_bytes()
        if room_bytes >= _ROOM_BYTES_PLENTY:
            return
        size_bytes = layer.size_bytes()
        if room_bytes >= _ROOM_FACTOR * size_bytes + _ROOM_BYTES_LEAST:
            return
        with self._mutex:
            self._reader.close()
            self._checkpoint.grow(_ROOM_FACTOR * size_bytes + _ROOM_BYTES_LEAST)
            self._reader = LayeredReader((layer,), self._checkpoint.snapshot())

    def _collect(self, *, wait: bool = False) -> None:
        """Drop the layer that a finished checkpoint holds; raise what stopped one.

        Only the writer does this, so that its reader never changes under it.
        """
        if self._is_failed:
            raise CheckpointFailedError(
                f"no checkpoint of {self.directory} could be written",
                hint="stop the node and see to the failure reported first; the log has everything",
            )
        writer = self._writer
        if writer is None or (writer.is_alive() and not wait):
            return
        writer.join()
        self._writer = None
        if writer.failure is not None:
            self._is_failed = True
            raise writer.failure
        with self._mutex:
            self._frozen = None
            self.checkpoint_height = writer.stamp.height
            self.checkpoint_meta = writer.stamp.meta
            self._relayer()

    def _relayer(self) -> None:
        """Let the writer's reader see the layers and the checkpoint as they are now."""
        old = self._reader
        layers = (self._active,) if self._frozen is None else (self._active, self._frozen)
        self._reader = LayeredReader(layers, self._checkpoint.snapshot())
        old.close()


class _CheckpointWriter(threading.Thread):
    """Writes one layer to the checkpoint."""

    def __init__(self, checkpoint: Checkpoint, changes: ChangeSet, stamp: _Stamp) -> None:
        super().__init__(name="cairn-checkpoint", daemon=True)
        self._checkpoint = checkpoint
        self._changes = changes
        self.stamp = stamp
        self.failure: BaseException | None = None

    def run(self) -> None:
        """Write; a failure is kept for the thread that waits for it."""
        try:
            self._checkpoint.write(self._changes, self.stamp.encoded())
        except BaseException as error:  # noqa: BLE001 - raised again by the store's writer
            self.failure = error


def read_stamp(checkpoint: Checkpoint) -> tuple[int, bytes] | None:
    """Return height and meta that a checkpoint's rows belong to; None if it is empty."""
    raw = checkpoint.meta()
    if raw is None:
        return None
    return int.from_bytes(raw[:_HEIGHT_SIZE_BYTES], "big"), raw[_HEIGHT_SIZE_BYTES:]


def rebuild(directory: Path) -> None:
    """Remove the checkpoint, so that opening the store replays the whole log.

    Raises:
        DirectoryInUseError: Another process has the directory open.
        WrongFormatError: It is not a ledger directory.
        ReadOnlyError, DiskFaultError: Its files cannot be removed.
    """
    path = directory / CHECKPOINT_FOLDER
    lock = lock_ledger(directory)
    try:
        with named_disk_errors(path):
            for name in (DATA_FILE, LOCK_FILE):
                (path / name).unlink(missing_ok=True)
    finally:
        os.close(lock)


def lock_ledger(directory: Path) -> int:
    """Return the descriptor that holds a ledger directory's lock; closing it lets go.

    Raises:
        WrongFormatError: It is not a ledger directory.
        DirectoryInUseError: Another process, or another store of this one, holds it.
        ReadOnlyError, NoSpaceError, DiskFaultError: The disk refuses.
    """
    if not (directory / _FORMAT_FILE).is_file():
        raise WrongFormatError(
            f"{directory} is not a ledger directory",
            hint="name the directory that `cairn init` made",
        )
    lock = _lock_directory(directory)
    try:
        _check_format(directory)
    except BaseException:
        os.close(lock)
        raise
    return lock


def _lock_directory(directory: Path) -> int:
    """Return the descriptor that holds a directory's lock.

    Raises:
        DirectoryInUseError: Another process, or another store of this one, holds it.
    """
    path = directory / _LOCK_FILE
    with named_disk_errors(path):
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            os.ftruncate(descriptor, 0)
            os.pwrite(descriptor, f"{os.getpid()}\n".encode(), 0)
        except BlockingIOError as error:
            text = os.pread(descriptor, 32, 0).decode(errors="replace").strip()
            os.close(descriptor)
            raise DirectoryInUseError(directory, int(text) if text.isdigit() else None) from error
        except OSError:
            os.close(descriptor)
            raise
    return descriptor


def _check_format(directory: Path) -> None:
    """Check the layout's version, or write it, durably, into an empty directory.

    Raises:
        WrongFormatError: Something else lies there.
    """
    path = directory / _FORMAT_FILE
    unfinished = directory / f"{_FORMAT_FILE}.new"
    with named_disk_errors(path):
        if path.exists():
            text = path.read_text(encoding="utf-8", errors="replace")
            if text != FORMAT_TEXT:
                raise WrongFormatError(
                    f"{directory} has the layout {text.strip()!r}",
                    hint=f"this version reads {FORMAT_TEXT.strip()!r}; use the one that made it",
                )
            return
        names = sorted(entry.name for entry in directory.iterdir())
        others = [name for name in names if name not in (_LOCK_FILE, unfinished.name)]
        if others:
            raise WrongFormatError(
                f"{directory} is not a ledger directory: it holds {others[0]}",
                hint="choose an empty directory, or the one that `cairn init` made",
            )
        disk = OSDisk()
        file = disk.create(str(unfinished))
        try:
            file.append(FORMAT_TEXT.encode())
            file.sync()
        finally:
            file.close()
        disk.rename(str(unfinished), str(path))
        disk.sync_directory(str(directory))
