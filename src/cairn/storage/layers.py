"""Rows that are in the block log but not yet in the checkpoint, and reading through them."""

from collections.abc import Iterator, Sequence
from heapq import merge

from cairn.ledger.changes import ChangeSet
from cairn.storage.checkpoint import Snapshot
from cairn.storage.errors import ViewExpiredError


class Layer:
    """What one or several blocks changed; frozen once another layer lies on top of it."""

    __slots__ = ("changes", "tables")

    def __init__(self) -> None:
        """Start empty."""
        self.changes = ChangeSet()
        self.tables: dict[bytes, dict[bytes, None]] = {}
        """Changed state keys by table, so that a scan walks one table only."""

    def add(self, changes: ChangeSet) -> None:
        """Lay a block's changes over the earlier ones."""
        mine = self.changes
        mine.state.update(changes.state)
        mine.trie.update(changes.trie)
        mine.leaves.update(changes.leaves)
        mine.nodes.update(changes.nodes)
        mine.index.update(changes.index)
        tables = self.tables
        for key in changes.state:
            first = 1 + key[0]
            table = key[: first + 1 + key[first]]
            keys = tables.get(table)
            if keys is None:
                keys = tables[table] = {}
            keys[key] = None

    def row_count(self) -> int:
        """Return how many rows are waiting to be written."""
        changes = self.changes
        return len(changes.state) + len(changes.trie) + len(changes.leaves) + len(changes.nodes)

    def keys_with(self, prefix: bytes) -> list[bytes]:
        """Return the changed state keys that begin with `prefix`, sorted."""
        found: list[bytes] = []
        for table, keys in self.tables.items():
            if table.startswith(prefix) or prefix.startswith(table):
                found.extend(key for key in keys if key.startswith(prefix))
        return sorted(found)


class LayeredReader:
    """A `StateReader` over layers, the newest first, and a snapshot of the checkpoint below."""

    __slots__ = ("_layers", "_snapshot")

    def __init__(self, layers: Sequence[Layer], snapshot: Snapshot) -> None:
        """Read through `layers`, the newest first."""
        self._layers = tuple(layers)
        self._snapshot: Snapshot | None = snapshot

    def get(self, key: bytes) -> bytes | None:
        """Return the state row at `key`."""
        for layer in self._layers:
            if key in layer.changes.state:
                return layer.changes.state[key]
        return self._base().get("state", key)

    def trie_node(self, path: bytes) -> bytes | None:
        """Return the state trie's node at `path`."""
        for layer in self._layers:
            if path in layer.changes.trie:
                return layer.changes.trie[path]
        return self._base().get("trie", path)

    def leaf(self, key: bytes) -> bytes | None:
        """Return the series entry or history leaf stored at `key`."""
        for layer in self._layers:
            if key in layer.changes.leaves:
                return layer.changes.leaves[key]
        return self._base().get("leaves", key)

    def node(self, key: bytes) -> bytes | None:
        """Return the Merkle tree node stored at `key`."""
        for layer in self._layers:
            if key in layer.changes.nodes:
                return layer.changes.nodes[key]
        return self._base().get("nodes", key)

    def index(self, key: bytes) -> bytes | None:
        """Return the look-up row stored at `key`."""
        for layer in self._layers:
            if key in layer.changes.index:
                return layer.changes.index[key]
        return self._base().get("index", key)

    def scan(self, prefix: bytes) -> Iterator[tuple[bytes, bytes]]:
        """Yield the state rows whose keys begin with `prefix`, in key order."""
        changed = dict.fromkeys(key for layer in self._layers for key in layer.keys_with(prefix))
        below = (
            (key, value) for key, value in self._base().scan("state", prefix) if key not in changed
        )
        above = ((key, value) for key in sorted(changed) if (value := self.get(key)) is not None)
        yield from merge(below, above, key=lambda row: row[0])

    def close(self) -> None:
        """Let go of the snapshot; the reader is of no use afterwards."""
        if self._snapshot is not None:
            self._snapshot.close()
            self._snapshot = None

    def _base(self) -> Snapshot:
        if self._snapshot is None:
            raise ViewExpiredError("the view was closed", hint="take a new view")
        return self._snapshot
