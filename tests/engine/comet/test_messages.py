"""ABCI messages: CometBFT's own encodings are read and written byte for byte; noise is refused."""

import base64
import re
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cairn.engine.comet import codec
from cairn.engine.comet import messages as abci
from cairn.engine.comet.errors import WireError
from cairn.engine.comet.rpc import parse_time
from cairn.engine.comet.wire import BYTES, INT, UINT, plan_of, read_message, write_message
from cairn.primitives import protobuf as pb
from tests.vector_files import load

VECTORS = load("abci")["vectors"]
GO_ZERO_TIME = "0001-01-01T00:00:00Z"


def _snake(name: str) -> str:
    return re.sub(r"(?<!^)(?=[A-Z])", "_", name).lower()


def _value(kind: Any, raw: Any) -> Any:
    if kind is BYTES:
        return base64.b64decode(raw)
    if kind in (INT, UINT):
        return int(raw)
    if isinstance(kind, str):
        return raw
    if kind is abci.Time:
        time = parse_time(raw)
        return abci.Time(time.seconds, time.nanos)
    return _message(kind, raw)


def _message(message: Any, raw: dict[str, Any]) -> Any:
    """Return the message that protobuf's JSON form spells, without what our table lacks."""
    values: dict[str, Any] = {}
    for field in plan_of(message):
        if field.name not in raw:
            continue
        found = raw[field.name]
        if field.repeated:
            values[field.name] = tuple(_value(field.kind, one) for one in found)
        else:
            values[field.name] = _value(field.kind, found)
    return message(**values)


def _expected(vector: dict[str, Any]) -> Any:
    kinds = codec.REQUESTS if vector["kind"] == "request" else codec.RESPONSES
    prefix = "Request" if vector["kind"] == "request" else "Response"
    [(name, raw)] = vector["message"].items()
    [message] = [
        one for one in kinds.values() if _snake(one.__name__) == f"{prefix.lower()}_{name}"
    ]
    return _message(message, raw)


def test_every_message_has_a_vector() -> None:
    names = {(vector["kind"], next(iter(vector["message"]))) for vector in VECTORS}
    expected = {("request", _snake(one.__name__)[8:]) for one in codec.REQUESTS.values()} | {
        ("response", _snake(one.__name__)[9:]) for one in codec.RESPONSES.values()
    }
    assert names == expected


@pytest.mark.parametrize("vector", VECTORS, ids=lambda one: f"{one['kind']} {one['name']}")
def test_cometbfts_encodings_are_read_and_written(vector: dict[str, Any]) -> None:
    frame = bytes.fromhex(vector["frame_hex"])
    buffer = bytearray(frame)
    [body] = codec.split_frames(buffer)
    assert not buffer
    is_request = vector["kind"] == "request"
    decoded = (codec.decode_request if is_request else codec.decode_response)(body)
    assert decoded == _expected(vector)
    if vector["whole"]:
        encode = codec.encode_request if is_request else codec.encode_response
        assert codec.frame(encode(decoded)) == frame


def test_times_before_the_epoch_round_down() -> None:
    assert abci.Time(-1, 999_999_999).ms == -1
    assert abci.Time(1, 999_999).ms == 1_000


@pytest.mark.parametrize(
    ("raw", "reason"),
    [
        (b"", "0 messages"),
        (b"\x12\x00\x12\x00", "2 messages"),
        (b"\x22\x00", "no message has number 4"),
        (b"\x10\x05", "no message has number 2"),
        (b"\x12", "does not end"),
        (b"\x12\x05ab", "longer than"),
        (b"\x13", "wire type 3"),
        (b"\x00\x00", "field number 0"),
        (b"\x1a\x02\x0a\x07", "longer than"),
        (b"\x1a\x04\x0a\x02\xff\xfe", "not UTF-8"),
        (b"\x1a\x02\x0a\x00\x12\xff", "longer than|2 messages|does not end"),
        (b"\x1a\x02\x08\x01", "for bytes"),
        (b"\x1a\x02\x12\x00", "for a number"),
        (b"\x1a" + b"\xff" * 9 + b"\x02", "more than 64 bits"),
        (b"\x1a" + b"\x80" * 11, "does not end"),
    ],
)
def test_what_is_no_request_is_refused(raw: bytes, reason: str) -> None:
    with pytest.raises(WireError, match=reason):
        codec.decode_request(raw)


@settings(deadline=None, max_examples=300)
@given(st.binary(max_size=200))
def test_no_bytes_do_anything_but_decode_or_be_refused(raw: bytes) -> None:
    try:
        decoded = codec.decode_request(raw)
    except WireError:
        return
    assert type(decoded) in codec.REQUESTS.values()
    assert codec.decode_request(codec.encode_request(decoded)) == decoded


@settings(deadline=None, max_examples=300)
@given(st.sampled_from(VECTORS), st.data())
def test_a_damaged_message_is_refused_or_another_message(vector: Any, data: Any) -> None:
    frame = bytearray.fromhex(vector["frame_hex"])
    for _ in range(data.draw(st.integers(1, 4))):
        frame[data.draw(st.integers(0, len(frame) - 1))] = data.draw(st.integers(0, 255))
    decode = codec.decode_request if vector["kind"] == "request" else codec.decode_response
    try:
        for body in codec.split_frames(frame):
            decode(body)
    except WireError:
        return


@settings(deadline=None, max_examples=100)
@given(st.lists(st.binary(max_size=300), max_size=6), st.data())
def test_frames_are_found_however_the_bytes_arrive(bodies: list[bytes], data: Any) -> None:
    stream = b"".join(codec.frame(body) for body in bodies)
    buffer, found, at = bytearray(), [], 0
    while at < len(stream):
        step = data.draw(st.integers(1, 64))
        buffer += stream[at : at + step]
        at += step
        found += codec.split_frames(buffer)
    assert found == bodies
    assert not buffer


def test_an_endless_frame_is_refused() -> None:
    with pytest.raises(WireError, match="a message of"):
        codec.split_frames(bytearray(pb.varint(codec.MESSAGE_SIZE_BYTES_MAX + 1)))
    with pytest.raises(WireError, match="does not end"):
        codec.split_frames(bytearray(b"\x80" * 10))


def test_the_last_of_several_scalars_counts_and_unpacked_numbers_are_read() -> None:
    raw = b"\x08\x01\x08\x03" + b"\x10\x05\x12\x02\x06\x07"
    message = read_message(abci.ResponseApplySnapshotChunk, raw)
    assert message == abci.ResponseApplySnapshotChunk(3, (5, 6, 7))
    assert write_message(message) == b"\x08\x03\x12\x03\x05\x06\x07"
