"""History, back-tests and the report on a period, from a ledger that did things."""

import json
from dataclasses import dataclass, replace
from hashlib import sha256
from html import escape
from pathlib import Path

import numpy as np
import pyarrow.parquet
import pytest

from cairn.exact.features import FEATURES
from cairn.exact.rules import All, Compare, Emit, Hold, Refuse, Rule, encode_rule
from cairn.learning.backtest import backtest_payments
from cairn.learning.history import fold_history
from cairn.modules.bank.events import AccountsOpened, HoldPlaced
from cairn.modules.bank.messages import Issue, OpenAccounts, ReleaseHold, ReturnHold, Transfer
from cairn.modules.decisions.events import Decided
from cairn.modules.decisions.messages import DecidePayment, ReportExecution
from cairn.modules.identity.messages import Approve
from cairn.modules.rules.events import RuleFired
from cairn.modules.rules.messages import ActivateRule, SubmitRule, SwitchRule
from cairn.modules.rules.records import BACKTESTS
from cairn.modules.screening.events import AttemptCounted
from cairn.modules.screening.messages import RecordOutcome
from cairn.modules.screening.records import ATTEMPTS
from cairn.sdk.approvals import activation_of
from cairn.sdk.backtests import case_label, record_backtest, source_of
from cairn.sdk.client import Client
from cairn.sdk.errors import NotFoundError, UsageError
from cairn.sdk.history import export_history, read_history
from cairn.sdk.names import Names
from cairn.sdk.outcomes import Final, OperationOutcome
from cairn.sdk.report import PeriodReport, period_report
from cairn.sdk.report_page import report_page
from tests.sdk.conftest import ClientOf

DAY_MS = 86_400_000
WATCHED = (
    "payer_count_10m",
    "payer_sum_24h",
    "payer_distinct_7d",
    "payee_count_24h",
    "payee_fraud_count_30d",
    "terminal_count_1h",
    "terminal_fraud_ppm_30d",
    "terminal_distinct_30d",
    "pair_first_seen",
    "payer_since_last_s",
)
TERMINAL = b"t" * 20

HOLDS = Rule(
    1, "holds", (Compare("field:amount_units", ">", 500),), (Hold(DAY_MS, "return"),), 1_000, 5
)
REFUSES = Rule(
    1, "refuses", (Compare("field:amount_units", ">", 900),), (Refuse("too much"),), 1, 9
)


@dataclass
class Told:
    """What a client was told while the ledger did things."""

    client: Client
    finals: list[Final]
    labels: dict[int, str]
    released: int = 0
    returned: int = 0

    @property
    def operations(self) -> list[OperationOutcome]:
        return [one for final in self.finals for one in final.operations]


def live(client_of: ClientOf, rule: Rule) -> None:
    rita = client_of("rita")
    rita.submit(SubmitRule(encode_rule(rule)))
    number, approvable = activation_of(rita, rule.name)
    for name in ("vera", "carl"):
        client_of(name).submit(Approve(approvable.policy, approvable.subject))
    rita.submit(ActivateRule(rule.name, number))


def watching() -> Rule:
    """A rule that fires always and so tells every feature that it looks at."""
    nodes = tuple(Compare(f"feature:{name}", ">=", 0) for name in WATCHED)
    return Rule(1, "sees", (*nodes, All(len(nodes))), (Emit("seen"),), 1_000)


@pytest.fixture
def told(client_of: ClientOf) -> Told:
    core, carl = client_of("core"), client_of("carl")
    people = tuple(f"customer {at}".encode().ljust(20, b".") for at in range(4))
    accounts = core.submit(OpenAccounts(core.account, people)).event(AccountsOpened).accounts
    core.submit(*(Issue("eur", account, 100_000) for account in accounts))
    for rule in (watching(), HOLDS, REFUSES):
        live(client_of, rule)
    now = core.head().time_ms
    found = Told(core, [], {})
    amounts = [10, 600, 20, 950, 30, 999, 40, 501, 50, 60, 500, 7_000]
    for at, amount in enumerate(amounts):
        payer, payee = accounts[at % 3], accounts[3 - (at % 2) if at % 3 else 3]
        if payer == payee:
            payee = accounts[(at + 1) % 3]
        place = TERMINAL if at % 2 else b""
        booked = now - (at % 5) * 3_600_000
        message = Transfer(payer, payee, "eur", amount, booked, b"r" * 32, place)
        found.finals += core.submit_many([[message]])
        if at == 3:
            carl.submit(RecordOutcome(1, "fraud"))
        if at == 7:
            carl.submit(RecordOutcome(2, "genuine"), RecordOutcome(4, "fraud"))
    carl.submit(RecordOutcome(4, "genuine"))
    found.labels = {1: "fraud", 2: "genuine", 4: "genuine"}
    holds = [e.hold for one in found.operations for e in one.events if isinstance(e, HoldPlaced)]
    carl.submit(ReleaseHold(holds[0], "known-payee"))
    carl.submit(ReturnHold(holds[1], "fraud"))
    found.released = found.returned = 1
    client_of("rita").submit(SwitchRule("refuses", False))
    return found


def report_of(told: Told) -> PeriodReport:
    client = told.client
    return period_report(
        client,
        Names(client, {}, b""),
        from_ms=1,
        until_ms=client.head().time_ms + 1,
        now_ms=client.head().time_ms,
    )


def test_features_recomputed_are_those_of_the_receipts(told: Told) -> None:
    facts = read_history(told.client).facts()
    rows = fold_history(facts, WATCHED, np.ones(len(facts), np.bool_)).tolist()
    seen = {}
    for one in told.operations:
        position = next(e.attempt for e in one.events if isinstance(e, AttemptCounted))
        fired = next(e for e in one.events if isinstance(e, RuleFired) and e.rule == "sees")
        seen[position] = list(fired.inputs)
    assert len(seen) == len(facts) == 12
    assert [seen[at] for at in range(len(facts))] == rows
    assert len({tuple(row) for row in rows}) > 6


def test_an_export_as_of_a_time_stays_what_it_was(told: Told, tmp_path: Path) -> None:
    moment = told.finals[6].time_ms
    early = export_history(read_history(told.client, as_of_ms=moment), tmp_path / "early")
    full = export_history(read_history(told.client), tmp_path / "full")
    assert (early.rows["payments"], full.rows["payments"]) == (6, 12)
    tables = [
        {
            name: pyarrow.parquet.read_table(tmp_path / folder / f"{name}.parquet").to_pylist()
            for name in full.rows
        }
        for folder in ("early", "full")
    ]
    assert tables[0]["features"] == tables[1]["features"][:6]
    assert tables[0]["holds"] == tables[1]["holds"][: len(tables[0]["holds"])]
    early_labels = [row["label"] for row in tables[0]["payments"]]
    assert early_labels == [None, "fraud", None, None, None, None]
    labels = {row["attempt"]: row["label"] for row in tables[1]["payments"] if row["label"]}
    assert labels == told.labels
    assert list(tables[1]["features"][0]) == ["attempt", *FEATURES]


def test_the_manifest_names_every_file_and_what_it_rests_on(told: Told, tmp_path: Path) -> None:
    history = read_history(told.client)
    done = export_history(history, tmp_path, file_format="csv", features=("amount_units",))
    manifest = json.loads((tmp_path / "manifest.json").read_text())
    for file in manifest["distribution"]:
        raw = (tmp_path / file["contentUrl"]).read_bytes()
        assert file["sha256"] == sha256(raw).hexdigest()
    provenance = manifest["cairn:provenance"]
    assert provenance["chain_id"] == told.client.chain_id
    series = provenance["series"]["payments"]
    assert (series["size"], series["entries_read"]) == (12, 12)
    assert series["root"] == history.states["payments"].root.hex()
    again = export_history(history, tmp_path, file_format="csv", features=("amount_units",))
    assert again.digest == done.digest
    assert (tmp_path / "features.csv").read_text().splitlines()[:2] == [
        '"attempt","amount_units"',
        "0,10",
    ]
    parts = export_history(
        history, tmp_path / "j", from_ms=told.finals[3].time_ms, file_format="json"
    )
    assert parts.rows["payments"] == 9
    with pytest.raises(UsageError, match="no format 'xls'"):
        export_history(history, tmp_path, file_format="xls")


def test_a_backtest_over_history_goes_on_record(told: Told, client_of: ClientOf) -> None:
    history = read_history(told.client, names=("payments", "outcomes"))
    facts = history.facts()
    report = backtest_payments(
        HOLDS,
        facts,
        from_ms=int(facts.booked_at_ms.min()),
        until_ms=int(facts.booked_at_ms.max()) + 1,
        source=source_of(history),
    )
    fired = [
        bool([e for e in one.events if isinstance(e, RuleFired) and e.rule == "holds"])
        for one in told.operations
    ]
    assert report.alerts == sum(fired) == 5
    assert (report.fraud_alerts, report.unknown) == (1, 4)
    rita = client_of("rita")
    recorded = record_backtest(rita, report)
    (entry,) = rita.series(BACKTESTS)
    assert recorded.report_digest == entry.record.report_digest == report.digest()
    assert (entry.record.version, entry.record.alerts) == (1, 5)
    with pytest.raises(NotFoundError, match="no version of 'holds'"):
        record_backtest(rita, replace(report, rule_digest="00" * 32))


def test_the_report_counts_what_receipts_say(told: Told) -> None:
    report = report_of(told)
    codes = [one.code for one in told.operations]
    held = [e for one in told.operations for e in one.events if isinstance(e, HoldPlaced)]
    assert report.fates == {
        "settled": codes.count("ok") - len(held),
        "held": len(held),
        "refused": codes.count("bank/refused_by_rule"),
        "elsewhere": 0,
        "failed": 0,
    }
    assert report.fates["refused"] > 0
    assert report.alerts == len(report.payments) == 12
    assert (report.labelled("fraud"), report.labelled("genuine")) == (1, 2)
    assert (report.precision, report.recall) == (1 / 3, 1.0)
    rules = {line.rule: line for line in report.rules}
    events = [e for one in told.operations for e in one.events if isinstance(e, RuleFired)]
    for name in ("sees", "holds", "refuses"):
        assert rules[name].fired == sum(e.rule == name for e in events)
    assert rules["holds"].actions["hold"] == len(held)
    assert sorted(rules["sees"].approvers) == ["bank-a/carl", "bank-a/vera"]
    assert rules["holds"].precision == 1.0
    assert report.holds.placed == len(held)
    assert report.holds.value_units == {"eur": sum(e.amount_units for e in held)}
    assert report.holds.status["released"] == report.holds.status["returned"] == 1
    assert report.holds.open == len(held) - 2
    assert len(report.holds.deciding_ms) == 2
    assert sum(count for _, count in report.by_day()) == 12
    assert any("refuses: switched off" in line.what for line in report.changes)
    assert report.basis.state_root
    assert report.basis.assurance == "operator-signed"


def test_decisions_for_other_rails_are_counted_with_what_became_of_them(told: Told) -> None:
    core = told.client
    payer, payee = (entry.record for entry in list(core.series(ATTEMPTS))[:2])
    decided = []
    for amount in (5, 10_000):
        now = core.head().time_ms
        message = DecidePayment(
            payer=payer.payer,
            payee=payee.payer,
            asset="eur",
            amount_units=amount,
            booked_at_ms=now,
            executor=core.account,
            reference=b"r" * 32,
        )
        decided.append(core.submit(message).event(Decided))
    core.submit(ReportExecution(decided[0].decision, "executed", core.head().time_ms))
    core.submit(ReportExecution(decided[1].decision, "executed", core.head().time_ms))
    report = report_of(told)
    assert [one.verdict for one in decided] == ["allow", "hold"]
    assert report.decisions.verdicts == {"allow": 1, "hold": 1}
    assert report.decisions.status == {"enforced": 1, "overridden": 1}
    (trouble,) = report.decisions.troubles
    assert trouble[:3] == (decided[1].decision.hex(), "overridden", "bank-a/core")
    assert report.fates["elsewhere"] == 2
    page = report_page(report, decimals={"eur": 2})
    assert "Decisions on other rails and cases" in page
    assert "overridden" in page


def test_the_page_runs_and_loads_nothing_and_escapes_names(told: Told) -> None:
    report = report_of(told)
    evil = '<script src="x">alert(1)</script>'
    rules = tuple(replace(line, rule=evil, approvers=(evil,)) for line in report.rules)
    changes = tuple(replace(line, what=evil, by=evil) for line in report.changes)
    page = report_page(replace(report, rules=rules, changes=changes), decimals={"eur": 2})
    assert "<script" not in page
    assert escape(evil, quote=True) in page
    assert "://" not in page
    assert "src=" not in page.replace(escape(evil, quote=True), "")
    assert report.basis.state_root in page
    assert f"height</dt><dd>{report.basis.height}</dd>" in page
    assert "cairn verify period.cairn --trust TRUST" in page
    assert report_page(report, decimals={"eur": 2}) == report_page(report, decimals={"eur": 2})


def test_a_period_without_anything_is_a_page_too(client_of: ClientOf) -> None:
    client = client_of("core")
    report = period_report(client, Names(client, {}, b""), from_ms=1, until_ms=2, now_ms=3)
    assert (report.precision, report.recall, report.alerts) == (None, None, 0)
    assert "no rule was live" in report_page(report, decimals={})


def test_labels_of_cases_are_yes_no_or_nothing() -> None:
    assert [case_label(text, 0) for text in ("1", " Yes ", True, "0", "no", "", None)] == [
        1,
        1,
        1,
        0,
        0,
        -1,
        -1,
    ]
    with pytest.raises(UsageError, match="row 3: the label 'maybe'"):
        case_label("maybe", 3)
