"""The embedded engine: one process orders blocks, in CometBFT's format, signed by one validator.

A block is executed before it is logged, so that a fault leaves nothing durable; the log append is
the commit point, and nothing signed leaves the process before it. After a block that changed the
application hash comes one more, whose header commits to that hash; then the engine rests until a
transaction arrives, something falls due, a proof needs a later time, or a third of the trusting
period has passed.
"""

import gc
import logging
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TypeVar

from cairn.engine.base import (
    LOG_ENTRY_VERSION,
    Application,
    Chain,
    Clock,
    LogEntry,
    OrderedBlock,
    block_id_of,
    transaction_results_hash,
)
from cairn.engine.errors import (
    DoubleSignError,
    EngineFault,
    EngineStoppedError,
    FutureTimeError,
)
from cairn.ledger.errors import Fault
from cairn.ledger.execution import STATE_VERSION
from cairn.primitives.light import (
    EMPTY_EVIDENCE_HASH,
    FLAG_COMMIT,
    NIL_BLOCK_ID,
    BlockID,
    Commit,
    CommitSig,
    ConsensusParams,
    Header,
    Timestamp,
    Validator,
    ValidatorSet,
    commit_hash,
    consensus_hash,
    data_hash,
    header_hash,
    timestamp_of_ms,
    validators_hash,
    vote_sign_bytes,
)
from cairn.primitives.merkle import EMPTY_ROOT
from cairn.primitives.signatures import SigningKey

T = TypeVar("T")

_log = logging.getLogger(__name__)

BLOCK_PROTOCOL = 11
"""CometBFT's block protocol version, which headers carry."""
REST_MS_MAX = 1_000
"""Longest sleep of an idle engine, so that it notices when the clock is set."""


class SystemClock:
    """The machine's clock."""

    def now_ms(self) -> int:
        """Return milliseconds since the epoch."""
        return time.time_ns() // 1_000_000


@dataclass(frozen=True, slots=True)
class EmbeddedSettings:
    """How often blocks are made."""

    interval_ms: int = 20
    """Least time between two blocks, unless `block_operations` wait."""
    block_operations: int = 2_000
    """Waiting operations that make a block at once."""


class BlockSigner:
    """Signs blocks for one validator, each height once; the log's last height is the record."""

    def __init__(self, key: SigningKey, power: int, last_height: int) -> None:
        """Sign heights above `last_height`."""
        self._key = key
        self._last_height = last_height
        validator = Validator(key.public_key, power)
        self.validators = ValidatorSet((validator,))
        self.validators_hash = validators_hash(self.validators)
        self.address = validator.address

    def sign(self, chain_id: str, height: int, block_id: BlockID, at: Timestamp) -> Commit:
        """Return the commit of a block.

        Raises:
            DoubleSignError: The height, or a later one, was signed before.
        """
        if height <= self._last_height:
            raise DoubleSignError(f"height {height} is signed already")
        self._last_height = height
        signature = self._key.sign(vote_sign_bytes(chain_id, height, 0, block_id, at))
        return Commit(height, 0, block_id, (CommitSig(FLAG_COMMIT, self.address, at, signature),))


class EmbeddedEngine:
    """Makes blocks from a thread of its own (`start`), or one at a time by hand (`step`)."""

    def __init__(
        self,
        application: Application,
        chain: Chain,
        signer: BlockSigner,
        *,
        clock: Clock,
        trusting_period_ms: int,
        settings: EmbeddedSettings,
    ) -> None:
        """Continue `chain`."""
        self._application = application
        self._signer = signer
        self._clock = clock
        self._settings = settings
        self._heartbeat_ms = max(1, trusting_period_ms // 3)
        self._consensus_hash = consensus_hash(ConsensusParams())
        self._condition = threading.Condition()
        self._step_lock = threading.Lock()
        self._thread: threading.Thread | None = None
        self._stopping = False
        self._last_made_ms = 0
        self._ignored_due_ms: int | None = None
        self.on_block: Callable[[int], None] = _ignore
        """Called with each new height, from the thread that made the block."""
        self.on_fault: Callable[[], None] = _nothing
        """Called when the engine has stopped by itself."""
        self.fault: Fault | None = None
        """Why the engine stopped by itself; None while all is well."""
        self.chain = chain
        """The last block, and what the next header will carry."""

    # The thread

    def start(self) -> None:
        """Make blocks from now on."""
        assert self._thread is None, "the engine runs already"
        self._stopping = False
        self._thread = threading.Thread(target=self._run, name="cairn-blocks", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """Finish the block under way and make no more."""
        with self._condition:
            self._stopping = True
            self._condition.notify_all()
        if self._thread is not None and self._thread is not threading.current_thread():
            self._thread.join()
            self._thread = None

    def wake(self) -> None:
        """Look again whether a block is due."""
        with self._condition:
            self._condition.notify_all()

    def _run(self) -> None:
        while True:
            with self._condition:
                if self._stopping or self.fault is not None:
                    return
                wait_ms = self._wait_ms()
                if wait_ms > 0:
                    self._condition.wait(wait_ms / 1000)
                    continue
            try:
                self.step()
            except (Fault, EngineStoppedError):
                return

    # Blocks

    def advance(self, time_ms: int) -> None:
        """Return once a header of at least `time_ms` commits to the newest application hash.

        Raises:
            FutureTimeError: `time_ms` lies ahead of the clock.
            EngineStoppedError: The engine was stopped.
            Fault: The engine has stopped by itself, now or earlier.
        """
        self.at_proved(time_ms, _nothing)

    def at_proved(self, time_ms: int, take: Callable[[], T]) -> T:
        """Return what `take` returns at a moment when `advance` holds and no block is being made.

        Raises:
            FutureTimeError, EngineStoppedError, Fault: As `advance`.
        """
        if time_ms > max(self._clock.now_ms(), self.chain.time_ms):
            raise FutureTimeError(f"time {time_ms} lies ahead of the clock")
        with self._step_lock:
            with self._guarded():
                while not (self.chain.is_proved and self.chain.time_ms >= time_ms):
                    self._make_block(self._clock.now_ms(), [])
            return take()

    def between_blocks(self, take: Callable[[], T]) -> T:
        """Return what `take` returns at a moment when no block is being made."""
        with self._step_lock:
            return take()

    def step(self) -> bool:
        """Make a block if one is due, and return whether one was made.

        Raises:
            EngineStoppedError: The engine was stopped.
            Fault: Execution or the log failed, now or earlier; the engine makes no more blocks.
        """
        with self._step_lock, self._guarded(), _without_collection():
            return self._step()

    @contextmanager
    def _guarded(self) -> Iterator[None]:
        """Make blocks inside; whatever fails there stops the engine."""
        if self.fault is not None:
            raise self.fault
        if self._stopping:
            raise EngineStoppedError("the engine was stopped")
        try:
            yield
        except Fault as fault:
            self.fail(fault)
            raise
        except Exception as error:
            unexpected = EngineFault(f"block {self.chain.height + 1}: {error!r}")
            self.fail(unexpected)
            raise unexpected from error

    def fail(self, fault: Fault) -> None:
        """Stop because of `fault`, found here or by something that the engine rests on."""
        with self._condition:
            if self.fault is None:
                self.fault = fault
                _log.critical(
                    "stopped before block %d, after application hash %s: %s: %s",
                    self.chain.height + 1,
                    self.chain.app_hash.hex(),
                    type(fault).__name__,
                    fault,
                )
            self._condition.notify_all()
        self._application.fail(self.fault)
        self.on_fault()

    def _step(self) -> bool:
        now = self._clock.now_ms()
        if self._wait_ms() > 0:
            return False
        raws = self._application.propose()
        if not raws and not self._is_empty_block_due(now):
            return False
        self._make_block(now, raws)
        return True

    def _make_block(self, now: int, raws: list[bytes]) -> None:
        """Order, execute, sign, log, apply and answer one block, in this order."""
        chain = self.chain
        time_ms = max(now, chain.time_ms + 1)
        header = self._header(time_ms, raws)
        block_hash = header_hash(header)
        block = OrderedBlock(header.height, time_ms, block_hash, header.data_hash, raws)
        result = self._application.finalize(block)
        block_id = block_id_of(block_hash)
        commit = self._signer.sign(chain.chain_id, header.height, block_id, header.time)
        results = tuple(result.results)
        entry = LogEntry(
            LOG_ENTRY_VERSION, header, commit, tuple(raws), (), tuple(result.receipts), results
        )
        self._application.commit(entry, result)
        self._last_made_ms = now
        due = self._application.next_due_ms()
        self._ignored_due_ms = due if due is not None and due <= time_ms else None
        self.chain = Chain(
            chain.chain_id, header, commit, results[: len(raws)], result.head.app_hash, time_ms
        )
        self.on_block(header.height)

    def _header(self, time_ms: int, raws: list[bytes]) -> Header:
        chain, signer = self.chain, self._signer
        last = chain.commit
        return Header(
            version_block=BLOCK_PROTOCOL,
            version_app=STATE_VERSION,
            chain_id=chain.chain_id,
            height=chain.height + 1,
            time=timestamp_of_ms(time_ms),
            last_block_id=NIL_BLOCK_ID if last is None else last.block_id,
            last_commit_hash=EMPTY_ROOT if last is None else commit_hash(last),
            data_hash=data_hash(raws),
            validators_hash=signer.validators_hash,
            next_validators_hash=signer.validators_hash,
            consensus_hash=self._consensus_hash,
            app_hash=chain.app_hash,
            last_results_hash=transaction_results_hash(chain.results),
            evidence_hash=EMPTY_EVIDENCE_HASH,
            proposer_address=signer.address,
        )

    # When

    def _wait_ms(self) -> int:
        """Return how long to rest before looking again; 0 if there is something to do."""
        now = self._clock.now_ms()
        pending = self._application.pending_operations()
        if pending >= self._settings.block_operations:
            return 0
        elapsed = now - self._last_made_ms
        pause = self._settings.interval_ms - elapsed if elapsed >= 0 else 0
        if pending or not self.chain.is_proved:
            return max(0, pause)
        next_ms = self._next_wake_ms()
        return max(0, pause, min(next_ms - now, REST_MS_MAX))

    def _next_wake_ms(self) -> int:
        """Return when an idle ledger needs a block, or a look at its transactions."""
        times = [self.chain.time_ms + self._heartbeat_ms]
        due = self._due_ms()
        if due is not None:
            times.append(due)
        overdue = self._application.next_overdue_ms()
        if overdue is not None:
            times.append(overdue)
        return min(times)

    def _due_ms(self) -> int | None:
        """Return when end-of-block work falls due, unless a block has passed it by."""
        due = self._application.next_due_ms()
        return None if due == self._ignored_due_ms else due

    def _is_empty_block_due(self, now: int) -> bool:
        due = self._due_ms()
        return (
            not self.chain.is_proved
            or (due is not None and due <= now)
            or now >= self.chain.time_ms + self._heartbeat_ms
        )


def _ignore(_: int) -> None:
    """Tell nobody: no listener was set."""


def _nothing() -> None:
    """Take nothing: reaching the moment was all that was wanted."""


@contextmanager
def _without_collection() -> Iterator[None]:
    """Put Python's cycle collector off until the block is made.

    A block allocates tens of thousands of records that hold no cycles; looking for cycles among
    them in the middle cost 12 to 16 % of the throughput.
    """
    if not gc.isenabled():
        yield
        return
    gc.disable()
    try:
        yield
    finally:
        gc.enable()
