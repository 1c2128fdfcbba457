"""Gathers the operations of several callers into one signed transaction.

Verifying a signature costs most of a transaction. The operations of callers who know nothing of
each other go into one transaction of mode 1, in which each stands alone: one refusal undoes no
other, and each caller gets the outcome of his own.

    with Coalescer(client) as coalescer:
        outcome = coalescer.submit(Transfer(…)).result()

A few transactions are under way at a time, each on a lane of its own, so operations of different
transactions have no order: whoever needs one waits for the first operation's outcome.
"""

import threading
import time
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field

from cairn.ledger.messages import Message
from cairn.ledger.transactions import LANES
from cairn.primitives.encoding import encode
from cairn.sdk.client import Client
from cairn.sdk.errors import CairnError, UsageError
from cairn.sdk.outcomes import OperationOutcome

BATCH_SIZE_BYTES_MAX = 60_000
"""Operations of one transaction: what a transaction may hold, less its envelope."""


@dataclass(frozen=True, slots=True)
class _Waiting:
    """An operation that waits for its transaction."""

    message: Message
    size_bytes: int
    future: "Future[OperationOutcome]" = field(default_factory=Future)


class Coalescer:
    """Submits what callers hand in, together; safe to use from several threads.

    Args:
        client: Who signs; all operations are this account's.
        operations_max: Most operations in one transaction.
        wait_ms: How long the first operation waits for others.
        under_way_max: Most transactions that are submitted and not final yet.
    """

    def __init__(
        self,
        client: Client,
        *,
        operations_max: int = 100,
        wait_ms: int = 10,
        under_way_max: int = 4,
    ) -> None:
        """Start the threads that gather and submit."""
        if not 1 <= operations_max <= 256 or wait_ms < 0 or not 1 <= under_way_max <= LANES:
            raise UsageError(
                "a transaction gathers 1 to 256 operations, waiting 0 ms or longer, "
                f"and at most {LANES} are under way"
            )
        self._client = client
        self._operations_max = operations_max
        self._wait_seconds = wait_ms / 1000
        self._changed = threading.Condition()
        self._waiting: list[_Waiting] = []
        self._closed = False
        self._free = threading.Semaphore(under_way_max)
        self._submitters = ThreadPoolExecutor(under_way_max, "coalescer-submit")
        self._thread = threading.Thread(target=self._run, name="coalescer", daemon=True)
        self._thread.start()

    def submit(self, message: Message) -> "Future[OperationOutcome]":
        """Return a future of the operation's own outcome.

        The future raises what `Client.submit_each` raises when the transaction as a whole fails.

        Raises:
            UsageError: The coalescer was closed, or the operation is too large.
        """
        one = _Waiting(message, len(encode(message)))
        if one.size_bytes > BATCH_SIZE_BYTES_MAX:
            raise UsageError(f"an operation of {one.size_bytes} bytes fits no transaction")
        with self._changed:
            if self._closed:
                raise UsageError("the coalescer was closed")
            self._waiting.append(one)
            self._changed.notify()
        return one.future

    def close(self) -> None:
        """Submit what waits, and stop."""
        with self._changed:
            self._closed = True
            self._changed.notify()
        self._thread.join()
        self._submitters.shutdown()

    def __enter__(self) -> "Coalescer":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _run(self) -> None:
        while True:
            # While all are busy, operations gather: a busy node gets fuller transactions.
            self._free.acquire()
            batch = self._next_batch()
            if not batch:
                return
            # Whoever cancelled in time is left out; from here on nobody can.
            wanted = [one for one in batch if one.future.set_running_or_notify_cancel()]
            if wanted:
                self._submitters.submit(self._submit, wanted)
            else:
                self._free.release()

    def _next_batch(self) -> list[_Waiting]:
        """Return the operations of the next transaction; none when closed and empty."""
        with self._changed:
            self._changed.wait_for(lambda: self._waiting or self._closed)
            until = time.monotonic() + self._wait_seconds
            self._changed.wait_for(
                lambda: self._closed or len(self._waiting) >= self._operations_max,
                max(0.0, until - time.monotonic()),
            )
            count, size_bytes = 0, 0
            for one in self._waiting[: self._operations_max]:
                size_bytes += one.size_bytes
                if size_bytes > BATCH_SIZE_BYTES_MAX:
                    break
                count += 1
            batch, self._waiting = self._waiting[:count], self._waiting[count:]
        return batch

    def _submit(self, batch: list[_Waiting]) -> None:
        try:
            self._answer(batch)
        finally:
            self._free.release()

    def _answer(self, batch: list[_Waiting]) -> None:
        try:
            outcomes = self._client.submit_each(*(one.message for one in batch))
        except Exception as error:  # whatever it is, those who wait have to hear of it
            for one in batch:
                one.future.set_exception(error)
            if not isinstance(error, CairnError):
                raise
            return
        for one, outcome in zip(batch, outcomes, strict=True):
            one.future.set_result(outcome)
