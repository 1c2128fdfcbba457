"""Facts about attempts and outcomes."""

from cairn.ledger.messages import Event
from cairn.modules.screening.records import Label


class AttemptCounted(Event, tag="screening/attempt_counted"):
    """Windows counted the movement, whatever becomes of it."""

    attempt: int
    """Its position in `screening/attempts`; outcomes name the payment by it."""


class OutcomeRecorded(Event, tag="screening/outcome_recorded"):
    """Somebody decided what a payment turned out to be."""

    attempt: int
    transaction_id: bytes
    operation_index: int
    label: Label
