"""Key files: signing keys at rest, encrypted under a passphrase.

A file is JSON for people to recognise: the public key as did:key in clear, and the seed sealed by
XSalsa20-Poly1305 under a key that argon2id makes from the passphrase. The cost of argon2id stands
in the file, within bounds, so that it can grow with the years.

Source: PyNaCl `nacl.pwhash.argon2id` and `nacl.secret`; RFC 9106 for argon2id.
"""

import json
import os
import secrets
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from nacl.exceptions import CryptoError
from nacl.pwhash import argon2id
from nacl.secret import SecretBox

from cairn.primitives.did import did_key
from cairn.primitives.signatures import SigningKey
from cairn.sdk.errors import KeyFileError

KEY_FILE_FORMAT = "cairn-key/1"
SEED_SIZE_BYTES = 32
_MEMORY_BYTES_MAX = 1 << 30
_PASSES_MAX = 16


@dataclass(frozen=True, slots=True)
class KeyCost:
    """Cost of turning a passphrase into a key with argon2id."""

    passes: int
    memory_bytes: int


INTERACTIVE = KeyCost(argon2id.OPSLIMIT_INTERACTIVE, argon2id.MEMLIMIT_INTERACTIVE)
"""About 0.1 s and 64 MiB: for keys that people and services unlock every day."""
SENSITIVE = KeyCost(argon2id.OPSLIMIT_MODERATE, argon2id.MEMLIMIT_MODERATE)
"""About 0.7 s and 256 MiB: for keys that are used rarely, such as recovery keys."""


def generate_key() -> SigningKey:
    """Return a new signing key from the operating system's randomness."""
    return SigningKey.from_seed(secrets.token_bytes(SEED_SIZE_BYTES))


def create_key_file(
    path: Path, passphrase: str, *, key: SigningKey | None = None, cost: KeyCost = INTERACTIVE
) -> SigningKey:
    """Write a new key file and return its key; never overwrites.

    Raises:
        KeyFileError: The file exists or cannot be written.
    """
    key = key if key is not None else generate_key()
    salt = secrets.token_bytes(argon2id.SALTBYTES)
    box = SecretBox(_derive(passphrase, salt, cost))
    document = {
        "format": KEY_FILE_FORMAT,
        "public_key": did_key(key.public_key),
        "kdf": {
            "name": "argon2id",
            "passes": cost.passes,
            "memory_bytes": cost.memory_bytes,
            "salt": salt.hex(),
        },
        "sealed_seed": bytes(box.encrypt(key.seed)).hex(),
    }
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(descriptor, "w", encoding="utf-8") as file:
            file.write(json.dumps(document, indent=2) + "\n")
            file.flush()
            os.fsync(file.fileno())
    except FileExistsError as error:
        raise KeyFileError(
            f"{path} exists", "choose another name; a key is never overwritten"
        ) from error
    except OSError as error:
        raise KeyFileError(f"{path} cannot be written: {error.strerror}") from error
    return key


def open_key_file(path: Path, passphrase: str) -> SigningKey:
    """Return the key of a key file.

    Raises:
        KeyFileError: No such file, not a key file, a cost out of bounds, or a wrong passphrase.
    """
    document = _read(path)
    try:
        kdf = document["kdf"]
        cost = KeyCost(int(kdf["passes"]), int(kdf["memory_bytes"]))
        salt = bytes.fromhex(kdf["salt"])
        sealed = bytes.fromhex(document["sealed_seed"])
        public = str(document["public_key"])
    except (KeyError, TypeError, ValueError) as error:
        raise KeyFileError(f"{path} is damaged: {error!r}", "restore it from a backup") from error
    if not (
        1 <= cost.passes <= _PASSES_MAX
        and argon2id.MEMLIMIT_MIN <= cost.memory_bytes <= _MEMORY_BYTES_MAX
        and len(salt) == argon2id.SALTBYTES
    ):
        raise KeyFileError(f"{path} asks for an unreasonable cost", "restore it from a backup")
    try:
        seed = SecretBox(_derive(passphrase, salt, cost)).decrypt(sealed)
    except (CryptoError, ValueError) as error:
        raise KeyFileError(
            f"the passphrase does not open {path}",
            "set CAIRN_PASSPHRASE or --passphrase-file to the one used when it was made",
        ) from error
    key = SigningKey.from_seed(seed)
    if did_key(key.public_key) != public:
        raise KeyFileError(f"{path} names another public key than it holds", "do not use it")
    return key


def public_key_text(path: Path) -> str:
    """Return the did:key that a key file names, without unlocking it.

    Raises:
        KeyFileError: No such file, or not a key file.
    """
    return str(_read(path).get("public_key", ""))


def _derive(passphrase: str, salt: bytes, cost: KeyCost) -> bytes:
    return argon2id.kdf(
        SecretBox.KEY_SIZE,
        passphrase.encode(),
        salt,
        opslimit=cost.passes,
        memlimit=cost.memory_bytes,
    )


def _read(path: Path) -> dict[str, Any]:
    try:
        document = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise KeyFileError(f"no key file at {path}", "make one with `cairn key new`") from error
    except OSError as error:
        raise KeyFileError(f"{path} cannot be read: {error.strerror}") from error
    except (ValueError, RecursionError) as error:
        raise KeyFileError(f"{path} is not a key file") from error
    if not isinstance(document, dict) or document.get("format") != KEY_FILE_FORMAT:
        raise KeyFileError(f"{path} is not a key file of format {KEY_FILE_FORMAT}")
    return document
