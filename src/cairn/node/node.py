"""A node: one ledger's directory, its engine, and the answers it gives.

    charter.cairn     the signed charter
    cairn.toml        settings
    ledger/           block log and checkpoint (see `cairn.storage.store`)
    cosigned.note     the newest head with its witnesses' cosignatures
    divergence.json   written if a replay leaves the record
    node.sock         the socket, while the node serves

The node's key is not in the directory: whoever starts the node brings it.
"""

import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

from cairn.engine.application import LedgerApplication
from cairn.engine.base import Clock, Outcome
from cairn.engine.embedded import BlockSigner, EmbeddedEngine, SystemClock
from cairn.engine.errors import TimedOutError
from cairn.engine.signature_pool import SignaturePool
from cairn.ledger.errors import Fault, InvariantError
from cairn.ledger.execution import LedgerHead
from cairn.ledger.invariants import check_all
from cairn.ledger.module import Registry
from cairn.modules.rules.queries import warm_up
from cairn.node import proving, queries
from cairn.node.api import (
    BlockInfo,
    Connection,
    EventPage,
    HeadInfo,
    Health,
    ProofRequest,
    Proofs,
    RowPage,
    SeriesPage,
)
from cairn.node.directory import Founding, create_directory, parse_founding
from cairn.node.errors import NotFoundError
from cairn.node.opening import (
    OpenLedger,
    check_charter,
    check_validator,
    open_ledger,
    require_assertions,
)
from cairn.node.prover import ProvingView
from cairn.node.settings import Settings, load_settings
from cairn.node.witnesses import Witnesses, parse_peer
from cairn.primitives import trie
from cairn.primitives.encoding import encode
from cairn.primitives.light import header_hash
from cairn.primitives.signatures import SigningKey
from cairn.storage.disk import Disk
from cairn.storage.layers import LayeredReader

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class NodeOptions:
    """What a node is given besides its directory and key; the defaults are a real node's."""

    registry: Registry | None = None
    """The modules; None is the standard ones."""
    settings: Settings | None = None
    """None reads the directory's file."""
    clock: Clock = field(default_factory=SystemClock)
    disk: Disk | None = None
    start: bool = True
    """Whether blocks are made from the start; tests make them by hand."""


class Node:
    """One ledger, running; it is an `api.Connection`."""

    @classmethod
    def create(
        cls,
        directory: Path,
        charter_file: bytes,
        key: SigningKey,
        options: NodeOptions | None = None,
    ) -> "Node":
        """Found a ledger in a new directory and open it.

        Raises:
            OptimizedPythonError: Python runs without assertions.
            CharterError: The charter is malformed, unsigned, or not acceptable to the modules.
            WrongValidatorError: The key is not the charter's one validator.
            DirectoryError: The directory is not empty or cannot be written.
            StorageError: The disk refuses.
        """
        require_assertions()
        founding = parse_founding(charter_file)
        check_validator(founding, key)
        check_charter(founding, options.registry if options else None)
        create_directory(directory, founding)
        return cls.open(directory, key, options)

    @classmethod
    def open(cls, directory: Path, key: SigningKey, options: NodeOptions | None = None) -> "Node":
        """Open a ledger, do again what came after its checkpoint, and make blocks.

        Raises:
            DirectoryError: There is no ledger.
            CharterError, ConfigurationError: The charter or the settings are damaged.
            WrongValidatorError: The key is not the charter's one validator.
            DivergenceError: A block came out differently than recorded; see divergence.json.
            RolledBackError: A witness saw a head that the log lacks.
            StorageError: The directory is in use or damaged, or the disk refuses.
        """
        options = options or NodeOptions()
        settings = options.settings or load_settings(directory)
        ledger = open_ledger(
            directory, settings.storage, registry=options.registry, disk=options.disk
        )
        try:
            return cls(directory, key, ledger, settings, options)
        except BaseException:
            ledger.store.close()
            raise

    def __init__(
        self,
        directory: Path,
        key: SigningKey,
        opened: OpenLedger,
        settings: Settings,
        options: NodeOptions,
    ) -> None:
        """Wire an opened ledger to an engine; use `open` or `create`."""
        self.directory = directory
        self.settings = settings
        self._opened = opened
        self._founding: Founding = opened.founding
        self._keeper = opened.keeper
        self._closed = False
        self._arrival = threading.Condition()
        self._listeners: list[Callable[[int], None]] = []
        self._fault_listeners: list[Callable[[], None]] = []
        power = check_validator(self._founding, key)
        self._witnesses = self._make_witnesses(key)
        self._application = LedgerApplication(
            opened.ledger,
            self._keeper,
            opened.head,
            clock=options.clock,
            settings=settings.mempool,
            invariant_interval_blocks=settings.invariant_interval_blocks,
        )
        self.engine = EmbeddedEngine(
            self._application,
            opened.chain,
            BlockSigner(key, power, opened.chain.height),
            clock=options.clock,
            trusting_period_ms=self._founding.charter.trusting_period_ms,
            settings=settings.engine,
        )
        self._signatures = SignaturePool(settings.signature_workers, self._fail)
        self._application.signatures = self._signatures
        self._application.on_work = self.engine.wake
        self.engine.on_block = self._block_made
        self.engine.on_fault = self._stopped
        if options.start:
            self._warm_up()
            self.engine.start()
            self._witnesses.start(self._proving_view, self._fail)

    def _make_witnesses(self, key: SigningKey) -> Witnesses:
        """Return the configured witnesses, none of which holds a head that the log lacks.

        Raises:
            ConfigurationError: A witness is not given as URL and verifier key.
            RolledBackError: One of them does.
        """
        settings = self.settings.witnesses
        witnesses = Witnesses(
            tuple(parse_peer(text) for text in settings.peers),
            directory=self.directory,
            origin=self._founding.chain_id,
            key=key,
            settings=settings,
        )
        try:
            witnesses.check_not_rolled_back(self._block_hash_at)
        except BaseException:
            witnesses.stop()
            raise
        return witnesses

    # Life

    @property
    def chain_id(self) -> str:
        """The ledger's chain id."""
        return self._founding.chain_id

    @property
    def fault(self) -> Fault | None:
        """Why the node stopped by itself; None while all is well."""
        return self.engine.fault

    def close(self) -> None:
        """Finish the block under way, write a checkpoint unless a fault forbids it, and let go.

        Raises:
            StorageError: The checkpoint could not be written; the log has everything.
        """
        if self._closed:
            return
        self._closed = True
        self._witnesses.stop()
        self.engine.stop()
        self._application.stop()
        self._signatures.close()
        with self._arrival:
            self._arrival.notify_all()
        try:
            if self.fault is None:
                self._opened.store.checkpoint()
        finally:
            self._opened.store.close()

    def __enter__(self) -> "Node":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def check(self) -> list[str]:
        """Check every invariant over all rows, and the state root against them; return the names.

        Raises:
            InvariantError: One does not hold.
        """

        def take() -> tuple[LedgerHead, LayeredReader]:
            return self._application.head, self._keeper.view()

        head, view = self.engine.between_blocks(take)
        try:
            checked = check_all(self._opened.ledger.registry, view)
            if trie.rebuild_root(view.scan(b"")) != head.state_root:
                raise InvariantError(f"the rows do not lead to the state root of {head.height}")
        finally:
            view.close()
        return [*checked, "ledger: the state root covers all rows"]

    @contextmanager
    def listening(self, listener: Callable[[int], None]) -> Iterator[None]:
        """Call `listener` with each new height, from the thread that makes blocks."""
        self._listeners.append(listener)
        try:
            yield
        finally:
            self._listeners.remove(listener)

    def call_on_fault(self, listener: Callable[[], None]) -> None:
        """Call `listener` if the node stops by itself."""
        self._fault_listeners.append(listener)

    # Connection

    def head(self) -> HeadInfo:
        """Return where the ledger stands."""
        chain = self.engine.chain
        block_hash = b"" if chain.header is None else header_hash(chain.header)
        return HeadInfo(
            chain.chain_id,
            chain.height,
            chain.time_ms,
            block_hash,
            chain.app_hash,
            chain.is_proved,
        )

    def charter(self) -> bytes:
        """Return the charter file's bytes."""
        return self._founding.file

    def health(self) -> Health:
        """Return how the node is."""
        fault = self.fault
        return Health(
            "ok" if fault is None else "stopped",
            "" if fault is None else f"{type(fault).__name__}: {fault}",
            self.engine.chain.height,
            self._application.waiting(),
            self._witnesses.statuses(),
        )

    def submit_later(self, raws: Sequence[bytes]) -> "Future[list[Outcome]]":
        """Return a future of the outcomes of transactions, answered when all are final.

        Raises:
            MempoolFullError: Too many wait; none was taken.
            EngineStoppedError: The node was closed.
            Fault: The node has stopped by itself.
        """
        return self._application.submit(raws)

    def submit(self, raws: Sequence[bytes], *, wait_ms: int) -> list[Outcome]:
        """Submit transactions and return their outcomes when all are final.

        Raises:
            TimedOutError: They were taken, but not all were final within `wait_ms`.
            MempoolFullError, EngineStoppedError, Fault: As `submit_later`.
        """
        try:
            return self.submit_later(raws).result(wait_ms / 1000)
        except TimeoutError as error:
            raise TimedOutError("the transactions were taken and are not all final yet") from error

    def receipt(self, transaction_id: bytes) -> Outcome | None:
        """Return what became of a transaction, or None if no block holds it."""
        return self._keeper.outcome(transaction_id)

    def row(self, key: bytes) -> bytes | None:
        """Return the state row at `key` after the last block."""
        return self._read(lambda view: view.get(key))

    def rows(self, prefix: bytes, *, cursor: bytes, limit: int) -> RowPage:
        """Return state rows under a prefix, in key order.

        Raises:
            BadRangeError: The cursor is not one that this prefix gave.
        """
        return self._read(lambda view: queries.rows(view, prefix, cursor=cursor, limit=limit))

    def series(self, key: bytes, *, start: int, limit: int) -> SeriesPage:
        """Return entries of the series with head key `key`.

        Raises:
            NonCanonicalError: The row at `key` is not the head of a series.
        """
        return self._read(lambda view: queries.series(view, key, start=start, limit=limit))

    def next_sequence(self, sender: bytes, lane: int) -> int:
        """Return the sequence number that a lane's next transaction must have."""
        return self._read(lambda view: queries.next_sequence(view, sender, lane))

    def prove(self, request: ProofRequest) -> Proofs:
        """Return proofs from one head, cosigned if the request and the settings say so.

        Raises:
            FutureTimeError: A header of a later time than now is asked for.
            BadRangeError, NotFoundError, NotProvableYetError: Something cannot be proved.
            Fault: The node has stopped by itself.
        """
        time_ms = proving.least_time_ms(request)

        def take() -> ProvingView:
            return self._proving_view(time_ms)

        view = self._witnesses.cosign(take) if request.witnessed else take()
        try:
            return proving.prove_all(view, request)
        finally:
            view.release()

    def events(self, from_height: int, *, limit: int, wait_ms: int) -> EventPage:
        """Return events of blocks from a height on, waiting for a newer block if there is none."""
        with self._arrival:
            self._arrival.wait_for(
                lambda: self.engine.chain.height >= from_height or self._closed,
                wait_ms / 1000,
            )
        newest = self.engine.chain.height
        return queries.events(self._keeper.entry, newest, from_height, limit=limit)

    def block(self, height: int) -> BlockInfo:
        """Return the block at a height.

        Raises:
            NotFoundError: There is none yet.
        """
        if not 0 < height <= self.engine.chain.height:
            raise NotFoundError(f"there is no block {height}")
        entry = self._keeper.entry(height)
        return BlockInfo(
            encode(entry.header), encode(entry.commit), entry.transactions, entry.receipts
        )

    # Inside

    def _read(self, read: Callable[[LayeredReader], T]) -> T:
        view = self._keeper.view()
        try:
            return read(view)
        finally:
            view.close()

    def _proving_view(self, time_ms: int = 0) -> ProvingView:
        """Return a view that the newest header proves, making that header if it is not there."""
        return self.engine.at_proved(time_ms, self._take_view)

    def _take_view(self) -> ProvingView:
        chain = self.engine.chain
        assert chain.header is not None
        assert chain.commit is not None
        reader = self._keeper.view()
        return ProvingView(
            reader,
            self._application.head,
            chain.header,
            chain.commit,
            self._founding.validators,
            self._keeper.entry,
            reader.close,
        )

    def _block_hash_at(self, height: int) -> bytes | None:
        if not 0 < height <= self._opened.store.head_height:
            return None
        return header_hash(self._keeper.entry(height).header)

    def _block_made(self, height: int) -> None:
        with self._arrival:
            self._arrival.notify_all()
        for listener in tuple(self._listeners):
            listener(height)
        self._witnesses.head_changed()
        # This runs between two blocks: a model that went live is loaded before the next one asks.
        self._warm_up()

    def _warm_up(self) -> None:
        """Load the models that payments' rules look at in the next block."""
        warm_up(self._opened.ledger.context(self._application.head, self._keeper.reader()))

    def _fail(self, fault: Fault) -> None:
        self.engine.fail(fault)

    def _stopped(self) -> None:
        """Tell whoever asked that the engine has stopped by itself."""
        for listener in tuple(self._fault_listeners):
            listener()


if TYPE_CHECKING:
    _is_connection: type[Connection] = Node
