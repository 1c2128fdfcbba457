"""What became of a transaction: its receipt, decoded."""

from dataclasses import dataclass
from typing import TypeVar

from cairn.evidence.catalog import decode_event
from cairn.ledger.messages import Event
from cairn.ledger.receipts import OK, OPERATION_REFUSED, RECEIPT_DECODER, UNDONE
from cairn.primitives.encoding import NonCanonicalError
from cairn.sdk.errors import ProtocolError
from cairn.sdk.refusals import rejected

EventT = TypeVar("EventT", bound=Event)


@dataclass(frozen=True, slots=True)
class OperationOutcome:
    """What became of one operation."""

    code: str
    """`ok` or the code of the refusal."""
    events: tuple[Event, ...]
    """What explains its verdict, then what it did."""

    @property
    def is_done(self) -> bool:
        """Whether it took effect."""
        return self.code == OK

    def check(self) -> None:
        """Check that it took effect.

        Raises:
            RejectedError: It was refused.
        """
        if not self.is_done:
            raise rejected(self.code)


@dataclass(frozen=True, slots=True)
class Final:
    """A transaction in a block, with its receipt."""

    transaction_id: bytes
    height: int
    position: int
    time_ms: int
    code: str
    operations: tuple[OperationOutcome, ...]
    receipt: bytes
    """The receipt's canonical bytes."""

    @property
    def events(self) -> tuple[Event, ...]:
        """All events, in the order of the operations."""
        return tuple(event for operation in self.operations for event in operation.events)

    def event(self, kind: type[EventT]) -> EventT:
        """Return the first event of a kind.

        Raises:
            ProtocolError: The receipt holds none.
        """
        found = self.find(kind)
        if found is None:
            raise ProtocolError(f"the receipt holds no {kind.__name__}")
        return found

    def find(self, kind: type[EventT]) -> EventT | None:
        """Return the first event of a kind, or None."""
        return next((event for event in self.events if isinstance(event, kind)), None)

    def check(self) -> None:
        """Check that every operation took effect.

        Raises:
            RejectedError: One was refused; the error carries its code.
        """
        for operation in self.operations:
            if operation.code not in (OK, UNDONE):
                raise rejected(operation.code)
        if self.code not in (OK, OPERATION_REFUSED):
            raise rejected(self.code)


def open_receipt(
    transaction_id: bytes, *, height: int, position: int, time_ms: int, receipt: bytes
) -> Final:
    """Return a transaction's outcome from its receipt's bytes.

    Raises:
        ProtocolError: The bytes are no receipt of this transaction, or hold an unknown event.
    """
    try:
        decoded = RECEIPT_DECODER.decode(receipt)
        operations = tuple(
            OperationOutcome(one.code, tuple(decode_event(raw) for raw in one.events))
            for one in decoded.operations
        )
    except NonCanonicalError as error:
        raise ProtocolError(f"the receipt does not parse: {error}") from error
    if decoded.transaction_id != transaction_id:
        raise ProtocolError("the receipt belongs to another transaction")
    return Final(transaction_id, height, position, time_ms, decoded.code, operations, receipt)
