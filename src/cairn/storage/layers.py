"""Rows that are in the block log but not yet in the checkpoint, and reading through them.

There are at most two layers: the one that blocks are applied to, and below it the one that a
checkpoint is writing, which does not change any more. A view reads through the same layers; a block
that is applied while a view is open leaves behind, for that view, what it overwrites.
"""

import threading
import weakref
from bisect import bisect_left, insort
from collections.abc import Iterator, Sequence
from typing import Any

from cairn.ledger.changes import ChangeSet
from cairn.storage.checkpoint import Snapshot
from cairn.storage.errors import MisuseError, ViewExpiredError

_UNSET: Any = object()
_INSERTIONS_MAX = 64
"""Up to so many new keys are inserted into a table's sorted keys one by one, more by sorting."""


class Overwritten:
    """What the rows of a layer were when a view was taken, as far as they have changed since."""

    __slots__ = ("__weakref__", "rows")

    def __init__(self) -> None:
        """Start with nothing overwritten."""
        self.rows: tuple[dict[bytes, Any], ...] = ({}, {}, {}, {}, {})


class _Table:
    """The keys of one table in a layer, sorted when they are asked for."""

    __slots__ = ("_fresh", "_sorted")

    def __init__(self) -> None:
        self._sorted: list[bytes] = []
        self._fresh: list[bytes] = []

    def add(self, key: bytes) -> None:
        self._fresh.append(key)

    def between(self, low: bytes, high: bytes | None) -> list[bytes]:
        keys, fresh = self._sorted, self._fresh
        if len(fresh) <= _INSERTIONS_MAX:
            for key in fresh:
                insort(keys, key)
        else:
            keys += fresh
            keys.sort()
        fresh.clear()
        first = bisect_left(keys, low)
        return keys[first:] if high is None else keys[first : bisect_left(keys, high)]


class Layer:
    """What one or several blocks changed. One thread adds; any thread may read."""

    __slots__ = ("_lock", "_tables", "_views", "changes")

    def __init__(self) -> None:
        """Start empty."""
        self.changes = ChangeSet()
        self._tables: dict[bytes, _Table] = {}
        self._views: weakref.WeakSet[Overwritten] = weakref.WeakSet()
        self._lock = threading.Lock()

    def add(self, changes: ChangeSet) -> None:
        """Lay a block's changes over the earlier ones.

        Raises:
            MisuseError: A state key does not begin with a module's and a table's name.
        """
        mine, theirs = _maps(self.changes), _maps(changes)
        with self._lock:
            for view in self._views:
                for rows, old, new in zip(view.rows, mine, theirs, strict=True):
                    for key in new:
                        if key not in rows:
                            rows[key] = old.get(key, _UNSET)
            state = self.changes.state
            for key in changes.state:
                if key not in state:
                    self._table_of(key).add(key)
            for old, new in zip(mine, theirs, strict=True):
                old.update(new)

    def overwritten(self) -> Overwritten:
        """Return what will collect the rows of now that later blocks overwrite, while it lives."""
        collected = Overwritten()
        with self._lock:
            self._views.add(collected)
        return collected

    def row_count(self) -> int:
        """Return how many rows are waiting to be written."""
        return sum(map(len, _maps(self.changes)))

    def size_bytes(self) -> int:
        """Return how many bytes of keys and values are waiting to be written."""
        return sum(
            len(key) + len(value or b"")
            for rows in _maps(self.changes)
            for key, value in rows.items()
        )

    def keys(self, prefix: bytes) -> list[bytes]:
        """Return the changed state keys that begin with `prefix`, sorted."""
        name = _table_name(prefix)
        high = _after(prefix)
        with self._lock:
            if name is not None:
                table = self._tables.get(name)
                return [] if table is None else table.between(prefix, high)
            found: list[bytes] = []
            for name in sorted(self._tables):
                if name.startswith(prefix):
                    found += self._tables[name].between(prefix, high)
            return found

    def _table_of(self, key: bytes) -> _Table:
        name = _table_name(key)
        if name is None:
            raise MisuseError(f"the state key {key.hex()} is of no table")
        table = self._tables.get(name)
        if table is None:
            table = self._tables[name] = _Table()
        return table


class LayeredReader:
    """A `StateReader` over layers, the newest first, and a snapshot of the checkpoint below.

    A scan ends before the next block is applied, unless the reader is a view.
    """

    __slots__ = ("_layers", "_maps", "_overwritten", "_snapshot")

    def __init__(
        self,
        layers: Sequence[Layer],
        snapshot: Snapshot,
        overwritten: Overwritten | None = None,
    ) -> None:
        """Read through `layers`, the newest first.

        Args:
            layers: The layers.
            snapshot: What lies below them; closed with the reader.
            overwritten: For a view, what the newest layer collects for it.
        """
        self._layers = tuple(layers)
        self._snapshot: Snapshot | None = snapshot
        self._overwritten = overwritten
        by_layer = [_maps(layer.changes) for layer in self._layers]
        self._maps = tuple(tuple(maps[kind] for maps in by_layer) for kind in range(5))

    def get(self, key: bytes) -> bytes | None:
        """Return the state row at `key`."""
        return self._get(0, "state", key)

    def trie_node(self, path: bytes) -> bytes | None:
        """Return the state trie's node at `path`."""
        return self._get(1, "trie", path)

    def leaf(self, key: bytes) -> bytes | None:
        """Return the series entry or history leaf stored at `key`."""
        return self._get(2, "leaves", key)

    def node(self, key: bytes) -> bytes | None:
        """Return the Merkle tree node stored at `key`."""
        return self._get(3, "nodes", key)

    def index(self, key: bytes) -> bytes | None:
        """Return the look-up row stored at `key`."""
        return self._get(4, "index", key)

    def scan(self, prefix: bytes) -> Iterator[tuple[bytes, bytes]]:
        """Yield the state rows whose keys begin with `prefix`, in key order."""
        rows: Iterator[tuple[bytes, Any]] = self._base().scan("state", prefix)
        for place in reversed(range(len(self._layers))):
            keys = self._layers[place].keys(prefix)
            if keys:
                rows = _overlay(self._changed(place, keys), rows)
        return ((key, value) for key, value in rows if value is not None)

    def close(self) -> None:
        """Let go of the snapshot; the reader is of no use afterwards."""
        if self._snapshot is not None:
            self._snapshot.close()
            self._snapshot = None
            self._overwritten = None
            self._layers = ()
            self._maps = ((),) * 5

    def _get(self, kind: int, name: str, key: bytes) -> bytes | None:
        value: bytes | None
        overwritten = self._overwritten
        for rows in self._maps[kind]:
            value = rows.get(key, _UNSET)
            if overwritten is not None:
                # Looked up after the row: whoever overwrites it writes here before.
                value = overwritten.rows[kind].get(key, value)
                overwritten = None
            if value is not _UNSET:
                return value
        return self._base().get(name, key)

    def _changed(self, place: int, keys: list[bytes]) -> Iterator[tuple[bytes, Any]]:
        """Yield what a layer says about the keys, leaving out what it does not say to a view."""
        rows = self._layers[place].changes.state
        overwritten = self._overwritten if place == 0 else None
        for key in keys:
            value: Any = rows.get(key, _UNSET)
            if overwritten is not None:
                value = overwritten.rows[0].get(key, value)
            if value is not _UNSET:
                yield key, value

    def _base(self) -> Snapshot:
        if self._snapshot is None:
            raise ViewExpiredError("the view was closed", hint="take a new view")
        return self._snapshot


def _maps(changes: ChangeSet) -> tuple[dict[bytes, Any], ...]:
    return changes.state, changes.trie, changes.leaves, changes.nodes, changes.index


def _overlay(
    upper: Iterator[tuple[bytes, Any]], lower: Iterator[tuple[bytes, Any]]
) -> Iterator[tuple[bytes, Any]]:
    """Yield the rows of both in key order; where both have a key, the upper one's."""
    below = next(lower, None)
    for row in upper:
        key = row[0]
        while below is not None and below[0] < key:
            yield below
            below = next(lower, None)
        if below is not None and below[0] == key:
            below = next(lower, None)
        yield row
    if below is not None:
        yield below
        yield from lower


def _table_name(key: bytes) -> bytes | None:
    """Return the part of a key or prefix that names module and table, None if it is not whole."""
    if not key:
        return None
    second = 1 + key[0]
    if len(key) <= second:
        return None
    end = second + 1 + key[second]
    return key[:end] if len(key) >= end else None


def _after(prefix: bytes) -> bytes | None:
    """Return the first key after all that begin with `prefix`, None if there is none."""
    stripped = prefix.rstrip(b"\xff")
    return stripped[:-1] + bytes((stripped[-1] + 1,)) if stripped else None
