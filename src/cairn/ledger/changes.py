"""What execution reads through, and what a block changes: the seam between ledger and storage."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Protocol


@dataclass(slots=True)
class ChangeSet:
    """Everything that one block writes, by where it is kept."""

    state: dict[bytes, bytes | None] = field(default_factory=dict)
    """State rows by key; None deletes."""
    trie: dict[bytes, bytes | None] = field(default_factory=dict)
    """Nodes of the state trie by path; None deletes."""
    leaves: dict[bytes, bytes] = field(default_factory=dict)
    """Series entries and history leaves, append-only."""
    nodes: dict[bytes, bytes] = field(default_factory=dict)
    """Nodes of Merkle trees (series and history), append-only."""
    index: dict[bytes, bytes] = field(default_factory=dict)
    """Look-up rows that are not state, such as a transaction's position; append-only."""


class StateReader(Protocol):
    """A consistent view of the ledger after some height."""

    def get(self, key: bytes) -> bytes | None:
        """Return the state row at `key`."""
        ...

    def scan(self, prefix: bytes) -> Iterator[tuple[bytes, bytes]]:
        """Yield the state rows whose keys begin with `prefix`, in key order."""
        ...

    def trie_node(self, path: bytes) -> bytes | None:
        """Return the state trie's node at `path`."""
        ...

    def leaf(self, key: bytes) -> bytes | None:
        """Return the series entry or history leaf stored at `key`."""
        ...

    def node(self, key: bytes) -> bytes | None:
        """Return the Merkle tree node stored at `key`."""
        ...

    def index(self, key: bytes) -> bytes | None:
        """Return the look-up row stored at `key`."""
        ...
