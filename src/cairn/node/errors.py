"""Errors of the node: refusals of requests, each with a code, and faults that stop it."""

from typing import ClassVar

from cairn.ledger.errors import Fault


class NodeRequestError(Exception):
    """Root of what a caller can mend or try again; `status` is the HTTP status."""

    code: ClassVar[str]
    status: ClassVar[int] = 400
    hint: ClassVar[str] = ""


class BadRequestError(NodeRequestError):
    """The request does not parse, or a field of it is out of form."""

    code = "node/bad_request"
    hint = "see the reference of this route"


class TooLargeError(NodeRequestError):
    """The body of the request is larger than this route takes."""

    code = "node/too_large"
    status = 413
    hint = "send it in parts"


class BadRangeError(NodeRequestError):
    """The range is empty, reversed, outside of what there is, or too long."""

    code = "node/bad_range"
    hint = "ask for a range within the series, at most the stated number of entries at once"


class NotFoundError(NodeRequestError):
    """There is no such transaction, block or receipt."""

    code = "node/not_found"
    status = 404
    hint = "check the id; a refused transaction is in no block"


class NotProvableYetError(NodeRequestError):
    """No header commits to it yet; one comes within an interval, or when it is asked for."""

    code = "node/not_provable_yet"
    status = 409
    hint = "ask again in a moment"


class ConfigurationError(NodeRequestError):
    """A setting is unknown, out of bounds or malformed."""

    code = "node/configuration"
    hint = "`cairn config show` prints every setting with its bounds"


class DirectoryError(NodeRequestError):
    """The directory holds no ledger, or already holds one."""

    code = "node/directory"
    hint = "`cairn init` makes a ledger in an empty directory"


class CharterError(NodeRequestError):
    """The charter file is malformed, unsigned or not acceptable to the modules."""

    code = "node/charter"
    hint = "found the ledger anew, with every founder's signature"


class RolledBackError(Fault):
    """A witness holds a head of this ledger that its own log does not: the log was rolled back."""


class WrongDirectoryError(Fault):
    """The store is of another ledger than the charter in the directory."""

    hint = (
        "put back the charter that belongs to this log; if only the checkpoint is foreign, "
        "`cairn debug rebuild` makes it anew"
    )


class WrongHostError(NodeRequestError):
    """The request was addressed to a name that is not this node's."""

    code = "node/wrong_host"
    status = 421
    hint = "address the node as localhost, by IP address, or by the name in server.host"
