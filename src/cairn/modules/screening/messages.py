"""The command that says what a payment turned out to be."""

from typing import Annotated, Literal

from msgspec import Meta

from cairn.ledger.messages import Message
from cairn.ledger.records import DigestField

OperationIndexField = Annotated[int, Meta(ge=0, le=4_096)]


class RecordOutcome(Message, tag="screening/record_outcome"):
    """Put on record what an operation of a transaction turned out to be."""

    transaction_id: DigestField
    operation_index: OperationIndexField
    label: Literal["fraud", "genuine"]
