"""The state in memory: what a replay from genesis builds, to compare roots block by block."""

from bisect import bisect_left, insort
from collections.abc import Iterator

from cairn.ledger.changes import ChangeSet
from cairn.ledger.module import Registry
from cairn.ledger.parameters import PARAMETERS


class MemoryState:
    """A reader of state that takes changes; one thread uses it."""

    def __init__(self, registry: Registry) -> None:
        """Start empty; the registry says which tables are walked in order."""
        self._rows: dict[bytes, bytes] = {}
        self._trie: dict[bytes, bytes] = {}
        self._leaves: dict[bytes, bytes] = {}
        self._nodes: dict[bytes, bytes] = {}
        self._index: dict[bytes, bytes] = {}
        self._ordered: dict[bytes, list[bytes]] = {
            table.prefix: [] for table in registry.tables.values() if table.ordered
        }
        if PARAMETERS.ordered:
            self._ordered[PARAMETERS.prefix] = []

    def apply(self, changes: ChangeSet) -> None:
        """Write what a block changes."""
        for key, value in changes.state.items():
            self._write_row(key, value)
        for path, node in changes.trie.items():
            if node is None:
                self._trie.pop(path, None)
            else:
                self._trie[path] = node
        self._leaves.update(changes.leaves)
        self._nodes.update(changes.nodes)
        self._index.update(changes.index)

    def _write_row(self, key: bytes, value: bytes | None) -> None:
        keys = self._ordered.get(_table_prefix(key))
        if value is None:
            if self._rows.pop(key, None) is not None and keys is not None:
                del keys[bisect_left(keys, key)]
            return
        if keys is not None and key not in self._rows:
            insort(keys, key)
        self._rows[key] = value

    def get(self, key: bytes) -> bytes | None:
        """Return the state row at `key`."""
        return self._rows.get(key)

    def scan(self, prefix: bytes) -> Iterator[tuple[bytes, bytes]]:
        """Yield the rows whose keys begin with `prefix`, in key order."""
        keys = self._ordered.get(_table_prefix(prefix)) if prefix else None
        if keys is None:
            keys = sorted(key for key in self._rows if key.startswith(prefix))
        for key in keys[bisect_left(keys, prefix) :]:
            if not key.startswith(prefix):
                return
            yield key, self._rows[key]

    def trie_node(self, path: bytes) -> bytes | None:
        """Return the state trie's node at `path`."""
        return self._trie.get(path)

    def leaf(self, key: bytes) -> bytes | None:
        """Return the series entry or history leaf stored at `key`."""
        return self._leaves.get(key)

    def node(self, key: bytes) -> bytes | None:
        """Return the Merkle tree node stored at `key`."""
        return self._nodes.get(key)

    def index(self, key: bytes) -> bytes | None:
        """Return the look-up row stored at `key`."""
        return self._index.get(key)


def _table_prefix(key: bytes) -> bytes:
    """Return the part of a row key that names its table."""
    module_end = 1 + key[0]
    return key[: module_end + 1 + key[module_end]] if len(key) > module_end else key
