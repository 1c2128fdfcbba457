"""Canonical bytes: every value comes back, and nothing but its one spelling is accepted."""

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cairn.primitives.encoding import DEPTH_MAX, INT_MAX, Decoder, Record, encode, scan
from cairn.primitives.errors import NonCanonicalError
from cairn.primitives.merkle import Frontier


class Inner(Record):
    """A record inside another."""

    number: int
    flag: bool


class Outer(Record):
    """A record with every kind of field."""

    count: int
    data: bytes
    text: str
    choice: int | None
    inner: Inner
    numbers: tuple[int, ...]
    inners: tuple[Inner, ...]
    pair: tuple[str, bytes]


class Bounded(Record):
    """A record whose numbers are as wide as records allow."""

    number: int


DECODER: Decoder[Outer] = Decoder(Outer)
INTEGERS = st.one_of(
    st.integers(-INT_MAX - 1, INT_MAX),
    st.sampled_from([0, 127, 128, 255, 256, 65535, 65536, 2**31, 2**32 - 1, 2**32, INT_MAX]),
    st.sampled_from([-1, -32, -33, -128, -129, -32768, -32769, -(2**31), -INT_MAX - 1]),
)
INNERS = st.builds(Inner, number=INTEGERS, flag=st.booleans())
OUTERS = st.builds(
    Outer,
    count=INTEGERS,
    data=st.binary(max_size=300),
    text=st.text(max_size=80),
    choice=st.none() | INTEGERS,
    inner=INNERS,
    numbers=st.lists(INTEGERS, max_size=20).map(tuple),
    inners=st.lists(INNERS, max_size=3).map(tuple),
    pair=st.tuples(st.text(max_size=3), st.binary(max_size=3)),
)
SAMPLE = Outer(7, b"\x01", "a", None, Inner(1, True), (1, 2), (Inner(2, False),), ("p", b"q"))


@settings(max_examples=300, deadline=None)
@given(OUTERS)
def test_every_value_comes_back(value: Outer) -> None:
    raw = encode(value)
    scan(raw)
    assert DECODER.decode(raw) == value
    assert DECODER.decode_trusted(raw) == value
    assert encode(DECODER.decode(raw)) == raw


@settings(max_examples=500, deadline=None)
@given(OUTERS, st.data())
def test_changed_bytes_are_another_value_or_refused(value: Outer, data: st.DataObject) -> None:
    raw = bytearray(encode(value))
    position = data.draw(st.integers(0, len(raw) - 1))
    raw[position] ^= data.draw(st.integers(1, 255))
    changed = bytes(raw)
    try:
        other = DECODER.decode(changed)
    except NonCanonicalError:
        return
    assert other != value
    assert encode(other) == changed


@settings(max_examples=300, deadline=None)
@given(st.binary(max_size=60))
def test_no_bytes_leak_another_error(raw: bytes) -> None:
    for candidate in (raw, encode(SAMPLE)[:20] + raw):
        try:
            value = DECODER.decode(candidate)
        except NonCanonicalError:
            continue
        assert encode(value) == candidate


@settings(max_examples=100, deadline=None)
@given(OUTERS, st.data())
def test_a_beginning_and_a_longer_whole_are_refused(value: Outer, data: st.DataObject) -> None:
    raw = encode(value)
    cut = data.draw(st.integers(0, len(raw) - 1))
    with pytest.raises(NonCanonicalError):
        DECODER.decode(raw[:cut])
    with pytest.raises(NonCanonicalError):
        DECODER.decode(raw + data.draw(st.binary(min_size=1, max_size=5)))


# Other spellings of 1, of 200 and of -1, each longer than it need be.
LONG_INTEGERS = [
    b"\xcc\x01", b"\xcd\x00\x01", b"\xce\x00\x00\x00\x01", b"\xcf" + bytes(7) + b"\x01",
    b"\xd0\x01", b"\xd1\x00\x01", b"\xd2\x00\x00\x00\x01", b"\xd3" + bytes(7) + b"\x01",
    b"\xcd\x00\xc8", b"\xd1\x00\xc8", b"\xd0\xff", b"\xd1\xff\xff", b"\xd3" + b"\xff" * 8,
]  # fmt: skip


@pytest.mark.parametrize("spelling", LONG_INTEGERS, ids=lambda raw: raw.hex())
def test_an_integer_has_one_spelling(spelling: bytes) -> None:
    decoder: Decoder[Bounded] = Decoder(Bounded)
    with pytest.raises(NonCanonicalError):
        decoder.decode(b"\x91" + spelling)


def test_an_integer_fits_in_a_signed_64_bit_integer() -> None:
    decoder: Decoder[Bounded] = Decoder(Bounded)
    for above in (INT_MAX + 1, 2**64 - 1):
        with pytest.raises(NonCanonicalError, match="above"):
            decoder.decode(b"\x91\xcf" + above.to_bytes(8, "big"))
    assert decoder.decode(b"\x91\xcf" + INT_MAX.to_bytes(8, "big")) == Bounded(INT_MAX)
    assert decoder.decode(b"\x91\xd3" + b"\x80" + bytes(7)) == Bounded(-INT_MAX - 1)


class Text(Record):
    """A record with text."""

    text: str


class Data(Record):
    """A record with bytes."""

    data: bytes


class Numbers(Record):
    """A record with many numbers."""

    numbers: tuple[int, ...]


@pytest.mark.parametrize(
    ("record", "raw", "why"),
    [
        (Text, b"\x91\xd9\x01a", "str8 where fixstr is enough"),
        (Text, b"\x91\xda\x00\x01a", "str16 where fixstr is enough"),
        (Text, b"\x91\xdb\x00\x00\x00\x01a", "str32 where fixstr is enough"),
        (Text, b"\x91\xda\x00\x28" + b"a" * 40, "str16 where str8 is enough"),
        (Text, b"\x91\xc4\x01a", "bytes where text is meant"),
        (Text, b"\x91\xa1\xff", "text that is not UTF-8"),
        (Text, b"\x91\xa2\xc0\x80", "an overlong encoding of a zero byte"),
        (Text, b"\x91\xa3\xed\xa0\x80", "a lone surrogate"),
        (Text, b"\x91\xc0", "nil where text is meant"),
        (Data, b"\x91\xa1a", "text where bytes are meant"),
        (Data, b"\x91\xa4YQ==", "base64 text where bytes are meant"),
        (Data, b"\x91\xc5\x00\x01a", "bin16 where bin8 is enough"),
        (Data, b"\x91\xc6\x00\x00\x00\x01a", "bin32 where bin8 is enough"),
        (Data, b"\x91\xd4\x01a", "an extension type"),
        (Data, b"\x91\xc7\x01\x01a", "an extension type with a length"),
        (Numbers, b"\xdc\x00\x01\x91\x01", "array16 where fixarray is enough"),
        (Numbers, b"\xdd\x00\x00\x00\x01\x91\x01", "array32 where fixarray is enough"),
        (Numbers, b"\x91\xdd\x7f\xff\xff\xff\x01", "an array that claims two thousand million"),
        (Numbers, b"\x91\xdc\xff\xff\x01", "an array that claims more than there is"),
        (Numbers, b"\x91\x92\x01", "an array that ends early"),
        (Numbers, b"\x92\x91\x01\xc0", "a field too many"),
        (Numbers, b"\x90", "a field too few"),
        (Numbers, b"\x91\x80", "a map where an array is meant"),
        (Numbers, b"\x81\xa7numbers\x90", "the record as a map"),
        (Numbers, b"\x91\x91\xc3", "a boolean where an integer is meant"),
        (Numbers, b"\x91\x91\xca\x3f\x80\x00\x00", "a float where an integer is meant"),
        (Numbers, b"\x91\x91\xcb\x3f\xf0" + bytes(6), "a double where an integer is meant"),
        (Numbers, b"\x91\x91\xa11", "text where an integer is meant"),
        (Numbers, b"\x91\xc1", "the byte that msgpack never uses"),
        (Numbers, b"\x91\x90\x00", "trailing bytes"),
        (Numbers, b"", "nothing"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_other_spellings_are_refused(record: type[Record], raw: bytes, why: str) -> None:
    decoder: Decoder[Record] = Decoder(record)
    with pytest.raises(NonCanonicalError):
        decoder.decode(raw)


def test_the_spellings_above_are_near_misses() -> None:
    """The canonical neighbours of what was refused are accepted."""
    assert Decoder(Text).decode(b"\x91\xa1a") == Text("a")
    assert Decoder(Text).decode(b"\x91\xd9\x28" + b"a" * 40) == Text("a" * 40)
    assert Decoder(Data).decode(b"\x91\xc4\x01a") == Data(b"a")
    assert Decoder(Numbers).decode(b"\x91\x91\x01") == Numbers((1,))
    assert Decoder(Bounded).decode(b"\x91\xcc\xc8") == Bounded(200)
    assert Decoder(Bounded).decode(b"\x91\xff") == Bounded(-1)


@pytest.mark.parametrize("header", [b"\x91", b"\xdc\x00\x01", b"\xdd\x00\x00\x00\x01"])
@pytest.mark.parametrize("depth", [DEPTH_MAX + 1, 1_000, 200_000])
def test_deep_nesting_is_refused_before_any_recursion(header: bytes, depth: int) -> None:
    raw = header * depth + b"\x00"
    with pytest.raises(NonCanonicalError, match="nested deeper"):
        scan(raw)
    with pytest.raises(NonCanonicalError, match="nested deeper"):
        DECODER.decode(raw)


def test_nesting_up_to_the_limit_passes_the_scan() -> None:
    scan(b"\x91" * DEPTH_MAX + b"\x00")
    scan(b"\x91" * 3 + b"\x00", depth_max=3)
    with pytest.raises(NonCanonicalError):
        scan(b"\x91" * 4 + b"\x00", depth_max=3)


def test_many_full_arrays_do_not_count_as_nesting() -> None:
    scan(b"\xdc\x03\xe8" + b"\x91\x00" * 1_000)


@settings(max_examples=300, deadline=None)
@given(st.binary(max_size=40))
def test_the_scan_agrees_with_the_codec_on_where_a_value_ends(raw: bytes) -> None:
    try:
        scan(raw)
    except NonCanonicalError:
        return
    try:
        value = msgspec.msgpack.decode(raw)
    except UnicodeDecodeError:
        return  # what text holds is the decoder's business
    assert isinstance(value, int | bytes | str | bool | list | None)


def test_a_decoder_takes_tuples_of_records() -> None:
    decoder: Decoder[tuple[Inner, ...]] = Decoder(tuple[Inner, ...])
    assert decoder.decode(encode((Inner(1, True),))) == (Inner(1, True),)
    with pytest.raises(NonCanonicalError, match="tuple"):
        decoder.decode(encode((Data(b""),)))


def test_records_are_values() -> None:
    assert Inner(1, True) == Inner(1, True)
    assert hash(Inner(1, True)) == hash(Inner(1, True))
    with pytest.raises(AttributeError):
        Inner(1, True).number = 2  # type: ignore[misc]


def test_a_decoder_can_bound_the_elements_of_all_arrays_together() -> None:
    decoder: Decoder[Frontier] = Decoder(Frontier, elements_max=4)
    assert decoder.decode(encode(Frontier(3, (b"a", b"b")))) == Frontier(3, (b"a", b"b"))
    with pytest.raises(NonCanonicalError, match="more than 4 elements"):
        decoder.decode(encode(Frontier(7, (b"a", b"b", b"c"))))
    # Counted when an array begins, before what it claims is looked at.
    with pytest.raises(NonCanonicalError, match="more than 4 elements"):
        decoder.decode(b"\x92\x01\x99" + b"\xc1" * 9)
