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
from cairn.storage.block_log import BlockLog, Position
from cairn.storage.checkpoint import Checkpoint
from cairn.storage.disk import Disk, OSDisk
from cairn.storage.errors import (
    CheckpointFailedError,
    CorruptCheckpointError,
    CorruptLogError,
    DirectoryInUseError,
    MisuseError,
    WrongFormatError,
    named_disk_errors,
)
from cairn.storage.layers import Layer, LayeredReader

FORMAT_TEXT = "cairn ledger directory 1\n"
_HEIGHT_SIZE_BYTES = 8


@dataclass(frozen=True, slots=True)
class StoreSettings:
    """When a checkpoint is written."""

    checkpoint_blocks: int = 200
    """Blocks after which the pending rows are written."""
    checkpoint_rows: int = 100_000
    """Pending rows after which they are written."""


class LedgerStore:
    """One ledger's storage. One thread executes and applies; views may be read by others."""

    def __init__(
        self, directory: Path, *, disk: Disk | None = None, settings: StoreSettings | None = None
    ) -> None:
        """Open the directory, making it if it does not exist or is empty.

        Raises:
            DirectoryInUseError: Another process has it open.
            WrongFormatError: It is not a ledger directory of this version.
            CorruptLogError, CorruptCheckpointError: It is damaged.
            ReadOnlyError, NoSpaceError, DiskFaultError: The disk refuses.
        """
        self.directory = directory
        self._disk = disk if disk is not None else OSDisk()
        self._settings = settings if settings is not None else StoreSettings()
        self._mutex = threading.RLock()
        self._writer: threading.Thread | None = None
        self._failure: BaseException | None = None
        self._writing = 0  # how many of the oldest layers a checkpoint is writing
        self._retired: list[LayeredReader] = []  # closed once the applying thread is done with them
        with named_disk_errors(directory):
            directory.mkdir(parents=True, exist_ok=True)
            self._lock = _lock_directory(directory)
        try:
            _check_format(directory)
            self._checkpoint = Checkpoint(directory / "checkpoint")
            self._log = BlockLog(self._disk, directory / "blocks")
            self._open_log()
        except BaseException:
            os.close(self._lock)
            raise
        self._layers: list[Layer] = [Layer()]
        self._base = self._checkpoint.snapshot()
        self._reader = LayeredReader(self._layers, self._base)
        self._applied_height = self.checkpoint_height
        self._applied_meta = self.checkpoint_meta

    def _open_log(self) -> None:
        meta = self._checkpoint.meta()
        self.checkpoint_height = 0
        """Height that the checkpoint holds; 0 for none, or for the founding state alone."""
        self.checkpoint_meta: bytes | None = None
        """What was given to `apply` with the checkpoint's last block."""
        known: Position | None = None
        if meta is not None:
            self.checkpoint_height = int.from_bytes(meta[:_HEIGHT_SIZE_BYTES], "big")
            self.checkpoint_meta = meta[_HEIGHT_SIZE_BYTES:]
            if self.checkpoint_height:
                known = self._stored_position(self.checkpoint_height)
        self._log.open(self.checkpoint_height if known else 0, known)
        if self._log.head_height < self.checkpoint_height:
            raise CorruptLogError(
                f"the log ends before the checkpoint at height {self.checkpoint_height}",
                segment="blocks",
                offset=0,
                height=self._log.head_height,
            )

    @property
    def head_height(self) -> int:
        """Height of the last block in the log."""
        return self._log.head_height

    @property
    def applied_height(self) -> int:
        """Height of the last block that was applied."""
        return self._applied_height

    @property
    def reader(self) -> StateReader:
        """The rows after the last block applied, for the thread that applies."""
        return self._reader

    def append_block(self, height: int, payload: bytes) -> None:
        """Append a block to the log, durably: the commit point.

        Raises:
            NoSpaceError, ReadOnlyError, DiskFaultError: It is not there; nothing has changed.
        """
        self._check_writer()
        self._log.append(height, payload)
        self._log.sync()

    def apply(self, height: int, changes: ChangeSet, meta: bytes) -> None:
        """Lay a block's changes over the rows; `meta` is what a checkpoint keeps beside them.

        The founding state is applied at height 0.
        """
        if height != self._applied_height + 1 and not (height == 0 and self._applied_meta is None):
            raise MisuseError(f"height {height} applied after {self._applied_height}")
        if height > self._log.head_height:
            raise MisuseError(f"height {height} is applied before it is in the log")
        with self._mutex:
            self._layers[0].add(changes)
            self._applied_height = height
            self._applied_meta = meta

    def maybe_checkpoint(self) -> None:
        """Begin a checkpoint in the background if enough is pending."""
        self._check_writer()
        pending = self._applied_height - self.checkpoint_height
        rows = self._layers[0].row_count()
        enough = pending >= self._settings.checkpoint_blocks
        if self._writer is None and (enough or rows >= self._settings.checkpoint_rows):
            self._begin_checkpoint()

    def checkpoint(self) -> None:
        """Write everything applied so far to the checkpoint, and wait for it.

        Raises:
            StorageError: It could not be written.
        """
        self._finish_writer()
        if self._applied_meta is not None and (
            self._applied_height > self.checkpoint_height or self.checkpoint_meta is None
        ):
            self._begin_checkpoint()
            self._finish_writer()

    def view(self) -> LayeredReader:
        """Return the rows as they are now, to be read by any one thread and closed after use."""
        with self._mutex:
            if self._layers[0].tables or self._layers[0].row_count():
                self._push_layer()
            return LayeredReader(self._layers[1:], self._checkpoint.snapshot())

    def block(self, height: int) -> bytes:
        """Return the payload of a block in the log.

        Raises:
            CorruptLogError: It is damaged.
        """
        with self._mutex:
            return self._log.read(height, self._position(height))

    def blocks(self, from_height: int) -> Iterator[tuple[int, bytes]]:
        """Yield `(height, payload)` of the log's blocks from a height on."""
        for height in range(max(1, from_height), self._log.head_height + 1):
            yield height, self.block(height)

    def close(self) -> None:
        """Close everything; what is pending stays in the log."""
        try:
            self._finish_writer()
        finally:
            self._reader.close()
            self._log.close()
            self._checkpoint.close()
            os.close(self._lock)

    def _position(self, height: int) -> Position:
        position = self._log.position(height)
        if position is not None:
            return position
        stored = self._stored_position(height) if 0 < height <= self._log.head_height else None
        if stored is None:
            raise MisuseError(f"the log has no block {height}")
        return stored

    def _stored_position(self, height: int) -> Position | None:
        snapshot = self._checkpoint.snapshot()
        try:
            raw = snapshot.get("index", _position_key(height))
        finally:
            snapshot.close()
        if raw is None:
            return None
        return Position(int.from_bytes(raw[:8], "big"), int.from_bytes(raw[8:], "big"))

    def _push_layer(self) -> None:
        """Freeze the newest layer and lay an empty one over it; merge when they become many."""
        if len(self._layers) > 4:
            merged = Layer()
            for layer in reversed(self._layers[: len(self._layers) - self._writing]):
                merged.add(layer.changes)
            self._layers = [merged, *self._layers[len(self._layers) - self._writing :]]
        self._layers = [Layer(), *self._layers]
        self._reader = LayeredReader(self._layers, self._base)

    def _begin_checkpoint(self) -> None:
        with self._mutex:
            self._push_layer()
            self._writing = len(self._layers) - 1
            merged = Layer()
            for layer in reversed(self._layers[1:]):
                merged.add(layer.changes)
            height, meta = self._applied_height, self._applied_meta
            assert meta is not None
            for at in range(self.checkpoint_height + 1, height + 1):
                position = self._log.position(at)
                if position is not None:
                    merged.changes.index[_position_key(at)] = position.segment.to_bytes(
                        8, "big"
                    ) + position.offset.to_bytes(8, "big")
        stamped = height.to_bytes(_HEIGHT_SIZE_BYTES, "big") + meta

        def write() -> None:
            try:
                self._checkpoint.write(merged.changes, stamped)
            except BaseException as error:  # noqa: BLE001 - raised again on the thread that applies
                self._failure = error
                return
            self._checkpoint_written(height, meta)

        self._writer = threading.Thread(target=write, name="cairn-checkpoint", daemon=True)
        self._writer.start()

    def _checkpoint_written(self, height: int, meta: bytes) -> None:
        """Drop the layers that the checkpoint now holds."""
        with self._mutex:
            old = self._reader
            self._layers = self._layers[: len(self._layers) - self._writing]
            self._writing = 0
            self._base = self._checkpoint.snapshot()
            self._reader = LayeredReader(self._layers, self._base)
            self.checkpoint_height = height
            self.checkpoint_meta = meta
            self._log.forget_positions(height)
            self._retired.append(old)

    def _check_writer(self) -> None:
        """Collect a finished checkpoint; its failure stops the node here."""
        writer = self._writer
        if writer is not None and not writer.is_alive():
            self._finish_writer()
        if self._failure is not None:
            raise CheckpointFailedError(
                f"the checkpoint could not be written: {self._failure}",
                hint="see the hint of the cause; the block log holds everything acknowledged",
            ) from self._failure

    def _finish_writer(self) -> None:
        writer, self._writer = self._writer, None
        if writer is not None:
            writer.join()
        for reader in self._retired:
            reader.close()
        self._retired.clear()
        if self._failure is not None:
            raise self._failure


def rebuild(directory: Path) -> None:
    """Remove a damaged checkpoint, so that opening the store replays the whole log.

    Raises:
        DirectoryInUseError: Another process has the directory open.
        CorruptCheckpointError: Its files cannot be removed.
    """
    with named_disk_errors(directory):
        lock = _lock_directory(directory)
    try:
        for name in ("data.mdb", "lock.mdb"):
            (directory / "checkpoint" / name).unlink(missing_ok=True)
    except OSError as error:
        raise CorruptCheckpointError(str(error), directory / "checkpoint") from error
    finally:
        os.close(lock)


def _position_key(height: int) -> bytes:
    return b"b" + height.to_bytes(8, "big")


def _lock_directory(directory: Path) -> int:
    """Return the descriptor that holds the directory's lock.

    Raises:
        DirectoryInUseError: Another process holds it.
    """
    descriptor = os.open(directory / "LOCK", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError as error:
        text = os.pread(descriptor, 32, 0).decode(errors="replace").strip()
        os.close(descriptor)
        raise DirectoryInUseError(directory, int(text) if text.isdigit() else None) from error
    except OSError:
        os.close(descriptor)
        raise
    os.ftruncate(descriptor, 0)
    os.pwrite(descriptor, f"{os.getpid()}\n".encode(), 0)
    return descriptor


def _check_format(directory: Path) -> None:
    """Check the layout's version, or write it into an empty directory.

    Raises:
        WrongFormatError: Something else lies there.
    """
    path = directory / "FORMAT"
    with named_disk_errors(path):
        if path.exists():
            text = path.read_text(encoding="utf-8", errors="replace")
            if text != FORMAT_TEXT:
                raise WrongFormatError(
                    f"{directory} has the layout {text.strip()!r}",
                    hint=f"this version reads {FORMAT_TEXT.strip()!r}; use the one that made it",
                )
            return
        others = sorted(entry.name for entry in directory.iterdir() if entry.name != "LOCK")
        if others:
            raise WrongFormatError(
                f"{directory} is not a ledger directory: it holds {others[0]}",
                hint="choose an empty directory, or the one that `cairn init` made",
            )
        path.write_text(FORMAT_TEXT, encoding="utf-8")
