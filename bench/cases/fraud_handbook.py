"""The Fraud Detection Handbook's simulated card payments, by the handbook's weekly protocol.

Source: Le Borgne, Siblini, Lebichot, Bontempi: Reproducible Machine Learning for Credit Card Fraud
Detection, https://fraud-detection-handbook.github.io, chapters 3 to 5.
"""

import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np
from lightgbm import LGBMClassifier
from numpy.typing import NDArray
from sklearn.ensemble import RandomForestClassifier

from bench.cases.result import CaseError, CaseResult, CaseTable, middle
from bench.harness import Figure
from cairn.exact.features import FEATURES
from cairn.exact.models import encode_model
from cairn.exact.scoring import Scorer
from cairn.learning.conversion.convert import convert
from cairn.learning.features import fold_features
from cairn.learning.metrics import (
    average_precision,
    precision_recall_points,
    roc_auc,
    subject_precision_at_k,
)
from cairn.learning.quality.measure import Roles, measure_quality
from cairn.packs.payments.evaluate import DAY_MS, PaymentRecipe, TimeSplit
from cairn.packs.payments.handbook import SPLIT
from cairn.packs.payments.mapping import FRAUD_HANDBOOK, read_payments
from cairn.packs.payments.records import Payments
from cairn.pages.charts import line_chart, pr_curve
from cairn.primitives.fixed import PPM

PUBLISHED_BOOSTED = {"handbook, gradient boosting": 0.639, "handbook, random forest": 0.658}
RULE_AMOUNT_UNITS = 220_00
FRAUD_RATE = "payee_fraud_ppm_7d"
FOLD_DAYS = 45
"""How far back the features can look."""
K = 100

INPUTS = tuple(
    name
    for name in FEATURES
    if not name.startswith(("terminal_", "asserted_")) and name not in ("payee_first_seen",)
)
"""Here the terminal is the payee, so that its columns would all be empty."""

Rows = NDArray[np.int64]


@dataclass(frozen=True)
class Week:
    """One application of the protocol: rows and labels of its two weeks."""

    test_start_ms: int
    train: Rows
    train_labels: Rows
    test: Rows
    test_labels: Rows
    test_payments: Payments


@dataclass(frozen=True)
class Score:
    """How one fitted model does on a test week, by its own floats and by its exact form."""

    ap_exact: float
    ap_float: float
    auc: float
    card_precision: float
    size_bytes: int
    scores: NDArray[np.int64]


def run(folder: Path, *, seeds: Sequence[int]) -> CaseResult:
    """Return the case's figures.

    Raises:
        CaseError: The folder does not hold the payments.
    """
    _tell("reading the payments and folding their features")
    payments = _read(folder)
    rows = fold_features(
        payments.booked_at.tolist(),
        payments.payer,
        payments.payee,
        payments.amount_units.tolist(),
        labels=payments.label.tolist(),
        names=INPUTS,
    )
    anchor = _week(payments, rows, SPLIT)
    boosted = [_fit(_boosted(seed), anchor) for seed in _each(seeds, "boosted model")]
    forest = [_fit(_forest(seed), anchor) for seed in _each(seeds, "forest")]
    permuted = [_permuted(anchor, seed) for seed in _each(seeds, "permuted labels")]
    rule = average_precision(anchor.test_labels, _rule_ranking(anchor))
    weeks = [_week(payments, rows, split) for split in _weekly(payments)]
    by_week = [_one_week(week) for week in _each(weeks, "week")]
    return CaseResult(
        title="Card fraud, the handbook's simulated payments",
        protocol=_words(anchor, len(weeks), len(seeds)),
        figures=_figures(anchor, boosted, forest, permuted=permuted, rule=rule)
        + _leak_figures(folder)
        + [
            Figure(
                "ap_weekly_median",
                median(row[2] for row in by_week),
                "share",
                note=f"boosted model, median of {len(by_week)} test weeks, seed 0",
            )
        ],
        tables=[
            CaseTable(
                "Week by week",
                ("test week", "frauds", "boosted, exact", "boosted, float", "forest", "rule"),
                [
                    (day, frauds, *(f"{value:.3f}" for value in values))
                    for day, frauds, *values in by_week
                ],
            )
        ],
        charts=[
            (
                pr_curve(
                    _curves(anchor, boosted[0], forest[0]),
                    title="Precision and recall, test week 8 to 14 August, seed 0",
                ),
                "Each point is a threshold on the exact score.",
            ),
            (
                line_chart(
                    {
                        "boosted": [(n, row[2]) for n, row in enumerate(by_week, 1)],
                        "forest": [(n, row[4]) for n, row in enumerate(by_week, 1)],
                        "rule": [(n, row[5]) for n, row in enumerate(by_week, 1)],
                    },
                    title="Average precision week by week",
                    x_label="test week",
                    y_label="average precision",
                ),
                "A model for each week, trained on one week, tested on the week after the next.",
            ),
        ],
    )


def _read(folder: Path) -> Payments:
    if not sorted(folder.glob(FRAUD_HANDBOOK.files)):
        raise CaseError(f"{folder} holds no file {FRAUD_HANDBOOK.files}")
    return read_payments(folder, FRAUD_HANDBOOK)


def _weekly(payments: Payments) -> list[TimeSplit]:
    """Return the protocol's split shifted by whole weeks, as long as data and history last."""
    first, last = int(payments.booked_at[0]), int(payments.booked_at[-1])
    splits = []
    for shift in range(-30, 30):
        by = shift * 7 * DAY_MS
        split = TimeSplit(
            SPLIT.train_start_ms + by,
            SPLIT.train_end_ms + by,
            SPLIT.test_start_ms + by,
            SPLIT.test_end_ms + by,
        )
        if split.train_start_ms - FOLD_DAYS * DAY_MS >= first and split.test_end_ms <= last + 1:
            splits.append(split)
    return splits


def _week(payments: Payments, rows: Rows, split: TimeSplit) -> Week:
    recipe = PaymentRecipe(split, block_known_victims=True)
    train, test = recipe.periods(payments)
    return Week(
        test_start_ms=split.test_start_ms,
        train=rows[train],
        train_labels=payments.label[train],
        test=rows[test],
        test_labels=payments.label[test],
        test_payments=payments.select(test),
    )


def _boosted(seed: int) -> LGBMClassifier:
    return LGBMClassifier(
        n_estimators=200,
        learning_rate=0.03,
        max_depth=8,
        num_leaves=63,
        min_child_samples=10,
        subsample=0.8,
        subsample_freq=1,
        colsample_bytree=0.5,
        reg_lambda=5.0,
        random_state=seed,
        deterministic=True,
        force_col_wise=True,
        n_jobs=1,
        verbose=-1,
    )


def _forest(seed: int) -> RandomForestClassifier:
    return RandomForestClassifier(n_estimators=100, random_state=seed, n_jobs=2)


def _fit(model: Any, week: Week) -> Score:
    model.fit(week.train, week.train_labels)
    floats = model.predict_proba(week.test)[:, 1]
    exact = convert(model, INPUTS, week.test[:2_000]).model
    _, scores = Scorer(exact).score(week.test)
    payments = week.test_payments
    return Score(
        ap_exact=average_precision(week.test_labels, scores),
        ap_float=average_precision(week.test_labels, floats),
        auc=roc_auc(week.test_labels, scores),
        card_precision=subject_precision_at_k(
            week.test_labels,
            scores,
            subjects=payments.payer,
            days=payments.booked_at // DAY_MS,
            k=K,
        ),
        size_bytes=len(encode_model(exact)),
        scores=scores,
    )


def _permuted(week: Week, seed: int) -> float:
    """Return average precision over base rate of a model that learnt permuted labels."""
    labels = np.random.default_rng(seed).permutation(week.train_labels)
    model = _boosted(seed).fit(week.train, labels)
    exact = convert(model, INPUTS, week.test[:100]).model
    _, scores = Scorer(exact).score(week.test)
    return average_precision(week.test_labels, scores) / float(week.test_labels.mean())


def _rule_ranking(week: Week) -> NDArray[np.float64]:
    """Return the rule's ranking: amount over 220 first, the rest by the terminal's fraud rate."""
    amounts = week.test[:, INPUTS.index("amount_units")]
    rates = week.test[:, INPUTS.index(FRAUD_RATE)]
    return np.where(amounts > RULE_AMOUNT_UNITS, 2.0, rates / PPM)


def _one_week(week: Week) -> tuple[Any, ...]:
    boosted, forest = _fit(_boosted(0), week), _fit(_forest(0), week)
    rule = average_precision(week.test_labels, _rule_ranking(week))
    day = np.datetime64(week.test_start_ms, "ms").astype("datetime64[D]")
    frauds = int(week.test_labels.sum())
    return str(day), frauds, boosted.ap_exact, boosted.ap_float, forest.ap_exact, rule


def _figures(
    anchor: Week,
    boosted: Sequence[Score],
    forest: Sequence[Score],
    *,
    permuted: Sequence[float],
    rule: float,
) -> list[Figure]:
    exact = middle("ap_exact", [s.ap_exact for s in boosted], goal="≥ .64")
    gaps = [abs(s.ap_exact - s.ap_float) for s in (*boosted, *forest)]
    return [
        Figure(exact.name, exact.value, exact.unit, exact.goal, PUBLISHED_BOOSTED, exact.note),
        middle("ap_float", [s.ap_float for s in boosted]),
        middle("ap_forest", [s.ap_exact for s in forest], goal="≥ .655"),
        Figure("ap_gap_max", max(gaps), "share", "≤ .005", note="exact against float, every seed"),
        Figure("ap_rule", rule, "share", "≥ .15 below ap_exact"),
        middle("ap_permuted_ratio", permuted, unit="of base rate", goal="≤ 2"),
        Figure("base_rate", float(anchor.test_labels.mean()), "share"),
        middle("auc", [s.auc for s in boosted]),
        middle("card_precision_100", [s.card_precision for s in boosted]),
        middle("card_precision_100_forest", [s.card_precision for s in forest]),
        middle("size_bytes", [float(s.size_bytes) for s in boosted], unit="B"),
        middle("size_bytes_forest", [float(s.size_bytes) for s in forest], unit="B"),
    ]


def _leak_figures(folder: Path) -> list[Figure]:
    file = folder / "tx_2018-07.parquet"
    _tell(f"looking for leaks in {file.name}")
    found = measure_quality(file, roles=Roles(label="TX_FRAUD")).leaks
    return [Figure("leaking_columns", len(found), "columns", note=", ".join(found) or "none")]


def _curves(week: Week, boosted: Score, forest: Score) -> dict[str, list[tuple[float, float]]]:
    rankings = {
        "boosted": boosted.scores.astype(np.float64),
        "forest": forest.scores.astype(np.float64),
        "rule": _rule_ranking(week),
    }
    return {
        name: precision_recall_points(week.test_labels, ranking)
        for name, ranking in rankings.items()
    }


def _words(anchor: Week, week_count: int, seed_count: int) -> list[str]:
    return [
        "Train on 25 to 31 July 2018, wait seven days for the labels, test on 8 to 14 August, "
        "leaving out cards whose fraud was known by then: "
        f"{len(anchor.train)} payments with {int(anchor.train_labels.sum())} frauds, then "
        f"{len(anchor.test)} with {int(anchor.test_labels.sum())}, the handbook's own numbers. "
        f"The model is fitted {seed_count} times, with the seeds from 0; figures are medians. "
        f"The same is done for each of {week_count} weeks with one seed.",
        "The features are those of exact.features, the definition that blocks execute: what payer "
        "and terminal did in minutes to weeks, and the terminal's fraud rate from labels that are "
        "at least seven days old. Every ranking but `ap_float` is by the exact model's score.",
        "Boosted: LightGBM, depth at most 8, 200 trees. Deep forest: scikit-learn, 100 trees grown "
        "to the end. Rule: amount over 220 first, the rest by the terminal's fraud rate over seven "
        "days. Permuted: the boosted model learns labels in random order.",
    ]


def _each(items: Sequence[Any], what: str) -> Sequence[Any]:
    _tell(f"{len(items)} x {what}")
    return items


def _tell(text: str) -> None:
    print(text, file=sys.stderr, flush=True)
