"""The protobuf encoder: the specification's own examples, and its bounds."""

import pytest

from cairn.primitives import protobuf as pb
from cairn.primitives.errors import NonCanonicalError


@pytest.mark.parametrize(
    ("value", "encoded"),
    [
        (0, "00"),
        (1, "01"),
        (127, "7f"),
        (128, "8001"),
        (150, "9601"),
        (300, "ac02"),
        (2**63 - 1, "ffffffffffffffff7f"),
        (2**64 - 1, "ffffffffffffffffff01"),
        (-1, "ffffffffffffffffff01"),
        (-2, "feffffffffffffffff01"),
        (-(2**63), "80808080808080808001"),
    ],
)
def test_varints(value: int, encoded: str) -> None:
    assert pb.varint(value).hex() == encoded


def test_fields_of_the_specifications_examples() -> None:
    assert pb.varint_field(1, 150).hex() == "089601"
    assert pb.string_field(2, "testing").hex() == "120774657374696e67"
    assert pb.message_field(3, pb.varint_field(1, 150)).hex() == "1a03089601"
    assert pb.sfixed64_field(2, 1).hex() == "110100000000000000"
    assert pb.sfixed64_field(2, -2).hex() == "11feffffffffffffff"
    assert pb.bytes_field(16, b"\1").hex() == "82010101"
    assert pb.delimited(b"\2\3").hex() == "020203"
    assert pb.string_field(1, "\u00e9").hex() == "0a02c3a9"


def test_defaults_are_left_out_but_messages_are_not() -> None:
    empty = [pb.varint_field(1, 0), pb.sfixed64_field(1, 0), pb.bytes_field(1, b"")]
    assert empty == [b"", b"", b""]
    assert pb.string_field(1, "") == b""
    assert pb.message_field(1, b"").hex() == "0a00"


def test_integers_of_more_than_64_bits_are_refused() -> None:
    for value in (2**64, -(2**63) - 1):
        with pytest.raises(NonCanonicalError):
            pb.varint(value)
    for value in (2**63, -(2**63) - 1):
        with pytest.raises(NonCanonicalError):
            pb.sfixed64_field(1, value)
