"""How good scores are: as a ranking, as alerts at a threshold or budget, and as probabilities.

`resampling` computes the same figures with confidence bounds.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from cairn.learning.errors import TrainingError

PPM = 1_000_000
CALIBRATION_BINS = 10

Labels = NDArray[np.bool_]
Scores = NDArray[np.float64]


@dataclass(frozen=True)
class AlertQuality:
    """What raising an alert for some payments finds."""

    alerts: int
    found: int
    """Alerts that were right."""
    positives: int
    """All that there was to find."""

    @property
    def precision(self) -> float:
        """Return the share of alerts that were right, 0 when there was no alert."""
        return self.found / self.alerts if self.alerts else 0.0

    @property
    def recall(self) -> float:
        """Return the share of positives that were found, 0 when there was none."""
        return self.found / self.positives if self.positives else 0.0


def _checked(labels: ArrayLike, scores: ArrayLike) -> tuple[Labels, Scores]:
    """Return both as arrays after checking shape and content."""
    truth = np.asarray(labels)
    ranking = np.asarray(scores, np.float64)
    if truth.ndim != 1 or truth.shape != ranking.shape:
        raise TrainingError("labels and scores are not two lists of the same length")
    if not np.isin(truth, (0, 1)).all() or not np.isfinite(ranking).all():
        raise TrainingError("a label is not 0 or 1, or a score is not finite")
    return truth.astype(np.bool_), ranking


def roc_auc(labels: ArrayLike, scores: ArrayLike) -> float:
    """Return the probability that a positive ranks above a negative; a tie counts half.

    Raises:
        TrainingError: The inputs do not fit, or one of the two classes is missing.
    """
    truth, ranking = _checked(labels, scores)
    positives = int(truth.sum())
    negatives = len(truth) - positives
    if not positives or not negatives:
        raise TrainingError("an AUC needs positives and negatives")
    _, inverse, counts = np.unique(ranking, return_inverse=True, return_counts=True)
    ends = np.cumsum(counts)
    mean_ranks = ends - (counts - 1) / 2
    rank_sum = float(mean_ranks[inverse][truth].sum())
    return (rank_sum - positives * (positives + 1) / 2) / (positives * negatives)


def average_precision(labels: ArrayLike, scores: ArrayLike) -> float:
    """Return the area under the precision-recall steps; equal scores form one step.

    Raises:
        TrainingError: The inputs do not fit, or there is no positive.
    """
    truth, ranking = _checked(labels, scores)
    positives = int(truth.sum())
    if not positives:
        raise TrainingError("an average precision needs positives")
    order = np.argsort(-ranking, kind="stable")
    sorted_scores, hits = ranking[order], np.cumsum(truth[order])
    step_ends = np.append(np.flatnonzero(np.diff(sorted_scores)), len(truth) - 1)
    found = hits[step_ends]
    precision = found / (step_ends + 1)
    gained = np.diff(np.concatenate([[0], found])) / positives
    return float((precision * gained).sum())


def at_threshold(labels: ArrayLike, scores: ArrayLike, threshold: float) -> AlertQuality:
    """Return what alerting at scores of at least `threshold` finds."""
    truth, ranking = _checked(labels, scores)
    alerted = ranking >= threshold
    return AlertQuality(int(alerted.sum()), int(truth[alerted].sum()), int(truth.sum()))


def at_budget(labels: ArrayLike, scores: ArrayLike, alerts: int) -> AlertQuality:
    """Return what alerting on the `alerts` highest scores finds; among equal ones the earlier."""
    truth, ranking = _checked(labels, scores)
    top = np.argsort(-ranking, kind="stable")[: max(0, alerts)]
    return AlertQuality(len(top), int(truth[top].sum()), int(truth.sum()))


def at_daily_budget(
    labels: ArrayLike, scores: ArrayLike, *, days: ArrayLike, alerts_per_day: int
) -> AlertQuality:
    """Return what alerting on each day's highest scores finds, among equal ones the earlier.

    Args:
        labels: 0 or 1.
        scores: The higher, the more suspicious.
        days: Number of each row's day.
        alerts_per_day: How many alerts a day has at most.
    """
    truth, ranking = _checked(labels, scores)
    order = np.lexsort((np.arange(len(truth)), -ranking, np.asarray(days)))
    sorted_days = np.asarray(days)[order]
    starts = np.flatnonzero(np.append(True, sorted_days[1:] != sorted_days[:-1]))
    lengths = np.diff(np.append(starts, len(truth)))
    rank_of_day = np.arange(len(truth)) - np.repeat(starts, lengths)
    top = order[rank_of_day < alerts_per_day]
    return AlertQuality(len(top), int(truth[top].sum()), int(truth.sum()))


def kolmogorov_smirnov(labels: ArrayLike, scores: ArrayLike) -> float:
    """Return the largest distance between the shares of positives and negatives above a score.

    Raises:
        TrainingError: The inputs do not fit, or one of the two classes is missing.
    """
    truth, ranking = _checked(labels, scores)
    positives = int(truth.sum())
    if not 0 < positives < len(truth):
        raise TrainingError("a KS distance needs positives and negatives")
    order = np.argsort(-ranking, kind="stable")
    step_ends = np.append(np.flatnonzero(np.diff(ranking[order])), len(truth) - 1)
    found = np.cumsum(truth[order])[step_ends]
    others = step_ends + 1 - found
    return float(np.abs(found / positives - others / (len(truth) - positives)).max())


def brier_score(labels: ArrayLike, probabilities: ArrayLike) -> float:
    """Return the mean squared difference between probability and label; 0 is best."""
    truth, stated = _checked(labels, probabilities)
    return float(np.mean((stated - truth) ** 2))


def calibration_points(
    labels: ArrayLike, probabilities: ArrayLike, *, bins: int = CALIBRATION_BINS
) -> list[tuple[float, float]]:
    """Return mean probability and share of positives of bins of equal mass, by rising probability.

    A bin holds `1 / bins` of the rows. Where equal probabilities span a border, each side gets its
    part of them with the share of positives that they have together, so that the order of the rows
    does not matter.
    """
    stated, came_true = _bin_sums(labels, probabilities, bins)
    rows = len(np.asarray(labels)) / bins
    return [(float(s / rows), float(t / rows)) for s, t in zip(stated, came_true, strict=True)]


def calibration_error(
    labels: ArrayLike, probabilities: ArrayLike, *, bins: int = CALIBRATION_BINS
) -> float:
    """Return the expected calibration error with bins of equal mass.

    It is the mean, over the bins of `calibration_points`, of the distance between the mean
    probability and the share of positives in the bin: 0 where every bin is right on average.
    """
    stated, came_true = _bin_sums(labels, probabilities, bins)
    return float(np.abs(stated - came_true).sum() / len(np.asarray(labels)))


def _bin_sums(labels: ArrayLike, probabilities: ArrayLike, bins: int) -> tuple[Scores, Scores]:
    """Return the sums of probabilities and of labels in each bin of equal mass."""
    truth, stated = _checked(labels, probabilities)
    if not len(truth):
        raise TrainingError("calibration needs rows")
    values, inverse, counts = np.unique(stated, return_inverse=True, return_counts=True)
    hits = np.bincount(inverse, truth, len(values))
    edges = np.linspace(0, len(truth), bins + 1)
    ends = np.concatenate([[0], np.cumsum(counts)])
    sums = np.concatenate([[0.0], np.cumsum(values * counts)])
    positives = np.concatenate([[0.0], np.cumsum(hits)])
    return np.diff(np.interp(edges, ends, sums)), np.diff(np.interp(edges, ends, positives))


def precision_recall_points(labels: ArrayLike, scores: ArrayLike) -> list[tuple[float, float]]:
    """Return (recall, precision) at each step of the ranking, by rising recall."""
    truth, ranking = _checked(labels, scores)
    positives = int(truth.sum())
    if not positives:
        raise TrainingError("a precision-recall curve needs positives")
    order = np.argsort(-ranking, kind="stable")
    step_ends = np.append(np.flatnonzero(np.diff(ranking[order])), len(truth) - 1)
    found = np.cumsum(truth[order])[step_ends]
    return list(zip(found / positives, found / (step_ends + 1), strict=True))


def threshold_for_budget(scores: ArrayLike, alerts: int) -> float:
    """Return the lowest threshold at which at most `alerts` of `scores` reach it."""
    ranking = np.sort(np.asarray(scores, np.float64))[::-1]
    if alerts >= len(ranking):
        return float(ranking[-1])
    cut = ranking[max(0, alerts)]
    above = ranking[ranking > cut]
    return float(above[-1]) if len(above) else float(np.nextafter(cut, np.inf))


def subject_precision_at_k(
    labels: ArrayLike,
    scores: ArrayLike,
    *,
    subjects: Sequence[str],
    days: ArrayLike,
    k: int,
) -> float:
    """Return the mean over days of the share of fraud victims among the day's k riskiest subjects.

    A subject's risk on a day is his highest score; a victim that was found is left out on later
    days, as his card is blocked.

    Source: Le Borgne et al., Reproducible Machine Learning for Credit Card Fraud Detection,
    chapter 4, "card precision top-k".
    """
    truth, ranking = _checked(labels, scores)
    day_numbers = np.asarray(days)
    names = np.asarray(subjects, dtype=object)
    blocked: dict[str, bool] = {}
    precisions = []
    for day in np.unique(day_numbers):
        risk: dict[str, float] = {}
        victim: dict[str, bool] = {}
        for row in np.flatnonzero(day_numbers == day).tolist():
            name = names[row]
            if name not in blocked:
                risk[name] = max(risk.get(name, -np.inf), ranking[row])
                victim[name] = victim.get(name, False) or bool(truth[row])
        top = sorted(risk, key=lambda name: (-risk[name], name))[:k]
        found = [name for name in top if victim[name]]
        blocked |= dict.fromkeys(found, True)
        precisions.append(len(found) / k)
    return float(np.mean(precisions)) if precisions else 0.0


def ppm(value: float) -> int:
    """Return a share as whole parts per million, as records hold it."""
    return round(value * PPM)
