"""The quality report: every figure against a file in which the truth is known."""

import json
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cairn.learning.errors import DatasetError
from cairn.learning.quality.measure import Roles, measure_quality
from cairn.learning.quality.report import (
    ColumnProfile,
    QualityReport,
    ReportError,
    report_commitment,
    report_from_json,
)
from cairn.learning.schemas import Column, Kind, Schema


def report_on(folder: Path, text: str, name: str = "data.csv", **roles: object) -> QualityReport:
    path = folder / name
    path.write_text(text)
    return measure_quality(path, roles=Roles(**roles))  # type: ignore[arg-type]


def column(report: QualityReport, name: str) -> ColumnProfile:
    return next(one for one in report.columns if one.name == name)


def codes(report: QualityReport) -> list[tuple[str, str]]:
    return [(one.code, one.column) for one in report.findings]


def test_missing_and_wrong_cells_are_counted_and_named(tmp_path: Path) -> None:
    rows = [f"{n},{n / 4},x" for n in range(96)]
    rows[7], rows[9], rows[50] = "seven,1.5,x", "9,NA,x", ",,"
    report = report_on(tmp_path, "n,d,t\n" + "\n".join(rows) + "\n")
    assert [column(report, name).missing for name in "ndt"] == [1, 1, 1]
    assert [column(report, name).type_errors for name in "ndt"] == [1, 1, 0]
    assert [column(report, name).kind for name in "ndt"] == ["integer", "decimal", "text"]
    texts = {one.column: one.text for one in report.findings if one.code == "type_errors"}
    assert "row 7: 'seven'" in texts["n"]
    assert "row 9: 'NA'" in texts["d"]
    assert "empty cell" in texts["d"]
    assert report.figures["missing_ppm"] == -(-3 * 1_000_000 // (96 * 3))


def test_a_schema_says_what_a_wrong_cell_is(tmp_path: Path) -> None:
    path = tmp_path / "data.csv"
    path.write_text("d,b\n1.25,1\n1.5,yes\n1.100,0\n1.,0\n99999999999999999999,0\n")
    schema = Schema((Column("d", Kind.DECIMAL, 1), Column("b", Kind.BOOLEAN)))
    report = measure_quality(path, schema)
    assert [one.type_errors for one in report.columns] == [3, 1]
    with pytest.raises(DatasetError, match="has the column 'b', which is unknown"):
        measure_quality(path, Schema((Column("d", Kind.DECIMAL, 1),)))


def test_constant_and_almost_empty_columns_are_junk(tmp_path: Path) -> None:
    rows = "".join(f"eur,{'x' if n == 3 else ''},{n % 2},\n" for n in range(200))
    report = report_on(tmp_path, "same,empty,fine,none\n" + rows)
    assert [one.junk for one in report.columns] == ["constant", "empty", "", "empty"]
    assert report.figures["junk_columns_ppm"] == 750_000


def test_exact_and_near_duplicates(tmp_path: Path) -> None:
    rows = ["1,Anna,1234", "2,bob,50", "3,ANNA,1231", "4,bob,51", "5,carl,7", "6,Carl,7.001"]
    report = report_on(tmp_path, "id,name,amount\n" + "\n".join(rows) + "\n")
    assert (report.duplicates, report.near_duplicates) == (0, 2)
    texts = [one.text for one in report.findings if one.code == "near_duplicates"]
    assert "row 2 as row 0" in texts[0]
    assert "row 5 as row 4" in texts[0]
    again = "name,amount\n" + "a,1\n" * 3 + "A,1\nb,2\n"
    report = report_on(tmp_path, again)
    assert (report.duplicates, report.near_duplicates) == (2, 1)


def test_three_digits_are_significant_digits() -> None:
    assert [f"{one:.2e}" for one in (1234.5, 0.0012345)] == ["1.23e+03", "1.23e-03"]


def test_outliers_are_more_than_six_mads_away(tmp_path: Path) -> None:
    # Median 0 and MAD 1, so 6 is let through and 7 is not.
    values = [-1] * 30 + [0] * 31 + [1] * 30 + [2] * 5 + [-2] * 5 + [6, -6, 7, -7, 1000]
    report = report_on(tmp_path, "x\n" + "\n".join(map(str, values)) + "\n")
    profile = column(report, "x")
    assert (profile.median, profile.mad, profile.outliers) == ("0", "1", 3)
    finding = next(one for one in report.findings if one.code == "outliers")
    assert "row 105: 1000" in finding.text


def test_a_mad_of_zero_is_said_and_not_divided_by(tmp_path: Path) -> None:
    report = report_on(tmp_path, "x\n" + "5\n" * 60 + "1\n2\n3\n999999\n")
    assert column(report, "x").outliers == 0
    assert ("mad_is_zero", "x") in codes(report)


def test_extremes_of_64_bits_do_not_overflow(tmp_path: Path) -> None:
    report = report_on(tmp_path, f"x\n{2**63 - 1}\n{-(2**63)}\n0\n1\n")
    profile = column(report, "x")
    assert (profile.minimum, profile.maximum) == (str(-(2**63)), str(2**63 - 1))
    floats = report_on(tmp_path, "x\n1.7e308\n-1.7e308\n0.5\n1e-300\n")
    assert column(floats, "x").maximum == "1.7e+308"


def test_names_that_are_empty_repeated_or_data_are_found(tmp_path: Path) -> None:
    report = report_on(tmp_path, ",a,a,A\n0,1,2,x\n1,3,4,y\n")
    assert [one.name for one in report.columns] == ["column 1", "a", "a (2)", "A"]
    assert {("unnamed_column", "column 1"), ("repeated_name", "a")} <= {*codes(report)}
    assert ("no_header", "") in codes(report_on(tmp_path, "1,2\n3,4\n"))


def test_json_and_parquet_give_the_figures_of_csv(tmp_path: Path) -> None:
    rows = [(n, n * 0.5, "abc"[n % 3], n % 2) for n in range(60)]
    names = ("n", "x", "t", "y")
    text = "n,x,t,y\n" + "".join(",".join(map(str, row)) + "\n" for row in rows)
    lines = "".join(json.dumps(dict(zip(names, row, strict=True))) + "\n" for row in rows)
    csv = report_on(tmp_path, text, label="y")
    ndjson = report_on(tmp_path, lines, "data.ndjson", label="y")
    pq.write_table(
        pa.table({name: [row[at] for row in rows] for at, name in enumerate(names)}),
        tmp_path / "data.parquet",
    )
    parquet = measure_quality(tmp_path / "data.parquet", roles=Roles("y"))
    assert csv.digest == ndjson.digest
    assert parquet.figures == csv.figures
    assert [one.auc_ppm for one in parquet.columns] == [one.auc_ppm for one in csv.columns]


def test_nan_and_fine_times_in_parquet_are_wrong(tmp_path: Path) -> None:
    table = pa.table(
        {
            "f": pa.array([1.0, float("nan"), float("inf"), None]),
            "at": pa.array([1_000_000, 1_500, None, 0], pa.timestamp("us")),
        }
    )
    pq.write_table(table, tmp_path / "data.parquet")
    report = measure_quality(tmp_path / "data.parquet")
    assert [(one.missing, one.type_errors) for one in report.columns] == [(1, 2), (1, 1)]
    texts = " ".join(one.text for one in report.findings)
    assert "row 1: 'nan'" in texts
    assert "finer than a millisecond" in texts


def test_values_of_another_type_in_json_are_wrong(tmp_path: Path) -> None:
    lines = "".join(f'{{"t": "a{n}", "n": {n}}}\n' for n in range(98))
    lines += '{"t": 5, "n": {"x": 1}}\n{"t": null, "n": NaN}\n'
    report = report_on(tmp_path, lines, "data.ndjson")
    assert [(one.kind, one.missing, one.type_errors) for one in report.columns] == [
        ("text", 1, 1),
        ("integer", 0, 2),
    ]


def test_many_small_batches_give_the_same_report(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    text = "n,t,y\n" + "".join(f"{n % 17},{'ab'[n % 2]},{n % 3 == 0}\n" for n in range(500))
    lines = "".join(f'{{"n": {n % 17}, "y": {n % 3}}}\n' for n in range(500))
    whole = [report_on(tmp_path, text), report_on(tmp_path, lines, "data.jsonl")]
    monkeypatch.setattr("cairn.learning.staging.BATCH_CELLS", 7)
    assert [report_on(tmp_path, text), report_on(tmp_path, lines, "data.jsonl")] == whole


def test_a_report_survives_its_file_and_shows_changes(tmp_path: Path) -> None:
    report = report_on(tmp_path, "x,y\n1,0\n2,1\n<b>,0\n", label="y")
    document = json.loads(json.dumps(report.to_json()))
    assert report_from_json(document) == report
    document["report"]["duplicates"] = 5
    with pytest.raises(ReportError, match="was changed"):
        report_from_json(document)
    for broken in (None, [], {}, {"report": {"columns": 5}}):
        with pytest.raises(ReportError):
            report_from_json(broken)


def test_what_is_stated_is_bound_by_the_salt(tmp_path: Path) -> None:
    report = report_on(tmp_path, "x\n1\n2\n")
    quality = report.quality(b"salt")
    assert quality.report_commitment == report_commitment(b"salt", report.digest)
    assert quality.report_commitment != report.quality(b"other").report_commitment
    assert quality.leaks is None


def test_pages_and_notebooks_escape_what_the_file_says(tmp_path: Path) -> None:
    report = report_on(tmp_path, "<script>,y\n1,0\n2,1\n,1\n", label="y")
    for page in (report.page("Report of <me>"), report._repr_html_()):
        assert "<script>" not in page
        assert "&lt;script&gt;" in page
    assert "<script>" in report.describe()


def test_progress_goes_from_nothing_to_all(tmp_path: Path) -> None:
    path = tmp_path / "data.csv"
    path.write_text("x,y\n" + "".join(f"{n},{n % 2}\n" for n in range(5_000)))
    told: list[float] = []
    measure_quality(path, roles=Roles("y"), progress=lambda _, share: told.append(share))
    assert told == sorted(told)
    assert told[-1] == 1.0


@settings(max_examples=20, deadline=None)
@given(values=st.lists(st.integers(-1000, 1000), min_size=1, max_size=60))
def test_statistics_agree_with_numpy(
    tmp_path_factory: pytest.TempPathFactory, values: list[int]
) -> None:
    folder = tmp_path_factory.mktemp("statistics")
    profile = report_on(folder, "k,x\n" + "".join(f"a,{one}\n" for one in values)).columns[1]
    ordered = np.sort(values)
    middle = int(ordered[(len(values) - 1) // 2])
    distances = np.abs(ordered - middle)
    mad = int(np.sort(distances)[(len(values) - 1) // 2])
    assert (profile.minimum, profile.median) == (str(ordered[0]), str(middle))
    assert profile.mad == str(mad)
    assert profile.distinct == len({*values})
    assert profile.outliers == (int((distances > 6 * mad).sum()) if mad else 0)
