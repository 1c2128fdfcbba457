"""The report on a period as one page to read, on a screen or on paper."""

from collections.abc import Iterable, Mapping, Sequence

from cairn.modules.data.records import Quality
from cairn.pages import blocks, charts
from cairn.pages.document import document
from cairn.pages.markup import Html
from cairn.pages.numbers import day_text, number, percent
from cairn.sdk.quantities import format_amount, format_time
from cairn.sdk.report import (
    DAY_MS,
    ELSEWHERE,
    FAILED,
    FRAUD,
    GENUINE,
    HELD,
    REFUSED,
    SETTLED,
    DatasetLine,
    ModelLine,
    PeriodReport,
    RuleLine,
)

PPM = 1_000_000
SCORE_BINS = 40
SHOWN_MAX = 200
"""Most lines of a list; how many there are is said where it is cut."""
NONE = "\u2013"


def report_page(report: PeriodReport, *, decimals: Mapping[str, int]) -> str:
    """Return the page.

    Args:
        report: The numbers.
        decimals: Of each asset, for amounts as people write them.
    """
    basis = report.basis
    lead = f"{_since(basis.from_ms)} to {_time(basis.until_ms)}, on the ledger {basis.chain_id}"
    return document(
        "Decisions and how they went",
        *_basis(report),
        blocks.cards(_cards(report)),
        *_decided(report, decimals),
        *_by_what(report),
        *_quality(report),
        *_holds(report, decimals),
        *_data(report),
        *_open_points(report),
        lead=lead,
    )


def _basis(report: PeriodReport) -> list[Html]:
    basis = report.basis
    pairs: list[tuple[object, object]] = [
        ("Ledger", blocks.code(basis.chain_id)),
        ("Up to height", basis.height),
        ("State root", blocks.code(basis.state_root) if basis.state_root else "not proved"),
        ("Recorded", f"from {_since(basis.from_ms)}, before {_time(basis.until_ms)}"),
        ("Outcomes as known", _time(basis.made_ms)),
        ("Assurance", f"{basis.assurance}: {basis.sentence}"),
    ]
    more = "".join(f" --deployment {name}" for name in basis.deployments)
    commands = (
        f"cairn prove period --from {format_time(basis.from_ms)} "
        f"--until {format_time(basis.until_ms)}{more} -o period.cairn\n"
        "cairn verify period.cairn --trust TRUST"
    )
    return [
        blocks.note(
            blocks.strong("What the numbers rest on"),
            blocks.definition_list(pairs),
            "Anybody can check them without trusting the writer of this page: these two commands "
            "prove every hold, firing, change and prediction of the period, and verify the proof.",
            blocks.preformatted(commands),
        )
    ]


def _cards(report: PeriodReport) -> list[blocks.Card]:
    fates, total = report.fates, len(report.payments)
    precision, recall = report.precision, report.recall
    known = report.labelled(FRAUD) + report.labelled(GENUINE)
    verdicts = report.decisions.verdicts
    if not total and verdicts:
        decided = sum(verdicts.values())
        return [
            blocks.Card("decisions", decided),
            *(
                blocks.Card(word, verdicts.get(name, 0), _of(verdicts.get(name, 0), decided))
                for name, word in (("allow", "allowed"), ("hold", "held"), ("refuse", "refused"))
            ),
        ]
    return [
        blocks.Card("payments screened", total),
        blocks.Card("held", fates[HELD], _of(fates[HELD], total)),
        blocks.Card("refused by a rule", fates[REFUSED], _of(fates[REFUSED], total)),
        blocks.Card("alerts", report.alerts, _of(report.alerts, total)),
        blocks.Card(
            "precision", None if precision is None else percent(precision), "of alerts known by now"
        ),
        blocks.Card(
            "recall",
            None if recall is None else percent(recall),
            f"{number(report.labelled(FRAUD))} known frauds, {number(known)} known outcomes",
        ),
        blocks.Card("decisions for others", sum(report.decisions.verdicts.values())),
        blocks.Card("time to decide a hold", _span(report.holds.median_ms), "median, by people"),
    ]


def _decided(report: PeriodReport, decimals: Mapping[str, int]) -> list[Html]:
    days = {fate: report.by_day(fate) for fate in (SETTLED, HELD, REFUSED, ELSEWHERE, FAILED)}
    shown = {fate: line for fate, line in days.items() if any(count for _, count in line)}
    words = {
        SETTLED: "settled",
        HELD: "held by a rule",
        REFUSED: "refused by a rule",
        ELSEWHERE: "decided for another rail",
        FAILED: "did not take place (no funds, frozen, undone)",
    }
    rows = []
    for asset in sorted({payment.asset for payment in report.payments}):
        for fate, word in words.items():
            amounts = [
                one.amount_units
                for one in report.payments
                if (one.asset, one.fate) == (asset, fate)
            ]
            if amounts:
                value = _amount(sum(amounts), decimals.get(asset, 0))
                rows.append((asset, word, len(amounts), value))
    payments = [
        blocks.table(
            ["asset", "payments", "count", "value"], rows, align=["", "", "right", "right"]
        ),
        blocks.figure(
            charts.day_chart(shown, title="Payments by day of booking", y_label="payments")
        ),
        blocks.figure(
            charts.day_chart({"alerts": report.by_day()}, title="Alerts by day of booking")
        ),
    ]
    decisions = report.decisions
    parts = [blocks.heading("What was decided")]
    if report.payments or not decisions.verdicts:
        parts += payments
    if decisions.verdicts:
        parts += [
            blocks.heading("Decisions on other rails and cases", 3),
            blocks.table(["answer", "count"], sorted(decisions.verdicts.items())),
            blocks.table(
                ["what became of it", "count"],
                [(_badge(name), count) for name, count in sorted(decisions.status.items())],
            ),
        ]
    return parts


def _by_what(report: PeriodReport) -> list[Html]:
    changes = [
        (_time(line.time_ms), line.what, line.by, ", ".join(line.approvers) or NONE)
        for line in report.changes[:SHOWN_MAX]
    ]
    return [
        blocks.heading("By which rules and models"),
        blocks.heading("Rules", 3),
        blocks.table(
            [
                "rule",
                "version",
                "live since",
                "approved by",
                "fired",
                "did",
                "cap reached",
                "precision",
            ],
            [_rule_row(line) for line in report.rules],
            align=["", "right", "", "", "right", "", "right", "right"],
            empty="no rule was live and none fired",
        ),
        blocks.heading("Models", 3),
        blocks.table(
            ["deployment", "model", "version", "live since", "approved by", "predictions"],
            [_model_row(line) for line in report.models],
            empty="no model was in use",
        ),
        blocks.bullets(
            f"{line.name} on rows that it had not seen: {words}"
            for line in report.models
            for words in line.evaluations
        ),
        blocks.heading("Changes in the period", 3),
        blocks.table(
            ["time", "change", "by", "approved by"],
            changes,
            caption=_cut(len(report.changes)),
            empty="nothing was changed",
        ),
    ]


def _rule_row(line: RuleLine) -> tuple[object, ...]:
    did = ", ".join(f"{name.replace('_', ' ')} {n}" for name, n in sorted(line.actions.items()))
    precision = NONE if line.precision is None else percent(line.precision)
    return (
        line.rule,
        line.version,
        _time(line.live_since_ms),
        ", ".join(line.approvers) or NONE,
        line.fired,
        did or NONE,
        line.caps_reached,
        precision,
    )


def _model_row(line: ModelLine) -> tuple[object, ...]:
    counts = ", ".join(f"{n} {basis}" for basis, n in sorted(line.predictions.items()))
    return (
        line.deployment,
        line.name,
        blocks.code(line.version[:12]),
        _time(line.live_since_ms),
        ", ".join(line.approvers) or NONE,
        counts or NONE,
    )


def _quality(report: PeriodReport) -> list[Html]:
    rows = [
        (word, report.labelled(label, alerted=True), report.labelled(label, alerted=False))
        for word, label in (("fraud", FRAUD), ("genuine", GENUINE), ("not known", ""))
    ]
    if not report.payments and report.decisions.verdicts:
        return []
    parts = [
        blocks.heading("How well it went"),
        blocks.paragraph(
            "Against the outcomes that people had recorded when this page was made. "
            "Payments without an outcome count neither for nor against."
        ),
        blocks.table(["outcome", "with an alert", "without"], rows),
    ]
    for deployment in sorted({one for payment in report.payments for one, _, _ in payment.scores}):
        parts += _scores(report, deployment)
    return parts


def _scores(report: PeriodReport, deployment: str) -> list[Html]:
    """Return the plots of one deployment's scores against known outcomes."""
    found: dict[str, list[float]] = {FRAUD: [], GENUINE: [], "not known": []}
    for payment in report.payments:
        for name, _, score_ppm in payment.scores:
            if name == deployment:
                found[payment.label or "not known"].append(score_ppm / PPM)
    series = {name: scores for name, scores in found.items() if scores}
    pairs = [(score, label == FRAUD) for label in (FRAUD, GENUINE) for score in found[label]]
    parts = [
        blocks.heading(f"Scores of {deployment}", 3),
        blocks.figure(
            charts.histogram(series, title="Scores", x_label="score", shares=True, bins=SCORE_BINS),
            "Each outcome by itself adds up to the whole.",
        ),
    ]
    curve = _curve(pairs)
    if curve:
        rate = sum(is_fraud for _, is_fraud in pairs) / len(pairs)
        parts.append(
            blocks.figure(
                charts.pr_curve({deployment: curve}, title="Precision and recall", base_rate=rate),
                "Over the payments with a known outcome; the dotted line is what chance would find."
                " Outcomes are known first of all where somebody looked.",
            )
        )
    return parts


def _curve(pairs: Iterable[tuple[float, bool]]) -> list[tuple[float, float]]:
    ordered = sorted(pairs, key=lambda pair: -pair[0])
    frauds = sum(is_fraud for _, is_fraud in ordered)
    if not frauds:
        return []
    points, found = [], 0
    for at, (score, is_fraud) in enumerate(ordered, 1):
        found += is_fraud
        if at == len(ordered) or ordered[at][0] != score:
            points.append((found / frauds, found / at))
    return points


def _holds(report: PeriodReport, decimals: Mapping[str, int]) -> list[Html]:
    holds = report.holds
    if not holds.placed:
        return []
    values = ", ".join(
        f"{_amount(units, decimals.get(asset, 0))} {asset}"
        for asset, units in sorted(holds.value_units.items())
    )
    unit, length_ms = _unit(holds.deciding_ms)
    spans = [taken / length_ms for taken in holds.deciding_ms]
    return [
        blocks.heading("Holds"),
        blocks.definition_list(
            [
                ("Placed", f"{number(holds.placed)}, {values}"),
                *((name.replace("_", " "), count) for name, count in sorted(holds.status.items())),
                ("Ever appealed", holds.appealed),
                ("Put off", holds.renewed),
                ("Median time to a person's decision", _span(holds.median_ms)),
            ]
        ),
        blocks.figure(
            charts.histogram(
                {"holds": spans} if spans else {},
                title="Time until a person decided",
                x_label=unit,
                bins=24,
            )
        ),
    ]


def _data(report: PeriodReport) -> list[Html]:
    return [
        blocks.heading("Data behind the models"),
        blocks.table(
            ["dataset", "owner", "rows", "licence", "made up", "status", "quality"],
            [_dataset_row(line) for line in report.datasets],
            empty="no registered dataset stands behind a model of the period",
        ),
    ]


def _dataset_row(line: DatasetLine) -> tuple[object, ...]:
    status = (
        blocks.badge(f"withdrawn {_time(line.withdrawn_ms)}", "warn")
        if line.withdrawn_ms
        else blocks.badge("stands", "good")
    )
    quality = _quality_text(line.quality)
    return (line.name, line.owner, line.rows, line.licence, line.synthetic, status, quality)


def _quality_text(quality: Quality | None) -> str:
    if quality is None:
        return "no report"
    figures = (
        ("missing", quality.missing_ppm),
        ("type errors", quality.type_errors_ppm),
        ("junk columns", quality.junk_columns_ppm),
        ("duplicates", quality.duplicates_ppm),
        ("near duplicates", quality.near_duplicates_ppm),
        ("outliers", quality.outliers_ppm),
    )
    told = [f"{name} {percent(ppm / PPM, 2)}" for name, ppm in figures if ppm]
    return ", ".join([*told, f"{quality.leaks} leaks"])


def _open_points(report: PeriodReport) -> list[Html]:
    points: list[object] = []
    if report.holds.open:
        points.append(f"{report.holds.open} holds are not decided yet.")
    for (rule, day), count in sorted(report.caps.items(), key=lambda pair: pair[0][::-1]):
        points.append(f"{day_text(day)}: the daily cap kept {rule} from acting {count} times.")
    points += [
        f"{_time(line.time_ms)}: {line.what}, by {line.by}."
        for line in report.changes
        if "switched" in line.what or "rolled back" in line.what
    ]
    points += [
        f"The dataset {line.name} was withdrawn." for line in report.datasets if line.withdrawn_ms
    ]
    if not report.basis.state_root:
        points.append("Nothing here was proved: the workspace has no trust file.")
    troubles = report.decisions.troubles
    parts = [
        blocks.heading("Open points"),
        blocks.bullets(points[:SHOWN_MAX]) if points else blocks.paragraph("None of its own."),
    ]
    if troubles:
        rows = [
            (_time(time_ms), blocks.code(decision[:12]), _badge(status), executor)
            for decision, status, executor, time_ms in troubles[:SHOWN_MAX]
        ]
        parts.append(
            blocks.table(
                ["decided", "decision", "status", "executor"],
                rows,
                caption="Decisions that were not enforced as they should. " + _cut(len(troubles)),
            )
        )
    return parts


def _badge(status: str) -> Html:
    tones: dict[str, blocks.Tone] = {
        "enforced": "good",
        "late": "warn",
        "unanswered": "warn",
        "overridden": "bad",
    }
    return blocks.badge(status, tones.get(status, ""))


def _of(part: int, whole: int) -> str:
    return percent(part / whole, 2) if whole else ""


def _cut(count: int) -> str:
    return f"The first {SHOWN_MAX} of {count}." if count > SHOWN_MAX else ""


def _time(time_ms: int) -> str:
    """Return a time to the minute, which is what people read."""
    text = format_time(time_ms)
    return f"{text[:10]} {text[11:16]}" if text else NONE


def _since(time_ms: int) -> str:
    return _time(time_ms) if time_ms >= DAY_MS else "the beginning"


def _amount(units: int, decimals: int) -> str:
    """Return an amount with its thousands apart."""
    whole, point, rest = format_amount(units, decimals).partition(".")
    return number(int(whole)) + point + rest


def _unit(spans_ms: Sequence[int]) -> tuple[str, int]:
    """Return in what unit to show spans of time, and its length."""
    longest = max(spans_ms, default=0)
    units = (("days", DAY_MS), ("hours", 3_600_000), ("minutes", 60_000), ("seconds", 1_000))
    return next((unit for unit in units if longest >= 2 * unit[1]), ("milliseconds", 1))


def _span(span_ms: int | None) -> str:
    if span_ms is None:
        return NONE
    if span_ms < 60_000:
        return f"{span_ms} ms" if span_ms < 1_000 else f"{span_ms // 1000} s"
    minutes = span_ms // 60_000
    if minutes >= 2 * 24 * 60:
        return f"{span_ms / DAY_MS:.1f} days"
    return f"{minutes // 60} h {minutes % 60} min" if minutes >= 60 else f"{minutes} min"
