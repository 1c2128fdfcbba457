"""The witness: cosigns what extends the last head it saw, and nothing else."""

from base64 import b64encode
from pathlib import Path

import pytest

from cairn.node.witness import (
    ForkedError,
    HeaderConflictError,
    InconsistentError,
    LowerHeightError,
    MalformedRequestError,
    SizeConflictError,
    UnknownLogError,
    UntrustedSignatureError,
    Witness,
    WitnessDirectoryError,
    WitnessError,
)
from cairn.primitives.checkpoints import (
    ED25519,
    Checkpoint,
    SignedNote,
    checkpoint_text,
    header_line,
    note_bytes,
    parse_note,
    parse_signature_lines,
    sign_note,
    verifier_key,
    verify_cosignature,
    verify_note,
)
from cairn.primitives.hashes import Digest, sha256
from cairn.primitives.merkle import Frontier, consistency_proof
from cairn.primitives.signatures import SigningKey
from tests.engine.toy import ManualClock

ORIGIN = "bank-abcdef"
LOG = SigningKey.from_seed(b"l" * 32)
OTHER = SigningKey.from_seed(b"o" * 32)
WITNESS = SigningKey.from_seed(b"w" * 32)
NAME = "witness.example/w1"
LOG_KEY = verifier_key(ORIGIN, ED25519, LOG.public_key)


class Log:
    """An append-only log with a header for each size."""

    def __init__(self, salt: bytes = b"") -> None:
        self.salt = salt
        self.nodes: dict[tuple[int, int], Digest] = {}
        self.roots = [Frontier().root()]
        self.frontier = Frontier()

    def grow(self, size: int, salt: bytes | None = None) -> "Log":
        for index in range(self.frontier.size, size):
            leaf = sha256((self.salt if salt is None else salt) + bytes((index,)))
            self.frontier, nodes = self.frontier.append(leaf)
            for level, place, digest in nodes:
                self.nodes[level, place] = digest
            self.roots.append(self.frontier.root())
        return self

    def request(
        self,
        old: int,
        size: int,
        *,
        height: int | None = None,
        block: bytes | None = None,
        key: SigningKey = LOG,
        origin: str = ORIGIN,
    ) -> bytes:
        self.grow(size)
        at = size + 1 if height is None else height
        line = header_line(at, sha256(self.roots[size] + bytes((at,))) if block is None else block)
        text = checkpoint_text(Checkpoint(origin, size, self.roots[size], (line,)))
        note = SignedNote(text, (sign_note(text, origin, key),))
        proof = []
        if 0 < old <= size:
            proof = list(consistency_proof(old, size, lambda level, at: self.nodes[level, at]))
        lines = [f"old {old}", *(b64encode(digest).decode() for digest in proof), "", ""]
        return "\n".join(lines).encode() + note_bytes(note)


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock()


@pytest.fixture
def witness(tmp_path: Path, clock: ManualClock) -> Witness:  # type: ignore[misc]
    witness = Witness(tmp_path / "w", NAME, WITNESS, clock=clock)
    witness.watch(LOG_KEY)
    yield witness
    witness.close()


def cosigned_time(request: bytes, answer: bytes) -> int:
    text = parse_note(request.partition(b"\n\n")[2]).text
    return verify_cosignature(
        SignedNote(text, parse_signature_lines(answer.decode())), NAME, WITNESS.public_key
    )


def test_growing_heads_are_cosigned(witness: Witness, clock: ManualClock) -> None:
    log = Log()
    old = 0
    for size in (1, 2, 3, 7, 8, 20):
        clock.now += 60_000
        request = log.request(old, size)
        assert cosigned_time(request, witness.add_checkpoint(request)) == clock.now // 1000
        old = size
    latest = witness.latest(ORIGIN)
    assert latest is not None
    note = parse_note(latest)
    verify_note(note, ORIGIN, LOG.public_key)
    verify_cosignature(note, NAME, WITNESS.public_key)
    assert witness.evidence(ORIGIN) == []


def test_the_same_head_again_and_a_later_header_of_it_are_cosigned(witness: Witness) -> None:
    log = Log()
    witness.add_checkpoint(log.request(0, 5))
    witness.add_checkpoint(log.request(5, 5))
    witness.add_checkpoint(log.request(5, 5, height=99))


def test_another_size_than_the_last_is_answered_with_the_last(witness: Witness) -> None:
    log = Log()
    witness.add_checkpoint(log.request(0, 5))
    for old in (0, 4):
        with pytest.raises(SizeConflictError) as refused:
            witness.add_checkpoint(log.request(old, 9))
        assert refused.value.size == 5
    assert witness.evidence(ORIGIN) == []


def test_a_fork_is_refused_and_kept(witness: Witness) -> None:
    witness.add_checkpoint(Log().request(0, 5))
    forked = Log(b"fork")
    with pytest.raises(InconsistentError):
        witness.add_checkpoint(forked.request(5, 9))
    with pytest.raises(ForkedError):
        witness.add_checkpoint(forked.request(5, 5, height=50))
    with pytest.raises(HeaderConflictError):
        witness.add_checkpoint(Log().request(5, 5, block=b"x" * 32))
    assert len(witness.evidence(ORIGIN)) == 3
    latest = witness.latest(ORIGIN)
    assert latest is not None
    assert f"\n5\n{b64encode(Log().grow(5).roots[5]).decode()}\n".encode() in latest


def test_a_log_that_forked_behind_what_was_seen_is_refused(witness: Witness) -> None:
    """The log is rolled back to size 3, grows otherwise, and signs with its real key."""
    witness.add_checkpoint(Log().request(0, 5))
    rewritten = Log().grow(3).grow(9, b"rewritten")
    with pytest.raises(InconsistentError):
        witness.add_checkpoint(rewritten.request(5, 9))


def test_a_lower_height_is_refused_and_kept(witness: Witness) -> None:
    log = Log()
    witness.add_checkpoint(log.request(0, 5))
    with pytest.raises(LowerHeightError):
        witness.add_checkpoint(log.request(0, 3))
    assert len(witness.evidence(ORIGIN)) == 1


def test_a_foreign_key_an_unknown_log_and_a_reversed_size_are_refused(witness: Witness) -> None:
    log = Log()
    with pytest.raises(UntrustedSignatureError):
        witness.add_checkpoint(log.request(0, 5, key=OTHER))
    with pytest.raises(UnknownLogError):
        witness.add_checkpoint(log.request(0, 5, origin="bank-other"))
    with pytest.raises(MalformedRequestError, match="larger"):
        witness.add_checkpoint(log.request(6, 5))
    with pytest.raises(UnknownLogError):
        witness.latest("bank-other")
    assert witness.latest(ORIGIN) is None


def test_a_log_is_watched_under_one_key(witness: Witness) -> None:
    assert witness.watch(LOG_KEY) == ORIGIN
    with pytest.raises(WitnessDirectoryError):
        witness.watch(verifier_key(ORIGIN, ED25519, OTHER.public_key))


@pytest.mark.parametrize(
    "change",
    [
        lambda raw: raw.replace(b"old 0", b"old 00"),
        lambda raw: raw.replace(b"old 0", b"old  0"),
        lambda raw: raw.replace(b"old 0", b"new 0"),
        lambda raw: raw.replace(b"old 0", b"old -1"),
        lambda raw: raw.replace(b"old 0\n", b"old 0\nAAAA\n"),
        lambda raw: raw.replace(b"old 0\n", b"old 0\n!\n"),
        lambda raw: raw.replace(b"old 0\n", b"old 0\n" + b64encode(b"p" * 32) + b"\n") * 2,
        lambda raw: raw.replace(b"old 0\n", b"old 0" + (b"\n" + b64encode(b"p" * 32)) * 64 + b"\n"),
        lambda raw: raw.replace(b"header 6", b"neader 6"),
        lambda raw: raw[:-1],
        lambda raw: b"",
        lambda raw: b"old 0\n\n" + b"x" * 90_000,
    ],
)
def test_malformed_requests_are_refused(witness: Witness, change) -> None:  # type: ignore[no-untyped-def] # noqa: ANN001
    with pytest.raises(WitnessError):
        witness.add_checkpoint(change(Log().request(0, 5)))
    assert witness.latest(ORIGIN) is None


def test_what_was_cosigned_is_known_after_reopening(tmp_path: Path, clock: ManualClock) -> None:
    witness = Witness(tmp_path / "w", NAME, WITNESS, clock=clock)
    witness.watch(LOG_KEY)
    witness.add_checkpoint(Log().request(0, 5))
    with pytest.raises(WitnessDirectoryError, match="in use"):
        Witness(tmp_path / "w", NAME, WITNESS, clock=clock)
    witness.close()
    again = Witness(tmp_path / "w", NAME, WITNESS, clock=clock)
    with pytest.raises(SizeConflictError):
        again.add_checkpoint(Log().request(0, 4, height=100))
    again.add_checkpoint(Log().request(5, 6))
    again.close()


def test_it_answers_only_once_the_head_is_on_the_disk(
    witness: Witness, monkeypatch: pytest.MonkeyPatch
) -> None:
    synced: list[int] = []
    monkeypatch.setattr("os.fsync", lambda descriptor: synced.append(descriptor))
    witness.add_checkpoint(Log().request(0, 5))
    assert len(synced) == 2  # the file, then the directory that names it

    def full(_: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.fsync", full)
    with pytest.raises(OSError, match="No space"):
        witness.add_checkpoint(Log().request(5, 6))
    monkeypatch.undo()
    with pytest.raises(SizeConflictError) as refused:
        witness.add_checkpoint(Log().request(6, 7))
    assert refused.value.size == 5


def test_a_damaged_directory_is_named(tmp_path: Path, clock: ManualClock) -> None:
    witness = Witness(tmp_path / "w", NAME, WITNESS, clock=clock)
    witness.watch(LOG_KEY)
    witness.add_checkpoint(Log().request(0, 5))
    witness.close()
    (file,) = (tmp_path / "w").glob("logs/*/checkpoint")
    file.write_bytes(file.read_bytes().replace(b"\n5\n", b"\n6\n"))
    with pytest.raises(WitnessDirectoryError, match="damaged"):
        Witness(tmp_path / "w", NAME, WITNESS, clock=clock)
