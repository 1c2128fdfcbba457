"""Ids and names."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cairn.primitives.errors import InvalidNameError
from cairn.primitives.hashes import tagged_hash
from cairn.primitives.ids import ID_SIZE_BYTES, check_name, derive_id, is_name, short

ALPHABET = "abcdefghijklmnopqrstuvwxyz0123456789._-"


def test_an_id_is_the_beginning_of_a_tagged_hash() -> None:
    identifier = derive_id(b"cairn/test", b"a", b"b")
    assert len(identifier) == ID_SIZE_BYTES == 20
    assert identifier == tagged_hash(b"cairn/test", b"a", b"b")[:20]
    assert identifier != derive_id(b"cairn/test", b"ab")
    assert identifier != derive_id(b"cairn/tesu", b"a", b"b")


@pytest.mark.parametrize("name", ["a", "0", "eur", "eur.cash", "fraud-score_v2", "a" * 64, "9-"])
def test_names(name: str) -> None:
    assert is_name(name)
    assert check_name(name) == name


@pytest.mark.parametrize(
    "text",
    [
        "", "A", "eUr", ".a", "_a", "-a", "a" * 65, "a b", "a/b", "a\n", "a\0", "\na",
        "café", "\u0430", "\uff41", "\u0661", "a\u200b", "\u017f", "\u212a", "²",
    ],
)  # fmt: skip
def test_other_texts_are_no_names(text: str) -> None:
    assert not is_name(text)
    with pytest.raises(InvalidNameError):
        check_name(text)


@settings(max_examples=300, deadline=None)
@given(st.text(max_size=70))
def test_a_name_is_what_its_definition_says(text: str) -> None:
    expected = (
        1 <= len(text) <= 64
        and all(character in ALPHABET for character in text)
        and text[0] not in "._-"
    )
    assert is_name(text) is expected


def test_short_is_for_people() -> None:
    assert short(bytes(range(20))) == "00010203"
