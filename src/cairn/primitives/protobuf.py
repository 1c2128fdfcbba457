"""The deterministic part of protobuf that headers and votes need: encoding of a few field kinds.

The rule: fields are written in ascending order by the caller, a scalar that is zero or empty is
left out, an embedded message is written even when it is empty, and an absent message is not
written by the caller at all.

Source: https://protobuf.dev/programming-guides/encoding/
"""

from cairn.primitives.errors import NonCanonicalError

_VARINT, _FIXED64, _LENGTH_DELIMITED = 0, 1, 2


def varint(value: int) -> bytes:
    """Return the varint of an int64 or uint64; a negative one is written as its two's complement.

    Raises:
        NonCanonicalError: The value does not fit into 64 bits.
    """
    if not -(2**63) <= value < 2**64:
        raise NonCanonicalError("an integer of more than 64 bits")
    value &= 2**64 - 1
    encoded = bytearray()
    while value > 0x7F:
        encoded.append(value & 0x7F | 0x80)
        value >>= 7
    encoded.append(value)
    return bytes(encoded)


def varint_field(number: int, value: int) -> bytes:
    """Return the field `number` as a varint, or nothing for 0."""
    return varint(number << 3 | _VARINT) + varint(value) if value else b""


def sfixed64_field(number: int, value: int) -> bytes:
    """Return the field `number` as a little-endian int64, or nothing for 0.

    Raises:
        NonCanonicalError: The value does not fit into an int64.
    """
    if not -(2**63) <= value < 2**63:
        raise NonCanonicalError("an integer of more than 64 bits")
    key = varint(number << 3 | _FIXED64)
    return key + value.to_bytes(8, "little", signed=True) if value else b""


def bytes_field(number: int, value: bytes) -> bytes:
    """Return the field `number` holding `value`, or nothing if it is empty."""
    return message_field(number, value) if value else b""


def string_field(number: int, value: str) -> bytes:
    """Return the field `number` holding `value` in UTF-8, or nothing if it is empty."""
    return bytes_field(number, value.encode())


def message_field(number: int, body: bytes) -> bytes:
    """Return the field `number` holding an embedded message, also if its body is empty."""
    return varint(number << 3 | _LENGTH_DELIMITED) + delimited(body)


def delimited(body: bytes) -> bytes:
    """Return `body` preceded by its length."""
    return varint(len(body)) + body
