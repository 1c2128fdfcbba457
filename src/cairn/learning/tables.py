"""Reading CSV, JSON and Parquet into typed columns, strictly: what does not fit names its row.

A CSV file has a header that lists the schema's columns in order; an empty cell is null in a
nullable column, the empty text in a text column, and refused elsewhere. An object of a JSON file
has the schema's columns in any order; `null` or no key at all is null in a nullable column. Numbers
of a JSON file stand as numbers or as text, times as text. How values are spelled: `values`.
"""

import csv
import decimal
import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from cairn.learning.errors import DatasetError
from cairn.learning.extras import Untyped, require
from cairn.learning.rows import (
    CSV_SUFFIXES,
    JSON_SUFFIXES,
    LINE_SUFFIXES,
    Cell,
    NoValue,
    NumberText,
    check_file,
    csv_rows,
    json_rows,
)
from cairn.learning.schemas import Column, Kind, Schema
from cairn.learning.values import CELL_SIZE_CHARS_MAX, format_column, parse, short
from cairn.learning.values import Value as Value
from cairn.primitives.encoding import INT_MAX

_DAY_MS = 86_400_000


@dataclass(frozen=True)
class Table:
    """A data file in memory, column by column."""

    schema: Schema
    columns: tuple[list[Value], ...]
    row_count: int

    def column(self, name: str) -> list[Value]:
        """Return the values of the column `name`."""
        return self.columns[self.schema.names.index(name)]


def read_table(path: Path, schema: Schema, *, other_columns: bool = False) -> Table:
    """Return the rows of the CSV, JSON or Parquet file at `path`, which must be as `schema` says.

    Args:
        path: The file; its suffix says what it is.
        schema: The columns to read.
        other_columns: Whether the file may have other columns too, which are passed over.

    Raises:
        DatasetError: The file is missing, empty, of another kind or encoding, has other columns,
            or a cell is not a value of its column; the message names row, line and column.
    """
    suffix = check_file(path)
    if suffix in CSV_SUFFIXES:
        return _read_csv(path, schema, other_columns)
    if suffix in JSON_SUFFIXES:
        return _read_json(path, schema, other_columns)
    return _read_parquet(path, schema, other_columns)


def write_table(path: Path, table: Table) -> None:
    """Write `table` as CSV, JSON or Parquet, by the suffix of `path`, as it is read back."""
    suffix = path.suffix.lower()
    if suffix in CSV_SUFFIXES:
        _write_csv(path, table)
    elif suffix in JSON_SUFFIXES:
        _write_json(path, table)
    else:
        _write_parquet(path, table)


# --- CSV -----------------------------------------------------------------------------------------


def _read_csv(path: Path, schema: Schema, other_columns: bool) -> Table:
    """Return the rows of a CSV file."""
    rows: list[list[str]] = []
    lines: list[int] = []
    places: list[int] = []
    for line, row in csv_rows(path):
        if line == 0:
            _check_names(path.name, row, schema, other_columns)
            places = [row.index(name) for name in schema.names]
            continue
        rows.append(row)
        lines.append(line)
    if not rows:
        raise DatasetError(f"{path.name} has no rows", "a data set needs at least one")
    columns: list[list[Value]] = []
    cells = list(zip(*rows, strict=True))
    for column, place in zip(schema.columns, places, strict=True):
        columns.append(
            _parse_column(column, cells[place], lambda row: f"row {row} (line {lines[row]})")
        )
    return Table(schema, tuple(columns), len(rows))


def _check_names(file: str, found: list[str], schema: Schema, other_columns: bool) -> None:
    """Check that `found` are the schema's columns, in its order unless others stand between.

    Raises:
        DatasetError: It names the first column that is missing, twice there or unknown.
    """
    expected = schema.names
    missing = [name for name in expected if name not in found]
    unknown = [name for name in found if name not in expected]
    hint = f"the schema has: {', '.join(expected)}"
    if missing:
        raise DatasetError(f"{file} has no column {missing[0]!r}", hint)
    for name in expected:
        if found.count(name) > 1:
            raise DatasetError(f"{file} has the column {name!r} twice", hint)
    if other_columns:
        return
    if unknown:
        raise DatasetError(f"{file} has the unknown column {unknown[0]!r}", hint)
    if found != expected:
        raise DatasetError(f"{file} has its columns in another order", hint)


def _parse_column(
    column: Column, cells: tuple[str, ...], where: Callable[[int], str]
) -> list[Value]:
    """Return the values of the text `cells` of one column."""
    if column.kind is Kind.TEXT:
        return [None if column.nullable and not cell else cell for cell in cells]
    values: list[Value] = []
    append = values.append
    for row, cell in enumerate(cells):
        if cell == "" and column.nullable:
            append(None)
            continue
        try:
            append(parse(column, cell))
        except ValueError as error:
            reason = "the cell is empty and the column not nullable" if cell == "" else str(error)
            raise DatasetError(
                f"{where(row)}, column {column.name!r}: {reason}",
                "mend the cell (a missing value is an empty cell), or change the column in the "
                "schema; `cairn data quality` counts all such cells",
            ) from error
    return values


def _write_csv(path: Path, table: Table) -> None:
    """Write a CSV file with a header, one line per row, as RFC 4180 has it."""
    columns = [
        format_column(column, values)
        for column, values in zip(table.schema.columns, table.columns, strict=True)
    ]
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file, lineterminator="\r\n")
        writer.writerow(table.schema.names)
        writer.writerows(zip(*columns, strict=True))


# --- JSON ----------------------------------------------------------------------------------------


def _read_json(path: Path, schema: Schema, other_columns: bool) -> Table:
    """Return the rows of a JSON file."""
    columns: tuple[list[Value], ...] = tuple([] for _ in schema.columns)
    known = dict.fromkeys(schema.names)
    count = 0
    for row in json_rows(path):
        if not other_columns and not row.cells.keys() <= known.keys():
            unknown = next(key for key in row.cells if key not in known)
            raise DatasetError(
                f"row {count} (line {row.line}) has the unknown key {short(unknown)}",
                f"the schema has: {', '.join(schema.names)}",
            )
        for column, values in zip(schema.columns, columns, strict=True):
            try:
                values.append(_json_value(column, row.cells))
            except ValueError as error:
                raise DatasetError(
                    f"row {count} (line {row.line}), column {column.name!r}: {error}",
                    "mend the value (a missing one is null), or change the column in the schema",
                ) from error
        count += 1
    if not count:
        raise DatasetError(f"{path.name} has no rows", "a data set needs at least one")
    return Table(schema, columns, count)


def _json_value(column: Column, cells: dict[str, Cell]) -> Value:
    """Return the value of a column in a JSON object.

    Raises:
        ValueError: It has none; the message says why.
    """
    cell = cells.get(column.name)
    if cell is None:
        if column.nullable:
            return None
        reason = "is null" if column.name in cells else "is missing"
        raise ValueError(f"the value {reason} and the column not nullable")
    if isinstance(cell, NoValue):
        raise ValueError(f"{cell} is not a value")
    if isinstance(cell, bool):
        if column.kind is not Kind.BOOLEAN:
            raise ValueError(f"{str(cell).lower()} is not {_with_article(column.kind)}")
        return cell
    if column.kind is Kind.TEXT:
        return _json_text(cell)
    if column.kind is Kind.TIMESTAMP and isinstance(cell, NumberText):
        raise ValueError(f"the number {short(cell)} is not an ISO 8601 time")
    return parse(column, cell)


def _json_text(cell: str) -> str:
    """Return the text of a JSON string that can be written as UTF-8."""
    if isinstance(cell, NumberText):
        raise ValueError(f"the number {short(cell)} is not a text")
    if len(cell) > CELL_SIZE_CHARS_MAX:
        raise ValueError(f"a text of {len(cell)} characters, at most {CELL_SIZE_CHARS_MAX}")
    try:
        cell.encode()
    except UnicodeEncodeError as error:
        raise ValueError("the text holds half a character (a lone surrogate)") from error
    return cell


def _with_article(kind: Kind) -> str:
    return f"{'an' if kind.value[0] in 'ai' else 'a'} {kind.value}"


def _write_json(path: Path, table: Table) -> None:
    """Write an array of objects, or for `.ndjson` and `.jsonl` one object on each line."""
    names = [json.dumps(name) for name in table.schema.names]
    columns = [
        _json_cells(column, values)
        for column, values in zip(table.schema.columns, table.columns, strict=True)
    ]
    rows = (
        "{" + ", ".join(f"{name}: {cell}" for name, cell in zip(names, cells, strict=True)) + "}"
        for cells in zip(*columns, strict=True)
    )
    if path.suffix.lower() in LINE_SUFFIXES:
        text = "".join(row + "\n" for row in rows)
    else:
        text = "[\n" + ",\n".join(rows) + "\n]\n"
    path.write_text(text, encoding="utf-8", newline="")


def _json_cells(column: Column, values: list[Value]) -> list[str]:
    """Return the values of one column as JSON."""
    cells = format_column(column, values)
    if column.kind in (Kind.TEXT, Kind.TIMESTAMP):
        cells = [json.dumps(cell, ensure_ascii=False) for cell in cells]
    return ["null" if value is None else cell for value, cell in zip(values, cells, strict=True)]


# --- Parquet -------------------------------------------------------------------------------------


def _read_parquet(path: Path, schema: Schema, other_columns: bool) -> Table:
    """Return the rows of a Parquet file."""
    arrow, parquet = require("pyarrow"), require("pyarrow.parquet")
    try:
        found = parquet.ParquetFile(path)
        _check_names(path.name, list(found.schema_arrow.names), schema, other_columns)
        table = found.read(columns=schema.names)
        table.validate(full=True)
        if table.num_rows == 0:
            raise DatasetError(f"{path.name} has no rows", "a data set needs at least one")
        columns = [
            _parquet_column(arrow, column, table.column(column.name)) for column in schema.columns
        ]
    except (arrow.ArrowException, OSError, UnicodeDecodeError, OverflowError, KeyError) as error:
        raise DatasetError(
            f"{path.name} is not a readable Parquet file: {error}",
            "write it again; it may have been cut off while it was copied",
        ) from error
    return Table(schema, tuple(columns), table.num_rows)


def parquet_names(path: Path) -> list[str]:
    """Return the names of the columns of a Parquet file; none if it is not one."""
    arrow, parquet = require("pyarrow"), require("pyarrow.parquet")
    try:
        return list(parquet.read_schema(path).names)
    except (arrow.ArrowException, OSError, UnicodeDecodeError):
        return []


def _parquet_column(arrow: Untyped, column: Column, chunks: Untyped) -> list[Value]:
    """Return the values of one Parquet column, which is null only where it may be."""
    if chunks.null_count and not column.nullable:
        row = chunks.is_null().to_pylist().index(True)
        raise DatasetError(
            f"row {row}, column {column.name!r}: the cell is null and the column not nullable"
        )
    return _arrow_values(arrow, column, chunks)


def _arrow_values(arrow: Untyped, column: Column, chunks: Untyped) -> list[Value]:
    """Return the values of one Parquet column."""
    types = arrow.types
    if types.is_dictionary(chunks.type):
        chunks = chunks.cast(chunks.type.value_type)
    found = chunks.type
    if types.is_null(found):
        return [None] * len(chunks)
    match column.kind:
        case Kind.INTEGER if types.is_integer(found):
            return _bounded_all(column, chunks.to_pylist())
        case Kind.TEXT if types.is_string(found) or types.is_large_string(found):
            return list(chunks.to_pylist())
        case Kind.BOOLEAN if types.is_boolean(found):
            return list(chunks.to_pylist())
        case Kind.BOOLEAN if types.is_integer(found):
            return [_boolean(column, row, cell) for row, cell in enumerate(chunks.to_pylist())]
        case Kind.TIMESTAMP if types.is_timestamp(found):
            return _arrow_milliseconds(arrow, column, chunks)
        case Kind.TIMESTAMP if types.is_date32(found):
            days = chunks.cast(arrow.int32()).to_pylist()
            return [None if day is None else day * _DAY_MS for day in days]
        case Kind.FLOAT64 if types.is_floating(found):
            _check_finite(column, chunks)
            return list(chunks.to_pylist())
        case Kind.DECIMAL if types.is_floating(found):
            _check_finite(column, chunks)
            return _decimals_of_floats(column, chunks)
        case Kind.DECIMAL if types.is_integer(found) or types.is_decimal(found):
            return [_units(column, row, cell) for row, cell in enumerate(chunks.to_pylist())]
    raise DatasetError(
        f"column {column.name!r} holds {found}, which is not {column.kind.value}",
        "change the kind in the schema, or convert the column",
    )


def _bounded_all(column: Column, values: list[int | None]) -> list[Value]:
    """Return `values` after checking that they fit 64 signed bits (a uint64 may not)."""
    for row, value in enumerate(values):
        if value is not None and value > INT_MAX:
            raise DatasetError(f"row {row}, column {column.name!r}: {value} does not fit 64 bits")
    return list(values)


def _boolean(column: Column, row: int, cell: int | None) -> bool | None:
    if cell not in (None, 0, 1):
        raise DatasetError(f"row {row}, column {column.name!r}: {cell} is not 0 or 1")
    return None if cell is None else bool(cell)


def _arrow_milliseconds(arrow: Untyped, column: Column, chunks: Untyped) -> list[Value]:
    """Return timestamps of any unit as milliseconds."""
    per_millisecond = {"s": 0, "ms": 1, "us": 1_000, "ns": 1_000_000}[chunks.type.unit]
    numbers = chunks.cast(arrow.int64()).to_pylist()
    if not per_millisecond:
        return [None if number is None else number * 1000 for number in numbers]
    values: list[Value] = []
    for row, number in enumerate(numbers):
        whole, rest = (None, 0) if number is None else divmod(number, per_millisecond)
        if rest:
            raise DatasetError(
                f"row {row}, column {column.name!r}: the time is finer than a millisecond"
            )
        values.append(whole)
    return values


def _check_finite(column: Column, chunks: Untyped) -> None:
    """Check that no float is NaN or infinite.

    Raises:
        DatasetError: One is; it names the first row.
    """
    floats = chunks.to_numpy(zero_copy_only=False)
    bad = ~np.isfinite(floats) & ~np.asarray(chunks.is_null().to_numpy(zero_copy_only=False), bool)
    if bad.any():
        row = int(np.flatnonzero(bad)[0])
        raise DatasetError(
            f"row {row}, column {column.name!r}: {floats[row]} is not a finite number"
        )


def _decimals_of_floats(column: Column, chunks: Untyped) -> list[Value]:
    """Return floats as units, if each is the float nearest to a decimal of the column's scale."""
    floats = np.nan_to_num(chunks.to_numpy(zero_copy_only=False).astype(np.float64))
    power = float(10**column.scale)
    units = np.rint(floats * power)
    wrong = (units / power != floats) | (np.abs(units) > 2.0**53)
    if wrong.any():
        row = int(np.flatnonzero(wrong)[0])
        raise DatasetError(
            f"row {row}, column {column.name!r}: {floats[row]!r} is not a decimal of scale "
            f"{column.scale}"
        )
    values: list[Value] = list(units.astype(np.int64).tolist())
    if chunks.null_count:
        nulls = chunks.is_null().to_pylist()
        return [None if null else value for value, null in zip(values, nulls, strict=True)]
    return values


def _units(column: Column, row: int, cell: int | decimal.Decimal | None) -> int | None:
    """Return an integer or `decimal.Decimal` cell as units of the column's scale."""
    if cell is None:
        return None
    # The default context would round a decimal of more than 28 digits on the way.
    with decimal.localcontext(prec=160):
        scaled = cell * 10**column.scale
        units, is_whole = int(scaled), int(scaled) == scaled
    if not is_whole or not -INT_MAX - 1 <= units <= INT_MAX:
        raise DatasetError(
            f"row {row}, column {column.name!r}: {cell} is not a decimal of scale {column.scale}"
        )
    return units


def _write_parquet(path: Path, table: Table) -> None:
    """Write a Parquet file whose bytes depend on the table and the pyarrow version alone."""
    arrow, parquet = require("pyarrow"), require("pyarrow.parquet")
    arrays, fields = [], []
    for column, values in zip(table.schema.columns, table.columns, strict=True):
        kind, cells = _arrow_column(arrow, column, values)
        arrays.append(arrow.array(cells, type=kind))
        fields.append(arrow.field(column.name, kind, nullable=column.nullable))
    parquet.write_table(arrow.Table.from_arrays(arrays, schema=arrow.schema(fields)), path)


def _arrow_column(
    arrow: Untyped, column: Column, values: list[Value]
) -> tuple[Untyped, list[Untyped]]:
    """Return the Arrow type of `column` and its values as that type takes them."""
    if column.kind is Kind.DECIMAL:
        unit = decimal.Decimal(1).scaleb(-column.scale)
        cells = [None if value is None else decimal.Decimal(value) * unit for value in values]
        return arrow.decimal128(19, column.scale), cells
    kinds = {
        Kind.INTEGER: arrow.int64(),
        Kind.TEXT: arrow.string(),
        Kind.TIMESTAMP: arrow.timestamp("ms", tz="UTC"),
        Kind.BOOLEAN: arrow.bool_(),
        Kind.FLOAT64: arrow.float64(),
    }
    return kinds[column.kind], values
