"""Two rules or models at the same number of alerts a day: who finds more, who cries wolf more.

Each takes the facts of a day that it ranks highest, up to the budget. A model ranks all facts by
its score; a rule ranks those that it fires on, by the score that it looks at or else by value, and
takes no others: so a rule may use less than the budget. Facts without a known outcome use up
budget, and count neither for nor against.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cairn.exact.rules import Rule
from cairn.learning.backtest import PPM, Evaluated
from cairn.learning.errors import DatasetError
from cairn.learning.history import FRAUD, GENUINE, UNKNOWN, Integers
from cairn.pages import blocks, charts
from cairn.pages.document import document, fragment
from cairn.pages.markup import Html
from cairn.pages.numbers import number, percent

NEVER = -(2**62)
"""Rank of a fact that a rule does not fire on."""


@dataclass(frozen=True)
class Ranking:
    """By what somebody would choose facts to look at."""

    name: str
    ranks: Integers
    """Higher first; `NEVER` is not chosen. Ties go to the earlier fact."""


@dataclass(frozen=True, slots=True)
class Standing:
    """How one ranking does within the budget."""

    name: str
    alerts: int
    fraud_alerts: int
    genuine_alerts: int
    unknown: int
    frauds: int
    found_units: int

    @property
    def precision(self) -> float | None:
        """Share of fraud among the alerts with a known outcome."""
        labelled = self.fraud_alerts + self.genuine_alerts
        return self.fraud_alerts / labelled if labelled else None

    @property
    def recall(self) -> float | None:
        """Share of the known frauds that are among the alerts."""
        return self.fraud_alerts / self.frauds if self.frauds else None


@dataclass(frozen=True)
class ComparisonReport:
    """Rankings side by side on the same facts at the same budget."""

    budget_per_day: int
    days: int
    facts: int
    known: int
    frauds: int
    standings: tuple[Standing, ...]
    curves: dict[str, list[tuple[float, float]]]
    """Recall and precision of each ranking without a budget, over the facts with an outcome."""

    def to_json(self) -> dict[str, Any]:
        """Return the report as whole numbers and texts."""
        return {
            "budget_per_day": self.budget_per_day,
            "days": self.days,
            "facts": self.facts,
            "known": self.known,
            "frauds": self.frauds,
            "standings": [
                {
                    "name": one.name,
                    "alerts": one.alerts,
                    "fraud_alerts": one.fraud_alerts,
                    "genuine_alerts": one.genuine_alerts,
                    "unknown": one.unknown,
                    "found_units": one.found_units,
                    "precision_ppm": _ppm(one.precision),
                    "recall_ppm": _ppm(one.recall),
                }
                for one in self.standings
            ],
        }

    def parts(self) -> list[Html]:
        """Return the report as parts of a page."""
        headers = ["", "alerts", "frauds found", "false alarms", "not known", "precision", "recall"]
        rows = [
            (
                one.name,
                one.alerts,
                one.fraud_alerts,
                one.genuine_alerts,
                one.unknown,
                "" if one.precision is None else percent(one.precision),
                "" if one.recall is None else percent(one.recall),
            )
            for one in self.standings
        ]
        points = {
            one.name: (one.recall, one.precision)
            for one in self.standings
            if one.recall is not None and one.precision is not None
        }
        rate = self.frauds / self.known if self.known else None
        align: list[blocks.Align] = ["", "right", "right", "right", "right", "right", "right"]
        return [
            blocks.table(headers, rows, align=align),
            blocks.figure(
                charts.pr_curve(
                    self.curves, title="Precision and recall", points=points, base_rate=rate
                ),
                "Points: at the budget. The dotted line is what chance would find.",
            ),
        ]

    def write_html(self, path: Path) -> None:
        """Write the report as one page that needs nothing else."""
        counts = [number(count) for count in (self.facts, self.known, self.frauds)]
        lead = "{} facts, {} with a known outcome, {} frauds".format(*counts)
        title = f"At {self.budget_per_day} alerts a day"
        path.write_text(document(title, *self.parts(), lead=lead), encoding="utf-8")

    def _repr_html_(self) -> str:
        title = f"At {self.budget_per_day} alerts a day"
        return fragment(blocks.heading(title), *self.parts())


def ranking_of(rule: Rule, found: Evaluated, amounts: Integers, *, as_model: bool) -> Ranking:
    """Return the ranking of a rule, or of the model that it looks at.

    Args:
        rule: What was evaluated.
        found: What it says about each fact.
        amounts: Value of each fact, by which a rule without a score ranks.
        as_model: Rank all facts by the score, whether the rule fires or not.
    """
    has_score = bool((found.scores >= 0).any())
    ranks = np.where(has_score, found.scores, amounts).astype(np.int64)
    if not as_model:
        fired = np.array([conditions is not None for conditions in found.fired], np.bool_)
        ranks = np.where(fired, ranks, NEVER)
    return Ranking(rule.name, ranks)


def compare_rankings(
    rankings: Sequence[Ranking],
    *,
    days: Integers,
    labels: Integers,
    amounts: Integers,
    budget_per_day: int,
) -> ComparisonReport:
    """Return how rankings of the same facts do at the same budget.

    Raises:
        DatasetError: There is no fact, or the budget is not above 0.
    """
    if not len(days) or budget_per_day < 1:
        raise DatasetError("a comparison needs facts and a budget of at least 1 a day")
    standings = tuple(
        _standing(one, chosen_at_budget(one.ranks, days, budget_per_day), labels, amounts)
        for one in rankings
    )
    return ComparisonReport(
        budget_per_day=budget_per_day,
        days=int(days.max() - days.min()) + 1,
        facts=len(days),
        known=int((labels != UNKNOWN).sum()),
        frauds=int((labels == FRAUD).sum()),
        standings=standings,
        curves={one.name: curve(one.ranks, labels) for one in rankings},
    )


def chosen_at_budget(ranks: Integers, days: Integers, budget: int) -> NDArray[np.bool_]:
    """Return which facts are chosen: of each day the highest ones, at most `budget`."""
    order = np.lexsort((np.arange(len(ranks)), -ranks, days))
    sorted_days = days[order]
    firsts = np.searchsorted(sorted_days, sorted_days)
    within = np.arange(len(ranks)) - firsts < budget
    chosen = np.zeros(len(ranks), np.bool_)
    chosen[order[within]] = True
    return chosen & (ranks > NEVER)


def curve(ranks: Integers, labels: Integers) -> list[tuple[float, float]]:
    """Return recall and precision after each rank, over the facts with a known outcome."""
    known = (labels != UNKNOWN) & (ranks > NEVER)
    frauds = int((labels == FRAUD).sum())
    truth, scores = labels[known] == FRAUD, ranks[known]
    if not frauds or not len(scores):
        return []
    order = np.argsort(-scores, kind="stable")
    found = np.cumsum(truth[order])
    ends = np.append(np.flatnonzero(np.diff(scores[order])), len(scores) - 1)
    return [(float(found[at] / frauds), float(found[at] / (at + 1))) for at in ends.tolist()]


def _standing(
    ranking: Ranking, chosen: NDArray[np.bool_], labels: Integers, amounts: Integers
) -> Standing:
    fraud = chosen & (labels == FRAUD)
    return Standing(
        name=ranking.name,
        alerts=int(chosen.sum()),
        fraud_alerts=int(fraud.sum()),
        genuine_alerts=int((chosen & (labels == GENUINE)).sum()),
        unknown=int((chosen & (labels == UNKNOWN)).sum()),
        frauds=int((labels == FRAUD).sum()),
        found_units=sum(amounts[fraud].tolist()),
    )


def _ppm(share: float | None) -> int | None:
    return None if share is None else round(share * PPM)
