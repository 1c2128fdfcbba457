"""Why a bundle is refused: one class for each reason, named in the message by its code."""

from typing import ClassVar


class EvidenceError(Exception):
    """Root of every refusal by the verifier; `code` is stable, the text says what was found."""

    code: ClassVar[str] = "evidence/refused"
    hint: ClassVar[str] = "ask whoever handed you the file for a new one, and keep this one"
    """What whoever verifies can do about it."""


class TrustFileError(EvidenceError):
    """The trust file is missing, malformed, or contradicts itself."""

    code = "evidence/trust_file"
    hint = "get the trust file from the ledger's founders or your own records, not from the bundle"


class MalformedBundleError(EvidenceError):
    """The file is not a bundle of a known version, or is not in its canonical spelling."""

    code = "evidence/malformed_bundle"
    hint = "the file was damaged on its way, or is of another format: ask for it again"


class WrongChainError(EvidenceError):
    """The bundle speaks of another ledger than the trust file names."""

    code = "evidence/wrong_chain"
    hint = "check which ledger the file is about; each ledger has its own trust file"


class HeaderNotCommittedError(EvidenceError):
    """The proving header is not signed by the validators that the trust file names."""

    code = "evidence/header_not_committed"
    hint = "if the validators have changed, get their new keys from a source that you trust"


class AppHashError(EvidenceError):
    """State root, history size and history root do not open the header's application hash."""

    code = "evidence/app_hash"
    hint = "somebody edited the file after it was made: keep it, it shows the attempt"


class CheckpointConflictError(EvidenceError):
    """The history contradicts one that it is said to extend: somebody rewrote the past."""

    code = "evidence/checkpoint_conflict"
    hint = "keep file and trust file: both signed, they prove that the ledger was rewritten"


class CheckpointUnprovenError(EvidenceError):
    """The trust file holds a checkpoint, and the bundle does not show that it extends it."""

    code = "evidence/checkpoint_unproven"
    hint = "ask for a bundle that extends your checkpoint: tell its history size"


class NotWitnessedError(EvidenceError):
    """The head lacks cosignatures that the trust file asks for, or carries an invalid one."""

    code = "evidence/not_witnessed"
    hint = (
        "ask for a bundle with the cosignatures of your witnesses and no others; if there is none, "
        "the operator may have shown the witnesses another history"
    )


class StateProofError(EvidenceError):
    """A state row, or its absence, does not follow from the state root."""

    code = "evidence/state_proof"


class SeriesProofError(EvidenceError):
    """Entries of a series do not follow from its head."""

    code = "evidence/series_proof"


class IncompleteRangeError(EvidenceError):
    """Something may be missing: a gap, a missing neighbour, or an end in the future."""

    code = "evidence/incomplete_range"
    hint = "something may have been left out: ask for the whole range, up to before the header"


class HistoryProofError(EvidenceError):
    """A block does not follow from the history."""

    code = "evidence/history_proof"


class TransactionProofError(EvidenceError):
    """A transaction does not stand where the bundle says."""

    code = "evidence/transaction_proof"


class ReceiptProofError(EvidenceError):
    """A receipt does not stand where the bundle says, or belongs to another transaction."""

    code = "evidence/receipt_proof"


class SignatureError(EvidenceError):
    """A transaction's signature does not verify."""

    code = "evidence/signature"


class KeyNotValidError(EvidenceError):
    """The key that signed did not speak for the sender then: unknown, retired or future."""

    code = "evidence/key_not_valid"


class RowProofError(EvidenceError):
    """A disclosed row does not belong to the registered data set."""

    code = "evidence/row_proof"


class ClaimError(EvidenceError):
    """The facts are proved, but they do not show what the bundle claims."""

    code = "evidence/claim"


class ReplayError(EvidenceError):
    """Recomputing a score or rule from the committed bytes and inputs gave another result."""

    code = "evidence/replay"
    hint = "keep the file: with the trust file it shows that the ledger's nodes computed wrongly"


class SurplusError(EvidenceError):
    """The bundle carries facts that its claim has no use for: somebody else's, or an old copy."""

    code = "evidence/surplus"
