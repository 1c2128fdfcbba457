"""From errors to `error: …`, `hint: …` and the exit code; a user never sees a traceback.

0 done · 1 refused by the ledger or the verifier · 2 wrong use · 3 no node can be reached · 70 fault
"""

import sys

from cairn.evidence.errors import EvidenceError, TrustFileError
from cairn.sdk.errors import (
    CairnError,
    NodeFaultError,
    ProtocolError,
    RejectedError,
    UnavailableError,
)

DONE = 0
REJECTED = 1
USAGE = 2
UNREACHABLE = 3
FAULT = 70


def exit_code_of(error: Exception) -> int:
    """Return the exit code for an error.

    >>> exit_code_of(RejectedError("bank/insufficient_funds"))
    1
    """
    if isinstance(error, RejectedError):
        return REJECTED
    if isinstance(error, UnavailableError):
        return UNREACHABLE
    if isinstance(error, NodeFaultError | ProtocolError):
        return FAULT
    if isinstance(error, CairnError | TrustFileError):
        return USAGE
    if isinstance(error, EvidenceError):
        return REJECTED
    return FAULT


def tell(message: str, hint: str = "") -> None:
    """Write an error and what to do about it to stderr."""
    sys.stderr.write(f"error: {message}\n")
    if hint:
        sys.stderr.write(f"\nhint: {hint}\n")
    sys.stderr.flush()


def tell_error(error: Exception) -> int:
    """Write an error of any layer to stderr, and return the exit code."""
    message = str(error) or (type(error).__doc__ or type(error).__name__).partition("\n")[0]
    code = getattr(error, "code", "")
    if isinstance(error, EvidenceError):
        message = f"{message} ({code})"
    tell(message, str(getattr(error, "hint", "")))
    return exit_code_of(error)
