"""What a handler or hook sees: the block it runs in, the rows, and a place for its events."""

from collections.abc import Iterator
from typing import Any, TypeVar

from cairn.ledger.errors import Fault, MissingVerdictError
from cairn.ledger.hooks import Movement, Verdict
from cairn.ledger.messages import Event
from cairn.ledger.parameters import PARAMETERS, Parameter
from cairn.ledger.records import KeyPart, Series, SeriesEntry, SeriesHead, Table, split_key
from cairn.ledger.state import WorkingState
from cairn.primitives.encoding import Record, encode
from cairn.primitives.hashes import tagged_hash

RecordT = TypeVar("RecordT", bound=Record)

OBJECT_ID_SIZE_BYTES = 20


class Context:
    """Handed to handlers (one for each operation) and to hooks (one for each block)."""

    __slots__ = (
        "chain_id",
        "events",
        "height",
        "movement",
        "operation_index",
        "sender",
        "state",
        "time_ms",
        "transaction_id",
        "verdict",
    )

    def __init__(self, state: WorkingState, *, chain_id: str, height: int, time_ms: int) -> None:
        """Make the context of a hook; the block's execution fills in an operation's fields."""
        self.state = state
        self.chain_id = chain_id
        self.height = height
        """Height of the block that is being executed."""
        self.time_ms = time_ms
        """Time of that block."""
        self.sender = b""
        """Account that the transaction's key speaks for; empty in hooks."""
        self.transaction_id = b""
        self.operation_index = 0
        self.verdict: Verdict | None = None
        """Verdict on the operation's movement; None if it declares none."""
        self.movement: Movement | None = None
        self.events: list[bytes] = []

    def get(self, table: Table[RecordT], *key: KeyPart) -> RecordT | None:
        """Return the row at `key`, or None."""
        return self.state.get(table, table.key(*key))

    def put(self, table: Table[RecordT], record: RecordT, *key: KeyPart) -> None:
        """Write the row at `key`."""
        self.state.put(table, table.key(*key), record)

    def delete(self, table: Table[Any], *key: KeyPart) -> None:
        """Delete the row at `key`, if there is one."""
        self.state.put(table, table.key(*key), None)

    def scan(
        self, table: Table[RecordT], *prefix: KeyPart
    ) -> Iterator[tuple[tuple[bytes, ...], RecordT]]:
        """Yield `(key parts, record)` of an ordered table's rows under `prefix`, in key order.

        Integer parts come back as eight big-endian bytes. Take what is needed before writing.
        """
        for key, record in self.state.scan(table, table.key(*prefix)):
            yield split_key(key)[2:], record

    def append(self, series: Series[RecordT], record: RecordT, *key: KeyPart) -> int:
        """Append to a series under this block's time; return the entry's position."""
        return self.state.append(series, series.key(*key), self.time_ms, record)

    def series_size(self, series: Series[Any], *key: KeyPart) -> int:
        """Return the number of entries of a series, those of this block included."""
        return self.state.series_size(series, series.key(*key))

    def series_head(self, series: Series[Any], *key: KeyPart) -> SeriesHead:
        """Return a series' head as it was when the block began."""
        return self.state.series_head(series, series.key(*key))

    def series_get(
        self, series: Series[RecordT], position: int, *key: KeyPart
    ) -> tuple[int, RecordT]:
        """Return the block time and record of the entry at `position`, 0 <= position < size."""
        entry: SeriesEntry = self.state.series_entry(series, series.key(*key), position)
        return entry.time_ms, series.decoder.decode_trusted(entry.payload)

    def param(self, parameter: Parameter) -> int:
        """Return the value of a protocol parameter."""
        row = self.get(PARAMETERS, parameter.name)
        return parameter.default if row is None else row.value

    def emit(self, event: Event) -> None:
        """Record an event in the operation's (or the block end's) receipt."""
        self.events.append(encode(event))

    def new_id(self, purpose: bytes = b"") -> bytes:
        """Return an id that nothing else has: from the transaction, the operation and `purpose`."""
        if not self.transaction_id:
            raise Fault("only an operation can make an id")
        position = self.operation_index.to_bytes(4, "big")
        digest = tagged_hash(b"cairn/object", self.transaction_id, position, purpose)
        return digest[:OBJECT_ID_SIZE_BYTES]

    def check_verdict(self) -> Verdict:
        """Return the verdict on this operation's movement.

        Raises:
            MissingVerdictError: There is none: value would move past the rules.
        """
        if self.verdict is None:
            raise MissingVerdictError("an operation moves value without a verdict")
        return self.verdict
