"""The demo from founding to tampering, small, and what it says to data that it cannot use."""

import io
import json
import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from cairn.evidence.cli import verify_file
from cairn.evidence.errors import NotWitnessedError
from cairn.evidence.trust import load_trust
from cairn.evidence.verify import verify_bundle
from cairn.exact.windows import LABEL_DELAY_DAYS
from cairn.learning.errors import DatasetError
from cairn.modules.rules.records import BACKTESTS
from cairn.modules.training.records import EVALUATIONS
from cairn.packs.payments.demo import attempts, bank, folder, source
from cairn.packs.payments.demo.errors import DemoError
from cairn.packs.payments.demo.printing import WIDTH, Printer
from cairn.packs.payments.demo.result import DemoResult
from cairn.packs.payments.demo.run import run_demo
from cairn.packs.payments.demo.stream import EXPIRED, LIE, RELEASED, RETURNED
from cairn.packs.payments.evaluate import LABELLED_FEATURES
from cairn.packs.payments.generator import GeneratorSettings, generate_payments
from cairn.packs.payments.records import Payments
from cairn.primitives.signatures import SigningKey
from cairn.sdk.local import LocalConnection
from cairn.sdk.reading import Reader
from cairn.sdk.workspace import Workspace

PAYMENTS = 3_000
MAPPING = """
columns:
  tx_id: number
  booked_at: {column: when, kind: epoch_ms}
  payer: from
  payee: to
  amount_units: {column: amount, kind: decimal, scale: 2}
  asset: {constant: chf}
  label: is_fraud
"""


def run(directory: Path, **options: Path | int | None) -> tuple[DemoResult, str]:
    """Run a small demo and return its result and what it printed."""
    out = io.StringIO()
    settings = {"seed": 2, "data": None, "mapping": None, "limit": PAYMENTS, **options}
    result = run_demo(directory, out=Printer(out), hold_seconds=4, **settings)  # type: ignore[arg-type]
    return result, out.getvalue()


@pytest.fixture(scope="module")
def demo(tmp_path_factory: pytest.TempPathFactory) -> tuple[DemoResult, str]:
    return run(tmp_path_factory.mktemp("demo"))


def test_the_ledger_holds_what_the_model_finds_risky(demo: tuple[DemoResult, str]) -> None:
    result, _ = demo
    test = result.data.payments.select(
        np.arange(result.data.test_row, len(result.data.payments)),
    )
    scores, live = result.trained.scores_ppm, result.stream.live_row
    risky = np.flatnonzero(scores >= result.trained.threshold_ppm)
    stopped = sorted(result.stream.stopped, key=lambda one: one.row)
    acted_on = risky[risky >= live]
    assert [one.row for one in stopped] == acted_on.tolist()
    assert [one.amount_units for one in stopped] == test.amount_units[acted_on].tolist()
    assert result.shadow.alerts == (risky < live).sum() > 0
    assert result.stream.different == 0
    assert len(result.stream.transaction_ids) == len(test) == len(result.stream.latencies_ms)


def test_compliance_decides_by_what_payments_turn_out_to_be(demo: tuple[DemoResult, str]) -> None:
    result, _ = demo
    fates = [held.fate for held in result.stream.holds]
    assert fates.count(EXPIRED) == 1
    for held in result.stream.holds:
        if held is not result.stream.left:
            assert held.fate == (RETURNED if held.is_fraud else RELEASED)
            assert held.placed_ms < held.decided_ms < held.expires_at_ms
    assert RELEASED in fates
    assert RETURNED in fates


def test_one_hold_expires_in_a_block_that_the_idle_node_makes(
    demo: tuple[DemoResult, str],
) -> None:
    result, _ = demo
    left = result.stream.left
    assert left is not None
    assert left.fate == EXPIRED
    assert not left.is_fraud
    assert result.expiry.transactions == 0
    assert result.expiry.is_settled
    assert left.expires_at_ms <= result.expiry.time_ms < left.expires_at_ms + 2_000


def test_no_money_is_made_or_lost(demo: tuple[DemoResult, str]) -> None:
    result, _ = demo
    money = result.money
    assert money.supply_units == result.replayed.issued_units
    assert money.supply_units == int(result.data.payments.amount_units.sum())
    assert money.is_conserved
    assert money.held_units == 0


def test_the_model_beats_two_lines_of_rules(demo: tuple[DemoResult, str]) -> None:
    result, _ = demo
    quality, comparison = result.quality, result.evaluated.comparison
    assert quality.held.alerts == quality.baseline.alerts == len(result.stream.stopped)
    assert quality.held.found > quality.baseline.found
    assert comparison.model.quality.alerts == comparison.rule.quality.alerts == comparison.alerts
    assert result.trained.run.trained.conversion.flips_at_threshold == 0
    assert result.live.refused_code == "identity/not_approved"
    assert 0 < quality.stopped_units < quality.fraud_units
    assert quality.wrong_unit_hours < quality.wrong_unit_hours_real / 1000


def test_both_files_verify_with_their_scores_recomputed(demo: tuple[DemoResult, str]) -> None:
    result, _ = demo
    trust = result.directory / "trust.json"
    payment = verify_file(result.directory / "payment.cairn", trust, replay=True)
    period = verify_file(result.directory / "period.cairn", trust, replay=True)
    assert payment.assurance.word == period.assurance.word == "witnessed"
    assert [done.assurance for done in result.verified] == ["witnessed"] * 3
    story = "\n".join(payment.findings)
    for part in ("it was held by rule", "was appealed by", "was upheld", "returned to the payer"):
        assert part in story
    told = "\n".join(period.findings)
    holds = result.stream.holds
    assert f"{len(result.stream.transaction_ids)} predictions" in told.replace(",", "")
    assert f"{len(holds)} payments held" in told
    assert "1 hold expired" in told
    assert "0 holds of the period still open" in told
    assert any("computed again" in line for line in period.checked)


def test_a_file_that_gives_the_label_away_is_refused(demo: tuple[DemoResult, str]) -> None:
    result, text = demo
    registered = result.registered
    assert registered.refused.code == "data/quality_refused"
    assert registered.export.leaks == ("scenario",)
    assert registered.export.duplicates > 0
    assert "scenario" not in registered.manifest.schema.names
    assert registered.quality.leaks == ()
    assert registered.quality.duplicates == 0
    assert registered.manifest.row_count == result.data.train_end_row
    assert "columns that give the label away 1, at most 0" in " ".join(text.split())


def test_the_plan_stands_before_the_labels(demo: tuple[DemoResult, str]) -> None:
    result, _ = demo
    evaluated, data = result.evaluated, result.data
    assert evaluated.recorded.is_blind
    assert evaluated.recorded.number == 1
    assert evaluated.late_code == "training/plan_too_late"
    assert evaluated.labels == evaluated.report.row_count
    assert evaluated.labels == data.evaluation_end_row - data.train_end_row
    precision = evaluated.report.figures["average_precision"]
    assert precision.lower < precision.value < precision.upper
    with LocalConnection.open(*_ledger(result)) as connection:
        rows = [row.record for row in Reader(connection).scan(EVALUATIONS)]
        (entry,) = Reader(connection).series(BACKTESTS)
    reports = sorted((evaluated.report, result.live_report), key=lambda one: one.row_count)
    rows.sort(key=lambda one: one.row_count)
    assert [row.report_digest for row in rows] == [report.digest for report in reports]
    assert [row.row_count for row in rows] == [report.row_count for report in reports]
    assert all(row.is_blind for row in rows)
    assert entry.record.report_digest == result.backtest.digest()


def test_labels_count_from_a_week_after_the_booking(demo: tuple[DemoResult, str]) -> None:
    result, _ = demo
    data = result.data
    place = LABELLED_FEATURES.index("payee_fraud_count_7d")
    assert result.trained.features[:, place].max() > 0
    frauds = data.payments.label == 1
    due = data.days <= int(data.days[data.test_row - 1]) - LABEL_DELAY_DAYS
    trained_on = np.arange(len(frauds)) < data.train_end_row
    assert 0 < result.replayed.labels <= (frauds & due & trained_on).sum()
    # In the end every label of evaluation and stream is on record, and every earlier fraud.
    wanted = data.evaluation_end_row - data.train_end_row + len(frauds) - data.test_row
    between = frauds[data.evaluation_end_row : data.test_row].sum()
    assert result.outcomes == frauds[: data.train_end_row].sum() + wanted + between


def test_the_rule_is_tried_before_it_acts(demo: tuple[DemoResult, str]) -> None:
    result, text = demo
    scores, threshold = result.trained.evaluated_ppm, result.trained.threshold_ppm
    assert result.backtest.alerts == (scores >= threshold).sum()
    assert result.backtest.labelled == result.backtest.alerts
    assert 0 < result.backtest.fraud_alerts <= result.backtest.frauds
    assert "refused: rules/not_backtested" in " ".join(text.split())
    assert min(one.row for one in result.stream.stopped) >= result.stream.live_row > 0


def test_the_other_rail_is_asked_and_its_word_is_kept(demo: tuple[DemoResult, str]) -> None:
    result, _ = demo
    rail = result.stream.rail
    statuses = [one.status for one in rail.asked]
    assert statuses.count("overridden") == statuses.count("unanswered") == 1
    assert statuses.count("enforced") == len(statuses) - 2
    verified = verify_file(
        result.directory / "decision.cairn", result.directory / "trust.json", replay=True
    )
    assert "overridden" in "\n".join(verified.findings)
    rows = [one.row for one in rail.asked]
    assert not set(rows) & {held.row for held in result.stream.holds}


def test_who_lies_about_features_is_held(demo: tuple[DemoResult, str]) -> None:
    result, _ = demo
    lied = result.stream.lied
    assert lied is not None
    place = LABELLED_FEATURES.index("amount_over_payer_mean_ppm")
    stated = {one.name: one.value for one in LIE}
    assert stated["amount_over_payer_mean_ppm"] != result.trained.features[lied.row][place]
    assert lied.score_ppm == result.trained.scores_ppm[lied.row] >= result.trained.threshold_ppm


def test_the_pages_stand_alone(demo: tuple[DemoResult, str]) -> None:
    result, _ = demo
    for name in ("report", "quality", "evaluation", "lineage", "backtest"):
        page = (result.directory / f"{name}.html").read_text()
        assert page.startswith("<!doctype html>") or page.startswith("<!DOCTYPE html>")
        assert not re.search(r"(?:src|href)=.https?:", page), name
    report = (result.directory / "report.html").read_text()
    assert "witnessed" in report
    assert "overridden" in report
    assert "unanswered" in report


def test_every_attempt_is_found_and_named(demo: tuple[DemoResult, str]) -> None:
    result, text = demo
    found = {one.what: one.code for one in result.attempts}
    assert all(one.is_caught for one in result.attempts)
    *others, last = result.attempts
    assert attempts.ACCEPTED not in [one.code for one in others]
    assert sorted(dict.fromkeys(found.values())) == [
        "ChangedDataError",
        "CorruptLogError",
        "InvariantError",
        "RolledBackError",
        "accepted",
        "decisions/not_executor",
        "evidence/header_not_committed",
        "evidence/incomplete_range",
        "evidence/not_witnessed",
        "evidence/series_proof",
        "evidence/state_proof",
        "ledger/bad_signature",
        "ledger/unknown_key",
        "witness/inconsistent",
    ]
    edited = next(one for one in result.attempts if one.finder == attempts.TRAINING)
    assert edited.words.endswith("rows 1 changed (17)")
    words = " ".join(text.split())
    for one in result.attempts:
        assert one.code in words
    assert last.code == attempts.ACCEPTED
    assert last.words.startswith("operator-signed: ")
    assert "cannot be excluded" in result.rewriting.sentence
    assert "settled" in result.rewriting.fate


def test_an_attempt_that_nobody_notices_fails_the_demo() -> None:
    unnoticed = attempts.attempt("nothing", attempts.NODE, "some/code", lambda: None)
    assert (unnoticed.code, unnoticed.is_caught) == (attempts.ACCEPTED, False)
    with pytest.raises(DemoError, match="nothing: the node said accepted, not some/code"):
        attempts.check_all_caught([unnoticed])


def _ledger(result: DemoResult) -> tuple[Path, SigningKey]:
    workspace = Workspace(result.directory / "bank")
    return workspace.directory, workspace.open_node_key(bank.PASSPHRASE)


def test_without_the_witnesss_line_the_trust_file_refuses(demo: tuple[DemoResult, str]) -> None:
    result, _ = demo
    trust = load_trust(result.directory / "trust.json")
    assert (len(trust.witnesses), trust.witness_threshold) == (1, 1)
    raw = (result.directory / "payment.cairn").read_bytes()
    stranger = replace(trust.witnesses[0], name="somebody.example/else")
    with pytest.raises(NotWitnessedError):
        verify_bundle(raw, replace(trust, witnesses=(stranger,)), at_ms=0)


def test_the_workspace_stays_usable(demo: tuple[DemoResult, str]) -> None:
    result, _ = demo
    workspace = Workspace(result.directory / "bank")
    with LocalConnection.open(*_ledger(result)) as connection:
        assert connection.head().height >= result.expiry.height
        assert connection.check()
    log = b"".join(path.read_bytes() for path in (workspace.directory / "ledger").rglob("*.log"))
    assert workspace.customers()
    assert b"syn-" not in log, "a customer's name is on the ledger"


def test_what_it_leaves(demo: tuple[DemoResult, str]) -> None:
    result, text = demo
    assert sorted(path.name for path in result.directory.iterdir()) == [
        ".cairn-demo",
        "backtest.html",
        "bank",
        "data",
        "decision.cairn",
        "demo.json",
        "demo.txt",
        "evaluation.html",
        "lineage.html",
        "payment.cairn",
        "period.cairn",
        "quality.html",
        "report.html",
        "trust.json",
        "witness",
    ]
    figures = json.loads((result.directory / "demo.json").read_text())
    assert figures == result.figures
    assert figures["stream"]["held"] == len(result.stream.holds)
    assert {one["code"] == one["expected"] for one in figures["attempts"]} == {True}
    told = [line for line in text.splitlines() if not line.startswith("    payments: ")]
    assert (result.directory / "demo.txt").read_text().splitlines() == told
    assert "\x1b" not in text
    paths = str(result.directory)
    assert max(len(line) for line in told if paths not in line) <= WIDTH
    for number in range(1, 9):
        assert re.search(rf"^{number}  \w", text, re.MULTILINE)


# Somebody's own data


@contextmanager
def changed(payments: Payments, path: Path) -> Iterator[list[str]]:
    """Write payments as a stranger's CSV; the rows can be changed before."""
    rows = [
        f"{number},{booked},{payer},{payee},{amount / 100:.2f},{'true' if label else 'false'}"
        for number, booked, payer, payee, amount, label in zip(
            payments.tx_id,
            payments.booked_at.tolist(),
            payments.payer,
            payments.payee,
            payments.amount_units.tolist(),
            payments.label.tolist(),
            strict=True,
        )
    ]
    yield rows
    path.write_text("number,when,from,to,amount,is_fraud\n" + "\n".join(rows) + "\n")


@pytest.fixture(scope="module")
def strangers(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder with a stranger's payments and the mapping for them."""
    place = tmp_path_factory.mktemp("strangers")
    payments = generate_payments(
        GeneratorSettings(
            seed=11, payments=2_600, days=40, customers=200, merchants=40, fraud_share=0.05
        )
    )
    with changed(payments, place / "payments.csv") as rows:
        moment = rows[0].split(",")[1]
        rows.append(f"x1,{moment},syn-c00001,syn-c00001,5.00,false")
        rows.append(f"x2,{moment},syn-c00001,syn-c00002,0.00,false")
    (place / "mapping.yaml").write_text(MAPPING)
    return place


def test_a_strangers_payments_by_a_mapping(strangers: Path, tmp_path: Path) -> None:
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / folder.MARKER_FILE).write_text("")
    (tmp_path / "out" / "period.cairn").write_text("of a former run")
    result, text = run(
        tmp_path / "out",
        data=strangers / "payments.csv",
        mapping=strangers / "mapping.yaml",
        limit=2_000,
    )
    words = " ".join(text.split())
    assert "the former run in it was replaced" in words
    assert not result.data.is_synthetic
    assert 1_500 < len(result.data.payments) <= 2_000
    assert result.data.asset == "chf"
    assert f"CHF {result.money.supply_units / 100:,.2f} issued" in words
    assert "those of some payers are taken" in words
    assert result.money.is_conserved
    assert all(one.is_caught for one in result.attempts)
    assert [held.fate for held in result.stream.holds].count(EXPIRED) == 1
    taken = dict.fromkeys(result.data.payments.payer)
    whole = source.read_from(strangers / "payments.csv", strangers / "mapping.yaml", 100_000, 2)
    kept = [payer in taken for payer in whole.payments.payer]
    assert sum(kept) == len(result.data.payments), "a payer's payments are cut"
    assert "2 of them pay nothing" in " ".join(whole.told)


def test_data_that_are_not_there(tmp_path: Path) -> None:
    with pytest.raises(DatasetError, match="there is no file or folder") as caught:
        run(tmp_path / "out", data=tmp_path / "nowhere.csv")
    assert "--data" in caught.value.hint
    assert not (tmp_path / "out").exists()


def test_a_missing_mapping_is_named(strangers: Path, tmp_path: Path) -> None:
    with pytest.raises(DatasetError, match=r"no mapping was given, and .* 'tx_id'") as caught:
        run(tmp_path / "out", data=strangers / "payments.csv")
    assert "--mapping FILE" in caught.value.hint


def test_a_wrong_column_is_named(strangers: Path, tmp_path: Path) -> None:
    wrong = tmp_path / "wrong.yaml"
    wrong.write_text(MAPPING.replace("payee: to", "payee: recipient"))
    with pytest.raises(DatasetError, match="has no column 'recipient'"):
        run(tmp_path / "out", data=strangers / "payments.csv", mapping=wrong)


def test_payments_without_labels(strangers: Path, tmp_path: Path) -> None:
    blind = tmp_path / "blind.yaml"
    blind.write_text(MAPPING.replace("  label: is_fraud\n", ""))
    with pytest.raises(DatasetError, match="no payment says whether it was fraud") as caught:
        run(tmp_path / "out", data=strangers / "payments.csv", mapping=blind)
    assert "`label`" in caught.value.hint


def test_a_period_without_fraud(strangers: Path, tmp_path: Path) -> None:
    path = tmp_path / "honest.csv"
    path.write_text((strangers / "payments.csv").read_text().replace(",true", ",false"))
    with pytest.raises(DatasetError, match="the training period has 0 frauds"):
        run(tmp_path / "out", data=path, mapping=strangers / "mapping.yaml")


def test_several_assets(strangers: Path, tmp_path: Path) -> None:
    mapping = tmp_path / "assets.yaml"
    mapping.write_text(MAPPING.replace("{constant: chf}", "is_fraud"))
    text = (strangers / "payments.csv").read_text()
    mapping.write_text(mapping.read_text().replace("  label: is_fraud\n", ""))
    path = tmp_path / "assets.csv"
    path.write_text(text)
    with pytest.raises(DatasetError, match="the payments are in 2 assets: false, true"):
        run(tmp_path / "out", data=path, mapping=mapping)


@pytest.mark.parametrize("limit", [1, 999])
def test_too_few_payments(tmp_path: Path, limit: int) -> None:
    with pytest.raises(DatasetError, match=f"{limit} payments are too few"):
        run(tmp_path / "out", limit=limit)


def test_a_mapping_without_data(strangers: Path, tmp_path: Path) -> None:
    with pytest.raises(DemoError, match="--mapping without --data"):
        run(tmp_path / "out", mapping=strangers / "mapping.yaml")


# The folder


def test_a_folder_of_something_else_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "thesis.txt").write_text("years of work")
    with pytest.raises(DemoError, match="not a demo's"):
        run(tmp_path)
    (tmp_path / folder.MARKER_FILE).write_text("")
    with pytest.raises(DemoError, match=r"holds thesis\.txt"):
        run(tmp_path)
    assert (tmp_path / "thesis.txt").read_text() == "years of work"


def test_a_former_run_is_removed(tmp_path: Path) -> None:
    first, was_there = folder.take_folder(tmp_path / "deep" / "demo")
    assert not was_there
    first.bank.mkdir()
    (first.bank / "node.key").write_text("old")
    first.period.write_text("old")
    again, was_there = folder.take_folder(first.path)
    assert was_there
    assert [path.name for path in again.path.iterdir()] == [folder.MARKER_FILE]


def test_a_folder_that_cannot_be_made(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(DemoError, match="cannot be used"):
        folder.take_folder(tmp_path / "file" / "demo")


# Printing


class Terminal(io.StringIO):
    """A stream that says it is a terminal."""

    def isatty(self) -> bool:
        return True


def test_a_terminal_gets_bold_headings_and_moving_progress(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.delenv("NO_COLOR", raising=False)
    stream = Terminal()
    out = Printer(stream)
    out.step("1  A step")
    with out.progress("payments", 1_000) as progress:
        progress.reach(500)
    assert "\x1b[1m1  A step\x1b[0m" in stream.getvalue()
    assert "payments: 500 of 1,000" in stream.getvalue()
    assert out.report == "\n1  A step\n"


def test_no_color_is_honoured(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setenv("NO_COLOR", "1")
    stream = Terminal()
    Printer(stream).step("1  A step")
    assert "\x1b" not in stream.getvalue()


def test_tables_wrap_and_numbers_stand_right() -> None:
    out = Printer(io.StringIO())
    out.table(("what", "count"), [("one", "1"), ("many", "1,000")])
    assert out.report == "  what  count\n  one       1\n  many  1,000\n"
    wide = Printer(io.StringIO())
    wide.table(("attempt", "found by", "words"), [("a" * 60, "the node", "b " * 80)])
    assert max(len(line) for line in wide.report.splitlines()) <= WIDTH
    assert wide.report.count("b") >= 80


def test_quiet_printing_keeps_the_report() -> None:
    stream = io.StringIO()
    out = Printer(stream, is_quiet=True)
    out.say("a sentence")
    assert (stream.getvalue(), out.report) == ("", "  a sentence\n")
