"""The command that says what a payment turned out to be."""

from cairn.ledger.messages import Message
from cairn.ledger.records import CountField
from cairn.modules.screening.records import Label


class RecordOutcome(Message, tag="screening/record_outcome"):
    """Put on record what a payment turned out to be; features of later payments follow it."""

    attempt: CountField
    """Position in `screening/attempts`, as the payment's receipt states it."""
    label: Label
