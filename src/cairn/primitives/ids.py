"""Identifiers: 20-byte ids derived by hashing, and the names that people choose.

An id is the first 20 bytes of a tagged hash: 80 bits against collisions, 160 against a second
preimage. A name is an ASCII slug, so that no two names look alike.
"""

import re
from typing import NewType

from cairn.primitives.errors import InvalidNameError
from cairn.primitives.hashes import tagged_hash

AccountId = NewType("AccountId", bytes)
"""The permanent id of an account, 20 bytes; keys that speak for it come and go."""

ID_SIZE_BYTES = 20
NAME_SIZE_CHARACTERS_MAX = 64
_SHORT_BYTES = 4

_NAME = re.compile(r"[a-z0-9][a-z0-9._-]{0,63}", re.ASCII)


def derive_id(tag: bytes, *parts: bytes) -> bytes:
    """Return the id, 20 bytes, of what `parts` describe in the domain `tag`."""
    return tagged_hash(tag, *parts)[:ID_SIZE_BYTES]


def is_name(text: str) -> bool:
    """Return whether `text` is a name: `[a-z0-9][a-z0-9._-]{0,63}`."""
    return _NAME.fullmatch(text) is not None


def check_name(text: str) -> str:
    """Return `text` if it is a name.

    Raises:
        InvalidNameError: It is not.
    """
    if not is_name(text):
        raise InvalidNameError(
            "a name has 1 to 64 characters of a-z 0-9 . _ - and begins with a letter or digit"
        )
    return text


def short(identifier: bytes) -> str:
    """Return the first four bytes of an id or digest in hex, for people to read, never as a key."""
    return identifier[:_SHORT_BYTES].hex()
