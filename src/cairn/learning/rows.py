"""The rows of CSV and JSON files as they are spelled, one after the other, with their lines.

CSV is UTF-8 (a byte order mark is skipped) with a header line. JSON is UTF-8: objects one after
the other, usually one on each line (`.ndjson`, `.jsonl`, `.json`), or one array of objects
(`.json`). Numbers stay as they are spelled, so that nothing is rounded on the way.
"""

import csv
import io
import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

from cairn.learning.errors import DatasetError
from cairn.learning.values import CELL_SIZE_CHARS_MAX, short

CSV_SUFFIXES = (".csv",)
LINE_SUFFIXES = (".ndjson", ".jsonl")
JSON_SUFFIXES = (".json", *LINE_SUFFIXES)
PARQUET_SUFFIXES = (".parquet", ".pq")
_BLANKS = " \t\r\n"

OnBytes = Callable[[int], None]
"""Told now and then how many bytes of the file were read."""


class NumberText(str):
    """A number of a JSON file, as it is spelled there."""

    __slots__ = ()


class NoValue(str):
    """What stands in a JSON file where a value should: `NaN`, an object, an array."""

    __slots__ = ()


Cell = str | NumberText | NoValue | bool | None


@dataclass(frozen=True, slots=True)
class JsonRow:
    """One object of a JSON file."""

    line: int
    """In which it begins, from 1."""
    cells: dict[str, Cell]


class _Pairs(list[tuple[str, Any]]):
    """The keys and values of a JSON object, keys that stand twice included."""


def check_file(path: Path) -> str:
    """Return the suffix of a data file that is there and has a known one.

    Raises:
        DatasetError: There is no file, or its suffix is not one of a data file.
    """
    suffix = path.suffix.lower()
    if not path.is_file():
        raise DatasetError(f"there is no file {path}")
    if suffix not in (*CSV_SUFFIXES, *JSON_SUFFIXES, *PARQUET_SUFFIXES):
        raise DatasetError(
            f"{path.name} is neither .csv nor .json, .ndjson, .jsonl nor .parquet",
            "convert it to one of them",
        )
    if path.stat().st_size == 0:
        raise DatasetError(f"{path.name} is empty", "a data set needs columns and one row")
    return suffix


def csv_rows(path: Path, on_bytes: OnBytes | None = None) -> Iterator[tuple[int, list[str]]]:
    """Yield (line number, cells) of each row, and first the header with line number 0.

    Raises:
        DatasetError: The file is not CSV in UTF-8, or a row has more or fewer cells than the
            header; the message names the line.
    """
    csv.field_size_limit(CELL_SIZE_CHARS_MAX)
    line, width = 0, 0
    try:
        with path.open("rb") as raw, _text(raw) as file:
            reader = csv.reader(file, strict=True)
            for row in reader:
                if not line and not row:
                    raise DatasetError(
                        f"{path.name}: the first line is empty", "write the names of the columns"
                    )
                if line and len(row) != width:
                    raise DatasetError(
                        f"{path.name}, line {reader.line_num}: {len(row)} cells where the header "
                        f"has {width}",
                        "a cell that holds a comma or a line break must be quoted",
                    )
                width = width if line else len(row)
                yield line if line == 0 else reader.line_num, row
                line = reader.line_num
                if on_bytes is not None and line % 1024 == 0:
                    on_bytes(raw.tell())
        if not line:
            raise DatasetError(f"{path.name} is empty", "a data set needs columns and one row")
    except UnicodeDecodeError as error:
        raise _not_utf8(path) from error
    except csv.Error as error:
        raise DatasetError(
            f"{path.name}, after line {line}: {error}", "look for a quote that is not closed"
        ) from error


def json_rows(path: Path, on_bytes: OnBytes | None = None) -> Iterator[JsonRow]:
    """Yield each object of a JSON file.

    Raises:
        DatasetError: The file is not JSON in UTF-8, what stands there is no object, or a key
            stands twice in one; the message names row and line.
    """
    found = _lines(path, on_bytes) if path.suffix.lower() in LINE_SUFFIXES else _document(path)
    for number, (line, value) in enumerate(found):
        where = f"{path.name}, row {number} (line {line})"
        if not isinstance(value, _Pairs):
            raise DatasetError(
                f"{where}: {_described(value)} stands where an object should",
                'each row is an object such as {"amount": 12.5}',
            )
        cells = {key: _cell(cell) for key, cell in value}
        if len(cells) != len(value):
            seen: list[str] = []
            for key, _ in value:
                if key in seen:
                    raise DatasetError(f"{where}: the key {short(key)} stands twice")
                seen.append(key)
        yield JsonRow(line, cells)


def _lines(path: Path, on_bytes: OnBytes | None) -> Iterator[tuple[int, Any]]:
    """Yield (line, value) of a file with one JSON value on each line; blank lines are skipped."""
    number = 0
    try:
        with path.open("rb") as raw, _text(raw) as file:
            for number, text in enumerate(file, start=1):
                if text.strip(_BLANKS):
                    yield number, _decode(path, text, number)
                if on_bytes is not None and number % 1024 == 0:
                    on_bytes(raw.tell())
    except UnicodeDecodeError as error:
        raise _not_utf8(path) from error


def _document(path: Path) -> Iterator[tuple[int, Any]]:
    """Yield (line, value) of each element of an array, or of values one after the other."""
    try:
        text = path.read_bytes().decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise _not_utf8(path) from error
    place = _skip(text, 0)
    is_array = text.startswith("[", place)
    place, line, counted = _skip(text, place + is_array), 1, 0
    while place < len(text) and not (is_array and text[place] == "]"):
        line += text.count("\n", counted, place)
        counted = place
        value, place = _decode_at(path, text, place)
        yield line, value
        place = _skip(text, place)
        if is_array and text.startswith(",", place):
            place = _skip(text, place + 1)
            if text.startswith("]", place):
                raise DatasetError(f"{path.name}, line {line}: a comma without a row after it")
        elif is_array and not text.startswith("]", place):
            raise DatasetError(
                f"{path.name}, after line {line}: the array is not closed",
                "rows are separated by commas, and the file ends with ]",
            )
    if is_array and place >= len(text):
        raise DatasetError(f"{path.name}, after line {line}: the array is not closed")
    if is_array and _skip(text, place + 1) != len(text):
        raise DatasetError(f"{path.name}: something follows after the array")


def _decode(path: Path, text: str, line: int) -> Any:
    """Return the one value that a line spells."""
    try:
        return _decoder.decode(text)
    except json.JSONDecodeError as error:
        raise _malformed(path, line, error) from error
    except RecursionError as error:
        raise _too_deep(path, line) from error


def _decode_at(path: Path, text: str, place: int) -> tuple[Any, int]:
    """Return the value that begins at `place`, and where it ends."""
    try:
        return _decoder.raw_decode(text, place)
    except json.JSONDecodeError as error:
        raise _malformed(path, error.lineno, error) from error
    except RecursionError as error:
        raise _too_deep(path, text.count("\n", 0, place) + 1) from error


def _cell(value: Any) -> Cell:
    """Return a value of an object as a cell."""
    if value is None or isinstance(value, bool | str):
        return value
    return NoValue(_described(value))


def _described(value: Any) -> str:
    """Return what a JSON value is, in words."""
    if isinstance(value, _Pairs):
        return "an object"
    if isinstance(value, list):
        return "an array"
    return short(value) if isinstance(value, str) else "nothing" if value is None else str(value)


def _skip(text: str, place: int) -> int:
    """Return the first place from `place` on that is not blank."""
    while place < len(text) and text[place] in _BLANKS:
        place += 1
    return place


def _text(raw: BinaryIO) -> io.TextIOWrapper:
    """Return a binary file as UTF-8 text without its byte order mark, line ends as they are."""
    return io.TextIOWrapper(raw, encoding="utf-8-sig", newline="")


def _not_utf8(path: Path) -> DatasetError:
    """Return the error for a file that is not UTF-8; it names the line."""
    where = "a character at its end"
    with path.open("rb") as file:
        for number, line in enumerate(file, start=1):
            try:
                line.decode()
            except UnicodeDecodeError as error:
                where = f"line {number}, byte {error.start + 1}"
                break
    return DatasetError(f"{path.name} is not UTF-8: {where}", "save it as UTF-8")


def _malformed(path: Path, line: int, error: json.JSONDecodeError) -> DatasetError:
    return DatasetError(
        f"{path.name}, line {line}, column {error.colno}: {error.msg}",
        "one object on each line, or one array of objects",
    )


def _too_deep(path: Path, line: int) -> DatasetError:
    return DatasetError(
        f"{path.name}, line {line}: objects within objects, too deep to read",
        "a row is a flat object: names and values",
    )


_decoder = json.JSONDecoder(
    object_pairs_hook=_Pairs, parse_float=NumberText, parse_int=NumberText, parse_constant=NoValue
)
