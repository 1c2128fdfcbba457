"""The claim about a period: every hold and what was done about holds, rules, and predictions."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import TypeVar

from cairn.evidence.bundle import PeriodClaim
from cairn.evidence.catalog import decode_body
from cairn.evidence.claims_model import (
    ProvedModel,
    check_promotion,
    promotions_before,
    proved_model,
    version_words,
)
from cairn.evidence.claims_payment import (
    ACTION_WORDS,
    CLOSING,
    action_words,
    asset_words,
)
from cairn.evidence.errors import ClaimError
from cairn.evidence.events import events_of, operation_at
from cairn.evidence.facts import Entry, VerifiedFacts, VerifiedReceipt
from cairn.evidence.judgement import (
    Judged,
    check_judged,
    read_events,
    replay_explanations,
    replay_rules,
)
from cairn.evidence.outcome import Outcome
from cairn.evidence.people import name_words, names_words
from cairn.evidence.replay import Scorer, check_scores
from cairn.evidence.rulebook import (
    RuleBook,
    deployments_of,
    rule_book_before,
    rule_words,
    steps_words,
)
from cairn.evidence.words import count_words, list_words, share_words, time_words
from cairn.ledger.messages import Event
from cairn.ledger.receipts import OK, Receipt
from cairn.modules.bank.errors import RefusedByRuleError
from cairn.modules.bank.events import HoldPlaced
from cairn.modules.bank.records import (
    HOLD_ACTION_SERIES,
    HOLD_SERIES,
    HoldAction,
    HoldPlacement,
)
from cairn.modules.decisions.events import Decided
from cairn.modules.inference.events import (
    BatchScored,
    FeaturesScored,
    PaymentScored,
    PredictionRecorded,
)
from cairn.modules.inference.messages import ScoreBatch
from cairn.modules.inference.records import PREDICTIONS, Prediction
from cairn.modules.models.records import Promotion
from cairn.modules.rules.records import FIRINGS, Firing, RuleChange

LISTED_MAX = 50
"""Most holds that a report lists one by one."""

EventT = TypeVar("EventT", bound=Event)
Place = tuple[bytes, int]
"""An operation: transaction id and index."""


@dataclass(slots=True)
class _Period:
    """Everything that the facts show of the period, nothing missing."""

    claim: PeriodClaim
    facts: VerifiedFacts
    book: RuleBook
    holds: tuple[Entry[HoldPlacement], ...]
    actions: tuple[Entry[HoldAction], ...]
    firings: tuple[Entry[Firing], ...]
    predictions: dict[str, tuple[Entry[Prediction], ...]]
    promotions: dict[str, tuple[Entry[Promotion], ...]]
    receipts: Mapping[bytes, VerifiedReceipt]
    models: dict[bytes, ProvedModel] = field(default_factory=dict)
    """By version."""
    judged: dict[Place, Judged] = field(default_factory=dict)
    """What the receipts tell of the payments that were judged."""
    batches: dict[Place, tuple[tuple[int, ...], ...]] = field(default_factory=dict)
    """The rows of operations that had many scored."""


def check_period(claim: PeriodClaim, facts: VerifiedFacts, *, replay: bool) -> Outcome:
    """Check that everything decided in a period is shown, and that it hangs together.

    Raises:
        ClaimError: Two facts contradict each other, or a deployment that rules look at is left out.
        ReplayError: A model or rule gives another result than a receipt states.
    """
    if list(claim.deployments) != sorted(dict.fromkeys(claim.deployments)):
        raise ClaimError("the deployments are not sorted, each once")
    period = _read(claim, facts)
    _check_deployments(period)
    for deployment, entries in period.predictions.items():
        _check_predictions(period, deployment, entries)
    _check_judgements(period)
    _check_holds(period)
    checked = [
        "every hold, action on a hold, firing and change of a rule of the period is shown",
        f"every prediction of {list_words([f'`{name}`' for name in claim.deployments])} is shown"
        if claim.deployments
        else "no rule of the period looked at a model",
        "each prediction, firing and hold is the one that its receipt tells of, by the version "
        "that was live and the rules that acted",
    ]
    not_shown: list[str] = []
    if replay:
        checked.append(_replay(period, not_shown))
    else:
        not_shown.append(
            "whether models and rules give these results: --replay computes them again"
        )
    not_shown.append(
        "predictions of deployments that are not named and that no rule looked at; payments that "
        "no rule fired on and no named deployment scored; what rules in shadow would have done"
    )
    what = (
        f"what was decided from {time_words(claim.from_ms)} to before {time_words(claim.until_ms)}"
    )
    findings = (*_count_words(period), *_authority_words(period), *_hold_words(period))
    return Outcome(what, findings, tuple(checked), tuple(not_shown))


def _read(claim: PeriodClaim, facts: VerifiedFacts) -> _Period:
    """Read the period's series in whole, and the receipts that they name."""
    bounds = {"from_ms": claim.from_ms, "until_ms": claim.until_ms}
    holds = facts.range(HOLD_SERIES, **bounds)
    actions = facts.range(HOLD_ACTION_SERIES, **bounds)
    firings = facts.range(FIRINGS, **bounds)
    book = rule_book_before(facts, time_ms=claim.until_ms)
    predictions = {
        name: facts.range(PREDICTIONS, name, from_ms=claim.from_ms, until_ms=claim.until_ms)
        for name in claim.deployments
    }
    promotions = {
        name: promotions_before(facts, name, time_ms=claim.until_ms) for name in claim.deployments
    }
    named = [entry.record.transaction_id for entry in holds]
    named += [entry.record.transaction_id for entry in firings]
    named += [e.record.transaction_id for entries in predictions.values() for e in entries]
    receipts = facts.receipts_of(named)
    return _Period(claim, facts, book, holds, actions, firings, predictions, promotions, receipts)


def _check_deployments(period: _Period) -> None:
    """Check that the claim names every deployment that a rule of the period can have looked at."""
    before = sum(1 for entry in period.book.changes if entry.time_ms < period.claim.from_ms)
    for count in range(before, len(period.book.changes) + 1):
        for name in deployments_of(period.book.looking_after(count)):
            if name not in period.predictions:
                raise ClaimError(f"rules of the period look at {name}, which is left out")


def _check_predictions(
    period: _Period, deployment: str, entries: tuple[Entry[Prediction], ...]
) -> None:
    """Check each prediction of a deployment against its receipt and the version that was live."""
    for entry in entries:
        record = entry.record
        where = f"prediction {entry.position} of {deployment}"
        receipt = _receipt_at(period, record.transaction_id, entry.time_ms)
        if record.basis == "committed":
            served = {one.record.version for one in _promoted(period, deployment, receipt)}
            if record.version not in served:
                raise ClaimError(f"{where}: its version was not in service")
            count = len(_recorded(receipt, deployment, entry))
        else:
            if record.version != _version_at(period, deployment, receipt.block.height):
                raise ClaimError(f"{where}: another version was live")
            count = len(_scored(period, receipt, deployment, entry))
            if record.version not in period.models:
                period.models[record.version] = proved_model(period.facts, record.version)
        if count != 1:
            raise ClaimError(f"{where}: its receipt tells of {count} such scores")


def _recorded(
    receipt: VerifiedReceipt, deployment: str, entry: Entry[Prediction]
) -> list[PredictionRecorded]:
    """Return the events that put a prediction on record that was made elsewhere."""
    record = entry.record
    expected = PredictionRecorded(
        deployment,
        record.version,
        record.input_commitment,
        record.score_ppm,
        record.policy_digest,
        entry.position,
    )
    found = _events(receipt, record.operation_index, PredictionRecorded)
    return [event for event in found if event == expected]


def _scored(
    period: _Period, receipt: VerifiedReceipt, deployment: str, entry: Entry[Prediction]
) -> list[PaymentScored | FeaturesScored]:
    """Return the events that tell of a score which the ledger computed."""
    record = entry.record
    stated = (deployment, record.version, record.score_ppm)
    found: list[PaymentScored | FeaturesScored] = []
    if record.basis == "derived":
        found += _events(receipt, record.operation_index, PaymentScored)
    else:
        asserted = _events(receipt, record.operation_index, FeaturesScored)
        found += [event for event in asserted if event.position == entry.position]
        found += _rows_of_batches(period, receipt, entry)
    return [
        event for event in found if (event.deployment, event.version, event.score_ppm) == stated
    ]


def _rows_of_batches(
    period: _Period, receipt: VerifiedReceipt, entry: Entry[Prediction]
) -> list[FeaturesScored]:
    """Return the score of an entry that was a row of a batch, as if it had been scored alone.

    The row itself is in the operation, so the whole transaction is shown.
    """
    found = []
    record = entry.record
    for event in _events(receipt, record.operation_index, BatchScored):
        place = (record.transaction_id, record.operation_index)
        if place not in period.batches:
            transaction = period.facts.transaction(record.transaction_id)
            operations = decode_body(transaction.envelope.body).operations
            message = dict(enumerate(operations)).get(record.operation_index)
            period.batches[place] = message.rows if isinstance(message, ScoreBatch) else ()
        rows, row = period.batches[place], entry.position - event.first_position
        if len(rows) != len(event.scores_ppm):
            raise ClaimError("a batch has another number of rows than of scores")
        if 0 <= row < len(rows):
            stated = (event.deployment, event.version, rows[row], event.scores_ppm[row])
            found.append(FeaturesScored(*stated, entry.position))
    return found


def _check_judgements(period: _Period) -> None:
    """Check each judged payment and case against the rules that acted, and all firings."""
    derived: dict[Place, list[tuple[str, bytes, int]]] = {}
    for deployment, entries in period.predictions.items():
        for entry in entries:
            if entry.record.basis == "derived":
                place = (entry.record.transaction_id, entry.record.operation_index)
                score = (deployment, entry.record.version, entry.record.score_ppm)
                derived.setdefault(place, []).append(score)
    firings: dict[Place, list[Entry[Firing]]] = {}
    for firing in period.firings:
        place = (firing.record.transaction_id, firing.record.operation_index)
        firings.setdefault(place, []).append(firing)
    names = {version: tuple(f.name for f in m.features) for version, m in period.models.items()}
    for place in dict.fromkeys((*derived, *firings)):
        receipt = period.receipts[place[0]]
        judged = read_events(events_of(operation_at(_of(receipt), place[1])))
        acting = period.book.acting_at(receipt.block.height, judged.scope)
        watching = period.book.watching_at(receipt.block.height, judged.scope)
        scored = [
            (s.deployment, s.version, s.score_ppm)
            for s in judged.scores
            if isinstance(s, PaymentScored)
        ]
        if sorted(scored) != sorted(derived.get(place, [])):
            raise ClaimError("a receipt has other scores than the series of predictions")
        inputs = {score.deployment: names[score.version] for score in judged.scores}
        check_judged(judged, acting, watching, inputs)
        told = [(f.event.rule, f.event.version, f.event.actions) for f in judged.fired]
        listed = [
            (e.record.rule, e.record.version, e.record.actions) for e in firings.get(place, [])
        ]
        late = [e for e in firings.get(place, []) if e.time_ms != receipt.block.time_ms]
        if told != listed or late:
            raise ClaimError("a receipt tells of other firings than the series")
        period.judged[place] = judged


def _check_holds(period: _Period) -> None:
    """Check that the holds of the period are those that its receipts tell of, and no others."""
    listed: dict[Place, HoldPlaced] = {}
    for entry in period.holds:
        record = entry.record
        place = (record.transaction_id, record.operation_index)
        receipt = _receipt_at(period, record.transaction_id, entry.time_ms)
        placed = _events(receipt, record.operation_index, HoldPlaced)
        shown = (record.hold, record.payer, record.payee, record.asset, record.amount_units)
        terms = (record.rule, record.version, record.score_ppm)
        expiry = (record.expires_at_ms, record.settle_on_expiry)
        if placed != [HoldPlaced(*shown, *terms, *expiry)]:
            raise ClaimError(f"hold {record.hold.hex()} is not the one that its receipt tells of")
        judged = period.judged.get(place)
        decided = None if judged is None else judged.decided
        if decided is None or (decided.event.rule, decided.event.version) != terms[:2]:
            raise ClaimError(f"hold {record.hold.hex()}: no firing of its rule is on record")
        listed[place] = placed[0]
    for place, judged in period.judged.items():
        if _places_hold(period, place, judged) and place not in listed:
            raise ClaimError("a receipt tells of a hold that the series of holds does not have")


def _places_hold(period: _Period, place: Place, judged: Judged) -> bool:
    """Return whether a payment was held here; one of another rail and a case are only decided."""
    decided = judged.decided
    if any(isinstance(event, Decided) for event in judged.own):
        return False
    if operation_at(_of(period.receipts[place[0]]), place[1]).code != OK or decided is None:
        return False
    return "hold" in decided.event.actions


def _replay(period: _Period, not_shown: list[str]) -> str:
    """Compute every score and rule again; return what was done.

    Raises:
        ReplayError: One comes out differently.
    """
    rows: dict[bytes, list[tuple[int, ...]]] = {}
    scores: dict[bytes, list[int]] = {}
    closed = 0
    for deployment, entries in period.predictions.items():
        for entry in entries:
            record = entry.record
            if record.basis == "committed":
                closed += 1
                continue
            receipt = period.receipts[record.transaction_id]
            for event in _scored(period, receipt, deployment, entry):
                rows.setdefault(record.version, []).append(event.features)
                scores.setdefault(record.version, []).append(record.score_ppm)
    for version, inputs in rows.items():
        check_scores(Scorer(period.models[version].model), inputs, scores[version])
    done = left = 0
    models = {version: proved.model for version, proved in period.models.items()}
    explained = 0
    for place, judged in period.judged.items():
        acting = period.book.acting_at(period.receipts[place[0]].block.height, judged.scope)
        again, unknown = replay_rules(judged, acting)
        done, left = done + again, left + unknown
        by_deployment = {score.deployment: models[score.version] for score in judged.scores}
        explained += replay_explanations(judged, acting, by_deployment)
    if closed:
        not_shown.append(
            f"the scores of {count_words(closed, 'prediction')} made elsewhere: their inputs stay "
            "closed"
        )
    if left:
        not_shown.append(
            f"{count_words(left, 'evaluation')} of a rule that did not fire and looks at what is "
            "not on record"
        )
    return (
        f"computed again, with the same result: "
        f"{count_words(sum(len(r) for r in rows.values()), 'score')}, "
        f"{count_words(done, 'evaluation')} of rules and the contributions to "
        f"{count_words(explained, 'score')}"
    )


# In words


def _count_words(period: _Period) -> list[str]:
    """Return the counts of the period."""
    told = []
    for deployment, entries in period.predictions.items():
        by_basis = _tally(entry.record.basis for entry in entries)
        shown = ", ".join(f"{count:,} {basis}" for basis, count in by_basis.items())
        told.append(
            f"{count_words(len(entries), 'prediction')} of deployment `{deployment}`"
            + (f": {shown}" if shown else "")
        )
    values: dict[str, int] = {}
    for hold in period.holds:
        values[hold.record.asset] = values.get(hold.record.asset, 0) + hold.record.amount_units
    value = list_words([asset_words(period.facts, units, asset) for asset, units in values.items()])
    told.append(
        f"{count_words(len(period.holds), 'payment')} held" + (f", {value}" if values else "")
    )
    fired = _tally(f"`{e.record.rule}` {e.record.version}" for e in period.firings)
    told += [f"rule {name} fired {count_words(count, 'time')}" for name, count in fired.items()]
    refused = sum(1 for entry in period.firings if _is_refusal(period, entry))
    told.append(f"{count_words(refused, 'payment')} refused by a rule")
    done = _tally(entry.record.action for entry in period.actions)
    for action, count in done.items():
        if action not in ACTION_WORDS:
            raise ClaimError(f"an action {action!r} on a hold")
        told.append(f"{count_words(count, 'hold')} {ACTION_WORDS[action]}")
    closed = {entry.record.hold for entry in period.actions if entry.record.action in CLOSING}
    still_open = sum(1 for entry in period.holds if entry.record.hold not in closed)
    told.append(f"{count_words(still_open, 'hold')} of the period still open at its end")
    return told


def _is_refusal(period: _Period, entry: Entry[Firing]) -> bool:
    """Return whether a firing refused what would have happened without it."""
    place = (entry.record.transaction_id, entry.record.operation_index)
    code = operation_at(_of(period.receipts[place[0]]), place[1]).code
    return "refuse" in entry.record.actions and code in (OK, RefusedByRuleError.code)


def _authority_words(period: _Period) -> list[str]:
    """Return which versions and rules acted and who stands behind them, and every change of a rule.

    Raises:
        ClaimError: The approvals that a promotion or activation names are not on record.
    """
    facts = period.facts
    told: list[str] = []
    for deployment, entries in period.predictions.items():
        promotions = period.promotions[deployment]
        named: dict[bytes, None] = {}
        for place in _promotions_used(period, deployment, entries):
            version = promotions[place].record.version
            if version not in named:
                named[version] = None
                told += version_words(facts, version)
            told += check_promotion(facts, deployment, promotions[: place + 1])
    rules = {}
    for judged_at, judged in period.judged.items():
        height = period.receipts[judged_at[0]].block.height
        for one in period.book.acting_at(height, judged.scope):
            rules[one.activation.position] = one
    for position in sorted(rules):
        told += rule_words(facts, rules[position])
    for entry in period.book.changes:
        change = entry.record
        if entry.time_ms < period.claim.from_ms:
            continue
        subject = f"rule `{change.rule}`" if change.rule else "all rules"
        number = f" version {change.version}" if change.version else ""
        approved = (
            f", approved by {names_words(facts, change.approvers)}" if change.approvers else ""
        )
        told.append(
            f"{subject}{number}: {change.action.replace('_', ' ')} by "
            f"{name_words(facts, change.by)}{approved}{_steps(change)}, {time_words(entry.time_ms)}"
        )
    return told


def _steps(change: RuleChange) -> str:
    """Return the steps before a shadow or an activation, or the report of a back-test."""
    if change.action == "backtested":
        return f" (report {change.backtest_digest.hex()})"
    return f", {steps_words(change)}" if change.action in ("shadowed", "activated") else ""


def _hold_words(period: _Period) -> list[str]:
    """Return the holds of the period, with what was done about each; a long list is cut."""
    told = []
    for entry in period.holds[:LISTED_MAX]:
        record = entry.record
        score = f", score {share_words(record.score_ppm)}" if record.score_ppm >= 0 else ""
        amount = asset_words(period.facts, record.amount_units, record.asset)
        told.append(
            f"hold {record.hold.hex()}: {amount} from {record.payer.hex()} to "
            f"{record.payee.hex()} by rule `{record.rule}` {record.version}{score}, "
            f"{time_words(entry.time_ms)}"
        )
        story = [action for action in period.actions if action.record.hold == record.hold]
        told += [f"  {action_words(period.facts, action)}" for action in story]
    if len(period.holds) > LISTED_MAX:
        told.append(f"and {len(period.holds) - LISTED_MAX:,} more holds, which are not listed here")
    return told


# Looking up


def _of(receipt: VerifiedReceipt) -> Receipt:
    assert receipt.receipt is not None, "receipts are looked up by their transaction's id"
    return receipt.receipt


def _receipt_at(period: _Period, transaction_id: bytes, time_ms: int) -> VerifiedReceipt:
    """Return the receipt that an entry of a series names.

    Raises:
        ClaimError: It is of another block than the entry.
    """
    receipt = period.receipts[transaction_id]
    if receipt.block.time_ms != time_ms:
        raise ClaimError("an entry of a series and its receipt are of different blocks")
    return receipt


def _events(receipt: VerifiedReceipt, index: int, kind: type[EventT]) -> list[EventT]:
    """Return the events of a kind at an operation."""
    found = events_of(operation_at(_of(receipt), index))
    return [event for event in found if isinstance(event, kind)]


def _promoted(
    period: _Period, deployment: str, receipt: VerifiedReceipt
) -> tuple[Entry[Promotion], ...]:
    """Return the promotions before a receipt's block."""
    height = receipt.block.height
    return tuple(one for one in period.promotions[deployment] if one.record.height < height)


def _promotions_used(
    period: _Period, deployment: str, entries: tuple[Entry[Prediction], ...]
) -> list[int]:
    """Return the places of the promotions by which versions were live when they predicted."""
    blocks = {
        (period.receipts[e.record.transaction_id].block.height, e.record.version) for e in entries
    }
    places = {
        max(
            place
            for place, one in enumerate(period.promotions[deployment])
            if one.record.height < height and one.record.version == version
        )
        for height, version in blocks
    }
    return sorted(places)


def _version_at(period: _Period, deployment: str, height: int) -> bytes:
    """Return the version that was live at a height, empty if none was."""
    live = b""
    for one in period.promotions[deployment]:
        if one.record.height < height:
            live = one.record.version
    return live


def _tally(words: Iterable[str]) -> dict[str, int]:
    """Return how often each word comes, in order of first use."""
    counts: dict[str, int] = {}
    for word in words:
        counts[word] = counts.get(word, 0) + 1
    return counts
