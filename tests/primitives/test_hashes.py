"""Hashes: one purpose never collides with another."""

import hashlib

from hypothesis import assume, given, settings
from hypothesis import strategies as st

from cairn.primitives.hashes import DIGEST_SIZE_BYTES, sha256, tagged_hash

PARTS = st.lists(st.binary(max_size=20), max_size=4)
TAGS = st.binary(min_size=1, max_size=20)


def test_the_preimage_is_as_specified() -> None:
    expected = hashlib.sha256(
        b"\x08cairn/tx" + (3).to_bytes(8, "big") + b"abc" + (0).to_bytes(8, "big")
    ).digest()
    assert tagged_hash(b"cairn/tx", b"abc", b"") == expected
    assert len(expected) == DIGEST_SIZE_BYTES


def test_plain_sha256_is_fips_180() -> None:
    assert sha256(b"abc").hex() == (
        "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
    )


@settings(max_examples=300, deadline=None)
@given(TAGS, PARTS, TAGS, PARTS)
def test_different_inputs_have_different_hashes(
    tag: bytes, parts: list[bytes], other_tag: bytes, other_parts: list[bytes]
) -> None:
    assume((tag, parts) != (other_tag, other_parts))
    assert tagged_hash(tag, *parts) != tagged_hash(other_tag, *other_parts)


@settings(max_examples=100, deadline=None)
@given(TAGS, st.binary(max_size=30), st.integers(0, 30))
def test_where_a_part_ends_counts(tag: bytes, data: bytes, cut: int) -> None:
    assume(cut <= len(data))
    whole = tagged_hash(tag, data)
    assert tagged_hash(tag, data[:cut], data[cut:]) != whole
    assert tagged_hash(tag, data, b"") != whole
    assert tagged_hash(tag + b"\0", data) != whole
    assert not data or tagged_hash(tag + data[:1], data[1:]) != whole


def test_a_tag_is_at_most_255_bytes() -> None:
    assert len(tagged_hash(b"t" * 255)) == DIGEST_SIZE_BYTES
    assert tagged_hash(b"t" * 255) != tagged_hash(b"t" * 254, b"t")
