"""The proofs that bundles are made of: records only, whoever makes or checks them.

Everything hangs on one proving header. The header of height H + 1 carries AppHash(H), which opens
to the state root, and the history's size and root, after block H. From there lead trie proofs to
state rows, from rows that are series heads to their entries, and from the history to any block's
transactions and receipts, however old.
"""

from cairn.primitives.encoding import Record
from cairn.primitives.light import Commit, Header, ValidatorSet
from cairn.primitives.trie import TrieProof


class ConsistencyProof(Record):
    """Shows that the history at the head extends the one of `old_size` blocks.

    It is a fact of its own, whoever trusts that older history: 0 < `old_size` < the head's size.
    """

    old_size: int
    old_root: bytes
    path: tuple[bytes, ...]


class HeadProof(Record):
    """The proving header, its commit and what its application hash opens to."""

    header: Header
    commit: Commit
    validators: ValidatorSet
    state_root: bytes
    history_size: int
    history_root: bytes
    cosigned_checkpoint: bytes
    """Signed note (C2SP tlog-checkpoint) of this very head, or empty.

    It carries one cosignature line of each witness, sorted by name, and no other line.
    """
    consistency: ConsistencyProof | None
    """With a checkpoint that the verifier already trusts, where one was asked for."""


class StateProof(Record):
    """A row of the state, or its absence, after block H."""

    key: bytes
    value: bytes | None
    """The row's canonical bytes; None says that there is no row."""
    proof: TrieProof


class SeriesProof(Record):
    """A contiguous run of a series' entries."""

    head: StateProof
    """The row that holds the series' size, root and last time; absent if it has no entry."""
    start: int
    """Position of the first entry given."""
    entries: tuple[bytes, ...]
    """Bytes of the entries, in order."""
    path: tuple[bytes, ...]


class RangeProof(Record):
    """Every entry of a series with `from_ms` <= time < `until_ms`, and nothing else.

    The run includes the neighbour just outside on each side where there is one; a run that begins
    at position 0 or ends at the series' size needs none there. `until_ms` is at most the proving
    header's time.
    """

    from_ms: int
    until_ms: int
    series: SeriesProof


class HistoryProof(Record):
    """One block's leaf in the history."""

    leaf: bytes
    """Canonical bytes of a `HistoryLeaf`."""
    index: int
    path: tuple[bytes, ...]


class ReceiptProof(Record):
    """A receipt of a block: of the transaction at `position`, or of the block's end (the last)."""

    history: HistoryProof
    position: int
    receipt: bytes
    receipt_path: tuple[bytes, ...]


class ReceiptsProof(Record):
    """A contiguous run of a block's receipts, under one path: what a period consists of."""

    history: HistoryProof
    start: int
    """Position of the first receipt given."""
    receipts: tuple[bytes, ...]
    path: tuple[bytes, ...]


class TransactionProof(Record):
    """A transaction as it stands in a block, and its receipt."""

    receipt: ReceiptProof
    raw: bytes
    """The envelope as it was sent."""
    data_path: tuple[bytes, ...]
    """Path to the block's data hash, over SHA-256 of each transaction (CometBFT)."""
