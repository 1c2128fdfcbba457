"""Step 5 of verification: who besides the validators stands behind a head, and its name."""

from dataclasses import dataclass

from cairn.evidence.errors import NotWitnessedError
from cairn.evidence.facts import VerifiedHead
from cairn.evidence.proofs import HeadProof
from cairn.evidence.trust import Trust
from cairn.primitives.checkpoints import (
    NoteError,
    SignedNote,
    bound_header,
    checkpoint_text,
    note_bytes,
    parse_checkpoint,
    parse_note,
    verify_cosignature,
)

OPERATOR_SIGNED = "operator-signed"
WITNESSED = "witnessed"
QUORUM = "quorum"
QUORUM_EXPIRED = "quorum-expired"

NO_WITNESS = (
    "no witness cosigned this head: that the operator rewrote the past and signed it again "
    "cannot be excluded"
)


@dataclass(frozen=True, slots=True)
class Assurance:
    """The word for what a head rests on, and the sentence that a report prints."""

    word: str
    witnesses: tuple[str, ...]
    """Names of the trusted witnesses that cosigned."""
    sentence: str


def judge_assurance(proof: HeadProof, head: VerifiedHead, trust: Trust, *, at_ms: int) -> Assurance:
    """Return the assurance that holds for a head at `at_ms`.

    Raises:
        NotWitnessedError: The trust file asks for more cosignatures than there are valid ones.
    """
    witnesses = _witnesses(proof, head, trust)
    if len(witnesses) < trust.witness_threshold:
        raise NotWitnessedError(
            f"{len(witnesses)} of {trust.witness_threshold} cosignatures that the trust file asks "
            "for: this history may not be the one that the witnesses saw"
        )
    if len(trust.validators.validators) > 1:
        expired = head.time_ms + trust.trusting_period_ms < at_ms
        return Assurance(
            QUORUM_EXPIRED if expired else QUORUM,
            witnesses,
            f"{head.signed_power} of {head.total_power} voting power signed"
            + (f", cosigned by {', '.join(witnesses)}" if witnesses else "")
            + (", but the header is older than the trusting period" if expired else ""),
        )
    if witnesses:
        return Assurance(
            WITNESSED,
            witnesses,
            f"cosigned by {', '.join(witnesses)}: the operator has shown them no other history",
        )
    return Assurance(OPERATOR_SIGNED, (), NO_WITNESS)


def _witnesses(proof: HeadProof, head: VerifiedHead, trust: Trust) -> tuple[str, ...]:
    """Return the names of the trusted witnesses that cosigned this very head.

    The note is in its one spelling and holds one valid cosignature of each, sorted by name, and no
    other line: one that nobody can check would be a place to write anything.

    Raises:
        NotWitnessedError: It is not, or it is of another head.
    """
    if not proof.cosigned_checkpoint:
        return ()
    try:
        note = parse_note(proof.cosigned_checkpoint)
        checkpoint = parse_checkpoint(note.text)
        bound = bound_header(checkpoint)
        spelled = note_bytes(SignedNote(checkpoint_text(checkpoint), note.signatures))
    except NoteError as error:
        raise NotWitnessedError(f"the cosigned checkpoint is malformed: {error}") from error
    stated = (checkpoint.origin, checkpoint.size, checkpoint.root, *bound)
    shown = (
        trust.chain_id,
        head.history_size,
        head.history_root,
        head.height + 1,
        head.block_hash,
    )
    if stated != shown:
        raise NotWitnessedError("the cosigned checkpoint is of another head")
    names = [line.name for line in note.signatures]
    if spelled != proof.cosigned_checkpoint or names != sorted(dict.fromkeys(names)):
        raise NotWitnessedError("the cosigned checkpoint is not in its one spelling")
    keys = {witness.name: witness.key for witness in trust.witnesses}
    for name in names:
        _check_cosignature(note, name, keys.get(name))
    return tuple(names)


def _check_cosignature(note: SignedNote, name: str, key: bytes | None) -> None:
    """Check one line of a note.

    Raises:
        NotWitnessedError: It is not of a trusted witness, or it does not verify.
    """
    if key is None:
        raise NotWitnessedError(f"there is a line of {name}, whom the trust file does not name")
    try:
        verify_cosignature(note, name, key)
    except NoteError as error:
        raise NotWitnessedError(f"the cosignature of {name} is not valid: {error}") from error
