"""What a client program handles; exported for it from `cairn.sdk.client`."""


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


class ProtocolError(CairnError):
    """The node answered with something that does not verify, or does not parse."""


class KeyFileError(CairnError):
    """A key file is missing, malformed, or the passphrase is wrong."""


class UsageError(CairnError):
    """The request itself is not well formed."""
