"""Whatever a data file holds, it is read or refused with a `DatasetError`; nothing else happens."""

import contextlib
import io
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from cairn.learning.errors import DatasetError
from cairn.learning.quality.measure import Roles, measure_quality
from cairn.learning.schema_inference import infer_schema
from cairn.learning.tables import read_table


def parquet_bytes() -> bytes:
    table = pa.table(
        {
            "n": pa.array([1, 2, None] * 40),
            "t": pa.array(["é", "b", "c"] * 40),
            "f": pa.array([0.5, 1.5, 2.5] * 40),
            "at": pa.array([1, 2, 3] * 40, pa.timestamp("ms")),
        }
    )
    buffer = io.BytesIO()
    pq.write_table(table, buffer)
    return buffer.getvalue()


PARQUET = parquet_bytes()


def look_at(path: Path) -> None:
    """Infer, read and measure; only `DatasetError` may come out."""
    with contextlib.suppress(DatasetError):
        schema = infer_schema(path)
        with contextlib.suppress(DatasetError):
            read_table(path, schema)
    with contextlib.suppress(DatasetError):
        measure_quality(path)


@settings(max_examples=40, deadline=None)
@given(place=st.integers(0, len(PARQUET) - 1), value=st.integers(0, 255), cut=st.booleans())
def test_damaged_parquet(
    tmp_path_factory: pytest.TempPathFactory, place: int, value: int, cut: bool
) -> None:
    damaged = PARQUET[:place] if cut else PARQUET[:place] + bytes((value,)) + PARQUET[place + 1 :]
    path = tmp_path_factory.mktemp("damaged") / "data.parquet"
    path.write_bytes(damaged)
    look_at(path)


PIECES = st.lists(
    st.sampled_from(
        [
            b"a",
            b"1",
            b",",
            b"\n",
            b"\r\n",
            b"\r",
            b'"',
            b'""',
            b"\xef\xbb\xbf",
            b"\xff",
            b"\0",
            b"\xc3\xa9",
            b" ",
            b"1e5",
            b"-",
            b"nan",
            b"2026-01-02",
            b"true",
            b"\xed\xa0\x80",
        ]
    ),
    max_size=30,
)


@settings(max_examples=60, deadline=None)
@given(pieces=PIECES)
@example(pieces=[b"a,b\n", b'"x\ny"', b",1\n"])
@example(pieces=[b"\xef\xbb\xbf", b'"a"', b"\r\n", b"1"])
def test_strange_csv(tmp_path_factory: pytest.TempPathFactory, pieces: list[bytes]) -> None:
    path = tmp_path_factory.mktemp("strange") / "data.csv"
    path.write_bytes(b"".join(pieces))
    look_at(path)


JSON_PIECES = st.lists(
    st.sampled_from(
        [
            b'{"a":',
            b"1",
            b"}",
            b",",
            b"\n",
            b"[",
            b"]",
            b'"b":',
            b'"x"',
            b"null",
            b"true",
            b"NaN",
            b"-1e999",
            b'"\\ud800"',
            b"{}",
            b"\xff",
            b'{"a":1}',
            b'{"b":[]}',
            b"\xef\xbb\xbf",
        ]
    ),
    max_size=20,
)


@settings(max_examples=60, deadline=None)
@given(pieces=JSON_PIECES, suffix=st.sampled_from(["json", "ndjson"]))
@example(pieces=[b'{"a":1}\n{"b":2}\n{"c":"\\u0000"}'], suffix="ndjson")
@example(pieces=[b'{"\\ud800":1}'], suffix="json")
def test_strange_json(
    tmp_path_factory: pytest.TempPathFactory, pieces: list[bytes], suffix: str
) -> None:
    path = tmp_path_factory.mktemp("strange") / f"data.{suffix}"
    path.write_bytes(b"".join(pieces))
    look_at(path)


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("cut.parquet", PARQUET[:-20], "is not a readable Parquet file"),
        ("cut.parquet", PARQUET[: len(PARQUET) // 2], "is not a readable Parquet file"),
        ("wide.csv", b"a," * 10_000 + b"a\n", "columns"),
        ("cell.csv", b'a\n"' + b"x" * 1_100_000 + b'"\n', "field larger than"),
        (
            "mixed.csv",
            "a,b\né,1\n".encode() + "é,2\n".encode("latin-1"),
            "not UTF-8: line 3, byte 1",
        ),
        ("deep.json", b'{"a":' * 100_000, "too deep"),
        ("deep.ndjson", b'{"x":1}\n' + b"[" * 100_000, "line 2"),
        ("bomb.json", b'{"a":' + b"9" * 100_000 + b"}", ""),
        ("utf16.csv", "a,b\n1,2\n".encode("utf-16"), "not UTF-8"),
    ],
)
def test_named_attacks(tmp_path: Path, name: str, content: bytes, message: str) -> None:
    path = tmp_path / name
    path.write_bytes(content)
    if message:
        with pytest.raises(DatasetError, match=message):
            infer_schema(path)
    look_at(path)


def test_values_that_look_like_queries_are_only_values(tmp_path: Path) -> None:
    path = tmp_path / "data.csv"
    rows = "".join(f"'); DROP TABLE raw; --,{n % 2},x'y\n" for n in range(40))
    path.write_text('a\'); DROP TABLE t; --,"y""",z\n' + rows)
    report = measure_quality(path, roles=Roles('y"'))
    assert report.row_count == 40
    assert [one.distinct for one in report.columns] == [1, 2, 1]
    assert measure_quality(path, roles=Roles("z")).figures["leaks"] is None
