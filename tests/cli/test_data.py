"""A stranger's file on the command line: columns found, quality told, policies, Croissant."""

import json
from pathlib import Path

import pytest

from tests.cli.conftest import Shell

ROWS = "".join(
    f"c{n % 40},{n * 0.25},{'late' if n % 4 == 0 else 'paid'},{n % 4 == 0}\n" for n in range(120)
)
HEADER = "customer,amount,state,bad\n"


@pytest.fixture
def shell(cairn: Shell) -> Shell:
    Path("loans.csv").write_text(HEADER + ROWS)
    return cairn


def test_a_file_needs_no_schema(shell: Shell) -> None:
    ran = shell("data register loans loans.csv --label bad --subject customer --as dana")
    assert "decimal of scale 2: amount" in ran.err
    assert "bad: state: it alone predicts the label" in ran.err
    shown = shell("data quality loans@1")
    assert "the report is the registered one" in shown.err
    assert "LEAK" in shown.out
    row = shell.json(f"data show {shell.json('data list')[0]['dataset'][:8]}")
    assert row["quality"]["columns that give the label away"] == "1"
    shell("data forget loans c7 --yes")
    assert "its salt was destroyed" in shell("data quality loans@1").err


def test_the_schema_can_be_written_edited_and_given(shell: Shell) -> None:
    found = shell.json("data schema loans.csv -o schema.yaml --subject customer")
    assert [one["kind"] for one in found] == ["text", "decimal", "text", "boolean"]
    text = Path("schema.yaml").read_text().replace("decimal, scale: 2", "text")
    Path("schema.yaml").write_text(text)
    shell("data register loans loans.csv --schema schema.yaml --as dana")
    columns = json.loads(Path("data/loans@1.manifest.json").read_text())["schema"]["columns"]
    assert columns[1]["kind"] == "text"


def test_a_policy_refuses_and_says_which_figure(shell: Shell) -> None:
    shell("data policy --leaks 0 --near-duplicates 2.5% --required --as carl")
    assert shell.json("data policy")[0]["near_duplicates_ppm_max"] == 25_000
    shell("data policy --missing 0 --as carl")
    assert shell.json("data policy")[0]["leaks_max"] == 0
    ran = shell("data register loans loans.csv --label bad --as dana", code=1)
    assert "columns that give the label away 1, at most 0" in ran.err
    assert "data/quality_refused" in ran.err
    assert "at most 0" in shell("data register loans loans.csv --as dana", code=1).err
    ran = shell("data register loans loans.csv --no-quality --as dana", code=1)
    assert "data/quality_required" in ran.err
    assert not Path("data/loans@1.manifest.json").exists()
    lines = [line.split(",") for line in (HEADER + ROWS).splitlines()]
    Path("loans.csv").write_text("".join(f"{a},{b},{d}\n" for a, b, _, d in lines))
    shell("data register loans loans.csv --label bad --as dana")


def test_quality_of_a_file_goes_into_a_report_and_a_page(shell: Shell) -> None:
    ran = shell("data quality loans.csv --label bad --after amount -o report.json --html page.html")
    assert "columns that give the label away: amount, state" in ran.out
    assert "\x1b[" not in ran.err
    document = json.loads(Path("report.json").read_text())
    assert document["figures"]["leaks"] == 2
    assert document == shell.json("data quality loans.csv --label bad --after amount")
    page = Path("page.html").read_text()
    assert page.startswith("<!doctype html>")
    assert "http" not in page.replace("http-equiv", "")


def test_a_croissant_manifest_goes_out_and_comes_in(shell: Shell) -> None:
    shell("data register loans loans.csv --licence CC0-1.0 --subject customer --as dana")
    shell("data grant {} dirk --as dana".format(shell.json("data list")[0]["dataset"]))
    shell("data croissant loans@1 loans.csv -o loans.croissant.json")
    document = json.loads(Path("loans.croissant.json").read_text())
    permission = document["usageInfo"]["odrl:permission"][0]
    assert permission["odrl:constraint"][0]["odrl:rightOperand"] == "training"
    shell("data register again --croissant loans.croissant.json --as dana")
    manifests = [
        json.loads(Path(f"data/{name}@1.manifest.json").read_text()) for name in ("loans", "again")
    ]
    assert manifests[0]["schema"] == manifests[1]["schema"]
    assert manifests[1]["licence"] == "CC0-1.0"
    Path("loans.csv").write_text(HEADER + ROWS + "x,1,paid,False\n")
    shell("data croissant loans@1 loans.csv -o other.json", code=1)
    shell("data register more --croissant loans.croissant.json --as dana", code=2)


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("data quality none.csv", "there is no file"),
        ("data quality loans.csv --label nothing", "no column 'nothing'"),
        ("data quality loans.csv --known-at amount", "holds no times"),
        ("data quality nothing@1", "there is no data set nothing@1"),
        ("data policy --missing 5 --as carl", "'5' is not a share"),
        ("data policy --missing 200% --as carl", "not a share"),
        ("data register loans --as dana", "which file?"),
        ("data register loans --croissant none.json --as dana", "cannot be read"),
        ("data schema loans.csv --subject nobody", "no column 'nobody'"),
    ],
)
def test_mistakes_say_what_to_do(shell: Shell, line: str, message: str) -> None:
    assert message in shell(line, code=2).err


def test_text_in_numbers_is_named_by_row_and_column(shell: Shell) -> None:
    Path("loans.csv").write_text(HEADER + ROWS + "x,lots,paid,False\n")
    ran = shell("data register loans loans.csv --as dana", code=2)
    assert "row 120 (line 122), column 'amount': 'lots' is not a decimal number" in ran.err
    assert "bad: amount: 1 cells are no decimal (row 120: 'lots')" in ran.err
    assert not Path("data/loans@1.manifest.json").exists()
