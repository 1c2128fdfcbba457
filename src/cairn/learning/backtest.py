"""What a rule would have done to facts that are past, counted in whole numbers.

Features come from the exact fold, scores from the exact arithmetic, the verdict from the compiled
rule: the same code that runs inside blocks. A model with a threshold is the rule that says so.
Where no outcome is known nothing is claimed: such alerts are counted apart.

Days are UTC days of the booking; cases that have no time are all of one day. How many alerts of a
day act is counted as in blocks: see `learning.capping`.
"""

import json
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import numpy as np

from cairn.exact.features import FEATURES
from cairn.exact.inputs import format_value
from cairn.exact.models import MISSING, ExactModel
from cairn.exact.rules import (
    DAILY_CAP_MAX,
    FORMAT_VERSION,
    Compare,
    Hold,
    Refuse,
    Rule,
    compile_rule,
    decisive,
    encode_rule,
    models,
    operands,
)
from cairn.exact.schema import Feature, is_input
from cairn.exact.scoring import Scorer
from cairn.learning.capping import Stopped, stopped_accounts, within_cap
from cairn.learning.errors import DatasetError
from cairn.learning.history import FRAUD, GENUINE, UNKNOWN, Facts, Integers, fold_history
from cairn.pages import blocks, charts
from cairn.pages.document import document, fragment
from cairn.pages.markup import Html
from cairn.pages.numbers import day_text, number, percent
from cairn.primitives.hashes import Digest, sha256, tagged_hash

FORMAT: Final = "cairn-backtest-1"
DAY_MS: Final = 86_400_000
HOUR_MS: Final = 3_600_000
PPM: Final = 1_000_000
ROWS_AT_ONCE: Final = 65_536
REASONS_MAX: Final = 12
NO_TIME: Final = (0, 1)
"""The period of cases that have no time."""


@dataclass(frozen=True, slots=True)
class Day:
    """One day of a back-test."""

    day: int
    """Days since the epoch."""
    payments: int
    alerts: int
    acted: int
    """Alerts within the daily cap."""
    fraud_alerts: int
    """Alerts that are known to be fraud."""


@dataclass(frozen=True, slots=True)
class Reason:
    """A comparison of the rule, and how many alerts it was true for."""

    condition: int
    text: str
    alerts: int


@dataclass(frozen=True)
class BacktestReport:
    """What a rule would have done. Whole numbers only, so that it has one digest everywhere."""

    rule: str
    rule_digest: str
    scope: str
    models: Mapping[str, str]
    """Deployments that the rule looks at, and the digests of the models that stood in for them."""
    source: Mapping[str, str]
    """Where the facts come from."""
    first_ms: int
    end_ms: int
    payments: int
    """Facts in the period, payments or cases."""
    value_units: int
    alerts: int
    acted: int
    """Alerts within the daily cap: what the rule itself would have done."""
    daily_cap: int
    value_held_units: int
    """Value that the rule would have held or refused."""
    unknown: int
    """Alerts whose outcome is not known."""
    fraud_alerts: int
    genuine_alerts: int
    known: int
    """Facts in the period whose outcome is known."""
    frauds: int
    """Known frauds in the period."""
    fraud_units: int
    found_units: int
    """Value of the known frauds that the rule fires on."""
    unscored: int
    """Alerts or not: facts for which a comparison was unknown, since a value was missing."""
    days: tuple[Day, ...]
    reasons: tuple[Reason, ...]
    alert_rows: tuple[int, ...] = field(default=(), compare=False, repr=False)
    """Which facts, for showing them; not part of the report."""

    @property
    def labelled(self) -> int:
        """Alerts whose outcome is known."""
        return self.fraud_alerts + self.genuine_alerts

    @property
    def precision_ppm(self) -> int | None:
        """Share of fraud among the labelled alerts; None if there are none."""
        return _ppm(self.fraud_alerts, self.labelled)

    @property
    def recall_ppm(self) -> int | None:
        """Share of the known fraud that the rule fires on; None if no fraud is known."""
        return _ppm(self.fraud_alerts, self.frauds)

    @property
    def alerts_per_day_milli(self) -> int:
        """Mean alerts a day, in thousandths, over the days from the first to the last."""
        return self.alerts * 1000 // len(self.days) if self.days else 0

    def to_json(self) -> dict[str, Any]:
        """Return the report as whole numbers and texts."""
        return {
            "format": FORMAT,
            "rule": self.rule,
            "rule_digest": self.rule_digest,
            "scope": self.scope,
            "models": dict(self.models),
            "source": dict(self.source),
            "period": {"first_ms": self.first_ms, "end_ms": self.end_ms, "days": len(self.days)},
            "payments": self.payments,
            "value_units": self.value_units,
            "alerts": self.alerts,
            "alerts_per_day_milli": self.alerts_per_day_milli,
            "alerts_per_day_max": max((day.alerts for day in self.days), default=0),
            "acted": self.acted,
            "daily_cap": self.daily_cap,
            "capped_days": sum(day.acted < day.alerts for day in self.days),
            "value_held_units": self.value_held_units,
            "labelled": self.labelled,
            "unknown": self.unknown,
            "fraud_alerts": self.fraud_alerts,
            "genuine_alerts": self.genuine_alerts,
            "known": self.known,
            "frauds": self.frauds,
            "fraud_units": self.fraud_units,
            "found_units": self.found_units,
            "unscored": self.unscored,
            "precision_ppm": self.precision_ppm,
            "recall_ppm": self.recall_ppm,
            "reasons": [[one.condition, one.text, one.alerts] for one in self.reasons],
            "days": [
                [day.day, day.payments, day.alerts, day.acted, day.fraud_alerts]
                for day in self.days
            ],
        }

    def to_bytes(self) -> bytes:
        """Return the report's one spelling."""
        text = json.dumps(self.to_json(), sort_keys=True, separators=(",", ":"))
        return text.encode() + b"\n"

    def digest(self) -> Digest:
        """Return the digest by which the report is put on record."""
        return tagged_hash(b"cairn/backtest", self.to_bytes())

    def describe(self) -> str:
        """Return the report in words, a line for each thing."""
        lines = [
            f"rule {self.rule} over {self.payments} {self._what}{self._when}",
            f"{self.alerts} alerts, {self._per_day}; "
            f"{self.acted} within the cap of {self.daily_cap} a day",
            f"value held or refused: {self.value_held_units} units",
            f"known outcomes: {self.labelled} of the alerts, {self.unknown} are not known",
        ]
        if self.precision_ppm is not None:
            share = percent(self.precision_ppm / PPM)
            lines.append(f"precision {share}: {self.genuine_alerts} false alarms")
        if self.recall_ppm is not None:
            share = percent(self.recall_ppm / PPM)
            lines.append(f"recall {share}: {self.fraud_alerts} of {self.frauds} known frauds")
        lines += [f"reason: {one.text}: {one.alerts}" for one in self.reasons[:5]]
        return "\n".join(lines)

    def parts(self) -> list[Html]:
        """Return the report as parts of a page."""
        parts = [blocks.cards(self._cards())]
        if self.unscored:
            parts.append(
                blocks.note(
                    f"For {self.unscored} {self._what} a value that the rule looks at was missing.",
                    tone="warn",
                )
            )
        alerts = [(day.day, day.alerts) for day in self.days]
        limit = self.daily_cap if any(day.acted < day.alerts for day in self.days) else None
        parts += [
            blocks.figure(
                charts.day_chart({"alerts": alerts}, title="Alerts per day", limit=limit),
                "The dotted line is the daily cap: beyond it the rule only tells." if limit else "",
            ),
            blocks.figure(
                charts.bar_chart(
                    [(one.text, one.alerts) for one in self.reasons],
                    title="What the rule fired for, by alerts",
                )
            ),
            blocks.definition_list(
                [
                    ("Rule", blocks.code(self.rule_digest)),
                    *((f"Model in {name}", blocks.code(at)) for name, at in self.models.items()),
                    *((name, blocks.code(value)) for name, value in self.source.items()),
                    ("Report", blocks.code(self.digest().hex())),
                ]
            ),
        ]
        return parts

    def write_html(self, path: Path) -> None:
        """Write the report as one page that needs nothing else."""
        lead = f"{number(self.payments)} {self._what}{self._when}"
        page = document(f"Back-test of {self.rule}", *self.parts(), lead=lead)
        path.write_text(page, encoding="utf-8")

    def _repr_html_(self) -> str:
        return fragment(blocks.heading(f"Back-test of {self.rule}"), *self.parts())

    @property
    def _what(self) -> str:
        return "cases" if self.scope else "payments"

    @property
    def _when(self) -> str:
        if (self.first_ms, self.end_ms) == NO_TIME:
            return ""
        last = day_text((self.end_ms - 1) // DAY_MS)
        return f", {day_text(self.first_ms // DAY_MS)} to {last}"

    @property
    def _per_day(self) -> str:
        if (self.first_ms, self.end_ms) == NO_TIME:
            return "all taken as of one day"
        return f"{self.alerts_per_day_milli / 1000:.1f} a day"

    def _cards(self) -> list[blocks.Card]:
        precision, recall = self.precision_ppm, self.recall_ppm
        return [
            blocks.Card(self._what, self.payments),
            blocks.Card("alerts", self.alerts, self._per_day),
            blocks.Card("value held or refused", self.value_held_units, "units"),
            blocks.Card(
                "precision",
                None if precision is None else percent(precision / PPM),
                f"{self.labelled} alerts with a known outcome, {self.unknown} without",
            ),
            blocks.Card(
                "recall",
                None if recall is None else percent(recall / PPM),
                f"{self.fraud_alerts} of {self.frauds} known frauds",
            ),
        ]


def threshold_rule(deployment: str, threshold_ppm: int, *, daily_cap: int = DAILY_CAP_MAX) -> Rule:
    """Return the rule that holds what a model scores at or above a threshold."""
    return Rule(
        version=FORMAT_VERSION,
        name=deployment,
        condition=(Compare(f"model:{deployment}", ">=", threshold_ppm),),
        actions=(Hold(DAY_MS, "settle"),),
        daily_cap=daily_cap,
    )


@dataclass(frozen=True, slots=True)
class Evaluated:
    """What a rule says about each fact of a period."""

    rows: Integers
    """Positions of the facts."""
    fired: tuple[tuple[int, ...] | None, ...]
    """Indexes of the true comparisons where the rule fires, else None."""
    scores: Integers
    """Score of the first model that the rule looks at, -1 without one."""
    unscored: int


def evaluate_payments(
    rule: Rule, facts: Facts, wanted: Sequence[bool], *, scorers: Mapping[str, ExactModel]
) -> Evaluated:
    """Return what a rule on payments says about the wanted ones.

    Raises:
        DatasetError: The rule is on decisions, or looks at a model that is not given or that takes
            other inputs than the ledger derives.
    """
    if rule.scope:
        raise DatasetError(f"the rule judges decisions of {rule.scope!r}, not payments")
    names = _needed(rule, scorers)
    rows = np.flatnonzero(np.asarray(wanted, np.bool_)).astype(np.int64)
    matrix = fold_history(facts, names, np.asarray(wanted, np.bool_))
    columns: dict[str, Integers] = {
        f"feature:{name}": matrix[:, at] for at, name in enumerate(names)
    }
    columns["field:amount_units"] = facts.amount_units[rows]
    columns["field:hour_of_day"] = facts.booked_at_ms[rows] // HOUR_MS % 24
    for deployment in models(rule):
        model = scorers[deployment]
        places = [names.index(feature.name) for feature in model.features]
        columns[f"model:{deployment}"] = _scores(model, matrix[:, places])
    found = {name: columns[name] for name in operands(rule) if name in columns}
    stated = {
        at: {f"asserted:{name}": value for name, value in facts.asserted.get(row, {}).items()}
        for at, row in enumerate(rows.tolist())
        if row in facts.asserted
    }
    return _run(rule, rows, found, stated)


def evaluate_cases(
    rule: Rule,
    inputs: Mapping[str, Sequence[int | None]],
    *,
    model: ExactModel | None = None,
) -> Evaluated:
    """Return what a rule on decisions says about rows of a table.

    Args:
        rule: Its scope names the deployment.
        inputs: For each input of the model its values, in the model's whole numbers.
        model: What scores the rows, if the rule looks at a score.

    Raises:
        DatasetError: The rule is on payments, or an input or the model is missing.
    """
    if not rule.scope:
        raise DatasetError("the rule judges payments, not decisions", "it has no `scope`")
    count = min((len(values) for values in inputs.values()), default=0)
    columns: dict[str, Integers] = {}
    missing: dict[int, dict[str, int]] = {}
    absent: dict[int, list[str]] = {}
    for name in operands(rule):
        kind, _, key = name.partition(":")
        if kind == "model":
            columns[name] = _case_scores(rule, inputs, model, count)
            continue
        if key not in inputs:
            raise DatasetError(
                f"the table has no column {key!r}, which the rule looks at",
                f"columns: {', '.join(inputs)}",
            )
        columns[name] = np.array([value or 0 for value in inputs[key]], np.int64)
        for row, value in enumerate(inputs[key]):
            if value is None:
                absent.setdefault(row, []).append(name)
    return _run(rule, np.arange(count, dtype=np.int64), columns, missing, absent)


def backtest_payments(
    rule: Rule,
    facts: Facts,
    *,
    from_ms: int,
    until_ms: int,
    scorers: Mapping[str, ExactModel] | None = None,
    digests: Mapping[str, str] | None = None,
    source: Mapping[str, str] | None = None,
) -> BacktestReport:
    """Return what a rule would have done to the payments booked in [from_ms, until_ms).

    Earlier payments fill the windows.

    Args:
        rule: A rule on payments whose form is checked.
        facts: From the first one on.
        from_ms: Where the period begins.
        until_ms: Where it ends.
        scorers: The models of the deployments that the rule looks at.
        digests: Their digests, for the report.
        source: Where the facts come from, for the report.

    Raises:
        DatasetError: As `evaluate_payments`; or there is no payment in the period.
    """
    wanted = facts.between(from_ms, until_ms)
    if not wanted.any():
        raise DatasetError("no payment was booked in the period", "choose another one")
    found = evaluate_payments(rule, facts, wanted.tolist(), scorers=scorers or {})
    return report_of(
        rule,
        found,
        days=facts.booked_at_ms[found.rows] // DAY_MS,
        amounts=facts.amount_units[found.rows],
        labels=facts.last_labels()[found.rows],
        period=(from_ms, until_ms),
        digests=digests or {},
        source=source or {},
        stopped=stopped_accounts(rule, facts, found.rows),
    )


def report_of(
    rule: Rule,
    found: Evaluated,
    *,
    days: Integers,
    amounts: Integers,
    labels: Integers,
    period: tuple[int, int],
    digests: Mapping[str, str],
    source: Mapping[str, str],
    stopped: Stopped | None = None,
    features: Sequence[Feature] = (),
) -> BacktestReport:
    """Return the report on what a rule says about each fact; the arrays are in their order."""
    fired = np.array([conditions is not None for conditions in found.fired], np.bool_)
    acted = within_cap(fired, days, rule.daily_cap, stopped)
    stops = any(isinstance(action, Hold | Refuse) for action in rule.actions)
    fraud, known = labels == FRAUD, labels != UNKNOWN
    return BacktestReport(
        rule=rule.name,
        rule_digest=tagged_hash(b"cairn/rule", encode_rule(rule)).hex(),
        scope=rule.scope,
        models={name: digests.get(name, "") for name in models(rule)},
        source=source,
        first_ms=period[0],
        end_ms=period[1],
        payments=len(fired),
        value_units=_sum(amounts),
        alerts=int(fired.sum()),
        acted=int(acted.sum()),
        daily_cap=rule.daily_cap,
        value_held_units=_sum(amounts[acted]) if stops else 0,
        unknown=int((fired & ~known).sum()),
        fraud_alerts=int((fired & fraud).sum()),
        genuine_alerts=int((fired & (labels == GENUINE)).sum()),
        known=int(known.sum()),
        frauds=int(fraud.sum()),
        fraud_units=_sum(amounts[fraud]),
        found_units=_sum(amounts[fraud & fired]),
        unscored=found.unscored,
        days=_days(days, fired, acted, fraud),
        reasons=_reasons(rule, found.fired, features),
        alert_rows=tuple(found.rows[fired].tolist()),
    )


def spell(compare: Compare, features: Sequence[Feature] = ()) -> str:
    """Return a comparison as people read it; an input's threshold as its column has it."""
    threshold = str(compare.threshold)
    for feature in features:
        if compare.operand == f"input:{feature.name}" and is_input(feature, compare.threshold):
            threshold = format_value(feature, compare.threshold)
    return f"{compare.operand} {compare.operator} {threshold}"


def model_digest_of(raw: bytes) -> str:
    """Return the digest of a model's bytes, in hex."""
    return tagged_hash(b"cairn/model", raw).hex()


def file_digest(raw: bytes) -> str:
    """Return the digest of a file, in hex."""
    return sha256(raw).hex()


def _needed(rule: Rule, scorers: Mapping[str, ExactModel]) -> tuple[str, ...]:
    """Return the features that a rule and its models look at."""
    names = [name[8:] for name in operands(rule) if name.startswith("feature:")]
    for deployment in models(rule):
        if deployment not in scorers:
            raise DatasetError(
                f"the rule looks at the model of {deployment!r}, which is not there",
                f"give one: --model {deployment}=MODEL.bin",
            )
        for feature in scorers[deployment].features:
            whole = (feature.kind, feature.scale_bits) == ("integer", 0)
            if feature.name not in FEATURES or not whole:
                raise DatasetError(
                    f"the model of {deployment!r} takes {feature.name!r}",
                    "blocks do not derive that; it cannot judge payments",
                )
            names.append(feature.name)
    return tuple(dict.fromkeys(names))


def _run(
    rule: Rule,
    rows: Integers,
    columns: Mapping[str, Integers],
    stated: Mapping[int, Mapping[str, int]],
    absent: Mapping[int, Sequence[str]] | None = None,
) -> Evaluated:
    """Return the rule's word on each row; `stated` adds operands to single rows, `absent` takes."""
    run = compile_rule(rule)
    names = list(columns)
    values = [column.tolist() for column in columns.values()]
    needed = frozenset(operands(rule))
    fired: list[tuple[int, ...] | None] = []
    unscored = 0
    for at in range(len(rows)):
        inputs = {name: column[at] for name, column in zip(names, values, strict=True)}
        inputs.update(stated.get(at, {}))
        for name in absent.get(at, ()) if absent else ():
            del inputs[name]
        unscored += not needed <= inputs.keys()
        word = run(inputs)
        fired.append(word.conditions if word.fired else None)
    looked_at = models(rule)
    scores = columns[f"model:{looked_at[0]}"] if looked_at else np.full(len(rows), -1, np.int64)
    return Evaluated(rows, tuple(fired), scores, unscored)


def _scores(model: ExactModel, rows: Integers) -> Integers:
    scorer = Scorer(model)
    parts = [
        scorer.score(np.ascontiguousarray(rows[start : start + ROWS_AT_ONCE]))[1]
        for start in range(0, len(rows), ROWS_AT_ONCE)
    ]
    return np.concatenate(parts) if parts else np.empty(0, np.int64)


def _case_scores(
    rule: Rule, inputs: Mapping[str, Sequence[int | None]], model: ExactModel | None, count: int
) -> Integers:
    if model is None:
        raise DatasetError(
            f"the rule looks at the model of {rule.scope!r}, which is not there",
            f"give one: --model {rule.scope}=MODEL.bin",
        )
    matrix = np.empty((count, len(model.features)), np.int64)
    for at, feature in enumerate(model.features):
        column = inputs.get(feature.name)
        if column is None or (None in column and not feature.nullable):
            raise DatasetError(
                f"the table lacks values of {feature.name!r}, which the model takes",
                f"the model takes: {', '.join(one.name for one in model.features)}",
            )
        matrix[:, at] = [MISSING if value is None else value for value in column]
    return _scores(model, matrix)


def _days(days: Integers, fired: Any, acted: Any, fraud: Any) -> tuple[Day, ...]:
    if not len(days):
        return ()
    first = int(days.min())
    size = int(days.max()) - first + 1
    places = days - first
    payments, alerts, within, found = (
        np.bincount(places[mask], minlength=size).tolist()
        for mask in (np.ones(len(days), np.bool_), fired, acted, fired & fraud)
    )
    return tuple(
        Day(first + at, payments[at], alerts[at], within[at], found[at]) for at in range(size)
    )


def _reasons(
    rule: Rule, fired: Sequence[tuple[int, ...] | None], features: Sequence[Feature]
) -> tuple[Reason, ...]:
    counts: Counter[int] = Counter()
    for conditions in fired:
        if conditions is not None:
            counts.update(decisive(rule, conditions))
    ordered = sorted(counts.items(), key=lambda pair: (-pair[1], pair[0]))
    texts = {
        at: spell(node, features)
        for at, node in enumerate(rule.condition)
        if isinstance(node, Compare)
    }
    return tuple(Reason(at, texts[at], count) for at, count in ordered[:REASONS_MAX])


def _sum(amounts: Integers) -> int:
    return sum(amounts.tolist())


def _ppm(part: int, whole: int) -> int | None:
    return part * PPM // whole if whole else None
