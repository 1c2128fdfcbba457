"""What the machine itself gives: the bounds that the other figures stand beside."""

import os
import tempfile
from pathlib import Path

from bench.harness import Figure, per_second
from cairn.primitives.hashes import sha256
from cairn.primitives.signatures import SigningKey, verify_many

MESSAGE_SIZE_BYTES = 270
BATCH = 2_000


def measure(*, quick: bool) -> list[Figure]:
    """Return signature, hash and disk ceilings on one core."""
    return [
        Figure(
            "ledger.verify_ceiling_per_s",
            verify_per_second(),
            "verifications/s",
            note="PyNaCl on one core, 270-byte messages",
        ),
        Figure("ceiling.sha256_65_per_s", _hashes_per_second(), "hashes/s"),
        Figure("ceiling.fdatasync_per_s", sync_per_second(4 if quick else 10), "syncs/s"),
    ]


def verify_per_second() -> float:
    """Return how many signatures one core verifies in a second."""
    key = SigningKey.from_seed(bytes(32))
    triples = []
    for number in range(BATCH):
        message = number.to_bytes(8, "big") * (MESSAGE_SIZE_BYTES // 8)
        triples.append((key.public_key, message, key.sign(message)))
    return per_second(BATCH, lambda: verify_many(triples))


def sync_per_second(runs: int) -> float:
    """Return how many appends of 100 kB the disk takes in a second, each synced."""
    data = bytes(100_000)
    with tempfile.TemporaryDirectory() as directory:
        descriptor = os.open(Path(directory) / "log", os.O_WRONLY | os.O_CREAT | os.O_APPEND)

        def append() -> None:
            for _ in range(20):
                os.write(descriptor, data)
                os.fdatasync(descriptor)

        try:
            return per_second(20, append, runs=runs)
        finally:
            os.close(descriptor)


def _hashes_per_second() -> float:
    data = bytes(65)

    def work() -> None:
        for _ in range(100_000):
            sha256(data)

    return per_second(100_000, work)
