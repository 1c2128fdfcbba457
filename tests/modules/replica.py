"""Another process that executes the same blocks; run as a program it serves its parent.

A frame in is a block's time and transactions, or empty to begin a new ledger; a frame out is a
digest over the application hash and the receipts.
"""

import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import BinaryIO, cast

import msgspec

from cairn.engine.signature_worker import read_frame, write_frame
from cairn.primitives.hashes import Digest, tagged_hash
from tests.modules.everything import PARAMETERS
from tests.modules.founding import found
from tests.modules.harness import Harness

ROOT = Path(__file__).parents[2]

_encoder = msgspec.msgpack.Encoder()
_decoder = msgspec.msgpack.Decoder(tuple[int, list[bytes]])


def digest_of(ledger: Harness) -> Digest:
    """Return one digest over what the last block came to."""
    return tagged_hash(b"cairn/test", ledger.head.app_hash, *ledger.last_result.receipts)


class Replica:
    """A process with a hash seed of its own."""

    def __init__(self, hash_seed: int) -> None:
        environment = {
            **os.environ,
            "PYTHONHASHSEED": str(hash_seed),
            "PYTHONPATH": os.pathsep.join((str(ROOT / "src"), str(ROOT))),
        }
        self._process = subprocess.Popen(
            [sys.executable, "-m", "tests.modules.replica"],
            env=environment,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
        )

    def begin(self) -> None:
        """Forget everything and found the ledger anew."""
        write_frame(cast("BinaryIO", self._process.stdin), b"")

    def block(self, time_ms: int, raws: Sequence[bytes]) -> bytes:
        """Return the digest after a block of these transactions."""
        write_frame(cast("BinaryIO", self._process.stdin), _encoder.encode((time_ms, raws)))
        digest = read_frame(cast("BinaryIO", self._process.stdout))
        assert digest is not None, "the replica has ended"
        return digest

    def close(self) -> None:
        """End the process."""
        with self._process:
            cast("BinaryIO", self._process.stdin).close()


def serve() -> None:
    """Execute blocks until the input ends."""
    source, target = sys.stdin.buffer, sys.stdout.buffer
    ledger = found(parameters=PARAMETERS, check_invariants=False)
    while (frame := read_frame(source)) is not None:
        if not frame:
            ledger = found(parameters=PARAMETERS, check_invariants=False)
            continue
        time_ms, ledger._queue = _decoder.decode(frame)
        ledger.block(time_ms=time_ms)
        write_frame(target, digest_of(ledger))


if __name__ == "__main__":
    serve()
