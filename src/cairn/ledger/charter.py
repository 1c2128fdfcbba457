"""The charter: the canonical file, signed by its founders, from which a ledger begins.

Its digest ends the chain id, so that whoever knows the id can check the charter, and no two
charters share a ledger's name.
"""

from base64 import b32encode
from typing import Annotated

from msgspec import Meta

from cairn.ledger.records import NameField, PublicKeyField, TimeMsField
from cairn.primitives.encoding import Decoder, NonCanonicalError, Record, encode
from cairn.primitives.errors import InvalidSignatureError
from cairn.primitives.hashes import Digest, tagged_hash
from cairn.primitives.signatures import PublicKey, SigningKey, verify

CHARTER_VERSION = 1
CHARTER_SIZE_BYTES_MAX = 1_048_576
SIGNING_PREFIX = b"cairn charter 1\n"


class CharterValidator(Record):
    """A key that signs blocks, and its share of the voting power."""

    name: NameField
    key: PublicKeyField
    power: Annotated[int, Meta(ge=1, le=2**40)]


class Charter(Record):
    """What the founders agree on before the first block."""

    version: int
    name: Annotated[str, Meta(min_length=1, max_length=17, pattern=r"^[a-z0-9][a-z0-9-]*\Z")]
    time_ms: TimeMsField
    """Founding time; the first block is later."""
    purpose: Annotated[str, Meta(max_length=2000)]
    """In words, for people."""
    validators: tuple[CharterValidator, ...]
    trusting_period_ms: Annotated[int, Meta(ge=60_000, le=2**53)]
    """How long after its time a header may be trusted for its validators' sake."""
    founders: tuple[PublicKeyField, ...]
    """Keys that must sign this charter, all of them."""
    parameters: tuple[tuple[str, int], ...]
    """Protocol parameters that differ from their defaults, sorted by name."""
    sections: tuple[tuple[NameField, bytes], ...]
    """Each module's own genesis record, encoded, sorted by module name."""


class SignedCharter(Record):
    """The charter file: the charter's bytes, and every founder's signature in the order listed."""

    charter: bytes
    signatures: tuple[bytes, ...]


CHARTER_DECODER: Decoder[Charter] = Decoder(Charter)
SIGNED_CHARTER_DECODER: Decoder[SignedCharter] = Decoder(SignedCharter)


def charter_digest(charter: bytes) -> Digest:
    """Return the genesis digest: the hash of the charter's bytes."""
    return tagged_hash(b"cairn/charter", charter)


def chain_id_suffix(genesis_digest: bytes) -> str:
    """Return the 32 base32 characters with which the chain id of a charter ends."""
    return b32encode(genesis_digest[:20]).decode().lower()


def chain_id_of(charter: bytes) -> str:
    """Return the chain id: the charter's name, '-' and 32 base32 characters of its digest."""
    name = CHARTER_DECODER.decode(charter).name
    return f"{name}-{chain_id_suffix(charter_digest(charter))}"


def sign_charter(charter: Charter, keys: list[SigningKey]) -> SignedCharter:
    """Return the charter signed by `keys`, which are the founders' in the order listed."""
    raw = encode(charter)
    return SignedCharter(raw, tuple(key.sign(SIGNING_PREFIX + raw) for key in keys))


def open_charter(raw: bytes) -> tuple[Charter, str]:
    """Return the charter in a charter file, and its chain id.

    Raises:
        NonCanonicalError: The file is not a charter of this version, or lists no founder,
            validator, one of them twice, or anything out of order.
        InvalidSignatureError: A founder's signature is missing or does not verify.
    """
    if len(raw) > CHARTER_SIZE_BYTES_MAX:
        raise NonCanonicalError(
            f"a charter of {len(raw)} bytes, more than {CHARTER_SIZE_BYTES_MAX}"
        )
    signed = SIGNED_CHARTER_DECODER.decode(raw)
    charter = CHARTER_DECODER.decode(signed.charter)
    if charter.version != CHARTER_VERSION:
        raise NonCanonicalError(f"charter version {charter.version}")
    if not charter.founders or not charter.validators:
        raise NonCanonicalError("a charter needs a founder and a validator")
    for keys in (charter.founders, tuple(member.key for member in charter.validators)):
        if len(dict.fromkeys(keys)) != len(keys):
            raise NonCanonicalError("a key stands twice among the founders or the validators")
    for names in ([n for n, _ in charter.sections], [n for n, _ in charter.parameters]):
        if names != sorted(set(names)):
            raise NonCanonicalError("sections and parameters are sorted by name, each once")
    if len(signed.signatures) != len(charter.founders):
        raise InvalidSignatureError("a founder has not signed the charter")
    for key, signature in zip(charter.founders, signed.signatures, strict=True):
        verify(PublicKey(key), SIGNING_PREFIX + signed.charter, signature)
    return charter, chain_id_of(signed.charter)
