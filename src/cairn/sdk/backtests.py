"""Back-tests through a ledger: its live models, its history, and putting a report on record."""

from collections.abc import Iterable, Mapping, Sequence
from datetime import date
from pathlib import Path
from typing import Any

import numpy as np

from cairn.exact import rules
from cairn.exact.errors import ModelInputError
from cairn.exact.inputs import parse_value
from cairn.exact.models import MISSING, ExactModel, decode_model
from cairn.learning.backtest import (
    DAY_MS,
    NO_TIME,
    BacktestReport,
    evaluate_cases,
    report_of,
)
from cairn.learning.extras import require
from cairn.learning.history import FRAUD, GENUINE, UNKNOWN, Integers
from cairn.learning.rows import CSV_SUFFIXES, JSON_SUFFIXES, check_file, csv_rows, json_rows
from cairn.modules.models.records import CHUNKS, SEALED, VERSIONS
from cairn.modules.rules.events import BacktestRecorded
from cairn.modules.rules.messages import RecordBacktest
from cairn.modules.rules.records import NAMES, RULES, rule_digest
from cairn.sdk.client import Client
from cairn.sdk.errors import NotFoundError, UsageError
from cairn.sdk.history import History
from cairn.sdk.predictions import hint_of
from cairn.sdk.quantities import parse_time
from cairn.sdk.reading import Reader
from cairn.sdk.rules import expected_version
from cairn.sdk.tabular import input_name

TRUE_WORDS = ("1", "true", "yes", "fraud", "bad")
FALSE_WORDS = ("0", "false", "no", "genuine", "good")


def live_model(reader: Reader, deployment: str) -> tuple[ExactModel, str]:
    """Return the model that is live in a deployment, or is to be, and its digest in hex.

    Raises:
        NotFoundError: There is no such deployment, or nothing is live in it nor waits for it.
        ModelFormError: The bytes are no model.
    """
    try:
        version = expected_version(reader, deployment)
    except NotFoundError as error:
        raise NotFoundError(
            str(error), f"{error.hint}; or give a file: --model {deployment}=MODEL.bin"
        ) from error
    digest = reader.require(VERSIONS, version).model_digest
    sealed = reader.require(SEALED, digest)
    chunks = [
        reader.require(CHUNKS, sealed.uploader, digest, at).data for at in range(sealed.chunk_count)
    ]
    return decode_model(b"".join(chunks)), digest.hex()


def source_of(history: History) -> dict[str, str]:
    """Return what a report says about facts that come from a ledger."""
    state = history.states["payments"]
    return {
        "ledger": history.chain_id,
        "height": str(history.height),
        "as_of_ms": str(history.as_of_ms),
        "attempts": f"{len(history.entries['payments'])} of {state.size}, root {state.root.hex()}",
    }


def backtest_rows(
    rule: rules.Rule,
    rows: Sequence[Mapping[str, Any]],
    *,
    model: ExactModel | None,
    label: str = "",
    time: str = "",
    source: Mapping[str, str],
    digest: str = "",
) -> BacktestReport:
    """Return what a rule on decisions would have done to the rows of a table.

    Args:
        rule: Its scope names the deployment.
        rows: Values by the names of the model's inputs, as people write them.
        model: Whose inputs the rows are, and which scores them; without one, whole numbers.
        label: The column with what each case turned out to be; empty for none.
        time: The column with when each case was; empty if they have no time: then all of them
            count for one day.
        source: Where the rows come from.
        digest: Of the model, for the report.

    Raises:
        UsageError: There is no row, or a value is no input, label or time; it names row and column.
        DatasetError: The rule is on payments, or a column or the model is missing.
    """
    if not rows:
        raise UsageError("the table has no rows", "give it a header and at least one row")
    inputs = case_inputs(rule, rows, model)
    found = evaluate_cases(rule, inputs, model=model)
    labels, times = case_labels(rows, label), case_times(rows, time)
    return report_of(
        rule,
        found,
        days=times // DAY_MS,
        amounts=np.zeros(len(rows), np.int64),
        labels=labels,
        period=(int(times.min()), int(times.max()) + 1) if time else NO_TIME,
        digests={rule.scope: digest},
        source=source,
        features=() if model is None else model.features,
    )


def read_cases(path: Path) -> list[dict[str, Any]]:
    """Return the rows of a CSV, JSON or Parquet file, its columns by the names of inputs.

    Raises:
        DatasetError: The file is missing or not of its kind.
    """
    suffix = check_file(path)
    if suffix in CSV_SUFFIXES:
        rows = csv_rows(path)
        _, header = next(rows, (0, []))
        found: list[dict[str, Any]] = [dict(zip(header, cells, strict=True)) for _, cells in rows]
    elif suffix in JSON_SUFFIXES:
        found = [dict(row.cells) for row in json_rows(path)]
    else:
        found = require("pyarrow.parquet").read_table(path).to_pylist()
    return [{input_name(name): value for name, value in row.items()} for row in found]


def case_inputs(
    rule: rules.Rule, rows: Sequence[Mapping[str, Any]], model: ExactModel | None
) -> dict[str, list[int | None]]:
    """Return the model's inputs from rows, column by column; None where a value is missing."""
    if model is None:
        return {
            name: [_whole(row, name, number) for number, row in enumerate(rows)]
            for name in _known(rules.case_inputs(rule), rows)
        }
    features = {feature.name: feature for feature in model.features}
    columns: dict[str, list[int | None]] = {}
    for name in _known(features, rows):
        column = columns.setdefault(name, [])
        for number, row in enumerate(rows):
            try:
                value = parse_value(features[name], row[name])
            except ModelInputError as error:
                hint = hint_of(features[name])
                raise UsageError(f"row {number}, column {name!r}: {error}", hint) from error
            column.append(None if value == MISSING else value)
    return columns


def case_labels(rows: Sequence[Mapping[str, Any]], label: str) -> Integers:
    """Return what each case turned out to be, by a column; unknown without one.

    Raises:
        UsageError: There is no such column, or a value is neither yes nor no.
    """
    if not label:
        return np.full(len(rows), UNKNOWN, np.int64)
    name = _column(rows, label)
    return np.array([case_label(row.get(name), at) for at, row in enumerate(rows)], np.int64)


def case_times(rows: Sequence[Mapping[str, Any]], time: str) -> Integers:
    """Return when each case was, in milliseconds since the epoch, by a column; 0 without one.

    Raises:
        UsageError: There is no such column, or a value is no time.
    """
    if not time:
        return np.zeros(len(rows), np.int64)
    name = _column(rows, time)
    return np.array([_time(row.get(name), name, at) for at, row in enumerate(rows)], np.int64)


def _column(rows: Sequence[Mapping[str, Any]], column: str) -> str:
    name = input_name(column)
    if name not in rows[0]:
        raise UsageError(f"there is no column {column!r}", f"columns: {', '.join(rows[0])}")
    return name


def _time(value: Any, name: str, number: int) -> int:
    if isinstance(value, date):
        value = value.isoformat()
    try:
        return parse_time("" if value is None else str(value).strip())
    except UsageError as error:
        raise UsageError(f"row {number}, column {name!r}: {error}", error.hint) from error


def case_label(value: Any, number: int) -> int:
    """Return what a cell says that a case turned out to be."""
    text = "" if value is None else str(value).strip().lower()
    if text in TRUE_WORDS:
        return FRAUD
    if text in FALSE_WORDS:
        return GENUINE
    if text:
        raise UsageError(
            f"row {number}: the label {value!r} is neither yes nor no", "write 1 or 0, or nothing"
        )
    return UNKNOWN


def record_backtest(client: Client, report: BacktestReport) -> BacktestRecorded:
    """Put a back-test on record for the version of the rule whose bytes it is about.

    Raises:
        NotFoundError: No version of the rule on the ledger has these bytes.
        RejectedError: The ledger refuses it.
    """
    version = _version_of(client, report)
    message = RecordBacktest(
        rule=report.rule,
        version=version,
        report_digest=report.digest(),
        first_ms=report.first_ms,
        end_ms=report.end_ms,
        payments=report.payments,
        alerts=report.alerts,
        value_held_units=report.value_held_units,
        labelled=report.labelled,
        precision_ppm=report.precision_ppm,
        recall_ppm=report.recall_ppm,
    )
    return client.submit(message).event(BacktestRecorded)


def _version_of(client: Client, report: BacktestReport) -> int:
    name = client.get(NAMES, report.rule)
    for version in range(name.version_count if name else 0, 0, -1):
        if rule_digest(client.require(RULES, report.rule, version).raw).hex() == report.rule_digest:
            return version
    raise NotFoundError(
        f"no version of {report.rule!r} on this ledger says what the back-test is about",
        "hand the rule in first: `cairn rule submit`",
    )


def _known(names: Iterable[str], rows: Sequence[Mapping[str, Any]]) -> list[str]:
    """Return which names are columns of the rows."""
    return [name for name in names if name in rows[0]]


def _whole(row: Mapping[str, Any], name: str, number: int) -> int | None:
    text = "" if row.get(name) is None else str(row[name]).strip()
    if not text:
        return None
    try:
        return int(text)
    except ValueError as error:
        raise UsageError(
            f"row {number}, column {name!r}: {text!r} is not a whole number",
            "give the model, so that its inputs are read as it takes them: --model",
        ) from error
