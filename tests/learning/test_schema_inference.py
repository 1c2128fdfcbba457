"""The schema of a stranger's file, and that reading with it works."""

from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from ruamel.yaml import YAML

from cairn.learning.errors import DatasetError
from cairn.learning.schema_inference import infer_schema
from cairn.learning.schemas import Column, Kind, Schema, schema_from_mapping
from cairn.learning.tables import Table, Value, read_table, write_table


def infer(folder: Path, text: str, name: str = "data.csv", **roles: str) -> Schema:
    path = folder / name
    path.write_text(text)
    return infer_schema(path, **roles)


@pytest.mark.parametrize(
    ("cells", "kind", "scale", "nullable"),
    [
        (["1", "-7", "0"], Kind.INTEGER, 0, False),
        (["1", "", "3"], Kind.INTEGER, 0, True),
        (["1.50", "2", "-0.125"], Kind.DECIMAL, 3, False),
        (["1.0", "2.000"], Kind.DECIMAL, 0, False),
        (["1e3", "2.5"], Kind.FLOAT64, 0, False),
        (["1234567890123456789012", "1"], Kind.FLOAT64, 0, False),
        (["12345678901.12345678901", "1"], Kind.FLOAT64, 0, False),
        (["2026-01-02", "2026-01-02T03:04:05Z"], Kind.TIMESTAMP, 0, False),
        (["2026-13-02", "2026-01-02"], Kind.TEXT, 0, False),
        (["true", "False"], Kind.BOOLEAN, 0, False),
        (["01234", "99999"], Kind.TEXT, 0, False),
        (["a", ""], Kind.TEXT, 0, True),
        (["", ""], Kind.TEXT, 0, True),
        (["NA", "1", "2", "n/a"], Kind.INTEGER, 0, False),
        ([*["7"] * 99, "seven"], Kind.INTEGER, 0, False),
        ([*["7"] * 9, "seven"], Kind.TEXT, 0, False),
    ],
)
def test_kinds_of_columns(
    tmp_path: Path, cells: list[str], kind: Kind, scale: int, nullable: bool
) -> None:
    schema = infer(tmp_path, "k,x\n" + "".join(f"a,{cell}\n" for cell in cells))
    assert schema.columns[1] == Column("x", kind, scale, nullable)


def test_json_says_itself_what_is_text(tmp_path: Path) -> None:
    rows = '{"code": "12", "n": 12, "b": true}\n{"n": null, "code": "7", "b": false, "new": 1.5}\n'
    schema = infer(tmp_path, rows, "data.ndjson")
    assert schema.columns == (
        Column("code", Kind.TEXT),
        Column("n", Kind.INTEGER, 0, nullable=True),
        Column("b", Kind.BOOLEAN),
        Column("new", Kind.DECIMAL, 1, nullable=True),
    )
    assert read_table(tmp_path / "data.ndjson", schema).column("code") == ["12", "7"]


def test_parquet_columns_have_the_kind_of_their_type(tmp_path: Path) -> None:
    table = pa.table(
        {
            "i": pa.array([1, None], pa.uint8()),
            "f": pa.array([1.5, 2.5], pa.float32()),
            "s": pa.array(["a", "b"]).dictionary_encode(),
            "d": pa.array([0, 1], pa.date32()),
            "n": pa.nulls(2),
        }
    )
    pq.write_table(table, tmp_path / "data.parquet")
    schema = infer_schema(tmp_path / "data.parquet")
    kinds = [(column.kind.value, column.nullable) for column in schema.columns]
    assert kinds == [
        ("integer", True),
        ("float64", False),
        ("text", False),
        ("timestamp", False),
        ("text", True),
    ]
    found = read_table(tmp_path / "data.parquet", schema)
    assert found.column("d") == [0, 86_400_000]
    assert found.column("n") == [None, None]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("a,b,a\n1,2,3\n", "the column 'a' twice"),
        ("a,,b\n1,2,3\n", "column 2 of data.csv has no name"),
        ("a;b\n1;2\n", "separate the cells by commas|one column"),
        ("A11,6,A34,1169\nA12,48,A32,5951\n", "looks like a row"),
        ("1,2\n3,4\n", "looks like a row"),
        ("a,b\n", "has no rows"),
        (",".join(f"c{n}" for n in range(10_000)) + "\n1\n", "has 10000 columns, a data set has"),
    ],
)
def test_files_that_no_schema_fits(tmp_path: Path, text: str, message: str) -> None:
    with pytest.raises(DatasetError, match=message):
        infer(tmp_path, text)


def test_label_and_subject_have_to_be_columns(tmp_path: Path) -> None:
    assert infer(tmp_path, "who,x\na,1\n", subject="who").subject == "who"
    with pytest.raises(DatasetError, match="no column 'y', which is to be the label"):
        infer(tmp_path, "who,x\na,1\n", label="y")
    with pytest.raises(DatasetError, match="'who' cannot be nullable"):
        infer(tmp_path, "who,x\n,1\n", subject="who")


def test_parquet_of_lists_says_which_column(tmp_path: Path) -> None:
    pq.write_table(pa.table({"a": [1], "l": [[1, 2]]}), tmp_path / "data.parquet")
    with pytest.raises(DatasetError, match="column 'l' holds list"):
        infer_schema(tmp_path / "data.parquet")


def test_a_schema_survives_its_yaml(tmp_path: Path) -> None:
    schema = Schema(
        (Column("a: 'b\"\n", Kind.DECIMAL, 2, nullable=True), Column("who", Kind.TEXT)), "who"
    )
    assert schema_from_mapping(YAML(typ="safe", pure=True).load(schema.to_yaml())) == schema


TEXTS = st.text(st.characters(codec="utf-8", exclude_characters="\0\r"), min_size=1, max_size=8)


@settings(max_examples=25, deadline=None)
@given(
    rows=st.lists(
        st.tuples(
            st.integers(-(2**63), 2**63 - 1),
            st.none() | st.floats(allow_nan=False, allow_infinity=False),
            TEXTS,
            st.none() | st.booleans(),
        ),
        min_size=1,
        max_size=8,
    ),
    suffix=st.sampled_from(["csv", "ndjson", "json", "parquet"]),
)
def test_what_is_inferred_reads_the_file(
    tmp_path_factory: pytest.TempPathFactory, rows: list[tuple[Value, ...]], suffix: str
) -> None:
    """Unless a few cells of another sort are refused by their row."""
    columns = (
        Column("i", Kind.INTEGER),
        Column("f", Kind.FLOAT64, nullable=True),
        Column("s", Kind.TEXT),
        Column("b", Kind.BOOLEAN, nullable=True),
    )
    path = tmp_path_factory.mktemp("inference") / f"data.{suffix}"
    cells: tuple[list[Value], ...] = tuple(list(one) for one in zip(*rows, strict=True))
    write_table(path, Table(Schema(columns), cells, len(rows)))
    table = read_table(path, infer_schema(path))
    assert table.row_count == len(rows)
    assert table.column("i") == cells[0]
