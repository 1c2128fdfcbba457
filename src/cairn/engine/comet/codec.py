"""Requests and responses as they go over the socket: one message inside another, and its length."""

from typing import Any

from cairn.engine.comet import messages as abci
from cairn.engine.comet.errors import WireError
from cairn.engine.comet.wire import (
    LENGTH_DELIMITED,
    VARINT_SIZE_BYTES_MAX,
    read_fields,
    read_message,
    read_varint,
    write_message,
)
from cairn.primitives import protobuf as pb

MESSAGE_SIZE_BYTES_MAX = 128 * 2**20
"""Largest frame: a block of CometBFT's own bound of 100 MiB, and room."""

REQUESTS: dict[int, type[Any]] = {
    1: abci.RequestEcho,
    2: abci.RequestFlush,
    3: abci.RequestInfo,
    5: abci.RequestInitChain,
    6: abci.RequestQuery,
    8: abci.RequestCheckTx,
    11: abci.RequestCommit,
    12: abci.RequestListSnapshots,
    13: abci.RequestOfferSnapshot,
    14: abci.RequestLoadSnapshotChunk,
    15: abci.RequestApplySnapshotChunk,
    16: abci.RequestPrepareProposal,
    17: abci.RequestProcessProposal,
    18: abci.RequestExtendVote,
    19: abci.RequestVerifyVoteExtension,
    20: abci.RequestFinalizeBlock,
    21: abci.RequestInsertTx,
    22: abci.RequestReapTxs,
}
"""What `Request` may hold, by field number."""

RESPONSES: dict[int, type[Any]] = {
    1: abci.ResponseException,
    2: abci.ResponseEcho,
    3: abci.ResponseFlush,
    4: abci.ResponseInfo,
    6: abci.ResponseInitChain,
    7: abci.ResponseQuery,
    9: abci.ResponseCheckTx,
    12: abci.ResponseCommit,
    13: abci.ResponseListSnapshots,
    14: abci.ResponseOfferSnapshot,
    15: abci.ResponseLoadSnapshotChunk,
    16: abci.ResponseApplySnapshotChunk,
    17: abci.ResponsePrepareProposal,
    18: abci.ResponseProcessProposal,
    19: abci.ResponseExtendVote,
    20: abci.ResponseVerifyVoteExtension,
    21: abci.ResponseFinalizeBlock,
    22: abci.ResponseInsertTx,
    23: abci.ResponseReapTxs,
}
"""What `Response` may hold, by field number."""

_REQUEST_NUMBERS = {message: number for number, message in REQUESTS.items()}
_RESPONSE_NUMBERS = {message: number for number, message in RESPONSES.items()}


def decode_request(raw: bytes) -> Any:
    """Return what a `Request` holds.

    Raises:
        WireError: The bytes are none, or hold what no request of this version holds.
    """
    return _decode_one_of(REQUESTS, raw)


def decode_response(raw: bytes) -> Any:
    """Return what a `Response` holds.

    Raises:
        WireError: The bytes are none, or hold what no response of this version holds.
    """
    return _decode_one_of(RESPONSES, raw)


def encode_request(message: Any) -> bytes:
    """Return the `Request` that holds a message."""
    return pb.message_field(_REQUEST_NUMBERS[type(message)], write_message(message))


def encode_response(message: Any) -> bytes:
    """Return the `Response` that holds a message."""
    return pb.message_field(_RESPONSE_NUMBERS[type(message)], write_message(message))


def _decode_one_of(kinds: dict[int, type[Any]], raw: bytes) -> Any:
    fields = read_fields(raw)
    if len(fields) != 1:
        raise WireError(f"{len(fields)} messages where one is expected")
    number, wire_type, body = fields[0]
    message = kinds.get(number)
    if message is None or wire_type != LENGTH_DELIMITED:
        raise WireError(f"no message has number {number}")
    return read_message(message, body)


# Frames


def frame(body: bytes) -> bytes:
    """Return a message preceded by its length, as it goes over the socket."""
    return pb.delimited(body)


def split_frames(buffer: bytearray) -> list[bytes]:
    """Remove and return the messages that a buffer holds whole.

    Raises:
        WireError: A length is malformed or larger than any message.
    """
    frames: list[bytes] = []
    at = 0
    while at < len(buffer):
        head = bytes(buffer[at : at + VARINT_SIZE_BYTES_MAX])
        if len(head) < VARINT_SIZE_BYTES_MAX and all(byte >= 0x80 for byte in head):
            break  # The length itself has not arrived whole.
        size, used = read_varint(head, 0)
        if size > MESSAGE_SIZE_BYTES_MAX:
            raise WireError(f"a message of {size} bytes")
        start = at + used
        if len(buffer) - start < size:
            break
        frames.append(bytes(buffer[start : start + size]))
        at = start + size
    del buffer[:at]
    return frames
