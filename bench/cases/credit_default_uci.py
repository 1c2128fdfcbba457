"""Default of credit card clients: a boosted scorecard that gives its reasons, and boosted trees.

Source of the data: Yeh, Lien: The comparisons of data mining techniques for the predictive accuracy
of probability of default of credit card clients, Expert Systems with Applications 36 (2009); UCI
data set 350, CC BY 4.0.
"""

import csv
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from lightgbm import LGBMClassifier
from sklearn.model_selection import train_test_split

from bench.cases.credit import (
    REFUSED_FROM_PPM,
    Fitted,
    Integers,
    Outcome,
    assess,
    plots,
    reasons_table,
)
from bench.cases.result import CaseError, CaseResult, CaseTable, middle
from bench.harness import Figure
from cairn.learning.additive import additive_scorecard
from cairn.learning.conversion.convert import convert
from cairn.primitives.fixed import PPM

FILE = "UCI_Credit_Card.csv"
NAMES = (
    "limit_bal", "sex", "education", "marriage", "age",
    "pay_1", "pay_2", "pay_3", "pay_4", "pay_5", "pay_6",
    "bill_amt1", "bill_amt2", "bill_amt3", "bill_amt4", "bill_amt5", "bill_amt6",
    "pay_amt1", "pay_amt2", "pay_amt3", "pay_amt4", "pay_amt5", "pay_amt6",
)  # fmt: skip
"""What X1 to X23 stand for."""
LEFT_OUT = ("sex", "marriage")
"""Nobody may be refused a credit for these."""
INPUTS = tuple(name for name in NAMES if name not in LEFT_OUT)
TEST_SHARE = 0.3
PUBLISHED = {"LightGBM": 0.779}


def run(folder: Path, *, seeds: Sequence[int]) -> CaseResult:
    """Return the case's figures.

    Raises:
        CaseError: The folder does not hold the file.
    """
    rows, labels = _read(folder / FILE)
    cards, trees = [], []
    for seed in seeds:
        train, test = train_test_split(
            np.arange(len(rows)), test_size=TEST_SHARE, random_state=seed, stratify=labels
        )
        fit = rows[train], labels[train], rows[test]
        cards.append(assess([(_scorecard(*fit, seed=seed), labels[test])], explain=True))
        trees.append(assess([(_trees(*fit, seed=seed), labels[test])], explain=False))
    return CaseResult(
        title="Default of credit card clients",
        protocol=[
            f"30,000 clients of a bank in Taiwan, {labels.mean():.1%} of whom defaulted. "
            f"{TEST_SHARE:.0%} of them are tested on, split at random and by class, "
            f"{len(seeds)} times with the seeds from 0; figures are medians. "
            "Sex and marriage are left out.",
            "Scorecard: LightGBM with trees of one comparison, written as points by bins: the same "
            "scores bit for bit, and each input's contribution. Boosted trees: LightGBM, depth at "
            "most 4. All scores are the exact model's. Calibration error: ten bins with as many "
            "clients each, mean distance of stated and found share.",
            f"An applicant is refused from a probability of {REFUSED_FROM_PPM / PPM:.0%} on; the "
            "reasons are the inputs that raised his risk most.",
        ],
        figures=_figures(cards, trees),
        tables=[reasons_table(cards), _by_seed(cards, trees)],
        charts=plots(cards[0]),
    )


def _read(file: Path) -> tuple[Integers, Integers]:
    if not file.is_file():
        raise CaseError(f"{file.parent} holds no {FILE}")
    with file.open(encoding="utf-8", newline="") as lines:
        records = list(csv.DictReader(lines))
    columns = [f"X{NAMES.index(name) + 1}" for name in INPUTS]
    rows = np.array([[int(float(r[column])) for column in columns] for r in records], np.int64)
    return rows, np.array([int(r["Y"]) for r in records], np.int64)


def _scorecard(train: Integers, labels: Integers, test: Integers, *, seed: int) -> Fitted:
    model = LGBMClassifier(
        n_estimators=600,
        learning_rate=0.1,
        max_depth=1,
        num_leaves=2,
        min_child_samples=50,
        subsample=0.8,
        subsample_freq=1,
        colsample_bytree=0.5,
        reg_lambda=5.0,
        max_bin=63,
        random_state=seed,
        deterministic=True,
        force_col_wise=True,
        n_jobs=1,
        verbose=-1,
    ).fit(train, labels)
    trees = convert(model, INPUTS, test[:1_000]).model
    return Fitted(additive_scorecard(trees, train), test, model.predict_proba(test)[:, 1])


def _trees(train: Integers, labels: Integers, test: Integers, *, seed: int) -> Fitted:
    model = LGBMClassifier(
        n_estimators=150,
        learning_rate=0.03,
        max_depth=4,
        num_leaves=15,
        min_child_samples=100,
        subsample=0.8,
        subsample_freq=1,
        colsample_bytree=0.5,
        reg_lambda=10.0,
        random_state=seed,
        deterministic=True,
        force_col_wise=True,
        n_jobs=1,
        verbose=-1,
    ).fit(train, labels)
    exact = convert(model, INPUTS, test[:1_000]).model
    return Fitted(exact, test, model.predict_proba(test)[:, 1])


def _figures(cards: Sequence[Outcome], trees: Sequence[Outcome]) -> list[Figure]:
    auc = middle("auc", [o.auc for o in cards], goal="≥ .775")
    refused = sum(o.refused for o in cards)
    explained = sum(o.explained for o in cards)
    return [
        Figure(auc.name, auc.value, auc.unit, auc.goal, PUBLISHED, auc.note),
        middle("auc_float", [o.auc_float for o in cards]),
        middle("auc_trees", [o.auc for o in trees]),
        middle("calibration_error", [o.calibration_error for o in cards], goal="≤ .02"),
        middle("calibration_error_trees", [o.calibration_error for o in trees]),
        middle("ks", [o.ks for o in cards]),
        middle("brier", [o.brier for o in cards]),
        Figure(
            "refusals_with_reasons",
            explained / refused,
            "share",
            "1",
            note=f"{explained} of {refused} refusals over all seeds name what raised the risk",
        ),
    ]


def _by_seed(cards: Sequence[Outcome], trees: Sequence[Outcome]) -> CaseTable:
    return CaseTable(
        "Seed by seed",
        ("seed", "scorecard AUC", "calibration error", "trees AUC", "refused"),
        [
            (n, f"{c.auc:.4f}", f"{c.calibration_error:.4f}", f"{t.auc:.4f}", c.refused)
            for n, (c, t) in enumerate(zip(cards, trees, strict=True))
        ],
    )
