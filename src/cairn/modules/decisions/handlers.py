"""What the messages that ask for a decision do: check, change, emit."""

from dataclasses import dataclass

from cairn.ledger.context import Context
from cairn.ledger.hooks import Allow, Hold, Refuse, Verdict
from cairn.modules.bank import api as bank
from cairn.modules.decisions.errors import (
    ExecutorNotBoundError,
    NotAuthorisedError,
    NotJudgedError,
    UnknownExecutorError,
)
from cairn.modules.decisions.events import Decided
from cairn.modules.decisions.messages import DecideCase, DecidePayment
from cairn.modules.decisions.parameters import ANSWER_MS_MAX, HOLD_MS_MAX
from cairn.modules.decisions.records import (
    DECISION_SERIES,
    DECISIONS,
    DUE,
    HELD,
    HOLD,
    OPEN,
    REFUSE,
    Answer,
    Basis,
    CaseSubject,
    Decision,
    DecisionEntry,
    Due,
    PaymentSubject,
)
from cairn.modules.identity import api as identity
from cairn.modules.inference import api as inference
from cairn.modules.models import api as models
from cairn.modules.rules import api as rules

PAYMENT_TAG = "decisions/decide_payment"
CASE_TAG = "decisions/decide_case"


@dataclass(frozen=True, slots=True)
class _Terms:
    """A verdict as a decision keeps it."""

    verdict: Answer
    basis: Basis
    rule: str = ""
    version: int = 0
    score_ppm: int = -1
    expires_at_ms: int = 0
    allow_on_expiry: bool = False


@dataclass(frozen=True, slots=True)
class _Asked:
    """What was asked for, and by whom it will be carried out."""

    subject: PaymentSubject | CaseSubject
    organisation: bytes
    executor: bytes
    reference: bytes


def decide_payment(ctx: Context, message: DecidePayment) -> None:
    """Answer whether a payment may settle on another rail; move nothing."""
    bank.check_operates(ctx, message.payer, PAYMENT_TAG)
    bank.check_booked_at(ctx, message.booked_at_ms)
    organisation = bank.home_of(ctx, message.payer)
    _check_executor(ctx, message.executor, organisation, PAYMENT_TAG)
    terms = _terms(ctx, ctx.check_verdict())
    if terms.verdict != REFUSE and bank.is_frozen(ctx, message.payer):
        terms = _Terms("refuse", "frozen", score_ppm=terms.score_ppm)

    ctx.verdict = None
    subject = PaymentSubject(
        message.payer,
        message.payee,
        message.asset,
        message.amount_units,
        message.booked_at_ms,
        message.terminal,
    )
    _decide(ctx, _Asked(subject, organisation, message.executor, message.reference), terms)


def decide_case(ctx: Context, message: DecideCase) -> None:
    """Score a case that the sender states, and answer as the rules of its deployment say."""
    sender = identity.check_active(ctx)
    organisation = models.check_deployment(ctx, message.deployment).organisation
    # Each case uses up the daily caps of the deployment's rules.
    if sender.organisation != organisation and not identity.acts_for(ctx, organisation, CASE_TAG):
        raise NotAuthorisedError
    _check_executor(ctx, message.executor, organisation, CASE_TAG)
    scored = inference.score_asserted(ctx, message.deployment, message.features)

    judged = rules.judge_case(ctx, message.deployment, scored.inputs, score_ppm=scored.score_ppm)
    for event in judged.events:
        ctx.emit(event)
    terms = _case_terms(ctx, judged, scored.score_ppm)
    subject = CaseSubject(message.deployment, scored.version, scored.position)
    _decide(ctx, _Asked(subject, organisation, message.executor, message.reference), terms)


def _check_executor(ctx: Context, executor: bytes, organisation: bytes, tag: str) -> None:
    """Check that an account can be named as the one who acts on a decision.

    It is of the decision's organisation, or let the sender ask in its name: nobody else gets
    decisions to answer for.

    Raises:
        UnknownExecutorError: There is no such account, or it is suspended.
        ExecutorNotBoundError: It is bound to nothing of this.
    """
    account = identity.get_account(ctx, executor)
    if account is None or not identity.is_active(ctx, executor):
        raise UnknownExecutorError
    if account.organisation != organisation and not identity.acts_for(ctx, executor, tag):
        raise ExecutorNotBoundError


def _terms(ctx: Context, verdict: Verdict) -> _Terms:
    """Return what a verdict on a payment comes to.

    Raises:
        NotJudgedError: The payment was no attempt when the block began.
    """
    match verdict:
        case Allow():
            return _Terms("allow", "screened" if verdict.basis == "screened" else "no_rule")
        case Refuse():
            if not verdict.rule:
                raise NotJudgedError
            return _Terms("refuse", "rule", verdict.rule, verdict.version)
        case Hold():
            return _Terms(
                "hold",
                "rule",
                verdict.rule,
                verdict.version,
                verdict.score_ppm,
                min(verdict.expires_at_ms, ctx.time_ms + ctx.param(HOLD_MS_MAX)),
                verdict.settle_on_expiry,
            )


def _case_terms(ctx: Context, judged: rules.CaseJudgement, score_ppm: int) -> _Terms:
    """Return what the rules' judgement on a case comes to."""
    if not judged.rule:
        return _Terms("allow", "screened", score_ppm=score_ppm)
    expires_at_ms = 0
    if judged.verdict == HOLD:
        expires_at_ms = min(judged.expires_at_ms, ctx.time_ms + ctx.param(HOLD_MS_MAX))
    return _Terms(
        judged.verdict,
        "rule",
        judged.rule,
        judged.version,
        score_ppm,
        expires_at_ms,
        judged.on_expiry == "settle",
    )


def _decide(ctx: Context, asked: _Asked, terms: _Terms) -> None:
    """Write a decision, when it falls due, and its entry in the series."""
    decision_id = ctx.new_id(b"decision")
    is_held = terms.verdict == HOLD
    ends_ms = terms.expires_at_ms if is_held else ctx.time_ms
    row = Decision(
        subject=asked.subject,
        asked_by=ctx.sender,
        organisation=asked.organisation,
        executor=asked.executor,
        reference=asked.reference,
        verdict=terms.verdict,
        basis=terms.basis,
        rule=terms.rule,
        version=terms.version,
        score_ppm=terms.score_ppm,
        decided_height=ctx.height,
        decided_ms=ctx.time_ms,
        transaction_id=ctx.transaction_id,
        operation_index=ctx.operation_index,
        expires_at_ms=terms.expires_at_ms,
        allow_on_expiry=terms.allow_on_expiry,
        answer=terms.verdict,
        answered_ms=ctx.time_ms,
        due_ms=ends_ms + ctx.param(ANSWER_MS_MAX),
        status=HELD if is_held else OPEN,
    )
    ctx.put(DECISIONS, row, decision_id)
    ctx.put(DUE, Due(row.status), row.expires_at_ms if is_held else row.due_ms, decision_id)
    ctx.append(DECISION_SERIES, _entry(decision_id, row))
    ctx.emit(
        Decided(
            decision_id,
            row.verdict,
            row.basis,
            row.rule,
            row.version,
            row.score_ppm,
            row.executor,
            row.expires_at_ms,
            row.allow_on_expiry,
            row.due_ms,
        )
    )


def _entry(decision_id: bytes, row: Decision) -> DecisionEntry:
    case = row.subject if isinstance(row.subject, CaseSubject) else None
    return DecisionEntry(
        decision=decision_id,
        kind="payment" if case is None else "case",
        deployment="" if case is None else case.deployment,
        asked_by=row.asked_by,
        organisation=row.organisation,
        executor=row.executor,
        verdict=row.verdict,
        basis=row.basis,
        rule=row.rule,
        version=row.version,
        score_ppm=row.score_ppm,
        transaction_id=row.transaction_id,
        operation_index=row.operation_index,
    )
