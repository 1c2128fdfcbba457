"""Receipts: what became of a transaction, kept for ever and committed to by the next header."""

from collections.abc import Sequence

from cairn.primitives.encoding import Decoder, Record, encode
from cairn.primitives.hashes import Digest
from cairn.primitives.merkle import leaf_hash, root_of

OK = "ok"
OPERATION_REFUSED = "ledger/operation_refused"
"""Code of an atomic transaction of which one operation was refused: nothing was changed."""
UNDONE = "ledger/undone"
"""Code of an operation undone, or not tried, because another of its transaction was refused."""

RESULT_OK = 0
RESULT_REFUSED = 1
RESULT_NOT_ADMITTED = 2


class OperationReceipt(Record):
    """Outcome of one operation."""

    code: str
    """`ok` or the code of the refusal."""
    events: tuple[bytes, ...]
    """Encoded events: those that explain its verdict, then its own if it took effect."""


class Receipt(Record):
    """Outcome of an admitted transaction, or of the work at a block's end (then ids are empty)."""

    transaction_id: bytes
    raw_hash: bytes
    code: str
    """`ok` if every operation took effect (mode 0) or the transaction ran (mode 1)."""
    operations: tuple[OperationReceipt, ...]
    cost: int
    fee: int


class NotAdmitted(Record):
    """Fixed result of a transaction that changed nothing, not even its sender's sequence."""

    code: str


class Result(Record):
    """What the next header's results hash covers of one receipt, in CometBFT's terms."""

    code: int
    data: bytes
    """Merkle leaf hash of the receipt's bytes."""
    cost: int


RECEIPT_DECODER: Decoder[Receipt] = Decoder(Receipt)


def receipts_root(receipts: Sequence[bytes]) -> Digest:
    """Return the RFC 6962 root over the receipts' bytes."""
    return root_of([leaf_hash(raw) for raw in receipts])


def not_admitted(code: str) -> bytes:
    """Return the receipt bytes of a transaction that was not admitted."""
    return encode(NotAdmitted(code))
