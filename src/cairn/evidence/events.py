"""Events of receipts: decoded, and the one of a kind that a claim is about."""

from collections.abc import Callable
from typing import TypeVar

from cairn.evidence.catalog import decode_event
from cairn.evidence.errors import ClaimError, ReceiptProofError
from cairn.ledger.messages import Event
from cairn.ledger.receipts import OperationReceipt, Receipt
from cairn.primitives.encoding import NonCanonicalError

EventT = TypeVar("EventT", bound=Event)


def operation_at(receipt: Receipt, index: int) -> OperationReceipt:
    """Return the outcome of one operation.

    Raises:
        ClaimError: The transaction has no such operation.
    """
    if not 0 <= index < len(receipt.operations):
        raise ClaimError(f"the transaction has no operation {index}")
    return receipt.operations[index]


def events_of(operation: OperationReceipt) -> tuple[Event, ...]:
    """Return an operation's events.

    Raises:
        ReceiptProofError: One of them is of a kind that this verifier does not know.
    """
    try:
        return tuple(decode_event(raw) for raw in operation.events)
    except NonCanonicalError as error:
        raise ReceiptProofError(f"an event of the receipt is not a known one: {error}") from error


def event_at(
    receipt: Receipt, index: int, kind: type[EventT], is_wanted: Callable[[EventT], bool]
) -> EventT:
    """Return the one event of a kind, at an operation, that is wanted.

    Raises:
        ClaimError: There is none, or more than one.
    """
    found = [
        event
        for event in events_of(operation_at(receipt, index))
        if isinstance(event, kind) and is_wanted(event)
    ]
    if len(found) != 1:
        raise ClaimError(f"the receipt holds {len(found)} such events {kind.__name__}")
    return found[0]
