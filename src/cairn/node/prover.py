"""Makes proofs from one consistent view: a proving header and the state that its AppHash opens to.

The header of height H + 1 commits to the application hash after block H, so a proof of what holds
after H carries that header. Nothing here is trusted: a wrong proof is refused by its verifier.
"""

from collections.abc import Callable
from dataclasses import dataclass

from cairn.engine.base import LogEntry
from cairn.evidence.proofs import (
    ConsistencyProof,
    HeadProof,
    HistoryProof,
    RangeProof,
    ReceiptProof,
    ReceiptsProof,
    SeriesProof,
    StateProof,
    TransactionProof,
)
from cairn.ledger.changes import StateReader
from cairn.ledger.errors import Fault
from cairn.ledger.execution import LedgerHead, block_index_key, transaction_index_key
from cairn.ledger.records import (
    ENTRY_DECODER,
    HEAD_DECODER,
    HISTORY,
    leaf_key,
    node_key,
)
from cairn.node.errors import BadRangeError, NotFoundError, NotProvableYetError
from cairn.primitives import trie
from cairn.primitives.hashes import Digest
from cairn.primitives.light import (
    Commit,
    Header,
    ValidatorSet,
    header_time_ms,
    transaction_leaf_hash,
)
from cairn.primitives.merkle import (
    NodeReader,
    consistency_proof,
    frontier_at,
    inclusion_proof,
    inclusion_proof_of,
    leaf_hash,
    range_proof,
    range_proof_of,
)

ENTRIES_MAX = 100_000
"""Most entries in one range proof; a longer period is proved in parts."""


@dataclass(frozen=True, slots=True)
class ProvingView:
    """The state after block H, and header H + 1 that commits to it; it does not change."""

    reader: StateReader
    head: LedgerHead
    """Where the ledger stood after block H."""
    header: Header
    """Header of height H + 1."""
    commit: Commit
    validators: ValidatorSet
    entry: Callable[[int], LogEntry]
    """Returns the log entry of a height up to H."""
    release: Callable[[], None]
    """To be called when the view is not needed any more."""
    cosigned_checkpoint: bytes = b""
    """Signed note of this header with witnesses' lines, or empty."""

    @property
    def time_ms(self) -> int:
        """Time of the proving header: facts hold as of it."""
        return header_time_ms(self.header)


def prove_head(view: ProvingView, *, extends_size: int | None = None) -> HeadProof:
    """Return the proof of the view's head.

    Args:
        view: Where to prove from.
        extends_size: Size of a history that the verifier trusts, if its extension is to be shown.

    Raises:
        BadRangeError: The history is smaller than `extends_size`.
    """
    history = view.head.history
    consistency = None
    if extends_size is not None:
        if not 0 <= extends_size <= history.size:
            raise BadRangeError(f"a history of {history.size} blocks has no size {extends_size}")
        if 0 < extends_size < history.size:
            consistency = _consistency(view, extends_size)
    return HeadProof(
        view.header,
        view.commit,
        view.validators,
        view.head.state_root,
        history.size,
        history.root(),
        view.cosigned_checkpoint,
        consistency,
    )


def _consistency(view: ProvingView, old_size: int) -> ConsistencyProof:
    nodes = _nodes(view, HISTORY)
    path = consistency_proof(old_size, view.head.history.size, nodes)
    return ConsistencyProof(old_size, frontier_at(old_size, nodes).root(), path)


def prove_state(view: ProvingView, key: bytes) -> StateProof:
    """Return the proof of the row at `key`, or of its absence."""
    return StateProof(key, view.reader.get(key), trie.prove(view.reader.trie_node, key))


def prove_series(view: ProvingView, key: bytes, start: int, end: int) -> SeriesProof:
    """Return the proof of the entries [start, end) of the series with head key `key`.

    Raises:
        BadRangeError: The range is empty or not within the series, or too long.
    """
    head = prove_state(view, key)
    size = 0 if head.value is None else HEAD_DECODER.decode(head.value).size
    if not 0 <= start < end <= size:
        raise BadRangeError(f"no entries from {start} to {end} in a series of {size}")
    return _series(view, head, start, end, size)


def prove_range(view: ProvingView, key: bytes, from_ms: int, until_ms: int) -> RangeProof:
    """Return the proof that the entries of a series in [from_ms, until_ms) are all there are.

    With `from_ms` equal to `until_ms` it shows the neighbours alone: what was newest at a time.

    Raises:
        BadRangeError: The range ends before it begins, or has too many entries.
        NotProvableYetError: The range ends after the view's header; prove from a later one.
    """
    if not 0 <= from_ms <= until_ms:
        raise BadRangeError("the range ends before it begins")
    if until_ms > view.time_ms:
        raise NotProvableYetError(
            f"the range ends at {until_ms}, the newest header is of {view.time_ms}"
        )
    head = prove_state(view, key)
    if head.value is None:
        return RangeProof(from_ms, until_ms, SeriesProof(head, 0, (), ()))
    size = HEAD_DECODER.decode(head.value).size
    first = _first_at_or_after(view, key, size, from_ms)
    last = _first_at_or_after(view, key, size, until_ms)
    start, end = max(0, first - 1), min(size, last + 1)
    return RangeProof(from_ms, until_ms, _series(view, head, start, end, size))


def prove_block(view: ProvingView, height: int) -> HistoryProof:
    """Return the proof that a block is in the history.

    Raises:
        NotFoundError: It had no transactions and changed nothing, or there is no such block.
        NotProvableYetError: It is newer than what the view's header commits to.
    """
    place = view.reader.index(block_index_key(height))
    if height > view.head.height:
        raise NotProvableYetError(f"block {height} is not proved by a header yet")
    if place is None:
        raise NotFoundError(f"block {height} is not in the history")
    index, size = int.from_bytes(place, "big"), view.head.history.size
    leaf = view.reader.leaf(leaf_key(HISTORY, index))
    if leaf is None:
        raise Fault(f"history leaf {index} is missing")
    return HistoryProof(leaf, index, inclusion_proof(index, size, _nodes(view, HISTORY)))


def prove_receipts(view: ProvingView, height: int, start: int, end: int) -> ReceiptsProof:
    """Return the proof of the receipts [start, end) of a block; the block end's is the last.

    Raises:
        NotFoundError, NotProvableYetError: As `prove_block`.
        BadRangeError: The block has no such receipts.
    """
    history = prove_block(view, height)
    receipts = view.entry(height).receipts
    if not 0 <= start < end <= len(receipts):
        raise BadRangeError(f"no receipts from {start} to {end} in a block of {len(receipts)}")
    path = range_proof_of([leaf_hash(raw) for raw in receipts], start, end)
    return ReceiptsProof(history, start, receipts[start:end], path)


def prove_transaction(view: ProvingView, transaction_id: bytes) -> TransactionProof:
    """Return the proof of a transaction and its receipt.

    Raises:
        NotFoundError: No block holds it.
        NotProvableYetError: Its block is newer than what the view's header commits to.
    """
    place = view.reader.index(transaction_index_key(transaction_id))
    if place is None:
        raise NotFoundError(f"no block holds transaction {transaction_id.hex()}")
    height, position = place_of(place)
    history = prove_block(view, height)
    entry = view.entry(height)
    receipt_leaves = [leaf_hash(raw) for raw in entry.receipts]
    leaves = [transaction_leaf_hash(raw) for raw in entry.transactions]
    return TransactionProof(
        ReceiptProof(
            history,
            position,
            entry.receipts[position],
            inclusion_proof_of(receipt_leaves, position),
        ),
        entry.transactions[position],
        inclusion_proof_of(leaves, position),
    )


def prove_extension(view: ProvingView, old_size: int) -> tuple[bytes, ...]:
    """Return the proof that the view's history extends the one of `old_size` blocks."""
    return consistency_proof(old_size, view.head.history.size, _nodes(view, HISTORY))


def place_of(raw: bytes) -> tuple[int, int]:
    """Return height and position from a transaction's look-up row."""
    return int.from_bytes(raw[:8], "big"), int.from_bytes(raw[8:], "big")


def _series(view: ProvingView, head: StateProof, start: int, end: int, size: int) -> SeriesProof:
    if end - start > ENTRIES_MAX:
        raise BadRangeError(f"{end - start} entries, more than {ENTRIES_MAX} in one proof")
    entries = tuple(_entry(view, head.key, position) for position in range(start, end))
    path = range_proof(start, end, size, _nodes(view, head.key))
    return SeriesProof(head, start, entries, path)


def _first_at_or_after(view: ProvingView, key: bytes, size: int, time_ms: int) -> int:
    """Return the position of the first entry of at least `time_ms`, `size` if there is none."""
    low, high = 0, size
    while low < high:
        middle = (low + high) // 2
        if ENTRY_DECODER.decode(_entry(view, key, middle)).time_ms < time_ms:
            low = middle + 1
        else:
            high = middle
    return low


def _entry(view: ProvingView, key: bytes, position: int) -> bytes:
    raw = view.reader.leaf(leaf_key(key, position))
    if raw is None:
        raise Fault(f"entry {position} of a series is missing")
    return raw


def _nodes(view: ProvingView, tree: bytes) -> NodeReader:
    """Return the reader of a tree's nodes; leaf hashes are kept as nodes of level 0."""

    def read(level: int, index: int) -> Digest:
        raw = view.reader.node(node_key(tree, level, index))
        if raw is None:
            raise Fault(f"node {level}/{index} of a tree is missing")
        return Digest(raw)

    return read
