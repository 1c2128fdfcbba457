"""Why a bundle is refused: one class for each reason, named in the report and in the exit message."""

from typing import ClassVar


class EvidenceError(Exception):
    """Root of every refusal by the verifier; `code` is stable, the text says what was found."""

    code: ClassVar[str] = "evidence/refused"


class TrustFileError(EvidenceError):
    """The trust file is missing, malformed, or contradicts itself."""

    code = "evidence/trust_file"


class MalformedBundleError(EvidenceError):
    """The file is not a bundle of a known version, or is not in its canonical spelling."""

    code = "evidence/malformed_bundle"


class WrongChainError(EvidenceError):
    """The bundle speaks of another ledger than the trust file names."""

    code = "evidence/wrong_chain"


class HeaderNotCommittedError(EvidenceError):
    """The proving header is not signed by the validators that the trust file names."""

    code = "evidence/header_not_committed"


class AppHashError(EvidenceError):
    """State root, history size and history root do not open the header's application hash."""

    code = "evidence/app_hash"


class CheckpointConflictError(EvidenceError):
    """The history contradicts a checkpoint that the trust file holds: somebody rewrote the past."""

    code = "evidence/checkpoint_conflict"


class CheckpointUnprovenError(EvidenceError):
    """The trust file holds a checkpoint, and the bundle does not show that it extends it."""

    code = "evidence/checkpoint_unproven"


class NotWitnessedError(EvidenceError):
    """The trust file asks for witnesses' cosignatures that this head does not carry."""

    code = "evidence/not_witnessed"


class StateProofError(EvidenceError):
    """A state row, or its absence, does not follow from the state root."""

    code = "evidence/state_proof"


class SeriesProofError(EvidenceError):
    """Entries of a series do not follow from its head."""

    code = "evidence/series_proof"


class IncompleteRangeError(EvidenceError):
    """Something may be missing from a range: a gap, a missing neighbour, or an end in the future."""

    code = "evidence/incomplete_range"


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
    """The key that signed did not speak for the sender at that height: unknown, retired or future."""

    code = "evidence/key_not_valid"


class SurplusError(EvidenceError):
    """The bundle carries facts that its claim has no use for: somebody else's, or an old copy."""

    code = "evidence/surplus"


class ClaimError(EvidenceError):
    """The facts are proved, but they do not show what the bundle claims."""

    code = "evidence/claim"


class ReplayError(EvidenceError):
    """Recomputing a score from the committed model and inputs gave another result."""

    code = "evidence/replay"


class RowProofError(EvidenceError):
    """A disclosed row does not belong to the registered data set."""

    code = "evidence/row_proof"
