"""The checkpoint: all rows in LMDB, written in one durable transaction with their height.

It is a copy that can be rebuilt from the log at any time, so a damaged one is deleted, not mended.

Source: LMDB, http://www.lmdb.tech/doc/ ; py-lmdb, https://lmdb.readthedocs.io
"""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import lmdb

from cairn.ledger.changes import ChangeSet
from cairn.storage.errors import CorruptCheckpointError, disk_error

MAP_SIZE_BYTES = 16 * 2**30
"""Address space reserved at first; the file takes what is used, and the map grows by itself."""
NAMES = ("state", "trie", "leaves", "nodes", "index", "meta")
_META = b"meta"


class Checkpoint:
    """The LMDB environment; read through `Snapshot`s, written by one thread at a time."""

    def __init__(self, directory: Path) -> None:
        """Open the environment, making it if there is none.

        Raises:
            CorruptCheckpointError: It is there and cannot be read.
        """
        self.directory = directory
        try:
            directory.mkdir(parents=True, exist_ok=True)
            self._environment = lmdb.open(
                str(directory),
                map_size=MAP_SIZE_BYTES,
                max_dbs=len(NAMES),
                metasync=True,
                sync=True,
                writemap=False,
                readahead=False,
                max_readers=512,
                max_spare_txns=16,
                subdir=True,
                mode=0o600,
            )
            self._databases = {name: self._environment.open_db(name.encode()) for name in NAMES}
        except lmdb.Error as error:
            raise CorruptCheckpointError(str(error), directory) from error
        except OSError as error:
            raise disk_error(error, directory) from error

    def meta(self) -> bytes | None:
        """Return what the last write left beside the rows; None before the first."""
        try:
            with self._environment.begin(db=self._databases["meta"]) as transaction:
                value: bytes | None = transaction.get(_META)
                return value
        except lmdb.Error as error:
            raise CorruptCheckpointError(str(error), self.directory) from error

    def write(self, changes: ChangeSet, meta: bytes) -> None:
        """Write all rows and `meta` in one transaction, durably."""
        while True:
            try:
                with self._environment.begin(write=True) as transaction:
                    self._put(transaction, "state", changes.state)
                    self._put(transaction, "trie", changes.trie)
                    self._put(transaction, "leaves", changes.leaves)
                    self._put(transaction, "nodes", changes.nodes)
                    self._put(transaction, "index", changes.index)
                    transaction.put(_META, meta, db=self._databases["meta"])
                return
            except lmdb.MapFullError:
                self._environment.set_mapsize(2 * self._environment.info()["map_size"])
            except lmdb.DiskError as error:
                raise disk_error(OSError(28, "No space left on device"), self.directory) from error
            except lmdb.Error as error:
                raise CorruptCheckpointError(str(error), self.directory) from error

    def _put(self, transaction: Any, name: str, rows: Mapping[bytes, bytes | None]) -> None:
        database = self._databases[name]
        present = [(key, value) for key, value in sorted(rows.items()) if value is not None]
        with transaction.cursor(db=database) as cursor:
            cursor.putmulti(present)
        for key, value in rows.items():
            if value is None:
                transaction.delete(key, db=database)

    def snapshot(self) -> "Snapshot":
        """Return a read view of the last write; close it when done."""
        return Snapshot(self._environment, self._databases, self.directory)

    def close(self) -> None:
        """Close the environment; open snapshots must be closed before."""
        self._environment.close()


class Snapshot:
    """A read transaction: what the checkpoint held when it was taken."""

    __slots__ = ("_databases", "_directory", "_transaction")

    def __init__(self, environment: Any, databases: dict[str, Any], directory: Path) -> None:
        """Begin the read transaction."""
        self._databases = databases
        self._directory = directory
        try:
            self._transaction = environment.begin(buffers=False)
        except lmdb.Error as error:
            raise CorruptCheckpointError(str(error), directory) from error

    def get(self, name: str, key: bytes) -> bytes | None:
        """Return the row `key` of a database."""
        try:
            value: bytes | None = self._transaction.get(key, db=self._databases[name])
        except lmdb.Error as error:
            raise CorruptCheckpointError(str(error), self._directory) from error
        return value

    def scan(self, name: str, prefix: bytes) -> Iterator[tuple[bytes, bytes]]:
        """Yield the rows of a database whose keys begin with `prefix`, in key order."""
        with self._transaction.cursor(db=self._databases[name]) as cursor:
            found = cursor.set_range(prefix) if prefix else cursor.first()
            while found:
                key, value = cursor.item()
                if not key.startswith(prefix):
                    return
                yield key, value
                found = cursor.next()

    def count(self, name: str) -> int:
        """Return the number of rows of a database."""
        entries: int = self._transaction.stat(self._databases[name])["entries"]
        return entries

    def close(self) -> None:
        """End the read transaction."""
        self._transaction.abort()
