"""Figures of scores with confidence bounds, by a stratified bootstrap.

A resample draws, with replacement, as many positives and as many negatives as there are, so that
the share of positives is kept: the bounds say how much the figures owe to which rows happened to be
in the test, not how the base rate may move. A resample is a weight for each row; all figures follow
from cumulative sums of the weights over rows sorted once, so that a thousand resamples of a hundred
thousand rows take seconds.

Resamples of a figure that noise can only raise, such as the calibration error, lie above the figure
of the rows themselves. Bounds are widened to hold that figure.

Source: Efron and Tibshirani 1993, An Introduction to the Bootstrap, chapters 6 and 13 (percentile
intervals).
"""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from cairn.learning.errors import TrainingError
from cairn.learning.metrics import CALIBRATION_BINS

RESAMPLES = 1_000
CONFIDENCE = 0.95
FIGURES = (
    "average_precision",
    "brier",
    "calibration_error",
    "ks",
    "precision_at_budget",
    "precision_at_threshold",
    "recall_at_budget",
    "recall_at_threshold",
    "roc_auc",
)
"""Names of the figures, sorted. Those at a budget are there only where a budget is stated."""
FIGURES_WITHOUT_BUDGET = tuple(name for name in FIGURES if not name.endswith("_budget"))

Floats = NDArray[np.float64]
Integers = NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Interval:
    """A figure and between what it lies in most resamples."""

    value: float
    lower: float
    upper: float

    def __str__(self) -> str:
        return f"{self.value:.4f} ({self.lower:.4f} to {self.upper:.4f})"


@dataclass(frozen=True, slots=True)
class Resampling:
    """How often and how it is resampled."""

    count: int = RESAMPLES
    seed: int = 1
    confidence: float = CONFIDENCE
    """Share of the resamples that lies between the bounds."""


class Ranking:
    """Labelled scores, sorted once for figures under any weights of the rows."""

    def __init__(
        self,
        labels: ArrayLike,
        probabilities: ArrayLike,
        *,
        threshold: float,
        days: ArrayLike | None = None,
        alerts_per_day: int = 0,
    ) -> None:
        """Sort the rows.

        Args:
            labels: 0 or 1, both of them there.
            probabilities: Scores from 0 to 1.
            threshold: Score from which a decision is positive.
            days: Number of each row's day; None counts all rows to one day.
            alerts_per_day: Alerts that a day has at most; 0 leaves the figures at a budget out.

        Raises:
            TrainingError: The lists do not fit together, or a class is missing.
        """
        truth = np.asarray(labels)
        scores = np.asarray(probabilities, np.float64)
        if truth.ndim != 1 or truth.shape != scores.shape:
            raise TrainingError("labels and scores are not two lists of the same length")
        if not np.isin(truth, (0, 1)).all() or not np.isfinite(scores).all():
            raise TrainingError("a label is not 0 or 1, or a score is not finite")
        order = np.argsort(-scores, kind="stable")
        self._order = order
        self._truth = truth[order].astype(np.float64)
        self._scores = scores[order]
        self.row_count = len(truth)
        self.positive_count = int(truth.sum())
        if not 0 < self.positive_count < self.row_count:
            raise TrainingError(
                f"{self.positive_count} of {self.row_count} test rows are positive",
                "figures need both classes; take a longer period or a larger test part",
            )
        self._ends = np.append(np.flatnonzero(np.diff(self._scores)), len(truth) - 1)
        self._above = int((self._scores >= threshold).sum())
        self._alerts_per_day = alerts_per_day
        self._day_order, self._day_starts = self._sorted_by_day(days)

    def _sorted_by_day(self, days: ArrayLike | None) -> tuple[Integers, Integers]:
        """Return places in the ranking, day by day, and where each place's day begins."""
        count = self.row_count
        if days is None:
            return np.arange(count), np.zeros(count, np.int64)
        sorted_days = np.asarray(days)[self._order]
        by_day = np.argsort(sorted_days, kind="stable")
        grouped = sorted_days[by_day]
        starts = np.flatnonzero(np.append(True, grouped[1:] != grouped[:-1]))
        return by_day, np.repeat(starts, np.diff(np.append(starts, count)))

    def figures(self, weights: Floats | None = None) -> dict[str, float]:
        """Return every figure; `weights` counts each place of the ranking so many times."""
        w = np.ones(self.row_count) if weights is None else weights
        found_all = np.cumsum(w * self._truth)
        seen_all = np.cumsum(w)
        found, seen = found_all[self._ends], seen_all[self._ends]
        positives, rows = found[-1], seen[-1]
        true_rate, false_rate = found / positives, (seen - found) / (rows - positives)
        gained = np.diff(found, prepend=0.0)
        with np.errstate(invalid="ignore"):
            precision = np.where(seen > 0, found / seen, 0.0)
        middle = true_rate - np.diff(true_rate, prepend=0.0) / 2
        alerts = seen_all[self._above - 1] if self._above else 0.0
        hits = found_all[self._above - 1] if self._above else 0.0
        figures = {
            "average_precision": float((precision * gained).sum() / positives),
            "brier": float((w * (self._scores - self._truth) ** 2).sum() / rows),
            "calibration_error": self._calibration_error(w, found, seen),
            "ks": float(np.abs(true_rate - false_rate).max()),
            "precision_at_threshold": float(hits / alerts) if alerts else 0.0,
            "recall_at_threshold": float(hits / positives),
            "roc_auc": float((middle * np.diff(false_rate, prepend=0.0)).sum()),
        }
        return figures | (self._budget(w, positives) if self._alerts_per_day else {})

    def _calibration_error(self, w: Floats, found: Floats, seen: Floats) -> float:
        stated = np.cumsum(w * self._scores)[self._ends]
        edges = np.linspace(0, seen[-1], CALIBRATION_BINS + 1)
        zero = np.zeros(1)
        ends = np.concatenate([zero, seen])
        sums = np.interp(edges, ends, np.concatenate([zero, stated - found]))
        return float(np.abs(np.diff(sums)).sum() / seen[-1])

    def _budget(self, w: Floats, positives: float) -> dict[str, float]:
        by_day = w[self._day_order]
        until = np.concatenate([np.zeros(1), np.cumsum(by_day)])
        before = until[:-1] - until[self._day_starts]
        taken = np.clip(self._alerts_per_day - before, 0.0, by_day)
        hits = float((taken * self._truth[self._day_order]).sum())
        alerts = float(taken.sum())
        return {
            "precision_at_budget": hits / alerts if alerts else 0.0,
            "recall_at_budget": hits / float(positives),
        }

    def draw(self, rng: np.random.Generator) -> Floats:
        """Return the weights of one resample: each class drawn from itself."""
        count = self.row_count
        weights = np.zeros(count)
        for places in (np.flatnonzero(self._truth), np.flatnonzero(self._truth == 0)):
            drawn = rng.integers(0, len(places), len(places))
            weights[places] = np.bincount(drawn, minlength=len(places))
        return weights


def estimate(ranking: Ranking, resampling: Resampling | None = None) -> Mapping[str, Interval]:
    """Return every figure with its confidence bounds, sorted by name; same seed, same bounds."""
    how = resampling or Resampling()
    points = ranking.figures()
    rng = np.random.default_rng(how.seed)
    drawn = [list(ranking.figures(ranking.draw(rng)).values()) for _ in range(how.count)]
    if not drawn:
        return {name: Interval(value, value, value) for name, value in sorted(points.items())}
    tail = (1 - how.confidence) / 2
    lower, upper = np.quantile(np.array(drawn), [tail, 1 - tail], axis=0)
    bounds = zip(points.items(), lower.tolist(), upper.tolist(), strict=True)
    return dict(
        sorted(
            (name, Interval(value, min(a, value), max(b, value))) for (name, value), a, b in bounds
        )
    )
