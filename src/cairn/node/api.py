"""What a node answers: one interface, called in process by the SDK and over HTTP by the server.

Requests and answers are records, so that both ways carry the same bytes.
"""

from collections.abc import Sequence
from typing import Annotated, Protocol

from msgspec import Meta

from cairn.engine.base import Outcome
from cairn.evidence.proofs import (
    HeadProof,
    RangeProof,
    ReceiptsProof,
    SeriesProof,
    StateProof,
    TransactionProof,
)
from cairn.primitives.encoding import Record

PAGE_SIZE_MAX = 1_000
"""Most rows, entries or events in one answer."""
SUBMIT_TRANSACTIONS_MAX = 10_000
"""Most transactions in one submission."""
PROOFS_MAX = 10_000
"""Most proofs in one answer."""

KeyField = Annotated[bytes, Meta(min_length=1, max_length=2_048)]
IdField = Annotated[bytes, Meta(min_length=32, max_length=32)]
NumberField = Annotated[int, Meta(ge=0, le=2**53)]
LimitField = Annotated[int, Meta(ge=1, le=PAGE_SIZE_MAX)]


class HeadInfo(Record):
    """Where the ledger stands."""

    chain_id: str
    height: int
    """Height of the last block."""
    time_ms: int
    block_hash: bytes
    app_hash: bytes
    """Application hash after the last block."""
    proved: bool
    """Whether the last header commits to it already."""


class Health(Record):
    """How the node is; `fault` is empty while all is well."""

    status: str
    """`ok` or `stopped`."""
    fault: str
    height: int
    waiting: int
    """Transactions that wait for a block."""
    witnesses: tuple[tuple[str, str], ...]
    """Name of each witness, and `ok` or why its last answer was no cosignature."""


class StateQuery(Record, tag="state"):
    """Prove the row at `key`, or its absence."""

    key: KeyField


class SeriesQuery(Record, tag="series"):
    """Prove the entries [start, end) of a series."""

    key: KeyField
    start: NumberField
    end: NumberField


class RangeQuery(Record, tag="range"):
    """Prove every entry of a series in [from_ms, until_ms)."""

    key: KeyField
    from_ms: NumberField
    until_ms: NumberField


class ReceiptsQuery(Record, tag="receipts"):
    """Prove the receipts [start, end) of a block: the transactions', then the block end's."""

    height: NumberField
    start: NumberField
    end: NumberField


class TransactionQuery(Record, tag="transaction"):
    """Prove a transaction and its receipt."""

    transaction_id: IdField


ProofQuery = StateQuery | SeriesQuery | RangeQuery | ReceiptsQuery | TransactionQuery


class ProofRequest(Record):
    """Proofs wanted from one head."""

    queries: tuple[ProofQuery, ...]
    min_time_ms: NumberField = 0
    """Least time of the proving header; ranges raise it to their end."""
    extends_size: NumberField | None = None
    """Size of a history that the verifier trusts, whose extension is to be shown."""
    witnessed: bool = True
    """Whether the witnesses are asked to cosign the head first."""


class Proofs(Record):
    """Proofs from one head, each kind in the order asked."""

    head: HeadProof
    states: tuple[StateProof, ...]
    series: tuple[SeriesProof, ...]
    ranges: tuple[RangeProof, ...]
    receipts: tuple[ReceiptsProof, ...]
    transactions: tuple[TransactionProof, ...]


class RowPage(Record):
    """Rows in key order; `cursor` continues after them and is empty at the end."""

    rows: tuple[tuple[bytes, bytes], ...]
    cursor: bytes


class SeriesPage(Record):
    """Entries of a series from `start` on."""

    size: int
    """Entries of the whole series."""
    start: int
    entries: tuple[bytes, ...]


class EventItem(Record):
    """One event, with where it stands."""

    height: int
    time_ms: int
    position: int
    """Of the receipt within its block."""
    operation: int
    transaction_id: bytes
    """Empty for events of a block's end."""
    event: bytes


class EventPage(Record):
    """Events of blocks from a height on; whole blocks, oldest first."""

    events: tuple[EventItem, ...]
    next_height: int
    """Where to go on."""


class BlockInfo(Record):
    """A block as it is kept."""

    header: bytes
    """Canonical bytes of the header record."""
    commit: bytes
    transactions: tuple[bytes, ...]
    receipts: tuple[bytes, ...]


class Connection(Protocol):
    """A node, in this process or behind a server."""

    def head(self) -> HeadInfo:
        """Return where the ledger stands."""
        ...

    def charter(self) -> bytes:
        """Return the charter file's bytes."""
        ...

    def health(self) -> Health:
        """Return how the node is."""
        ...

    def submit(self, raws: Sequence[bytes], *, wait_ms: int) -> list[Outcome]:
        """Submit transactions and return their outcomes when all are final.

        Raises:
            TimedOutError: They were taken, but not all were final within `wait_ms`.
        """
        ...

    def receipt(self, transaction_id: bytes) -> Outcome | None:
        """Return what became of a transaction, or None if no block holds it."""
        ...

    def row(self, key: bytes) -> bytes | None:
        """Return the state row at `key` after the last block."""
        ...

    def rows(self, prefix: bytes, *, cursor: bytes, limit: int) -> RowPage:
        """Return state rows under a prefix, in key order."""
        ...

    def series(self, key: bytes, *, start: int, limit: int) -> SeriesPage:
        """Return entries of the series with head key `key`."""
        ...

    def prove(self, request: ProofRequest) -> Proofs:
        """Return proofs from one head."""
        ...

    def events(self, from_height: int, *, limit: int, wait_ms: int) -> EventPage:
        """Return events of blocks from a height on, waiting for a newer block if there is none."""
        ...

    def block(self, height: int) -> BlockInfo:
        """Return the block at a height."""
        ...

    def next_sequence(self, sender: bytes, lane: int) -> int:
        """Return the sequence number that a lane's next transaction must have."""
        ...
