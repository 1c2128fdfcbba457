"""The schema of a stranger's file, found by looking at every cell of it.

A column of a CSV or JSON file gets the narrowest of `integer`, `decimal`, `float64`, `timestamp`
and `boolean` that at least 95 % of its cells spell; cells that say that they are missing (`NA`,
`null`, `?` …) do not count in that. If there is no such kind it is text. Digits with a leading zero
(a postal code, an account number) make a column text, because a number would lose the zero. The few
cells that do not fit stay wrong: reading the file refuses them by row, the quality report counts
them. Columns of Parquet files have the kind of their type.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from cairn.learning.errors import DatasetError
from cairn.learning.extras import Untyped, require
from cairn.learning.rows import JSON_SUFFIXES
from cairn.learning.schemas import SCALE_MAX, Column, Kind, Schema
from cairn.learning.staging import Progress, Shape, Stage, no_progress
from cairn.learning.values import FLOAT_PATTERN, INTEGER_PATTERN

MAJORITY_PPM = 950_000
"""Share of the cells that have to spell a kind for it to be the column's."""
MARKERS = ("na", "n/a", "nan", "null", "none", "nil", "-", "?", "#n/a", "missing")
"""Cells that say in words that a value is missing, in small letters."""
TIME_PATTERN = (
    r"[0-9]{4}-[0-9]{2}-[0-9]{2}"
    r"([T ][0-9]{2}:[0-9]{2}(:[0-9]{2}(\.[0-9]{1,3}(000)?)?)?(Z|[+-][0-9]{2}:[0-9]{2})?)?"
)
_DECIMAL_PATTERN = r"[+-]?[0-9]{1,19}(\.[0-9]{1,18})?"
_ZERO_PATTERN = r"[+-]?0[0-9]+"
_NUMBER_NAME_PATTERN = r"[+-]?[0-9]+([.][0-9]+)?"


@dataclass(frozen=True, slots=True)
class _Counts:
    """How many cells of a text column spell what."""

    present: int
    marked: int
    integers: int
    decimals: int
    floats: int
    times: int
    booleans: int
    zeros: int
    scale: int
    whole: int
    """Longest part before the point."""


def infer_schema(
    path: Path,
    *,
    label: str | None = None,
    subject: str | None = None,
    progress: Progress = no_progress,
) -> Schema:
    """Return the schema that the file at `path` has.

    Args:
        path: A CSV, JSON or Parquet file.
        label: Column of the outcome; it has to be there.
        subject: Column that says whom a row is about; it has to be there, and full.
        progress: Told how far the work is.

    Raises:
        DatasetError: The file cannot be read, its columns are not all named once, or it has no
            label or subject of these names.
    """
    with Stage(path) as stage:
        stage.fill(progress)
        return schema_of(stage, label=label, subject=subject)


def schema_of(stage: Stage, *, label: str | None = None, subject: str | None = None) -> Schema:
    """Return the schema of a staged file; raises as `infer_schema`."""
    check_names(stage)
    for role, name in (("label", label), ("subject", subject)):
        if name is not None and name not in stage.names:
            raise DatasetError(
                f"{stage.path.name} has no column {name!r}, which is to be the {role}",
                f"columns: {', '.join(stage.names[:20])}",
            )
    return Schema(tuple(columns_of(stage)), subject)


def columns_of(stage: Stage) -> list[Column]:
    """Return the column of each place in a staged file, whatever its name is."""
    return [_column(stage, number, shape) for number, shape in enumerate(stage.shapes)]


def check_names(stage: Stage) -> None:
    """Check that each column has a name of its own, and that the names are no data.

    Raises:
        DatasetError: One is empty or repeated, or the first line looks like a row.
    """
    names, file = stage.names, stage.path.name
    if len(names) == 1 and stage.suffix == ".csv" and (";" in names[0] or "\t" in names[0]):
        raise DatasetError(
            f"{file} has one column, {names[0][:40]!r}", "separate the cells by commas"
        )
    unnamed = [number for number, name in enumerate(names) if not name.strip()]
    if unnamed:
        raise DatasetError(
            f"column {unnamed[0] + 1} of {file} has no name",
            "name it in the first line, or leave it out if it only numbers the rows",
        )
    if looks_like_data(names):
        raise DatasetError(
            f"the first line of {file} looks like a row: {', '.join(names[:5])}",
            "write a line with the names of the columns above it",
        )
    for name in names:
        if names.count(name) > 1:
            raise DatasetError(f"{file} has the column {name!r} twice", "name each column once")


def looks_like_data(names: Sequence[str]) -> bool:
    """Return whether what should be names are numbers, at least a fifth of them.

    >>> looks_like_data(["A11", "6", "A34"]), looks_like_data(["ID", "X1", "1"] * 2)
    (True, False)
    """
    numbers = sum(1 for name in names if re.fullmatch(_NUMBER_NAME_PATTERN, name))
    return (numbers > 1 and numbers * 5 >= len(names)) or numbers == len(names)


def _column(stage: Stage, number: int, shape: Shape) -> Column:
    """Return what kind of column one is, and whether cells are missing."""
    if stage.is_text:
        return _text_column(stage, number, shape)
    kind, scale = _arrow_kind(require("pyarrow").types, shape.arrow)
    (missing,) = stage.one(f"SELECT count(*) FROM raw WHERE c{number} IS NULL")
    return Column(shape.name, kind, scale, nullable=missing > 0)


def _arrow_kind(types: Untyped, arrow: Untyped) -> tuple[Kind, int]:
    if types.is_boolean(arrow):
        return Kind.BOOLEAN, 0
    if types.is_integer(arrow):
        return Kind.INTEGER, 0
    if types.is_floating(arrow):
        return Kind.FLOAT64, 0
    if types.is_timestamp(arrow):
        return Kind.TIMESTAMP, 0
    if types.is_decimal(arrow):
        return Kind.DECIMAL, min(SCALE_MAX, max(0, arrow.scale))
    return Kind.TEXT, 0


def _text_column(stage: Stage, number: int, shape: Shape) -> Column:
    counts = _count(stage, number)
    nullable = counts.present < stage.row_count
    kind = _kind(counts)
    # JSON says itself what is text: digits between quotation marks are a name or a code.
    few = counts.present * (1_000_000 - MAJORITY_PPM) // 1_000_000
    is_json = stage.suffix in JSON_SUFFIXES
    if is_json and kind is not Kind.TIMESTAMP and shape.texts.count > few:
        kind = Kind.TEXT
    return Column(shape.name, kind, counts.scale if kind is Kind.DECIMAL else 0, nullable)


def _count(stage: Stage, number: int) -> _Counts:
    """Return how many cells of a text column spell what, by at most two looks at it."""
    cell = f"c{number}"
    present = f"{cell} <> ''"
    markers = ", ".join(f"'{marker}'" for marker in MARKERS)
    integer = matches(cell, INTEGER_PATTERN)
    first = f"""
        SELECT count(*) FILTER ({present}),
               count(*) FILTER ({integer} AND TRY_CAST({cell} AS BIGINT) IS NOT NULL),
               count(*) FILTER ({matches(cell, _ZERO_PATTERN)}),
               coalesce(max(length({cell})) FILTER ({integer}), 0)
        FROM raw"""
    total, integers, zeros, whole = stage.one(first)
    if total == integers:
        return _Counts(total, 0, integers, integers, integers, 0, 0, zeros, 0, whole)
    decimal = matches(cell, _DECIMAL_PATTERN)
    fraction = f"length(rtrim(split_part({cell}, '.', 2), '0'))"
    second = f"""
        SELECT count(*) FILTER (lower(trim({cell})) IN ({markers})),
               count(*) FILTER ({decimal}),
               count(*) FILTER ({matches(cell, FLOAT_PATTERN)}
                                AND isfinite(TRY_CAST({cell} AS DOUBLE))),
               count(*) FILTER ({matches(cell, TIME_PATTERN)}
                                AND TRY_CAST({cell} AS TIMESTAMPTZ) IS NOT NULL),
               count(*) FILTER (lower({cell}) IN ('true', 'false')),
               coalesce(max({fraction}) FILTER ({decimal}), 0),
               coalesce(max(length(split_part({cell}, '.', 1))) FILTER ({decimal}), 0)
        FROM raw WHERE {present}"""
    marked, decimals, floats, times, booleans, scale, whole = stage.one(second)
    return _Counts(total, marked, integers, decimals, floats, times, booleans, zeros, scale, whole)


def _kind(counts: _Counts) -> Kind:
    """Return the kind that most cells spell."""
    judged = counts.present - counts.marked
    enough = -(-judged * MAJORITY_PPM // 1_000_000)
    if not judged or counts.zeros:
        return Kind.TEXT
    if counts.integers >= enough and counts.integers == max(counts.integers, counts.floats):
        return Kind.INTEGER
    if counts.decimals == counts.floats and counts.decimals >= enough:
        # Units of 18 digits fit 64 bits whatever they are.
        return Kind.DECIMAL if counts.scale + counts.whole <= SCALE_MAX else Kind.FLOAT64
    if counts.floats >= enough:
        return Kind.FLOAT64
    if counts.times >= enough:
        return Kind.TIMESTAMP
    if counts.booleans >= enough:
        return Kind.BOOLEAN
    return Kind.TEXT


def matches(cell: str, pattern: str) -> str:
    """Return the condition that a text cell is spelled as a pattern says, as a whole."""
    return f"regexp_full_match({cell}, '{pattern}')"
