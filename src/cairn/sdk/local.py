"""The local transport: opens a directory's node in this process. Nothing else here imports the node."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TypeVar

from cairn.engine.base import Outcome
from cairn.engine.errors import EngineRequestError, TimedOutError
from cairn.ledger.errors import Fault
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
from cairn.node.errors import NodeRequestError
from cairn.node.node import Node, NodeOptions
from cairn.node.settings import Value, load_settings
from cairn.primitives.errors import NonCanonicalError
from cairn.primitives.signatures import SigningKey
from cairn.sdk.errors import CairnError, NodeFaultError, PendingError, UnavailableError, UsageError
from cairn.storage.errors import DirectoryInUseError, NoSpaceError, ReadOnlyError, StorageError

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
                settings = load_settings(directory, flags={**BRIEF, **(flags or {})})
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
    if isinstance(error, DirectoryInUseError | NoSpaceError | ReadOnlyError):
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
