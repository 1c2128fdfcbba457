"""The schema of a data set: which columns a file has, of which kind, and whom a row is about."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from cairn.learning.errors import DatasetError
from cairn.primitives.encoding import encode
from cairn.primitives.hashes import Digest, tagged_hash

COLUMNS_MAX = 1024
SCALE_MAX = 18


class Kind(StrEnum):
    """What the values of a column are."""

    INTEGER = "integer"
    DECIMAL = "decimal"
    TEXT = "text"
    TIMESTAMP = "timestamp"
    BOOLEAN = "boolean"
    FLOAT64 = "float64"


@dataclass(frozen=True, slots=True)
class Column:
    """One column of a data file."""

    name: str
    kind: Kind
    scale: int = 0
    """Digits after the point of a decimal, 0 to 18."""
    nullable: bool = False


@dataclass(frozen=True, slots=True)
class Schema:
    """The columns of a data file, in its order, and the column that says whom a row is about."""

    columns: tuple[Column, ...]
    subject: str | None = None
    """None: every row is its own subject, and can be forgotten alone."""

    def __post_init__(self) -> None:
        """Refuse schemas that no file could satisfy.

        Raises:
            DatasetError: No or too many columns; an empty or repeated name; a scale outside its
                bounds or on a kind without one; a subject that is no column or may be null.
        """
        names = self.names
        if not 1 <= len(names) <= COLUMNS_MAX:
            raise DatasetError(f"a schema has 1 to {COLUMNS_MAX} columns, this one {len(names)}")
        for name in names:
            if not name or names.count(name) > 1:
                raise DatasetError(f"the column name {name!r} is empty or repeated")
        for column in self.columns:
            if not 0 <= column.scale <= (SCALE_MAX if column.kind is Kind.DECIMAL else 0):
                raise DatasetError(
                    f"column {column.name!r} has the scale {column.scale}",
                    f"only a decimal has a scale, of 0 to {SCALE_MAX}",
                )
        if self.subject is not None:
            if self.subject not in names:
                raise DatasetError(f"the subject {self.subject!r} is not a column")
            if self.columns[names.index(self.subject)].nullable:
                raise DatasetError(f"the subject column {self.subject!r} cannot be nullable")

    @property
    def names(self) -> list[str]:
        """Return the column names in order."""
        return [column.name for column in self.columns]

    @property
    def subject_number(self) -> int | None:
        """Return the number of the subject column, if there is one."""
        return None if self.subject is None else self.names.index(self.subject)

    def canonical(self) -> tuple[Any, ...]:
        """Return the schema as the tuple that the row format calls `RowSchema`."""
        return (
            tuple((c.name, c.kind.value, c.scale, c.nullable) for c in self.columns),
            self.subject_number,
        )

    @property
    def digest(self) -> Digest:
        """Return the digest that is published with the data set."""
        return tagged_hash(b"cairn/schema", encode(self.canonical()))

    def to_mapping(self) -> dict[str, Any]:
        """Return the schema as it stands in a manifest or a schema file."""
        columns = [
            {"name": c.name, "kind": c.kind.value, "scale": c.scale, "nullable": c.nullable}
            for c in self.columns
        ]
        return {"columns": columns, "subject": self.subject}

    def to_yaml(self) -> str:
        """Return the schema as a file that people edit, with what each kind means."""
        lines = [
            "# kinds: integer, decimal (with a scale: digits after the point), float64, text,",
            "# boolean, timestamp; nullable: cells may be missing",
            "columns:",
        ]
        for column in self.columns:
            parts = [f"name: {json.dumps(column.name)}", f"kind: {column.kind.value}"]
            parts += [f"scale: {column.scale}"] if column.scale else []
            parts += ["nullable: true"] if column.nullable else []
            lines.append(f"  - {{{', '.join(parts)}}}")
        if self.subject is not None:
            lines.append(f"subject: {json.dumps(self.subject)}")
        return "\n".join(lines) + "\n"


def schema_from_mapping(mapping: Mapping[str, Any]) -> Schema:
    """Return the schema that `mapping` (from JSON or YAML) describes.

    `{"columns": [{"name": …, "kind": …, "scale": 0, "nullable": false}, …], "subject": NAME}`;
    scale, nullable and subject may be left out.

    Raises:
        DatasetError: A missing or unknown key, an unknown kind, a value of the wrong type, or a
            schema that `Schema` refuses.
    """
    _check_keys("the schema", mapping, required=("columns",), optional=("subject",))
    columns = mapping["columns"]
    subject = mapping.get("subject")
    if isinstance(columns, str) or not isinstance(columns, Sequence):
        raise DatasetError("the schema's columns are not a list")
    if subject is not None and not isinstance(subject, str):
        raise DatasetError("the schema's subject is not a column name")
    return Schema(
        tuple(_column_from_mapping(number, column) for number, column in enumerate(columns)),
        subject,
    )


def _column_from_mapping(number: int, mapping: object) -> Column:
    """Return one column of a schema file."""
    where = f"column {number} of the schema"
    if not isinstance(mapping, Mapping):
        raise DatasetError(f"{where} is not a mapping")
    _check_keys(where, mapping, required=("name", "kind"), optional=("scale", "nullable"))
    name, kind = mapping["name"], mapping["kind"]
    scale, nullable = mapping.get("scale", 0), mapping.get("nullable", False)
    if not isinstance(name, str) or type(scale) is not int or not isinstance(nullable, bool):
        raise DatasetError(f"{where}: name is text, scale an integer, nullable true or false")
    if kind not in tuple(Kind):
        raise DatasetError(f"{where}: unknown kind {kind!r}", f"one of {', '.join(Kind)}")
    return Column(name, Kind(kind), scale, nullable)


def _check_keys(
    where: str,
    mapping: Mapping[str, Any],
    *,
    required: tuple[str, ...],
    optional: tuple[str, ...],
) -> None:
    """Check that `mapping` has all required keys and no unknown ones."""
    for key in required:
        if key not in mapping:
            raise DatasetError(f"{where} has no {key!r}")
    for key in mapping:
        if key not in required and key not in optional:
            raise DatasetError(
                f"{where} has the unknown key {key!r}", f"known: {', '.join(required + optional)}"
            )
