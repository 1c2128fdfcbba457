"""What lies between a node and whoever orders its blocks: lists in, records out, no wire format.

An engine asks the application four things, in this order for each height: `check` what arrives,
`propose` transactions for a block, `finalize` the ordered block (compute, persist nothing) and
`commit` it (persist). The embedded engine orders blocks in this process; a replicated one (ABCI's
CheckTx, PrepareProposal, FinalizeBlock, Commit) fits the same four calls. The application may lag
behind the engine's record by any number of heights and must never lead it.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from cairn.ledger.execution import BlockResult
from cairn.ledger.receipts import Result
from cairn.primitives.encoding import Decoder, Record
from cairn.primitives.light import (
    BlockID,
    Commit,
    Header,
    PartSetHeader,
    TxResult,
    results_hash,
)

LOG_ENTRY_VERSION = 1


class Outcome(Record):
    """What became of a submitted transaction: a place in a block with a receipt, or a refusal."""

    transaction_id: bytes
    """Empty if the bytes are not a transaction."""
    code: str
    """The receipt's code, or why the transaction did not enter a block."""
    height: int
    """Height of the block that holds it, 0 if none does."""
    position: int
    """Position within the block."""
    time_ms: int
    """Time of the block."""
    receipt: bytes
    """The receipt's bytes, empty if no block holds the transaction."""


class LogEntry(Record):
    """One block in the log, the commit point: all that a node needs to do it again and compare."""

    version: int
    header: Header
    commit: Commit
    transactions: tuple[bytes, ...]
    invalid: tuple[int, ...]
    """Positions of the transactions whose signature does not verify."""
    receipts: tuple[bytes, ...]
    results: tuple[Result, ...]


LOG_ENTRY_DECODER: Decoder[LogEntry] = Decoder(LogEntry)


@dataclass(frozen=True, slots=True)
class OrderedBlock:
    """A block as an engine hands it to the application."""

    height: int
    time_ms: int
    block_hash: bytes
    data_hash: bytes
    transactions: Sequence[bytes]


@dataclass(frozen=True, slots=True)
class Chain:
    """What the engine needs to make the next header: the last block and what it led to."""

    chain_id: str
    header: Header | None
    """Header of the last block, None before the first."""
    commit: Commit | None
    results: tuple[Result, ...]
    """Results of the last block's transactions."""
    app_hash: bytes
    """Application hash after the last block: the next header carries it."""
    time_ms: int
    """Time of the last block, or of the charter."""

    @property
    def height(self) -> int:
        """Height of the last block, 0 before the first."""
        return 0 if self.header is None else self.header.height

    @property
    def is_proved(self) -> bool:
        """Whether the last header already commits to the newest application hash."""
        return self.header is not None and self.header.app_hash == self.app_hash


class Application(Protocol):
    """What an engine asks of the node."""

    def check(self, raws: Sequence[bytes]) -> list[str]:
        """Return for each transaction `ok`, or the code of why it may not wait for a block."""
        ...

    def propose(self) -> list[bytes]:
        """Return the transactions for the next block, in order; the others go on waiting."""
        ...

    def finalize(self, block: OrderedBlock) -> BlockResult:
        """Return what the block does; nothing of it is kept yet."""
        ...

    def commit(self, entry: LogEntry, result: BlockResult) -> None:
        """Make the finalized block durable, apply it, and answer whoever waits for it."""
        ...

    def pending_operations(self) -> int:
        """Return how many operations wait for a block."""
        ...

    def next_due_ms(self) -> int | None:
        """Return when end-of-block work falls due next, if any does."""
        ...

    def next_overdue_ms(self) -> int | None:
        """Return when a waiting transaction will have waited long enough for those before it."""
        ...

    def fail(self, error: Exception) -> None:
        """Answer everybody who waits, now and later, with an error: the engine has stopped."""
        ...


class Engine(Protocol):
    """Whoever orders blocks."""

    def start(self) -> None:
        """Begin to make blocks."""
        ...

    def stop(self) -> None:
        """Stop making blocks; the one under way is finished."""
        ...

    def wake(self) -> None:
        """Look again whether there is something to do."""
        ...

    def advance(self, time_ms: int, timeout_seconds: float) -> None:
        """Return once a header of at least `time_ms` commits to the newest application hash."""
        ...


class Clock(Protocol):
    """The time of day, as an argument."""

    def now_ms(self) -> int:
        """Return milliseconds since the epoch."""
        ...


def transaction_results_hash(results: Sequence[Result]) -> bytes:
    """Return what the next header commits to of a block's transactions.

    CometBFT has one result for each transaction; the receipt of end-of-block work is covered by
    the application hash alone.
    """
    hashed: list[TxResult] = [(result.code, result.data, 0, result.cost) for result in results]
    return results_hash(hashed)


def block_id_of(block_hash: bytes) -> BlockID:
    """Return the block id that an embedded engine's commit names: one part, the block itself."""
    return BlockID(block_hash, PartSetHeader(1, block_hash))
