"""Signatures checked in chunks: in processes of their own or, with no workers, by the caller."""

import subprocess
import sys
import threading
from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from typing import BinaryIO, cast

import msgspec

from cairn.engine.errors import WorkerDiedError
from cairn.engine.signature_worker import read_frame, write_frame
from cairn.primitives.signatures import verify_many

Triple = tuple[bytes, bytes, bytes]
"""Public key, message, signature."""
Verdicts = Callable[[Sequence[bool]], None]

INLINE_SIGNATURES_MAX = 64
"""So many signatures are checked by the callers before processes are started at all."""
CHUNK_SIGNATURES = 128
"""Most signatures in one frame: small enough that workers share a burst."""

# The interpreter starts with the parent's search path and imports nothing but the worker.
_START = (
    "import sys; sys.path[:] = sys.argv[1:]\nfrom cairn.engine.signature_worker import main; main()"
)

_encoder = msgspec.msgpack.Encoder()


class SignaturePool:
    """Worker processes that answer, for each signature, whether it is valid.

    Args:
        workers: Number of processes; 0 checks in the calling thread.
        on_failure: Called once, from another thread, if a process ends by itself.
    """

    def __init__(self, workers: int, on_failure: Callable[[WorkerDiedError], None]) -> None:
        """Start nothing yet: a short-lived node never needs the processes."""
        self._on_failure = on_failure
        self._count = workers
        self._workers: list[_Worker] = []
        self._inline = 0
        self._lock = threading.Lock()
        self._failed = False

    def check(self, triples: Sequence[Triple], verdicts: Verdicts) -> None:
        """Check a chunk; `verdicts` is called with the answers, maybe from another thread.

        Raises:
            WorkerDiedError: A process has ended.
        """
        if self._is_inline(len(triples)):
            verdicts(verify_many(triples))
            return
        worker = min(self._workers, key=_load)
        worker.send(triples, verdicts)

    def check_all(self, triples: Sequence[Triple]) -> list[bool]:
        """Return the answers for any number of signatures, waiting for them.

        Raises:
            WorkerDiedError: A process has ended.
        """
        if self._is_inline(len(triples)):
            return verify_many(triples)
        pending: list[Future[Sequence[bool]]] = []
        for start in range(0, len(triples), CHUNK_SIGNATURES):
            future: Future[Sequence[bool]] = Future()
            pending.append(future)
            self._check_into(triples[start : start + CHUNK_SIGNATURES], future)
        return [valid for future in pending for valid in future.result()]

    def _check_into(self, triples: Sequence[Triple], future: "Future[Sequence[bool]]") -> None:
        worker = min(self._workers, key=_load)
        worker.send(triples, future.set_result, future.set_exception)

    def _is_inline(self, count: int) -> bool:
        """Return whether the caller is to check, and start the processes once they pay."""
        if not self._count:
            return True
        with self._lock:
            if self._workers:
                return False
            self._inline += count
            if self._inline <= INLINE_SIGNATURES_MAX:
                return True
            self._workers = [_Worker(self._worker_died) for _ in range(self._count)]
            return False

    def close(self) -> None:
        """End the processes."""
        for worker in self._workers:
            worker.close()

    def _worker_died(self, error: WorkerDiedError) -> None:
        with self._lock:
            first, self._failed = not self._failed, True
        if first:
            self._on_failure(error)


def _load(worker: "_Worker") -> int:
    return worker.load


class _Worker:
    """One process, its pipe and the answers that are still expected of it."""

    def __init__(self, on_death: Callable[[WorkerDiedError], None]) -> None:
        self._process = subprocess.Popen(  # noqa: S603 - this interpreter, fixed program
            [sys.executable, "-c", _START, *sys.path],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
        )
        self._on_death = on_death
        self._expected: deque[tuple[Verdicts, Callable[[WorkerDiedError], None] | None]] = deque()
        self._send_lock = threading.Lock()
        self._lock = threading.Lock()
        self._closing = False
        self._dead: WorkerDiedError | None = None
        self.load = 0
        """Signatures sent and not yet answered."""
        self._reader = threading.Thread(target=self._read, name="cairn-signatures", daemon=True)
        self._reader.start()

    @property
    def pid(self) -> int:
        return self._process.pid

    def send(
        self,
        triples: Sequence[Triple],
        verdicts: Verdicts,
        failed: Callable[[WorkerDiedError], None] | None = None,
    ) -> None:
        frame = _encoder.encode(triples)
        with self._send_lock:
            with self._lock:
                if self._dead is not None:
                    raise self._dead
                self._expected.append((verdicts, failed))
                self.load += len(triples)
            try:
                write_frame(cast("BinaryIO", self._process.stdin), frame)
            except OSError as error:
                raise WorkerDiedError("a signature worker does not take its input") from error

    def _read(self) -> None:
        """Hand out answers until the process's output ends."""
        stream = cast("BinaryIO", self._process.stdout)
        while (frame := read_frame(stream)) is not None:
            with self._lock:
                verdicts, _ = self._expected.popleft()
                self.load -= len(frame)
            verdicts([byte == 1 for byte in frame])
        error = WorkerDiedError(f"signature worker {self._process.pid} ended by itself")
        with self._lock:
            self._dead = error
            left, closing = list(self._expected), self._closing
            self._expected.clear()
        for _, failed in left:
            if failed is not None:
                failed(error)
        if not closing:
            self._on_death(error)

    def close(self) -> None:
        with self._lock:
            self._closing = True
        with self._send_lock:
            cast("BinaryIO", self._process.stdin).close()
        self._reader.join()
        cast("BinaryIO", self._process.stdout).close()
        self._process.wait()
