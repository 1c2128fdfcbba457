"""What this package keeps of a block: what CometBFT handed over, and what came of it.

A header and its commit are not part of it: an application learns a block's hash, and the rest only
from CometBFT's own record, which any node's `signed_header` reads.
"""

from typing import Protocol

from cairn.engine.base import Outcome
from cairn.engine.errors import EngineFault
from cairn.ledger.changes import StateReader
from cairn.ledger.execution import BlockResult
from cairn.ledger.receipts import RECEIPT_DECODER, RESULT_NOT_ADMITTED, Result
from cairn.primitives.encoding import Decoder, Record

DECIDED_BLOCK_VERSION = 1


class Offence(Record):
    """Misbehaviour of a validator, as the block names it."""

    type: int
    """1 two votes in one round, 2 an attack on light clients."""
    address: bytes
    height: int
    time_ms: int


class DecidedBlock(Record):
    """One block in the log: all that is needed to execute it again and compare."""

    version: int
    height: int
    time_ms: int
    block_hash: bytes
    data_hash: bytes
    proposer_address: bytes
    next_validators_hash: bytes
    offences: tuple[Offence, ...]
    transactions: tuple[bytes, ...]
    invalid: tuple[int, ...]
    """Positions of the transactions whose signature does not verify."""
    receipts: tuple[bytes, ...]
    results: tuple[Result, ...]
    app_hash: bytes
    """Application hash after the block: what the next header carries."""


DECIDED_BLOCK_DECODER: Decoder[DecidedBlock] = Decoder(DecidedBlock)


class DecidedBlockKeeper(Protocol):
    """Where blocks are kept: the log first, then the state that follows from it."""

    def keep(self, block: DecidedBlock, result: BlockResult) -> None:
        """Append the block to the log, durably, then apply what it changes."""
        ...

    def reader(self) -> StateReader:
        """Return the state after the last block kept, for the thread that executes blocks."""
        ...

    def outcome(self, transaction_id: bytes) -> Outcome | None:
        """Return what became of a transaction that a kept block holds."""
        ...

    def row(self, key: bytes) -> bytes | None:
        """Return the state row at `key` after the last block kept, for any thread."""
        ...


def outcome_at(block: DecidedBlock, position: int, transaction_id: bytes) -> Outcome:
    """Return the outcome that a block records for the admitted transaction at `position`."""
    if block.results[position].code == RESULT_NOT_ADMITTED:
        raise EngineFault(f"block {block.height} did not admit what stands at {position}")
    receipt = block.receipts[position]
    code = RECEIPT_DECODER.decode_trusted(receipt).code
    return Outcome(transaction_id, code, block.height, position, block.time_ms, receipt)
