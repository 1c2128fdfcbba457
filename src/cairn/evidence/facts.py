"""Steps 3 to 8 of verification: from a trust file to proved facts, meaning left aside.

Each function takes what is already proved and returns what follows from it, or raises the named
error. The steps are those of docs/reference/evidence.md.
"""

from dataclasses import dataclass, field
from typing import TypeVar

from cairn.evidence.errors import (
    AppHashError,
    CheckpointConflictError,
    CheckpointUnprovenError,
    ClaimError,
    HeaderNotCommittedError,
    HistoryProofError,
    IncompleteRangeError,
    ReceiptProofError,
    SeriesProofError,
    SignatureError,
    StateProofError,
    TransactionProofError,
)
from cairn.evidence.proofs import (
    HeadProof,
    HistoryProof,
    RangeProof,
    ReceiptProof,
    SeriesProof,
    StateProof,
    TransactionProof,
)
from cairn.evidence.trust import Trust
from cairn.ledger.receipts import RECEIPT_DECODER, NotAdmitted, Receipt
from cairn.ledger.records import (
    ENTRY_DECODER,
    HEAD_DECODER,
    HISTORY_DECODER,
    HistoryLeaf,
    KeyPart,
    SeriesEntry,
    SeriesHead,
    Table,
    application_hash,
    describe_key,
    entry_hash,
)
from cairn.ledger.transactions import (
    Transaction,
    decode_envelope,
    raw_hash,
    signing_bytes,
    transaction_id,
)
from cairn.primitives.encoding import Decoder, NonCanonicalError, Record
from cairn.primitives.errors import PrimitiveError, ProofError
from cairn.primitives.light import (
    header_time_ms,
    transaction_leaf_hash,
    verify_header,
)
from cairn.primitives.merkle import (
    leaf_hash,
    verify_consistency,
    verify_inclusion,
    verify_range,
)
from cairn.primitives.signatures import PublicKey, verify
from cairn.primitives.trie import verify_absence, verify_presence

RecordT = TypeVar("RecordT", bound=Record)

_NOT_ADMITTED: Decoder[NotAdmitted] = Decoder(NotAdmitted)


@dataclass(frozen=True, slots=True)
class VerifiedHead:
    """A proving header that the trusted validators committed, and what it opens to."""

    height: int
    """Height H of the block after which the facts hold; the header's is H + 1."""
    time_ms: int
    """The header's time: facts hold as of it."""
    block_hash: bytes
    """Hash of the proving header."""
    state_root: bytes
    history_size: int
    history_root: bytes


@dataclass(frozen=True, slots=True)
class VerifiedSeries:
    """A contiguous run of a series' entries, proved against the series' head."""

    key: bytes
    size: int
    start: int
    entries: tuple[SeriesEntry, ...]


@dataclass(frozen=True, slots=True)
class VerifiedRange:
    """Every entry of a series in [from_ms, until_ms), with the position of the first."""

    key: bytes
    from_ms: int
    until_ms: int
    start: int
    entries: tuple[SeriesEntry, ...]


@dataclass(frozen=True, slots=True)
class VerifiedReceipt:
    """A receipt that stands in a block of the history."""

    block: HistoryLeaf
    position: int
    raw: bytes
    receipt: Receipt | None
    """None if the transaction was not admitted."""


@dataclass(frozen=True, slots=True)
class VerifiedTransaction:
    """A signed transaction that stands in a block of the history, with its receipt."""

    id: bytes
    envelope: Transaction
    receipt: VerifiedReceipt


@dataclass(slots=True)
class VerifiedFacts:
    """Everything that a bundle's facts prove, by what it is looked up by."""

    head: VerifiedHead
    states: dict[bytes, bytes | None] = field(default_factory=dict)
    series: list[VerifiedSeries] = field(default_factory=list)
    ranges: list[VerifiedRange] = field(default_factory=list)
    receipts: list[VerifiedReceipt] = field(default_factory=list)
    transactions: dict[bytes, VerifiedTransaction] = field(default_factory=dict)

    def add_state(self, key: bytes, value: bytes | None) -> None:
        """Keep a proved row."""
        self.states[key] = value

    def row(self, table: Table[RecordT], *key: KeyPart) -> RecordT | None:
        """Return a proved row, or None for one that is proved absent.

        Raises:
            ClaimError: The bundle proves neither.
            StateProofError: The row's bytes are not a record of the table.
        """
        name = table.key(*key)
        if name not in self.states:
            raise ClaimError(f"the bundle does not prove {_name(name)}")
        raw = self.states[name]
        if raw is None:
            return None
        try:
            return table.decoder.decode(raw)
        except NonCanonicalError as error:
            raise StateProofError(f"{_name(name)}: {error}") from error

    def required_row(self, table: Table[RecordT], *key: KeyPart) -> RecordT:
        """Return a proved row.

        Raises:
            ClaimError: The bundle does not prove it, or proves that there is none.
        """
        row = self.row(table, *key)
        if row is None:
            raise ClaimError(f"there is no {_name(table.key(*key))}")
        return row

    def sentence(self) -> str:
        """Return the counts of what was proved, in words."""
        entries = sum(len(s.entries) for s in self.series) + sum(
            len(r.entries) for r in self.ranges
        )
        return (
            f"{len(self.transactions)} transactions, {len(self.receipts)} receipts, "
            f"{len(self.states)} rows and {entries} entries lead to the header"
        )


def verify_head(proof: HeadProof, trust: Trust) -> VerifiedHead:
    """Return what the proving header opens to (steps 3 and 4).

    Raises:
        HeaderNotCommittedError: It is not committed by the trusted validators.
        AppHashError: What is said to be under its application hash is not.
    """
    if proof.validators != trust.validators:
        raise HeaderNotCommittedError("the validators are not those of the trust file")
    try:
        block_hash = verify_header(trust.chain_id, proof.header, proof.commit, proof.validators)
    except PrimitiveError as error:
        raise HeaderNotCommittedError(str(error)) from error
    if not 0 <= proof.history_size < 2**63:
        raise AppHashError(f"a history of size {proof.history_size}")
    opened = application_hash(proof.state_root, proof.history_size, proof.history_root)
    if opened != proof.header.app_hash:
        raise AppHashError(
            f"header {proof.header.height} carries another application hash than the one opened"
        )
    return VerifiedHead(
        proof.header.height - 1,
        header_time_ms(proof.header),
        block_hash,
        proof.state_root,
        proof.history_size,
        proof.history_root,
    )


def verify_checkpoint(proof: HeadProof, head: VerifiedHead, trust: Trust) -> None:
    """Check the head against the checkpoint that the trust file holds, if any (step 6).

    Raises:
        CheckpointConflictError: The two contradict each other.
        CheckpointUnprovenError: The bundle does not show that its history extends the checkpoint's.
    """
    checkpoint = trust.checkpoint
    if checkpoint is None:
        return
    header_height = head.height + 1
    if header_height == checkpoint.height and head.block_hash != checkpoint.block_hash:
        raise CheckpointConflictError(f"another block at height {header_height} is signed too")
    if header_height < checkpoint.height:
        raise CheckpointUnprovenError(
            f"the bundle proves from height {header_height}, before the checkpoint's "
            f"{checkpoint.height}"
        )
    if head.history_size == checkpoint.history_size:
        if head.history_root != checkpoint.history_root:
            raise CheckpointConflictError("another history of the same size is signed too")
        return
    consistency = proof.consistency
    if consistency is None or consistency.old_size != checkpoint.history_size:
        raise CheckpointUnprovenError(
            f"no proof that the history extends the checkpoint's {checkpoint.history_size} blocks"
        )
    try:
        verify_consistency(
            checkpoint.history_root,
            checkpoint.history_size,
            head.history_root,
            head.history_size,
            consistency.path,
        )
    except ProofError as error:
        raise CheckpointConflictError(f"the history does not extend it: {error}") from error


def verify_state(proof: StateProof, head: VerifiedHead) -> bytes | None:
    """Return the value of a row, None for one that is absent (step 7a).

    Raises:
        StateProofError: The proof does not lead to the state root.
    """
    try:
        if proof.value is None:
            verify_absence(head.state_root, proof.key, proof.proof)
        else:
            verify_presence(head.state_root, proof.key, proof.value, proof.proof)
    except ProofError as error:
        raise StateProofError(f"{_name(proof.key)}: {error}") from error
    return proof.value


def verify_series(proof: SeriesProof, head: VerifiedHead) -> VerifiedSeries:
    """Return a contiguous run of a series' entries (step 7b).

    Raises:
        StateProofError: The series' head does not follow from the state root.
        SeriesProofError: The entries do not follow from the series' head.
    """
    value = verify_state(proof.head, head)
    name = _name(proof.head.key)
    if value is None:
        if proof.entries or proof.path or proof.start:
            raise SeriesProofError(f"{name}: entries of a series that has none")
        return VerifiedSeries(proof.head.key, 0, 0, ())
    try:
        series: SeriesHead = HEAD_DECODER.decode(value)
        hashes = [entry_hash(raw) for raw in proof.entries]
        verify_range(series.root, series.size, proof.start, hashes, proof.path)
        entries = tuple(ENTRY_DECODER.decode(raw) for raw in proof.entries)
    except PrimitiveError as error:
        raise SeriesProofError(f"{name}: {error}") from error
    times = [entry.time_ms for entry in entries]
    if times != sorted(times) or (times and times[-1] > series.last_time_ms):
        raise SeriesProofError(f"{name}: entries go back in time")
    return VerifiedSeries(proof.head.key, series.size, proof.start, entries)


def verify_complete(proof: RangeProof, head: VerifiedHead) -> VerifiedRange:
    """Return every entry of a series in a range of time (step 7c).

    Raises:
        StateProofError, SeriesProofError: As `verify_series`.
        IncompleteRangeError: The range ends after the proving header, or a neighbour is missing.
    """
    series = verify_series(proof.series, head)
    name = _name(series.key)
    if not 0 <= proof.from_ms <= proof.until_ms:
        raise IncompleteRangeError(f"{name}: the range ends before it begins")
    if proof.until_ms > head.time_ms:
        raise IncompleteRangeError(f"{name}: the range ends after the proving header's time")
    inside = [e for e in series.entries if proof.from_ms <= e.time_ms < proof.until_ms]
    before = [e for e in series.entries if e.time_ms < proof.from_ms]
    after = [e for e in series.entries if e.time_ms >= proof.until_ms]
    if not before and series.start > 0:
        raise IncompleteRangeError(f"{name}: the entry before the range is not shown")
    if not after and series.start + len(series.entries) < series.size:
        raise IncompleteRangeError(f"{name}: the entry after the range is not shown")
    return VerifiedRange(
        series.key, proof.from_ms, proof.until_ms, series.start + len(before), tuple(inside)
    )


def verify_block(proof: HistoryProof, head: VerifiedHead) -> HistoryLeaf:
    """Return a block's leaf in the history (step 7d).

    Raises:
        HistoryProofError: The leaf does not follow from the history's root.
    """
    try:
        verify_inclusion(
            head.history_root, head.history_size, proof.index, leaf_hash(proof.leaf), proof.path
        )
        return HISTORY_DECODER.decode(proof.leaf)
    except PrimitiveError as error:
        raise HistoryProofError(f"block at position {proof.index}: {error}") from error


def verify_receipt(proof: ReceiptProof, head: VerifiedHead) -> VerifiedReceipt:
    """Return a receipt of a block (step 7e).

    Raises:
        HistoryProofError: As `verify_block`.
        ReceiptProofError: The receipt does not follow from the block's receipts root.
    """
    block = verify_block(proof.history, head)
    try:
        verify_inclusion(
            block.receipts_root,
            block.receipt_count,
            proof.position,
            leaf_hash(proof.receipt),
            proof.receipt_path,
        )
        receipt = _decode_receipt(proof.receipt)
    except PrimitiveError as error:
        raise ReceiptProofError(
            f"receipt {proof.position} of block {block.height}: {error}"
        ) from error
    return VerifiedReceipt(block, proof.position, proof.receipt, receipt)


def verify_transaction(proof: TransactionProof, head: VerifiedHead) -> VerifiedTransaction:
    """Return a signed transaction of a block and its receipt (step 7f).

    Whether the key spoke for the sender is for step 8, from the state.

    Raises:
        HistoryProofError, ReceiptProofError: As `verify_receipt`; or the receipt is another
            transaction's.
        TransactionProofError: The transaction does not follow from the block's data hash.
        SignatureError: Its signature does not verify.
    """
    verified = verify_receipt(proof.receipt, head)
    block = verified.block
    where = f"transaction {proof.receipt.position} of block {block.height}"
    try:
        verify_inclusion(
            block.data_hash,
            block.transaction_count,
            proof.receipt.position,
            transaction_leaf_hash(proof.raw),
            proof.data_path,
        )
        envelope = decode_envelope(proof.raw)
    except PrimitiveError as error:
        raise TransactionProofError(f"{where}: {error}") from error
    try:
        verify(PublicKey(envelope.key), signing_bytes(envelope.body), envelope.signature)
    except PrimitiveError as error:
        raise SignatureError(f"{where}: {error}") from error
    identity = transaction_id(envelope.body)
    receipt = verified.receipt
    if receipt is None:
        raise ReceiptProofError(f"{where} was not admitted: it changed nothing")
    if receipt.transaction_id != identity or receipt.raw_hash != raw_hash(proof.raw):
        raise ReceiptProofError(f"{where}: the receipt belongs to another transaction")
    return VerifiedTransaction(identity, envelope, verified)


def _decode_receipt(raw: bytes) -> Receipt | None:
    """Return a receipt, or None for the fixed result of a transaction that was not admitted."""
    try:
        return RECEIPT_DECODER.decode(raw)
    except NonCanonicalError:
        _NOT_ADMITTED.decode(raw)
        return None


def _name(key: bytes) -> str:
    """Return a row key as people read it; a key that is none is shown in hex."""
    try:
        return describe_key(key)
    except NonCanonicalError:
        return key.hex()
