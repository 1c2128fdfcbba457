"""The German credit data: texts and numbers through a scikit-learn Pipeline, as an exact model.

Source of the data: Hofmann, Statlog (German credit data), UCI data set 144, CC BY 4.0.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from sklearn.compose import ColumnTransformer
from sklearn.ensemble import RandomForestClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import StratifiedKFold
from sklearn.pipeline import Pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler

from bench.cases.credit import Fitted, Outcome, assess, plots, reasons_table
from bench.cases.result import CaseError, CaseResult, middle
from bench.harness import Figure
from cairn.learning.conversion.convert import convert
from cairn.learning.conversion.rows import encode_rows

FILE = "german.csv"
NAMES = (
    "checking_account", "duration", "history", "purpose", "amount", "savings", "employment",
    "instalment_rate", "personal_status", "guarantors", "residence_since", "property", "age",
    "other_plans", "housing", "existing_credits", "job", "dependants", "telephone",
    "foreign_worker",
)  # fmt: skip
LEFT_OUT = ("personal_status", "foreign_worker")
"""Nobody may be refused a credit for these (the first holds sex and marriage)."""
NUMBERS = (
    "duration", "amount", "instalment_rate", "residence_since", "age", "existing_credits",
    "dependants",
)  # fmt: skip
TEXTS = tuple(name for name in NAMES if name not in NUMBERS and name not in LEFT_OUT)
FOLDS = 5
PUBLISHED_LOGISTIC = {"logistic": 0.790}
PUBLISHED_FOREST = {"random forest": 0.801}


def run(folder: Path, *, seeds: Sequence[int]) -> CaseResult:
    """Return the case's figures.

    Raises:
        CaseError: The folder does not hold the file.
    """
    table, labels = _read(folder / FILE)
    logistic = [_across(_logistic(), table, labels, seed=seed, explain=True) for seed in seeds]
    forest = [_across(_forest(seed), table, labels, seed=seed, explain=False) for seed in seeds]
    refused, explained = (sum(getattr(o, n) for o in logistic) for n in ("refused", "explained"))
    auc = middle("auc", [o.auc for o in logistic])
    auc_forest = middle("auc_forest", [o.auc for o in forest])
    return CaseResult(
        title="German credit",
        protocol=[
            f"1,000 applicants, {labels.mean():.0%} bad risks. {FOLDS} folds by class, shuffled "
            f"{len(seeds)} times with the seeds from 0; scores of all folds together, medians over "
            "seeds. Personal status and foreign worker are left out.",
            "Pipelines of scikit-learn, converted as fitted: texts one-hot encoded, numbers scaled,"
            " then logistic regression or a random forest of 300 trees with leaves of at least 3. "
            "All scores are the exact model's.",
        ],
        figures=[
            Figure(auc.name, auc.value, auc.unit, "", PUBLISHED_LOGISTIC, auc.note),
            middle("auc_float", [o.auc_float for o in logistic]),
            Figure(
                auc_forest.name, auc_forest.value, "share", "", PUBLISHED_FOREST, auc_forest.note
            ),
            middle("calibration_error", [o.calibration_error for o in logistic]),
            middle("brier", [o.brier for o in logistic]),
            Figure(
                "refusals_with_reasons",
                explained / refused,
                "share",
                "1",
                note=f"{explained} of {refused} refusals over all seeds",
            ),
        ],
        tables=[reasons_table(logistic)],
        charts=plots(logistic[0]),
    )


def _read(file: Path) -> tuple[pd.DataFrame, Any]:
    if not file.is_file():
        raise CaseError(f"{file.parent} holds no {FILE}")
    table = pd.read_csv(file, header=None, names=[*NAMES, "outcome"])
    return table[[*NUMBERS, *TEXTS]], (table["outcome"] == 2).to_numpy(np.int64)


def _prepared(model: Any) -> Pipeline:
    columns = ColumnTransformer(
        [
            ("texts", OneHotEncoder(handle_unknown="ignore"), list(TEXTS)),
            ("numbers", StandardScaler(), list(NUMBERS)),
        ]
    )
    return Pipeline([("columns", columns), ("model", model)])


def _logistic() -> Pipeline:
    return _prepared(LogisticRegression(C=0.1, max_iter=1_000))


def _forest(seed: int) -> Pipeline:
    return _prepared(RandomForestClassifier(300, min_samples_leaf=3, random_state=seed, n_jobs=2))


def _across(
    model: Pipeline, table: pd.DataFrame, labels: Any, *, seed: int, explain: bool
) -> Outcome:
    """Return how a Pipeline does over all folds of one shuffle."""
    parts = []
    for train, test in StratifiedKFold(FOLDS, shuffle=True, random_state=seed).split(table, labels):
        model.fit(table.iloc[train], labels[train])
        rows = table.iloc[test]
        exact = convert(model, rows=table.iloc[train]).model
        floats = model.predict_proba(rows)[:, 1]
        parts.append((Fitted(exact, encode_rows(exact.features, rows), floats), labels[test]))
    return assess(parts, explain=explain)
