"""Decisions and predictions in batches and streams through the real commands."""

import csv
import io
import json
import os
import shutil
import sys
from pathlib import Path

import pytest

from cairn.exact.rules import Compare, Hold, Refuse
from cairn.modules.identity.records import member_id, organisation_id
from cairn.primitives.encoding import replace
from cairn.sdk.client import Client
from cairn.sdk.connecting import connect
from cairn.sdk.workspace import Workspace
from tests.cli.conftest import Shell
from tests.modules.founding import hold_rule
from tests.sdk.conftest import PASSPHRASE
from tests.sdk.deploying import activate, deploy
from tests.sdk.test_predictions import MIXED

HOUR_MS = 3_600_000
HEADER = "id,job,age,income,note"
GOOD = ["a-1,pilot,31,2.5,first", "a-2,cook,17,,", 'a-3,cook,60,0,"with, comma"']


@pytest.fixture(scope="session")
def prepared(founded: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A workspace with a model in `jobs`, and rules on payments and on its cases."""
    directory = tmp_path_factory.mktemp("prepared") / "bank"
    shutil.copytree(founded, directory)
    workspace = Workspace(directory)
    with connect(workspace, passphrase=lambda: PASSPHRASE) as connection:

        def client_of(name: str) -> Client:
            account = member_id(organisation_id("bank-a"), name)
            key = workspace.open_key(name, PASSPHRASE)
            return Client(connection, account, key, trust=workspace.trust())

        deploy(client_of, "jobs", MIXED)
        big = Compare("field:amount_units", ">", 200_00)
        activate(client_of, hold_rule("big", big, actions=[Hold(HOUR_MS, "return")]))
        young = Compare("input:age", "<", 18)
        rule = hold_rule("young", young, actions=[Refuse("young")])
        activate(client_of, replace(rule, scope="jobs"))
    return directory


@pytest.fixture
def ruled(
    prepared: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> Shell:
    """A shell inside such a workspace, of the test's own."""
    shutil.copytree(prepared, tmp_path / "bank")
    monkeypatch.chdir(tmp_path / "bank")
    monkeypatch.setenv("CAIRN_PASSPHRASE", PASSPHRASE)
    return Shell(tmp_path / "bank", capsys)


def test_a_payment_is_asked_reviewed_and_reported(ruled: Shell) -> None:
    ruled("bank open alice --as core")
    ask = "decide payment customer:alice outside:shop"
    free = ruled.json(f"{ask} 12.50 usd --as core")
    assert (free["verdict"], free["reasons"]) == ("allow", ["no rule objects"])
    held = ruled.json(f"{ask} 300 usd --state night=1 --as core")
    assert held["verdict"] == "hold"
    assert "rule `big` 1 fired" in held["reasons"][0]
    listed = ruled.json("decide list --open")
    assert [row["status"] for row in listed] == ["open", "held"]
    ruled(f"decide review {held['decision'][:8]} release --as core --yes", code=1)
    reviewed = ruled.json(f"decide review {held['decision'][:8]} release --as carl --yes")
    assert (reviewed["verdict"], reviewed["answer"]) == ("hold", "allow")
    told = ruled.json(f"decide report {free['decision']} stopped --as core")
    assert told["status"] == "overridden"
    kept = ruled.json(f"decide report {held['decision']} executed --as core")
    assert kept["status"] == "enforced"
    ruled(f"decide report {held['decision']} executed --as core", code=1)
    assert [r["decision"] for r in ruled.json("decide list --overridden")] == [free["decision"]]
    assert ruled.json("decide list --unanswered") == []
    shown = ruled.json(f"decide show {held['decision'][:8]}")
    assert [step.split(" ", 1)[1] for step in shown["steps"]] == [
        "released by bank-a/carl: reviewed",
        "enforced by bank-a/core: executed",
    ]
    ruled(f"prove decision {held['decision'][:8]} -o decision.cairn")
    report = ruled.json("verify decision.cairn --trust trust.json --replay")
    assert "it was released by carl (bank-a)" in "\n".join(report["findings"])
    text = ruled("verify decision.cairn --trust trust.json").out
    assert "it was held by rule `big` version 1" in text


def test_a_case_is_asked_by_names(ruled: Shell) -> None:
    case = "decide case jobs --as core"
    young = ruled.json(case, "--features", "age=17,job=cook,income=1")
    assert (young["verdict"], young["score_ppm"] is not None) == ("refuse", True)
    assert "age 17 < 18" in "\n".join(young["reasons"])
    old = ruled.json(case, "--features", '{"age": 40, "job": "pilot", "income": null}')
    assert old["verdict"] == "allow"
    about = ruled.json("decide list")[0]["about"]
    assert about == "case of jobs, prediction 0"


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("decide payment customer:alice outside:shop nothing usd --as core", "not an amount"),
        ("decide payment customer:alice outside:shop 1 usd --state x --as core", "states nothing"),
        ("decide payment customer:alice outside:shop 1 usd --terminal 12 --as core", "40 hex"),
        ("decide payment customer:alice outside:shop 1 usd --executor x --as core", "no account"),
        ("decide case jobs --features age=1 --as core", "no value for 'job'"),
        ("decide review 123456 release --as carl", "no decision"),
        ("decide review 123456 perhaps --as carl", "no ruling"),
        ("decide report 123456 nothing --as core", "not what was done"),
        ("decide show 12", "at least 6"),
        ("predict score jobs --as core", "--file rows.csv -o scores.csv"),
        ("predict score none --features a=1 --as core", "no version is live"),
    ],
)
def test_wrong_use(line: str, words: str, ruled: Shell) -> None:
    if "alice" in line:
        ruled("bank open alice --as core")
    assert words in ruled(line, code=2).err


def test_a_file_is_scored_row_by_row(ruled: Shell) -> None:
    Path("rows.csv").write_text("\ufeff" + "\n".join([HEADER, *GOOD]) + "\n\n")
    done = ruled.json("predict score jobs --file rows.csv -o scores.csv --as core")
    assert (done["rows"], done["transactions"]) == (3, 1)
    scored = list(csv.DictReader(io.StringIO(Path("scores.csv").read_text())))
    assert [row["id"] for row in scored] == ["a-1", "a-2", "a-3"]
    assert [row["note"] for row in scored] == ["first", "", "with, comma"]
    assert list(scored[0]) == [
        "id",
        "note",
        "row",
        "score",
        "score_ppm",
        "position",
        "transaction",
    ]
    assert [row["position"] for row in scored] == ["0", "1", "2"]
    alone = ruled.json("predict score jobs --as core", "--features", "31,pilot,2.5")
    assert str(alone["score_ppm"]) == scored[0]["score_ppm"]
    ruled("prove prediction jobs 1 -o row.cairn")
    ruled("verify row.cairn --trust trust.json --replay")


@pytest.mark.parametrize(
    ("lines", "words"),
    [
        ([HEADER], "rows.csv has no rows"),
        (["id,job,age", "1,cook,2"], "there is no column 'income'"),
        (["age,age,job,income", "1,1,cook,1"], "the column 'age' stands twice"),
        ([HEADER, *GOOD, "a,cook,nan,1,"], "row 4, column 'age': the value is missing"),
        ([HEADER, *GOOD, "a,cook,old,1,"], "row 4, column 'age': 'old' is no number"),
        ([HEADER, "a,judge,1,1,"], "row 1, column 'job': 'judge' is an unknown category"),
        ([HEADER, *GOOD, "a,cook,1"], "line 5: 3 cells for 5 columns"),
        ([HEADER, 'a,"cook,1,1,'], "line 2: unexpected end"),
    ],
)
def test_a_file_that_does_not_fit_is_told_by_row_and_column(
    lines: list[str], words: str, ruled: Shell
) -> None:
    Path("rows.csv").write_text("\n".join(lines) + "\n")
    ran = ruled("predict score jobs --file rows.csv -o scores.csv --as core", code=2)
    assert words in ran.err
    assert "\nhint: " in ran.err
    assert not Path("scores.csv").exists()
    assert ruled.json("predict list jobs") == []


def test_a_stream_gives_a_line_for_a_line(ruled: Shell, monkeypatch: pytest.MonkeyPatch) -> None:
    lines = [
        '{"age": 31, "job": "pilot", "income": 2.5}',
        "",
        '[17, "cook", null]',
    ]
    monkeypatch.setattr(sys, "stdin", io.StringIO("\n".join(lines) + "\n"))
    out = ruled("predict stream jobs --as core").out
    found = [json.loads(line) for line in out.splitlines()]
    assert [one["line"] for one in found] == [1, 3]
    assert [one["position"] for one in found] == [0, 1]
    assert all(len(one["transaction"]) == 64 for one in found)


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("no json", "line 2 is no JSON"),
        ("12", "line 2 is no object and no list"),
        ('{"age": 1, "job": "cook"}', "line 2, no value for 'income'"),
        ('[1, "cook", "much"]', "line 2, column 'income': 'much' is no number"),
    ],
)
def test_a_line_that_does_not_fit_ends_the_stream_after_what_came_before(
    line: str, words: str, ruled: Shell, monkeypatch: pytest.MonkeyPatch
) -> None:
    text = f'[31, "pilot", 1]\n{line}\n'
    monkeypatch.setattr(sys, "stdin", io.StringIO(text))
    ran = ruled("predict stream jobs --as core", code=2)
    assert words in ran.err
    assert json.loads(ran.out)["position"] == 0


def test_rules_on_decisions_are_tested_and_compared_on_a_table_of_cases(ruled: Shell) -> None:
    words = "decisions: jobs\ndo: {refuse: no}\ndaily_cap: 1\n"
    Path("minor.yaml").write_text(f"rule: minor\nwhen: {{input: age, less_than: 18}}\n{words}")
    Path("young.yaml").write_text(f"rule: younger\nwhen: {{input: age, less_than: 30}}\n{words}")
    rows = ["pilot,31,2.5,0,2026-03-01", "cook,17,,1,2026-03-01", "cook,16,1,1,2026-03-02"]
    rows += ["cook,29,1,0,2026-03-02", "pilot,60,1,0,2026-03-03"]
    Path("past.csv").write_text("\n".join(["job,age,income,bad,day", *rows]) + "\n")
    line = "rule backtest young.yaml --data past.csv --label bad"
    found = ruled.json(line)
    assert (found["payments"], found["alerts"], found["acted"]) == (5, 3, 1)
    assert found["period"] == {"first_ms": 0, "end_ms": 1, "days": 1}
    os.utime("past.csv", (1, 1))
    assert ruled.json(line)["report_digest"] == found["report_digest"]
    by_day = ruled.json(f"{line} --time day --html r.html")
    assert [day[1:4] for day in by_day["days"]] == [[2, 1, 1], [2, 2, 1], [1, 0, 0]]
    assert "5 cases, 2026-03-01 to 2026-03-03" in Path("r.html").read_text()
    ruled(f"{line} --time job", code=2)
    assert "columns: job" in ruled(f"{line} --time hour", code=2).err

    line = "rule compare minor.yaml young.yaml --data past.csv --label bad"
    compared = ruled.json(f"{line} --budget 9/day")
    assert compared["days"] == 1
    alerts = [(one["name"], one["alerts"], one["fraud_alerts"]) for one in compared["standings"]]
    assert alerts == [("minor", 2, 2), ("younger", 3, 2)]
    by_day = ruled.json(f"{line} --budget 1/day --time day")
    assert by_day["days"] == 3
    assert [one["alerts"] for one in by_day["standings"]] == [2, 2]
    assert "5 cases on 3 days" in ruled(f"{line} --time day").err
    assert "--baseline" in ruled(f"{line} --baseline", code=2).err
    Path("big.yaml").write_text(
        "rule: big\nwhen: {amount_units: {more_than: 5}}\ndo: {refuse: no}\ndaily_cap: 1\n"
    )
    mixed = ruled("rule compare minor.yaml big.yaml --data past.csv", code=2)
    assert "big judges payments" in mixed.err
