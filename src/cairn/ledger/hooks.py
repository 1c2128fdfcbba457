"""The hooks through which modules take part in a block, and the verdicts on movements of value.

The ledger knows hooks, not scoring. Every operation that moves value declares its movement; before
any operation runs, `prepare_block` judges all movements of the block at once, and the verdict is in
the operation's context when its handler runs. A movement without a verdict is a fault. When all
operations have run, `after_operations` hears what became of those that the judging hook asked for.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

from cairn.ledger.messages import Message
from cairn.ledger.records import Asserted as Asserted
from cairn.primitives.encoding import Record

if TYPE_CHECKING:
    from cairn.ledger.context import Context


class Movement(Record):
    """Value that an operation wants to move from one account to another."""

    payer: bytes
    payee: bytes
    asset: str
    amount_units: int
    booked_at_ms: int
    """When the payment was booked, as the signer states it; windows use this time."""
    terminal: bytes = b""
    """Where the payment was made, 20 bytes; empty if there is no such place."""
    asserted: tuple[Asserted, ...] = ()
    """What the submitter states about it; rules see it apart from what the ledger derives."""
    elsewhere: bool = False
    """Whether the value settles on another rail: then nobody knows here what the payer has."""


class Allow(Record, tag="allow"):
    """The movement may settle."""

    basis: str
    """Why: `screened`, `no_rule`, `reviewed`, `expiry` or `issuance`."""


class Refuse(Record, tag="refuse"):
    """The movement must not happen."""

    rule: str
    """Name of the rule that refuses."""
    version: int


class Hold(Record, tag="hold"):
    """The movement's value is set aside until somebody decides or the hold expires."""

    rule: str
    version: int
    expires_at_ms: int
    settle_on_expiry: bool
    """Whether the value goes on to the payee at expiry, or back to the payer."""
    score_ppm: int
    """Score that the rule looked at, or -1 where it looked at none."""


Verdict = Allow | Refuse | Hold


@dataclass(frozen=True, slots=True)
class AdmittedOperation:
    """An operation of an admitted transaction, in block order, before any handler has run."""

    transaction_index: int
    operation_index: int
    transaction_id: bytes
    sender: bytes
    message: Message
    movement: Movement | None


@dataclass(frozen=True, slots=True)
class Judgement:
    """A verdict on a movement, and the events that explain it.

    The events open the operation's receipt, and stay there when the operation is refused.
    """

    verdict: Verdict
    events: tuple[bytes, ...] = ()
    memo: Any = None
    """What the judging hook wants back when the operations have run; None for nothing."""


@dataclass(frozen=True, slots=True)
class JudgedOutcome:
    """What became of an operation whose judgement has a memo."""

    operation: AdmittedOperation
    judgement: Judgement
    code: str
    """That of the operation's receipt: `ok` if it took effect, else why it did not."""


PrepareBlock = Callable[["Context", Sequence[AdmittedOperation]], list[Judgement | None]]
"""Return one judgement for each operation with a movement, None for every other.

What the hook writes stays written whatever becomes of the operations: attempts count.
"""

AfterOperations = Callable[["Context", Sequence[JudgedOutcome]], None]
"""Do what follows from what became of judged operations, in block order, before the block's end.

Only operations whose judgements have a memo are told of; with none the hook is called all the same.
"""

MovementPrice = Callable[["Context"], int]
"""Return what judging one movement of the context's block costs, as the block begins."""


class BlockPrices(Protocol):
    """What messages cost in one block beside what they declare, from the state at its beginning."""

    def price(self, messages: Sequence[Message]) -> int:
        """Return what the messages of one transaction cost together."""
        ...

    def take(self, messages: Sequence[Message]) -> None:
        """Take note that a transaction with these messages is in the block and was charged."""
        ...


PriceBlock = Callable[["Context"], BlockPrices]
"""Return the prices of the context's block, for the messages that are declared `priced`."""

EndBlock = Callable[["Context"], None]
"""Do what is due at this block's time (expiries); its events form the block's last receipt."""

KeySpeaks = Callable[["Context", bytes, bytes], bool]
"""Return whether a key (second) speaks for an account (first) at the context's height."""

ChargeFee = Callable[["Context", bytes, int], int]
"""Charge an account for a cost; return the fee taken, in units."""

NextDue = Callable[["Context"], int | None]
"""Return the earliest time (ms) at which end-of-block work falls due, if any is waiting."""
