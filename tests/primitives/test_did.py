"""did:key: the published vectors, and that a key has one spelling."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cairn.primitives.did import did_key, parse_did_key
from cairn.primitives.errors import InvalidKeyError
from cairn.primitives.signatures import KEY_PREFIX
from tests.vector_files import load

VECTORS = load("did_keys")
ALPHABET = "123456789ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz"
GOOD = VECTORS["valid"][0]["did"]


def base58(raw: bytes) -> str:
    """Return base58btc of `raw`, leading zero bytes as ones."""
    number = int.from_bytes(raw, "big")
    text = ""
    while number:
        number, digit = divmod(number, 58)
        text = ALPHABET[digit] + text
    return "1" * (len(raw) - len(raw.lstrip(b"\0"))) + text


@pytest.mark.parametrize("vector", VECTORS["valid"], ids=lambda vector: vector["did"][-6:])
def test_published_keys_parse_and_print(vector: dict[str, str]) -> None:
    public_key = KEY_PREFIX + bytes.fromhex(vector["public_key"])
    assert parse_did_key(vector["did"]) == public_key
    assert did_key(public_key) == vector["did"]
    assert base58(public_key[2:]) == vector["base58"]


@pytest.mark.parametrize("vector", VECTORS["invalid"], ids=lambda vector: vector["reason"])
def test_other_texts_are_refused(vector: dict[str, str]) -> None:
    with pytest.raises(InvalidKeyError):
        parse_did_key(vector["did"])


@settings(max_examples=200, deadline=None)
@given(st.binary(min_size=32, max_size=32))
def test_every_key_has_a_text_of_one_length(raw: bytes) -> None:
    text = did_key(KEY_PREFIX + raw)
    assert len(text) == len("did:key:z") + 47
    assert text == "did:key:z" + base58(KEY_PREFIX + raw)
    assert parse_did_key(text) == KEY_PREFIX + raw


@pytest.mark.parametrize("edge", [bytes(32), b"\xff" * 32])
def test_the_edges_of_the_range(edge: bytes) -> None:
    assert parse_did_key(did_key(KEY_PREFIX + edge)) == KEY_PREFIX + edge


@settings(max_examples=200, deadline=None)
@given(st.integers(0, len(GOOD) - 1), st.characters(max_codepoint=0x2FF))
def test_a_changed_text_is_another_key_or_none(position: int, character: str) -> None:
    text = GOOD[:position] + character + GOOD[position + 1 :]
    try:
        key = parse_did_key(text)
    except InvalidKeyError:
        assert text != GOOD
    else:
        assert did_key(key) == text


@settings(max_examples=100, deadline=None)
@given(st.text(max_size=80))
def test_no_text_leaks_another_error(text: str) -> None:
    for candidate in (text, "did:key:z" + text):
        with pytest.raises(InvalidKeyError):
            parse_did_key(candidate)


@pytest.mark.parametrize("size", [0, 2, 33, 35])
def test_bytes_of_another_length_have_no_text(size: int) -> None:
    with pytest.raises(InvalidKeyError):
        did_key((KEY_PREFIX + bytes(40))[:size])


def test_bytes_of_another_codec_have_no_text() -> None:
    with pytest.raises(InvalidKeyError):
        did_key(b"\xec\x01" + bytes(32))
