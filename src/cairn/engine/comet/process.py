"""CometBFT as a child process: found, started, watched, started again, and stopped with its parent.

It may only talk to this process's application, so it is ended when the application ends; it ends by
itself when the application closes its socket.
"""

import logging
import mmap
import os
import shutil
import signal
import subprocess
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from cairn.engine.comet.errors import BinaryMissingError, ProcessFault
from cairn.engine.comet.settings import MODULE, MODULE_SUM, PINNED_VERSION, CometSettings

_log = logging.getLogger(__name__)

BINARY_NAME = "cometbft"
STOP_SECONDS = 10.0
"""How long a child may take to end in good order before it is killed."""
STEADY_SECONDS = 60.0
"""A child that ran this long was well; the pause before the next start is short again."""


def cache_folder() -> Path:
    """Return where `make engine` puts the binary: it is the same for every checkout."""
    base = os.environ.get("XDG_CACHE_HOME") or str(Path.home() / ".cache")
    return Path(base) / "cairn" / "engine" / f"cometbft-{PINNED_VERSION}"


def find_binary(explicit: Path | None = None) -> Path:
    """Return a CometBFT that was built from the pinned module.

    Raises:
        BinaryMissingError: There is none, or the one named was built from something else.
    """
    found = shutil.which(BINARY_NAME)
    candidates = [cache_folder() / BINARY_NAME, *([Path(found)] if found else [])]
    if explicit is not None:
        candidates = [explicit]
    reasons = []
    for path in candidates:
        if not os.access(path, os.X_OK):
            reasons.append(f"{path} is no program")
        elif not is_pinned(path):
            reasons.append(f"{path} was not built from the pinned module")
        else:
            return path
    raise BinaryMissingError(f"no CometBFT {PINNED_VERSION}: {'; '.join(reasons)}")


def is_pinned(path: Path) -> bool:
    """Return whether Go's build record inside a program names the pinned module and its checksum.

    CometBFT 0.40.0 says of itself that it is 0.39.0, so its own word is not asked.
    """
    record = f"mod\t{MODULE}\tv{PINNED_VERSION}\t{MODULE_SUM}\n".encode()
    try:
        with path.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as view:
            return view.find(record) >= 0
    except (OSError, ValueError) as error:
        _log.warning("%s cannot be read: %s", path, error)
        return False


@dataclass(frozen=True, slots=True)
class ProcessHealth:
    """How the child is."""

    is_running: bool
    pid: int
    """0 if it does not run."""
    restarts: int
    """How often it was started again since the engine started."""
    last_exit: str
    """How it ended the last time; empty if it never did."""


class CometProcess:
    """Keeps one CometBFT running."""

    def __init__(self, settings: CometSettings, on_fault: Callable[[ProcessFault], None]) -> None:
        """Find the binary; start nothing yet.

        Raises:
            BinaryMissingError: There is none.
        """
        self._settings = settings
        self._on_fault = on_fault
        self._binary = find_binary(settings.binary)
        self._condition = threading.Condition()
        self._child: subprocess.Popen[bytes] | None = None
        self._thread: threading.Thread | None = None
        self._stopping = False
        self._restarts = 0
        self._last_exit = ""

    def start(self) -> None:
        """Run the child, and again whenever it ends."""
        self._stopping = False
        self._thread = threading.Thread(target=self._run, name="cairn-comet", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """End the child: politely, then by force."""
        with self._condition:
            self._stopping = True
            child = self._child
            self._condition.notify_all()
        if child is not None:
            _end(child)
        if self._thread is not None and self._thread is not threading.current_thread():
            self._thread.join()

    def health(self) -> ProcessHealth:
        """Return how the child is."""
        with self._condition:
            child = self._child
            return ProcessHealth(
                child is not None,
                0 if child is None else child.pid,
                self._restarts,
                self._last_exit,
            )

    def _run(self) -> None:
        pause_ms = self._settings.restart_pause_ms
        in_a_row = 0
        while True:
            began = time.monotonic()
            code = self._run_once()
            if code is None:
                return
            if time.monotonic() - began >= STEADY_SECONDS:
                pause_ms, in_a_row = self._settings.restart_pause_ms, 0
            in_a_row += 1
            reason = f"signal {-code}" if code < 0 else f"exit code {code}"
            _log.warning("CometBFT ended with %s; its log is %s", reason, self._settings.log_file)
            if in_a_row > self._settings.restarts_max:
                self._on_fault(ProcessFault(f"CometBFT ended {in_a_row} times, last with {reason}"))
                return
            with self._condition:
                self._last_exit = reason
                self._restarts += 1
                self._condition.wait_for(lambda: self._stopping, pause_ms / 1000)
            pause_ms = min(2 * pause_ms, self._settings.restart_pause_ms_max)

    def _run_once(self) -> int | None:
        """Run the child until it ends; return its exit code, or None if it was to stop."""
        with self._condition:
            if self._stopping:
                return None
            # One that was killed leaves its socket, and the next one would not take its place.
            self._settings.rpc_socket.unlink(missing_ok=True)
            with self._settings.log_file.open("ab") as log:
                self._child = subprocess.Popen(  # noqa: S603 - the pinned binary, fixed arguments
                    [str(self._binary), "start", "--home", str(self._settings.home)],
                    stdin=subprocess.DEVNULL,
                    stdout=log,
                    stderr=log,
                    cwd=self._settings.home,
                    env={"HOME": str(self._settings.home), "PATH": os.defpath},
                )
            child = self._child
        code = child.wait()
        with self._condition:
            self._child = None
        return None if self._is_stopping() else code

    def _is_stopping(self) -> bool:
        with self._condition:
            return self._stopping


def _end(child: subprocess.Popen[bytes]) -> None:
    child.send_signal(signal.SIGTERM)
    try:
        child.wait(STOP_SECONDS)
    except subprocess.TimeoutExpired:
        _log.warning("CometBFT %d does not end by itself and is killed", child.pid)
        child.kill()
