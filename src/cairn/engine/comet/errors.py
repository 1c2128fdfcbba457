"""Errors of the replicated engine."""

from cairn.engine.errors import EngineRequestError
from cairn.ledger.errors import Fault
from cairn.primitives.errors import PrimitiveError


class WireError(PrimitiveError):
    """Bytes are not the protobuf message that was expected."""


class HandshakeFault(Fault):
    """CometBFT's genesis, or its record of blocks, is not this ledger's."""


class ProcessFault(Fault):
    """CometBFT ended again and again, so the engine gave up starting it."""


class BinaryMissingError(EngineRequestError):
    """There is no CometBFT of the pinned version."""

    code = "engine/binary_missing"
    hint = "run `make engine` (needs Go), or name the binary in the settings"


class SocketPathError(EngineRequestError):
    """A directory's name is too long for the Unix sockets inside it."""

    code = "engine/socket_path"
    hint = "use a directory with a shorter path"


class UnreachableError(EngineRequestError):
    """CometBFT does not answer, or not with what was asked for."""

    code = "engine/unreachable"
    hint = "wait until the node has started; its log says why if it does not"
