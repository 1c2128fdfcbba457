"""What a client program handles; every error says what happened, and its hint what to do."""


class CairnError(Exception):
    """Root of the client's errors; `hint` says what to do."""

    def __init__(self, message: str, hint: str = "") -> None:
        """Say what happened, and what the user can do about it."""
        super().__init__(message)
        self.hint = hint


class RejectedError(CairnError):
    """The ledger understood the request and refused it; `code` says why."""

    def __init__(self, code: str, message: str = "", hint: str = "") -> None:
        """Name the refusal by its code."""
        super().__init__(message or f"refused: {code}", hint)
        self.code = code


class UnavailableError(CairnError):
    """The node cannot be reached, is busy, or has stopped."""


class PendingError(UnavailableError):
    """The transaction was taken and is not final yet; ask for its outcome by its id later."""

    def __init__(self, transaction_id: bytes) -> None:
        """Name the transaction."""
        super().__init__(
            f"transaction {transaction_id.hex()} was taken and is not final yet",
            "it may still take effect: look for it with `cairn tx show ID` before sending it again",
        )
        self.transaction_id = transaction_id


class NodeFaultError(CairnError):
    """The node, or what lies on its disk, is damaged or broke an invariant; it has stopped."""


class ProtocolError(CairnError):
    """The node answered with something that does not verify, or does not parse."""


class KeyFileError(CairnError):
    """A key file is missing, malformed, or the passphrase is wrong."""


class UsageError(CairnError):
    """The request itself is not well formed."""


class NotFoundError(UsageError):
    """The ledger holds nothing of that name or id."""
