"""What the message about outcomes does."""

from cairn.ledger.context import Context
from cairn.modules.identity import api as identity
from cairn.modules.screening.errors import OutcomeUnchangedError
from cairn.modules.screening.events import OutcomeRecorded
from cairn.modules.screening.messages import RecordOutcome
from cairn.modules.screening.records import (
    COMPLIANCE,
    OUTCOME_ENTRIES,
    OUTCOMES,
    Outcome,
    OutcomeEntry,
)


def record_outcome(ctx: Context, message: RecordOutcome) -> None:
    """Record what an operation turned out to be; a later outcome replaces an earlier one."""
    identity.check_role(ctx, COMPLIANCE)
    place = (message.transaction_id, message.operation_index)
    known = ctx.get(OUTCOMES, *place)
    if known is not None and known.label == message.label:
        raise OutcomeUnchangedError
    ctx.put(OUTCOMES, Outcome(message.label, ctx.sender, ctx.time_ms), *place)
    ctx.append(OUTCOME_ENTRIES, OutcomeEntry(*place, message.label, ctx.sender))
    ctx.emit(OutcomeRecorded(*place, message.label))
