"""SHA-256 with domain separation: a hash made for one purpose never equals one made for another."""

import hashlib
from typing import NewType

Digest = NewType("Digest", bytes)
"""A SHA-256 digest, 32 bytes."""

DIGEST_SIZE_BYTES = 32

_sha256 = hashlib.sha256


def sha256(data: bytes) -> Digest:
    """Return the plain SHA-256 of `data`; use only where a standard prescribes it."""
    return Digest(_sha256(data).digest())


def tagged_hash(tag: bytes, *parts: bytes) -> Digest:
    """Return SHA-256 over `tag` and `parts`, each preceded by its length.

    The length prefixes (one byte for the tag, eight big-endian bytes for a part) make the input
    injective: no two different sequences of parts share a preimage.

    Args:
        tag: The purpose, for example `b"cairn/tx"`, 1 to 255 bytes.
        parts: What is hashed, in order.
    """
    pieces = [bytes((len(tag),)), tag]
    for part in parts:
        pieces.append(len(part).to_bytes(8, "big"))
        pieces.append(part)
    return Digest(_sha256(b"".join(pieces)).digest())
