"""The state while a block runs: rows by key over a reader, with an undo journal."""

from bisect import bisect_left, insort
from collections.abc import Iterator
from typing import Any, TypeVar

from cairn.ledger.changes import ChangeSet, StateReader
from cairn.ledger.errors import Fault
from cairn.ledger.records import (
    ENTRY_DECODER,
    Series,
    SeriesEntry,
    SeriesHead,
    Table,
    entry_bytes,
    entry_hash,
    leaf_key,
    node_key,
)
from cairn.primitives.encoding import Record, encode
from cairn.primitives.merkle import EMPTY_ROOT

RecordT = TypeVar("RecordT", bound=Record)

_UNREAD: Any = object()
EMPTY_SERIES = SeriesHead(0, EMPTY_ROOT, 0, ())


class WorkingState:
    """Rows as records; reads go to the reader once a block, writes can be undone to a mark.

    Records are frozen, so handing them out is safe. Entries of series are kept aside in order and
    folded into their heads when the block ends.
    """

    __slots__ = ("_appended", "_journal", "_ordered", "_originals", "_reader", "_rows", "_touched")

    def __init__(self, reader: StateReader) -> None:
        """Start from what `reader` sees."""
        self._reader = reader
        self._rows: dict[bytes, Any] = {}
        self._originals: dict[bytes, Any] = {}
        self._journal: list[tuple[Any, ...]] = []
        self._ordered: dict[bytes, list[bytes]] = {}
        self._touched: dict[bytes, Table[Any]] = {}
        self._appended: dict[bytes, list[bytes]] = {}

    def get(self, table: Table[RecordT], key: bytes) -> RecordT | None:
        """Return the record at `key`, or None."""
        row = self._rows.get(key, _UNREAD)
        if row is _UNREAD:
            raw = self._reader.get(key)
            row = None if raw is None else table.decoder.decode_trusted(raw)
            self._rows[key] = row
        return row  # type: ignore[no-any-return]

    def put(self, table: Table[Any], key: bytes, record: Record | None) -> None:
        """Write the record at `key`; None deletes it."""
        old = self.get(table, key)
        if key not in self._originals:
            self._originals[key] = old
            self._touched[key] = table
            if table.ordered:
                insort(self._ordered.setdefault(table.prefix, []), key)
        self._journal.append((key, old))
        self._rows[key] = record

    def scan(self, table: Table[RecordT], prefix: bytes) -> Iterator[tuple[bytes, RecordT]]:
        """Yield the rows of an ordered table whose keys begin with `prefix`, in key order."""
        if not table.ordered:
            raise Fault(f"{table.module}/{table.name} is not declared ordered")
        written = self._written_under(table, prefix)
        position = 0
        for key, raw in self._reader.scan(prefix):
            while position < len(written) and written[position] < key:
                yield from self._written(written[position])
                position += 1
            if position < len(written) and written[position] == key:
                yield from self._written(key)
                position += 1
            else:
                yield key, table.decoder.decode_trusted(raw)
        for key in written[position:]:
            yield from self._written(key)

    def _written_under(self, table: Table[Any], prefix: bytes) -> list[bytes]:
        """Return the keys under `prefix` that this block wrote, in order."""
        keys = self._ordered.get(table.prefix, [])
        start = end = bisect_left(keys, prefix)
        while end < len(keys) and keys[end].startswith(prefix):
            end += 1
        return keys[start:end]

    def _written(self, key: bytes) -> Iterator[tuple[bytes, Any]]:
        row = self._rows[key]
        if row is not None:
            yield key, row

    def append(self, series: Series[Any], key: bytes, time_ms: int, record: Record) -> int:
        """Append to the series with head key `key`; return the entry's position."""
        entries = self._appended.setdefault(key, [])
        head = self.series_head(series, key)
        if time_ms < head.last_time_ms:
            raise Fault(f"{series.module}/{series.name}: an entry goes back in time")
        self._touched.setdefault(key, series.table)
        entries.append(entry_bytes(time_ms, record))
        self._journal.append((entries,))
        return head.size + len(entries) - 1

    def series_head(self, series: Series[Any], key: bytes) -> SeriesHead:
        """Return the head of the series as it was when the block began."""
        head: SeriesHead | None = self.get(series.table, key)
        return EMPTY_SERIES if head is None else head

    def series_size(self, series: Series[Any], key: bytes) -> int:
        """Return the number of entries, those of this block included."""
        return self.series_head(series, key).size + len(self._appended.get(key, ()))

    def series_entry(self, series: Series[RecordT], key: bytes, position: int) -> SeriesEntry:
        """Return the entry at `position`, which may be one of this block's."""
        size = self.series_head(series, key).size
        if position >= size:
            raw: bytes | None = self._appended[key][position - size]
        else:
            raw = self._reader.leaf(leaf_key(key, position))
        if raw is None:
            raise Fault(f"{series.module}/{series.name}: entry {position} is missing")
        return ENTRY_DECODER.decode_trusted(raw)

    def mark(self) -> int:
        """Return a mark to which writes can be undone."""
        return len(self._journal)

    def undo(self, mark: int) -> None:
        """Undo every write since `mark`."""
        while len(self._journal) > mark:
            step = self._journal.pop()
            if len(step) == 1:
                step[0].pop()
            else:
                self._rows[step[0]] = step[1]

    def changed_rows(self) -> dict[bytes, tuple[Table[Any], Any, Any]]:
        """Return `key -> (table, old, new)` of every row that differs from the block's start."""
        rows, touched = self._rows, self._touched
        return {
            key: (touched[key], old, new)
            for key, old in self._originals.items()
            if (new := rows[key]) is not old and new != old
        }

    def fold(self, time_ms: int, changes: ChangeSet) -> dict[bytes, tuple[Table[Any], Any, Any]]:
        """Write this block's series entries and rows into `changes`; return the changed rows."""
        for key, entries in self._appended.items():
            if entries:
                self._fold_series(key, entries, time_ms, changes)
        changed = self.changed_rows()
        for key, (_, _, new) in changed.items():
            changes.state[key] = None if new is None else encode(new)
        return changed

    def _fold_series(
        self, key: bytes, entries: list[bytes], time_ms: int, changes: ChangeSet
    ) -> None:
        head = self._rows[key] or EMPTY_SERIES
        for offset, raw in enumerate(entries):
            changes.leaves[leaf_key(key, head.size + offset)] = raw
        frontier, nodes = head.frontier().extend([entry_hash(raw) for raw in entries])
        for level, position, digest in nodes:
            changes.nodes[node_key(key, level, position)] = digest
        new = SeriesHead(frontier.size, frontier.root(), time_ms, frontier.peaks)
        changes.state[key] = encode(new)
