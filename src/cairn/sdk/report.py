"""A period on a ledger in numbers: what was decided, by what, and how well it went.

Everything is counted from series and receipts; with a trust file each of them is proved and none is
missing. What happened counts for the period in which it was recorded; what came of it, such as an
outcome or the end of a hold, is as known when the report is made.
"""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from cairn.evidence.assurance import OPERATOR_SIGNED, judge_assurance
from cairn.evidence.errors import EvidenceError, NotWitnessedError
from cairn.evidence.facts import Entry, VerifiedHead
from cairn.evidence.steps import verify_head
from cairn.evidence.trust import Trust
from cairn.ledger.messages import Event
from cairn.modules.bank.events import EscrowOpened, HoldPlaced, TransferSettled
from cairn.modules.bank.records import (
    APPEALED,
    HOLD_ACTION_SERIES,
    HOLD_SERIES,
    HOLDS,
    OPEN_STATUSES,
    RENEWED,
    UPHELD,
)
from cairn.modules.data.records import DATASETS, Quality
from cairn.modules.decisions.events import Decided
from cairn.modules.decisions.records import (
    DECISION_SERIES,
    DECISIONS,
    LATE,
    OVERRIDDEN,
    UNANSWERED,
)
from cairn.modules.inference.events import PaymentScored
from cairn.modules.inference.records import PREDICTIONS
from cairn.modules.models.records import DEPLOYMENTS, PROMOTIONS, VERSIONS
from cairn.modules.rules.events import CapReached
from cairn.modules.rules.records import CHANGES, FIRINGS, RuleChange
from cairn.modules.screening.records import ATTEMPTS, OUTCOME_ENTRIES, AttemptEntry
from cairn.modules.training.records import RUNS
from cairn.node.api import ProofRequest, Proofs
from cairn.sdk.errors import ProtocolError
from cairn.sdk.names import Names, short_id
from cairn.sdk.outcomes import OperationOutcome
from cairn.sdk.pending import evaluation_words
from cairn.sdk.reading import Reader

DAY_MS = 86_400_000
SETTLED, HELD, REFUSED, ELSEWHERE, FAILED = "settled", "held", "refused", "elsewhere", "failed"
FATES = (SETTLED, HELD, REFUSED, ELSEWHERE, FAILED)
"""What became of a payment when it was recorded; `elsewhere` settles on another rail."""
REFUSED_BY_RULE = "bank/refused_by_rule"
FRAUD, GENUINE = "fraud", "genuine"
TROUBLES = (UNANSWERED, OVERRIDDEN, LATE)

Place = tuple[bytes, int]
"""A transaction's id and the index of an operation."""


@dataclass(frozen=True, slots=True)
class Basis:
    """What the numbers rest on."""

    chain_id: str
    from_ms: int
    until_ms: int
    made_ms: int
    height: int
    state_root: str
    """Empty where nothing was proved."""
    assurance: str
    sentence: str
    deployments: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Payment:
    """A payment of the period."""

    position: int
    day: int
    """Of its booking, in days since the epoch."""
    asset: str
    amount_units: int
    fate: str
    code: str
    label: str
    """What it was found to be by now; empty if nobody said."""
    rules: tuple[tuple[str, int], ...]
    """Rules that fired for it, with their versions."""
    scores: tuple[tuple[str, bytes, int], ...]
    """Deployment, version and score of each model that looked at it."""


@dataclass(frozen=True, slots=True)
class RuleLine:
    """What a version of a rule did in the period."""

    rule: str
    version: int
    live_since_ms: int
    """When it was last activated; 0 if never."""
    approvers: tuple[str, ...]
    fired: int
    actions: Mapping[str, int]
    caps_reached: int
    fraud: int
    genuine: int

    @property
    def precision(self) -> float | None:
        """Share of fraud among its firings with a known outcome."""
        known = self.fraud + self.genuine
        return self.fraud / known if known else None


@dataclass(frozen=True, slots=True)
class ModelLine:
    """What a version of a model did in the period."""

    deployment: str
    version: str
    name: str
    live_since_ms: int
    approvers: tuple[str, ...]
    predictions: Mapping[str, int]
    """By basis."""
    datasets: tuple[str, ...]
    evaluations: tuple[str, ...] = ()
    """How it did on rows that it had not seen, in words."""


@dataclass(frozen=True, slots=True)
class DatasetLine:
    """A dataset behind the models."""

    name: str
    owner: str
    rows: int
    licence: str
    synthetic: bool
    withdrawn_ms: int
    quality: Quality | None


@dataclass(frozen=True, slots=True)
class HoldNumbers:
    """What became of the holds that were placed in the period, as of now."""

    placed: int
    value_units: Mapping[str, int]
    """By asset."""
    status: Mapping[str, int]
    appealed: int
    renewed: int
    deciding_ms: tuple[int, ...]
    """How long people took, ascending; expiries are not among them."""

    @property
    def open(self) -> int:
        """How many nobody has decided yet."""
        return sum(self.status.get(status, 0) for status in OPEN_STATUSES)

    @property
    def median_ms(self) -> int | None:
        """The median time to a person's decision."""
        return self.deciding_ms[len(self.deciding_ms) // 2] if self.deciding_ms else None


@dataclass(frozen=True, slots=True)
class DecisionNumbers:
    """What was decided about other rails and cases, and what executors said, as of now."""

    verdicts: Mapping[str, int]
    status: Mapping[str, int]
    troubles: tuple[tuple[str, str, str, int], ...]
    """Decision, status, executor and when it was decided, of those that went wrong."""


@dataclass(frozen=True, slots=True)
class ChangeLine:
    """A change of a rule or model within the period."""

    time_ms: int
    what: str
    by: str
    approvers: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class PeriodReport:
    """A period in numbers."""

    basis: Basis
    payments: tuple[Payment, ...]
    rules: tuple[RuleLine, ...]
    models: tuple[ModelLine, ...]
    datasets: tuple[DatasetLine, ...]
    holds: HoldNumbers
    decisions: DecisionNumbers
    changes: tuple[ChangeLine, ...]
    caps: Mapping[tuple[str, int], int]
    """Rule and day, and how often the cap kept it from acting."""

    @property
    def fates(self) -> Mapping[str, int]:
        """How many payments had which fate."""
        counts = Counter(payment.fate for payment in self.payments)
        return {fate: counts[fate] for fate in FATES}

    @property
    def alerts(self) -> int:
        """Payments for which a rule fired."""
        return sum(bool(payment.rules) for payment in self.payments)

    def labelled(self, label: str, *, alerted: bool | None = None) -> int:
        """Return how many payments were found to be this, of all or of those with(out) alert."""
        return sum(
            payment.label == label and (alerted is None or bool(payment.rules) == alerted)
            for payment in self.payments
        )

    @property
    def precision(self) -> float | None:
        """Share of fraud among the alerts with a known outcome."""
        fraud, genuine = (self.labelled(label, alerted=True) for label in (FRAUD, GENUINE))
        return fraud / (fraud + genuine) if fraud + genuine else None

    @property
    def recall(self) -> float | None:
        """Share of the known frauds for which a rule fired."""
        frauds = self.labelled(FRAUD)
        return self.labelled(FRAUD, alerted=True) / frauds if frauds else None

    def by_day(self, fate: str = "") -> list[tuple[int, int]]:
        """Return each day of the payments, and how many had this fate, or an alert if it is ""."""
        if not self.payments:
            return []
        days = [payment.day for payment in self.payments]
        counts = Counter(
            payment.day
            for payment in self.payments
            if (payment.fate == fate if fate else payment.rules)
        )
        return [(day, counts[day]) for day in range(min(days), max(days) + 1)]


def period_report(
    reader: Reader, names: Names, *, from_ms: int, until_ms: int, now_ms: int
) -> PeriodReport:
    """Return what a ledger says of [from_ms, until_ms).

    Args:
        reader: Of the ledger; with a trust file, everything is proved.
        names: Of its accounts.
        from_ms: Where the period begins.
        until_ms: Where it ends.
        now_ms: When the report is made, for what its assurance is worth.

    Raises:
        ProtocolError: An answer does not parse or does not verify.
    """
    source = _Source(reader, names, from_ms, until_ms)
    firings = source.entries(FIRINGS)
    fired: dict[Place, list[tuple[str, int]]] = {}
    for entry in firings:
        one = entry.record
        fired.setdefault((one.transaction_id, one.operation_index), []).append(
            (one.rule, one.version)
        )
    payments, caps = _payments(source, fired)
    models = _models(source)
    return PeriodReport(
        basis=_basis(source, now_ms),
        payments=payments,
        rules=_rules(source, payments, firings, caps),
        models=models,
        datasets=_datasets(source, models),
        holds=_holds(source),
        decisions=_decisions(source),
        changes=_changes(source),
        caps=_by_day(caps),
    )


class _Source:
    """What the parts of a report read."""

    def __init__(self, reader: Reader, names: Names, from_ms: int, until_ms: int) -> None:
        self.reader = reader
        self.names = names
        self.from_ms = from_ms
        self.until_ms = until_ms
        self.deployments = tuple(row.key[0].decode() for row in reader.scan(DEPLOYMENTS))

    def entries(self, series: Any, *key: Any) -> tuple[Entry[Any], ...]:
        """Return the entries of a series that were recorded in the period."""
        if not self.reader.series_size(series, *key):
            return ()
        return self.reader.range(series, *key, from_ms=self.from_ms, until_ms=self.until_ms)

    def show(self, accounts: Iterable[bytes]) -> tuple[str, ...]:
        return tuple(self.names.show(account) for account in accounts)


def _basis(source: _Source, now_ms: int) -> Basis:
    reader = source.reader
    head = reader.head()
    height, root = head.height, ""
    word, sentence = "not proved", "the numbers are what the node says; nothing was proved"
    if reader.trust is not None:
        proofs, verified = _witnessed_head(reader, reader.trust)
        height, root = verified.height, verified.state_root.hex()
        try:
            found = judge_assurance(proofs.head, verified, reader.trust, at_ms=now_ms)
            word, sentence = found.word, found.sentence
        except NotWitnessedError as error:
            word, sentence = OPERATOR_SIGNED, str(error)
    return Basis(
        chain_id=reader.chain_id,
        from_ms=source.from_ms,
        until_ms=source.until_ms,
        made_ms=now_ms,
        height=height,
        state_root=root,
        assurance=word,
        sentence=sentence,
        deployments=source.deployments,
    )


def _witnessed_head(reader: Reader, trust: Trust) -> tuple[Proofs, VerifiedHead]:
    """Return the newest head after the witnesses were asked to cosign it, verified."""
    proofs = reader.connection.prove(ProofRequest(()))
    try:
        return proofs, verify_head(proofs.head, trust)
    except EvidenceError as error:
        raise ProtocolError(f"the node's head does not verify: {error}") from error


def _payments(
    source: _Source, fired: Mapping[Place, Sequence[tuple[str, int]]]
) -> tuple[tuple[Payment, ...], list[tuple[str, int, int]]]:
    """Return the payments, and rule, version and day of each reached cap."""
    labels: dict[int, str] = {}
    for outcome in source.reader.series(OUTCOME_ENTRIES):
        labels[outcome.record.attempt] = outcome.record.label
    payments, caps = [], []
    attempts: tuple[Entry[AttemptEntry], ...] = source.entries(ATTEMPTS)
    wanted = dict.fromkeys(entry.record.transaction_id for entry in attempts)
    finals = zip(wanted, source.reader.outcomes(wanted), strict=True)
    operations: dict[bytes, tuple[OperationOutcome, ...]] = {
        identity: () if final is None else final.operations for identity, final in finals
    }
    for entry in attempts:
        one = entry.record
        outcome_of = operations[one.transaction_id][one.operation_index]
        reached = [event for event in outcome_of.events if isinstance(event, CapReached)]
        caps += [(event.rule, event.version, entry.time_ms // DAY_MS) for event in reached]
        payments.append(
            Payment(
                position=entry.position,
                day=one.booked_at_ms // DAY_MS,
                asset=one.asset,
                amount_units=one.amount_units,
                fate=fate_of(outcome_of),
                code=outcome_of.code,
                label=labels.get(entry.position, ""),
                rules=tuple(fired.get((one.transaction_id, one.operation_index), ())),
                scores=tuple(_scores(outcome_of.events)),
            )
        )
    return tuple(payments), caps


def fate_of(outcome: OperationOutcome) -> str:
    """Return what became of a payment, one of `FATES`, from what its receipt says."""
    kinds = {type(event) for event in outcome.events}
    if outcome.code == REFUSED_BY_RULE:
        return REFUSED
    if not outcome.is_done:
        return FAILED
    if HoldPlaced in kinds:
        return HELD
    if TransferSettled in kinds or EscrowOpened in kinds:
        return SETTLED
    return ELSEWHERE if Decided in kinds else FAILED


def _scores(events: Iterable[Event]) -> Iterable[tuple[str, bytes, int]]:
    for event in events:
        if isinstance(event, PaymentScored):
            yield event.deployment, event.version, event.score_ppm


def _rules(
    source: _Source,
    payments: Sequence[Payment],
    firings: Sequence[Entry[Any]],
    caps: Sequence[tuple[str, int, int]],
) -> tuple[RuleLine, ...]:
    live: dict[tuple[str, int], Entry[RuleChange]] = {}
    current: dict[str, tuple[str, int]] = {}
    for change in source.reader.series(CHANGES):
        if change.time_ms >= source.until_ms:
            break
        one = change.record
        if one.action == "activated":
            live[one.rule, one.version] = change
            current[one.rule] = (one.rule, one.version)
        elif one.action == "retired":
            current.pop(one.rule, None)
    fired = Counter((entry.record.rule, entry.record.version) for entry in firings)
    actions: dict[tuple[str, int], Counter[str]] = {}
    for entry in firings:
        key = (entry.record.rule, entry.record.version)
        actions.setdefault(key, Counter()).update(entry.record.actions)
    reached = Counter((rule, version) for rule, version, _ in caps)
    found = Counter((key, payment.label) for payment in payments for key in payment.rules)
    keys = sorted({*fired, *current.values()})
    return tuple(
        RuleLine(
            rule=key[0],
            version=key[1],
            live_since_ms=live[key].time_ms if key in live else 0,
            approvers=source.show(live[key].record.approvers) if key in live else (),
            fired=fired[key],
            actions=dict(actions.get(key, {})),
            caps_reached=reached[key],
            fraud=found[key, FRAUD],
            genuine=found[key, GENUINE],
        )
        for key in keys
    )


def _models(source: _Source) -> tuple[ModelLine, ...]:
    lines = []
    for deployment in source.deployments:
        predictions: dict[bytes, Counter[str]] = {}
        for entry in source.entries(PREDICTIONS, deployment):
            predictions.setdefault(entry.record.version, Counter())[entry.record.basis] += 1
        promoted: dict[bytes, Entry[Any]] = {}
        for entry in source.reader.series(PROMOTIONS, deployment):
            if entry.time_ms < source.until_ms:
                promoted[entry.record.version] = entry
        newest = list(promoted.values())[-1:]
        versions = [*predictions, *(entry.record.version for entry in newest)]
        for version in dict.fromkeys(versions):
            row = source.reader.require(VERSIONS, version)
            run = source.reader.require(RUNS, row.run)
            entry_of = promoted.get(version)
            lines.append(
                ModelLine(
                    deployment=deployment,
                    version=version.hex(),
                    name=f"{row.name} {row.number}",
                    live_since_ms=entry_of.time_ms if entry_of else 0,
                    approvers=source.show(entry_of.record.approvers) if entry_of else (),
                    predictions=dict(predictions.get(version, {})),
                    datasets=tuple(dict.fromkeys(split.dataset.hex() for split in run.splits)),
                    evaluations=evaluation_words(source.reader, row.run),
                )
            )
    return tuple(lines)


def _datasets(source: _Source, models: Sequence[ModelLine]) -> tuple[DatasetLine, ...]:
    lines = []
    for identity in dict.fromkeys(one for line in models for one in line.datasets):
        row = source.reader.require(DATASETS, bytes.fromhex(identity))
        lines.append(
            DatasetLine(
                name=f"{row.name} {row.version}",
                owner=source.names.show(row.owner),
                rows=row.row_count,
                licence=row.licence,
                synthetic=row.synthetic,
                withdrawn_ms=row.withdrawn_ms,
                quality=row.quality,
            )
        )
    return tuple(lines)


def _holds(source: _Source) -> HoldNumbers:
    placed = {entry.record.hold: entry for entry in source.entries(HOLD_SERIES)}
    status: Counter[str] = Counter()
    value: Counter[str] = Counter()
    for hold, entry in placed.items():
        status[source.reader.require(HOLDS, hold).status] += 1
        value[entry.record.asset] += entry.record.amount_units
    appealed = renewed = 0
    deciding = []
    for action in source.reader.series(HOLD_ACTION_SERIES) if placed else ():
        of = placed.get(action.record.hold)
        if of is None:
            continue
        appealed += action.record.action == APPEALED
        renewed += action.record.action == RENEWED
        if action.record.by and action.record.action not in (APPEALED, RENEWED, UPHELD):
            deciding.append(action.time_ms - of.time_ms)
    return HoldNumbers(
        placed=len(placed),
        value_units=dict(value),
        status=dict(status),
        appealed=appealed,
        renewed=renewed,
        deciding_ms=tuple(sorted(deciding)),
    )


def _decisions(source: _Source) -> DecisionNumbers:
    verdicts: Counter[str] = Counter()
    status: Counter[str] = Counter()
    troubles = []
    for entry in source.entries(DECISION_SERIES):
        one = entry.record
        now = source.reader.require(DECISIONS, one.decision).status
        verdicts[one.verdict] += 1
        status[now] += 1
        if now in TROUBLES:
            executor = source.names.show(one.executor)
            troubles.append((one.decision.hex(), str(now), executor, entry.time_ms))
    return DecisionNumbers(dict(verdicts), dict(status), tuple(troubles))


def _changes(source: _Source) -> tuple[ChangeLine, ...]:
    lines = []
    for entry in source.entries(CHANGES):
        one = entry.record
        version = f" version {one.version}" if one.version else ""
        what = f"{one.rule or 'all rules'}{version}: {one.action.replace('_', ' ')}"
        by = source.names.show(one.by)
        lines.append(ChangeLine(entry.time_ms, what, by, source.show(one.approvers)))
    for deployment in source.deployments:
        for entry in source.entries(PROMOTIONS, deployment):
            one = entry.record
            what = f"{deployment}: {short_id(one.version)} {one.action.replace('_', ' ')}"
            by = source.names.show(one.by)
            lines.append(ChangeLine(entry.time_ms, what, by, source.show(one.approvers)))
    return tuple(sorted(lines, key=lambda line: line.time_ms))


def _by_day(caps: Sequence[tuple[str, int, int]]) -> dict[tuple[str, int], int]:
    return dict(Counter((rule, day) for rule, _, day in caps))
