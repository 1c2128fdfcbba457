"""How good a ranking is: AUC, average precision, precision and recall at a budget."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from cairn.learning.errors import TrainingError

PPM = 1_000_000

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
