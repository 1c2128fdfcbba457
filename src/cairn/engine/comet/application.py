"""The ledger as CometBFT's application: takes transactions in, proposes, judges, executes.

Everything here is lists and records; `bridge` translates ABCI's messages into these calls. One
thread, that of the consensus connection, proposes, judges, finalizes and commits. Any thread may
submit; what peers send is taken in at once and checked in batches by a thread of its own.
"""

import threading
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from dataclasses import dataclass
from functools import partial
from typing import Any

from cairn.engine.base import Clock, Outcome
from cairn.engine.comet.mempool import ReplicatedMempool
from cairn.engine.comet.record import (
    DECIDED_BLOCK_VERSION,
    DecidedBlock,
    DecidedBlockKeeper,
    Offence,
    outcome_at,
)
from cairn.engine.errors import EngineFault, EngineStoppedError, MempoolFullError
from cairn.engine.mempool import MempoolSettings, Submission, Ticket, Waiting
from cairn.engine.signature_pool import CHUNK_SIGNATURES, SignaturePool
from cairn.ledger.admission import DecodedTransaction, select
from cairn.ledger.errors import (
    BadSequenceError,
    BadSignatureError,
    MalformedTransactionError,
    WrongChainError,
)
from cairn.ledger.execution import Block, BlockResult, Ledger, LedgerHead
from cairn.ledger.invariants import check_changes
from cairn.ledger.module import Registry
from cairn.ledger.parameters import BLOCK_COST_MAX
from cairn.ledger.receipts import OK, RESULT_NOT_ADMITTED
from cairn.ledger.transactions import TRANSACTION_SIZE_BYTES_MAX, signing_bytes
from cairn.primitives.light import data_hash

TRANSACTION_FRAME_BYTES_MAX = 8
"""What a transaction's field adds to its bytes within a block, at most."""

Chunk = list[tuple[DecodedTransaction, Ticket | None]]


@dataclass(frozen=True, slots=True)
class Proposed:
    """A block as CometBFT hands it over, proposed or decided."""

    height: int
    time_ms: int
    block_hash: bytes
    proposer_address: bytes
    next_validators_hash: bytes
    offences: tuple[Offence, ...]
    transactions: tuple[bytes, ...]


@dataclass(frozen=True, slots=True)
class _Finalized:
    """A block that was executed and is not kept yet."""

    block: DecidedBlock
    result: BlockResult
    decoded: list[DecodedTransaction]


class CometApplication:
    """One ledger, its replicated mempool, and whoever waits for an answer."""

    def __init__(
        self,
        ledger: Ledger,
        keeper: DecidedBlockKeeper,
        head: LedgerHead,
        *,
        clock: Clock,
        settings: MempoolSettings,
        invariant_interval_blocks: int = 100,
    ) -> None:
        """Continue the ledger from `head`."""
        self.head = head
        """Where the ledger stands after the last block kept."""
        self.proved_app_hash = b""
        """Application hash that the last kept block's header carries."""
        self.signatures: SignaturePool = SignaturePool(0, self.fail)
        """Who checks signatures."""
        self._ledger = ledger
        self._keeper = keeper
        self._clock = clock
        self._mempool = ReplicatedMempool(settings)
        self._inbox = _Inbox(self._take_in)
        self._open: dict[int, Submission] = {}
        self._open_lock = threading.Lock()
        self._stopped: Exception | None = None
        self._finalized: _Finalized | None = None
        self._decoded: tuple[bytes, list[DecodedTransaction]] = (b"", [])
        self._invariants = _InvariantWindow(ledger.registry, invariant_interval_blocks)
        self._due_ms = ledger.next_due_ms(head, keeper.reader())

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
        self._check_in([(raw, (submission, place)) for place, raw in enumerate(raws)], True)
        self._fail_if_stopped(submission)
        return submission.future

    def _check_running(self) -> None:
        if self._stopped is not None:
            raise self._stopped

    def _fail_if_stopped(self, submission: Submission) -> None:
        """Answer a submission that came in while the engine stopped."""
        if self._stopped is not None:
            submission.fail(self._stopped)

    def insert(self, raw: bytes) -> bool:
        """Take in what a peer sent, to be checked soon; False if there is no room now."""
        try:
            self._mempool.reserve((raw,))
        except MempoolFullError:
            return False
        self._inbox.put(raw)
        return True

    def reap(self, size_bytes_max: int) -> list[bytes]:
        """Return transactions of ours that the peers have not been sent yet."""
        return self._mempool.reap(size_bytes_max, self._clock.now_ms())

    def check(self, raw: bytes) -> str:
        """Return `ok`, or the code of why a transaction may not wait, by its bytes alone."""
        transaction = self._ledger.decode(raw)
        code = self._form_code(transaction)
        if code == OK and not self.signatures.check_all([_triple(transaction)])[0]:
            return BadSignatureError.code
        return code

    def _take_in(self, raws: list[bytes]) -> None:
        known = self._mempool.known
        fresh = []
        for raw in raws:
            if known(raw) is None:
                fresh.append((raw, None))
            else:
                self._mempool.release(raw)
        self._check_in(fresh, False)

    def _check_in(self, arrived: Sequence[tuple[bytes, Ticket | None]], is_own: bool) -> None:
        """Decode, check form and signature in chunks, and let wait what passes."""
        chunk: Chunk = []
        for raw, ticket in arrived:
            transaction = self._ledger.decode(raw)
            code = self._form_code(transaction)
            if code != OK:
                self._turn_away(transaction, ticket, code)
                continue
            chunk.append((transaction, ticket))
            if len(chunk) == CHUNK_SIGNATURES:
                self._check_signatures(chunk, is_own)
                chunk = []
        if chunk:
            self._check_signatures(chunk, is_own)

    def _check_signatures(self, chunk: Chunk, is_own: bool) -> None:
        triples = [_triple(transaction) for transaction, _ in chunk]
        self.signatures.check(triples, partial(self._admit_checked, chunk, is_own))

    def _admit_checked(self, chunk: Chunk, is_own: bool, valid: Sequence[bool]) -> None:
        """Let transactions with a valid signature wait for a block; runs in any thread."""
        arrived: Chunk = []
        for (transaction, ticket), is_valid in zip(chunk, valid, strict=True):
            if is_valid:
                arrived.append((transaction, ticket))
            else:
                self._turn_away(transaction, ticket, BadSignatureError.code)
        if arrived:
            self._mempool.add(arrived, self._clock.now_ms(), announce=is_own)

    def _turn_away(self, transaction: DecodedTransaction, ticket: Ticket | None, code: str) -> None:
        self._mempool.release(transaction.raw)
        if ticket is not None:
            submission, index = ticket
            submission.resolve(index, _refusal(transaction, code))

    def _form_code(self, transaction: DecodedTransaction) -> str:
        """Return `ok`, or what rules a transaction out whatever the state is."""
        if transaction.body is None:
            return MalformedTransactionError.code
        if transaction.body.chain_id != self.head.chain_id:
            return WrongChainError.code
        return OK

    def waiting(self) -> int:
        """Return how many transactions wait for a block."""
        return len(self._mempool)

    def row(self, key: bytes) -> bytes | None:
        """Return the state row at `key` after the last block kept."""
        return self._keeper.row(key)

    def outcome(self, transaction_id: bytes) -> Outcome | None:
        """Return what became of a transaction that a kept block holds."""
        return self._keeper.outcome(transaction_id)

    # Blocks

    @property
    def is_proved(self) -> bool:
        """Whether the last header already commits to the newest application hash."""
        return self.proved_app_hash == self.head.app_hash

    def propose(self, size_bytes_max: int, wait_ms_max: int) -> list[bytes]:
        """Return the transactions for the next block, waiting a bounded time if there are none.

        It does not wait while the last header lacks the newest application hash, or something has
        fallen due.
        """
        now = self._clock.now_ms()
        for waiting in self._mempool.overdue(now):
            self._refuse(waiting, BadSequenceError.code)
        chosen = self._choose(size_bytes_max)
        if chosen or not self.is_proved or not self.head.height:
            return chosen
        if self._due_ms is not None:
            wait_ms_max = min(wait_ms_max, self._due_ms - now)
        if wait_ms_max <= 0:
            return chosen
        self._mempool.wait_for_work(wait_ms_max / 1000)
        return self._choose(size_bytes_max)

    def _choose(self, size_bytes_max: int) -> list[bytes]:
        batch = self._mempool.candidates(size_bytes_max)
        if not batch:
            return []
        reader = self._keeper.reader()
        cost_max = self._ledger.context(self.head, reader).param(BLOCK_COST_MAX)
        admission = self._ledger.admission(self.head, reader)
        by_raw = {waiting.transaction.raw: waiting for waiting in batch}
        selection = select(admission, (waiting.transaction for waiting in batch), cost_max=cost_max)
        for transaction, refusal in selection.refused:
            self._refuse(by_raw[transaction.raw], refusal.code)
        self._mempool.park(
            waiting
            for transaction in selection.later
            if (waiting := by_raw[transaction.raw]).sequence
            > admission.last_sequence(*waiting.lane) + 1
        )
        chosen: list[bytes] = []
        size = 0
        for transaction in selection.chosen:
            size += len(transaction.raw) + TRANSACTION_FRAME_BYTES_MAX
            if size > size_bytes_max:
                break
            chosen.append(transaction.raw)
        return chosen

    def judge(self, block: Proposed) -> str:
        """Return an empty string, or why nobody may vote for a block.

        Decided by the block and the committed state alone, so that every node that has committed
        the block before says the same.
        """
        if block.height != self.head.height + 1:
            return f"height {block.height} does not follow {self.head.height}"
        if block.time_ms < self.head.time_ms:
            return "its time lies before the last block's"
        if any(len(raw) > TRANSACTION_SIZE_BYTES_MAX for raw in block.transactions):
            return "a transaction is too large"
        transactions = self._decode(block)
        ids: dict[bytes, None] = {}
        reader = self._keeper.reader()
        left = self._ledger.context(self.head, reader).param(BLOCK_COST_MAX)
        admission = self._ledger.admission(self.head, reader)
        for position, transaction in enumerate(transactions):
            if transaction.body is None:
                return f"what stands at {position} is no transaction"
            if transaction.id in ids:
                return f"the transaction at {position} stands there twice"
            ids[transaction.id] = None
            left -= admission.cost_of(transaction)
            if left < 0:
                return f"its transactions up to {position} cost more than a block may"
            admission.take(transaction)
        return ""

    def finalize(self, proposed: Proposed) -> DecidedBlock:
        """Return what a decided block does; nothing of it is kept yet.

        Raises:
            Fault: The block breaks a rule of proposers, or something that must not happen did.
        """
        decoded = self._decode(proposed)
        valid = self._signatures_valid(decoded)
        digest = data_hash(proposed.transactions)
        ordered = Block(
            proposed.height, proposed.time_ms, proposed.block_hash, digest, decoded, valid
        )
        result = self._ledger.execute(self.head, self._keeper.reader(), ordered)
        self._invariants.check(result)
        block = DecidedBlock(
            DECIDED_BLOCK_VERSION,
            proposed.height,
            proposed.time_ms,
            proposed.block_hash,
            digest,
            proposed.proposer_address,
            proposed.next_validators_hash,
            proposed.offences,
            proposed.transactions,
            tuple(position for position, is_valid in enumerate(valid) if not is_valid),
            tuple(result.receipts),
            tuple(result.results),
            result.head.app_hash,
        )
        self._finalized = _Finalized(block, result, decoded)
        return block

    def commit(self) -> int:
        """Keep the finalized block, answer whoever waits for its transactions; return its height.

        Raises:
            Fault: No block was finalized, or the disk refuses.
        """
        finalized, self._finalized = self._finalized, None
        if finalized is None:
            raise EngineFault("a commit was asked for and no block is finalized")
        block, result = finalized.block, finalized.result
        self._keeper.keep(block, result)
        self._invariants.take(result)
        self.proved_app_hash = self.head.app_hash
        self.head = result.head
        self._due_ms = self._ledger.next_due_ms(result.head, self._keeper.reader())
        self._decoded = (b"", [])
        for position, waiting in self._mempool.settle(finalized.decoded).items():
            if block.results[position].code == RESULT_NOT_ADMITTED:
                outcome = _refusal(waiting.transaction, BadSequenceError.code)
            else:
                outcome = outcome_at(block, position, waiting.transaction.id)
            _answer(waiting, outcome)
        return block.height

    def _decode(self, block: Proposed) -> list[DecodedTransaction]:
        """Return the block's transactions decoded, once for judging and finalizing it."""
        block_hash, decoded = self._decoded
        if block.block_hash and block_hash == block.block_hash:
            return decoded
        known, decode = self._mempool.known, self._ledger.decode
        decoded = []
        for raw in block.transactions:
            waiting = known(raw)
            decoded.append(decode(raw) if waiting is None else waiting.transaction)
        self._decoded = (block.block_hash, decoded)
        return decoded

    def _signatures_valid(self, decoded: Sequence[DecodedTransaction]) -> list[bool]:
        """Return for each transaction whether its signature verifies; known ones were checked."""
        valid: list[bool] = []
        unknown: list[int] = []
        for place, transaction in enumerate(decoded):
            is_known = self._mempool.known(transaction.raw) is not None
            valid.append(is_known)
            if not is_known and transaction.body is not None:
                unknown.append(place)
        answers = self.signatures.check_all([_triple(decoded[place]) for place in unknown])
        for place, answer in zip(unknown, answers, strict=True):
            valid[place] = answer
        return valid

    def _refuse(self, waiting: Waiting, code: str) -> None:
        """Answer that a transaction enters no block, unless it already is in one."""
        outcome = None
        if code == BadSequenceError.code:
            outcome = self._keeper.outcome(waiting.transaction.id)
        self._mempool.forget(waiting)
        _answer(waiting, outcome or _refusal(waiting.transaction, code))

    # The end

    def wake(self) -> None:
        """Let a proposer that waits for work go on without."""
        self._mempool.wake()

    def start(self) -> None:
        """Begin to take in what peers send."""
        self._inbox.start()

    def fail(self, error: Exception) -> None:
        """Answer everybody who waits, now and later, with an error; nothing more is taken in."""
        if self._stopped is None:
            self._stopped = error
        self._inbox.stop()
        self._mempool.drain()
        with self._open_lock:
            left = list(self._open.values())
        for submission in left:
            submission.fail(self._stopped)

    def stop(self) -> None:
        """Take nothing more in; who still waits hears that the engine was stopped."""
        self.fail(EngineStoppedError("the node was stopped"))

    def _close(self, key: int, _: "Future[list[Outcome]]") -> None:
        with self._open_lock:
            self._open.pop(key, None)


class _Inbox:
    """What peers sent, handed on in batches by a thread of its own."""

    def __init__(self, take: Callable[[list[bytes]], None]) -> None:
        self._take = take
        self._condition = threading.Condition()
        self._raws: list[bytes] = []
        self._stopping = False
        self._thread: threading.Thread | None = None

    def put(self, raw: bytes) -> None:
        with self._condition:
            self._raws.append(raw)
            if len(self._raws) == 1:
                self._condition.notify()

    def start(self) -> None:
        self._thread = threading.Thread(target=self._run, name="cairn-inbox", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        with self._condition:
            self._stopping = True
            self._condition.notify()

    def _run(self) -> None:
        while True:
            with self._condition:
                self._condition.wait_for(lambda: bool(self._raws) or self._stopping)
                if self._stopping:
                    return
                raws, self._raws = self._raws, []
            self._take(raws)


class _InvariantWindow:
    """The modules' incremental invariants over the rows that some blocks have changed.

    A block may be finalized several times before it is kept, so checking and taking are apart.
    """

    def __init__(self, registry: Registry, interval_blocks: int) -> None:
        self._registry = registry
        self._interval = max(1, interval_blocks)
        self._blocks = 0
        self._rows: dict[bytes, tuple[Any, Any, Any]] = {}

    def check(self, result: BlockResult) -> None:
        """Check once enough blocks have come together, this one included.

        Raises:
            InvariantError: An invariant does not hold; the block must not be kept.
        """
        if self._blocks + 1 >= self._interval:
            rows = dict(self._rows)
            _merge(rows, result)
            check_changes(self._registry, rows)

    def take(self, result: BlockResult) -> None:
        """Add a kept block's rows, or begin anew after a check."""
        self._blocks += 1
        _merge(self._rows, result)
        if self._blocks >= self._interval:
            self._blocks, self._rows = 0, {}


def _merge(rows: dict[bytes, tuple[Any, Any, Any]], result: BlockResult) -> None:
    for key, (table, old, new) in result.changed_rows.items():
        known = rows.get(key)
        rows[key] = (table, old if known is None else known[1], new)


def _answer(waiting: Waiting, outcome: Outcome) -> None:
    for submission, index in waiting.tickets:
        submission.resolve(index, outcome)


def _refusal(transaction: DecodedTransaction, code: str) -> Outcome:
    return Outcome(transaction.id, code, 0, 0, 0, b"")


def _triple(transaction: DecodedTransaction) -> tuple[bytes, bytes, bytes]:
    envelope = transaction.envelope
    assert envelope is not None
    return envelope.key, signing_bytes(envelope.body), envelope.signature
