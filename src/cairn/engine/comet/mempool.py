"""Transactions that wait while several nodes order blocks: settled by whatever block holds them.

A proposal takes nothing away: what it names leaves when a block holds it, whoever proposed that
block. A transaction ahead of its lane is set aside until the ones before it are in a block, or for
a bounded time. Those that were submitted here are handed out once for gossip, and again while they
go on waiting, because a peer may have been away.
"""

import threading
from collections import deque
from collections.abc import Iterable, Sequence

from cairn.engine.errors import MempoolFullError
from cairn.engine.mempool import Claim, Lane, MempoolSettings, Ticket, Waiting, claim_of
from cairn.ledger.admission import DecodedTransaction

ANNOUNCE_AGAIN_MS = 10_000
"""After so long a transaction that still waits is sent to the peers once more."""


class ReplicatedMempool:
    """Safe to use from several threads."""

    def __init__(self, settings: MempoolSettings) -> None:
        """Start empty."""
        self._settings = settings
        self._condition = threading.Condition()
        self._known: dict[Claim, Waiting] = {}
        self._by_raw: dict[bytes, Waiting] = {}
        self._queue: dict[Claim, Waiting] = {}
        self._parked: dict[Lane, dict[int, list[Waiting]]] = {}
        self._parked_order: dict[Claim, Waiting] = {}
        self._unannounced: deque[Waiting] = deque()
        self._announced: deque[tuple[int, Waiting]] = deque()
        self._reserved = 0
        self._reserved_bytes = 0
        self._wakes = 0

    # In

    def reserve(self, raws: Sequence[bytes]) -> None:
        """Take room for transactions that are on their way in.

        Raises:
            MempoolFullError: There is not enough; none was taken.
        """
        size = sum(len(raw) for raw in raws)
        settings = self._settings
        with self._condition:
            if (
                self._reserved + len(raws) > settings.transactions_max
                or self._reserved_bytes + size > settings.size_bytes_max
            ):
                raise MempoolFullError(f"{self._reserved} transactions wait, there is no room")
            self._reserved += len(raws)
            self._reserved_bytes += size

    def release(self, raw: bytes) -> None:
        """Give back the room of a transaction that is not here any more."""
        with self._condition:
            self._release(raw)

    def _release(self, raw: bytes) -> None:
        self._reserved -= 1
        self._reserved_bytes -= len(raw)

    def add(
        self,
        arrived: Iterable[tuple[DecodedTransaction, Ticket | None]],
        now_ms: int,
        *,
        announce: bool,
    ) -> None:
        """Let transactions wait whose room is reserved; a known one gains a ticket."""
        with self._condition:
            for transaction, ticket in arrived:
                claim = claim_of(transaction)
                waiting = self._known.get(claim)
                if waiting is not None:
                    self._release(transaction.raw)
                else:
                    assert transaction.body is not None
                    waiting = Waiting(transaction, len(transaction.body.operations), now_ms)
                    self._known[claim] = self._queue[claim] = waiting
                    self._by_raw[transaction.raw] = waiting
                    self._unpark_after(waiting.lane, waiting.sequence)
                    if announce:
                        self._unannounced.append(waiting)
                if ticket is not None:
                    waiting.tickets.append(ticket)
            self._condition.notify_all()

    # Out

    def known(self, raw: bytes) -> Waiting | None:
        """Return the waiting transaction with these bytes, whose signature is valid."""
        return self._by_raw.get(raw)

    def candidates(self, size_bytes_max: int) -> list[Waiting]:
        """Return what one block may hold, oldest first, each lane in order of sequence."""
        batch: list[Waiting] = []
        operations = size = 0
        with self._condition:
            for waiting in self._queue.values():
                size += len(waiting.transaction.raw)
                if operations >= self._settings.block_operations or size > size_bytes_max:
                    break
                batch.append(waiting)
                operations += waiting.operations
        return _in_lane_order(batch)

    def wait_for_work(self, timeout_seconds: float) -> None:
        """Return when a transaction is ready for a block, at a `wake`, or after the timeout."""
        with self._condition:
            wakes = self._wakes
            self._condition.wait_for(
                lambda: bool(self._queue) or self._wakes != wakes, timeout_seconds
            )

    def wake(self) -> None:
        """Let whoever waits for work go on without."""
        with self._condition:
            self._wakes += 1
            self._condition.notify_all()

    def reap(self, size_bytes_max: int, now_ms: int) -> list[bytes]:
        """Return transactions to send to peers, at most so many bytes of them."""
        raws: list[bytes] = []
        size = 0
        with self._condition:
            while self._announced and self._announced[0][0] <= now_ms - ANNOUNCE_AGAIN_MS:
                _, waiting = self._announced.popleft()
                self._unannounced.append(waiting)
            while self._unannounced:
                waiting = self._unannounced[0]
                if self._known.get(waiting.claim) is waiting:
                    size += len(waiting.transaction.raw)
                    if size > size_bytes_max and raws:
                        break
                    raws.append(waiting.transaction.raw)
                    self._announced.append((now_ms, waiting))
                self._unannounced.popleft()
        return raws

    def park(self, batch: Iterable[Waiting]) -> None:
        """Set transactions aside until their lane has come to them."""
        with self._condition:
            for waiting in batch:
                if self._queue.pop(waiting.claim, None) is None:
                    continue
                lane = self._parked.setdefault(waiting.lane, {})
                lane.setdefault(waiting.sequence, []).append(waiting)
                self._parked_order[waiting.claim] = waiting

    def settle(self, transactions: Iterable[DecodedTransaction]) -> dict[int, Waiting]:
        """Forget what a block holds; return it by position, for whoever waits for an answer.

        What was set aside and follows one of them in its lane is ready now.
        """
        settled: dict[int, Waiting] = {}
        with self._condition:
            for position, transaction in enumerate(transactions):
                if transaction.body is None:
                    continue
                waiting = self._by_raw.get(transaction.raw)
                if waiting is not None:
                    settled[position] = waiting
                    self._forget(waiting)
                lane = (transaction.body.sender, transaction.body.lane)
                self._unpark_after(lane, transaction.body.sequence)
        return settled

    def _unpark_after(self, lane: Lane, last: int) -> None:
        """Queue what was set aside and follows `last` in its lane without a gap."""
        places = self._parked.get(lane)
        if places is None:
            return
        while (followers := places.pop(last + 1, None)) is not None:
            last += 1
            for follower in followers:
                del self._parked_order[follower.claim]
                self._queue[follower.claim] = follower
        if not places:
            del self._parked[lane]

    def overdue(self, now_ms: int) -> list[Waiting]:
        """Forget and return what was set aside and has waited long enough."""
        limit = now_ms - self._settings.sequence_wait_ms
        with self._condition:
            late = [one for one in self._parked_order.values() if one.since_ms <= limit]
            for waiting in late:
                self._forget(waiting)
        return late

    def forget(self, waiting: Waiting) -> None:
        """Forget a transaction that is answered."""
        with self._condition:
            self._forget(waiting)

    def _forget(self, waiting: Waiting) -> None:
        claim = waiting.claim
        if self._known.pop(claim, None) is None:
            return
        self._by_raw.pop(waiting.transaction.raw, None)
        self._queue.pop(claim, None)
        if self._parked_order.pop(claim, None) is not None:
            claimants = self._parked[waiting.lane][waiting.sequence]
            claimants.remove(waiting)
            if not claimants:
                del self._parked[waiting.lane][waiting.sequence]
            if not self._parked[waiting.lane]:
                del self._parked[waiting.lane]
        self._release(waiting.transaction.raw)

    def drain(self) -> None:
        """Forget everything."""
        with self._condition:
            for waiting in list(self._known.values()):
                self._forget(waiting)
            self._unannounced.clear()
            self._announced.clear()
            self._wakes += 1
            self._condition.notify_all()

    def __len__(self) -> int:
        return len(self._known)


def _in_lane_order(batch: list[Waiting]) -> list[Waiting]:
    """Return the batch with each lane's places taken by its transactions in order of sequence."""
    lanes: dict[Lane, list[int]] = {}
    for place, waiting in enumerate(batch):
        lanes.setdefault(waiting.lane, []).append(place)
    ordered = list(batch)
    for places in lanes.values():
        in_order = sorted((batch[place] for place in places), key=lambda one: one.sequence)
        for place, waiting in zip(places, in_order, strict=True):
            ordered[place] = waiting
    return ordered
