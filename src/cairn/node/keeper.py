"""Keeps blocks in a ledger's store: the log append first, durably, then the rows that follow."""

import threading
from collections import OrderedDict

from cairn.engine.application import outcome_at
from cairn.engine.base import LOG_ENTRY_DECODER, LOG_ENTRY_VERSION, LogEntry, Outcome
from cairn.ledger.changes import StateReader
from cairn.ledger.execution import BlockResult, LedgerHead, transaction_index_key
from cairn.node.prover import place_of
from cairn.primitives.encoding import Decoder, NonCanonicalError, encode
from cairn.primitives.light import header_time_ms
from cairn.storage.errors import CorruptLogError
from cairn.storage.layers import LayeredReader
from cairn.storage.store import LedgerStore

ENTRIES_KEPT = 16
"""Decoded log entries kept at hand, the most recently used."""

HEAD_DECODER: Decoder[LedgerHead] = Decoder(LedgerHead)


class StoreKeeper:
    """A ledger's store as the application and the provers see it."""

    def __init__(self, store: LedgerStore) -> None:
        """Keep blocks in `store`."""
        self._store = store
        self._entries: OrderedDict[int, LogEntry] = OrderedDict()
        self._lock = threading.Lock()

    def keep(self, entry: LogEntry, result: BlockResult) -> None:
        """Append the entry to the log, durably, then apply what the block changes.

        Raises:
            StorageError: The disk refused; the block is not acknowledged.
        """
        self._store.append_block(entry.header.height, encode(entry))
        self.apply(entry, result)
        self._store.maybe_checkpoint()

    def apply(self, entry: LogEntry, result: BlockResult) -> None:
        """Apply what a block that is in the log changes."""
        self._store.apply(entry.header.height, result.changes, encode(result.head))
        self._remember(entry)

    def reader(self) -> StateReader:
        """Return the state after the last block, for the thread that makes blocks."""
        return self._store.reader

    def view(self) -> LayeredReader:
        """Return the state as it is now; close it after use."""
        return self._store.view()

    def entry(self, height: int) -> LogEntry:
        """Return the log entry of a height that is in the log.

        Raises:
            CorruptLogError: It is damaged.
        """
        with self._lock:
            known = self._entries.get(height)
            if known is not None:
                self._entries.move_to_end(height)
                return known
        entry = decode_entry(height, self._store.block(height))
        self._remember(entry)
        return entry

    def outcome(self, transaction_id: bytes) -> Outcome | None:
        """Return what became of a transaction that a kept block holds."""
        view = self._store.view()
        try:
            place = view.index(transaction_index_key(transaction_id))
        finally:
            view.close()
        if place is None:
            return None
        height, position = place_of(place)
        entry = self.entry(height)
        return outcome_at(entry, header_time_ms(entry.header), position, transaction_id)

    def _remember(self, entry: LogEntry) -> None:
        with self._lock:
            self._entries[entry.header.height] = entry
            while len(self._entries) > ENTRIES_KEPT:
                self._entries.popitem(last=False)


def decode_entry(height: int, payload: bytes) -> LogEntry:
    """Return the block that an entry of the log holds.

    Raises:
        CorruptLogError: It holds none, or one of another version.
    """
    try:
        entry = LOG_ENTRY_DECODER.decode(payload)
    except NonCanonicalError as error:
        raise CorruptLogError(f"the entry is not a block: {error}", height=height) from error
    if entry.version != LOG_ENTRY_VERSION:
        raise CorruptLogError(f"the block is of version {entry.version}", height=height)
    return entry
