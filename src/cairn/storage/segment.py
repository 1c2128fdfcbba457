"""The bytes of the block log's segments: heads, frames, and how damage is told from a torn end.

Pure: `block_log` and `fsck` read files and hand the bytes in.
"""

from array import array
from dataclasses import dataclass
from hashlib import sha256
from typing import NewType

Salt = NewType("Salt", bytes)
SALT_SIZE_BYTES = 16

_SEGMENT_MAGIC = b"CAIRNLOG"
_FRAME_MAGIC = b"CBLK"
_VERSION = b"\x01"
_PAYLOAD_CHECKSUM_SIZE_BYTES = 16
_HEAD_CHECKSUM_SIZE_BYTES = 8
SEGMENT_HEAD_SIZE_BYTES = 8 + 1 + 8 + 8 + SALT_SIZE_BYTES + _HEAD_CHECKSUM_SIZE_BYTES
FRAME_HEAD_SIZE_BYTES = 4 + 1 + 8 + 4 + _PAYLOAD_CHECKSUM_SIZE_BYTES + _HEAD_CHECKSUM_SIZE_BYTES
_FRAME_START = _FRAME_MAGIC + _VERSION
_NAME_DIGITS = 16
_NAME_PREFIX, _NAME_SUFFIX = "blocks-", ".log"


@dataclass(frozen=True, slots=True)
class FrameHead:
    """What the head of an entry says."""

    height: int
    size: int
    """Bytes of payload."""
    checksum: bytes


@dataclass(frozen=True, slots=True)
class TornTail:
    """The end of a segment that an interrupted append can have left."""

    offset: int
    size: int
    """Bytes from there to the end of the file."""
    height: int
    """Height that the entry would have had."""


@dataclass(frozen=True, slots=True)
class Damage:
    """A place where no interrupted append can have left what is there."""

    reason: str
    offset: int
    height: int


Tail = TornTail | Damage | None


@dataclass(frozen=True, slots=True)
class SegmentHead:
    """The first bytes of a segment."""

    first_height: int
    previous: int
    """First height of the segment before; 0 for the first one."""
    salt: Salt


def segment_name(first_height: int) -> str:
    """Return the file name of the segment that begins with the entry at `first_height`."""
    return f"{_NAME_PREFIX}{first_height:0{_NAME_DIGITS}d}{_NAME_SUFFIX}"


def segment_height(name: str) -> int | None:
    """Return the first height that a file name states, or None if it is no segment's name."""
    digits = name[len(_NAME_PREFIX) : -len(_NAME_SUFFIX)]
    if not digits.isdecimal() or not digits.isascii() or segment_name(int(digits)) != name:
        return None
    return int(digits)


def make_segment_head(head: SegmentHead) -> bytes:
    """Return the first bytes of a segment."""
    covered = _SEGMENT_MAGIC + _VERSION + head.first_height.to_bytes(8, "big")
    covered += head.previous.to_bytes(8, "big") + head.salt
    return covered + sha256(covered).digest()[:_HEAD_CHECKSUM_SIZE_BYTES]


def parse_segment_head(raw: bytes) -> SegmentHead | None:
    """Return what the head of a segment says, or None if it is not valid."""
    start = len(_SEGMENT_MAGIC) + len(_VERSION)
    head = SegmentHead(
        int.from_bytes(raw[start : start + 8], "big"),
        int.from_bytes(raw[start + 8 : start + 16], "big"),
        Salt(raw[start + 16 : start + 16 + SALT_SIZE_BYTES]),
    )
    return head if raw[:SEGMENT_HEAD_SIZE_BYTES] == make_segment_head(head) else None


def payload_checksum(salt: Salt, height: int, payload: bytes | memoryview) -> bytes:
    """Return the checksum of a payload, bound to its segment and height."""
    digest = sha256(salt + height.to_bytes(8, "big"))
    digest.update(payload)
    return digest.digest()[:_PAYLOAD_CHECKSUM_SIZE_BYTES]


def make_frame(salt: Salt, height: int, payload: bytes) -> bytes:
    """Return the bytes of an entry."""
    head = _FRAME_START + height.to_bytes(8, "big") + len(payload).to_bytes(4, "big")
    head += payload_checksum(salt, height, payload)
    return head + sha256(salt + head).digest()[:_HEAD_CHECKSUM_SIZE_BYTES] + payload


def parse_frame_head(salt: Salt, raw: bytes) -> FrameHead | None:
    """Return what the head of an entry says, or None if it is not one of this segment's."""
    covered = raw[: FRAME_HEAD_SIZE_BYTES - _HEAD_CHECKSUM_SIZE_BYTES]
    checksum = raw[len(covered) : FRAME_HEAD_SIZE_BYTES]
    if sha256(salt + covered).digest()[:_HEAD_CHECKSUM_SIZE_BYTES] != checksum:
        return None
    if not covered.startswith(_FRAME_START):
        return None
    height = int.from_bytes(covered[5:13], "big")
    return FrameHead(height, int.from_bytes(covered[13:17], "big"), covered[17:])


def scan_segment(data: bytes, salt: Salt, first_height: int) -> tuple["array[int]", Tail]:
    """Return where the valid entries of a segment begin, and what is wrong after them, if anything.

    Args:
        data: The whole segment.
        salt: From its head.
        first_height: Height that its first entry must have.
    """
    offsets = array("Q")
    view = memoryview(data)
    offset, height = SEGMENT_HEAD_SIZE_BYTES, first_height
    while offset < len(data):
        head = parse_frame_head(salt, data[offset : offset + FRAME_HEAD_SIZE_BYTES])
        if head is None:
            return offsets, _judge_bad_head(data, salt, offset, height)
        if head.height != height:
            return offsets, Damage(f"the entry says height {head.height}", offset, height)
        end = offset + FRAME_HEAD_SIZE_BYTES + head.size
        payload = view[offset + FRAME_HEAD_SIZE_BYTES : end]
        is_whole = len(payload) == head.size
        if not is_whole or payload_checksum(salt, height, payload) != head.checksum:
            if end < len(data):
                # Something was appended after it, so it was synced: no append was interrupted here.
                return offsets, Damage("the entry's checksum is wrong", offset, height)
            return offsets, TornTail(offset, len(data) - offset, height)
        offsets.append(offset)
        offset, height = end, height + 1
    return offsets, None


def _judge_bad_head(data: bytes, salt: Salt, offset: int, height: int) -> Tail:
    """Return damage if a later entry of the segment follows, else a torn tail."""
    place = data.find(_FRAME_START, offset + 1)
    while place >= 0:
        later = parse_frame_head(salt, data[place : place + FRAME_HEAD_SIZE_BYTES])
        if later is not None and later.height > height:
            return Damage("the entry's head is not valid", offset, height)
        place = data.find(_FRAME_START, place + 1)
    return TornTail(offset, len(data) - offset, height)
