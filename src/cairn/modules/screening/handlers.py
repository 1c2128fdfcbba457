"""What the message about outcomes does."""

from cairn.ledger.context import Context
from cairn.modules.bank import api as bank
from cairn.modules.identity import api as identity
from cairn.modules.screening.errors import (
    AttemptNotFoundError,
    OutcomeUnchangedError,
    WrongOrganisationError,
)
from cairn.modules.screening.events import OutcomeRecorded
from cairn.modules.screening.messages import RecordOutcome
from cairn.modules.screening.records import (
    ATTEMPTS,
    COMPLIANCE,
    OUTCOME_ENTRIES,
    OUTCOMES,
    Outcome,
    OutcomeEntry,
)
from cairn.modules.screening.windows import relabel_attempt


def record_outcome(ctx: Context, message: RecordOutcome) -> None:
    """Record what a payment turned out to be; a later outcome replaces an earlier one."""
    organisation = identity.check_role(ctx, COMPLIANCE).organisation
    position = message.attempt
    if position >= ctx.series_size(ATTEMPTS):
        raise AttemptNotFoundError
    _, attempt = ctx.series_get(ATTEMPTS, position)
    if organisation not in (bank.find_home(ctx, p) for p in (attempt.payer, attempt.payee)):
        raise WrongOrganisationError
    place = (attempt.transaction_id, attempt.operation_index)
    known = ctx.get(OUTCOMES, *place)
    if known is not None and known.label == message.label:
        raise OutcomeUnchangedError

    was_fraud = known is not None and known.label == "fraud"
    change = int(message.label == "fraud") - int(was_fraud)
    if change:
        relabel_attempt(ctx, attempt, change)
    ctx.put(OUTCOMES, Outcome(position, message.label, ctx.sender, ctx.time_ms), *place)
    entry = OutcomeEntry(position, *place, message.label, ctx.sender)
    ctx.append(OUTCOME_ENTRIES, entry)
    ctx.emit(OutcomeRecorded(position, *place, message.label))
