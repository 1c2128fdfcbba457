"""Back-tests: the counts against a plain loop over the specification of rules and scores."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from cairn.exact.features import FEATURES
from cairn.exact.models import ExactModel, Feature, Linear, Weight
from cairn.exact.reference import score_one_pure
from cairn.exact.rules import (
    Action,
    All,
    Any,
    Compare,
    Emit,
    Freeze,
    Hold,
    Node,
    Not,
    Refuse,
    Rule,
    encode_rule,
    evaluate,
)
from cairn.learning.backtest import (
    BacktestReport,
    backtest_payments,
    evaluate_cases,
    evaluate_payments,
    report_of,
    threshold_rule,
)
from cairn.learning.compare import (
    NEVER,
    Ranking,
    chosen_at_budget,
    compare_rankings,
    curve,
    ranking_of,
)
from cairn.learning.errors import DatasetError
from cairn.learning.history import FRAUD, GENUINE, UNKNOWN, Facts, facts_of_columns, fold_history
from cairn.modules.rules.records import rule_digest

DAY_MS = 86_400_000
HOUR_MS = 3_600_000
START_MS = 20_000 * DAY_MS

MODEL = ExactModel(
    version=1,
    features=(Feature("payer_count_24h", "integer", 0), Feature("amount_units", "integer", 0)),
    link="logistic",
    body=Linear(-(3 << 32), 0, (Weight(0, 1_000, 1 << 30), Weight(0, 1_000_000, (1 << 32) // 300))),
)


def rule_of(*nodes: Node, cap: int = 1_000, scope: str = "") -> Rule:
    return Rule(1, "big", nodes, (Hold(DAY_MS, "settle"), Emit("seen")), cap, 0, scope)


@pytest.fixture(scope="module")
def facts() -> Facts:
    numbers = np.random.default_rng(5)
    times = START_MS + np.sort(numbers.integers(0, 12 * DAY_MS, 700))
    payers = [f"p{at}" for at in numbers.integers(0, 25, 700).tolist()]
    payees = [f"q{at}" for at in numbers.integers(0, 40, 700).tolist()]
    amounts = numbers.integers(1, 1_000, 700).tolist()
    labels = [(FRAUD, GENUINE, UNKNOWN)[at] for at in numbers.integers(0, 3, 700).tolist()]
    parties = (payers, payees, [""] * 700)
    columns = ([f"t{at}" for at in range(700)], times.tolist())
    return facts_of_columns(*columns, parties, (["eur"] * 700, amounts), labels)


def plain(rule: Rule, facts: Facts, from_ms: int, until_ms: int) -> dict[str, int]:
    """Count by the readable specifications, one payment after the other."""
    rows = fold_history(facts, FEATURES, np.ones(len(facts), np.bool_)).tolist()
    labels = facts.last_labels().tolist()
    counts = dict.fromkeys(("payments", "alerts", "acted", "held", "fraud", "genuine", "frauds"), 0)
    used: dict[int, int] = {}
    for at, (time, row) in enumerate(zip(facts.booked_at_ms.tolist(), rows, strict=True)):
        if not from_ms <= time < until_ms:
            continue
        values = dict(zip(FEATURES, row, strict=True))
        inputs = {f"feature:{name}": value for name, value in values.items()}
        inputs["field:amount_units"] = int(facts.amount_units[at])
        inputs["field:hour_of_day"] = time // HOUR_MS % 24
        inputs["model:risk"] = score_one_pure(MODEL, [values[f.name] for f in MODEL.features])[1]
        counts["payments"] += 1
        counts["frauds"] += labels[at] == FRAUD
        if evaluate(rule, inputs).fired:
            counts["alerts"] += 1
            counts["fraud"] += labels[at] == FRAUD
            counts["genuine"] += labels[at] == GENUINE
            if used.setdefault(time // DAY_MS, 0) < rule.daily_cap:
                used[time // DAY_MS] += 1
                counts["acted"] += 1
                counts["held"] += int(facts.amount_units[at])
    return counts


def test_stopping_an_account_again_that_day_uses_no_cap() -> None:
    """As in blocks: a refusal counts once for each payer and day, a freeze for whom it hits."""
    payers = ["a", "a", "b", "a", "c", "b", "a"]
    payees = ["x", "y", "x", "x", "x", "z", "x"]
    times = [START_MS + at * HOUR_MS for at in range(6)] + [START_MS + DAY_MS]
    columns = ([f"t{at}" for at in range(7)], times)
    facts = facts_of_columns(*columns, (payers, payees, [""] * 7), (["eur"] * 7, [9] * 7), [0] * 7)

    def acted(*actions: Action, cap: int) -> list[int]:
        rule = Rule(1, "all", (Compare("field:amount_units", ">", 0),), actions, cap, 0, "")
        until_ms = START_MS + 2 * DAY_MS
        report = backtest_payments(rule, facts, from_ms=START_MS, until_ms=until_ms)
        return [day.acted for day in report.days]

    assert acted(Hold(DAY_MS, "settle"), cap=2) == [2, 1]
    # a, a, b, a act; c is a third payer and passes; b is stopped again.
    assert acted(Refuse("no"), cap=2) == [5, 1]
    assert acted(Refuse("no"), cap=1) == [3, 1]
    # x, y, x, x, x, then z as the third payee.
    assert acted(Freeze("payee", DAY_MS), cap=2) == [5, 1]
    # Of the first payment payer and payee are new: one use for both.
    assert acted(Refuse("no"), Freeze("payee", DAY_MS), cap=1) == [2, 1]
    assert acted(Emit("seen"), cap=3) == [3, 1]


RULES = (
    rule_of(Compare("field:amount_units", ">", 700)),
    rule_of(Compare("feature:payer_count_24h", ">=", 3), cap=2),
    rule_of(
        Compare("model:risk", ">=", 500_000),
        Compare("feature:payer_first_seen", "==", 1),
        Not(),
        Compare("field:hour_of_day", "<", 12),
        Any(2),
        All(2),
        cap=5,
    ),
    threshold_rule("risk", 700_000),
)


@pytest.mark.parametrize("rule", RULES, ids=range(len(RULES)))
def test_the_counts_are_those_of_the_specification(rule: Rule, facts: Facts) -> None:
    from_ms, until_ms = START_MS + 3 * DAY_MS, START_MS + 9 * DAY_MS
    report = backtest_payments(
        rule, facts, from_ms=from_ms, until_ms=until_ms, scorers={"risk": MODEL}
    )
    expected = plain(rule, facts, from_ms, until_ms)
    found = {
        "payments": report.payments,
        "alerts": report.alerts,
        "acted": report.acted,
        "held": report.value_held_units,
        "fraud": report.fraud_alerts,
        "genuine": report.genuine_alerts,
        "frauds": report.frauds,
    }
    assert found == expected
    assert expected["alerts"] > 5
    assert report.unknown == report.alerts - report.labelled
    assert sum(day.alerts for day in report.days) == report.alerts
    assert sum(day.payments for day in report.days) == report.payments
    assert max(day.acted for day in report.days) <= rule.daily_cap
    assert report.precision_ppm == report.fraud_alerts * 1_000_000 // report.labelled
    assert report.reasons[0].alerts <= report.alerts
    assert report.rule_digest == rule_digest(encode_rule(rule)).hex()


def report_on(facts: Facts, rule: Rule = RULES[0]) -> BacktestReport:
    until_ms = START_MS + 12 * DAY_MS
    return backtest_payments(rule, facts, from_ms=START_MS, until_ms=until_ms)


def test_a_report_has_one_digest_which_changes_with_it(facts: Facts) -> None:
    one, two = report_on(facts), report_on(facts)
    assert one.digest() == two.digest()
    assert json.loads(one.to_bytes())["alerts"] == one.alerts
    assert b"." not in one.to_bytes().replace(b'"cairn-backtest-1"', b"")
    assert replace(one, alerts=one.alerts + 1).digest() != one.digest()


def test_a_report_reads_as_text_as_a_page_and_in_a_notebook(facts: Facts, tmp_path: Path) -> None:
    report = replace(report_on(facts), rule="<script>", source={"data": "<img src=x>"})
    assert f"{report.alerts} alerts" in report.describe()
    report.write_html(tmp_path / "r.html")
    page = (tmp_path / "r.html").read_text()
    for text in (page, report._repr_html_()):
        assert "<script" not in text
        assert "<img" not in text
        assert "Alerts per day" in text
    assert "://" not in page


def test_what_cannot_be_tested_is_said(facts: Facts) -> None:
    with pytest.raises(DatasetError, match="looks at the model of 'risk'"):
        report_on(facts, RULES[3])
    with pytest.raises(DatasetError, match="judges decisions of 'credit'"):
        report_on(facts, rule_of(Compare("input:age", ">", 3), scope="credit"))
    other = replace_feature(MODEL, "income")
    with pytest.raises(DatasetError, match="takes 'income'"):
        backtest_payments(
            RULES[3], facts, from_ms=START_MS, until_ms=START_MS + DAY_MS, scorers={"risk": other}
        )
    with pytest.raises(DatasetError, match="no payment was booked"):
        backtest_payments(RULES[0], facts, from_ms=1, until_ms=2)


def replace_feature(model: ExactModel, name: str) -> ExactModel:
    features = (Feature(name, "integer", 0), *model.features[1:])
    return ExactModel(model.version, features, model.link, model.body)


def test_what_the_submitter_did_not_state_is_unknown(facts: Facts) -> None:
    stated = replace(facts, asserted={3: {"device": 9}, 4: {"device": 1}})
    rule = rule_of(Compare("asserted:device", ">=", 5))
    report = report_on(stated, rule)
    assert (report.alerts, report.alert_rows) == (1, (3,))
    assert report.unscored == len(facts) - 2


def test_a_rule_on_cases_reads_the_rows_of_a_table() -> None:
    rule = rule_of(
        Compare("model:credit", ">=", 999_000),
        Compare("input:age", "<", 30),
        Any(2),
        scope="credit",
    )
    features = (Feature("age", "integer", 0), Feature("limit", "integer", 0))
    model = ExactModel(1, features, "logistic", MODEL.body)
    inputs: dict[str, list[int | None]] = {"age": [20, 30, 50], "limit": [1, 2, 900_000]}
    found = evaluate_cases(rule, inputs, model=model)
    assert found.fired == ((1,), None, (0,))
    expected = [
        score_one_pure(model, [age, limit])[1] for age, limit in ((20, 1), (30, 2), (50, 900_000))
    ]
    assert found.scores.tolist() == expected
    only_age = rule_of(Compare("input:age", "<", 30), scope="credit")
    missing = evaluate_cases(only_age, {"age": [20, None, 31]})
    assert (missing.fired, missing.unscored) == (((0,), None, None), 1)
    with pytest.raises(DatasetError, match="no column 'age'"):
        evaluate_cases(only_age, {"limit": [1]})
    with pytest.raises(DatasetError, match="judges payments"):
        evaluate_cases(RULES[0], inputs)
    report = report_of(
        only_age,
        missing,
        days=np.array([1, 1, 1]),
        amounts=np.array([0, 0, 0]),
        labels=np.array([FRAUD, GENUINE, UNKNOWN]),
        period=(DAY_MS, 2 * DAY_MS),
        digests={},
        source={},
    )
    assert (report.alerts, report.precision_ppm, report.recall_ppm) == (1, 1_000_000, 1_000_000)


def test_the_budget_takes_the_highest_of_each_day() -> None:
    ranks = np.array([5, 9, 9, 1, 7, NEVER, 3])
    days = np.array([1, 1, 1, 2, 2, 2, 2])
    chosen = chosen_at_budget(ranks, days, 2)
    assert np.flatnonzero(chosen).tolist() == [1, 2, 4, 6]
    assert np.flatnonzero(chosen_at_budget(ranks, days, 9)).tolist() == [0, 1, 2, 3, 4, 6]


def test_two_rankings_at_the_same_budget(facts: Facts, tmp_path: Path) -> None:
    everything = [True] * len(facts)
    found = evaluate_payments(RULES[3], facts, everything, scorers={"risk": MODEL})
    model = ranking_of(RULES[3], found, facts.amount_units, as_model=True)
    rule = Ranking("nothing", np.full(len(facts), NEVER, np.int64))
    labels = facts.last_labels()
    days = facts.booked_at_ms // DAY_MS
    report = compare_rankings(
        [model, rule], days=days, labels=labels, amounts=facts.amount_units, budget_per_day=10
    )
    chosen = chosen_at_budget(found.scores, days, 10)
    one, other = report.standings
    assert one.alerts == sum(min(10, int((days == day).sum())) for day in np.unique(days))
    assert one.fraud_alerts == int((chosen & (labels == FRAUD)).sum())
    assert one.fraud_alerts + one.genuine_alerts + one.unknown == one.alerts
    assert (other.alerts, other.precision, other.recall) == (0, None, 0.0)
    assert curve(model.ranks, labels)[-1][0] == 1.0
    assert curve(rule.ranks, labels) == []
    assert report.to_json()["standings"][0]["name"] == "risk"
    report.write_html(tmp_path / "c.html")
    assert "Points: at the budget" in (tmp_path / "c.html").read_text()
    with pytest.raises(DatasetError, match="budget of at least 1"):
        compare_rankings([], days=days, labels=labels, amounts=labels, budget_per_day=0)
