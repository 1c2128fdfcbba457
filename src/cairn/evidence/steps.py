"""Steps 3, 4, 6 and 7 of verification: from a trust file to proved facts, meaning left aside.

Each function takes what is already proved and returns what follows from it, or raises the named
error. The steps are those of docs/reference/evidence.md.
"""

from itertools import pairwise

from cairn.evidence.bundle import Bundle, ForkClaim
from cairn.evidence.errors import (
    AppHashError,
    CheckpointConflictError,
    CheckpointUnprovenError,
    ClaimError,
    HeaderNotCommittedError,
    HistoryProofError,
    IncompleteRangeError,
    MalformedBundleError,
    ReceiptProofError,
    SeriesProofError,
    SignatureError,
    StateProofError,
    SurplusError,
    TransactionProofError,
)
from cairn.evidence.facts import (
    VerifiedFacts,
    VerifiedHead,
    VerifiedRange,
    VerifiedReceipt,
    VerifiedSeries,
    VerifiedTransaction,
    name_of,
)
from cairn.evidence.proofs import (
    HeadProof,
    HistoryProof,
    RangeProof,
    ReceiptProof,
    ReceiptsProof,
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
    SeriesHead,
    application_hash,
    entry_hash,
)
from cairn.ledger.transactions import decode_envelope, raw_hash, signing_bytes, transaction_id
from cairn.primitives.encoding import Decoder, NonCanonicalError
from cairn.primitives.errors import PrimitiveError, ProofError
from cairn.primitives.light import (
    FLAG_COMMIT,
    header_time_ms,
    transaction_leaf_hash,
    verify_header,
)
from cairn.primitives.merkle import (
    SIZE_MAX,
    leaf_hash,
    verify_consistency,
    verify_inclusion,
    verify_range,
)
from cairn.primitives.signatures import PublicKey, verify
from cairn.primitives.trie import verify_absence, verify_presence

_NOT_ADMITTED: Decoder[NotAdmitted] = Decoder(NotAdmitted)


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
    if not 0 <= proof.history_size <= SIZE_MAX:
        raise AppHashError(f"a history of size {proof.history_size}")
    if header_time_ms(proof.header) < 0:
        raise HeaderNotCommittedError("the header is from before 1970")
    opened = application_hash(proof.state_root, proof.history_size, proof.history_root)
    if opened != proof.header.app_hash:
        raise AppHashError(
            f"header {proof.header.height} carries another application hash than the one opened"
        )
    members = zip(proof.validators.validators, proof.commit.signatures, strict=True)
    return VerifiedHead(
        proof.header.height - 1,
        header_time_ms(proof.header),
        block_hash,
        proof.state_root,
        proof.history_size,
        proof.history_root,
        sum(m.voting_power for m, entry in members if entry.block_id_flag == FLAG_COMMIT),
        sum(member.voting_power for member in proof.validators.validators),
    )


def verify_fork(claim: ForkClaim, head: VerifiedHead, trust: Trust) -> None:
    """Check that the trusted validators signed the claim's header as well as the bundle's.

    Raises:
        HeaderNotCommittedError: They did not.
        ClaimError: It is the same block, of another height, or the smaller of the two.
    """
    try:
        other = verify_header(trust.chain_id, claim.header, claim.commit, trust.validators)
    except PrimitiveError as error:
        raise HeaderNotCommittedError(f"the other header: {error}") from error
    if claim.header.height != head.height + 1:
        raise ClaimError("the two headers are of different heights")
    if other <= head.block_hash:
        raise ClaimError("the two headers are one, or in the wrong order")


def verify_extension(proof: HeadProof, head: VerifiedHead) -> None:
    """Check that the history extends the older one that the bundle names, if it does (step 6).

    Raises:
        CheckpointConflictError: It does not, or the sizes cannot be.
    """
    older = proof.consistency
    if older is None:
        return
    if not 0 < older.old_size < head.history_size:
        raise CheckpointConflictError(
            f"a history of {head.history_size} blocks is said to extend one of {older.old_size}"
        )
    try:
        verify_consistency(
            older.old_root, older.old_size, head.history_root, head.history_size, older.path
        )
    except ProofError as error:
        raise CheckpointConflictError(f"the history does not extend it: {error}") from error


def verify_checkpoint(proof: HeadProof, head: VerifiedHead, trust: Trust) -> None:
    """Check the head against the checkpoint that the trust file holds, if any (step 6).

    `verify_extension` has checked the older history that the proof names.

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
    if head.history_size < checkpoint.history_size:
        raise CheckpointConflictError(
            f"the history is cut short: {head.history_size} blocks, the checkpoint has "
            f"{checkpoint.history_size}"
        )
    if head.history_size == checkpoint.history_size:
        if head.history_root != checkpoint.history_root:
            raise CheckpointConflictError("another history of the same size is signed too")
        return
    older = proof.consistency
    if older is None or older.old_size != checkpoint.history_size:
        raise CheckpointUnprovenError(
            f"no proof that the history extends the checkpoint's {checkpoint.history_size} blocks"
        )
    if older.old_root != checkpoint.history_root:
        raise CheckpointConflictError("the history extends another one than the checkpoint's")


def verify_facts(bundle: Bundle, head: VerifiedHead) -> VerifiedFacts:
    """Return every fact that the bundle carries, proved from the head (step 7, a to f).

    Raises:
        EvidenceError: One of them does not follow, by its class.
    """
    facts = VerifiedFacts(head, bundle.chain_id)
    for state in bundle.states:
        facts.states[state.key] = verify_state(state, head)
    for series in bundle.series:
        facts.series[series.head.key] = verify_series(series, head)
    for complete in bundle.ranges:
        facts.ranges[complete.series.head.key] = verify_complete(complete, head)
    for run in bundle.receipts:
        for verified in verify_receipts(run, head):
            if verified.receipt is None or not verified.receipt.transaction_id:
                raise SurplusError(f"receipt {verified.position} is of no admitted transaction")
            if verified.receipt.transaction_id in facts.receipts:
                raise SurplusError("a receipt is given twice")
            facts.receipts[verified.receipt.transaction_id] = verified
    _check_runs_are_whole(bundle.receipts)
    for proof in bundle.transactions:
        transaction = verify_transaction(proof, head)
        facts.transactions[transaction.id] = transaction
    facts.disclosures.extend(bundle.rows)
    return facts


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
    except PrimitiveError as error:
        raise StateProofError(f"{name_of(proof.key)}: {error}") from error
    return proof.value


def verify_series(proof: SeriesProof, head: VerifiedHead) -> VerifiedSeries:
    """Return a contiguous run of a series' entries (step 7b).

    Raises:
        StateProofError: The series' head does not follow from the state root.
        SeriesProofError: The entries do not follow from the series' head.
    """
    value = verify_state(proof.head, head)
    name = name_of(proof.head.key)
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
    if times != sorted(times) or times[0] < 0 or times[-1] > series.last_time_ms:
        raise SeriesProofError(f"{name}: entries go back in time")
    return VerifiedSeries(proof.head.key, series.size, proof.start, entries)


def verify_complete(proof: RangeProof, head: VerifiedHead) -> VerifiedRange:
    """Return every entry of a series in a range of time (step 7c).

    Raises:
        StateProofError, SeriesProofError: As `verify_series`.
        IncompleteRangeError: The range ends after the proving header, a neighbour is missing, or
            more than the one neighbour is given.
    """
    series = verify_series(proof.series, head)
    name = name_of(series.key)
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
    if len(before) > 1 or len(after) > 1:
        raise IncompleteRangeError(f"{name}: more entries outside the range than its neighbours")
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
    run = ReceiptsProof(proof.history, proof.position, (proof.receipt,), proof.receipt_path)
    return verify_receipts(run, head)[0]


def verify_receipts(proof: ReceiptsProof, head: VerifiedHead) -> list[VerifiedReceipt]:
    """Return a contiguous run of a block's receipts (step 7e).

    Raises:
        HistoryProofError: As `verify_block`.
        ReceiptProofError: The receipts do not follow from the block's receipts root.
    """
    block = verify_block(proof.history, head)
    try:
        hashes = [leaf_hash(raw) for raw in proof.receipts]
        verify_range(block.receipts_root, block.receipt_count, proof.start, hashes, proof.path)
        return [
            VerifiedReceipt(block, proof.start + offset, raw, _decode_receipt(raw))
            for offset, raw in enumerate(proof.receipts)
        ]
    except PrimitiveError as error:
        raise ReceiptProofError(
            f"receipts from {proof.start} of block {block.height}: {error}"
        ) from error


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
    return VerifiedTransaction(identity, envelope, block, verified.position, receipt)


def _check_runs_are_whole(runs: tuple[ReceiptsProof, ...]) -> None:
    """Check that no two runs of receipts could be one."""
    for left, right in pairwise(runs):
        same_block = left.history.index == right.history.index
        if same_block and left.start + len(left.receipts) >= right.start:
            raise MalformedBundleError("two runs of a block's receipts could be one")


def _decode_receipt(raw: bytes) -> Receipt | None:
    """Return a receipt, or None for the fixed result of a transaction that was not admitted."""
    try:
        return RECEIPT_DECODER.decode(raw)
    except NonCanonicalError:
        _NOT_ADMITTED.decode(raw)
        return None
