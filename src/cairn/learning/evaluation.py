"""What a test came out as: figures with confidence bounds, curves, and the page that shows them."""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

import numpy as np
from numpy.typing import ArrayLike, NDArray

from cairn.learning.errors import TrainingError
from cairn.learning.metrics import (
    PPM,
    calibration_points,
    ppm,
    precision_recall_points,
)
from cairn.learning.resampling import FIGURES, Interval, Ranking, Resampling, estimate
from cairn.pages.blocks import definition_list, figure, heading, table
from cairn.pages.charts import calibration_chart, histogram, pr_curve
from cairn.pages.document import document, fragment
from cairn.pages.markup import Html

FORMAT = "cairn-evaluation/1"
CURVE_POINTS_MAX = 400
"""How many points of a curve are drawn."""

MEANINGS = {
    "average_precision": "area under the precision-recall steps",
    "brier": "mean squared distance of score and label; 0 is best",
    "calibration_error": "mean distance of score and frequency, in ten bins of equal mass",
    "ks": "largest distance of the shares of both classes above a score",
    "precision_at_budget": "share of each day's top alerts that are right",
    "precision_at_threshold": "share of the decisions at the threshold that are right",
    "recall_at_budget": "share of the positives among each day's top alerts",
    "recall_at_threshold": "share of the positives found at the threshold",
    "roc_auc": "how often a positive ranks above a negative",
}


@dataclass(frozen=True, slots=True)
class Protocol:
    """How a test is read; a plan fixes it before the first label."""

    threshold_ppm: int = PPM // 2
    metric: str = "average_precision"
    """The figure that the model is judged by, one of `FIGURES`."""
    alert_budget_per_day: int = 0
    """Alerts that a day has at most; 0 leaves the figures at a budget out."""

    def __post_init__(self) -> None:
        """Refuse a protocol that no test could follow.

        Raises:
            TrainingError: Unknown figure, a figure at a budget without one, or a threshold outside
                0 to 1.
        """
        if self.metric not in FIGURES:
            raise TrainingError(
                f"there is no figure {self.metric!r}", f"one of: {', '.join(FIGURES)}"
            )
        if self.metric.endswith("_budget") and not self.alert_budget_per_day:
            raise TrainingError(
                f"{self.metric} needs an alert budget", "say how many alerts a day has at most"
            )
        if not 0 <= self.threshold_ppm <= PPM or self.alert_budget_per_day < 0:
            raise TrainingError("a threshold is 0 to 1, a budget is not negative")


@dataclass(frozen=True)
class EvaluationReport:
    """Scores of labelled test rows, and what they are worth."""

    title: str
    protocol: Protocol
    resampling: Resampling
    labels: NDArray[np.int64] = field(repr=False)
    scores_ppm: NDArray[np.int64] = field(repr=False)
    figures: Mapping[str, Interval]
    """Every figure with its bounds, sorted by name."""
    facts: Mapping[str, str] = field(default_factory=dict)
    """What else a reader should see: model, run, plan, data."""

    @property
    def row_count(self) -> int:
        """Return how many rows were tested on."""
        return len(self.labels)

    @property
    def positive_count(self) -> int:
        """Return how many of them are positive."""
        return int(self.labels.sum())

    def figures_ppm(self) -> tuple[tuple[str, int, int, int], ...]:
        """Return name, value and bounds of each figure in parts per million, as records hold it."""
        return tuple(
            (name, ppm(one.value), ppm(one.lower), ppm(one.upper))
            for name, one in self.figures.items()
        )

    def describe(self) -> str:
        """Return the figures as lines of text."""
        share = round(self.resampling.confidence * 100)
        lines = [
            self.title,
            f"{self.row_count:,} test rows, {self.positive_count:,} positive; threshold "
            f"{self.protocol.threshold_ppm / PPM:g}; bounds hold {share} % of "
            f"{self.resampling.count:,} resamples",
        ]
        width = max(map(len, self.figures))
        for name, one in self.figures.items():
            mark = "  <- judged by" if name == self.protocol.metric else ""
            lines.append(f"  {name:<{width}}  {one}{mark}")
        return "\n".join(lines)

    def __str__(self) -> str:
        return self.describe()

    def to_json(self) -> str:
        """Return the report as canonical JSON: sorted keys, one spelling."""
        content = {
            "format": FORMAT,
            "title": self.title,
            "facts": dict(self.facts),
            "row_count": self.row_count,
            "positive_count": self.positive_count,
            "threshold_ppm": self.protocol.threshold_ppm,
            "metric": self.protocol.metric,
            "alert_budget_per_day": self.protocol.alert_budget_per_day,
            "resample_count": self.resampling.count,
            "seed": self.resampling.seed,
            "confidence_ppm": ppm(self.resampling.confidence),
            "figures_ppm": {
                name: {"value": value, "lower": lower, "upper": upper}
                for name, value, lower, upper in self.figures_ppm()
            },
            "calibration_ppm": [
                [ppm(stated), ppm(true)]
                for stated, true in calibration_points(self.labels, self.scores_ppm / PPM)
            ],
        }
        return json.dumps(content, indent=2, sort_keys=True) + "\n"

    @cached_property
    def digest(self) -> bytes:
        """Return the SHA-256 of the JSON, by which the ledger's record names the report."""
        return hashlib.sha256(self.to_json().encode()).digest()

    def blocks(self) -> list[Html]:
        """Return the report as blocks of a page, below a heading of level 2."""
        share = round(self.resampling.confidence * 100)
        rows = [
            (name, f"{one.value:.4f}", f"{one.lower:.4f} to {one.upper:.4f}", MEANINGS[name])
            for name, one in self.figures.items()
        ]
        facts = {
            "test rows": f"{self.row_count:,}, of which {self.positive_count:,} positive",
            "threshold": f"{self.protocol.threshold_ppm / PPM:g}",
            "judged by": self.protocol.metric,
            **self.facts,
        }
        return [
            heading("How well it does"),
            definition_list(facts.items()),
            table(
                ("figure", "value", f"{share} % of resamples", "what it is"),
                rows,
                caption=f"{self.resampling.count:,} stratified resamples of the test rows",
            ),
            *self.plots(),
        ]

    def plots(self) -> list[Html]:
        """Return precision and recall, the scores by class, and the calibration."""
        scores, positive = self.scores_ppm / PPM, self.labels == 1
        curve = precision_recall_points(self.labels, scores)
        step = max(1, len(curve) // CURVE_POINTS_MAX)
        alerts = self.figures["recall_at_threshold"], self.figures["precision_at_threshold"]
        drawn = pr_curve(
            {"model": curve[::step] + curve[-1:]},
            title="Precision and recall",
            points={"at the threshold": (alerts[0].value, alerts[1].value)},
            base_rate=self.positive_count / self.row_count,
        )
        classes = histogram(
            {"negative": scores[~positive].tolist(), "positive": scores[positive].tolist()},
            title="Scores by class",
            x_label="score",
            shares=True,
            x_range=(0.0, 1.0),
        )
        points = {"model": calibration_points(self.labels, scores)}
        calibration = calibration_chart(points, title="Calibration")
        return [
            figure(drawn, "Dotted: alerting at random."),
            figure(classes, "Shares within each class."),
            figure(calibration, "Ten bins of equal mass; on the line, scores are frequencies."),
        ]

    def to_html(self) -> str:
        """Return the report as one self-contained page."""
        return document(self.title, *self.blocks())

    def write_html(self, path: Path) -> None:
        """Write the report as one self-contained page."""
        path.write_text(self.to_html(), encoding="utf-8")

    def _repr_html_(self) -> str:
        return str(fragment(*self.blocks()))


def evaluate(
    labels: ArrayLike,
    scores_ppm: ArrayLike,
    protocol: Protocol | None = None,
    *,
    days: ArrayLike | None = None,
    resampling: Resampling | None = None,
    title: str = "Evaluation",
    facts: Mapping[str, str] | None = None,
) -> EvaluationReport:
    """Return what labelled scores are worth.

    Args:
        labels: 0 or 1, one for each test row, both of them there.
        scores_ppm: The exact model's scores of the rows.
        protocol: How the test is read.
        days: Number of each row's day, for the alert budget; None counts all rows to one day.
        resampling: How the bounds are made.
        title: Of the report.
        facts: What else a reader should see.

    Raises:
        TrainingError: The lists do not fit together, or a class is missing.
    """
    how, drawn = protocol or Protocol(), resampling or Resampling()
    scores = np.asarray(scores_ppm, np.int64)
    ranking = Ranking(
        labels,
        scores / PPM,
        threshold=how.threshold_ppm / PPM,
        days=days,
        alerts_per_day=how.alert_budget_per_day,
    )
    return EvaluationReport(
        title=title,
        protocol=how,
        resampling=drawn,
        labels=np.asarray(labels, np.int64),
        scores_ppm=scores,
        figures=estimate(ranking, drawn),
        facts=facts or {},
    )
