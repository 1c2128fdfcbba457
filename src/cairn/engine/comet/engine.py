"""The replicated engine: this process's ledger, and a CometBFT beside it that orders its blocks."""

import logging
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from cairn.engine.base import Engine
from cairn.engine.comet.application import CometApplication
from cairn.engine.comet.bridge import Bridge, BridgeSettings
from cairn.engine.comet.errors import UnreachableError
from cairn.engine.comet.files import write_home
from cairn.engine.comet.process import CometProcess, ProcessHealth
from cairn.engine.comet.rpc import CometRpc
from cairn.engine.comet.server import AbciServer
from cairn.engine.comet.settings import CometSettings
from cairn.engine.errors import EngineStoppedError, TimedOutError
from cairn.ledger.charter import Charter
from cairn.ledger.errors import Fault
from cairn.primitives.light import Commit, Header, ValidatorSet, verify_header
from cairn.primitives.signatures import SigningKey

_log = logging.getLogger(__name__)

WAKE_SECONDS = 0.05
"""How often a proposer is asked to hurry while somebody waits for a proof."""


@dataclass(frozen=True, slots=True)
class CometHealth:
    """How the engine is."""

    height: int
    waiting: int
    """Transactions that wait for a block."""
    process: ProcessHealth
    peers: int
    """Connected peers; -1 if CometBFT does not answer."""
    is_catching_up: bool


class CometEngine:
    """Orders blocks together with the other validators of the charter; an `engine.base.Engine`."""

    def __init__(
        self,
        application: CometApplication,
        charter: Charter,
        chain_id: str,
        key: SigningKey,
        settings: CometSettings,
    ) -> None:
        """Wire everything; nothing runs yet.

        Raises:
            BinaryMissingError: There is no CometBFT of the pinned version.
            SocketPathError: The directory's name is too long.
        """
        self.settings = settings
        self.application = application
        self.rpc = CometRpc(settings.rpc_socket)
        self.fault: Fault | None = None
        """Why the engine stopped by itself; None while all is well."""
        self.on_block: Callable[[int], None] = _ignore
        """Called with each new height, from the consensus connection's thread."""
        self.on_fault: Callable[[], None] = _nothing
        """Called when the engine has stopped by itself."""
        self._charter = charter
        self._chain_id = chain_id
        self._key = key
        self._condition = threading.Condition()
        self._stopping = False
        self._bridge = Bridge(
            application,
            charter,
            chain_id,
            settings=BridgeSettings(settings.idle_wait_ms, settings.peer_ids),
            on_fault=self.fail,
        )
        self._bridge.on_block = self._block_made
        self._server = AbciServer(settings.abci_socket, self._bridge.answer)
        self._process = CometProcess(settings, self.fail)

    # Engine

    def start(self) -> None:
        """Write CometBFT's files, listen, and start it."""
        write_home(self.settings, self._charter, self._chain_id, self._key)
        self.application.start()
        self._server.start()
        self._process.start()

    def stop(self) -> None:
        """End CometBFT, then let go of its socket; the block under way is finished."""
        with self._condition:
            self._stopping = True
            self._condition.notify_all()
        self.application.wake()
        self._process.stop()
        self._server.stop()
        self.application.stop()

    def wake(self) -> None:
        """Let a proposer that waits for work go on without."""
        self.application.wake()

    def advance(self, time_ms: int, timeout_seconds: float) -> None:
        """Return once a header of at least `time_ms` commits to the newest application hash.

        Raises:
            TimedOutError: That did not come about in time.
            EngineStoppedError: The engine was stopped.
            Fault: The engine has stopped by itself.
        """
        application = self.application

        def is_done() -> bool:
            is_proved = application.is_proved and application.head.time_ms >= time_ms
            return is_proved or self._stopping or self.fault is not None

        deadline = time.monotonic() + timeout_seconds
        while not is_done():
            if time.monotonic() >= deadline:
                raise TimedOutError(f"no header of {time_ms} proves the newest state yet")
            application.wake()
            with self._condition:
                self._condition.wait(WAKE_SECONDS)
        self._check_running()

    def _check_running(self) -> None:
        if self.fault is not None:
            raise self.fault
        if self._stopping:
            raise EngineStoppedError("the engine was stopped")

    # Evidence

    def signed_header(
        self, height: int, validators: ValidatorSet, timeout_seconds: float = 10.0
    ) -> tuple[Header, Commit]:
        """Return the header of a block that is kept, with a commit that `validators` have signed.

        Raises:
            UnreachableError: CometBFT does not answer in time.
            HeaderError: What it answers does not verify.
        """
        deadline = time.monotonic() + timeout_seconds
        while True:
            try:
                header, commit = self.rpc.signed_header(height)
                break
            except UnreachableError:
                if time.monotonic() >= deadline:
                    raise
                with self._condition:
                    self._condition.wait(0.1)
        verify_header(self._chain_id, header, commit, validators)
        return header, commit

    def health(self) -> CometHealth:
        """Return how the engine is; this asks CometBFT."""
        peers, is_catching_up = -1, False
        try:
            peers = int(self.rpc.call("net_info")["n_peers"])
            is_catching_up = bool(self.rpc.call("status")["sync_info"]["catching_up"])
        except UnreachableError as error:
            _log.info("%s", error)
        return CometHealth(
            self.application.head.height,
            self.application.waiting(),
            self._process.health(),
            peers,
            is_catching_up,
        )

    # Inside

    def fail(self, fault: Fault) -> None:
        """Stop because of `fault`; nobody votes on what this node could not execute."""
        with self._condition:
            if self.fault is not None or self._stopping:
                return
            self.fault = fault
            self._condition.notify_all()
        _log.critical(
            "stopped after block %d: %s: %s",
            self.application.head.height,
            type(fault).__name__,
            fault,
        )
        self.application.fail(fault)
        # The thread that found the fault may be the one that the process or the server waits for.
        threading.Thread(target=self._end, name="cairn-comet-end", daemon=True).start()
        self.on_fault()

    def _end(self) -> None:
        self._process.stop()
        self._server.stop()

    def _block_made(self, height: int) -> None:
        with self._condition:
            self._condition.notify_all()
        self.on_block(height)


def _ignore(_: int) -> None:
    """Tell nobody: no listener was set."""


def _nothing() -> None:
    """Tell nobody: no listener was set."""


if TYPE_CHECKING:
    _is_engine: type[Engine] = CometEngine
