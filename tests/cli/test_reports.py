"""Back-tests, comparisons, exports and the report through the real commands."""

import json
import random
from pathlib import Path

import pytest

from tests.cli.conftest import Shell

RULE = """
rule: big
when: {amount_units: {more_than: 1000}}
do: {hold: {hours: 24, on_expiry: settle}}
daily_cap: 200
"""
BURST = """
rule: burst
when:
  any:
    - {feature: payer_count_1h, at_least: 1}
    - amount_units: {more_than: 1500}
do: {refuse: too fast}
daily_cap: 3
"""


@pytest.fixture
def past(cairn: Shell) -> Shell:
    """Two rules, and a file of payments on ten days, the large ones mostly fraud."""
    Path("big.yaml").write_text(RULE)
    Path("burst.yaml").write_text(BURST)
    numbers = random.Random(3)
    lines = ["tx_id,booked_at,payer,payee,amount_units,asset,label,scenario"]
    for row in range(400):
        day, minute = row // 40 + 1, row % 40 * 30
        amount = numbers.randrange(100, 2_000)
        label = "" if row % 7 == 0 else str(int(amount > 1_200 and row % 5 > 0))
        time = f"2026-01-{day:02}T{minute // 60:02}:{minute % 60:02}:00Z"
        lines.append(f"t{row},{time},p{row % 9},q{row % 13},{amount},eur,{label},")
    Path("past.csv").write_text("\n".join(lines) + "\n")
    return cairn


def test_a_rule_is_tested_on_past_payments(past: Shell) -> None:
    rows = [line.split(",") for line in Path("past.csv").read_text().splitlines()[1:]]
    alerts = [row for row in rows if int(row[4]) > 1_000]
    known = [row for row in alerts if row[6]]
    found = past.json("rule backtest big.yaml --data past.csv -o r.json --html r.html")
    assert (found["payments"], found["alerts"]) == (400, len(alerts))
    assert found["unknown"] == len(alerts) - len(known)
    frauds = sum(row[6] == "1" for row in known)
    assert found["precision_ppm"] == frauds * 1_000_000 // len(known)
    assert found["value_held_units"] == sum(int(row[4]) for row in alerts)
    assert json.loads(Path("r.json").read_text())["alerts"] == len(alerts)
    assert "<script" not in Path("r.html").read_text()
    shown = past("rule backtest burst.yaml --data past.csv --days 2").out
    assert "payments          80" in shown
    assert "(cap 3 a day)" in shown
    part = past.json("rule backtest big.yaml --data past.csv --from 2026-01-03 --to 2026-01-05")
    assert part["payments"] == 80


def test_two_rules_and_the_baseline_at_one_budget(past: Shell) -> None:
    line = "rule compare big.yaml burst.yaml --budget 5/day --data past.csv --days 4 --baseline"
    found = past.json(f"{line} --html c.html")
    assert [one["alerts"] <= 20 for one in found["standings"]] == [True] * 3
    assert found["standings"][2]["name"].startswith("amount over ")
    assert found["frauds"] > 5
    assert "Precision and recall" in Path("c.html").read_text()
    assert past(line).out.startswith("name ")
    past("rule compare big.yaml burst.yaml --budget few --data past.csv", code=2)
    assert "--days" in past(line.replace("--days 4", ""), code=2).err


def test_what_is_missing_is_named(past: Shell) -> None:
    assert "--history" in past("rule backtest big.yaml", code=2).err
    Path("model.yaml").write_text(
        RULE.replace("amount_units: {more_than: 1000}", "model: m, at_least: 5")
    )
    assert "--model m=MODEL.bin" in past("rule backtest model.yaml --data past.csv", code=2).err
    past("rule backtest big.yaml --data past.csv --from 2026-02-01 --to 2026-01-01", code=2)


def test_history_is_tested_exported_and_reported(past: Shell) -> None:
    past("bank open alice bob --as core")
    past("bank issue eur customer:alice 100 --as core --yes")
    past("rule submit big.yaml --as rita")
    past("rule backtest big.yaml --history", code=2)
    for person in ("vera", "carl"):
        past(f"rule approve big --as {person}")
    past("rule activate big --as rita --yes")
    for amount in ("12.50", "1", "20"):
        past(f"bank transfer customer:alice customer:bob {amount} eur --as core --yes")
    line = "rule backtest big.yaml --history --record --as rita"
    found = past.json(line)
    assert (found["payments"], found["alerts"], found["value_held_units"]) == (3, 2, 3_250)
    exported = past.json("data export -o history --format csv")
    assert (exported["rows"]["payments"], exported["rows"]["holds"]) == (3, 2)
    assert Path("history/manifest.json").exists()
    report = past.json("report -o report.html")
    assert (report["held"], report["settled"], report["alerts"]) == (2, 1, 2)
    page = Path("report.html").read_text()
    assert "bank-a/vera" in page
    assert "://" not in page
    assert "<script" not in page
    past("report -o report.html --from 2026-02-01 --to 2026-01-01", code=2)
