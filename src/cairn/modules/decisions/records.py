"""Rows and series of decisions: what was decided, what falls due when, and what was done."""

from typing import Final, Literal

from cairn.ledger.records import (
    AccountIdField,
    DigestField,
    HeightField,
    NameField,
    ObjectIdField,
    Series,
    Table,
    TimeMsField,
)
from cairn.primitives.encoding import Record

COMPLIANCE = "compliance"
"""Role that reviews its organisation's held decisions."""

ALLOW: Final = "allow"
HOLD: Final = "hold"
REFUSE: Final = "refuse"

EXECUTED: Final = "executed"
STOPPED: Final = "stopped"

HELD: Final = "held"
OPEN: Final = "open"
UNANSWERED: Final = "unanswered"
ENFORCED: Final = "enforced"
OVERRIDDEN: Final = "overridden"
LATE: Final = "late"

RELEASED: Final = "released"
REJECTED: Final = "rejected"
EXPIRED_ALLOWED: Final = "expired_allowed"
EXPIRED_REFUSED: Final = "expired_refused"

REPORTED = (ENFORCED, OVERRIDDEN, LATE)
"""Statuses after which nothing more becomes of a decision."""
WAITING = (HELD, OPEN)
"""Statuses of a decision that falls due."""
RANKS = {HELD: 0, OPEN: 1, UNANSWERED: 2, ENFORCED: 3, OVERRIDDEN: 3, LATE: 3}
"""A status never goes to one of a lower or its own rank."""

Answer = Literal["allow", "hold", "refuse"]
Basis = Literal["rule", "screened", "no_rule", "frozen"]
Status = Literal["held", "open", "unanswered", "enforced", "overridden", "late"]
Done = Literal["", "executed", "stopped"]
Step = Literal[
    "released",
    "rejected",
    "expired_allowed",
    "expired_refused",
    "unanswered",
    "enforced",
    "overridden",
    "late",
]


class PaymentSubject(Record, tag="payment"):
    """A payment that settles on another rail."""

    payer: AccountIdField
    payee: AccountIdField
    asset: NameField
    amount_units: int
    booked_at_ms: TimeMsField
    terminal: bytes


class CaseSubject(Record, tag="case"):
    """A case that a model scored; its features are in the operation that asked."""

    deployment: NameField
    version: ObjectIdField
    """Version of the model."""
    position: int
    """Position of the prediction in the deployment's series."""


class Decision(Record):
    """What was decided, and what became of it. Never deleted."""

    subject: PaymentSubject | CaseSubject
    asked_by: AccountIdField
    organisation: AccountIdField
    """Whose compliance reviews it: the payer's home, or for a case the sender's organisation."""
    executor: AccountIdField
    reference: DigestField
    verdict: Answer
    """What was answered at first; never changes."""
    basis: Basis
    rule: str
    """The rule that decided; empty unless the basis is `rule`."""
    version: int
    score_ppm: int
    """Score that the rule looked at, or that the case has; -1 where there is none."""
    decided_height: HeightField
    decided_ms: TimeMsField
    transaction_id: DigestField
    operation_index: int
    expires_at_ms: int
    """When a hold ends by itself; 0 where nothing was held."""
    allow_on_expiry: bool
    answer: Answer
    """What holds now: the verdict, until a person or the expiry ends a hold."""
    answered_ms: TimeMsField
    """Since when it holds."""
    due_ms: int
    """By when the executor has to say what it did; while held if nobody decides before."""
    status: Status


class DecisionEntry(Record):
    """Entry of `decisions/decisions`: a decision as it was made."""

    decision: ObjectIdField
    kind: Literal["payment", "case"]
    deployment: str
    """Empty for a payment."""
    asked_by: AccountIdField
    organisation: AccountIdField
    executor: AccountIdField
    verdict: Answer
    basis: Basis
    rule: str
    version: int
    score_ppm: int
    transaction_id: DigestField
    operation_index: int


class OutcomeEntry(Record):
    """Entry of `decisions/outcomes`: a step in what became of a decision."""

    decision: ObjectIdField
    step: Step
    by: bytes
    """Who did it; empty for what time did."""
    reason: str
    """Of a review; else empty."""
    done: Done
    """Of a report; else empty."""
    acted_ms: int
    """Of a report; else 0."""
    height: HeightField
    transaction_id: bytes
    """The signed word of a person or executor; empty for what time did."""
    operation_index: int


class Due(Record):
    """A decision whose hold or time to report ends at the time in the row's key."""

    status: Status
    """`held` or `open`, as the decision's."""


DECISIONS: Table[Decision] = Table("decisions", "decision", (bytes,), Decision)
DUE: Table[Due] = Table("decisions", "due", (int, bytes), Due, ordered=True)

DECISION_SERIES: Series[DecisionEntry] = Series("decisions", "decisions", (), DecisionEntry)
OUTCOME_SERIES: Series[OutcomeEntry] = Series("decisions", "outcomes", (), OutcomeEntry)


def answer_at(decision: Decision, time_ms: int) -> Answer | None:
    """Return what a decision said at a time, None before there was one."""
    if time_ms < decision.decided_ms:
        return None
    return decision.verdict if time_ms < decision.answered_ms else decision.answer


def status_of_report(
    decision: Decision, done: Literal["executed", "stopped"], acted_ms: int, reported_ms: int
) -> Literal["enforced", "overridden", "late"]:
    """Return what it means that an executor did this then and said so at this time.

    Acting before there was a decision is late. Doing otherwise than the decision said at the time
    is overriding it, however late it is told: what is held or refused is stopped, what is allowed
    is executed. Anything else after the due time is late.
    """
    said = answer_at(decision, acted_ms)
    if said is None:
        return "late"
    if done != (EXECUTED if said == ALLOW else STOPPED):
        return "overridden"
    return "late" if max(acted_ms, reported_ms) > decision.due_ms else "enforced"


def falls_due_ms(decision: Decision) -> int | None:
    """Return when a decision falls due: its hold ends, or its report is missing; else None."""
    if decision.status == HELD:
        return decision.expires_at_ms
    return decision.due_ms if decision.status == OPEN else None
