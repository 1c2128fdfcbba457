"""The signed envelope: one signature over a body that carries one or many operations.

Signed are a domain prefix and the body's bytes exactly as sent, so nobody re-encodes what was
signed; the transaction's id is the hash of those same bytes.
"""

from collections.abc import Sequence
from typing import Annotated

from msgspec import Meta

from cairn.ledger.messages import Message, union_of
from cairn.ledger.records import AccountIdField, PublicKeyField
from cairn.primitives.encoding import Decoder, NonCanonicalError, Record, encode
from cairn.primitives.hashes import Digest, tagged_hash
from cairn.primitives.signatures import PublicKey, SigningKey

ENVELOPE_VERSION = 1
TRANSACTION_SIZE_BYTES_MAX = 65_536
LANES = 16
"""A sender submits in parallel on lanes 0 to 15, each with a sequence of its own."""

SIGNING_PREFIX = b"cairn transaction 1\n"
ATOMIC = 0
"""Mode 0: all operations or none."""
INDEPENDENT = 1
"""Mode 1: each operation stands alone; one refusal does not undo the others."""


class Transaction(Record):
    """The envelope `[version, body, key, signature]`."""

    version: int
    body: bytes
    key: PublicKeyField
    signature: Annotated[bytes, Meta(min_length=64, max_length=64)]


class Body(Record):
    """What is signed; `operations` is narrowed to the known messages by the registry's decoder."""

    chain_id: str
    sender: AccountIdField
    lane: Annotated[int, Meta(ge=0, lt=LANES)]
    sequence: Annotated[int, Meta(ge=1, le=2**53)]
    mode: Annotated[int, Meta(ge=0, le=1)]
    fee: Annotated[int, Meta(ge=0, le=2**53)]
    """Most that the sender pays, in units of the fee asset."""
    valid_until: Annotated[int, Meta(ge=1, le=2**53)]
    """Last height at which the transaction may enter a block."""
    operations: tuple[Message, ...]


def body_decoder(messages: Sequence[type[Message]]) -> Decoder[Body]:
    """Return the decoder of bodies whose operations are `messages` and no others."""
    annotations = {"operations": tuple[union_of(messages), ...]}  # type: ignore[misc]
    narrowed = {"__annotations__": annotations, "__module__": Body.__module__}
    return Decoder(type("Body", (Body,), narrowed))


TRANSACTION_DECODER: Decoder[Transaction] = Decoder(Transaction)


def transaction_id(body: bytes) -> Digest:
    """Return the id of the transaction with these body bytes."""
    return tagged_hash(b"cairn/transaction", body)


def raw_hash(raw: bytes) -> Digest:
    """Return the hash of a whole envelope as sent, which the receipt keeps beside the id."""
    return tagged_hash(b"cairn/envelope", raw)


def signing_bytes(body: bytes) -> bytes:
    """Return what the signature is over."""
    return SIGNING_PREFIX + body


def sign_transaction(body: Body, key: SigningKey) -> bytes:
    """Return the envelope's bytes, signed with `key`."""
    raw = encode(body)
    return encode(Transaction(ENVELOPE_VERSION, raw, key.public_key, key.sign(signing_bytes(raw))))


def decode_envelope(raw: bytes) -> Transaction:
    """Return the envelope that `raw` spells.

    Raises:
        NonCanonicalError: Too big, not canonical, or of another version.
    """
    if len(raw) > TRANSACTION_SIZE_BYTES_MAX:
        raise NonCanonicalError(f"{len(raw)} bytes, more than {TRANSACTION_SIZE_BYTES_MAX}")
    transaction = TRANSACTION_DECODER.decode(raw)
    if transaction.version != ENVELOPE_VERSION:
        raise NonCanonicalError(f"envelope version {transaction.version}")
    return transaction


def signature_triple(raw: bytes) -> tuple[bytes, bytes, bytes] | None:
    """Return `(key, message, signature)` of an envelope, or None if `raw` is not one.

    What worker processes check; it needs no knowledge of the messages.
    """
    try:
        transaction = decode_envelope(raw)
    except NonCanonicalError:
        return None
    return PublicKey(transaction.key), signing_bytes(transaction.body), transaction.signature
