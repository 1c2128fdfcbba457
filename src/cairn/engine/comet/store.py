"""Keeps decided blocks in a ledger's store, and brings the state up to the last one at start."""

from cairn.engine.base import Outcome
from cairn.engine.comet.record import (
    DECIDED_BLOCK_DECODER,
    DECIDED_BLOCK_VERSION,
    DecidedBlock,
    outcome_at,
)
from cairn.ledger.changes import StateReader
from cairn.ledger.charter import Charter
from cairn.ledger.errors import DivergenceError
from cairn.ledger.execution import (
    Block,
    BlockResult,
    Ledger,
    LedgerHead,
    transaction_index_key,
)
from cairn.primitives.encoding import Decoder, NonCanonicalError, encode
from cairn.storage.errors import CorruptLogError
from cairn.storage.layers import LayeredReader
from cairn.storage.store import LedgerStore

HEAD_DECODER: Decoder[LedgerHead] = Decoder(LedgerHead)
HEIGHT_SIZE_BYTES = 8


class DecidedBlockStore:
    """A ledger's store as the application sees it."""

    def __init__(self, store: LedgerStore) -> None:
        """Keep blocks in `store`, which whoever opened it closes."""
        self._store = store

    def keep(self, block: DecidedBlock, result: BlockResult) -> None:
        """Append the block to the log, durably, then apply what it changes.

        Raises:
            StorageError: The disk refused; the block is not acknowledged.
        """
        self._store.append_block(block.height, encode(block))
        self._store.apply(block.height, result.changes, encode(result.head))
        self._store.maybe_checkpoint()

    def reader(self) -> StateReader:
        """Return the state after the last block, for the thread that executes blocks."""
        return self._store.reader

    def view(self) -> LayeredReader:
        """Return the state as it is now; close it after use."""
        return self._store.view()

    def block(self, height: int) -> DecidedBlock:
        """Return the block of a height that is in the log.

        Raises:
            CorruptLogError: It is damaged.
        """
        return _decode(height, self._store.block(height))

    def row(self, key: bytes) -> bytes | None:
        """Return the state row at `key` after the last block."""
        view = self._store.view()
        try:
            return view.get(key)
        finally:
            view.close()

    def outcome(self, transaction_id: bytes) -> Outcome | None:
        """Return what became of a transaction that a kept block holds."""
        view = self._store.view()
        try:
            place = view.index(transaction_index_key(transaction_id))
        finally:
            view.close()
        if place is None:
            return None
        height = int.from_bytes(place[:HEIGHT_SIZE_BYTES], "big")
        position = int.from_bytes(place[HEIGHT_SIZE_BYTES:], "big")
        return outcome_at(self.block(height), position, transaction_id)

    def restore(self, ledger: Ledger, charter: Charter, chain_id: str) -> LedgerHead:
        """Found the ledger if it is new, do again what its checkpoint lacks, and return its head.

        Raises:
            DivergenceError: A block came out differently than recorded.
            CorruptLogError: The log is damaged.
            Rejection: The modules do not accept the charter.
        """
        store = self._store
        if store.checkpoint_meta is None:
            founded = ledger.found(charter, chain_id, store.reader)
            store.apply(0, founded.changes, encode(founded.head))
            head = founded.head
        else:
            head = HEAD_DECODER.decode(store.checkpoint_meta)
        for height, payload in store.blocks(head.height + 1):
            block = _decode(height, payload)
            result = execute_again(ledger, head, store.reader, block)
            store.apply(height, result.changes, encode(result.head))
            store.maybe_checkpoint()
            head = result.head
        return head


def execute_again(
    ledger: Ledger, head: LedgerHead, reader: StateReader, block: DecidedBlock
) -> BlockResult:
    """Return what a recorded block does, after comparing it with the record.

    Raises:
        DivergenceError: A receipt, a result or the application hash is another one.
    """
    valid = [True] * len(block.transactions)
    for position in block.invalid:
        valid[position] = False
    ordered = Block(
        block.height,
        block.time_ms,
        block.block_hash,
        block.data_hash,
        [ledger.decode(raw) for raw in block.transactions],
        valid,
    )
    result = ledger.execute(head, reader, ordered)
    found = (tuple(result.receipts), tuple(result.results), result.head.app_hash)
    recorded = (block.receipts, block.results, block.app_hash)
    for name, one, other in zip(
        ("receipts", "results", "application hash"), found, recorded, strict=True
    ):
        if one != other:
            raise DivergenceError(f"block {block.height}: the {name} differ from the record")
    return result


def _decode(height: int, payload: bytes) -> DecidedBlock:
    try:
        block = DECIDED_BLOCK_DECODER.decode(payload)
    except NonCanonicalError as error:
        raise CorruptLogError(f"the entry is not a block: {error}", height=height) from error
    if block.version != DECIDED_BLOCK_VERSION:
        raise CorruptLogError(f"the block is of version {block.version}", height=height)
    return block
