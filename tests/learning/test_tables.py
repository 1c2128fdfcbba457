"""Reading data files: what fits is read exactly, what does not names its row and its column."""

import datetime
import decimal
import importlib
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cairn.learning import extras
from cairn.learning.errors import DatasetError, MissingExtraError
from cairn.learning.schemas import Column, Kind, Schema
from cairn.learning.tables import Table, Value, read_table, write_table


def read_csv(folder: Path, text: str | bytes, *columns: Column) -> list[list[Value]]:
    path = folder / "data.csv"
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return list(read_table(path, Schema(columns)).columns)


def read_parquet(folder: Path, array: pa.Array, column: Column) -> list[Value]:
    path = folder / "data.parquet"
    pq.write_table(pa.table({column.name: array}), path)
    return read_table(path, Schema((column,))).columns[0]


@pytest.mark.parametrize(
    ("kind", "scale", "cell", "value"),
    [
        (Kind.INTEGER, 0, "-007", -7),
        (Kind.INTEGER, 0, "9223372036854775807", 2**63 - 1),
        (Kind.DECIMAL, 2, "12.5", 1250),
        (Kind.DECIMAL, 2, "-0.05", -5),
        (Kind.DECIMAL, 2, "3", 300),
        (Kind.DECIMAL, 2, "1.500000", 150),
        (Kind.TEXT, 0, "a,b\nc", "a,b\nc"),
        (Kind.TIMESTAMP, 0, "1970-01-01T00:00:01Z", 1000),
        (Kind.TIMESTAMP, 0, "1970-01-01 00:00:00.001", 1),
        (Kind.TIMESTAMP, 0, "1970-01-01T01:00:00+01:00", 0),
        (Kind.TIMESTAMP, 0, "1969-12-31T23:59:59.999Z", -1),
        (Kind.BOOLEAN, 0, "True", True),
        (Kind.BOOLEAN, 0, "0", False),
        (Kind.FLOAT64, 0, "-1.5e3", -1500.0),
    ],
)
def test_cells_are_read_as_their_kind(
    tmp_path: Path, kind: Kind, scale: int, cell: str, value: Value
) -> None:
    columns = read_csv(tmp_path, f'x\n"{cell}"\n', Column("x", kind, scale))
    assert columns == [[value]]
    assert type(columns[0][0]) is type(value)


@pytest.mark.parametrize(
    ("kind", "cell", "message"),
    [
        (Kind.INTEGER, "1_000", "is not an integer"),
        (Kind.INTEGER, "12a", "is not an integer"),
        (Kind.INTEGER, " 1", "is not an integer"),
        (Kind.INTEGER, "٣", "is not an integer"),
        (Kind.INTEGER, "9223372036854775808", "does not fit 64 bits"),
        (Kind.DECIMAL, "1.234", "more than 2 digits"),
        (Kind.DECIMAL, "1e3", "is not a decimal"),
        (Kind.DECIMAL, "9223372036854775807", "does not fit 64 bits"),
        (Kind.TIMESTAMP, "yesterday", "is not an ISO 8601 time"),
        (Kind.TIMESTAMP, "2026-01-01T00:00:00.0005", "finer than a millisecond"),
        (Kind.BOOLEAN, "2", "is not true, false"),
        (Kind.FLOAT64, "nan", "is not a finite number"),
        (Kind.FLOAT64, "inf", "is not a finite number"),
        (Kind.FLOAT64, "1e999", "is not a finite number"),
        (Kind.INTEGER, "", "is empty and the column not nullable"),
        (Kind.INTEGER, "x" * 100, r"\.\.\.' is not an integer"),
    ],
)
def test_cells_of_another_kind_name_row_line_and_column(
    tmp_path: Path, kind: Kind, cell: str, message: str
) -> None:
    good = {Kind.TIMESTAMP: "2026-01-01", Kind.BOOLEAN: "1"}.get(kind, "1")
    columns = (Column("t", Kind.TEXT), Column("x", kind, 2 if kind is Kind.DECIMAL else 0))
    with pytest.raises(DatasetError, match=message) as caught:
        read_csv(tmp_path, f't,x\n"two\nlines",{good}\na,{cell}\n', *columns)
    assert str(caught.value).startswith("row 1 (line 4), column 'x': ")


def test_empty_cells_are_null_or_empty_text(tmp_path: Path) -> None:
    columns = read_csv(
        tmp_path,
        "a,b,c\n,,\n",
        Column("a", Kind.INTEGER, nullable=True),
        Column("b", Kind.TEXT, nullable=True),
        Column("c", Kind.TEXT),
    )
    assert columns == [[None], [None], [""]]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "is empty"),
        (b"x,y\n", "has no rows"),
        (b"x\n1\n", "no column 'y'"),
        (b"x,y,z\n1,2,3\n", "unknown column 'z'"),
        (b"y,x\n1,2\n", "in another order"),
        (b"x,y,y\n1,2,3\n", "column 'y' twice"),
        (b"x,y\n1,2\n1\n", "line 3: 1 cells where the header has 2"),
        (b"x,y\n1,2\n\n", "line 3: 0 cells"),
        (b"x,y\n1,\xff\n", "is not UTF-8"),
        (b'x,y\n1,"2\n', "after line"),
        (b'x,y\n1,"2"3\n', "after line"),
    ],
)
def test_files_of_another_form_are_refused(tmp_path: Path, content: bytes, message: str) -> None:
    with pytest.raises(DatasetError, match=message):
        read_csv(tmp_path, content, Column("x", Kind.INTEGER), Column("y", Kind.TEXT))


def test_a_byte_order_mark_is_skipped(tmp_path: Path) -> None:
    assert read_csv(tmp_path, b"\xef\xbb\xbfx\r\n1\r\n", Column("x", Kind.INTEGER)) == [[1]]


def test_files_that_are_not_there_or_of_another_sort(tmp_path: Path) -> None:
    schema = Schema((Column("x", Kind.INTEGER),))
    with pytest.raises(DatasetError, match="no file"):
        read_table(tmp_path / "none.csv", schema)
    (tmp_path / "x.xls").write_bytes(b"1")
    with pytest.raises(DatasetError, match=r"neither \.csv nor .* \.parquet"):
        read_table(tmp_path / "x.xls", schema)
    (tmp_path / "x.parquet").write_bytes(b"PAR1 but not really")
    with pytest.raises(DatasetError, match="not a readable Parquet file"):
        read_table(tmp_path / "x.parquet", schema)


def test_other_columns_can_be_passed_over(tmp_path: Path) -> None:
    path = tmp_path / "data.csv"
    path.write_text("z,y,x\n1,b,3\n")
    schema = Schema((Column("x", Kind.INTEGER), Column("y", Kind.TEXT)))
    assert read_table(path, schema, other_columns=True).columns == ([3], ["b"])
    pq.write_table(pa.table({"z": [1], "y": ["b"], "x": [3]}), tmp_path / "data.parquet")
    found = read_table(tmp_path / "data.parquet", schema, other_columns=True)
    assert found.columns == ([3], ["b"])


MOMENT = datetime.datetime(2026, 1, 2, 3, 4, 5, 678_000, tzinfo=datetime.UTC)
MOMENT_MS = 1_767_323_045_678


@pytest.mark.parametrize(
    ("array", "column", "values"),
    [
        (pa.array([1, 255], pa.uint8()), Column("x", Kind.INTEGER), [1, 255]),
        (pa.array([1.25, 206.65]), Column("x", Kind.DECIMAL, 2), [125, 20665]),
        (pa.array([3, None]), Column("x", Kind.DECIMAL, 2, nullable=True), [300, None]),
        (pa.array([0.5, None]), Column("x", Kind.DECIMAL, 1, nullable=True), [5, None]),
        (pa.array([decimal.Decimal("1.5")]), Column("x", Kind.DECIMAL, 3), [1500]),
        (pa.array(["a", "b"]).dictionary_encode(), Column("x", Kind.TEXT), ["a", "b"]),
        (pa.array(["a"], pa.large_string()), Column("x", Kind.TEXT), ["a"]),
        (pa.array([True, None]), Column("x", Kind.BOOLEAN, nullable=True), [True, None]),
        (pa.array([1, 0], pa.int8()), Column("x", Kind.BOOLEAN), [True, False]),
        (pa.array([MOMENT], pa.timestamp("us")), Column("x", Kind.TIMESTAMP), [MOMENT_MS]),
        (pa.array([MOMENT], pa.timestamp("ns", "UTC")), Column("x", Kind.TIMESTAMP), [MOMENT_MS]),
        (pa.array([7], pa.timestamp("s")), Column("x", Kind.TIMESTAMP), [7000]),
        (pa.array([0.1, None]), Column("x", Kind.FLOAT64, nullable=True), [0.1, None]),
    ],
)
def test_parquet_columns_are_read_as_their_kind(
    tmp_path: Path, array: pa.Array, column: Column, values: list[Value]
) -> None:
    assert read_parquet(tmp_path, array, column) == values


@pytest.mark.parametrize(
    ("array", "column", "message"),
    [
        (pa.array([1, None]), Column("x", Kind.INTEGER), "row 1, column 'x': the cell is null"),
        (pa.array(["1"]), Column("x", Kind.INTEGER), "holds string, which is not integer"),
        (pa.array([0.0, float("nan")]), Column("x", Kind.FLOAT64), "row 1, .* not a finite"),
        (pa.array([float("inf")]), Column("x", Kind.DECIMAL, 2), "row 0, .* not a finite"),
        (pa.array([1.0, 1.005]), Column("x", Kind.DECIMAL, 2), "row 1, .* decimal of scale 2"),
        (pa.array([1e17]), Column("x", Kind.DECIMAL, 2), "row 0, .* decimal of scale 2"),
        (pa.array([2**62]), Column("x", Kind.DECIMAL, 2), "row 0, .* decimal of scale 2"),
        (pa.array([2**63], pa.uint64()), Column("x", Kind.INTEGER), "does not fit 64 bits"),
        (pa.array([1, 2]), Column("x", Kind.BOOLEAN), "row 1, .* 2 is not 0 or 1"),
        (pa.array([1500], pa.timestamp("us")), Column("x", Kind.TIMESTAMP), "finer than a milli"),
        (pa.array([], pa.int64()), Column("x", Kind.INTEGER), "has no rows"),
    ],
)
def test_parquet_columns_of_another_kind_are_refused(
    tmp_path: Path, array: pa.Array, column: Column, message: str
) -> None:
    with pytest.raises(DatasetError, match=message):
        read_parquet(tmp_path, array, column)


INT64 = st.integers(-(2**63), 2**63 - 1)
TIMES = st.integers(-62_135_596_800_000, 253_402_300_799_999)
ROUND_TRIP = Schema(
    (
        Column("i", Kind.INTEGER),
        Column("d", Kind.DECIMAL, 3),
        Column("t", Kind.TIMESTAMP),
        Column("s", Kind.TEXT),
        Column("b", Kind.BOOLEAN, nullable=True),
        Column("f", Kind.FLOAT64, nullable=True),
    )
)


@settings(max_examples=40, deadline=None)
@given(
    rows=st.lists(
        st.tuples(
            INT64,
            INT64,
            TIMES,
            st.text(st.characters(codec="utf-8", exclude_characters="\0"), max_size=20),
            st.none() | st.booleans(),
            st.none() | st.floats(allow_nan=False, allow_infinity=False),
        ),
        min_size=1,
        max_size=20,
    ),
    suffix=st.sampled_from(["csv", "parquet"]),
)
def test_what_is_written_is_read_back(
    tmp_path_factory: pytest.TempPathFactory, rows: list[tuple[Value, ...]], suffix: str
) -> None:
    path = tmp_path_factory.mktemp("tables") / f"data.{suffix}"
    columns: tuple[list[Value], ...] = tuple(list(column) for column in zip(*rows, strict=True))
    table = Table(ROUND_TRIP, columns, len(rows))
    write_table(path, table)
    assert read_table(path, ROUND_TRIP) == table


def test_a_missing_package_says_how_to_install_it(monkeypatch: pytest.MonkeyPatch) -> None:
    def absent(name: str) -> None:
        raise ModuleNotFoundError(f"No module named {name!r}", name="pyarrow")

    monkeypatch.setattr(importlib, "import_module", absent)
    with pytest.raises(MissingExtraError, match="'pyarrow', which is not installed") as caught:
        extras.require("pyarrow.parquet")
    assert "pip install 'cairn-ledger[learning]'" in caught.value.hint
