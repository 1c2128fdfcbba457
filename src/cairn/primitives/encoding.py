"""Canonical bytes: msgpack of frozen, array-like structs, with exactly one spelling per value.

The rule: bytes are accepted only if encoding what they decode to gives the same bytes back. No
msgpack codec is canonical on input (an integer has several spellings), so every decoder here
encodes again and compares. Before any decode an iterative scan bounds nesting and counts, so that
no input makes the codec recurse deeply or allocate for elements that are not there.

Source: msgpack specification, https://github.com/msgpack/msgpack/blob/master/spec.md
"""

from typing import TYPE_CHECKING, Any, Generic, TypeVar, dataclass_transform

import msgspec

from cairn.primitives.errors import NonCanonicalError as NonCanonicalError

DEPTH_MAX = 16
"""Deepest nesting of arrays that canonical bytes may have."""

INT_MAX = 2**63 - 1
"""Largest integer that a record holds; the smallest is `-INT_MAX - 1`."""

_BIN8 = 0xC4
_ARRAY16 = 0xDC
_ARRAY32 = 0xDD
_UINT64 = 0xCF

# What follows each first byte: a fixed number of payload bytes, or the width of a length field.
_FIXED = {0xC0: 0, 0xC2: 0, 0xC3: 0}
_FIXED |= {0xCC: 1, 0xCD: 2, 0xCE: 4, 0xD0: 1, 0xD1: 2, 0xD2: 4, 0xD3: 8}
_FIXED |= dict.fromkeys((*range(0x80), *range(0xE0, 0x100)), 0)
_FIXED |= {0xA0 + length: length for length in range(32)}
_LENGTH_WIDTH = {0xC4: 1, 0xC5: 2, 0xC6: 4, 0xD9: 1, 0xDA: 2, 0xDB: 4}
# A table over all first bytes: payload bytes to skip, or -1 where the slow branch decides.
_SKIP = tuple(1 + _FIXED[byte] if byte in _FIXED else -1 for byte in range(256))


if TYPE_CHECKING:

    @dataclass_transform(frozen_default=True)
    class Record:
        """As below; type checkers do not inherit a struct's `frozen`, so it is said once here."""

        def __init_subclass__(cls, *, tag: str | None = None) -> None: ...

else:

    class Record(
        msgspec.Struct, frozen=True, array_like=True, forbid_unknown_fields=True, gc=False
    ):
        """Base of every value with canonical bytes.

        Fields hold int, bytes, str, bool, None, tuples of those and Records; nothing else.
        """


RecordT = TypeVar("RecordT")

_encoder = msgspec.msgpack.Encoder()
encode = _encoder.encode
"""Return the canonical bytes of a record (or of a tuple of encodable values)."""


def replace(record: RecordT, **changes: Any) -> RecordT:
    """Return a copy of a record with some fields changed."""
    return msgspec.structs.replace(record, **changes)  # type: ignore[type-var]


def scan(raw: bytes, *, depth_max: int = DEPTH_MAX, elements_max: int | None = None) -> None:
    """Check, without recursion and without decoding, that `raw` is one bounded msgpack value.

    Only the kinds that canonical records use are let through: nil, booleans, integers, strings,
    bytes and arrays. Maps, floats and extension types are refused here by their first byte.

    Raises:
        NonCanonicalError: A kind that records do not use, an integer above `INT_MAX`, nesting
            beyond `depth_max`, an array that claims more elements than there are bytes, arrays
            with more than `elements_max` elements together, a truncated value, or trailing bytes.
    """
    size = len(raw)
    elements_left = size if elements_max is None else elements_max
    position = 0
    left = 1  # elements still missing in the innermost open array
    outer: list[int] = []  # the same for the arrays around it
    skip = _SKIP
    while left:
        if position >= size:
            raise NonCanonicalError("the value is truncated")
        first = raw[position]
        step = skip[first]
        left -= 1
        if step > 0:
            position += step
        elif first == _BIN8:
            position += 2 + (raw[position + 1] if position + 1 < size else 0)
        elif first in _LENGTH_WIDTH:
            body = position + 1 + _LENGTH_WIDTH[first]
            position = body + int.from_bytes(raw[position + 1 : body], "big")
        elif first == _UINT64:
            if raw[position + 1 : position + 2] >= b"\x80":
                raise NonCanonicalError(f"an integer above {INT_MAX}")
            position += 9
        else:
            count, position = _array_header(raw, position, first)
            if count > size - position:
                raise NonCanonicalError(
                    f"an array claims {count} elements, more than there are bytes"
                )
            elements_left -= count
            if elements_left < 0:
                raise NonCanonicalError(f"arrays of more than {elements_max} elements")
            if len(outer) >= depth_max:
                raise NonCanonicalError(f"nested deeper than {depth_max}")
            outer.append(left)
            left = count
        while not left and outer:
            left = outer.pop()
    if position != size:
        raise NonCanonicalError(f"the value ends at byte {position} of {size}")


def _array_header(raw: bytes, position: int, first: int) -> tuple[int, int]:
    """Return the element count of the array at `position` and where its elements begin."""
    if first & 0xF0 == 0x90:
        return first & 0x0F, position + 1
    if first in (_ARRAY16, _ARRAY32):
        width = 2 if first == _ARRAY16 else 4
        body = position + 1 + width
        return int.from_bytes(raw[position + 1 : body], "big"), body
    raise NonCanonicalError(f"a value of kind 0x{first:02x} at byte {position}")


class Decoder(Generic[RecordT]):
    """Decodes one type, and only from its canonical spelling."""

    __slots__ = ("_decode", "_elements_max", "_name")

    def __init__(self, record: Any, *, elements_max: int | None = None) -> None:
        """Make a decoder for `record`: a Record class, or a union or tuple type of such.

        Args:
            record: What is decoded.
            elements_max: Most elements that all arrays of the bytes have together, where the bytes
                can be long and looking at each element is to cost little.
        """
        decoder = msgspec.msgpack.Decoder(record)
        self._decode = decoder.decode
        self._elements_max = elements_max
        self._name = getattr(record, "__name__", str(record))

    def decode(self, raw: bytes) -> RecordT:
        """Return the value that `raw` spells.

        Raises:
            NonCanonicalError: `raw` is not the canonical spelling of a value of this type.
        """
        scan(raw, elements_max=self._elements_max)
        try:
            value = self._decode(raw)
        except (msgspec.DecodeError, UnicodeDecodeError) as error:
            raise NonCanonicalError(f"not a {self._name}: {error}") from error
        if encode(value) != raw:
            raise NonCanonicalError(f"not the canonical spelling of this {self._name}")
        return value  # type: ignore[no-any-return]

    def decode_trusted(self, raw: bytes) -> RecordT:
        """Return the value of bytes that this process encoded itself, with no further check."""
        return self._decode(raw)  # type: ignore[no-any-return]
