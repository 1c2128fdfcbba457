"""What the two credit cases share: fits on repeated splits, exact scores, reasons of refusals."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from bench.cases.result import CaseTable
from cairn.exact.explain import contributions
from cairn.exact.models import ExactModel
from cairn.exact.scoring import Scorer
from cairn.learning.metrics import (
    brier_score,
    calibration_error,
    calibration_points,
    kolmogorov_smirnov,
    roc_auc,
)
from cairn.pages.charts import calibration_chart, histogram
from cairn.pages.markup import Html
from cairn.primitives.fixed import PPM

REFUSED_FROM_PPM = 500_000
"""An applicant is refused from a probability of default of one half on."""
REASONS = 3

Integers = NDArray[np.int64]
Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Fitted:
    """An exact model, the test rows as it takes them, and its source's own probabilities."""

    model: ExactModel
    rows: Integers
    floats: Floats


@dataclass(frozen=True)
class Outcome:
    """How one model does on the test rows of one seed."""

    auc: float
    auc_float: float
    calibration_error: float
    ks: float
    brier: float
    refused: int
    explained: int
    """Refusals with at least one contribution that speaks for default."""
    reasons: Counter[str]
    labels: Integers
    shares: Floats
    """Exact scores as probabilities."""


def assess(parts: Sequence[tuple[Fitted, Integers]], *, explain: bool) -> Outcome:
    """Return how exact models do on their test rows together; with reasons for each refusal.

    Args:
        parts: A fitted model and the labels of its test rows, for each fold.
        explain: Whether the models have contributions.
    """
    shares, refused, explained = [], 0, 0
    reasons: Counter[str] = Counter()
    for fitted, _ in parts:
        _, scores = Scorer(fitted.model).score(fitted.rows)
        shares.append(scores / PPM)
        rows = np.flatnonzero(scores >= REFUSED_FROM_PPM)
        refused += len(rows)
        for row in rows.tolist() if explain else ():
            named = _reasons(fitted.model, fitted.rows[row].tolist())
            explained += bool(named)
            reasons.update(named)
    labels, stated = np.concatenate([labels for _, labels in parts]), np.concatenate(shares)
    return Outcome(
        auc=roc_auc(labels, stated),
        auc_float=roc_auc(labels, np.concatenate([fitted.floats for fitted, _ in parts])),
        calibration_error=calibration_error(labels, stated),
        ks=kolmogorov_smirnov(labels, stated),
        brier=brier_score(labels, stated),
        refused=refused,
        explained=explained,
        reasons=reasons,
        labels=labels,
        shares=stated,
    )


def _reasons(model: ExactModel, row: list[int]) -> list[str]:
    """Return the inputs that raised an applicant's risk most."""
    against = [c for c in contributions(model, row, len(model.features)) if c.raw > 0]
    return [model.features[c.feature_index].name for c in against[:REASONS]]


def reasons_table(outcomes: Sequence[Outcome]) -> CaseTable:
    """Return how often each input was among the reasons of a refusal."""
    total: Counter[str] = Counter()
    for outcome in outcomes:
        total.update(outcome.reasons)
    refused = sum(outcome.refused for outcome in outcomes)
    return CaseTable(
        f"Reasons of {refused} refusals, up to {REASONS} each",
        ("input", "refusals", "share"),
        [(name, count, f"{count / refused:.0%}") for name, count in total.most_common(12)],
    )


def plots(outcome: Outcome) -> list[tuple[Html, str]]:
    """Return the calibration and the scores of the first seed as pictures."""
    points = calibration_points(outcome.labels, outcome.shares)
    scores = {
        "repaid": outcome.shares[outcome.labels == 0].tolist(),
        "defaulted": outcome.shares[outcome.labels == 1].tolist(),
    }
    return [
        (
            calibration_chart({"exact model": points}, title="Calibration, seed 0"),
            "Ten bins with as many applicants each: stated against found share of defaults.",
        ),
        (
            histogram(
                scores,
                title="Scores by outcome, seed 0",
                shares=True,
                x_label="probability of default",
            ),
            "Share of applicants by the exact model's probability of default.",
        ),
    ]
