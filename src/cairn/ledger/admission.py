"""Admission: whether a transaction may enter a block at all, decided before anything runs.

Refusals in order of precedence: malformed, bad signature, wrong chain, unknown key, bad sequence,
expired. A transaction refused here changes nothing. One that is admitted consumes its sequence
number, whatever becomes of its operations.
"""

from collections.abc import Iterable
from dataclasses import dataclass, field

from cairn.ledger.context import Context
from cairn.ledger.errors import (
    BadSequenceError,
    BadSignatureError,
    BudgetExceededError,
    ExpiredTransactionError,
    InvalidMessageError,
    MalformedTransactionError,
    Rejection,
    UnknownKeyError,
    WrongChainError,
)
from cairn.ledger.hooks import KeySpeaks, MovementPrice, PriceBlock
from cairn.ledger.messages import Message
from cairn.ledger.module import MessageSpec, Registry
from cairn.ledger.parameters import VALIDITY_BLOCKS_MAX
from cairn.ledger.records import Table
from cairn.ledger.transactions import Body, Transaction, decode_envelope, raw_hash, transaction_id
from cairn.primitives.encoding import NonCanonicalError, Record


class SequenceRow(Record):
    """Last sequence number that a lane of a sender has used."""

    last: int


SEQUENCES: Table[SequenceRow] = Table("ledger", "sequence", (bytes, int), SequenceRow)


@dataclass(slots=True)
class DecodedTransaction:
    """A transaction as far as its bytes alone decide; made once, wherever it is needed."""

    raw: bytes
    raw_hash: bytes
    id: bytes = b""
    envelope: Transaction | None = None
    body: Body | None = None
    """None if the bytes are malformed."""
    specs: tuple[MessageSpec, ...] = ()
    invalid: tuple[str, ...] = ()
    """For each operation the code of what its own fields rule out, or an empty string."""
    cost: int = 0
    """What its bytes and messages cost, whatever the state."""
    movement_count: int = 0
    priced: list[Message] = field(default_factory=list)
    """Those of its messages that cost more in some states."""


def decode_transaction(registry: Registry, raw: bytes) -> DecodedTransaction:
    """Return what the bytes of a transaction say; a malformed one has no body."""
    decoded = DecodedTransaction(raw, raw_hash(raw))
    try:
        envelope = decode_envelope(raw)
        body = registry.body_decoder.decode(envelope.body)
    except NonCanonicalError:
        return decoded
    if not body.operations:
        return decoded
    decoded.envelope = envelope
    decoded.body = body
    decoded.id = transaction_id(envelope.body)
    decoded.specs = tuple(registry.specs[type(message)] for message in body.operations)
    invalid = []
    cost = len(raw)
    for message, spec in zip(body.operations, decoded.specs, strict=True):
        try:
            message.validate()
            invalid.append("")
        except InvalidMessageError as error:
            invalid.append(error.code)
        cost += spec.cost if isinstance(spec.cost, int) else spec.cost(message)
        decoded.movement_count += spec.movement is not None
        if spec.priced:
            decoded.priced.append(message)
    decoded.invalid = tuple(invalid)
    decoded.cost = cost
    return decoded


class Admission:
    """The checks of one block height over one context; admitting consumes sequence numbers."""

    def __init__(
        self,
        context: Context,
        key_speaks: KeySpeaks,
        *,
        movement_price: MovementPrice | None = None,
        price_block: PriceBlock | None = None,
    ) -> None:
        """Check against the context's state, height and chain."""
        self._context = context
        self._key_speaks = key_speaks
        self._validity = context.param(VALIDITY_BLOCKS_MAX)
        self._speaks: dict[tuple[bytes, bytes], bool] = {}
        self._movement_price = movement_price
        self._price_of_movement: int | None = None
        self._prices = None if price_block is None else price_block(context)

    def admit(self, transaction: DecodedTransaction, *, signature_valid: bool) -> None:
        """Admit a transaction and consume its sequence number.

        Raises:
            MalformedTransactionError: Its bytes are not a transaction.
            BadSignatureError: The signature does not verify.
            WrongChainError: It names another chain.
            UnknownKeyError: Its key does not speak for its sender at this height.
            BadSequenceError: Its sequence is not last + 1 in its lane.
            ExpiredTransactionError: `valid_until` is past, or too far ahead.
        """
        body, envelope = transaction.body, transaction.envelope
        if body is None or envelope is None:
            raise MalformedTransactionError
        if not signature_valid:
            raise BadSignatureError
        context = self._context
        if body.chain_id != context.chain_id:
            raise WrongChainError
        if not self._speaks_for(body.sender, envelope.key):
            raise UnknownKeyError
        row = context.get(SEQUENCES, body.sender, body.lane)
        if body.sequence != (1 if row is None else row.last + 1):
            raise BadSequenceError
        if not context.height <= body.valid_until <= context.height + self._validity:
            raise ExpiredTransactionError
        context.put(SEQUENCES, SequenceRow(body.sequence), body.sender, body.lane)

    def cost_of(self, transaction: DecodedTransaction) -> int:
        """Return what a transaction costs in this block."""
        cost = transaction.cost
        if transaction.movement_count:
            cost += transaction.movement_count * self._movement_cost()
        if transaction.priced and self._prices is not None:
            cost += self._prices.price(transaction.priced)
        return cost

    def _movement_cost(self) -> int:
        """Return what one movement costs, worked out when the first one comes."""
        if self._price_of_movement is None:
            price = self._movement_price
            self._price_of_movement = 0 if price is None else price(self._context)
        return self._price_of_movement

    def take(self, transaction: DecodedTransaction) -> None:
        """Take note that a transaction is in the block and was charged."""
        if transaction.priced and self._prices is not None:
            self._prices.take(transaction.priced)

    def last_sequence(self, sender: bytes, lane: int) -> int:
        """Return the last sequence number of a lane, 0 if it was never used."""
        row = self._context.get(SEQUENCES, sender, lane)
        return 0 if row is None else row.last

    def _speaks_for(self, sender: bytes, key: bytes) -> bool:
        known = self._speaks.get((sender, key))
        if known is None:
            known = self._speaks[sender, key] = self._key_speaks(self._context, sender, key)
        return known


@dataclass(slots=True)
class Selection:
    """What a proposer makes of waiting transactions."""

    chosen: list[DecodedTransaction]
    refused: list[tuple[DecodedTransaction, Rejection]]
    later: list[DecodedTransaction]
    """Their sequence number is ahead of the lane: they wait for the ones before them."""


def select(
    admission: Admission, waiting: Iterable[DecodedTransaction], *, cost_max: int
) -> Selection:
    """Choose, in order, the waiting transactions (signatures valid) that a block may hold.

    A block's cost stays within `cost_max`; what does not fit waits, what fits no block is refused.
    """
    selection = Selection([], [], [])
    cost = 0
    for transaction in waiting:
        body = transaction.body
        ahead = body is not None and (
            body.sequence > admission.last_sequence(body.sender, body.lane) + 1
        )
        price = admission.cost_of(transaction)
        if price > cost_max:
            selection.refused.append((transaction, BudgetExceededError()))
            continue
        if ahead or cost + price > cost_max:
            selection.later.append(transaction)
            continue
        try:
            admission.admit(transaction, signature_valid=True)
        except Rejection as refusal:
            selection.refused.append((transaction, refusal))
            continue
        cost += price
        admission.take(transaction)
        selection.chosen.append(transaction)
    return selection
