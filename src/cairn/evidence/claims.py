"""Steps 9 and 10 of verification: whether the proved facts show what the bundle claims.

Each check states only what follows from proved facts. It asks for the facts that it needs and gets
no others, so that whatever it did not ask for is surplus.
"""

from collections.abc import Sequence

from cairn.evidence.bundle import (
    Claim,
    DecisionClaim,
    ForkClaim,
    LiveClaim,
    PaymentClaim,
    PeriodClaim,
    PredictionClaim,
    RangeClaim,
    RowClaim,
    StateClaim,
    TransactionClaim,
)
from cairn.evidence.catalog import decode_body, series_of, table_of, tag_of
from cairn.evidence.claims_decision import check_decision, step_words
from cairn.evidence.claims_model import check_live, check_prediction
from cairn.evidence.claims_payment import check_payment
from cairn.evidence.claims_period import check_period
from cairn.evidence.errors import ClaimError, RowProofError, StateProofError
from cairn.evidence.events import events_of
from cairn.evidence.facts import Entry, VerifiedFacts, decoded, name_of
from cairn.evidence.outcome import Outcome
from cairn.evidence.people import name_words, signer_words
from cairn.evidence.rows import DatasetCommitment, render_value, verify_row
from cairn.evidence.words import (
    count_words,
    list_words,
    quality_words,
    record_words,
    time_words,
    value_words,
)
from cairn.ledger.receipts import OK
from cairn.ledger.transactions import ATOMIC
from cairn.modules.data.records import DATASETS
from cairn.modules.screening.records import AttemptEntry
from cairn.primitives.encoding import Record
from cairn.primitives.errors import NonCanonicalError, PrimitiveError
from cairn.primitives.light import header_hash, header_time_ms

LISTED_MAX = 100
"""Most entries of a range that a report lists one by one."""


def check_claim(claim: Claim, facts: VerifiedFacts, *, replay: bool) -> Outcome:
    """Return what the facts show of a claim.

    Raises:
        ClaimError: They do not show it.
        RowProofError: A disclosed row is not one of the registered data set.
        ReplayError: A model or rule, computed again, gives another result.
    """
    match claim:
        case StateClaim():
            return _check_state(claim, facts)
        case TransactionClaim():
            return _check_transaction(claim, facts)
        case PaymentClaim():
            return check_payment(claim, facts, replay=replay)
        case DecisionClaim():
            return check_decision(claim, facts, replay=replay)
        case PredictionClaim():
            return check_prediction(claim, facts, replay=replay)
        case RowClaim():
            return _check_row(claim, facts)
        case LiveClaim():
            return check_live(claim, facts)
        case RangeClaim():
            return _check_range(claim, facts)
        case PeriodClaim():
            return check_period(claim, facts, replay=replay)
        case ForkClaim():
            return _show_fork(claim, facts)


def _show_fork(claim: ForkClaim, facts: VerifiedFacts) -> Outcome:
    """Say that two blocks were signed at one height, which `verify_fork` has checked."""
    height = claim.header.height
    findings = (
        f"the validators signed two blocks at height {height}",
        f"the one: {facts.head.block_hash.hex()}, {time_words(facts.head.time_ms)}",
        f"the other: {header_hash(claim.header).hex()}, {time_words(header_time_ms(claim.header))}",
        "whoever was shown the one was told another story than whoever was shown the other",
    )
    return Outcome(f"fork at height {height}", findings, ("both headers are signed",))


def _check_state(claim: StateClaim, facts: VerifiedFacts) -> Outcome:
    """Show one row of the state, or its absence."""
    name = name_of(claim.key)
    raw = facts.state(claim.key)
    when = f"after block {facts.head.height}, as of {time_words(facts.head.time_ms)}"
    if raw is None:
        return Outcome(f"row {name}", (f"there is no such row {when}",), ())
    table = table_of(claim.key) or getattr(series_of(claim.key), "table", None)
    if table is None:
        shown = f"bytes {value_words(raw)}"
    else:
        try:
            shown = record_words(table.decoder.decode(raw))
        except NonCanonicalError as error:
            raise StateProofError(f"{name}: {error}") from error
    return Outcome(f"row {name}", (f"the row stands {when}", shown), ())


def _check_transaction(claim: TransactionClaim, facts: VerifiedFacts) -> Outcome:
    """Show a transaction, who signed it and what became of each of its operations."""
    transaction = facts.transaction(claim.transaction_id)
    body, receipt = decode_body(transaction.envelope.body), transaction.receipt
    if len(body.operations) != len(receipt.operations):
        raise ClaimError("the receipt has another number of operations than the transaction")
    mode = "all or nothing" if body.mode == ATOMIC else "each operation alone"
    findings = [
        f"in block {transaction.block.height}, {time_words(transaction.block.time_ms)}, position "
        f"{transaction.position}, signed by {signer_words(facts, transaction, body)}",
        f"{count_words(len(body.operations), 'operation')}, {mode}; outcome of the whole: "
        f"{receipt.code}; cost {receipt.cost}, fee {receipt.fee}",
    ]
    for index, (message, operation) in enumerate(
        zip(body.operations, receipt.operations, strict=True)
    ):
        findings.append(f"operation {index}, {tag_of(message)}: {operation.code}")
        findings.append(f"  {record_words(message)}")
        for event in events_of(operation):
            effect = "" if operation.code == OK else " (explains the refusal)"
            findings.append(f"  {tag_of(event)}{effect}: {record_words(event)}")
    checked = ("the receipt is the signed transaction's own",)
    return Outcome(f"transaction {claim.transaction_id.hex()}", tuple(findings), checked)


def _check_row(claim: RowClaim, facts: VerifiedFacts) -> Outcome:
    """Show a disclosed row of a registered data set."""
    dataset = facts.required_row(DATASETS, claim.dataset_id)
    commitment = DatasetCommitment(
        dataset.format_version,
        dataset.row_root,
        dataset.row_count,
        dataset.schema_digest,
        dataset.file_commitment,
    )
    try:
        row = verify_row(facts.disclosure(), commitment)
    except PrimitiveError as error:
        raise RowProofError(f"the row is not one of the data set: {error}") from error
    columns = {column.name: column for column in row.schema.columns}
    values = [f"{name}: {render_value(columns[name], v)}" for name, v in row.values.items()]
    state = f", withdrawn {time_words(dataset.withdrawn_ms)}" if dataset.withdrawn_ms else ""
    findings = (
        f"data set `{dataset.name}` {dataset.version} of {name_words(facts, dataset.owner)}, "
        f"registered by {name_words(facts, dataset.registered_by)} "
        f"{time_words(dataset.registered_ms)}{state}",
        f"row {row.index} of {dataset.row_count:,}",
        quality_words(dataset.quality),
        *values,
        *((f"not disclosed: {list_words(row.closed)}",) if row.closed else ()),
    )
    checked = ("the row's commitments lead to the registered root",)
    not_shown = ("whether the row is true: its owner committed to it, before and once",)
    return Outcome(f"row of data set {claim.dataset_id.hex()}", findings, checked, not_shown)


def _check_range(claim: RangeClaim, facts: VerifiedFacts) -> Outcome:
    """Show every entry of a series in a range of time."""
    found = facts.raw_range(claim.series, claim.from_ms, claim.until_ms)
    series = series_of(claim.series)
    name = name_of(claim.series)
    listed: Sequence[Entry[Record]] = ()
    if series is not None:
        listed = decoded(found.entries, found.start, series.decoder, claim.series)
    findings = [f"{count_words(len(found.entries), 'entry', 'entries')}, nothing missing"]
    findings += step_words(listed)
    findings += _attempt_words(listed)
    findings += [
        f"{entry.position}, {time_words(entry.time_ms)}: {record_words(entry.record)}"
        for entry in listed[:LISTED_MAX]
    ]
    if len(found.entries) > LISTED_MAX:
        findings.append(f"and {len(found.entries) - LISTED_MAX:,} more, which are not listed here")
    checked = ("the entries just outside the range are shown, or the series begins or ends there",)
    what = (
        f"every entry of {name} from {time_words(claim.from_ms)} to before "
        f"{time_words(claim.until_ms)}"
    )
    return Outcome(what, tuple(findings), checked)


def _attempt_words(listed: Sequence[Entry[Record]]) -> list[str]:
    """Return what entries of `screening/attempts` come to, nothing for others."""
    attempts = [one.record for one in listed if isinstance(one.record, AttemptEntry)]
    if not attempts:
        return []
    told = ["each is an attempted payment, whether it settled, was held, refused or undone"]
    for asset in sorted({one.asset for one in attempts}):
        units = [one.amount_units for one in attempts if one.asset == asset]
        told.append(f"in {asset}: {count_words(len(units), 'attempt')} of {sum(units):,} units")
    return told
