"""The ledger as an engine's application: takes transactions, executes blocks, keeps and answers.

What a caller submits is decoded once, its signatures are checked in chunks, and it waits in the
mempool. The only thing remembered about a signature is that these bytes carry a valid one; whether
the transaction is authorised is decided anew at every height.
"""

import threading
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future
from functools import partial
from typing import Any, Protocol

from cairn.engine.base import Clock, LogEntry, OrderedBlock, Outcome
from cairn.engine.errors import EngineFault, EngineStoppedError
from cairn.engine.mempool import Mempool, MempoolSettings, Submission, Ticket, Waiting
from cairn.engine.signature_pool import CHUNK_SIGNATURES, SignaturePool
from cairn.ledger.admission import Admission, DecodedTransaction, Selection, select
from cairn.ledger.changes import StateReader
from cairn.ledger.errors import (
    BadSequenceError,
    BadSignatureError,
    BudgetExceededError,
    MalformedTransactionError,
    WrongChainError,
)
from cairn.ledger.execution import Block, BlockResult, Ledger, LedgerHead
from cairn.ledger.invariants import check_changes
from cairn.ledger.module import Registry
from cairn.ledger.parameters import BLOCK_COST_MAX
from cairn.ledger.receipts import OK, RECEIPT_DECODER, RESULT_NOT_ADMITTED
from cairn.ledger.transactions import signing_bytes


class BlockKeeper(Protocol):
    """Where blocks are kept: the log first, then the state that follows from it."""

    def keep(self, entry: LogEntry, result: BlockResult) -> None:
        """Append the entry to the log, durably, then apply what the block changes."""
        ...

    def reader(self) -> StateReader:
        """Return the state after the last block kept, for the thread that makes blocks."""
        ...

    def outcome(self, transaction_id: bytes) -> Outcome | None:
        """Return what became of a transaction that a kept block holds."""
        ...


ChangedRows = dict[bytes, tuple[Any, Any, Any]]


class LedgerApplication:
    """One ledger, its mempool and whoever waits for an answer.

    Args:
        ledger: The state machine.
        keeper: Where blocks go.
        head: Where the ledger stands.
        clock: Time of day, for how long transactions wait.
        settings: Limits of the mempool.
        invariant_interval_blocks: How many blocks' changes are checked together.
    """

    def __init__(
        self,
        ledger: Ledger,
        keeper: BlockKeeper,
        head: LedgerHead,
        *,
        clock: Clock,
        settings: MempoolSettings,
        invariant_interval_blocks: int,
    ) -> None:
        """Continue the ledger from `head`."""
        self.head = head
        """Where the ledger stands after the last block."""
        self._ledger = ledger
        self._keeper = keeper
        self._clock = clock
        self._settings = settings
        self._mempool = Mempool(settings)
        self._taken: dict[bytes, Waiting] = {}
        self._open: dict[int, Submission] = {}
        self._open_lock = threading.Lock()
        self._stopped: Exception | None = None
        self._invariants = _InvariantCheck(ledger.registry, invariant_interval_blocks)
        self._due_ms = ledger.next_due_ms(head, keeper.reader())
        self.on_work: Callable[[], None] = _nothing
        """Called when transactions wait; the engine's `wake`."""
        self.signatures: SignaturePool = SignaturePool(0, self.fail)
        """Who checks signatures."""

    # What comes in

    def submit(self, raws: Sequence[bytes]) -> "Future[list[Outcome]]":
        """Return a future of the outcomes of transactions, one for each, when all are final.

        Raises:
            MempoolFullError: Too many wait; none was taken.
            EngineStoppedError: The engine was stopped.
            Fault: The engine has stopped by itself.
        """
        self._check_running()
        submission = Submission(len(raws))
        if not raws:
            submission.future.set_result([])
            return submission.future
        self._mempool.reserve(raws)
        with self._open_lock:
            self._open[id(submission)] = submission
        submission.future.add_done_callback(partial(self._close, id(submission)))
        chunk: list[tuple[DecodedTransaction, Ticket]] = []
        for index, raw in enumerate(raws):
            transaction = self._ledger.decode(raw)
            code = self._form_code(transaction)
            if code != OK:
                self._mempool.release((raw,))
                submission.resolve(index, _refusal(transaction, code))
                continue
            chunk.append((transaction, (submission, index)))
            if len(chunk) == CHUNK_SIGNATURES:
                self._check_signatures(chunk)
                chunk = []
        if chunk:
            self._check_signatures(chunk)
        self._fail_if_stopped(submission)
        return submission.future

    def _check_running(self) -> None:
        if self._stopped is not None:
            raise self._stopped

    def _fail_if_stopped(self, submission: Submission) -> None:
        """Answer a submission that came in while the engine stopped."""
        if self._stopped is not None:
            submission.fail(self._stopped)

    def _close(self, key: int, _: "Future[list[Outcome]]") -> None:
        with self._open_lock:
            self._open.pop(key, None)

    def _form_code(self, transaction: DecodedTransaction) -> str:
        """Return `ok`, or what rules a transaction out whatever the state is."""
        if transaction.body is None:
            return MalformedTransactionError.code
        if transaction.body.chain_id != self.head.chain_id:
            return WrongChainError.code
        return OK

    def _check_signatures(self, chunk: list[tuple[DecodedTransaction, Ticket]]) -> None:
        triples = [_triple(transaction) for transaction, _ in chunk]
        self.signatures.check(triples, partial(self._admit_checked, chunk))

    def _admit_checked(
        self, chunk: list[tuple[DecodedTransaction, Ticket]], valid: Sequence[bool]
    ) -> None:
        """Let transactions with a valid signature wait for a block; runs in any thread."""
        arrived = []
        for (transaction, ticket), is_valid in zip(chunk, valid, strict=True):
            if is_valid:
                arrived.append((transaction, ticket))
                continue
            self._mempool.release((transaction.raw,))
            submission, index = ticket
            submission.resolve(index, _refusal(transaction, BadSignatureError.code))
        if not arrived:
            return
        before = self._mempool.operations
        self._mempool.add(arrived, self._clock.now_ms())
        after = self._mempool.operations
        if not before or before < self._settings.block_operations <= after:
            self.on_work()

    def waiting(self) -> int:
        """Return how many transactions wait for a block."""
        return len(self._mempool)

    # What an engine asks

    def check(self, raws: Sequence[bytes]) -> list[str]:
        """Return for each transaction `ok`, or the code of why it may not wait for a block."""
        transactions = [self._ledger.decode(raw) for raw in raws]
        codes = [self._form_code(transaction) for transaction in transactions]
        sound = [place for place, code in enumerate(codes) if code == OK]
        valid = self.signatures.check_all([_triple(transactions[place]) for place in sound])
        for place, is_valid in zip(sound, valid, strict=True):
            if not is_valid:
                codes[place] = BadSignatureError.code
        return codes

    def pending_operations(self) -> int:
        """Return how many operations wait for a block."""
        return self._mempool.operations

    def next_overdue_ms(self) -> int | None:
        """Return when a parked transaction will have waited long enough for those before it."""
        return self._mempool.next_overdue_ms(self._clock.now_ms())

    def next_due_ms(self) -> int | None:
        """Return when end-of-block work falls due next, if any does."""
        return self._due_ms

    def propose(self) -> list[bytes]:
        """Return the transactions for the next block; what cannot enter any block is answered."""
        for waiting in self._mempool.overdue(self._clock.now_ms()):
            self._refuse(waiting, BadSequenceError.code)
        batch = self._mempool.take()
        if not batch:
            return []
        reader = self._keeper.reader()
        cost_max = self._ledger.context(self.head, reader).param(BLOCK_COST_MAX)
        admission = self._ledger.admission(self.head, reader)
        fitting = []
        for waiting in batch:
            if waiting.transaction.cost > cost_max:
                self._refuse(waiting, BudgetExceededError.code)
            else:
                fitting.append(waiting)
        by_raw = {waiting.transaction.raw: waiting for waiting in fitting}
        selection = select(
            admission, (waiting.transaction for waiting in fitting), cost_max=cost_max
        )
        self._put_aside(selection, by_raw, admission)
        self._taken = {transaction.raw: by_raw[transaction.raw] for transaction in selection.chosen}
        return [transaction.raw for transaction in selection.chosen]

    def _put_aside(
        self, selection: Selection, by_raw: Mapping[bytes, Waiting], admission: Admission
    ) -> None:
        """Answer what was refused; let wait what is ahead of its lane or did not fit."""
        for transaction, refusal in selection.refused:
            self._refuse(by_raw[transaction.raw], refusal.code)
        ahead: list[Waiting] = []
        unfitting: list[Waiting] = []
        for transaction in selection.later:
            waiting = by_raw[transaction.raw]
            is_ahead = waiting.sequence > admission.last_sequence(*waiting.lane) + 1
            (ahead if is_ahead else unfitting).append(waiting)
        self._mempool.park(ahead)
        self._mempool.put_back(unfitting)

    def finalize(self, block: OrderedBlock) -> BlockResult:
        """Return what the block does; nothing of it is kept yet.

        Raises:
            Fault: The block breaks a rule of proposers, or something that must not happen did.
        """
        transactions, valid = self._known_or_checked(block.transactions)
        ordered = Block(
            block.height, block.time_ms, block.block_hash, block.data_hash, transactions, valid
        )
        result = self._ledger.execute(self.head, self._keeper.reader(), ordered)
        self._invariants.add(result.changed_rows)
        return result

    def _known_or_checked(
        self, raws: Sequence[bytes]
    ) -> tuple[list[DecodedTransaction], list[bool]]:
        """Return the block's transactions decoded, and whether each one's signature is valid."""
        transactions: list[DecodedTransaction] = []
        valid: list[bool] = []
        unknown: list[int] = []
        for place, raw in enumerate(raws):
            waiting = self._taken.get(raw)
            transaction = self._ledger.decode(raw) if waiting is None else waiting.transaction
            transactions.append(transaction)
            valid.append(waiting is not None)
            if waiting is None and transaction.body is not None:
                unknown.append(place)
        answers = self.signatures.check_all([_triple(transactions[place]) for place in unknown])
        for place, answer in zip(unknown, answers, strict=True):
            valid[place] = answer
        return transactions, valid

    def commit(self, entry: LogEntry, result: BlockResult) -> None:
        """Keep the block, then answer whoever waits for its transactions."""
        self._keeper.keep(entry, result)
        self.head = result.head
        self._due_ms = self._ledger.next_due_ms(result.head, self._keeper.reader())
        taken, self._taken = self._taken, {}
        self._mempool.forget(taken.values())
        for position, raw in enumerate(entry.transactions):
            waiting = taken.get(raw)
            if waiting is None:
                continue
            self._mempool.unpark(waiting.lane, waiting.sequence)
            outcome = outcome_at(entry, result.head.time_ms, position, waiting.transaction.id)
            _answer(waiting, outcome)

    # The end

    def fail(self, error: Exception) -> None:
        """Answer everybody who waits, now and later, with an error; nothing more is taken in."""
        if self._stopped is None:
            self._stopped = error
        self._mempool.drain()
        with self._open_lock:
            left = list(self._open.values())
        for submission in left:
            submission.fail(self._stopped)

    def stop(self) -> None:
        """Take nothing more in; who still waits hears that the engine was stopped."""
        self.fail(EngineStoppedError("the node was stopped"))

    def _refuse(self, waiting: Waiting, code: str) -> None:
        """Answer that a transaction enters no block, unless it already is in one."""
        transaction = waiting.transaction
        outcome = None
        if code == BadSequenceError.code:
            outcome = self._keeper.outcome(transaction.id)
        self._mempool.forget((waiting,))
        _answer(waiting, outcome or _refusal(transaction, code))


class _InvariantCheck:
    """The modules' incremental invariants over the rows that some blocks have changed."""

    def __init__(self, registry: Registry, interval_blocks: int) -> None:
        self._registry = registry
        self._interval = max(1, interval_blocks)
        self._blocks = 0
        self._rows: ChangedRows = {}

    def add(self, changed: ChangedRows) -> None:
        """Add a block's rows; check once enough blocks have come together.

        Raises:
            InvariantError: An invariant does not hold; the block must not be kept.
        """
        for key, (table, old, new) in changed.items():
            known = self._rows.get(key)
            self._rows[key] = (table, old if known is None else known[1], new)
        self._blocks += 1
        if self._blocks >= self._interval:
            check_changes(self._registry, self._rows)
            self._blocks, self._rows = 0, {}


def outcome_at(entry: LogEntry, time_ms: int, position: int, transaction_id: bytes) -> Outcome:
    """Return the outcome that a block records for the transaction at `position`."""
    receipt = entry.receipts[position]
    if entry.results[position].code == RESULT_NOT_ADMITTED:
        raise EngineFault(f"block {entry.header.height} holds what was not admitted")
    code = RECEIPT_DECODER.decode_trusted(receipt).code
    return Outcome(transaction_id, code, entry.header.height, position, time_ms, receipt)


def _answer(waiting: Waiting, outcome: Outcome) -> None:
    for submission, index in waiting.tickets:
        submission.resolve(index, outcome)


def _refusal(transaction: DecodedTransaction, code: str) -> Outcome:
    return Outcome(transaction.id, code, 0, 0, 0, b"")


def _triple(transaction: DecodedTransaction) -> tuple[bytes, bytes, bytes]:
    envelope = transaction.envelope
    assert envelope is not None
    return envelope.key, signing_bytes(envelope.body), envelope.signature


def _nothing() -> None:
    """Do nothing: nobody is to be woken."""
