"""Protobuf messages declared as dataclasses: one table each, read and written by the same rules.

A field is declared with its number and kind. Writing follows proto3 as CometBFT's generated code
does: fields ascend, a scalar of zero is left out, an embedded message that may not be absent is
written even when it is empty. Reading takes what any encoder may write: fields in any order,
unknown ones skipped, the last of several scalars; anything that is no protobuf is a `WireError`.

Source: https://protobuf.dev/programming-guides/encoding/
"""

import dataclasses
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypeVar

from cairn.engine.comet.errors import WireError
from cairn.primitives import protobuf as pb

T = TypeVar("T")

UINT, INT, BOOL, STRING, BYTES = "uint", "int", "bool", "string", "bytes"
"""Kinds of scalar: uint32 and uint64; int32, int64 and enums; the others as their name says."""

VARINT, FIXED64, LENGTH_DELIMITED, FIXED32 = 0, 1, 2, 5
"""Wire types; groups (3 and 4) are refused."""

FIELD_NUMBER_MAX = 2**29 - 1
VARINT_SIZE_BYTES_MAX = 10

Kind = str | type[Any]


@dataclass(frozen=True, slots=True)
class _Field:
    """One row of a message's table."""

    name: str
    number: int
    kind: Kind
    repeated: bool
    optional: bool


_DEFAULTS: dict[str, Any] = {UINT: 0, INT: 0, BOOL: False, STRING: "", BYTES: b""}
_plans: dict[type[Any], tuple[_Field, ...]] = {}


def wire(number: int, kind: Kind, *, repeated: bool = False, optional: bool = False) -> Any:
    """Declare a field of a message.

    Args:
        number: Its number in the protobuf definition.
        kind: One of the scalar kinds, or the class of an embedded message.
        repeated: Whether it is a tuple.
        optional: Whether an embedded message may be absent, which is None.
    """
    metadata = {"number": number, "kind": kind, "repeated": repeated, "optional": optional}
    if repeated:
        return dataclasses.field(default=(), metadata=metadata)
    if optional:
        return dataclasses.field(default=None, metadata=metadata)
    if isinstance(kind, str):
        return dataclasses.field(default=_DEFAULTS[kind], metadata=metadata)
    return dataclasses.field(default_factory=kind, metadata=metadata)


def plan_of(message: type[Any]) -> tuple[_Field, ...]:
    """Return a message's table, by ascending number."""
    plan = _plans.get(message)
    if plan is None:
        rows = (_Field(field.name, **field.metadata) for field in dataclasses.fields(message))
        plan = _plans[message] = tuple(sorted(rows, key=lambda row: row.number))
    return plan


# Writing


def write_message(message: Any) -> bytes:
    """Return the body of a message."""
    parts: list[bytes] = []
    for field in plan_of(type(message)):
        value = getattr(message, field.name)
        if field.repeated:
            _write_repeated(field, value, parts)
        elif value is not None:
            parts.append(_write_value(field, value))
    return b"".join(parts)


def _write_value(field: _Field, value: Any) -> bytes:
    if field.kind is BYTES:
        return pb.bytes_field(field.number, value)
    if field.kind is STRING:
        return pb.string_field(field.number, value)
    if isinstance(field.kind, str):
        return pb.varint_field(field.number, int(value))
    return pb.message_field(field.number, write_message(value))


def _write_repeated(field: _Field, values: tuple[Any, ...], parts: list[bytes]) -> None:
    """Write every element; numbers are packed, as proto3 does."""
    number = field.number
    if field.kind is BYTES:
        parts.extend(pb.message_field(number, value) for value in values)
    elif field.kind is STRING:
        parts.extend(pb.message_field(number, value.encode()) for value in values)
    elif isinstance(field.kind, str):
        parts.append(pb.bytes_field(number, b"".join(pb.varint(int(value)) for value in values)))
    else:
        parts.extend(pb.message_field(number, write_message(value)) for value in values)


# Reading


def read_varint(raw: bytes, at: int) -> tuple[int, int]:
    """Return the unsigned varint at `at`, and where it ends.

    Raises:
        WireError: The bytes end inside it, or it does not fit into 64 bits.
    """
    value = shift = 0
    for place in range(at, min(at + VARINT_SIZE_BYTES_MAX, len(raw))):
        byte = raw[place]
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            if value >= 2**64:
                raise WireError("a varint of more than 64 bits")
            return value, place + 1
        shift += 7
    raise WireError("a varint does not end")


def read_fields(raw: bytes) -> list[tuple[int, int, Any]]:
    """Return `(number, wire type, value)` of every field of a message's body.

    Raises:
        WireError: The bytes are no protobuf message.
    """
    fields: list[tuple[int, int, Any]] = []
    at, end = 0, len(raw)
    while at < end:
        key, at = read_varint(raw, at)
        number, wire_type = key >> 3, key & 7
        if not 0 < number <= FIELD_NUMBER_MAX:
            raise WireError(f"field number {number}")
        value: Any
        if wire_type == VARINT:
            value, at = read_varint(raw, at)
        else:
            if wire_type == LENGTH_DELIMITED:
                size, at = read_varint(raw, at)
            elif wire_type in (FIXED64, FIXED32):
                size = 8 if wire_type == FIXED64 else 4
            else:
                raise WireError(f"wire type {wire_type}")
            if size > end - at:
                raise WireError(f"field {number} is longer than the message")
            value = raw[at : at + size]
            at += size
        fields.append((number, wire_type, value))
    return fields


def read_message(message: type[T], raw: bytes) -> T:
    """Return the message that a body spells; fields that are not in its table are skipped.

    Raises:
        WireError: The bytes are no such message.
    """
    table = {field.number: field for field in plan_of(message)}
    values: dict[str, Any] = {}
    for number, wire_type, value in read_fields(raw):
        field = table.get(number)
        if field is None:
            continue
        if field.repeated:
            _append(values.setdefault(field.name, []), field, wire_type, value)
        else:
            values[field.name] = _read_value(field.kind, wire_type, value)
    for field in table.values():
        if field.repeated and field.name in values:
            values[field.name] = tuple(values[field.name])
    return message(**values)


def _append(values: list[Any], field: _Field, wire_type: int, value: Any) -> None:
    is_number = field.kind in (UINT, INT, BOOL)
    if not (is_number and wire_type == LENGTH_DELIMITED):
        values.append(_read_value(field.kind, wire_type, value))
        return
    at = 0
    while at < len(value):
        number, at = read_varint(value, at)
        values.append(_read_value(field.kind, VARINT, number))


def _read_value(kind: Kind, wire_type: int, value: Any) -> Any:
    if kind in (UINT, INT, BOOL):
        if wire_type != VARINT:
            raise WireError(f"wire type {wire_type} for a number")
        return _NUMBERS[str(kind)](value)
    if wire_type != LENGTH_DELIMITED:
        raise WireError(f"wire type {wire_type} for bytes")
    if kind is BYTES:
        return value
    if isinstance(kind, str):
        return _text(value)
    return read_message(kind, value)


def _signed(value: int) -> int:
    return value - 2**64 if value >= 2**63 else value


def _same(value: int) -> int:
    return value


_NUMBERS: dict[str, Callable[[int], Any]] = {UINT: _same, INT: _signed, BOOL: bool}


def _text(value: bytes) -> str:
    try:
        return value.decode()
    except UnicodeDecodeError as error:
        raise WireError("a text is not UTF-8") from error
