"""JSON data files: the same strictness as CSV and Parquet, errors by row, line and column."""

from pathlib import Path

import pytest

from cairn.learning.errors import DatasetError
from cairn.learning.schemas import Column, Kind, Schema
from cairn.learning.tables import Value, read_table

SCHEMA = Schema(
    (
        Column("n", Kind.INTEGER),
        Column("d", Kind.DECIMAL, 2, nullable=True),
        Column("t", Kind.TEXT, nullable=True),
        Column("b", Kind.BOOLEAN, nullable=True),
        Column("at", Kind.TIMESTAMP, nullable=True),
    )
)


def read(folder: Path, text: str | bytes, name: str = "data.ndjson") -> list[list[Value]]:
    path = folder / name
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return list(read_table(path, SCHEMA).columns)


ROWS = (
    '{"n": 1, "d": 12.5, "t": "a\\n\\u00e9", "b": true, "at": "1970-01-01T00:00:01Z"}',
    '{"b": null, "t": "", "d": "0.05", "n": -2}',
)
VALUES = [[1, -2], [1250, 5], ["a\né", ""], [True, None], [1000, None]]


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("data.ndjson", ROWS[0] + "\n\n" + ROWS[1] + "\n"),
        ("data.jsonl", "\ufeff" + ROWS[0] + "\r\n" + ROWS[1]),
        ("data.json", "[" + ROWS[0] + " ,\n" + ROWS[1] + "]\n"),
        ("data.json", ROWS[0].replace(", ", ",\n ") + "\n" + ROWS[1]),
    ],
)
def test_lines_arrays_and_objects_in_a_row_are_read_alike(
    tmp_path: Path, name: str, text: str
) -> None:
    assert read(tmp_path, text, name) == VALUES


def test_large_integers_and_decimals_stay_exact(tmp_path: Path) -> None:
    columns = read(tmp_path, '{"n": 9223372036854775807, "d": 90071992547409.93}\n')
    assert columns[0] == [2**63 - 1]
    assert columns[1] == [9007199254740993]


@pytest.mark.parametrize(
    ("second", "message"),
    [
        ('{"n": 1.5}', r"row 1 \(line 2\), column 'n': '1.5' is not an integer"),
        ('{"n": "x"}', "column 'n': 'x' is not an integer"),
        ('{"n": true}', "column 'n': true is not an integer"),
        ('{"n": null}', "column 'n': the value is null"),
        ('{"t": "x"}', "column 'n': the value is missing"),
        ('{"n": NaN}', "column 'n': NaN is not a value"),
        ('{"n": 1, "d": -Infinity}', "column 'd': -Infinity is not a value"),
        ('{"n": {"x": 1}}', "column 'n': an object is not a value"),
        ('{"n": [1]}', "column 'n': an array is not a value"),
        ('{"n": 1, "t": 5}', "column 't': the number '5' is not a text"),
        ('{"n": 1, "t": "\\ud800"}', "column 't': the text holds half a character"),
        ('{"n": 1, "at": 5}', "column 'at': the number '5' is not an ISO 8601 time"),
        ('{"n": 1, "d": 1.005}', "column 'd': '1.005' has more than 2 digits"),
        ('{"n": 9223372036854775808}', "does not fit 64 bits"),
        ('{"n": ' + "9" * 10_000 + "}", "column 'n': .* is not an integer"),
        ('{"n": 1, "x": 2}', r"row 1 \(line 2\) has the unknown key 'x'"),
        ('{"n": 1, "n": 2}', r"row 1 \(line 2\): the key 'n' stands twice"),
        ("[1]", r"row 1 \(line 2\): an array stands where an object should"),
        ("3", r"row 1 \(line 2\): '3' stands where an object should"),
        ('{"n": 1', "line 2, column"),
        ('{"n": 1} {"n": 2}', "line 2, column 10: Extra data"),
        ('{"n":' * 100_000, "line 2"),
    ],
)
def test_what_is_wrong_names_row_line_and_column(tmp_path: Path, second: str, message: str) -> None:
    with pytest.raises(DatasetError, match=message):
        read(tmp_path, '{"n": 0}\n' + second + "\n")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("[]", "has no rows"),
        ("  ", "has no rows"),
        ('[{"n": 1}', "array is not closed"),
        ('[{"n": 1},', "array is not closed"),
        ('[{"n": 1},]', "a comma without a row"),
        ('[{"n": 1} {"n": 2}]', "array is not closed"),
        ('[{"n": 1}] x', "follows after the array"),
        ('{"rows": [{"n": 1}]}', "unknown key 'rows'"),
        ("[" * 200_000, "too deep|line 1"),
        (b'[{"n": 1, "t": "\xff"}]', "not UTF-8"),
        (b"", "is empty"),
    ],
)
def test_documents_of_another_form_are_refused(
    tmp_path: Path, text: str | bytes, message: str
) -> None:
    with pytest.raises(DatasetError, match=message):
        read(tmp_path, text, "data.json")
