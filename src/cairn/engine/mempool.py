"""Transactions that wait for a block: bounded, in order of arrival, each lane in order of sequence.

A transaction whose sequence number is ahead of its lane is parked until the ones before it are in a
block, or for a bounded time. One that is here twice is here once, and both submitters are answered.
"""

import threading
from collections import OrderedDict, deque
from collections.abc import Iterable, Sequence
from concurrent.futures import Future
from dataclasses import dataclass, field

from cairn.engine.base import Outcome
from cairn.engine.errors import MempoolFullError
from cairn.ledger.admission import DecodedTransaction

Lane = tuple[bytes, int]
Claim = tuple[bytes, bytes]
"""A transaction's id and the key that signed: anybody can sign the same body with his own key."""


@dataclass(frozen=True, slots=True)
class MempoolSettings:
    """Limits of what may wait, and of how much of it one block takes."""

    transactions_max: int = 50_000
    size_bytes_max: int = 128 * 2**20
    sequence_wait_ms: int = 2_000
    """How long a transaction may wait for the ones before it in its lane."""
    block_operations: int = 2_000
    block_size_bytes_max: int = 4 * 2**20


class Submission:
    """The answer to one call of submit: one outcome for each transaction, all at once."""

    __slots__ = ("_lock", "_missing", "_outcomes", "future")

    def __init__(self, count: int) -> None:
        """Expect `count` outcomes."""
        self.future: Future[list[Outcome]] = Future()
        self._outcomes: list[Outcome | None] = [None] * count
        self._missing = count
        self._lock = threading.Lock()

    def resolve(self, index: int, outcome: Outcome) -> None:
        """Give the outcome of one transaction; the last one answers the caller."""
        with self._lock:
            self._outcomes[index] = outcome
            self._missing -= 1
            if not self._missing and not self.future.done():
                self.future.set_result([one for one in self._outcomes if one is not None])

    def fail(self, error: Exception) -> None:
        """Answer the caller with an error."""
        with self._lock:
            if not self.future.done():
                self.future.set_exception(error)


Ticket = tuple[Submission, int]


@dataclass(slots=True, eq=False)
class Waiting:
    """A transaction that waits, and whom to answer."""

    transaction: DecodedTransaction
    operations: int
    since_ms: int
    tickets: list[Ticket] = field(default_factory=list)

    @property
    def claim(self) -> Claim:
        """Which transaction this is, and under whose key."""
        return claim_of(self.transaction)

    @property
    def lane(self) -> Lane:
        """Sender and lane."""
        assert self.transaction.body is not None
        return self.transaction.body.sender, self.transaction.body.lane

    @property
    def sequence(self) -> int:
        """Sequence number within the lane."""
        assert self.transaction.body is not None
        return self.transaction.body.sequence


class Mempool:
    """Safe to use from several threads."""

    def __init__(self, settings: MempoolSettings) -> None:
        """Start empty."""
        self._settings = settings
        self._lock = threading.Lock()
        self._known: dict[Claim, Waiting] = {}
        self._queue: deque[Waiting] = deque()
        self._parked: dict[Lane, dict[int, list[Waiting]]] = {}
        self._parked_order: OrderedDict[Claim, Waiting] = OrderedDict()
        self._reserved = 0
        self._reserved_bytes = 0
        self.operations = 0
        """Operations in the queue, ready for a block as far as is known."""

    def reserve(self, raws: Sequence[bytes]) -> None:
        """Take room for transactions that are on their way in.

        Raises:
            MempoolFullError: There is not enough; no room was taken.
        """
        size = sum(map(len, raws))
        with self._lock:
            if (
                self._reserved + len(raws) > self._settings.transactions_max
                or self._reserved_bytes + size > self._settings.size_bytes_max
            ):
                raise MempoolFullError(
                    f"{self._reserved} transactions wait, at most {self._settings.transactions_max}"
                )
            self._reserved += len(raws)
            self._reserved_bytes += size

    def release(self, raws: Iterable[bytes]) -> None:
        """Give back the room of transactions that are not here any more."""
        with self._lock:
            for raw in raws:
                self._reserved -= 1
                self._reserved_bytes -= len(raw)

    def add(self, arrived: Sequence[tuple[DecodedTransaction, Ticket]], now_ms: int) -> None:
        """Let transactions wait whose room is reserved; a known one gains a ticket."""
        with self._lock:
            for transaction, ticket in arrived:
                claim = claim_of(transaction)
                waiting = self._known.get(claim)
                if waiting is not None:
                    waiting.tickets.append(ticket)
                    self._reserved -= 1
                    self._reserved_bytes -= len(transaction.raw)
                    continue
                assert transaction.body is not None
                count = len(transaction.body.operations)
                waiting = Waiting(transaction, count, now_ms, [ticket])
                self._known[claim] = waiting
                self._queue.append(waiting)
                self.operations += count

    def take(self) -> list[Waiting]:
        """Return what one block may hold, oldest first, each lane in order of sequence."""
        settings = self._settings
        batch: list[Waiting] = []
        operations = size = 0
        with self._lock:
            while self._queue and operations < settings.block_operations:
                size += len(self._queue[0].transaction.raw)
                if size > settings.block_size_bytes_max and batch:
                    break
                waiting = self._queue.popleft()
                batch.append(waiting)
                operations += waiting.operations
            self.operations -= operations
        _order_lanes(batch)
        return batch

    def put_back(self, batch: Sequence[Waiting]) -> None:
        """Return transactions to the front of the queue, in their order."""
        with self._lock:
            self._queue.extendleft(reversed(batch))
            self.operations += sum(waiting.operations for waiting in batch)

    def park(self, batch: Iterable[Waiting]) -> None:
        """Set transactions aside until their lane has come to them.

        Several may claim one place: whose key speaks for the sender is decided when they are due.
        """
        with self._lock:
            for waiting in batch:
                lane = self._parked.setdefault(waiting.lane, {})
                lane.setdefault(waiting.sequence, []).append(waiting)
                self._parked_order[waiting.claim] = waiting

    def unpark(self, lane: Lane, last: int) -> None:
        """Queue the parked transactions that follow `last`, the lane's newest in a block."""
        if lane not in self._parked:
            return
        with self._lock:
            parked = self._parked[lane]
            while (claimants := parked.pop(last + 1, None)) is not None:
                last += 1
                for waiting in claimants:
                    del self._parked_order[waiting.claim]
                    self._queue.append(waiting)
                    self.operations += waiting.operations
            if not parked:
                del self._parked[lane]

    def overdue(self, now_ms: int) -> list[Waiting]:
        """Remove and return the parked transactions that have waited long enough."""
        limit = now_ms - self._settings.sequence_wait_ms
        late = []
        with self._lock:
            while self._parked_order:
                waiting = next(iter(self._parked_order.values()))
                if waiting.since_ms > limit:
                    break
                del self._parked_order[waiting.claim]
                lane = self._parked[waiting.lane]
                lane[waiting.sequence].remove(waiting)
                if not lane[waiting.sequence]:
                    del lane[waiting.sequence]
                if not lane:
                    del self._parked[waiting.lane]
                late.append(waiting)
        return late

    def next_overdue_ms(self, now_ms: int) -> int | None:
        """Return when the first parked transaction will have waited long enough.

        If the clock went back, the parked ones wait from now on.
        """
        with self._lock:
            first = next(iter(self._parked_order.values()), None)
            if first is None:
                return None
            if first.since_ms > now_ms:
                for waiting in self._parked_order.values():
                    waiting.since_ms = min(waiting.since_ms, now_ms)
            return first.since_ms + self._settings.sequence_wait_ms

    def forget(self, done: Iterable[Waiting]) -> None:
        """Forget transactions that were taken and are answered now."""
        with self._lock:
            for waiting in done:
                if self._known.pop(waiting.claim, None) is not None:
                    self._reserved -= 1
                    self._reserved_bytes -= len(waiting.transaction.raw)

    def drain(self) -> list[Waiting]:
        """Forget and return everything, taken or not."""
        with self._lock:
            everything = list(self._known.values())
            self._known.clear()
            self._queue.clear()
            self._parked.clear()
            self._parked_order.clear()
            self._reserved = self._reserved_bytes = self.operations = 0
        return everything

    def __len__(self) -> int:
        return len(self._known)


def claim_of(transaction: DecodedTransaction) -> Claim:
    """Return what tells a well-formed transaction from every other one that waits."""
    assert transaction.envelope is not None
    return transaction.id, transaction.envelope.key


def _order_lanes(batch: list[Waiting]) -> None:
    """Put each lane's transactions, in the places that the lane holds, into order of sequence."""
    last: dict[Lane, int] = {}
    disordered: dict[Lane, list[int]] = {}
    for waiting in batch:
        if waiting.sequence < last.get(waiting.lane, 0):
            disordered[waiting.lane] = []
        last[waiting.lane] = waiting.sequence
    if not disordered:
        return
    for place, waiting in enumerate(batch):
        if waiting.lane in disordered:
            disordered[waiting.lane].append(place)
    for places in disordered.values():
        ordered = sorted((batch[place] for place in places), key=lambda one: one.sequence)
        for place, waiting in zip(places, ordered, strict=True):
            batch[place] = waiting
