"""The node's side of witnessing: sends new heads to witnesses and keeps their cosignatures.

A head is sent with a proof that it extends what the witness saw last. A witness that holds a head
which this node's key signed and its log does not have shows that the log was rolled back: the node
must not sign on.
"""

import threading
import time
from base64 import b64encode
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path

import httpx

from cairn.engine.errors import EngineStoppedError
from cairn.ledger.errors import Fault
from cairn.node.errors import ConfigurationError, RolledBackError
from cairn.node.prover import ProvingView, prove_extension
from cairn.node.settings import WitnessesSettings
from cairn.primitives.checkpoints import (
    COSIGNATURE_V1,
    NOTE_SIZE_BYTES_MAX,
    Checkpoint,
    NoteError,
    NoteSignature,
    SignedNote,
    bound_header,
    checkpoint_text,
    header_line,
    note_bytes,
    parse_checkpoint,
    parse_note,
    parse_signature_lines,
    parse_verifier_key,
    sign_note,
    verify_cosignature,
    verify_note,
)
from cairn.primitives.errors import ProofError
from cairn.primitives.light import header_hash
from cairn.primitives.signatures import PublicKey, SigningKey
from cairn.storage.errors import named_disk_errors

COSIGNED_FILE = "cosigned.note"
SIZE_CONTENT_TYPE = "text/x.tlog.size"
BlockHashAt = Callable[[int], bytes | None]
"""Returns the hash of the block at a height, None if the log does not reach there."""


@dataclass(frozen=True, slots=True)
class Peer:
    """A witness: where it answers, and the name and key of its cosignatures."""

    url: str
    name: str
    key: PublicKey


class WitnessAnswerError(Exception):
    """A witness gave no valid cosignature; the text says why."""


def parse_peer(text: str) -> Peer:
    """Return the witness that a setting names.

    Raises:
        ConfigurationError: It is not a URL and a verifier key of a witness.
    """
    url, _, key = text.strip().partition(" ")
    if not url.startswith(("http://", "https://")):
        raise ConfigurationError(f"a witness is given as URL and verifier key, not {text!r}")
    try:
        name, public_key = parse_verifier_key(key.strip(), COSIGNATURE_V1)
    except NoteError as error:
        raise ConfigurationError(f"witness {url}: {error}") from error
    return Peer(url.rstrip("/"), name, public_key)


@dataclass(slots=True)
class _State:
    """What the node knows of one witness."""

    size: int = 0
    """Size that the witness cosigned last, as far as is known."""
    status: str = "not asked yet"
    retry_at: float = 0.0
    """Monotonic time before which a failing witness is left alone."""


class Witnesses:
    """The configured witnesses of one ledger.

    Args:
        peers: Whom to ask.
        directory: Where the newest cosigned note is kept.
        origin: The chain id.
        key: The node's key, which signs the checkpoint.
        settings: Rate and patience.
    """

    def __init__(
        self,
        peers: tuple[Peer, ...],
        *,
        directory: Path,
        origin: str,
        key: SigningKey,
        settings: WitnessesSettings,
    ) -> None:
        """Ask nobody yet."""
        self._peers = peers
        self._file = directory / COSIGNED_FILE
        self._origin = origin
        self._key = key
        self._settings = settings
        self._lock = threading.Lock()
        self._states = {peer.name: _State() for peer in peers}
        self._note = self._file.read_bytes() if self._file.exists() else b""
        self._wake = threading.Event()
        self._stopping = threading.Event()
        self._thread: threading.Thread | None = None
        # Proxies of the environment are not asked: whom a node talks to is a setting.
        self._http = httpx.Client(timeout=settings.timeout_ms / 1000, trust_env=False)

    def start(
        self, take_view: Callable[[], ProvingView], on_fault: Callable[[Fault], None]
    ) -> None:
        """Send each new head from now on, at most one in each interval."""
        if not self._peers:
            return
        self._thread = threading.Thread(
            target=self._run, args=(take_view, on_fault), name="cairn-witnesses", daemon=True
        )
        self._thread.start()

    def stop(self) -> None:
        """Send no more."""
        self._stopping.set()
        self._wake.set()
        if self._thread is not None:
            self._thread.join()
        self._http.close()

    def head_changed(self) -> None:
        """Note that there is a new head to send."""
        self._wake.set()

    def statuses(self) -> tuple[tuple[str, str], ...]:
        """Return each witness's name, and `ok` or why its last answer was no cosignature."""
        return tuple((peer.name, self._states[peer.name].status) for peer in self._peers)

    def check_not_rolled_back(self, block_hash_at: BlockHashAt) -> None:
        """Ask each witness for the last head it saw, and compare it with the log.

        A witness that cannot be reached is passed over.

        Raises:
            RolledBackError: A witness saw a head, signed by this node's key, that the log lacks.
        """
        for peer in self._peers:
            try:
                self._check_witness(peer, block_hash_at)
            except (httpx.HTTPError, WitnessAnswerError) as error:
                self._states[peer.name].status = str(error) or type(error).__name__

    def cosign(self, take_view: Callable[[], ProvingView]) -> ProvingView:
        """Return a view whose head the witnesses were asked to cosign, with what they answered.

        Raises:
            RolledBackError: A witness saw a head that the log lacks.
        """
        with self._lock:
            view = take_view()
            if not self._peers:
                return view
            text = self._text(view)
            note = self._known_note(text)
            asked = [peer for peer in self._peers if not _has_line(note, peer)]
            for peer in asked:
                note = self._ask(peer, view, note)
            raw = note_bytes(note)
            if asked and raw != self._note:
                self._note = raw
                _replace(self._file, raw)
            return replace(view, cosigned_checkpoint=_cosignatures(note, self._peers))

    def _run(self, take_view: Callable[[], ProvingView], on_fault: Callable[[Fault], None]) -> None:
        while not self._stopping.is_set():
            self._wake.wait()
            if self._stopping.wait(self._settings.interval_ms / 1000):
                return
            self._wake.clear()
            try:
                self.cosign(take_view).release()
            except EngineStoppedError:
                return
            except Fault as fault:
                on_fault(fault)
                return

    def _text(self, view: ProvingView) -> str:
        history = view.head.history
        line = header_line(view.header.height, header_hash(view.header))
        return checkpoint_text(Checkpoint(self._origin, history.size, history.root(), (line,)))

    def _known_note(self, text: str) -> SignedNote:
        """Return the newest note if it is of this head, else a note that only this node signed.

        The file is a convenience: one that a crash has torn is passed over.
        """
        with suppress(NoteError):
            note = parse_note(self._note)
            if note.text == text:
                return note
        return SignedNote(text, (sign_note(text, self._origin, self._key),))

    def _ask(self, peer: Peer, view: ProvingView, note: SignedNote) -> SignedNote:
        """Return the note with the witness's line, or as it was if the witness gave none."""
        state = self._states[peer.name]
        if time.monotonic() < state.retry_at:
            return note
        try:
            lines = self._add_checkpoint(peer, view, note)
        except (httpx.HTTPError, WitnessAnswerError) as error:
            state.status = str(error) or type(error).__name__
            state.retry_at = time.monotonic() + self._settings.timeout_ms / 1000
            return note
        state.status = "ok"
        state.size = view.head.history.size
        return SignedNote(note.text, (*note.signatures, *lines))

    def _add_checkpoint(
        self, peer: Peer, view: ProvingView, note: SignedNote
    ) -> tuple[NoteSignature, ...]:
        """Send the head; once more from the witness's own size, if it names another one."""
        state = self._states[peer.name]
        own = SignedNote(note.text, note.signatures[:1])
        for _ in range(2):
            body = _request_body(state.size, view, own)
            status, content_type, answer = self._post(peer, body)
            if status == httpx.codes.OK:
                return _checked_lines(peer, note.text, answer)
            is_conflict = status in (httpx.codes.CONFLICT, httpx.codes.UNPROCESSABLE_ENTITY)
            is_size = is_conflict and content_type == SIZE_CONTENT_TYPE
            state.size = _parse_size(answer) if is_size else state.size
            if is_conflict and (not is_size or state.size > view.head.history.size):
                self._check_witness(peer, _block_hash_of(view))
            if not is_size:
                break
        raise WitnessAnswerError(f"{status}: {answer[:200].decode(errors='replace').strip()}")

    def _check_witness(self, peer: Peer, block_hash_at: BlockHashAt) -> None:
        """Compare the witness's last head of this ledger with the log."""
        url = f"{peer.url}/checkpoint"
        with self._http.stream("GET", url, params={"origin": self._origin}) as response:
            if response.status_code == httpx.codes.NOT_FOUND:
                return
            raw = _bounded(response)
            if response.status_code != httpx.codes.OK:
                raise WitnessAnswerError(f"{response.status_code} from {url}")
        try:
            note = parse_note(raw)
            verify_note(note, self._origin, self._key.public_key)
            height, block_hash = bound_header(parse_checkpoint(note.text))
        except NoteError as error:
            raise WitnessAnswerError(f"not a head of this ledger: {error}") from error
        if block_hash_at(height) != block_hash:
            raise RolledBackError(
                f"witness {peer.name} holds block {height} signed by this node's key, "
                "and the log does not"
            )

    def _post(self, peer: Peer, body: bytes) -> tuple[int, str, bytes]:
        url = f"{peer.url}/add-checkpoint"
        with self._http.stream("POST", url, content=body) as response:
            content_type = response.headers.get("content-type", "").partition(";")[0]
            return response.status_code, content_type, _bounded(response)


def _cosignatures(note: SignedNote, peers: tuple[Peer, ...]) -> bytes:
    """Return the note as proofs carry it: one line of each witness, by name; empty if none."""
    lines = []
    for peer in sorted(peers, key=lambda one: one.name):
        lines += [line for line in note.signatures if line.name == peer.name][-1:]
    return note_bytes(SignedNote(note.text, tuple(lines))) if lines else b""


def _request_body(old_size: int, view: ProvingView, note: SignedNote) -> bytes:
    try:
        proof = prove_extension(view, old_size)
    except ProofError:
        proof = ()  # The witness is ahead; its answer says so.
    lines = [f"old {old_size}", *(b64encode(digest).decode() for digest in proof), "", ""]
    return "\n".join(lines).encode() + note_bytes(note)


def _checked_lines(peer: Peer, text: str, answer: bytes) -> tuple[NoteSignature, ...]:
    """Return the witness's own lines of its answer, verified."""
    try:
        lines = parse_signature_lines(answer.decode())
        own = tuple(line for line in lines if line.name == peer.name)
        verify_cosignature(SignedNote(text, own), peer.name, peer.key)
    except (NoteError, UnicodeDecodeError) as error:
        raise WitnessAnswerError(f"no valid cosignature: {error}") from error
    return own


def _has_line(note: SignedNote, peer: Peer) -> bool:
    return any(line.name == peer.name for line in note.signatures)


def _block_hash_of(view: ProvingView) -> BlockHashAt:
    """Return what the view knows of the log: its blocks and its proving header."""

    def block_hash_at(height: int) -> bytes | None:
        if height == view.header.height:
            return header_hash(view.header)
        if not 0 < height < view.header.height:
            return None
        return header_hash(view.entry(height).header)

    return block_hash_at


def _parse_size(answer: bytes) -> int:
    try:
        return int(answer.decode("ascii"))
    except ValueError as error:
        raise WitnessAnswerError("the witness names no size") from error


def _bounded(response: httpx.Response) -> bytes:
    """Return a response's body, at most as long as a note."""
    parts = []
    size = 0
    for part in response.iter_bytes():
        size += len(part)
        if size > NOTE_SIZE_BYTES_MAX:
            raise WitnessAnswerError("the witness's answer is too long")
        parts.append(part)
    return b"".join(parts)


def _replace(path: Path, content: bytes) -> None:
    """Replace a file's content.

    Raises:
        StorageError: The disk refuses.
    """
    temporary = path.with_name(path.name + ".new")
    with named_disk_errors(path):
        temporary.write_bytes(content)
        temporary.replace(path)
