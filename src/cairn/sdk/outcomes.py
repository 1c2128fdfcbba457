"""What became of a transaction: its receipt, decoded; and saying what a payment turned out to be.

    record_outcome(client, transaction_id, 0, "fraud")

The ledger names a payment by its place among the attempts that windows counted. The place stands in
the payment's receipt, from where it is taken here.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import TYPE_CHECKING, TypeVar

from cairn.evidence.catalog import decode_event
from cairn.ledger.messages import Event
from cairn.ledger.receipts import OK, OPERATION_REFUSED, RECEIPT_DECODER, UNDONE
from cairn.modules.screening.events import AttemptCounted
from cairn.modules.screening.messages import RecordOutcome
from cairn.modules.screening.records import Label
from cairn.primitives.encoding import NonCanonicalError
from cairn.sdk.errors import NotFoundError, ProtocolError, UsageError
from cairn.sdk.refusals import rejected

if TYPE_CHECKING:
    from cairn.sdk.client import Client

EventT = TypeVar("EventT", bound=Event)

LABELS: Mapping[str, Label] = MappingProxyType({"fraud": "fraud", "genuine": "genuine"})
"""What a payment can turn out to be."""


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


def attempt_of(final: Final, operation: int = 0) -> int:
    """Return the position of a payment among the attempts that windows counted.

    Args:
        final: The payment's transaction.
        operation: Which of its operations the payment is.

    Raises:
        NotFoundError: The transaction has no such operation, or windows did not count it.
    """
    if not 0 <= operation < len(final.operations):
        raise NotFoundError(
            f"transaction {final.transaction_id.hex()} has no operation {operation}",
            f"its operations are numbered 0 to {len(final.operations) - 1}",
        )
    for event in final.operations[operation].events:
        if isinstance(event, AttemptCounted):
            return event.attempt
    raise NotFoundError(
        f"windows did not count operation {operation} of {final.transaction_id.hex()}",
        "only payments whose sender may pay are counted, and only while a rule acts or the "
        "parameter screening.windows_without_rules is 1",
    )


def record_outcome(client: "Client", transaction_id: bytes, operation: int, label: str) -> Final:
    """Record what a payment turned out to be; return the recording's own outcome.

    Args:
        client: Signs for somebody with the role `compliance`.
        transaction_id: The payment's transaction.
        operation: Which of its operations the payment is.
        label: `fraud` or `genuine`; a later one replaces it.

    Raises:
        UsageError: The label is neither of the two.
        NotFoundError: There is no such payment, or windows did not count it.
        RejectedError: The ledger refused to record it.
    """
    known = LABELS.get(label)
    if known is None:
        raise UsageError(f"{label!r} is no outcome", "say fraud or genuine")
    final = client.outcome(transaction_id)
    if final is None:
        raise NotFoundError(
            f"no block holds transaction {transaction_id.hex()}",
            "the id of a payment is printed when it is sent",
        )
    return client.submit(RecordOutcome(attempt_of(final, operation), known))
