"""Checkpoints of an append-only log as signed notes, and the cosignatures of witnesses.

A note is a text, a blank line and signature lines. A checkpoint's text is the log's origin, its
size, its root and extension lines. A ledger's origin is its chain id, its log the history tree, and
one extension line binds the header that opens to it: `header <height> <base64 hash>`. A witness's
cosignature covers the whole text and the time at which it signed.

Source: C2SP signed-note, tlog-checkpoint and tlog-cosignature (v1, Ed25519), https://c2sp.org
"""

import binascii
import re
from base64 import b64decode, b64encode

from cairn.primitives.encoding import Record
from cairn.primitives.errors import InvalidKeyError, InvalidSignatureError, PrimitiveError
from cairn.primitives.hashes import DIGEST_SIZE_BYTES, sha256
from cairn.primitives.signatures import (
    KEY_PREFIX,
    PUBLIC_KEY_SIZE_BYTES,
    SIGNATURE_SIZE_BYTES,
    PublicKey,
    SigningKey,
    verify,
)

ED25519 = 0x01
"""Signature type of a log's own signature."""
COSIGNATURE_V1 = 0x04
"""Signature type of a witness's timestamped cosignature."""

NOTE_SIZE_BYTES_MAX = 65_536
SIGNATURES_MAX = 64
SIZE_MAX = 2**63 - 1
TIMESTAMP_MAX = 2**63 - 1
KEY_ID_SIZE_BYTES = 4
_TIMESTAMP_SIZE_BYTES = 8

_DASH = "\u2014 "
_NUMBER = re.compile(r"0|[1-9][0-9]{0,18}", re.ASCII)
_CONTROL = re.compile(r"[\x00-\x09\x0b-\x1f]")
_HEADER_LINE = re.compile(r"header ([1-9][0-9]{0,18}) ([A-Za-z0-9+/]{43}=)", re.ASCII)


class NoteError(PrimitiveError):
    """The bytes are not a signed note or checkpoint, or a signature on it does not hold."""


class NoteSignature(Record):
    """One signature line: who signed under which name, and the bytes after the key id."""

    name: str
    key_id: bytes
    signature: bytes


class SignedNote(Record):
    """A note: its text with the final newline, and its signature lines in order."""

    text: str
    signatures: tuple[NoteSignature, ...]


class Checkpoint(Record):
    """What a log's head says."""

    origin: str
    """The chain id."""
    size: int
    """Leaves of the history tree."""
    root: bytes
    """RFC 6962 root over them."""
    extensions: tuple[str, ...] = ()


# Notes


def parse_note(raw: bytes) -> SignedNote:
    """Return the note that `raw` spells.

    Raises:
        NoteError: Too long, not UTF-8, a control character, no signature, or a malformed line.
    """
    if len(raw) > NOTE_SIZE_BYTES_MAX:
        raise NoteError(f"a note of {len(raw)} bytes, more than {NOTE_SIZE_BYTES_MAX}")
    try:
        whole = raw.decode()
    except UnicodeDecodeError as error:
        raise NoteError("a note is UTF-8") from error
    if _CONTROL.search(whole):
        raise NoteError("a note holds no control characters")
    text, separator, lines = whole.rpartition("\n\n")
    if not separator or not lines.endswith("\n"):
        raise NoteError("a note is a text, a blank line and signature lines")
    return SignedNote(text + "\n", parse_signature_lines(lines))


def parse_signature_lines(lines: str) -> tuple[NoteSignature, ...]:
    """Return the signatures of lines that each end in a newline.

    Raises:
        NoteError: There is none, there are too many, or a line is malformed.
    """
    if not lines.endswith("\n"):
        raise NoteError("a signature line ends in a newline")
    parts = lines[:-1].split("\n")
    if len(parts) > SIGNATURES_MAX:
        raise NoteError(f"{len(parts)} signatures, more than {SIGNATURES_MAX}")
    return tuple(_parse_signature(line) for line in parts)


def _parse_signature(line: str) -> NoteSignature:
    name, separator, encoded = line.removeprefix(_DASH).partition(" ")
    if not line.startswith(_DASH) or not separator:
        raise NoteError("a signature line is a dash, a name and a signature")
    raw = _parse_base64(encoded)
    if len(raw) <= KEY_ID_SIZE_BYTES:
        raise NoteError("a signature is shorter than its key id")
    return NoteSignature(_check_key_name(name), raw[:KEY_ID_SIZE_BYTES], raw[KEY_ID_SIZE_BYTES:])


def signature_line(signature: NoteSignature) -> str:
    """Return the line of a signature, with its newline."""
    encoded = b64encode(signature.key_id + signature.signature).decode()
    return f"{_DASH}{signature.name} {encoded}\n"


def note_bytes(note: SignedNote) -> bytes:
    """Return the bytes of a note."""
    lines = "".join(signature_line(signature) for signature in note.signatures)
    return f"{note.text}\n{lines}".encode()


def key_id(name: str, signature_type: int, public_key: bytes) -> bytes:
    """Return the four bytes that tell a signature line's key and type."""
    material = bytes((signature_type,)) + _raw_key(public_key)
    return sha256(name.encode() + b"\n" + material)[:KEY_ID_SIZE_BYTES]


def verifier_key(name: str, signature_type: int, public_key: bytes) -> str:
    """Return the text by which a key is configured: name, key id and key (a C2SP vkey)."""
    identifier = key_id(_check_key_name(name), signature_type, public_key)
    material = bytes((signature_type,)) + _raw_key(public_key)
    return f"{name}+{identifier.hex()}+{b64encode(material).decode()}"


def parse_verifier_key(text: str, signature_type: int) -> tuple[str, PublicKey]:
    """Return the name and the public key of a verifier key of the stated type.

    Raises:
        NoteError: Malformed, of another type, or its key id does not fit.
    """
    name, _, rest = text.partition("+")
    identifier, _, encoded = rest.partition("+")
    material = _parse_base64(encoded)
    if len(material) != 33 or material[0] != signature_type:
        raise NoteError(f"not a verifier key of type {signature_type}")
    public_key = PublicKey(KEY_PREFIX + material[1:])
    if identifier != key_id(_check_key_name(name), signature_type, public_key).hex():
        raise NoteError("the key id does not fit the verifier key")
    return name, public_key


# Signing and verifying


def sign_note(text: str, name: str, key: SigningKey) -> NoteSignature:
    """Return a log's signature over a note's text."""
    identifier = key_id(_check_key_name(name), ED25519, key.public_key)
    return NoteSignature(name, identifier, key.sign(text.encode()))


def verify_note(note: SignedNote, name: str, public_key: bytes) -> None:
    """Check that `public_key` signed the note under `name`.

    Raises:
        NoteError: It has no such signature, or one that does not verify.
    """
    for signature in _of_key(note, name, ED25519, public_key):
        _verify(public_key, note.text.encode(), signature.signature)


def cosign(text: str, name: str, key: SigningKey, time_seconds: int) -> NoteSignature:
    """Return a witness's cosignature over a checkpoint's text, made at `time_seconds`."""
    if not 0 <= time_seconds <= TIMESTAMP_MAX:
        raise NoteError("the time of a cosignature is out of range")
    identifier = key_id(_check_key_name(name), COSIGNATURE_V1, key.public_key)
    signature = key.sign(_cosigned_bytes(text, time_seconds))
    stamp = time_seconds.to_bytes(_TIMESTAMP_SIZE_BYTES, "big")
    return NoteSignature(name, identifier, stamp + signature)


def verify_cosignature(note: SignedNote, name: str, public_key: bytes) -> int:
    """Return when the witness cosigned the note, in seconds since the epoch; the latest time.

    Raises:
        NoteError: It has no cosignature of this name and key, or one that does not verify.
    """
    times = []
    for signature in _of_key(note, name, COSIGNATURE_V1, public_key):
        if len(signature.signature) != _TIMESTAMP_SIZE_BYTES + SIGNATURE_SIZE_BYTES:
            raise NoteError("a cosignature is not a time and an Ed25519 signature")
        stamp = int.from_bytes(signature.signature[:_TIMESTAMP_SIZE_BYTES], "big")
        if stamp > TIMESTAMP_MAX:
            raise NoteError("the time of a cosignature is out of range")
        signed = signature.signature[_TIMESTAMP_SIZE_BYTES:]
        _verify(public_key, _cosigned_bytes(note.text, stamp), signed)
        times.append(stamp)
    return max(times)


def _cosigned_bytes(text: str, time_seconds: int) -> bytes:
    return f"cosignature/v1\ntime {time_seconds}\n{text}".encode()


def _of_key(
    note: SignedNote, name: str, signature_type: int, public_key: bytes
) -> list[NoteSignature]:
    identifier = key_id(name, signature_type, public_key)
    found = [one for one in note.signatures if one.name == name and one.key_id == identifier]
    if not found:
        raise NoteError(f"no signature of {name}")
    return found


def _verify(public_key: bytes, message: bytes, signature: bytes) -> None:
    try:
        verify(public_key, message, signature)
    except (InvalidKeyError, InvalidSignatureError) as error:
        raise NoteError("a signature of the note does not verify") from error


# Checkpoints


def checkpoint_text(checkpoint: Checkpoint) -> str:
    """Return the text of a checkpoint, the final newline included."""
    root = b64encode(checkpoint.root).decode()
    lines = (checkpoint.origin, str(checkpoint.size), root, *checkpoint.extensions)
    return "".join(line + "\n" for line in lines)


def parse_checkpoint(text: str) -> Checkpoint:
    """Return the checkpoint that a note's text spells.

    Raises:
        NoteError: Fewer than three lines, an empty line, a size or root out of form.
    """
    if not text.endswith("\n"):
        raise NoteError("a checkpoint ends in a newline")
    lines = text[:-1].split("\n")
    if len(lines) < 3 or not all(lines):
        raise NoteError("a checkpoint is an origin, a size, a root and no empty line")
    origin, size, root, *extensions = lines
    if not _NUMBER.fullmatch(size) or int(size) > SIZE_MAX:
        raise NoteError("the size of a checkpoint is a decimal number without leading zeros")
    digest = _parse_base64(root)
    if len(digest) != DIGEST_SIZE_BYTES:
        raise NoteError("the root of a checkpoint has 32 bytes")
    return Checkpoint(origin, int(size), digest, tuple(extensions))


def header_line(height: int, block_hash: bytes) -> str:
    """Return the extension line that binds a checkpoint to the header that opens to it."""
    return f"header {height} {b64encode(block_hash).decode()}"


def bound_header(checkpoint: Checkpoint) -> tuple[int, bytes]:
    """Return height and hash of the header that a ledger's checkpoint binds.

    Raises:
        NoteError: The checkpoint has not exactly one extension line, `header <height> <hash>`.
    """
    match = _HEADER_LINE.fullmatch(checkpoint.extensions[0]) if checkpoint.extensions else None
    if match is None or len(checkpoint.extensions) != 1 or int(match[1]) > SIZE_MAX:
        raise NoteError("a ledger's checkpoint has one extension line, `header <height> <hash>`")
    return int(match[1]), _parse_base64(match[2])


# Forms


def _parse_base64(text: str) -> bytes:
    """Return the bytes of standard base64 in its one spelling."""
    try:
        raw = b64decode(text, validate=True)
    except (binascii.Error, ValueError) as error:
        raise NoteError("not standard base64") from error
    if b64encode(raw).decode() != text:
        raise NoteError("not the canonical base64 of its bytes")
    return raw


def _check_key_name(name: str) -> str:
    if not name or "+" in name or any(character.isspace() for character in name):
        raise NoteError("a key name is not empty and holds neither spaces nor plus signs")
    return name


def _raw_key(public_key: bytes) -> bytes:
    if len(public_key) != PUBLIC_KEY_SIZE_BYTES or not public_key.startswith(KEY_PREFIX):
        raise NoteError("not an ed25519 public key of 34 bytes with its multicodec prefix")
    return public_key[len(KEY_PREFIX) :]
