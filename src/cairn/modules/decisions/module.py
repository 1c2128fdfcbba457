"""The registration of decisions."""

from cairn.ledger.hooks import Movement
from cairn.ledger.module import Invariant, MessageSpec, Module
from cairn.modules.decisions import (
    events,
    handlers,
    invariants,
    messages,
    outcomes,
    parameters,
    prices,
    records,
)


def _movement(message: messages.DecidePayment) -> Movement:
    return Movement(
        message.payer,
        message.payee,
        message.asset,
        message.amount_units,
        message.booked_at_ms,
        message.terminal,
        message.asserted,
        elsewhere=True,
    )


DECISIONS = Module(
    name="decisions",
    messages=(
        MessageSpec(
            messages.DecidePayment,
            handlers.decide_payment,
            cost=prices.DECIDE_COST,
            movement=_movement,
        ),
        MessageSpec(messages.DecideCase, handlers.decide_case, cost=prices.CASE_COST, priced=True),
        MessageSpec(messages.Review, outcomes.review),
        MessageSpec(messages.ReportExecution, outcomes.report_execution),
    ),
    events=(
        events.Decided,
        events.Reviewed,
        events.HoldExpired,
        events.ExecutionReported,
        events.LeftUnanswered,
    ),
    tables=(records.DECISIONS, records.DUE),
    series=(records.DECISION_SERIES, records.OUTCOME_SERIES),
    parameters=parameters.DECISIONS_PARAMETERS,
    price_block=prices.price_block,
    end_block=outcomes.end_block,
    next_due=outcomes.next_due,
    invariants=(
        Invariant(
            "decisions/due",
            invariants.check_due,
            (records.DECISIONS, records.DUE),
            invariants.check_due_change,
        ),
    ),
)
