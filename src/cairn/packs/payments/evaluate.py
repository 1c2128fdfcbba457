"""Does a model beat the two-line rule on a later period, at the same number of alerts?

The order of time is kept: train on one period, leave a gap in which the labels of the training
period become known, test on a later one. Model and rule each alert on the same number of payments.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray

from cairn.exact.features import FEATURES
from cairn.exact.windows import DAY_COUNT_MAX
from cairn.learning import features as feature_fold
from cairn.learning.errors import TrainingError
from cairn.learning.features import fold_features
from cairn.learning.metrics import (
    AlertQuality,
    at_budget,
    average_precision,
    roc_auc,
    subject_precision_at_k,
)
from cairn.learning.tables import Table
from cairn.learning.training import SplitRows, TrainingSet
from cairn.packs.payments import records
from cairn.packs.payments.baseline import TwoLineRule, fit_rule
from cairn.packs.payments.records import Payments, payments_of

DAY_MS = 86_400_000
HISTORY_MS = (DAY_COUNT_MAX + 1) * DAY_MS
"""How far back the features look."""
SUBJECT_K = 100

PAYMENT_FEATURES: Final = (
    *(name for name in FEATURES[: FEATURES.index("payer_count_10m")]),
    "payer_count_10m",
    "payer_distinct_7d",
    "payee_distinct_7d",
    "payee_mean_30d",
    "pair_first_seen",
    "amount_over_payee_mean_ppm",
)
"""What a model of payments looks at unless told otherwise: nothing that needs labels or terminals.

So a ledger without either derives the same.
"""

LABELLED_FEATURES: Final = (
    "amount_units",
    "hour_of_day",
    "is_night",
    "is_weekend",
    "payer_count_10m",
    "payer_count_1h",
    "payer_count_24h",
    "payer_count_30d",
    "payer_sum_1h",
    "payer_sum_24h",
    "payer_mean_30d",
    "payer_since_last_s",
    "payer_distinct_1d",
    "payer_fraud_count_30d",
    "payee_count_1h",
    "payee_count_24h",
    "payee_count_30d",
    "payee_sum_24h",
    "payee_mean_30d",
    "payee_since_last_s",
    "payee_distinct_1d",
    "payee_distinct_7d",
    "payee_fraud_count_7d",
    "payee_fraud_ppm_7d",
    "payee_fraud_ppm_30d",
    "terminal_count_24h",
    "terminal_distinct_7d",
    "terminal_fraud_count_7d",
    "terminal_fraud_ppm_7d",
    "terminal_fraud_ppm_30d",
    "pair_first_seen",
    "amount_over_payer_mean_ppm",
    "amount_over_payee_mean_ppm",
)
"""What a model looks at where outcomes are put on record and terminals are known."""


@dataclass(frozen=True)
class TimeSplit:
    """A training period and a later test period, half-open, in milliseconds since the epoch."""

    train_start_ms: int
    train_end_ms: int
    test_start_ms: int
    test_end_ms: int

    def __post_init__(self) -> None:
        """Refuse periods that are empty or overlap.

        Raises:
            TrainingError: The four times are not in order.
        """
        if not self.train_start_ms < self.train_end_ms <= self.test_start_ms < self.test_end_ms:
            raise TrainingError("the test period must begin after the training period has ended")


def split_by_share(payments: Payments, *, train_share: float, delay_days: int) -> TimeSplit:
    """Return a split of all payments: the first share of the time, the delay, the rest."""
    first, last = int(payments.booked_at[0]), int(payments.booked_at[-1]) + 1
    train_end = first + round((last - first) * train_share)
    return TimeSplit(first, train_end, train_end + delay_days * DAY_MS, last)


@dataclass(frozen=True)
class PaymentRecipe:
    """The recipe of a training run on a canonical payments file (see `learning.training`)."""

    split: TimeSplit
    block_known_victims: bool = False
    """Leave payers out of the test whose fraud was known by then: their cards are blocked."""
    name: str = "payments/windows-v2"
    features: tuple[str, ...] = PAYMENT_FEATURES
    """Names of `exact.features.FEATURES`; those about fraud use the labels, after their delay."""

    def settings(self) -> Mapping[str, int]:
        """Return the numbers that the outcome depends on."""
        return {
            "block_known_victims": int(self.block_known_victims),
            "test_end_ms": self.split.test_end_ms,
            "test_start_ms": self.split.test_start_ms,
            "train_end_ms": self.split.train_end_ms,
            "train_start_ms": self.split.train_start_ms,
        }

    def sources(self) -> Sequence[Path]:
        """Return the source files that define the recipe."""
        return [Path(module.__file__ or "") for module in (records, feature_fold)] + [
            Path(__file__)
        ]

    def build(self, tables: Sequence[Table]) -> TrainingSet:
        """Return features and labels of one table of payments."""
        if len(tables) != 1:
            raise TrainingError(f"the recipe takes one file of payments, not {len(tables)}")
        times = np.array(tables[0].column("booked_at"), np.int64)
        if (np.diff(times) < 0).any():
            raise TrainingError("the payments are not in the order of their time", "sort the file")
        return self.build_payments(payments_of(tables[0]))

    def build_payments(self, payments: Payments) -> TrainingSet:
        """Return features and labels; payments before the training period fill the windows."""
        periods = self.periods(payments)
        first = int(np.searchsorted(payments.booked_at, self.split.train_start_ms - HISTORY_MS))
        start = int(np.searchsorted(payments.booked_at, self.split.train_start_ms))
        rows = fold_features(
            payments.booked_at[first:].tolist(),
            payments.payer[first:],
            payments.payee[first:],
            payments.amount_units[first:].tolist(),
            terminal=payments.terminal[first:],
            labels=payments.label[first:].tolist(),
            names=self.features,
            start=start - first,
        )
        labels = payments.label[start:]
        train, test = (mask[start:] for mask in periods)
        splits = [SplitRows(0, "history", first, start)] if first < start else []
        for name, mask in zip(("train", "test"), periods, strict=True):
            members = np.flatnonzero(mask)
            if len(members):
                splits.append(SplitRows(0, name, int(members[0]), int(members[-1]) + 1))
        return TrainingSet(
            splits=tuple(splits),
            features=self.features,
            train=rows[train],
            train_labels=labels[train],
            test=rows[test],
            test_labels=labels[test],
        )

    def test_payments(self, payments: Payments) -> Payments:
        """Return the payments that the test rows are about."""
        return payments.select(self.periods(payments)[1])

    def train_payments(self, payments: Payments) -> Payments:
        """Return the payments that the training rows are about."""
        return payments.select(self.periods(payments)[0])

    def periods(self, payments: Payments) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
        """Return which payments belong to training and test; unlabelled ones to neither."""
        times, labelled = payments.booked_at, payments.label != records.LABEL_UNKNOWN
        train = (times >= self.split.train_start_ms) & (times < self.split.train_end_ms)
        test = (times >= self.split.test_start_ms) & (times < self.split.test_end_ms)
        if self.block_known_victims:
            test &= ~self._blocked(payments, test)
        return train & labelled, test & labelled

    def _blocked(self, payments: Payments, test: NDArray[np.bool_]) -> NDArray[np.bool_]:
        """Return which test payments are by payers whose fraud was known on that day.

        A fraud is known after the delay between the two periods. Source: Le Borgne et al.,
        Reproducible Machine Learning for Credit Card Fraud Detection, chapter 3.
        """
        delay = self.split.test_start_ms - self.split.train_end_ms
        known_at: dict[str, int] = {}
        start = int(np.searchsorted(payments.booked_at, self.split.train_start_ms))
        for row in (np.flatnonzero(payments.label[start:] == 1) + start).tolist():
            moment = int(payments.booked_at[row])
            day_start = moment - moment % DAY_MS
            known_at.setdefault(payments.payer[row], day_start + delay + DAY_MS)
        blocked = np.zeros(len(payments), np.bool_)
        never = self.split.test_end_ms
        for row in np.flatnonzero(test).tolist():
            blocked[row] = payments.booked_at[row] >= known_at.get(payments.payer[row], never)
        return blocked


@dataclass(frozen=True)
class Ranked:
    """How one ranking does on the test period."""

    quality: AlertQuality
    found_units: int
    """Amount of the frauds among its alerts."""
    roc_auc: float
    average_precision: float
    payer_precision_at_k: float
    """Share of victims among the `SUBJECT_K` riskiest payers of a day, mean over the days."""


@dataclass(frozen=True)
class Comparison:
    """Model and rule on the same payments with the same number of alerts."""

    alerts: int
    model: Ranked
    rule: Ranked
    rule_numbers: TwoLineRule
    fraud_units: int
    """Amount of all frauds in the test period."""
    recall_by_scenario: Mapping[str, tuple[float, float]]
    """Per known pattern: what the model found and what the rule found."""


def compare(
    train: Payments, test: Payments, scores: NDArray[np.int64], *, alerts_per_day: int
) -> Comparison:
    """Return how the model's `scores` of the test payments compare with the rule fitted on `train`.

    Args:
        train: Payments of the training period; the rule's numbers are fitted on them.
        test: Payments of the test period, in the order of `scores`.
        scores: The model's scores.
        alerts_per_day: For how many alerts a day the rule is fitted. As many as it then raises in
            the test period, the model may raise too.
    """
    days = int(train.booked_at[-1] // DAY_MS - train.booked_at[0] // DAY_MS) + 1
    rule = fit_rule(train, min(1.0, alerts_per_day * days / len(train)))
    alerts = int(rule.alerts(test).sum())
    rankings = (scores.astype(np.float64), rule.ranking(test))
    model_ranked, rule_ranked = (_ranked(test, ranking, alerts) for ranking in rankings)
    by_scenario = {}
    for scenario in sorted(dict.fromkeys(name for name in test.scenario if name)):
        member = np.array([name == scenario for name in test.scenario]) & (test.label == 1)
        if member.any():
            model_found, rule_found = (at_budget(member, r, alerts).recall for r in rankings)
            by_scenario[scenario] = (model_found, rule_found)
    return Comparison(
        alerts=alerts,
        model=model_ranked,
        rule=rule_ranked,
        rule_numbers=rule,
        fraud_units=int(test.amount_units[test.label == 1].sum()),
        recall_by_scenario=by_scenario,
    )


def _ranked(test: Payments, ranking: NDArray[np.float64], alerts: int) -> Ranked:
    """Return how one ranking does."""
    top = np.argsort(-ranking, kind="stable")[:alerts]
    return Ranked(
        quality=at_budget(test.label, ranking, alerts),
        found_units=int((test.amount_units[top] * test.label[top]).sum()),
        roc_auc=roc_auc(test.label, ranking),
        average_precision=average_precision(test.label, ranking),
        payer_precision_at_k=subject_precision_at_k(
            test.label,
            ranking,
            subjects=test.payer,
            days=test.booked_at // DAY_MS,
            k=SUBJECT_K,
        ),
    )
