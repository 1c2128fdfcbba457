"""The leak check finds columns that give the label away, and lets real rules alone."""

from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from cairn.learning.quality.leaks import AUC_PPM_MIN
from cairn.learning.quality.measure import Roles, measure_quality
from cairn.learning.quality.report import QualityReport

ROWS = 4_000
RANDOM = np.random.default_rng(11)
FRAUD = RANDOM.random(ROWS) < 0.05
AMOUNT = np.where(FRAUD & (RANDOM.random(ROWS) < 0.3), 300.0, RANDOM.lognormal(3, 1, ROWS) % 220)


def judged(folder: Path, columns: dict[str, object], **roles: object) -> QualityReport:
    path = folder / "data.parquet"
    arrays = {name: pa.array(one) for name, one in columns.items()}
    pq.write_table(pa.table(arrays), path)
    return measure_quality(path, roles=Roles(**{"label": "y", **roles}))  # type: ignore[arg-type]


def test_a_scenario_leaks_and_a_real_rule_does_not(tmp_path: Path) -> None:
    """As in the published card payments: every amount above 220 is fraud, and that is no leak."""
    scenario = np.where(FRAUD, RANDOM.integers(1, 4, ROWS), 0)
    columns = {"y": FRAUD.astype(int), "amount": AMOUNT, "scenario": scenario}
    report = judged(tmp_path, {**columns, "id": np.arange(ROWS)})
    assert report.leaks == ("scenario",)
    assert report.columns[2].auc_ppm == 1_000_000
    assert 550_000 < report.columns[1].auc_ppm < 750_000


@pytest.mark.parametrize("text", [False, True])
def test_a_label_in_disguise_leaks(tmp_path: Path, text: bool) -> None:
    order = np.where(FRAUD, "chargeback", np.where(RANDOM.random(ROWS) < 0.5, "paid", "open"))
    numbers = np.select([order == "open", order == "chargeback"], [3, 5], 7)
    report = judged(tmp_path, {"y": FRAUD.astype(int), "state": order if text else numbers})
    assert report.leaks == ("state",)


def test_names_that_are_all_different_do_not_leak(tmp_path: Path) -> None:
    names = [f"customer {n}" for n in range(ROWS)]
    assert judged(tmp_path, {"y": FRAUD.astype(int), "name": names}).leaks == ()


def test_blank_cells_that_tell_the_label_leak(tmp_path: Path) -> None:
    """As in the published Ethereum accounts: only frauds lack the columns."""
    blank = FRAUD & (RANDOM.random(ROWS) < 0.4)
    values = pa.array(RANDOM.integers(0, 9, ROWS), mask=blank)
    report = judged(tmp_path, {"y": FRAUD.astype(int), "erc20": values})
    assert report.leaks == ("erc20",)
    assert report.columns[1].auc_ppm < AUC_PPM_MIN
    assert "missing the label is '1'" in report.columns[1].leak
    by_chance = pa.array(RANDOM.integers(0, 9, ROWS), mask=RANDOM.random(ROWS) < 0.1)
    assert judged(tmp_path, {"y": FRAUD.astype(int), "x": by_chance}).leaks == ()


def test_what_only_labelled_rows_have_leaks(tmp_path: Path) -> None:
    unknown = RANDOM.random(ROWS) < 0.3
    columns = {
        "y": pa.array(FRAUD.astype(int), mask=unknown),
        "closed_by": pa.array(RANDOM.integers(0, 5, ROWS), mask=unknown),
        "amount": AMOUNT,
    }
    report = judged(tmp_path, columns)
    assert report.leaks == ("closed_by",)
    assert "only rows with a label" in report.columns[1].leak


def test_later_times_and_declared_columns_leak(tmp_path: Path) -> None:
    booked = 1_700_000_000_000 + np.arange(ROWS) * 1000
    columns = {
        "y": FRAUD.astype(int),
        "booked_at": pa.array(booked, pa.timestamp("ms")),
        "opened_at": pa.array(booked - 5_000, pa.timestamp("ms")),
        "closed_at": pa.array(booked + RANDOM.integers(0, 9, ROWS), pa.timestamp("ms")),
        "amount": AMOUNT,
    }
    report = judged(tmp_path, columns, known_at="booked_at", after=("amount",))
    assert report.leaks == ("closed_at", "amount")
    assert "later than booked_at" in report.columns[3].leak


def test_labels_of_several_classes_and_of_numbers(tmp_path: Path) -> None:
    grade = RANDOM.integers(0, 4, ROWS)
    report = judged(tmp_path, {"y": grade, "is_best": grade == 3, "noise": AMOUNT})
    assert report.leaks == ("is_best",)
    price = RANDOM.lognormal(4, 1, ROWS)
    report = judged(tmp_path, {"y": price, "in_cents": price * 100, "noise": AMOUNT})
    assert report.leaks == ("in_cents",)


def test_a_label_that_cannot_be_judged_says_why(tmp_path: Path) -> None:
    few = np.zeros(ROWS, int)
    few[:3] = 1
    for label, why in (
        (few, "fewer than 10 rows of a class"),
        (np.zeros(ROWS, int), "only one value"),
        ([f"t{n}" for n in range(ROWS)], "different texts"),
    ):
        report = judged(tmp_path, {"y": label, "x": AMOUNT})
        assert report.leaks == ()
        assert report.figures["leaks"] is None
        assert any(why in one.text for one in report.findings)


def test_rows_beyond_the_bound_are_sampled(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("cairn.learning.quality.leaks.ROWS_MAX", 1_500)
    columns = {"y": FRAUD.astype(int), "copy": FRAUD, "amount": AMOUNT}
    assert judged(tmp_path, columns).leaks == ("copy",)
