"""Facts about outcomes."""

from typing import Literal

from cairn.ledger.messages import Event


class OutcomeRecorded(Event, tag="screening/outcome_recorded"):
    """Somebody decided what a payment turned out to be."""

    transaction_id: bytes
    operation_index: int
    label: Literal["fraud", "genuine"]
