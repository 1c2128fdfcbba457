"""The checkpoint: all rows in LMDB, written in one durable transaction with what they belong to.

It is a copy that can be rebuilt from the log at any time, so a damaged one is deleted, not mended.
LMDB writes to unused pages and then to one of two meta pages, so a write that is interrupted leaves
the checkpoint before it. LMDB has no checksums, so each row carries its own behind its value: a row
that rotted on the disk must not be executed upon, since the block would be signed and no replay
would come to it. A row that is missing without a trace is found by `fsck`, from the state root.

Source: LMDB, http://www.lmdb.tech/doc/ ; py-lmdb, https://lmdb.readthedocs.io
"""

import errno
import os
import threading
import weakref
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any
from zlib import crc32

import lmdb
from lmdb import verify as lmdb_verify

from cairn.ledger.changes import ChangeSet
from cairn.ledger.errors import Fault
from cairn.storage.errors import (
    CheckpointFailedError,
    CorruptCheckpointError,
    MisuseError,
    StorageError,
    ViewExpiredError,
    disk_error,
)

MAP_SIZE_BYTES = 256 * 2**30
"""Address space reserved at least; the file takes only what is used. The map grows by itself."""
MAP_SIZE_BYTES_MIN = 2**30
"""Where the system grants less address space, the reservation is halved, but not below this."""
FREE_BYTES_LEAST = 4 * 2**20
"""A disk with less space than this counts as full when a write fails."""
SNAPSHOTS_MAX = 1000
"""Open snapshots, of views and provers."""
KEY_SIZE_BYTES_MAX = 511
CHECKSUM_SIZE_BYTES = 4
"""CRC-32 behind each value: against chance. Against people there are the state root and replay."""
NAMES = ("state", "trie", "leaves", "nodes", "index", "meta")
DATA_FILE = "data.mdb"
LOCK_FILE = "lock.mdb"
_META = b"meta"


class Checkpoint:
    """The LMDB environment; read through `Snapshot`s, written by one thread at a time."""

    def __init__(self, directory: Path, *, map_size_bytes: int = MAP_SIZE_BYTES) -> None:
        """Open the environment, making it if there is none.

        Raises:
            CorruptCheckpointError: It is there and cannot be read.
            ReadOnlyError, NoSpaceError, DiskFaultError: The disk refused.
        """
        self.directory = directory
        self._snapshots: weakref.WeakSet[Snapshot] = weakref.WeakSet()
        self._is_closed = False
        data = directory / DATA_FILE
        try:
            directory.mkdir(parents=True, exist_ok=True)
            size = data.stat().st_size if data.exists() else 0
            self._environment = _open(directory, max(map_size_bytes, 4 * size))
        except OSError as error:
            raise disk_error(error, directory) from error
        try:
            if size:
                _check_size(self._environment, data)
            self._environment.reader_check()
            self._databases = {name: self._environment.open_db(name.encode()) for name in NAMES}
        except lmdb.Error as error:
            self._environment.close()
            raise _named(error, directory) from error
        except StorageError:
            self._environment.close()
            raise

    def meta(self) -> bytes | None:
        """Return what the last write left beside the rows; None before the first."""
        snapshot = self.snapshot()
        try:
            return snapshot.get("meta", _META)
        finally:
            snapshot.close()

    def write(self, changes: ChangeSet, meta: bytes) -> None:
        """Write all rows and `meta` in one transaction, durably.

        Raises:
            NoSpaceError, ReadOnlyError, DiskFaultError: The disk refused; nothing has changed.
            CorruptCheckpointError: What is there is damaged.
        """
        try:
            with self._environment.begin(write=True) as transaction:
                self._put(transaction, "state", changes.state)
                self._put(transaction, "trie", changes.trie)
                self._put(transaction, "leaves", changes.leaves)
                self._put(transaction, "nodes", changes.nodes)
                self._put(transaction, "index", changes.index)
                transaction.put(_META, _sealed(_META, meta), db=self._databases["meta"])
        except lmdb.Error as error:
            raise _named(error, self.directory) from error

    def _put(self, transaction: Any, name: str, rows: Mapping[bytes, bytes | None]) -> None:
        """Write rows in key order, which LMDB likes best; putmulti holds the GIL least often."""
        database = self._databases[name]
        present = sorted(
            (key, _sealed(key, value)) for key, value in rows.items() if value is not None
        )
        with transaction.cursor(db=database) as cursor:
            cursor.putmulti(present)
        for key, value in rows.items():
            if value is None:
                transaction.delete(key, db=database)

    def room_bytes(self) -> int:
        """Return how much of the map is not used."""
        info = self._environment.info()
        used = (info["last_pgno"] + 1) * self._environment.stat()["psize"]
        return int(info["map_size"]) - int(used)

    def grow(self, size_bytes: int) -> bool:
        """Make room for `size_bytes` more; return False if open snapshots forbid it now.

        LMDB moves the map when it grows, so no transaction may be open in the process.
        """
        if any(snapshot.is_open for snapshot in self._snapshots):
            return False
        map_size = int(self._environment.info()["map_size"])
        try:
            self._environment.set_mapsize(2 * map_size + size_bytes)
        except lmdb.Error as error:
            raise _named(error, self.directory) from error
        return True

    def snapshot(self) -> "Snapshot":
        """Return a read view of the last write; close it when done.

        Raises:
            ViewExpiredError: The checkpoint was closed.
        """
        if self._is_closed:
            raise ViewExpiredError("the store was closed", hint="open it again")
        snapshot = Snapshot(self._environment, self._databases, self.directory)
        self._snapshots.add(snapshot)
        return snapshot

    def close(self) -> None:
        """Close the environment; snapshots that are still open expire."""
        self._is_closed = True
        for snapshot in list(self._snapshots):
            snapshot.close()
        self._environment.close()


class Snapshot:
    """A read transaction: what the checkpoint held when it was taken.

    For one thread at a time; another one may close it, so each step is under a lock.
    """

    __slots__ = ("__weakref__", "_databases", "_directory", "_lock", "_transaction", "is_open")

    def __init__(self, environment: Any, databases: dict[str, Any], directory: Path) -> None:
        """Begin the read transaction."""
        self._databases = databases
        self._directory = directory
        self._lock = threading.Lock()
        try:
            self._transaction = environment.begin(buffers=False)
        except lmdb.Error as error:
            raise _named(error, directory) from error
        self.is_open = True

    def get(self, name: str, key: bytes) -> bytes | None:
        """Return the row `key` of a database."""
        try:
            with self._lock:
                sealed: bytes | None = self._transaction.get(key, db=self._databases[name])
        except lmdb.Error as error:
            raise self._failure(error) from error
        return None if sealed is None else self._opened(key, sealed)

    def scan(self, name: str, prefix: bytes) -> Iterator[tuple[bytes, bytes]]:
        """Yield the rows of a database whose keys begin with `prefix`, in key order."""
        try:
            with self._lock:
                cursor = self._transaction.cursor(db=self._databases[name])
                cursor.set_range(prefix)
                rows = cursor.iternext()
            while True:
                with self._lock:
                    row = next(rows, None)
                if row is None or not row[0].startswith(prefix):
                    return
                yield row[0], self._opened(*row)
        except lmdb.Error as error:
            raise self._failure(error) from error

    def count(self, name: str) -> int:
        """Return the number of rows of a database."""
        try:
            with self._lock:
                entries: int = self._transaction.stat(self._databases[name])["entries"]
        except lmdb.Error as error:
            raise self._failure(error) from error
        return entries

    def _opened(self, key: bytes, sealed: bytes) -> bytes:
        """Return a row's value, checked.

        Raises:
            CorruptCheckpointError: It is not what was written.
        """
        value = sealed[:-CHECKSUM_SIZE_BYTES]
        if crc32(value, crc32(key)).to_bytes(CHECKSUM_SIZE_BYTES, "big") != sealed[len(value) :]:
            raise CorruptCheckpointError("a row's checksum is wrong", self._directory)
        return value

    def close(self) -> None:
        """End the read transaction."""
        with self._lock:
            if self.is_open:
                self.is_open = False
                self._transaction.abort()

    def _failure(self, error: lmdb.Error) -> Fault:
        if not self.is_open:
            return ViewExpiredError("the view was closed", hint="take a new view")
        return _named(error, self._directory)


def _sealed(key: bytes, value: bytes) -> bytes:
    """Return what is stored of a row: its value and a checksum over key and value."""
    return value + crc32(value, crc32(key)).to_bytes(CHECKSUM_SIZE_BYTES, "big")


def structure_damage(directory: Path) -> list[str]:
    """Return what is wrong with the B-trees of a checkpoint, found without trusting any page."""
    try:
        verify: Callable[[str], list[str]] = lmdb_verify.verify
        return verify(str(directory))
    except (lmdb_verify.VerifyError, OSError) as error:
        return [str(error)]


def _open(directory: Path, map_size_bytes: int) -> Any:
    """Open the environment with the largest map up to a size that the system grants."""
    while True:
        try:
            return lmdb.open(
                str(directory),
                map_size=map_size_bytes,
                max_dbs=len(NAMES),
                max_readers=SNAPSHOTS_MAX,
                max_spare_txns=16,
                readahead=False,
                mode=0o600,
            )
        except lmdb.MemoryError as error:
            map_size_bytes //= 2
            if map_size_bytes < MAP_SIZE_BYTES_MIN:
                raise _named(error, directory) from error
        except lmdb.Error as error:
            raise _named(error, directory) from error


def _check_size(environment: Any, data: Path) -> None:
    """Check that the file was not cut: reading a mapped page that is not there kills the process.

    Raises:
        CorruptCheckpointError: Pages are missing.
    """
    pages = environment.info()["last_pgno"] + 1
    if data.stat().st_size >= pages * environment.stat()["psize"]:
        return
    # The last pages may be free ones that were never written, so the file may be short and whole.
    damage = structure_damage(data.parent)
    if damage:
        raise CorruptCheckpointError(f"the file was cut: {damage[0]}", data.parent)


def _named(error: lmdb.Error, directory: Path) -> Fault:
    """Return the named error for what LMDB said."""
    code = getattr(error, "code", 0)
    if isinstance(error, lmdb.MapFullError):
        return CheckpointFailedError(
            f"the map of {directory} is full, and open views kept it from growing",
            hint="start the node again: the map grows at the start, and nothing is lost",
        )
    if isinstance(error, lmdb.BadValsizeError):
        return MisuseError(f"a key is empty or longer than {KEY_SIZE_BYTES_MAX} bytes")
    if isinstance(error, lmdb.ReadersFullError):
        return MisuseError(f"more than {SNAPSHOTS_MAX} views are open")
    if code == errno.EIO and _is_full(directory):
        code = errno.ENOSPC  # LMDB calls a write that was cut short an input/output error
    if code > 0:
        return disk_error(OSError(code, os.strerror(code)), directory / DATA_FILE)
    return CorruptCheckpointError(str(error), directory)


def _is_full(directory: Path) -> bool:
    """Return whether the file system of a directory has next to no space left."""
    system = os.statvfs(directory)
    return system.f_bavail * system.f_frsize < FREE_BYTES_LEAST
