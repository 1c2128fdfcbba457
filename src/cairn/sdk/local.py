"""The local transport: a directory's node, or a witness, in this process.

Nothing else in the SDK imports the node.
"""

import os
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TypeVar

from cairn.engine.base import Outcome
from cairn.engine.embedded import SystemClock
from cairn.engine.errors import EngineRequestError, TimedOutError
from cairn.ledger.errors import Fault
from cairn.node import disk_check
from cairn.node.api import (
    BlockInfo,
    EventPage,
    HeadInfo,
    Health,
    ProofRequest,
    Proofs,
    RowPage,
    SeriesPage,
)
from cairn.node.directory import LEDGER_FOLDER
from cairn.node.errors import NodeRequestError
from cairn.node.node import Node, NodeOptions
from cairn.node.opening import replay_from_genesis
from cairn.node.replay import ReplayReport
from cairn.node.server import listen_on_port, make_server
from cairn.node.settings import Value, load_settings
from cairn.node.witness import Witness, WitnessDirectoryError
from cairn.node.witness_server import witness_application
from cairn.primitives.errors import NonCanonicalError
from cairn.primitives.signatures import SigningKey
from cairn.sdk.errors import CairnError, NodeFaultError, PendingError, UnavailableError, UsageError
from cairn.storage.errors import DirectoryInUseError, StorageError
from cairn.storage.fsck import FsckReport
from cairn.storage.store import LedgerStore, rebuild

T = TypeVar("T")

BRIEF = {"engine.signature_workers": 0, "witnesses.interval_ms": 3_600_000}
"""Settings of a node that lives for one command: it starts no processes."""


class LocalConnection:
    """A node in this process; it is an `api.Connection`, and raises the client's errors."""

    def __init__(self, node: Node) -> None:
        """Answer by `node`, which `close` closes."""
        self.node = node

    @classmethod
    def open(
        cls,
        directory: Path,
        key: SigningKey,
        options: NodeOptions | None = None,
        *,
        flags: Mapping[str, Value] | None = None,
    ) -> "LocalConnection":
        """Open the node of a directory for a short time.

        Args:
            directory: The node's.
            key: The validator's.
            options: All that a node is given; None takes the directory's settings.
            flags: Settings by name that go before the directory's, where `options` is None.

        Raises:
            UnavailableError: Another process has the directory open, or it cannot be written.
            NodeFaultError: What lies on the disk is damaged.
            UsageError: There is no ledger, the key is another one, or a setting is wrong.
        """
        with node_errors():
            if options is None:
                chosen = {**BRIEF, **(flags or {})}
                settings = load_settings(directory, flags=chosen, environment=os.environ)
                options = NodeOptions(settings=settings)
            return cls(Node.open(directory, key, options))

    @classmethod
    def create(
        cls,
        directory: Path,
        charter_file: bytes,
        key: SigningKey,
        options: NodeOptions | None = None,
    ) -> "LocalConnection":
        """Found a ledger in an empty directory.

        Raises:
            UnavailableError, NodeFaultError, UsageError: As `open`; or the charter is refused.
        """
        with node_errors():
            return cls(Node.create(directory, charter_file, key, options))

    def close(self) -> None:
        """Close the node in good order."""
        with node_errors():
            self.node.close()

    def __enter__(self) -> "LocalConnection":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def check(self) -> list[str]:
        """Check every invariant and the state root over all rows; return what was checked.

        Raises:
            NodeFaultError: One does not hold.
        """
        return self._ask(self.node.check)

    def head(self) -> HeadInfo:
        """Return where the ledger stands."""
        return self._ask(self.node.head)

    def charter(self) -> bytes:
        """Return the charter file's bytes."""
        return self._ask(self.node.charter)

    def health(self) -> Health:
        """Return how the node is."""
        return self._ask(self.node.health)

    def submit(self, raws: Sequence[bytes], *, wait_ms: int) -> list[Outcome]:
        """Submit transactions and return their outcomes when all are final."""
        return self._ask(lambda: self.node.submit(raws, wait_ms=wait_ms))

    def receipt(self, transaction_id: bytes) -> Outcome | None:
        """Return what became of a transaction, or None if no block holds it."""
        return self._ask(lambda: self.node.receipt(transaction_id))

    def row(self, key: bytes) -> bytes | None:
        """Return the state row at `key` after the last block."""
        return self._ask(lambda: self.node.row(key))

    def rows(self, prefix: bytes, *, cursor: bytes, limit: int) -> RowPage:
        """Return state rows under a prefix, in key order."""
        return self._ask(lambda: self.node.rows(prefix, cursor=cursor, limit=limit))

    def series(self, key: bytes, *, start: int, limit: int) -> SeriesPage:
        """Return entries of the series with head key `key`."""
        return self._ask(lambda: self.node.series(key, start=start, limit=limit))

    def prove(self, request: ProofRequest) -> Proofs:
        """Return proofs from one head."""
        return self._ask(lambda: self.node.prove(request))

    def events(self, from_height: int, *, limit: int, wait_ms: int) -> EventPage:
        """Return events of blocks from a height on."""
        return self._ask(lambda: self.node.events(from_height, limit=limit, wait_ms=wait_ms))

    def block(self, height: int) -> BlockInfo:
        """Return the block at a height."""
        return self._ask(lambda: self.node.block(height))

    def next_sequence(self, sender: bytes, lane: int) -> int:
        """Return the sequence number that a lane's next transaction must have."""
        return self._ask(lambda: self.node.next_sequence(sender, lane))

    def _ask(self, question: Callable[[], T]) -> T:
        with node_errors():
            return question()


class LocalWitness:
    """A witness in a thread of this process; it answers over HTTP on a free port of loopback.

    Args:
        directory: The witness's own, made if it is missing.
        name: Name on its cosignatures.
        key: Its own key, never a validator's.
    """

    def __init__(self, directory: Path, name: str, key: SigningKey) -> None:
        """Serve until `close`.

        Raises:
            UnavailableError: Another process has the directory open, or no port can be had.
        """
        try:
            self._witness = Witness(directory, name, key, clock=SystemClock())
            self._listener = listen_on_port("127.0.0.1", 0)
        except (WitnessDirectoryError, NodeRequestError) as error:
            raise UnavailableError(str(error)) from error
        self._server = make_server(witness_application(self._witness))
        self._thread = threading.Thread(
            target=self._server.run, kwargs={"sockets": [self._listener]}, name="cairn-witness"
        )
        self._thread.start()

    @property
    def url(self) -> str:
        """Where it answers."""
        return f"http://127.0.0.1:{self._listener.getsockname()[1]}"

    @property
    def peer(self) -> str:
        """The witness as the setting `witnesses.peers` names it: URL and verifier key."""
        return f"{self.url} {self._witness.verifier_key}"

    def watch(self, log: str) -> str:
        """Watch a ledger by its verifier key, and return its chain id."""
        return self._witness.watch(log)

    def evidence(self, chain_id: str) -> list[Path]:
        """Return the files kept against a ledger: what its key signed and should not have."""
        return self._witness.evidence(chain_id)

    def close(self) -> None:
        """Answer no more, and let another process open the directory."""
        self._server.should_exit = True
        self._thread.join()
        self._listener.close()
        self._witness.close()

    def __enter__(self) -> "LocalWitness":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def process_of(directory: Path) -> int | None:
    """Return the process that has a directory's ledger open; None if none has, or it is unknown."""
    try:
        LedgerStore(directory / LEDGER_FOLDER).close()
    except DirectoryInUseError as error:
        return error.pid
    return None


def replay_log(directory: Path) -> ReplayReport:
    """Execute a directory's whole log from the charter on, and compare every root and receipt.

    Raises:
        NodeFaultError: Something came out differently than recorded; see divergence.json.
        UnavailableError, UsageError: As `LocalConnection.open`.
    """
    with node_errors():
        return replay_from_genesis(directory)


def check_disk(directory: Path) -> FsckReport:
    """Return what a directory's ledger holds on the disk and what of it is damaged.

    Raises:
        UnavailableError, UsageError, NodeFaultError: As `LocalConnection.open`.
    """
    with node_errors():
        return disk_check.check_disk(directory)


def remove_checkpoint(directory: Path) -> None:
    """Remove a directory's checkpoint; the next opening makes it anew from the log.

    Raises:
        UnavailableError: Another process has the directory open, or it cannot be written.
    """
    with node_errors():
        rebuild(directory / LEDGER_FOLDER)


@contextmanager
def node_errors() -> Iterator[None]:
    """Raise the node's errors as the client's.

    Raises:
        CairnError: Whatever the node raised, by its kind.
    """
    try:
        yield
    except (NodeRequestError, EngineRequestError, NonCanonicalError, Fault) as error:
        raise client_error(error) from error


def client_error(error: Exception) -> CairnError:
    """Return the client's error for one of the node's."""
    text = str(error) or (type(error).__doc__ or type(error).__name__).partition("\n")[0]
    hint = str(getattr(error, "hint", ""))
    if isinstance(error, TimedOutError):
        return PendingError(b"")
    if isinstance(error, DirectoryInUseError):
        return UnavailableError(text, hint)
    if isinstance(error, StorageError):
        return NodeFaultError(text, hint)
    if isinstance(error, Fault):
        return NodeFaultError(
            f"the node has stopped: {text}", hint or "`cairn debug fsck` looks for damage"
        )
    if getattr(error, "code", "") in ("engine/mempool_full", "engine/stopped"):
        return UnavailableError(text, hint)
    return UsageError(text, hint)
