"""The bundle: one file in one canonical form that carries everything a verifier needs.

Its claim says what its maker wants to show. The verifier proves the facts first and then checks that
they show the claim; nothing in a bundle is believed because the bundle says it.
"""

from cairn.evidence.errors import MalformedBundleError
from cairn.evidence.proofs import (
    HeadProof,
    RangeProof,
    ReceiptProof,
    SeriesProof,
    StateProof,
    TransactionProof,
)
from cairn.evidence.rows import RowDisclosure
from cairn.primitives.encoding import Decoder, Record, encode
from cairn.primitives.errors import NonCanonicalError

BUNDLE_FORMAT = "cairn-bundle/1"
BUNDLE_SIZE_BYTES_MAX = 1 << 30


class StateClaim(Record, tag="state"):
    """The row at `key` has the value that the bundle proves, or is absent."""

    key: bytes


class TransactionClaim(Record, tag="transaction"):
    """The transaction was signed, ordered and had the outcome that its receipt states."""

    transaction_id: bytes


class PaymentClaim(Record, tag="payment"):
    """The payment was scored, judged and settled, held or refused as its receipt states.

    Brings the model and rule that judged it, and what became of a hold.
    """

    transaction_id: bytes
    operation_index: int


class PredictionClaim(Record, tag="prediction"):
    """The prediction stands in its deployment's series."""

    deployment: str
    position: int


class RowClaim(Record, tag="row"):
    """The disclosed row belongs to the registered data set."""

    dataset_id: bytes


class LiveClaim(Record, tag="live"):
    """Which version of a deployment was live at a time, and who approved it."""

    deployment: str
    at_ms: int


class RangeClaim(Record, tag="range"):
    """Every entry of a series from `from_ms` to before `until_ms`, nothing missing."""

    series: bytes
    from_ms: int
    until_ms: int


class PeriodClaim(Record, tag="period"):
    """Every hold, what became of it, and every scored prediction of a period, nothing missing."""

    from_ms: int
    until_ms: int


Claim = (
    StateClaim
    | TransactionClaim
    | PaymentClaim
    | PredictionClaim
    | RowClaim
    | LiveClaim
    | RangeClaim
    | PeriodClaim
)


class Bundle(Record):
    """The file's content; every fact hangs on the one head."""

    format: str
    chain_id: str
    claim: Claim
    head: HeadProof
    states: tuple[StateProof, ...]
    series: tuple[SeriesProof, ...]
    ranges: tuple[RangeProof, ...]
    receipts: tuple[ReceiptProof, ...]
    transactions: tuple[TransactionProof, ...]
    rows: tuple[RowDisclosure, ...]


_decoder: Decoder[Bundle] = Decoder(Bundle)


def encode_bundle(bundle: Bundle) -> bytes:
    """Return the file's bytes."""
    return encode(bundle)


def decode_bundle(raw: bytes) -> Bundle:
    """Return the bundle in a file's bytes.

    Raises:
        MalformedBundleError: Too big, of another format, or not canonical.
    """
    if len(raw) > BUNDLE_SIZE_BYTES_MAX:
        raise MalformedBundleError(f"{len(raw)} bytes, more than {BUNDLE_SIZE_BYTES_MAX}")
    try:
        bundle = _decoder.decode(raw)
    except NonCanonicalError as error:
        raise MalformedBundleError(f"not a bundle: {error}") from error
    if bundle.format != BUNDLE_FORMAT:
        raise MalformedBundleError(f"format {bundle.format!r}, this verifier reads {BUNDLE_FORMAT}")
    return bundle
