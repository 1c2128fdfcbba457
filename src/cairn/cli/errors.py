"""From errors to `error: …`, `hint: …` and the exit code; a user never sees a traceback.

0 done · 1 refused by the ledger or the verifier · 2 wrong use · 3 no node can be reached · 70 fault
"""

import errno
import sys

import typer

from cairn.evidence.errors import EvidenceError, TrustFileError
from cairn.learning.errors import ChangedDataError
from cairn.sdk.errors import (
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
INTERRUPTED = 130


def exit_code_of(error: Exception) -> int:
    """Return the exit code for an error.

    >>> exit_code_of(RejectedError("bank/insufficient_funds"))
    1
    >>> exit_code_of(UnavailableError("no node answers"))
    3
    """
    if isinstance(error, UnavailableError):
        return UNREACHABLE
    if isinstance(error, NodeFaultError | ProtocolError):
        return FAULT
    if isinstance(error, RejectedError | ChangedDataError):
        return REJECTED
    if isinstance(error, EvidenceError) and not isinstance(error, TrustFileError):
        return REJECTED
    return USAGE


def tell(message: str, hint: str = "") -> None:
    """Write an error and what to do about it to stderr."""
    sys.stderr.write(f"error: {message}\n")
    if hint:
        sys.stderr.write(f"\nhint: {hint}\n")
    sys.stderr.flush()


def tell_error(error: Exception) -> int:
    """Write an error that some layer declares to stderr, and return the exit code."""
    message = str(error) or (type(error).__doc__ or type(error).__name__).partition("\n")[0]
    if isinstance(error, EvidenceError):
        message = f"{message} ({error.code})"
    tell(message, str(getattr(error, "hint", "")))
    return exit_code_of(error)


def tell_usage(error: typer.TyperException) -> int:
    """Write what is wrong with a command line, and return the exit code.

    A group that was called without a command shows its help instead.
    """
    message = error.format_message() if hasattr(error, "format_message") else str(error)
    context = getattr(error, "ctx", None)
    if context is not None and message == context.get_help():
        sys.stderr.write(message + "\n")
        return USAGE
    path = "cairn" if context is None else context.command_path
    tell(message.rstrip("."), f"`{path} --help` shows how it is used")
    return USAGE


def tell_unexpected(error: Exception, variable: str) -> int:
    """Write an error that nobody expected to stderr, and return the exit code."""
    if isinstance(error, OSError) and error.errno in (errno.EACCES, errno.EROFS, errno.ENOSPC):
        where = f"{error.filename}: " if error.filename else ""
        tell(f"{where}{error.strerror}", "choose a place that you may write to, with space left")
        return FAULT
    tell(
        f"unexpected {type(error).__name__}: {error}",
        f"this is a bug in Cairn; run it again with {variable}=1 to see where",
    )
    return FAULT
