"""`cairn rule backtest` and `cairn rule compare`: what rules would have done to past facts."""

import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from typer import Argument, Option

from cairn.cli.files import read_file, read_text, write_output
from cairn.cli.session import Session, command
from cairn.sdk.errors import UsageError
from cairn.sdk.quantities import parse_time
from cairn.sdk.reading import Reader

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from cairn.exact.models import ExactModel, Feature
    from cairn.exact.rules import Rule
    from cairn.learning.backtest import BacktestReport
    from cairn.learning.compare import ComparisonReport, Ranking
    from cairn.learning.history import Facts

    Contender = tuple[Rule, bool]
    """A rule, or the one that stands for a model; and whether it is a model."""

DAY_MS = 86_400_000
_BUDGET = re.compile(r"([0-9]{1,9})(?:/day)?", re.ASCII)

DataOption = Annotated[Path | None, Option(help="Past payments, or rows of cases.")]
MappingOption = Annotated[Path | None, Option(help="Which columns of --data are what (YAML).")]
HistoryOption = Annotated[bool, Option("--history", help="The workspace's ledger instead.")]
ModelOption = Annotated[
    list[str] | None, Option("--model", help="NAME=MODEL.bin for a deployment; else its live one.")
]
DaysOption = Annotated[int, Option(min=0, help="Only the last days; earlier ones fill windows.")]
FromOption = Annotated[str, Option("--from", help="Payments booked from this time on.")]
UntilOption = Annotated[str, Option("--to", help="Payments booked before this time.")]
BaselineOption = Annotated[
    bool, Option("--baseline", help="Beside them two lines, fitted on what came before the period.")
]
LabelOption = Annotated[str, Option(help="Of cases: the column with what each turned out.")]
TimeOption = Annotated[str, Option(help="Of cases: the column with when each was; else one day.")]
HtmlOption = Annotated[Path | None, Option(help="Write a page to read.")]


@dataclass(frozen=True)
class Period:
    """Which payments to look at."""

    days: int = 0
    start: str = ""
    end: str = ""

    def bounds(self, facts: "Facts") -> tuple[int, int]:
        """Return the period's bounds, half-open, in milliseconds since the epoch."""
        if not len(facts):
            raise UsageError("there are no payments to look at", "record or give some first")
        first, last = int(facts.booked_at_ms.min()), int(facts.booked_at_ms.max()) + 1
        until_ms = parse_time(self.end) if self.end else last
        from_ms = parse_time(self.start) if self.start else first
        if self.days:
            from_ms = max(from_ms, (until_ms - 1) // DAY_MS * DAY_MS - (self.days - 1) * DAY_MS)
        if not from_ms < until_ms:
            raise UsageError("the period ends before it begins", "change --from, --to or --days")
        return from_ms, until_ms


@dataclass(frozen=True)
class Cases:
    """Columns of a table of cases that are no inputs."""

    label: str = ""
    time: str = ""


@dataclass
class Past:
    """Where past facts and models come from: a file, or the workspace's ledger."""

    session: Session
    data: Path | None
    mapping: Path | None
    history: bool
    models: list[str]
    reader: Reader | None = None

    def facts(self) -> "tuple[Facts, dict[str, str]]":
        """Return the payments and what a report says of their source."""
        if self.history:
            from cairn.sdk.backtests import source_of
            from cairn.sdk.history import read_history

            with self.opened() as reader:
                history = read_history(reader, names=("payments", "outcomes"))
            return history.facts(), source_of(history)
        return read_facts(self.file(), self.mapping)

    def file(self) -> Path:
        """Return the data file."""
        if self.data is None:
            raise UsageError("which facts?", "give --data FILE, or --history for the ledger's own")
        return self.data

    def scorers(self, names: tuple[str, ...]) -> "tuple[dict[str, ExactModel], dict[str, str]]":
        """Return the models of deployments and their digests: given ones, else the live ones."""
        from cairn.exact.models import decode_model
        from cairn.learning.backtest import model_digest_of
        from cairn.sdk.backtests import live_model

        given = dict(_named(text) for text in self.models)
        found, digests = {}, {}
        for name in names:
            if name in given:
                raw = read_file(given[name])
                found[name], digests[name] = decode_model(raw), model_digest_of(raw)
            else:
                with self.opened() as reader:
                    found[name], digests[name] = live_model(reader, name)
        return found, digests

    def inputs_of(self, deployment: str) -> "Sequence[Feature]":
        """Return the inputs of the model that a rule on decisions looks at."""
        return self.scorers((deployment,))[0][deployment].features

    @contextmanager
    def opened(self) -> Iterator[Reader]:
        """Yield a reader of the workspace's ledger."""
        if self.reader is not None:
            yield self.reader
            return
        with self.session.reader() as reader:
            self.reader = reader
            try:
                yield reader
            finally:
                self.reader = None


def register(app: typer.Typer) -> None:
    """Add the commands to the group of rules."""
    command(app, "backtest")(backtest)
    command(app, "compare")(compare)


def backtest(
    session: Session,
    file: Annotated[Path, Argument(metavar="RULE.yaml", help="A rule.")],
    data: DataOption = None,
    mapping: MappingOption = None,
    history: HistoryOption = False,
    model: ModelOption = None,
    days: DaysOption = 0,
    start: FromOption = "",
    end: UntilOption = "",
    label: LabelOption = "",
    time: TimeOption = "",
    output: Annotated[Path | None, Option("-o", help="Write the report (JSON).")] = None,
    html: HtmlOption = None,
    record: Annotated[bool, Option("--record", help="Put it on record for the rule.")] = False,
) -> None:
    """Show what a rule would have done to past payments or cases; it needs no approval."""
    from cairn.sdk.rule_yaml import parse_rule

    past = Past(session, data, mapping, history, model or [])
    rule = parse_rule(read_text(file), past.inputs_of)
    report = _report(past, rule, Period(days, start, end), Cases(label, time))
    if output is not None:
        write_output(output, report.to_bytes())
    if html is not None:
        report.write_html(html)
    if record:
        from cairn.sdk.backtests import record_backtest

        with session.client() as client:
            position = record_backtest(client, report).position
        session.out.talk(f"on record as back-test {position}")
    fields = report.to_json() if session.out.as_json else summary_of(report)
    session.out.record({**fields, "report_digest": report.digest().hex()})


def compare(
    session: Session,
    one: Annotated[str, Argument(metavar="A", help="RULE.yaml, or a model: NAME=MODEL.bin.")],
    other: Annotated[str, Argument(metavar="B", help="The same.")],
    budget: Annotated[str, Option(help="Alerts, such as 100/day.")] = "100/day",
    data: DataOption = None,
    mapping: MappingOption = None,
    history: HistoryOption = False,
    model: ModelOption = None,
    days: DaysOption = 0,
    start: FromOption = "",
    end: UntilOption = "",
    label: LabelOption = "",
    time: TimeOption = "",
    baseline: BaselineOption = False,
    html: HtmlOption = None,
) -> None:
    """Compare two rules or models on past payments or cases, at the same number of alerts a day."""
    match = _BUDGET.fullmatch(budget)
    if match is None:
        raise UsageError(f"{budget!r} is no budget", "write alerts a day, such as 100/day")
    past = Past(session, data, mapping, history, [*(model or []), *_models(one, other)])
    pair = (_contender(past, one), _contender(past, other))
    scopes = [rule.scope for rule, _ in pair if rule.scope]
    if scopes or (label and all(as_model for _, as_model in pair)):
        if baseline or history:
            raise UsageError(
                "cases come from a table, and have no rules-only baseline",
                "give --data FILE, without --history and --baseline",
            )
        report = _case_comparison(past, pair, Cases(label, time), int(match[1]))
    else:
        report = _comparison(past, pair, Period(days, start, end), int(match[1]), baseline=baseline)
    if html is not None:
        report.write_html(html)
    content = report.to_json()
    if session.out.as_json:
        session.out.record(content)
        return
    session.out.talk(
        f"{report.facts} {'cases' if scopes else 'payments'} on {report.days} days, "
        f"{report.frauds} known frauds; "
        f"{report.budget_per_day} alerts a day"
    )
    columns = ("name", "alerts", "fraud_alerts", "genuine_alerts", "unknown", "precision", "recall")
    rows = [
        {**row, "precision": _share(row["precision_ppm"]), "recall": _share(row["recall_ppm"])}
        for row in content["standings"]
    ]
    session.out.rows(columns, rows)


def read_facts(path: Path, mapping: Path | None) -> "tuple[Facts, dict[str, str]]":
    """Return the payments of a file or folder, and what a report says of their source."""
    from cairn.learning.backtest import file_digest
    from cairn.learning.history import facts_of_columns
    from cairn.packs.payments.mapping import CANONICAL, load_mapping, read_payments

    how = CANONICAL if mapping is None else load_mapping(mapping)
    payments = read_payments(path, how)
    files = sorted(path.glob(how.files)) if path.is_dir() else [path]
    digest = file_digest(b"".join(bytes.fromhex(file_digest(read_file(one))) for one in files))
    facts = facts_of_columns(
        payments.tx_id,
        payments.booked_at.tolist(),
        (payments.payer, payments.payee, payments.terminal or [""] * len(payments)),
        (payments.asset, payments.amount_units.tolist()),
        payments.label.tolist(),
    )
    return facts, {"data": path.name, "data_sha256": digest}


def _case_comparison(
    past: Past, contenders: "tuple[Contender, Contender]", cases: Cases, per_day: int
) -> "ComparisonReport":
    """Compare rules on decisions, or models, on the rows of a table."""
    from cairn.learning.backtest import evaluate_cases
    from cairn.learning.compare import compare_rankings, ranking_of
    from cairn.primitives.encoding import replace
    from cairn.sdk.backtests import case_inputs, case_labels, case_times, read_cases

    rows = read_cases(past.file())
    if not rows:
        raise UsageError("the table has no rows", "give it a header and at least one row")
    amounts = case_times(rows, "")
    rankings = []
    for rule, as_model in contenders:
        if not (rule.scope or as_model):
            raise UsageError(
                f"{rule.name} judges payments, the other one cases", "compare two of a kind"
            )
        on_cases = rule if rule.scope else replace(rule, scope=rule.name)
        model = past.scorers((on_cases.scope,))[0][on_cases.scope]
        found = evaluate_cases(on_cases, case_inputs(on_cases, rows, model), model=model)
        rankings.append(ranking_of(rule, found, amounts, as_model=as_model))
    return compare_rankings(
        rankings,
        days=case_times(rows, cases.time) // DAY_MS,
        labels=case_labels(rows, cases.label),
        amounts=amounts,
        budget_per_day=per_day,
    )


def _comparison(
    past: Past,
    contenders: "tuple[Contender, Contender]",
    period: Period,
    per_day: int,
    *,
    baseline: bool,
) -> "ComparisonReport":
    from cairn.learning.backtest import evaluate_payments
    from cairn.learning.compare import compare_rankings, ranking_of

    facts, _ = past.facts()
    wanted = facts.between(*period.bounds(facts))
    amounts = facts.amount_units[wanted]
    rankings = []
    for rule, as_model in contenders:
        scorers, _ = past.scorers(_models_of(rule))
        found = evaluate_payments(rule, facts, wanted.tolist(), scorers=scorers)
        rankings.append(ranking_of(rule, found, amounts, as_model=as_model))
    if baseline:
        rankings.append(_baseline(facts, wanted, per_day))
    return compare_rankings(
        rankings,
        days=facts.booked_at_ms[wanted] // DAY_MS,
        labels=facts.last_labels()[wanted],
        amounts=amounts,
        budget_per_day=per_day,
    )


def _baseline(facts: "Facts", wanted: "NDArray[np.bool_]", per_day: int) -> "Ranking":
    """Return the ranking of the two-line rule, fitted on the payments before the wanted ones."""
    import numpy as np

    from cairn.learning.compare import NEVER, Ranking
    from cairn.packs.payments.baseline import fit_rule
    from cairn.packs.payments.records import Payments

    payments = Payments(
        tx_id=facts.names,
        booked_at=facts.booked_at_ms,
        payer=[one.hex() for one in facts.payer],
        payee=[one.hex() for one in facts.payee],
        amount_units=facts.amount_units,
        asset=facts.asset,
        label=facts.last_labels(),
        scenario=[""] * len(facts),
    )
    before = payments.select(facts.booked_at_ms < facts.booked_at_ms[wanted].min())
    if not (before.label == 1).any():
        raise UsageError(
            "the rules-only baseline has nothing to be fitted on",
            "choose a period with --days or --from that has payments with known frauds before it",
        )
    days = int(before.booked_at[-1] // DAY_MS - before.booked_at[0] // DAY_MS) + 1
    rule = fit_rule(before, min(1.0, per_day * days / len(before)))
    ranks = np.where(rule.alerts(payments), payments.amount_units, NEVER)[wanted]
    name = f"amount over {rule.amount_units}, else {rule.count_in_hour} in an hour"
    return Ranking(name, ranks.astype(np.int64))


def _report(past: Past, rule: "Rule", period: Period, cases: Cases) -> "BacktestReport":
    from cairn.learning.backtest import backtest_payments, file_digest
    from cairn.sdk.backtests import backtest_rows, read_cases

    if rule.scope:
        path = past.file()
        scorers, digests = past.scorers((rule.scope,))
        return backtest_rows(
            rule,
            read_cases(path),
            model=scorers[rule.scope],
            label=cases.label,
            time=cases.time,
            source={"data": path.name, "data_sha256": file_digest(read_file(path))},
            digest=digests[rule.scope],
        )
    facts, source = past.facts()
    from_ms, until_ms = period.bounds(facts)
    scorers, digests = past.scorers(_models_of(rule))
    return backtest_payments(
        rule,
        facts,
        from_ms=from_ms,
        until_ms=until_ms,
        scorers=scorers,
        digests=digests,
        source=source,
    )


def summary_of(report: "BacktestReport") -> dict[str, Any]:
    """Return the report's figures as people read them; cases have no time and no amount."""
    if report.scope:
        return {
            "rule": report.rule,
            "cases": f"{report.payments:,}",
            "alerts": f"{report.alerts:,} ({report.alerts / max(1, report.payments):.1%} of them)",
            **(
                {"alerts_per_day": f"{report.alerts_per_day_milli / 1000:.1f}"}
                if report.end_ms - report.first_ms > DAY_MS
                else {}
            ),
            "known_outcomes": f"of {report.labelled:,} of the alerts",
            "precision": f"{_share(report.precision_ppm)} of these alerts are right",
            "recall": f"{_share(report.recall_ppm)} of the {report.frauds:,} known positives",
            "false_alarms": f"{report.genuine_alerts:,}",
            "cap": f"{report.daily_cap:,} a day",
            "missing_values": report.unscored,
            "top_reasons": [f"{one.text}: {one.alerts:,}" for one in report.reasons[:5]],
        }
    return {
        "rule": report.rule,
        "payments": report.payments,
        "alerts": report.alerts,
        "alerts_per_day": f"{report.alerts_per_day_milli / 1000:.1f}",
        "acted_within_cap": f"{report.acted} (cap {report.daily_cap} a day)",
        "value_held_units": report.value_held_units,
        "known_outcomes": f"{report.labelled} of the alerts, {report.unknown} not known",
        "precision": _share(report.precision_ppm),
        "recall": f"{_share(report.recall_ppm)} of {report.frauds} known frauds",
        "false_alarms": report.genuine_alerts,
        "missing_values": report.unscored,
        "top_reasons": [f"{one.text}: {one.alerts}" for one in report.reasons[:5]],
    }


def _share(ppm: int | None) -> str:
    return "-" if ppm is None else f"{ppm / 10_000:.1f} %"


def _models_of(rule: "Rule") -> tuple[str, ...]:
    from cairn.exact.rules import models

    return models(rule)


def _named(text: str) -> tuple[str, Path]:
    name, separator, path = text.partition("=")
    if not separator or not name or not path:
        raise UsageError(f"{text!r} names no model", "write NAME=MODEL.bin")
    return name, Path(path)


def _models(*contenders: str) -> list[str]:
    return [text for text in contenders if "=" in text]


def _contender(past: Past, text: str) -> "Contender":
    """Return a rule, or the one that stands for a model, and whether it is a model."""
    from cairn.learning.backtest import threshold_rule
    from cairn.sdk.rule_yaml import parse_rule

    if "=" in text:
        return threshold_rule(_named(text)[0], 0), True
    return parse_rule(read_text(Path(text)), past.inputs_of), False
