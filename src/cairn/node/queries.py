"""Reading a ledger without proof: rows, pages of series, events and blocks."""

from collections.abc import Callable

from cairn.engine.base import LogEntry
from cairn.ledger.admission import SEQUENCES
from cairn.ledger.changes import StateReader
from cairn.ledger.receipts import RECEIPT_DECODER, RESULT_NOT_ADMITTED
from cairn.ledger.records import HEAD_DECODER, leaf_key
from cairn.node.api import PAGE_SIZE_MAX, EventItem, EventPage, RowPage, SeriesPage
from cairn.node.errors import BadRangeError
from cairn.primitives.light import header_time_ms

ANSWER_SIZE_BYTES_MAX = 4 * 2**20
"""A page ends early once it holds this much."""
BLOCKS_PER_PAGE_MAX = 2_000
"""Most blocks looked through for one page of events."""


def rows(reader: StateReader, prefix: bytes, *, cursor: bytes, limit: int) -> RowPage:
    """Return rows under a prefix, in key order, after `cursor`.

    Raises:
        BadRangeError: The cursor is not one that this prefix gave.
    """
    if cursor and not cursor.startswith(prefix):
        raise BadRangeError("the cursor belongs to another prefix")
    found: list[tuple[bytes, bytes]] = []
    size = 0
    for key, value in reader.scan(prefix):
        if key <= cursor:
            continue
        if len(found) >= min(limit, PAGE_SIZE_MAX) or size > ANSWER_SIZE_BYTES_MAX:
            return RowPage(tuple(found), found[-1][0])
        found.append((key, value))
        size += len(key) + len(value)
    return RowPage(tuple(found), b"")


def series(reader: StateReader, key: bytes, *, start: int, limit: int) -> SeriesPage:
    """Return entries of the series with head key `key`, from `start` on."""
    raw = reader.get(key)
    size = 0 if raw is None else HEAD_DECODER.decode(raw).size
    entries: list[bytes] = []
    total = 0
    for position in range(start, min(size, start + min(limit, PAGE_SIZE_MAX))):
        entry = reader.leaf(leaf_key(key, position))
        if entry is None:
            raise BadRangeError("the row is not the head of a series")
        entries.append(entry)
        total += len(entry)
        if total > ANSWER_SIZE_BYTES_MAX:
            break
    return SeriesPage(size, start, tuple(entries))


def next_sequence(reader: StateReader, sender: bytes, lane: int) -> int:
    """Return the sequence number that a lane's next transaction must have."""
    raw = reader.get(SEQUENCES.key(sender, lane))
    return 1 if raw is None else SEQUENCES.decoder.decode(raw).last + 1


def events(
    entry: Callable[[int], LogEntry], newest: int, from_height: int, *, limit: int
) -> EventPage:
    """Return the events of whole blocks from a height on, until there are `limit` of them."""
    found: list[EventItem] = []
    size = 0
    height = max(1, from_height)
    last = min(newest, height + BLOCKS_PER_PAGE_MAX - 1)
    while height <= last and len(found) < limit and size <= ANSWER_SIZE_BYTES_MAX:
        items = _events_of(entry(height))
        found += items
        size += sum(len(item.event) for item in items)
        height += 1
    return EventPage(tuple(found), height)


def _events_of(entry: LogEntry) -> list[EventItem]:
    height, time_ms = entry.header.height, header_time_ms(entry.header)
    items = []
    for position, raw in enumerate(entry.receipts):
        if entry.results[position].code == RESULT_NOT_ADMITTED:
            continue
        receipt = RECEIPT_DECODER.decode_trusted(raw)
        for index, operation in enumerate(receipt.operations):
            items += [
                EventItem(height, time_ms, position, index, receipt.transaction_id, event)
                for event in operation.events
            ]
    return items
