"""The bundle: one file in one canonical form that carries everything a verifier needs.

Its claim says what its maker wants to show. The verifier proves the facts first and then checks
that they show the claim; nothing in a bundle is believed because the bundle says it.

Facts of a kind stand in one order, none twice, and each is needed by the claim: a bundle has no
byte that could be another one.
"""

from typing import Annotated

from msgspec import Meta

from cairn.evidence.errors import MalformedBundleError
from cairn.evidence.proofs import (
    HeadProof,
    RangeProof,
    ReceiptsProof,
    SeriesProof,
    StateProof,
    TransactionProof,
)
from cairn.evidence.rows import RowDisclosure
from cairn.ledger.records import DigestField, HeightField, NameField, ObjectIdField, TimeMsField
from cairn.primitives.encoding import Decoder, Record, encode
from cairn.primitives.errors import NonCanonicalError
from cairn.primitives.light import Commit, Header

BUNDLE_FORMAT = "cairn-bundle/1"
BUNDLE_SIZE_BYTES_MAX = 1 << 30

DEPLOYMENTS_MAX = 256
"""Most deployments that one period names."""

KeyField = Annotated[bytes, Meta(min_length=2, max_length=1_024)]
PositionField = Annotated[int, Meta(ge=0, le=2**53)]
DeploymentsField = Annotated[tuple[NameField, ...], Meta(max_length=DEPLOYMENTS_MAX)]


class StateClaim(Record, tag="state"):
    """The row at `key` has the value that the bundle proves, or is absent."""

    key: KeyField


class TransactionClaim(Record, tag="transaction"):
    """The transaction was signed, ordered and had the outcome that its receipt states."""

    transaction_id: DigestField


class PaymentClaim(Record, tag="payment"):
    """The payment was scored, judged and settled, held or refused as its receipt states.

    Brings the model and rule that judged it, and what became of a hold.
    """

    transaction_id: DigestField
    operation_index: PositionField


class DecisionClaim(Record, tag="decision"):
    """The decision was asked for, made as its receipt states, and came to what its row says.

    Brings model and rule behind it, what people and executor signed, and its newest status.
    """

    decision: ObjectIdField


class OpenedInput(Record):
    """The input of a prediction that was made elsewhere, disclosed with its salt."""

    salt: Annotated[bytes, Meta(min_length=16, max_length=64)]
    features: tuple[int, ...]


class PredictionClaim(Record, tag="prediction"):
    """The prediction stands in its deployment's series, made by a version that was live."""

    deployment: NameField
    position: PositionField
    opened: OpenedInput | None
    """For a prediction made elsewhere, if its input is disclosed."""


class RowClaim(Record, tag="row"):
    """The disclosed row belongs to the registered data set."""

    dataset_id: ObjectIdField


class LiveClaim(Record, tag="live"):
    """Which version of a deployment was live, at a height or at a time, and who approved it.

    Exactly one of the two is given. A promotion acts from the block after its own.
    """

    deployment: NameField
    at_height: HeightField | None
    at_ms: TimeMsField | None


class RangeClaim(Record, tag="range"):
    """Every entry of a series from `from_ms` to before `until_ms`, nothing missing."""

    series: KeyField
    """Key of the series' head row."""
    from_ms: TimeMsField
    until_ms: TimeMsField


class PeriodClaim(Record, tag="period"):
    """What was decided in a period, nothing missing.

    That is every hold, everything done about holds, every firing of a rule, every change of a rule,
    and every scored prediction of the named deployments, among them all that rules looked at.
    """

    from_ms: TimeMsField
    until_ms: TimeMsField
    deployments: DeploymentsField
    """Sorted, each once."""


class ForkClaim(Record, tag="fork"):
    """The validators signed another block at the height of the bundle's own header.

    The header with the larger hash is the claim's, so that one fork has one bundle.
    """

    header: Header
    commit: Commit


Claim = (
    StateClaim
    | TransactionClaim
    | PaymentClaim
    | DecisionClaim
    | PredictionClaim
    | RowClaim
    | LiveClaim
    | RangeClaim
    | PeriodClaim
    | ForkClaim
)


class Bundle(Record):
    """The file's content; every fact hangs on the one head."""

    format: str
    chain_id: str
    claim: Claim
    head: HeadProof
    states: tuple[StateProof, ...]
    """Sorted by key."""
    series: tuple[SeriesProof, ...]
    """One run of a series at most, sorted by the key of its head."""
    ranges: tuple[RangeProof, ...]
    """One range of a series at most, sorted by the key of its head."""
    receipts: tuple[ReceiptsProof, ...]
    """Sorted by block and position."""
    transactions: tuple[TransactionProof, ...]
    """Sorted by block and position."""
    rows: tuple[RowDisclosure, ...]


_decoder: Decoder[Bundle] = Decoder(Bundle)


def encode_bundle(bundle: Bundle) -> bytes:
    """Return the file's bytes."""
    return encode(bundle)


def decode_bundle(raw: bytes) -> Bundle:
    """Return the bundle in a file's bytes.

    Raises:
        MalformedBundleError: Too big, of another format, not canonical, or its facts are not in
            their order.
    """
    if len(raw) > BUNDLE_SIZE_BYTES_MAX:
        raise MalformedBundleError(f"{len(raw)} bytes, more than {BUNDLE_SIZE_BYTES_MAX}")
    try:
        bundle = _decoder.decode(raw)
    except NonCanonicalError as error:
        raise MalformedBundleError(f"not a bundle: {error}") from error
    if bundle.format != BUNDLE_FORMAT:
        raise MalformedBundleError(f"format {bundle.format!r}, this verifier reads {BUNDLE_FORMAT}")
    _check_order(bundle)
    return bundle


def in_order(bundle: Bundle) -> Bundle:
    """Return a bundle with its facts in the one order that is accepted."""
    return Bundle(
        bundle.format,
        bundle.chain_id,
        bundle.claim,
        bundle.head,
        tuple(sorted(bundle.states, key=_state_place)),
        tuple(sorted(bundle.series, key=_series_place)),
        tuple(sorted(bundle.ranges, key=_range_place)),
        tuple(sorted(bundle.receipts, key=_receipts_place)),
        tuple(sorted(bundle.transactions, key=_transaction_place)),
        bundle.rows,
    )


def _check_order(bundle: Bundle) -> None:
    """Check that the facts of each kind stand in order, none twice."""
    places: tuple[tuple[str, list[object]], ...] = (
        ("states", [_state_place(fact) for fact in bundle.states]),
        ("series", [_series_place(fact) for fact in bundle.series]),
        ("ranges", [_range_place(fact) for fact in bundle.ranges]),
        ("receipts", [_receipts_place(fact) for fact in bundle.receipts]),
        ("transactions", [_transaction_place(fact) for fact in bundle.transactions]),
    )
    for name, found in places:
        if found != sorted(dict.fromkeys(found)):  # type: ignore[type-var]
            raise MalformedBundleError(f"the {name} are not in their order, each once")
    if len(bundle.rows) > 1:
        raise MalformedBundleError("a bundle discloses one row at most")


def _state_place(fact: StateProof) -> bytes:
    return fact.key


def _series_place(fact: SeriesProof) -> bytes:
    return fact.head.key


def _range_place(fact: RangeProof) -> bytes:
    return fact.series.head.key


def _receipts_place(fact: ReceiptsProof) -> tuple[int, int]:
    return fact.history.index, fact.start


def _transaction_place(fact: TransactionProof) -> tuple[int, int]:
    return fact.receipt.history.index, fact.receipt.position
