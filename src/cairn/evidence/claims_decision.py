"""The claim about one decision: what was asked and answered, why, and what the executor did.

The decision's row is proved by the newest state, so the report says how it stands now; what was
asked, reviewed and reported is shown by the transactions that people signed.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from cairn.evidence.bundle import DecisionClaim
from cairn.evidence.catalog import decode_body
from cairn.evidence.claims_payment import (
    JudgedPayment,
    asset_words,
    check_rules,
    models_of,
    replay_judgement,
    rule_findings,
    score_words,
    watching_words,
)
from cairn.evidence.errors import ClaimError
from cairn.evidence.events import event_at, events_of, operation_at
from cairn.evidence.facts import Entry, VerifiedFacts, VerifiedTransaction
from cairn.evidence.judgement import Judged, read_events
from cairn.evidence.outcome import Outcome
from cairn.evidence.people import name_words, signer_words
from cairn.evidence.rulebook import ActingRule, rule_book_before
from cairn.evidence.words import count_words, list_words, time_words
from cairn.exact import rules as exact
from cairn.ledger.messages import Message
from cairn.ledger.receipts import OK
from cairn.ledger.transactions import Body
from cairn.modules.decisions.events import Decided, ExecutionReported, Reviewed
from cairn.modules.decisions.messages import (
    DecideCase,
    DecidePayment,
    ReportExecution,
    Review,
)
from cairn.modules.decisions.records import (
    ALLOW,
    DECISIONS,
    EXPIRED_ALLOWED,
    EXPIRED_REFUSED,
    HELD,
    HOLD,
    OPEN,
    OUTCOME_SERIES,
    REFUSE,
    REJECTED,
    RELEASED,
    REPORTED,
    UNANSWERED,
    CaseSubject,
    Decision,
    OutcomeEntry,
    PaymentSubject,
    status_of_report,
)
from cairn.modules.inference.events import FeaturesScored
from cairn.primitives.encoding import Record
from cairn.primitives.hashes import tagged_hash

ID_SIZE_BYTES = 20
ANSWERS = {
    RELEASED: ALLOW,
    REJECTED: REFUSE,
    EXPIRED_ALLOWED: ALLOW,
    EXPIRED_REFUSED: REFUSE,
}
"""What a held decision says after a step that ends the hold."""
VERDICT_WORDS = {ALLOW: "allowed", HOLD: "held", REFUSE: "refused"}
STATUS_WORDS = {
    "enforced": "it was enforced",
    "overridden": "it was overridden: the executor did otherwise than the decision said",
    "late": "it was late: it acted before the decision was there, or after its time, or told late",
}


@dataclass(frozen=True, slots=True)
class _Asked:
    """A decision with the operation that asked for it."""

    id: bytes
    row: Decision
    transaction: VerifiedTransaction
    body: Body
    message: DecidePayment | DecideCase
    judged: Judged
    due_ms: int
    """By when the executor had to report, as the receipt says."""

    @property
    def height(self) -> int:
        return self.transaction.block.height


def check_decision(claim: DecisionClaim, facts: VerifiedFacts, *, replay: bool) -> Outcome:
    """Check how a decision was made, by which model, rule and people, and what became of it.

    Raises:
        ClaimError: The facts do not show it, or contradict each other.
        ReplayError: A model or rule gives another result than the receipt states.
    """
    asked = _asked(claim, facts)
    scope = asked.message.deployment if isinstance(asked.message, DecideCase) else ""
    book = rule_book_before(facts, height=asked.height)
    acting = book.acting_at(asked.height, scope)
    checked = [
        "the decision is the one that the signed question led to",
        f"{count_words(len(acting), 'rule')} acted at height {asked.height}: "
        "every change of a rule before it is shown",
    ]
    not_shown: list[str] = []
    _check_verdict(asked, acting)
    findings = [*_question_words(facts, asked), *_verdict_words(asked)]
    rules = (acting, book.watching_at(asked.height, scope))
    findings += _basis_findings(facts, asked, rules, (checked, not_shown), replay=replay)
    findings += _story(facts, asked)
    checked.append("every step since is shown, and leads to the status that the decision has")
    if asked.row.status in REPORTED:
        not_shown.append("whether the executor did what it says, and when: only that it signed so")
    what = f"decision {claim.decision.hex()}"
    return Outcome(what, tuple(findings), tuple(checked), tuple(not_shown))


def step_words(entries: Sequence[Entry[Record]]) -> list[str]:
    """Return how often each step stands in a range of outcomes; nothing for another series."""
    counts: dict[str, int] = {}
    for entry in entries:
        if isinstance(entry.record, OutcomeEntry):
            counts[entry.record.step] = counts.get(entry.record.step, 0) + 1
    told = [f"{count:,} {step.replace('_', ' ')}" for step, count in sorted(counts.items())]
    return [f"of them {list_words(told)}"] if told else []


# The question and its answer


def _asked(claim: DecisionClaim, facts: VerifiedFacts) -> _Asked:
    """Return the decision and the operation that asked for it; each is the other's.

    Raises:
        ClaimError: They are not.
    """
    row = facts.required_row(DECISIONS, claim.decision)
    transaction = facts.transaction(row.transaction_id)
    body = decode_body(transaction.envelope.body)
    operation = operation_at(transaction.receipt, row.operation_index)
    if len(body.operations) != len(transaction.receipt.operations):
        raise ClaimError("the receipt has another number of operations than the transaction")
    message = body.operations[row.operation_index]
    if not isinstance(message, DecidePayment | DecideCase):
        raise ClaimError("the operation asks for no decision")
    if operation.code != OK:
        raise ClaimError("the question was refused, and so there is no decision")
    place = row.operation_index.to_bytes(4, "big")
    identity = tagged_hash(b"cairn/object", transaction.id, place, b"decision")[:ID_SIZE_BYTES]
    if identity != claim.decision:
        raise ClaimError("the row is of another question")
    _check_row(row, transaction, body, message)
    judged = read_events(events_of(operation))
    decided = [event for event in judged.own if isinstance(event, Decided)]
    if len(decided) != 1 or not _is_same(decided[0], claim.decision, row):
        raise ClaimError("the receipt tells of another decision than the row")
    return _Asked(claim.decision, row, transaction, body, message, judged, decided[0].due_ms)


def _check_row(
    row: Decision,
    transaction: VerifiedTransaction,
    body: Body,
    message: DecidePayment | DecideCase,
) -> None:
    """Check that a decision's row says what was asked, by whom and when."""
    stated = (row.asked_by, row.executor, row.reference)
    if stated != (body.sender, message.executor, message.reference):
        raise ClaimError("the decision's row names other people than the question")
    if (row.decided_height, row.decided_ms) != (
        transaction.block.height,
        transaction.block.time_ms,
    ):
        raise ClaimError("the decision's row is of another block")
    if isinstance(message, DecidePayment):
        subject = PaymentSubject(
            message.payer,
            message.payee,
            message.asset,
            message.amount_units,
            message.booked_at_ms,
            message.terminal,
        )
        if row.subject != subject:
            raise ClaimError("the decision's row is of another payment")
    elif not isinstance(row.subject, CaseSubject) or row.subject.deployment != message.deployment:
        raise ClaimError("the decision's row is of another case")


def _is_same(event: Decided, decision: bytes, row: Decision) -> bool:
    """Return whether an event tells of a decision as its row keeps it."""
    return (event.decision, event.executor) == (decision, row.executor) and (
        event.verdict,
        event.basis,
        event.rule,
        event.version,
        event.score_ppm,
        event.expires_at_ms,
        event.allow_on_expiry,
    ) == (
        row.verdict,
        row.basis,
        row.rule,
        row.version,
        row.score_ppm,
        row.expires_at_ms,
        row.allow_on_expiry,
    )


def _check_verdict(asked: _Asked, acting: Sequence[ActingRule]) -> None:
    """Check that the verdict is what the rules that fired ask for.

    Raises:
        ClaimError: It is not.
    """
    row, judged = asked.row, asked.judged
    if row.basis == "frozen":
        if row.verdict != REFUSE or row.rule:
            raise ClaimError("a frozen payer's payment is refused, by no rule")
        return
    if judged.frozen is not None:
        expected = (REFUSE, judged.frozen.rule, judged.frozen.version)
    elif judged.decided is not None:
        event = judged.decided.event
        verdict = HOLD if "hold" in event.actions else REFUSE
        expected = (verdict, event.rule, event.version)
    else:
        expected = (ALLOW, "", 0)
    if (row.verdict, row.rule, row.version) != expected:
        raise ClaimError("the verdict is not what the rules that fired ask for")
    if (row.basis == "rule") != bool(row.rule):
        raise ClaimError("the decision states another basis than it has")
    if row.verdict == HOLD:
        _check_terms(row, acting)
    elif row.expires_at_ms:
        raise ClaimError("a decision that holds nothing has an expiry")


def _check_terms(row: Decision, acting: Sequence[ActingRule]) -> None:
    """Check that a held decision ends as the bytes of its rule say."""
    found = [one for one in acting if (one.name, one.version) == (row.rule, row.version)]
    terms = [a for one in found for a in one.rule.actions if isinstance(a, exact.Hold)]
    if not terms or row.allow_on_expiry != (terms[0].on_expiry == "settle"):
        raise ClaimError("the hold ends otherwise than its rule says")
    if not row.decided_ms < row.expires_at_ms <= row.decided_ms + terms[0].expiry_ms:
        raise ClaimError("the hold lasts longer than its rule says")


def _question_words(facts: VerifiedFacts, asked: _Asked) -> tuple[str, ...]:
    row, block = asked.row, asked.transaction.block
    subject = row.subject
    if isinstance(subject, PaymentSubject):
        amount = asset_words(facts, subject.amount_units, subject.asset)
        first = (
            f"asked was whether {amount} may go from {subject.payer.hex()} to "
            f"{subject.payee.hex()} on another rail, booked {time_words(subject.booked_at_ms)}"
        )
    else:
        first = f"asked was for a decision on a case of deployment `{subject.deployment}`"
    return (
        f"{first}, reference {row.reference.hex()}",
        f"in block {block.height}, {time_words(block.time_ms)}, signed by "
        f"{signer_words(facts, asked.transaction, asked.body)}; the executor is "
        f"{name_words(facts, row.executor)}",
    )


def _verdict_words(asked: _Asked) -> tuple[str, ...]:
    row = asked.row
    if row.basis == "frozen":
        return ("it was refused: the payer was frozen",)
    by = f" by rule `{row.rule}` version {row.version}" if row.rule else ": no rule objected"
    words = f"it was {VERDICT_WORDS[row.verdict]}{by}"
    if row.verdict == HOLD:
        then = VERDICT_WORDS[ALLOW if row.allow_on_expiry else REFUSE]
        words += f", until {time_words(row.expires_at_ms)}, then {then}"
    return (words,)


# What it rests on


def _basis_findings(
    facts: VerifiedFacts,
    asked: _Asked,
    rules: tuple[tuple[ActingRule, ...], tuple[ActingRule, ...]],
    told: tuple[list[str], list[str]],
    *,
    replay: bool,
) -> list[str]:
    """Return the scores and rules behind a decision, checked as those of any payment."""
    acting, watching = rules
    checked, not_shown = told
    judged = JudgedPayment(
        asked.transaction, asked.body, asked.row.operation_index, asked.message, OK, asked.judged
    )
    _check_score(asked)
    models = models_of(facts, judged)
    check_rules(judged, acting, watching, models)
    if asked.row.verdict == HOLD and isinstance(asked.message, DecidePayment):
        _check_hold_score(asked, acting)
    findings = score_words(facts, judged) + rule_findings(facts, judged, acting, models)
    findings += watching_words(watching)
    checked.append("the approvals of model and rules are on record and were used for them")
    replay_judgement(judged, acting, models, told, replay=replay)
    if isinstance(asked.message, DecideCase):
        not_shown.append("whether the features are true: the sender handed them in")
    elif asked.judged.scores:
        not_shown.append(
            "whether the features follow from the earlier payments: the ledger derived them in its "
            "block, and this file holds their values, not the payments that they sum up"
        )
    if asked.row.basis == "frozen":
        not_shown.append("that the payer was frozen: the series bank/freezes shows it")
    return findings


def _check_score(asked: _Asked) -> None:
    """Check that a case has the one score that its row names, on the inputs that were signed.

    Raises:
        ClaimError: It has another one, or a payment was scored on what was handed in.
    """
    row, message = asked.row, asked.message
    if isinstance(message, DecidePayment):
        if any(isinstance(score, FeaturesScored) for score in asked.judged.scores):
            raise ClaimError("a payment was scored on features that were handed in")
        return
    assert isinstance(row.subject, CaseSubject)
    version, position = row.subject.version, row.subject.position
    place = (message.deployment, version, message.features)
    if asked.judged.scores != (FeaturesScored(*place, row.score_ppm, position),):
        raise ClaimError("the receipt tells of another score than the decision's")


def _check_hold_score(asked: _Asked, acting: Sequence[ActingRule]) -> None:
    """Check that a held payment's decision names the score that its rule looked at first."""
    place = (asked.row.rule, asked.row.version)
    names = next(exact.models(one.rule) for one in acting if (one.name, one.version) == place)
    score = asked.judged.known["model:" + names[0]] if names else -1
    if asked.row.score_ppm != score:
        raise ClaimError("the decision names another score than the payment has")


# What became of it


def _story(facts: VerifiedFacts, asked: _Asked) -> list[str]:
    """Return everything that became of a decision, nothing missing.

    Raises:
        ClaimError: The steps do not lead to what the row says, or are not what people signed.
    """
    row, decision = asked.row, asked.id

    def is_last(_: int, entry: OutcomeEntry) -> bool:
        return entry.decision == decision and entry.step in REPORTED

    is_done = row.status in REPORTED
    shown = facts.stretch(
        OUTCOME_SERIES, since_ms=row.decided_ms, until=is_last if is_done else None
    )
    story = [entry for entry in shown.entries if entry.record.decision == decision]
    _check_story(row, story)
    if not any(entry.record.step in ANSWERS for entry in story) and row.due_ms != asked.due_ms:
        raise ClaimError("the decision leaves another time to report than its receipt says")
    told = [_step_words(facts, asked, entry) for entry in story]
    if row.status == HELD:
        told.append(f"it is held at the proving header, until {time_words(row.expires_at_ms)}")
    elif row.status == OPEN:
        told.append(f"the executor has until {time_words(row.due_ms)} to say what it did")
    elif row.status == UNANSWERED:
        told.append("the executor has not said what it did: it is unanswered")
    return told


def _check_story(row: Decision, story: Sequence[Entry[OutcomeEntry]]) -> None:
    """Check that the steps follow each other, and lead to the row as it is proved."""
    status = HELD if row.verdict == HOLD else OPEN
    answer, answered_ms = row.verdict, row.decided_ms
    for entry in story:
        step = entry.record.step
        if step in ANSWERS:
            is_next, after = status == HELD, OPEN
            answer, answered_ms = ANSWERS[step], entry.time_ms  # type: ignore[assignment]
        elif step == UNANSWERED:
            is_next, after = status == OPEN, UNANSWERED
        else:
            is_next, after = status not in REPORTED, step
        if not is_next:
            raise ClaimError(f"a decision that was {status} cannot be {step}")
        status = after
        if step in REPORTED:
            done = entry.record.done
            said = done and status_of_report(row, done, entry.record.acted_ms, entry.time_ms)
            if said != step:
                raise ClaimError(f"what the executor states does not make the decision {step}")
    if (status, answer, answered_ms) != (row.status, row.answer, row.answered_ms):
        raise ClaimError(f"the decision is {row.status}, its steps lead to {status}")


def _step_words(facts: VerifiedFacts, asked: _Asked, entry: Entry[OutcomeEntry]) -> str:
    """Return one step in words; a person's or executor's is the one that they signed."""
    record = entry.record
    when = f"block {record.height}, {time_words(entry.time_ms)}"
    if record.step == UNANSWERED:
        return f"the executor's time was over, {when}"
    if record.step in (EXPIRED_ALLOWED, EXPIRED_REFUSED):
        return f"the hold expired, it was {VERDICT_WORDS[ANSWERS[record.step]]}, {when}"
    transaction, message = _signed(facts, entry)
    who = name_words(facts, record.by)
    if isinstance(message, Review):
        ruling = {"release": RELEASED, "reject": REJECTED}[message.ruling]
        if (ruling, message.reason, message.decision) != (record.step, record.reason, asked.id):
            raise ClaimError("a review is not the one that was signed")
        reviewed = event_at(
            transaction.receipt, record.operation_index, Reviewed, lambda e: e.by == record.by
        )
        if reviewed.due_ms != asked.row.due_ms:
            raise ClaimError("the review left another time to report than the decision has")
        return f"it was {record.step} by {who} (reason: {record.reason}), {when}"
    if not isinstance(message, ReportExecution):
        raise ClaimError("a step of the decision was signed as something else")
    if (message.decision, message.done, message.acted_ms) != (
        asked.id,
        record.done,
        record.acted_ms,
    ):
        raise ClaimError("a report is not the one that was signed")
    event_at(
        transaction.receipt,
        record.operation_index,
        ExecutionReported,
        lambda e: (e.decision, e.status) == (asked.id, record.step),
    )
    return (
        f"{who} stated in {when}, to have {record.done} it at {time_words(record.acted_ms)}; "
        f"{STATUS_WORDS[record.step]}"
    )


def _signed(
    facts: VerifiedFacts, entry: Entry[OutcomeEntry]
) -> tuple[VerifiedTransaction, Message]:
    """Return the signed operation of a step.

    Raises:
        ClaimError: It is another one's, of another block, or was refused.
    """
    record = entry.record
    transaction = facts.transaction(record.transaction_id)
    body = decode_body(transaction.envelope.body)
    if operation_at(transaction.receipt, record.operation_index).code != OK:
        raise ClaimError("a step of the decision rests on an operation that was refused")
    block = transaction.block
    if (body.sender, block.height, block.time_ms) != (record.by, record.height, entry.time_ms):
        raise ClaimError("a step of the decision is not the one that was signed")
    if record.operation_index >= len(body.operations):
        raise ClaimError("a step of the decision names no operation")
    return transaction, body.operations[record.operation_index]
