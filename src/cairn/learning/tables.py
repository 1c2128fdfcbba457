"""Reading a CSV or Parquet file into typed columns, strictly: what does not fit names its row.

CSV is UTF-8 (a byte order mark is skipped) with a header line that lists the schema's columns in
order. An empty cell is null in a nullable column, the empty text in a text column, and refused
elsewhere. Timestamps are ISO 8601; without an offset they are UTC. Nothing is rounded: a decimal
with more digits than its scale, or a time finer than a millisecond, is refused.
"""

import csv
import datetime
import decimal
import math
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from cairn.learning.errors import DatasetError
from cairn.learning.extras import Untyped, require
from cairn.learning.schemas import Column, Kind, Schema
from cairn.primitives.encoding import INT_MAX

Value = int | str | bool | float | None
"""A cell: decimals as integer units, timestamps as milliseconds since the epoch."""

CELL_SIZE_CHARS_MAX = 1_000_000

_INTEGER = re.compile(r"[+-]?[0-9]{1,19}")
_DECIMAL = re.compile(r"([+-]?)([0-9]{1,19})(?:\.([0-9]{1,18}))?")
_FLOAT = re.compile(r"[+-]?(?:[0-9]+(?:\.[0-9]*)?|\.[0-9]+)(?:[eE][+-]?[0-9]{1,3})?")
_BOOLEANS = {"true": True, "false": False, "1": True, "0": False}
_EPOCH = datetime.datetime(1970, 1, 1, tzinfo=datetime.UTC)
_MILLISECOND = datetime.timedelta(milliseconds=1)


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
    """Return the rows of the CSV or Parquet file at `path`, which must be as `schema` says.

    Args:
        path: The file; its suffix says what it is.
        schema: The columns to read.
        other_columns: Whether the file may have other columns too, which are passed over.

    Raises:
        DatasetError: The file is missing, empty, of another kind or encoding, has other columns,
            or a cell is not a value of its column; the message names row, line and column.
    """
    suffix = path.suffix.lower()
    if not path.is_file():
        raise DatasetError(f"there is no file {path}")
    if suffix == ".csv":
        return _read_csv(path, schema, other_columns)
    if suffix in (".parquet", ".pq"):
        return _read_parquet(path, schema, other_columns)
    raise DatasetError(f"{path.name} is neither .csv nor .parquet", "convert it to one of them")


def write_table(path: Path, table: Table) -> None:
    """Write `table` as CSV or Parquet, by the suffix of `path`, in the form that is read back."""
    if path.suffix.lower() == ".csv":
        _write_csv(path, table)
    else:
        _write_parquet(path, table)


# --- CSV -----------------------------------------------------------------------------------------


def _read_csv(path: Path, schema: Schema, other_columns: bool) -> Table:
    """Return the rows of a CSV file."""
    rows: list[list[str]] = []
    lines: list[int] = []
    width = 0
    places: list[int] = []
    for line, row in _csv_rows(path):
        if line == 0:
            _check_names(path.name, row, schema, other_columns)
            width = len(row)
            places = [row.index(name) for name in schema.names]
            continue
        if len(row) != width:
            raise DatasetError(
                f"{path.name}, line {line}: {len(row)} cells where the header has {width}",
                "a cell that holds a comma or a line break must be quoted",
            )
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


def _csv_rows(path: Path) -> Iterator[tuple[int, list[str]]]:
    """Yield (line number, cells) of each row, and the header with line number 0."""
    if path.stat().st_size == 0:
        raise DatasetError(f"{path.name} is empty", "a data set needs a header and one row")
    csv.field_size_limit(CELL_SIZE_CHARS_MAX)
    line = 0
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            reader = csv.reader(file, strict=True)
            for row in reader:
                yield line if line == 0 else reader.line_num, row
                line = reader.line_num
    except UnicodeDecodeError as error:
        raise DatasetError(
            f"{path.name} is not UTF-8: byte {error.start} of a block after line {line}",
            "save it as UTF-8",
        ) from error
    except csv.Error as error:
        raise DatasetError(f"{path.name}, after line {line}: {error}") from error


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
    parse = _PARSERS[column.kind]
    values: list[Value] = []
    append = values.append
    for row, cell in enumerate(cells):
        if cell == "" and column.nullable:
            append(None)
            continue
        try:
            append(parse(cell, column.scale))
        except ValueError as error:
            reason = "the cell is empty and the column not nullable" if cell == "" else str(error)
            raise DatasetError(f"{where(row)}, column {column.name!r}: {reason}") from error
    return values


def _parse_integer(cell: str, _scale: int) -> int:
    if not _INTEGER.fullmatch(cell):
        raise ValueError(f"{_short(cell)} is not an integer")
    return _bounded(int(cell))


def _parse_decimal(cell: str, scale: int) -> int:
    match = _DECIMAL.fullmatch(cell)
    if not match:
        raise ValueError(f"{_short(cell)} is not a decimal number")
    sign, whole, fraction = match.groups()
    digits = (fraction or "").rstrip("0")
    if len(digits) > scale:
        raise ValueError(f"{_short(cell)} has more than {scale} digits after the point")
    units = int(whole + digits.ljust(scale, "0"))
    return _bounded(-units if sign == "-" else units)


def _parse_timestamp(cell: str, _scale: int) -> int:
    try:
        moment = datetime.datetime.fromisoformat(cell)
    except ValueError as error:
        raise ValueError(f"{_short(cell)} is not an ISO 8601 time") from error
    return _milliseconds(moment)


def _parse_boolean(cell: str, _scale: int) -> bool:
    value = _BOOLEANS.get(cell.lower())
    if value is None:
        raise ValueError(f"{_short(cell)} is not true, false, 1 or 0")
    return value


def _parse_float(cell: str, _scale: int) -> float:
    if not _FLOAT.fullmatch(cell):
        raise ValueError(f"{_short(cell)} is not a finite number")
    return _finite(float(cell))


_PARSERS: dict[Kind, Callable[[str, int], Value]] = {
    Kind.INTEGER: _parse_integer,
    Kind.DECIMAL: _parse_decimal,
    Kind.TIMESTAMP: _parse_timestamp,
    Kind.BOOLEAN: _parse_boolean,
    Kind.FLOAT64: _parse_float,
}


def _short(cell: str) -> str:
    """Return `cell` as it stands in an error, cut to 40 characters."""
    return repr(cell if len(cell) <= 40 else cell[:37] + "...")


def _bounded(value: int) -> int:
    if not -INT_MAX - 1 <= value <= INT_MAX:
        raise ValueError(f"{value} does not fit 64 bits")
    return value


def _finite(value: float) -> float:
    if not math.isfinite(value):
        raise ValueError(f"{value} is not a finite number")
    return value


def _milliseconds(moment: datetime.datetime) -> int:
    """Return milliseconds since the epoch; a time without offset is UTC."""
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=datetime.UTC)
    whole, rest = divmod(moment - _EPOCH, _MILLISECOND)
    if rest:
        raise ValueError(f"{moment.isoformat()} is finer than a millisecond")
    return whole


def _write_csv(path: Path, table: Table) -> None:
    """Write a CSV file with a header, one line per row, as RFC 4180 has it."""
    columns = [
        _format_column(column, values)
        for column, values in zip(table.schema.columns, table.columns, strict=True)
    ]
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file, lineterminator="\r\n")
        writer.writerow(table.schema.names)
        writer.writerows(zip(*columns, strict=True))


def _format_column(column: Column, values: list[Value]) -> list[str]:
    """Return the cells of one column as CSV text."""
    match column.kind:
        case Kind.DECIMAL if column.scale:
            return [_format_decimal(value, column.scale) for value in values]
        case Kind.TIMESTAMP:
            return [_format_timestamp(value) for value in values]
        case Kind.BOOLEAN:
            return ["" if value is None else str(value).lower() for value in values]
        case _:
            return ["" if value is None else str(value) for value in values]


def _format_decimal(value: Value, scale: int) -> str:
    if value is None:
        return ""
    units = int(value)
    digits = str(abs(units)).rjust(scale + 1, "0")
    return f"{'-' if units < 0 else ''}{digits[:-scale]}.{digits[-scale:]}"


def _format_timestamp(value: Value) -> str:
    if value is None:
        return ""
    moment = _EPOCH + int(value) * _MILLISECOND
    return moment.replace(tzinfo=None).isoformat(timespec="milliseconds") + "Z"


# --- Parquet -------------------------------------------------------------------------------------


def _read_parquet(path: Path, schema: Schema, other_columns: bool) -> Table:
    """Return the rows of a Parquet file."""
    arrow, parquet = require("pyarrow"), require("pyarrow.parquet")
    try:
        found = parquet.ParquetFile(path)
        _check_names(path.name, list(found.schema_arrow.names), schema, other_columns)
        table = found.read(columns=schema.names)
    except (arrow.ArrowException, OSError) as error:
        raise DatasetError(f"{path.name} is not a readable Parquet file: {error}") from error
    if table.num_rows == 0:
        raise DatasetError(f"{path.name} has no rows", "a data set needs at least one")
    columns = []
    for column in schema.columns:
        chunks = table.column(column.name)
        if chunks.null_count and not column.nullable:
            row = chunks.is_null().to_pylist().index(True)
            raise DatasetError(
                f"row {row}, column {column.name!r}: the cell is null and the column not nullable"
            )
        columns.append(_arrow_values(arrow, column, chunks))
    return Table(schema, tuple(columns), table.num_rows)


def _arrow_values(arrow: Untyped, column: Column, chunks: Untyped) -> list[Value]:
    """Return the values of one Parquet column."""
    types = arrow.types
    if types.is_dictionary(chunks.type):
        chunks = chunks.cast(chunks.type.value_type)
    found = chunks.type
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
    scaled = cell * 10**column.scale
    units = int(scaled)
    if units != scaled or not -INT_MAX - 1 <= units <= INT_MAX:
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
