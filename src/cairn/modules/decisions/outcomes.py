"""What becomes of a decision: people end holds, executors say what they did, time does the rest."""

from cairn.ledger.context import Context
from cairn.modules.bank import api as bank
from cairn.modules.decisions import events
from cairn.modules.decisions.errors import (
    ActedAheadError,
    AlreadyReportedError,
    NotExecutorError,
    NotHeldError,
    OwnCaseError,
    UnknownDecisionError,
    WrongOrganisationError,
)
from cairn.modules.decisions.messages import ReportExecution, Review
from cairn.modules.decisions.parameters import (
    ACTED_AHEAD_MS_MAX,
    ANSWER_MS_MAX,
    DUE_PER_BLOCK_MAX,
)
from cairn.modules.decisions.records import (
    ALLOW,
    COMPLIANCE,
    DECISIONS,
    DUE,
    EXPIRED_ALLOWED,
    EXPIRED_REFUSED,
    HELD,
    OPEN,
    OUTCOME_SERIES,
    REFUSE,
    REJECTED,
    RELEASED,
    REPORTED,
    UNANSWERED,
    Decision,
    Done,
    Due,
    OutcomeEntry,
    PaymentSubject,
    Step,
    falls_due_ms,
    status_of_report,
)
from cairn.modules.identity import api as identity
from cairn.primitives.encoding import replace

REPORT_TAG = "decisions/report_execution"


def review(ctx: Context, message: Review) -> None:
    """End a hold by a person's word: it may go on, or not."""
    decision = _check_decision(ctx, message.decision)
    if identity.check_role(ctx, COMPLIANCE).organisation != decision.organisation:
        raise WrongOrganisationError
    if decision.status != HELD:
        raise NotHeldError
    if _has_interest(ctx, decision):
        raise OwnCaseError

    is_released = message.ruling == "release"
    due_ms = _answer(ctx, message.decision, decision, is_allowed=is_released)
    step: Step = RELEASED if is_released else REJECTED
    _append(ctx, message.decision, step, reason=message.reason)
    ctx.emit(events.Reviewed(message.decision, message.ruling, ctx.sender, message.reason, due_ms))


def report_execution(ctx: Context, message: ReportExecution) -> None:
    """Keep what the executor says that it did, and what that means beside the decision."""
    decision = _check_decision(ctx, message.decision)
    if not identity.acts_for(ctx, decision.executor, REPORT_TAG):
        raise NotExecutorError
    if decision.status in REPORTED:
        raise AlreadyReportedError
    if message.acted_ms > ctx.time_ms + ctx.param(ACTED_AHEAD_MS_MAX):
        raise ActedAheadError

    status = status_of_report(decision, message.done, message.acted_ms, ctx.time_ms)
    _put(ctx, message.decision, decision, replace(decision, status=status))
    _append(ctx, message.decision, status, done=message.done, acted_ms=message.acted_ms)
    told = (message.decision, message.done, message.acted_ms, ctx.sender, status)
    ctx.emit(events.ExecutionReported(*told))


def end_block(ctx: Context) -> None:
    """End what is due at the block's time, earliest first, up to a number for each block."""
    for decision_id in _list_due(ctx, limit=ctx.param(DUE_PER_BLOCK_MAX)):
        decision = ctx.get(DECISIONS, decision_id)
        assert decision is not None, "a due row has its decision"
        if decision.status == HELD:
            _expire(ctx, decision_id, decision)
        else:
            _put(ctx, decision_id, decision, replace(decision, status=UNANSWERED))
            _append(ctx, decision_id, UNANSWERED)
            ctx.emit(events.LeftUnanswered(decision_id))


def next_due(ctx: Context) -> int | None:
    """Return the earliest time at which a hold or the time to report ends, or None."""
    for (due_ms, _), _ in ctx.scan(DUE):
        return int.from_bytes(due_ms, "big")
    return None


def _list_due(ctx: Context, *, limit: int) -> list[bytes]:
    found: list[bytes] = []
    for (due_ms, decision_id), _ in ctx.scan(DUE):
        if int.from_bytes(due_ms, "big") > ctx.time_ms or len(found) >= limit:
            break
        found.append(decision_id)
    return found


def _expire(ctx: Context, decision_id: bytes, decision: Decision) -> None:
    """End a hold as its rule said; the payment of a payer that is frozen may not go on."""
    subject = decision.subject
    is_frozen = isinstance(subject, PaymentSubject) and bank.is_frozen(ctx, subject.payer)
    is_allowed = decision.allow_on_expiry and not is_frozen
    due_ms = _answer(ctx, decision_id, decision, is_allowed=is_allowed)
    _append(ctx, decision_id, EXPIRED_ALLOWED if is_allowed else EXPIRED_REFUSED)
    ctx.emit(events.HoldExpired(decision_id, is_allowed, due_ms))


def _answer(ctx: Context, decision_id: bytes, decision: Decision, *, is_allowed: bool) -> int:
    """Give a held decision its answer; return by when the executor has to report."""
    due_ms = ctx.time_ms + ctx.param(ANSWER_MS_MAX)
    answered = replace(
        decision,
        answer=ALLOW if is_allowed else REFUSE,
        answered_ms=ctx.time_ms,
        due_ms=due_ms,
        status=OPEN,
    )
    _put(ctx, decision_id, decision, answered)
    return due_ms


def _put(ctx: Context, decision_id: bytes, old: Decision, new: Decision) -> None:
    """Write a decision, and the row of when it falls due next, if it does."""
    old_ms, new_ms = falls_due_ms(old), falls_due_ms(new)
    if old_ms is not None:
        ctx.delete(DUE, old_ms, decision_id)
    if new_ms is not None:
        ctx.put(DUE, Due(new.status), new_ms, decision_id)
    ctx.put(DECISIONS, new, decision_id)


def _check_decision(ctx: Context, decision_id: bytes) -> Decision:
    decision = ctx.get(DECISIONS, decision_id)
    if decision is None:
        raise UnknownDecisionError
    return decision


def _has_interest(ctx: Context, decision: Decision) -> bool:
    """Return whether the sender asked, would execute, or may pay for payer or payee."""
    if ctx.sender == decision.asked_by or identity.acts_for(ctx, decision.executor, REPORT_TAG):
        return True
    subject = decision.subject
    if not isinstance(subject, PaymentSubject):
        return False
    parties = (subject.payer, subject.payee)
    return any(bank.operates(ctx, account, "bank/transfer") for account in parties)


def _append(
    ctx: Context,
    decision_id: bytes,
    step: Step,
    *,
    reason: str = "",
    done: Done = "",
    acted_ms: int = 0,
) -> None:
    entry = OutcomeEntry(
        decision=decision_id,
        step=step,
        by=ctx.sender,
        reason=reason,
        done=done,
        acted_ms=acted_ms,
        height=ctx.height,
        transaction_id=ctx.transaction_id,
        operation_index=ctx.operation_index,
    )
    ctx.append(OUTCOME_SERIES, entry)
