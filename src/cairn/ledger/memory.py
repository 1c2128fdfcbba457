"""A ledger's rows in memory: what replay, simulations and property tests execute over."""

from bisect import bisect_left, insort
from collections.abc import Iterator, Mapping

from cairn.ledger.changes import ChangeSet

_INSERTIONS_MAX = 1_000
"""More new keys than this are sorted in at once."""


class MemoryState:
    """A `StateReader` over dictionaries, to which change sets are applied."""

    __slots__ = ("index_rows", "leaves", "nodes", "order", "rows", "trie")

    def __init__(self) -> None:
        """Start empty, as before the founding."""
        self.rows: dict[bytes, bytes] = {}
        self.trie: dict[bytes, bytes] = {}
        self.leaves: dict[bytes, bytes] = {}
        self.nodes: dict[bytes, bytes] = {}
        self.index_rows: dict[bytes, bytes] = {}
        self.order: list[bytes] = []
        """The keys of `rows`, sorted."""

    def copy(self) -> "MemoryState":
        """Return a state with the same rows that can go its own way."""
        other = MemoryState()
        other.rows = dict(self.rows)
        other.trie = dict(self.trie)
        other.leaves = dict(self.leaves)
        other.nodes = dict(self.nodes)
        other.index_rows = dict(self.index_rows)
        other.order = list(self.order)
        return other

    def apply(self, changes: ChangeSet) -> None:
        """Apply what a block changed."""
        self._apply_rows(changes.state)
        for path, node in changes.trie.items():
            if node is None:
                self.trie.pop(path, None)
            else:
                self.trie[path] = node
        self.leaves.update(changes.leaves)
        self.nodes.update(changes.nodes)
        self.index_rows.update(changes.index)

    def _apply_rows(self, changes: Mapping[bytes, bytes | None]) -> None:
        created = []
        for key, value in changes.items():
            if value is not None:
                if key not in self.rows:
                    created.append(key)
                self.rows[key] = value
            elif key in self.rows:
                del self.rows[key]
                del self.order[bisect_left(self.order, key)]
        if len(created) > _INSERTIONS_MAX:
            self.order.extend(created)
            self.order.sort()
        else:
            for key in created:
                insort(self.order, key)

    def get(self, key: bytes) -> bytes | None:
        """Return the state row at `key`."""
        return self.rows.get(key)

    def scan(self, prefix: bytes) -> Iterator[tuple[bytes, bytes]]:
        """Yield the state rows whose keys begin with `prefix`, in key order."""
        position = bisect_left(self.order, prefix)
        while position < len(self.order) and self.order[position].startswith(prefix):
            key = self.order[position]
            yield key, self.rows[key]
            position += 1

    def trie_node(self, path: bytes) -> bytes | None:
        """Return the state trie's node at `path`."""
        return self.trie.get(path)

    def leaf(self, key: bytes) -> bytes | None:
        """Return the series entry or history leaf stored at `key`."""
        return self.leaves.get(key)

    def node(self, key: bytes) -> bytes | None:
        """Return the Merkle tree node stored at `key`."""
        return self.nodes.get(key)

    def index(self, key: bytes) -> bytes | None:
        """Return the look-up row stored at `key`."""
        return self.index_rows.get(key)
