"""Values as text: how each kind of column is spelled in a file, and read back exactly.

Timestamps are ISO 8601; without an offset they are UTC. Nothing is rounded: a decimal with more
digits than its scale, or a time finer than a millisecond, is refused.
"""

import datetime
import math
import re
from collections.abc import Callable

from cairn.learning.schemas import Column, Kind
from cairn.primitives.encoding import INT_MAX

Value = int | str | bool | float | None
"""A cell: decimals as integer units, timestamps as milliseconds since the epoch."""

CELL_SIZE_CHARS_MAX = 1_000_000

INTEGER_PATTERN = r"[+-]?[0-9]{1,19}"
FLOAT_PATTERN = r"[+-]?(?:[0-9]+(?:\.[0-9]*)?|\.[0-9]+)(?:[eE][+-]?[0-9]{1,3})?"
_INTEGER = re.compile(INTEGER_PATTERN)
_DECIMAL = re.compile(r"([+-]?)([0-9]{1,19})(?:\.([0-9]{1,18}))?")
_FLOAT = re.compile(FLOAT_PATTERN)
_BOOLEANS = {"true": True, "false": False, "1": True, "0": False}
_EPOCH = datetime.datetime(1970, 1, 1, tzinfo=datetime.UTC)
_MILLISECOND = datetime.timedelta(milliseconds=1)


def parse(column: Column, cell: str) -> Value:
    """Return the value that `cell` spells in `column`, which is not of text.

    Raises:
        ValueError: It spells none; the message says what is wrong with it.
    """
    return _PARSERS[column.kind](cell, column.scale)


def _parse_integer(cell: str, _scale: int) -> int:
    if not _INTEGER.fullmatch(cell):
        raise ValueError(f"{short(cell)} is not an integer")
    return bounded(int(cell))


def _parse_decimal(cell: str, scale: int) -> int:
    match = _DECIMAL.fullmatch(cell)
    if not match:
        raise ValueError(f"{short(cell)} is not a decimal number")
    sign, whole, fraction = match.groups()
    digits = (fraction or "").rstrip("0")
    if len(digits) > scale:
        raise ValueError(f"{short(cell)} has more than {scale} digits after the point")
    units = int(whole + digits.ljust(scale, "0"))
    return bounded(-units if sign == "-" else units)


def _parse_timestamp(cell: str, _scale: int) -> int:
    try:
        moment = datetime.datetime.fromisoformat(cell)
    except ValueError as error:
        raise ValueError(f"{short(cell)} is not an ISO 8601 time") from error
    return milliseconds(moment)


def _parse_boolean(cell: str, _scale: int) -> bool:
    value = _BOOLEANS.get(cell.lower())
    if value is None:
        raise ValueError(f"{short(cell)} is not true, false, 1 or 0")
    return value


def _parse_float(cell: str, _scale: int) -> float:
    if not _FLOAT.fullmatch(cell):
        raise ValueError(f"{short(cell)} is not a finite number")
    return _finite(float(cell))


_PARSERS: dict[Kind, Callable[[str, int], Value]] = {
    Kind.INTEGER: _parse_integer,
    Kind.DECIMAL: _parse_decimal,
    Kind.TIMESTAMP: _parse_timestamp,
    Kind.BOOLEAN: _parse_boolean,
    Kind.FLOAT64: _parse_float,
}


def short(cell: str) -> str:
    """Return `cell` as it stands in an error, cut to 40 characters."""
    return repr(cell if len(cell) <= 40 else cell[:37] + "...")


def bounded(value: int) -> int:
    """Return `value`, which must fit 64 signed bits."""
    if not -INT_MAX - 1 <= value <= INT_MAX:
        raise ValueError(f"{value} does not fit 64 bits")
    return value


def _finite(value: float) -> float:
    if not math.isfinite(value):
        raise ValueError(f"{value} is not a finite number")
    return value


def milliseconds(moment: datetime.datetime) -> int:
    """Return milliseconds since the epoch; a time without offset is UTC."""
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=datetime.UTC)
    whole, rest = divmod(moment - _EPOCH, _MILLISECOND)
    if rest:
        raise ValueError(f"{moment.isoformat()} is finer than a millisecond")
    return whole


def format_column(column: Column, values: list[Value]) -> list[str]:
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
