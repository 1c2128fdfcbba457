"""The witness: cosigns a ledger's heads only when each extends the last one it saw.

It keeps its own key and directory, knows each log by its origin and key, and writes down what it is
about to cosign, durably, before it answers. What it refuses though the log signed it is evidence
against the log, and is kept too.

The directory holds `logs/<id>/` for each log: `key` (the log's verifier key), `checkpoint` (the
last note it cosigned, with its cosignature) and `evidence/` (notes that the log should not have
signed).

Source: C2SP tlog-witness, https://c2sp.org/tlog-witness
"""

import fcntl
import os
import re
import threading
from base64 import b64decode
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

from cairn.engine.base import Clock
from cairn.primitives.checkpoints import (
    ED25519,
    Checkpoint,
    NoteError,
    SignedNote,
    bound_header,
    cosign,
    note_bytes,
    parse_checkpoint,
    parse_note,
    parse_verifier_key,
    signature_line,
    verifier_key,
    verify_note,
)
from cairn.primitives.errors import ProofError
from cairn.primitives.hashes import DIGEST_SIZE_BYTES, sha256
from cairn.primitives.merkle import verify_consistency
from cairn.primitives.signatures import PublicKey, SigningKey

PROOF_LINES_MAX = 63
REQUEST_SIZE_BYTES_MAX = 80_000
EVIDENCE_FILES_MAX = 1_000
"""Most notes kept against one log: after so many, one more shows nothing new."""

_OLD_LINE = re.compile(rb"old (0|[1-9][0-9]{0,18})", re.ASCII)


class WitnessError(Exception):
    """Root of what a witness answers instead of a cosignature; `status` is the HTTP status."""

    code: ClassVar[str]
    status: ClassVar[int]


class MalformedRequestError(WitnessError):
    """The request is not an old size, a proof, and a ledger's checkpoint."""

    code = "witness/malformed_request"
    status = 400


class UnknownLogError(WitnessError):
    """The witness was not told to watch a log of this origin."""

    code = "witness/unknown_log"
    status = 404


class UntrustedSignatureError(WitnessError):
    """The checkpoint does not carry a valid signature of the log's known key."""

    code = "witness/untrusted_signature"
    status = 403


class SizeConflictError(WitnessError):
    """The request starts from another size than the last one cosigned; `size` is that one."""

    code = "witness/size_conflict"
    status = 409

    def __init__(self, size: int) -> None:
        """Tell the size to start from."""
        super().__init__(f"the last cosigned size is {size}")
        self.size = size


class ForkedError(WitnessError):
    """The log signed another tree of the same size as the last one cosigned."""

    code = "witness/forked"
    status = 409


class HeaderConflictError(WitnessError):
    """The log signed another header at the height of the last one cosigned."""

    code = "witness/header_conflict"
    status = 409


class LowerHeightError(WitnessError):
    """The log signed a header below the last one cosigned: it was rolled back."""

    code = "witness/lower_height"
    status = 409


class InconsistentError(WitnessError):
    """The proof does not show that the tree extends the last one cosigned."""

    code = "witness/inconsistent"
    status = 422


class WitnessDirectoryError(Exception):
    """The witness's directory is in use, damaged, or of another key."""


@dataclass(frozen=True, slots=True)
class AddCheckpoint:
    """A parsed request."""

    old_size: int
    proof: tuple[bytes, ...]
    note: SignedNote
    checkpoint: Checkpoint
    height: int
    block_hash: bytes


@dataclass(frozen=True, slots=True)
class _Seen:
    """What the witness last cosigned of a log."""

    note: bytes
    checkpoint: Checkpoint
    height: int
    block_hash: bytes


class Witness:
    """One witness over its directory; safe to use from several threads.

    Args:
        directory: Made if it is missing; one process at a time has it open.
        name: Name on its cosignatures, a schema-less URL by custom.
        key: Its own key, never a validator's.
        clock: Time that cosignatures state.
    """

    def __init__(self, directory: Path, name: str, key: SigningKey, *, clock: Clock) -> None:
        """Open the directory and read back what was cosigned."""
        self.name = name
        self._key = key
        self._clock = clock
        self._directory = directory
        self._lock = threading.Lock()
        _make_directory(directory / "logs")
        self._lock_file = _take_lock(directory / "lock")
        self._logs: dict[str, PublicKey] = {}
        self._seen: dict[str, _Seen] = {}
        for path in sorted((directory / "logs").iterdir()):
            self._read_log(path)

    @property
    def verifier_key(self) -> str:
        """The text by which nodes and verifiers are told this witness's key."""
        return verifier_key(self.name, 0x04, self._key.public_key)

    def close(self) -> None:
        """Let another process open the directory."""
        os.close(self._lock_file)

    def watch(self, log: str) -> str:
        """Watch a log by its verifier key, and return its origin, which is the key's name.

        Raises:
            NoteError: Not a verifier key of a log.
            WitnessDirectoryError: The origin is watched under another key.
        """
        origin, public_key = parse_verifier_key(log, ED25519)
        with self._lock:
            known = self._logs.get(origin)
            if known is not None and known != public_key:
                raise WitnessDirectoryError(f"{origin} is watched under another key")
            path = self._log_path(origin)
            _make_directory(path / "evidence")
            _write_durably(path / "key", (log + "\n").encode())
            self._logs[origin] = public_key
        return origin

    def origins(self) -> list[str]:
        """Return the origins of the watched logs."""
        return sorted(self._logs)

    def latest(self, origin: str) -> bytes | None:
        """Return the last note cosigned of a log, or None if there was none.

        Raises:
            UnknownLogError: The log is not watched.
        """
        if origin not in self._logs:
            raise UnknownLogError(origin)
        seen = self._seen.get(origin)
        return None if seen is None else seen.note

    def add_checkpoint(self, body: bytes) -> bytes:
        """Return the cosignature line for a request's checkpoint.

        Raises:
            WitnessError: The first check that fails, by its class.
        """
        request = parse_request(body)
        origin = request.checkpoint.origin
        public_key = self._logs.get(origin)
        if public_key is None:
            raise UnknownLogError(origin)
        try:
            verify_note(request.note, origin, public_key)
        except NoteError as error:
            raise UntrustedSignatureError(str(error)) from error
        if request.old_size > request.checkpoint.size:
            raise MalformedRequestError("the old size is larger than the checkpoint's")
        with self._lock:
            try:
                self._check_extends(request, self._seen.get(origin))
            except (ForkedError, HeaderConflictError, LowerHeightError, InconsistentError) as error:
                self._keep_evidence(origin, body, error)
                raise
            return self._cosign(request)

    def _check_extends(self, request: AddCheckpoint, seen: _Seen | None) -> None:
        """Check that the checkpoint extends the last one, and that each height has one header."""
        new = request.checkpoint
        old_size, old_root = (
            (0, b"") if seen is None else (seen.checkpoint.size, seen.checkpoint.root)
        )
        if seen is not None:
            if request.height < seen.height:
                raise LowerHeightError(f"height {request.height} after {seen.height}")
            if request.height == seen.height and request.block_hash != seen.block_hash:
                raise HeaderConflictError(f"two headers at height {seen.height}")
        if request.old_size != old_size:
            raise SizeConflictError(old_size)
        if old_size == new.size and seen is not None and new.root != old_root:
            raise ForkedError(f"two trees of size {new.size}")
        if old_size == 0:
            if request.proof:
                raise InconsistentError("a proof from the empty tree is empty")
            return
        try:
            verify_consistency(old_root, old_size, new.root, new.size, request.proof)
        except ProofError as error:
            raise InconsistentError(str(error)) from error

    def _cosign(self, request: AddCheckpoint) -> bytes:
        """Write the cosigned note down, then return the cosignature."""
        seconds = self._clock.now_ms() // 1000
        signature = cosign(request.note.text, self.name, self._key, seconds)
        log_lines = tuple(
            line for line in request.note.signatures if line.name == request.checkpoint.origin
        )
        raw = note_bytes(SignedNote(request.note.text, (*log_lines, signature)))
        origin = request.checkpoint.origin
        _write_durably(self._log_path(origin) / "checkpoint", raw)
        self._seen[origin] = _Seen(raw, request.checkpoint, request.height, request.block_hash)
        return signature_line(signature).encode()

    def _keep_evidence(self, origin: str, body: bytes, error: WitnessError) -> None:
        """Keep a request that the log signed and should not have, once."""
        folder = self._log_path(origin) / "evidence"
        name = f"{error.code.partition('/')[2]}-{sha256(body).hex()[:16]}"
        if (folder / name).exists() or len(list(folder.iterdir())) >= EVIDENCE_FILES_MAX:
            return
        _write_durably(folder / name, body)

    def evidence(self, origin: str) -> list[Path]:
        """Return the files kept against a log."""
        return sorted((self._log_path(origin) / "evidence").iterdir())

    def _log_path(self, origin: str) -> Path:
        return self._directory / "logs" / sha256(origin.encode()).hex()[:32]

    def _read_log(self, path: Path) -> None:
        """Read back one log's key and last checkpoint; a folder with neither was never finished."""
        if not (path / "key").exists() and not (path / "checkpoint").exists():
            return
        try:
            origin, public_key = parse_verifier_key((path / "key").read_text().strip(), ED25519)
            if path != self._log_path(origin):
                raise WitnessDirectoryError(f"{path} is not the folder of {origin}")
            self._logs[origin] = public_key
            if not (path / "checkpoint").exists():
                return
            raw = (path / "checkpoint").read_bytes()
            note = parse_note(raw)
            checkpoint = parse_checkpoint(note.text)
            verify_note(note, origin, public_key)
            self._seen[origin] = _Seen(raw, checkpoint, *bound_header(checkpoint))
        except (NoteError, OSError, UnicodeDecodeError) as error:
            raise WitnessDirectoryError(f"{path} is damaged: {error}") from error


def parse_request(body: bytes) -> AddCheckpoint:
    """Return what an add-checkpoint request says.

    Raises:
        MalformedRequestError: It is not of the form that tlog-witness gives, or its checkpoint does
            not bind a header.
    """
    if len(body) > REQUEST_SIZE_BYTES_MAX:
        raise MalformedRequestError(f"{len(body)} bytes, more than {REQUEST_SIZE_BYTES_MAX}")
    head, separator, rest = body.partition(b"\n\n")
    first, *lines = head.split(b"\n")
    match = _OLD_LINE.fullmatch(first)
    if not separator or match is None or len(lines) > PROOF_LINES_MAX:
        raise MalformedRequestError("not an old size, at most 63 proof lines and a blank line")
    try:
        proof = tuple(b64decode(line, validate=True) for line in lines)
        note = parse_note(rest)
        checkpoint = parse_checkpoint(note.text)
        height, block_hash = bound_header(checkpoint)
    except (ValueError, NoteError) as error:
        raise MalformedRequestError(str(error)) from error
    if any(len(digest) != DIGEST_SIZE_BYTES for digest in proof):
        raise MalformedRequestError("a proof line is not a hash")
    return AddCheckpoint(int(match[1]), proof, note, checkpoint, height, block_hash)


def _take_lock(path: Path) -> int:
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError as error:
        os.close(descriptor)
        raise WitnessDirectoryError(f"{path.parent} is in use by another process") from error
    return descriptor


def _make_directory(path: Path) -> None:
    """Make a directory and its parents, durably."""
    if path.is_dir():
        return
    _make_directory(path.parent)
    path.mkdir(exist_ok=True)
    _sync_directory(path.parent)


def _write_durably(path: Path, content: bytes) -> None:
    """Replace a file's content; when this returns it is on the disk."""
    temporary = path.with_name(path.name + ".new")
    descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
    with os.fdopen(descriptor, "wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
    temporary.replace(path)
    _sync_directory(path.parent)


def _sync_directory(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
