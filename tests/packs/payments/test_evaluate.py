"""The comparison keeps the order of time, and a trained model beats the two-line rule."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from cairn.learning.commitments import SubjectKeys
from cairn.learning.datasets import commit_file
from cairn.learning.errors import DatasetError, TrainingError
from cairn.learning.features import fold_features
from cairn.learning.training import CommittedFile, TrainingSettings, run_training
from cairn.packs.payments.baseline import TwoLineRule, counts_in_hour, fit_rule
from cairn.packs.payments.evaluate import (
    DAY_MS,
    PaymentRecipe,
    TimeSplit,
    compare,
    split_by_share,
)
from cairn.packs.payments.generator import GeneratorSettings, generate_payments, write_payments
from cairn.packs.payments.handbook import read_handbook
from cairn.packs.payments.records import LABEL_UNKNOWN, PAYMENT_SCHEMA, Payments, table_of

MINUTE_MS = 60_000


def make(times: list[int], payers: list[str], amounts: list[int], labels: list[int]) -> Payments:
    count = len(times)
    return Payments(
        tx_id=[f"t{row}" for row in range(count)],
        booked_at=np.array(times, np.int64),
        payer=payers,
        payee=["m"] * count,
        amount_units=np.array(amounts, np.int64),
        asset=["eur"] * count,
        label=np.array(labels, np.int64),
        scenario=["x" if label == 1 else "" for label in labels],
    )


@pytest.fixture(scope="module")
def payments() -> Payments:
    return generate_payments(GeneratorSettings(seed=2, payments=16_000, customers=1_000))


@pytest.fixture(scope="module")
def data(payments: Payments, tmp_path_factory: pytest.TempPathFactory) -> CommittedFile:
    path = tmp_path_factory.mktemp("payments") / "synthetic.parquet"
    write_payments(path, payments)
    keys = SubjectKeys()
    manifest = commit_file(path, PAYMENT_SCHEMA, keys, synthetic=True)
    return CommittedFile(path, manifest, keys)


class TestRule:
    def test_counts_are_of_one_payer_within_an_hour(self) -> None:
        times = [0, 10 * MINUTE_MS, 20 * MINUTE_MS, 60 * MINUTE_MS, 90 * MINUTE_MS]
        found = counts_in_hour(make(times, ["a", "b", "a", "a", "a"], [1] * 5, [0] * 5))
        # At minute 60 the payment of minute 0 is an hour ago and counts no more.
        assert found.tolist() == [1, 1, 2, 2, 2]

    def test_it_alerts_above_the_amount_or_at_the_count(self) -> None:
        rule = TwoLineRule(amount_units=100, count_in_hour=2)
        payments = make([1, 2, 3], ["a", "b", "a"], [101, 100, 5], [0, 0, 0])
        assert rule.alerts(payments).tolist() == [True, False, True]
        ranking = rule.ranking(payments)
        assert ranking[0] > ranking[2] > 1 > ranking[1]

    def test_the_fit_keeps_the_budget_and_finds_the_better_line(self) -> None:
        bursts = make([0, 1, 2, 3, 9_999_999_999], ["a"] * 5, [1, 1, 1, 1, 50], [0, 0, 1, 1, 0])
        assert fit_rule(bursts, 0.4).count_in_hour == 3
        large = make([0, 1, 2, 3], ["a", "b", "c", "d"], [5, 900, 7, 800], [0, 1, 0, 1])
        rule = fit_rule(large, 0.5)
        assert rule.alerts(large).tolist() == [False, True, False, True]

    @pytest.mark.parametrize("share", [0.0, 0.001, 0.01, 0.1, 1.0])
    def test_the_fit_never_exceeds_the_budget(self, payments: Payments, share: float) -> None:
        rule = fit_rule(payments, share)
        assert rule.alerts(payments).sum() <= len(payments) * share


class TestSplit:
    def test_periods_must_be_in_order(self) -> None:
        for times in ((5, 5, 6, 7), (5, 7, 6, 8), (5, 6, 8, 8)):
            with pytest.raises(TrainingError):
                TimeSplit(*times)

    def test_the_delay_separates_the_periods(self, payments: Payments) -> None:
        split = split_by_share(payments, train_share=0.5, delay_days=7)
        recipe = PaymentRecipe(split)
        train, test = recipe.train_payments(payments), recipe.test_payments(payments)
        assert test.booked_at[0] - train.booked_at[-1] >= 7 * DAY_MS
        assert train.tx_id[0] == payments.tx_id[0]
        assert test.tx_id[-1] == payments.tx_id[-1]

    def test_rows_are_the_features_of_the_whole_stream(self, payments: Payments) -> None:
        start = int(payments.booked_at[0])
        split = TimeSplit(*(start + days * DAY_MS for days in (40, 47, 50, 55)))
        prepared = PaymentRecipe(split).build_payments(payments)
        whole = fold_features(
            payments.booked_at.tolist(),
            payments.payer,
            payments.payee,
            payments.amount_units.tolist(),
            names=prepared.features,
        )
        by_name = {split.split: split for split in prepared.splits}
        train = by_name["train"]
        rows = whole[train.first_row : train.end_row]
        # Only whether an account was ever seen can depend on more than 38 days.
        skip = [i for i, name in enumerate(prepared.features) if name.endswith(("seen", "last_s"))]
        kept = [i for i in range(len(prepared.features)) if i not in skip]
        assert prepared.train[:, kept].tolist() == rows[:, kept].tolist()
        assert by_name["history"].end_row == train.first_row

    def test_unlabelled_payments_are_in_neither_period(self, payments: Payments) -> None:
        label = payments.label.copy()
        label[::2] = LABEL_UNKNOWN
        half = replace(payments, label=label)
        recipe = PaymentRecipe(split_by_share(half, train_share=0.5, delay_days=1))
        assert (recipe.train_payments(half).label >= 0).all()
        assert len(recipe.train_payments(half)) < len(recipe.train_payments(payments))

    def test_known_victims_leave_the_test_when_their_fraud_is_known(self) -> None:
        day = [number * DAY_MS for number in range(30)]
        payments = make(
            [day[1], day[2], day[8], day[10], day[17], day[18]],
            ["a", "b", "c", "a", "c", "c"],
            [1] * 6,
            [1, 0, 1, 0, 0, 0],
        )
        split = TimeSplit(day[0], day[3], day[10], day[20])
        recipe = PaymentRecipe(split, block_known_victims=True)
        # a is blocked from the start; c's fraud of day 8 is known after seven days, from day 16.
        assert recipe.test_payments(payments).tx_id == []
        late = PaymentRecipe(TimeSplit(day[0], day[3], day[13], day[20]), block_known_victims=True)
        # With ten days of delay it is known from day 19.
        assert late.test_payments(payments).tx_id == ["t4", "t5"]


class TestTraining:
    def test_the_model_beats_the_rule_on_a_later_period(
        self, payments: Payments, data: CommittedFile
    ) -> None:
        recipe = PaymentRecipe(split_by_share(payments, train_share=0.6, delay_days=5))
        run = run_training([data], recipe, TrainingSettings(parameters={"num_iterations": 60}))
        train, test = recipe.train_payments(payments), recipe.test_payments(payments)
        found = compare(train, test, run.trained.test_scores_ppm, alerts_per_day=5)
        assert run.record.test_rows == len(test)
        assert found.model.quality.alerts == found.rule.quality.alerts == found.alerts > 0
        assert found.model.average_precision > 2 * found.rule.average_precision
        assert found.model.quality.found > found.rule.quality.found
        assert found.model.found_units <= found.fraud_units
        assert set(found.recall_by_scenario) <= set(test.scenario)

    def test_files_out_of_order_are_refused(self, payments: Payments) -> None:
        table = table_of(payments)
        for column in table.columns:
            column[0], column[-1] = column[-1], column[0]
        recipe = PaymentRecipe(split_by_share(payments, train_share=0.6, delay_days=5))
        with pytest.raises(TrainingError, match="not in the order of their time"):
            recipe.build([table])
        with pytest.raises(TrainingError, match="one file"):
            recipe.build([table, table])


def test_a_folder_without_the_handbook_is_named(tmp_path: Path) -> None:
    with pytest.raises(DatasetError, match=r"has no tx_2018-06\.parquet"):
        read_handbook(tmp_path)
