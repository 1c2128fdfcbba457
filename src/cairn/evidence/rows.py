"""One row of a committed data set, disclosed in whole or in part, checked against the set's root.

The format, version 1 (all hashes are `primitives.hashes.tagged_hash`):

1. A field's bytes are the canonical encoding of its value: nil when it is null, an integer for the
   kinds `integer`, `decimal` (units of 10^-scale) and `timestamp` (ms since the epoch, UTC), a
   string for `text`, a boolean for `boolean`, and 8 bytes (IEEE 754, big-endian) for `float64`.
2. field commitment = H("cairn/field", salt, column number as 2 big-endian bytes, field bytes), with
   a salt of at least 16 bytes that nobody can guess.
3. row commitment = H("cairn/row", commitment of column 0, commitment of column 1, …).
4. The row commitments are the entries of an RFC 6962 tree, in the order of the file.
5. schema digest = H("cairn/schema", canonical bytes of `RowSchema`).
6. data set digest = H("cairn/dataset", canonical bytes of `DatasetCommitment`). The file commitment
   in it is H("cairn/file", salt of 32 bytes, SHA-256 of the file): salted, because a plain digest
   would let whoever knows all rows but one guess the last one.

A row is opened by handing over the value and salt of some fields and only the commitments of the
others; what stays closed cannot be guessed from its commitment.
"""

import struct
from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

from cairn.primitives.encoding import Decoder, Record, encode
from cairn.primitives.errors import NonCanonicalError, PrimitiveError
from cairn.primitives.hashes import DIGEST_SIZE_BYTES, Digest, tagged_hash
from cairn.primitives.merkle import leaf_hash, verify_inclusion

ROW_FORMAT_VERSION = 1
SALT_SIZE_BYTES_MIN = 16
COLUMNS_MAX = 1024
SCALE_MAX = 18
FLOAT_SIZE_BYTES = 8

FieldValue = int | str | bytes | bool | None
"""A field's value as its canonical bytes spell it; `float64` is its 8 IEEE bytes."""


class RowDisclosureError(PrimitiveError):
    """A disclosed row does not belong to the data set, or is not well formed."""


class ColumnSpec(Record):
    """One column of a committed data set."""

    name: str
    kind: str
    """One of `integer decimal text timestamp boolean float64`."""
    scale: int
    """Digits after the point of a `decimal`, 0 for every other kind."""
    nullable: bool


class RowSchema(Record):
    """The columns of a data set, in the order of the file."""

    columns: tuple[ColumnSpec, ...]
    subject: int | None
    """Number of the column that says whom a row is about; None: every row is its own subject."""


class DatasetCommitment(Record):
    """What is published about a data set."""

    version: int
    row_root: bytes
    row_count: int
    schema_digest: bytes
    file_commitment: bytes


class OpenField(Record):
    """A disclosed field: its salt and its canonical bytes."""

    salt: bytes
    value: bytes


class RowDisclosure(Record):
    """One row with the path to the root: each field is opened, or stays a commitment (32 bytes)."""

    version: int
    schema: RowSchema
    index: int
    fields: tuple[OpenField | bytes, ...]
    path: tuple[bytes, ...]


@dataclass(frozen=True)
class DisclosedRow:
    """What a checked disclosure shows."""

    index: int
    values: Mapping[str, FieldValue]
    """Value per disclosed column."""
    closed: tuple[str, ...]
    """Columns that stayed closed."""
    schema: RowSchema


_INTEGERS: Decoder[int | None] = Decoder(int | None)
_KINDS: Mapping[str, Decoder[Any]] = MappingProxyType(
    {
        "integer": _INTEGERS,
        "decimal": _INTEGERS,
        "timestamp": _INTEGERS,
        "text": Decoder(str | None),
        "boolean": Decoder(bool | None),
        "float64": Decoder(bytes | None),
    }
)
_disclosures: Decoder[RowDisclosure] = Decoder(RowDisclosure)


def field_commitment(salt: bytes, column: int, value: bytes) -> Digest:
    """Return the commitment of a field with canonical bytes `value` in column number `column`."""
    return tagged_hash(b"cairn/field", salt, column.to_bytes(2, "big"), value)


def row_commitment(fields: tuple[bytes, ...]) -> Digest:
    """Return the commitment of a row from the commitments of its fields."""
    return tagged_hash(b"cairn/row", *fields)


def schema_digest(schema: RowSchema) -> Digest:
    """Return the digest that a data set commitment holds of its schema."""
    return tagged_hash(b"cairn/schema", encode(schema))


def dataset_digest(commitment: DatasetCommitment) -> Digest:
    """Return the one digest that stands for a committed data set."""
    return tagged_hash(b"cairn/dataset", encode(commitment))


def decode_disclosure(raw: bytes) -> RowDisclosure:
    """Return the disclosure that `raw` spells.

    Raises:
        NonCanonicalError: `raw` is not the canonical spelling of a disclosure.
    """
    return _disclosures.decode(raw)


def verify_row(disclosure: RowDisclosure, commitment: DatasetCommitment) -> DisclosedRow:
    """Check that `disclosure` is a row of the data set of `commitment` and return what it shows.

    Raises:
        RowDisclosureError: Another version; a schema that is not the committed one; a row number
            outside the set; a number of fields other than of columns; a salt or a commitment of
            the wrong size; a value that is not of its column's kind.
        ProofError: The row is not in the tree of the commitment at the stated place.
    """
    # 1. Both sides speak this version.
    if disclosure.version != ROW_FORMAT_VERSION or commitment.version != ROW_FORMAT_VERSION:
        raise RowDisclosureError("a row format that this verifier does not know")
    # 2. The schema is the committed one, so the column names mean what they meant.
    if schema_digest(disclosure.schema) != commitment.schema_digest:
        raise RowDisclosureError("the schema is not the one that was committed")
    check_schema(disclosure.schema)
    # 3. The row lies inside the set and has one field per column.
    columns = disclosure.schema.columns
    if not 0 <= disclosure.index < commitment.row_count:
        raise RowDisclosureError(f"row {disclosure.index} of {commitment.row_count}")
    if len(disclosure.fields) != len(columns):
        raise RowDisclosureError(f"{len(disclosure.fields)} fields for {len(columns)} columns")
    # 4. Every opened field is a value of its column's kind; closed fields stay commitments.
    values: dict[str, FieldValue] = {}
    closed: list[str] = []
    commitments: list[bytes] = []
    for number, (column, field) in enumerate(zip(columns, disclosure.fields, strict=True)):
        if isinstance(field, OpenField):
            values[column.name] = _opened_value(column, field)
            commitments.append(field_commitment(field.salt, number, field.value))
        elif len(field) == DIGEST_SIZE_BYTES:
            closed.append(column.name)
            commitments.append(field)
        else:
            raise RowDisclosureError(f"the commitment of column {column.name!r} has a wrong size")
    # 5. The row made of these commitments is in the tree at the stated place.
    verify_inclusion(
        commitment.row_root,
        commitment.row_count,
        disclosure.index,
        leaf_hash(row_commitment(tuple(commitments))),
        disclosure.path,
    )
    return DisclosedRow(
        index=disclosure.index,
        values=MappingProxyType(values),
        closed=tuple(closed),
        schema=disclosure.schema,
    )


def check_schema(schema: RowSchema) -> None:
    """Check that `schema` is well formed.

    Raises:
        RowDisclosureError: No or too many columns; an empty or repeated name; an unknown kind; a
            scale outside 0..18 or on another kind than `decimal`; a subject that is no column.
    """
    names = [column.name for column in schema.columns]
    if not 1 <= len(names) <= COLUMNS_MAX:
        raise RowDisclosureError(f"a schema has 1 to {COLUMNS_MAX} columns, this one {len(names)}")
    if len(dict.fromkeys(names)) != len(names) or "" in names:
        raise RowDisclosureError("a column name is empty or repeated")
    for column in schema.columns:
        if column.kind not in _KINDS:
            raise RowDisclosureError(f"column {column.name!r} has the unknown kind {column.kind!r}")
        if not 0 <= column.scale <= (SCALE_MAX if column.kind == "decimal" else 0):
            raise RowDisclosureError(f"column {column.name!r} has the scale {column.scale}")
    if schema.subject is not None and not 0 <= schema.subject < len(names):
        raise RowDisclosureError("the subject is not a column")


def _opened_value(column: ColumnSpec, field: OpenField) -> FieldValue:
    """Return the value of an opened field after checking salt and kind."""
    if len(field.salt) < SALT_SIZE_BYTES_MIN:
        raise RowDisclosureError(f"the salt of column {column.name!r} is too short")
    value: FieldValue
    try:
        value = _KINDS[column.kind].decode(field.value)
    except NonCanonicalError as error:
        raise RowDisclosureError(f"the value of column {column.name!r}: {error}") from error
    if value is None and not column.nullable:
        raise RowDisclosureError(f"column {column.name!r} cannot be null")
    if isinstance(value, bytes) and len(value) != FLOAT_SIZE_BYTES:
        raise RowDisclosureError(f"column {column.name!r} does not hold {FLOAT_SIZE_BYTES} bytes")
    return value


def render_value(column: ColumnSpec, value: FieldValue) -> str:
    """Return `value` as a person reads it: decimals with their point, floats as numbers."""
    if value is None:
        return "null"
    if isinstance(value, bytes):
        return repr(struct.unpack(">d", value)[0])
    if column.kind == "decimal" and column.scale and isinstance(value, int):
        digits = str(abs(value)).rjust(column.scale + 1, "0")
        sign = "-" if value < 0 else ""
        return f"{sign}{digits[: -column.scale]}.{digits[-column.scale :]}"
    return str(value)
