"""What waits for approval, and the small helps on a stranger's way."""

import json
from pathlib import Path

import pytest

from cairn.cli.main import run
from tests.cli.conftest import Shell

RULE = """
rule: big
when: {amount_units: {more_than: 1000}}
do: {hold: {hours: 24, on_expiry: settle}}
daily_cap: 200
"""


def test_a_rule_waits_for_those_who_may_approve_it(cairn: Shell, tmp_path: Path) -> None:
    file = tmp_path / "rule.yaml"
    file.write_text(RULE, encoding="utf-8")
    assert "nothing waits" in cairn("approve --as vera").err
    cairn("rule submit --as rita", str(file))
    waiting = json.loads(cairn("approve --as vera --list --json").out)
    assert [(one["name"], one["kind"], one["missing"]) for one in waiting] == [("big@1", "rule", 2)]
    assert waiting[0]["facts"]["back-test"] == "none on record"
    assert "amount_units" in waiting[0]["facts"]["says"]
    # its author, and a developer, whose role the policy does not name
    assert json.loads(cairn("approve --as rita --list --json").out) == []
    assert json.loads(cairn("approve --as dirk --list --json").out) == []


def test_one_approves_by_name_and_once(cairn: Shell, tmp_path: Path) -> None:
    for name in ("big", "huge"):
        file = tmp_path / f"{name}.yaml"
        file.write_text(RULE.replace("big", name), encoding="utf-8")
        cairn("rule submit --as rita", str(file))
    refused = cairn("approve tiny --as vera --yes", code=2)
    assert "big@1, huge@1" in refused.err
    cairn("approve big --as vera --yes")
    assert [one["name"] for one in json.loads(cairn("approve --as vera --list --json").out)] == [
        "huge@1"
    ]
    refused = cairn("approve big --as vera --yes", code=2)
    assert "big does not wait" in refused.err


def test_what_is_approved_goes_live_and_the_rest_stays(cairn: Shell, tmp_path: Path) -> None:
    for name in ("big", "huge"):
        file = tmp_path / f"{name}.yaml"
        file.write_text(RULE.replace("big", name), encoding="utf-8")
        cairn("rule submit --as rita", str(file))
    for person in ("vera", "carl"):
        cairn(f"approve big@1 --as {person} --yes")
    refused = cairn("go-live huge --yes", code=1)
    assert "2 of 2 approvals missing; approved by nobody" in refused.err
    done = cairn("go-live --yes")
    assert "huge@1 stays: 2 of 2 approvals missing" in done.err
    assert "big@1" in done.out
    live = {row["rule"]: row["live_version"] for row in json.loads(cairn("rule list --json").out)}
    assert live == {"big": 1, "huge": None}
    cairn("go-live --yes", code=1)


def test_a_retired_rule_does_not_wait(cairn: Shell, tmp_path: Path) -> None:
    file = tmp_path / "rule.yaml"
    file.write_text(RULE, encoding="utf-8")
    cairn("rule submit --as rita", str(file))
    for person in ("vera", "carl"):
        cairn(f"approve --as {person} --yes")
    cairn("go-live --yes")
    cairn("rule retire big --as rita --yes")
    assert "nothing waits to go live" in cairn("go-live --yes").err


def test_approvals_are_as_many_as_the_founder_says(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("CAIRN_PASSPHRASE", "four random words here")
    for name in ("CAIRN_DIR", "CAIRN_AS", "CAIRN_PASSPHRASE_FILE"):
        monkeypatch.delenv(name, raising=False)
    assert run(["init", "bank", "--approvals", "2", "--json"]) == 0
    policies = json.loads(capsys.readouterr().out)["policies"]
    assert policies["models"].startswith("2 of ")
    assert policies["rules"].startswith("2 of ")
    assert policies["governance"].startswith("3 of ")
    # The only workspace just below is meant; of two one has to be chosen.
    assert run(["org", "show", "--json"]) == 0
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "charter.cairn").write_bytes(b"")
    capsys.readouterr()
    assert run(["org", "show"]) == 2
    assert "bank, other" in capsys.readouterr().err


def test_a_decision_is_named_by_id_or_by_verdict(cairn: Shell) -> None:
    assert "which decision?" in cairn("prove decision -o x.cairn", code=2).err
    assert "no verdict" in cairn("prove decision --last perhaps -o x.cairn", code=2).err
    assert "came out as 'refuse'" in cairn("prove decision --last refused -o x.cairn", code=2).err


def test_one_case_or_a_file_of_them(cairn: Shell) -> None:
    for line in ("decide case x --as core", "decide case x --as core --file a.csv"):
        assert "one case or a file" in cairn(line, code=2).err
