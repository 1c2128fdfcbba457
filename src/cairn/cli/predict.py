"""`cairn predict`: scores that the ledger computes, and predictions made elsewhere."""

import csv
import io
import json
import secrets
import sys
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Annotated, Any

from typer import Argument, Option

from cairn.cli.files import read_text, write_output
from cairn.cli.model import find_version
from cairn.cli.output import write
from cairn.cli.session import Session, command, new_app
from cairn.exact.models import Feature
from cairn.modules.inference.events import FeaturesScored, PredictionRecorded
from cairn.modules.inference.messages import BATCH_ROWS_MAX, RecordPrediction, Score
from cairn.modules.inference.records import PREDICTIONS, input_commitment, policy_digest
from cairn.sdk.client import Client
from cairn.sdk.errors import UsageError
from cairn.sdk.predictions import (
    LiveSchema,
    Prediction,
    Row,
    check_columns,
    input_row,
    live_schema,
    predict_inputs,
    schema_of,
    spelled,
)
from cairn.sdk.quantities import format_time
from cairn.sdk.reading import Reader

app = new_app("Scores that the ledger computes, and predictions made elsewhere.")

SALT_SIZE_BYTES = 32
INPUT_FORMAT = "cairn-prediction-input/1"
DeploymentArgument = Annotated[str, Argument(metavar="DEPLOYMENT", help="Its name.")]
FeaturesOption = Annotated[
    str, Option(help="NAME=VALUE,… or the values in the model's order, or @FILE.json.")
]
ROWS_AT_ONCE = 20_000
"""Rows of a file that are submitted together."""


@command(app, "score")
def score(
    session: Session,
    deployment: DeploymentArgument,
    features: FeaturesOption = "",
    file: Annotated[
        Path | None, Option("--file", help="Score every row of this CSV; columns by name.")
    ] = None,
    output: Annotated[
        Path | None, Option("-o", "--output", help="With --file: where the scores go.")
    ] = None,
) -> None:
    """Let the ledger score features, in the clear, with the version that is live."""
    if (file is None) == (not features) or (file is None) != (output is None):
        raise UsageError(
            "one case or a file of them?", "give --features, or --file rows.csv -o scores.csv"
        )
    with session.client() as client:
        schema = live_schema(client, deployment)
        if file is not None and output is not None:
            session.out.record(_score_file(session, client, schema, file, output))
            return
        values = parse_features(features, schema.features)
        final = session.send(client, Score(deployment, values))
        scored = final.event(FeaturesScored)
    session.out.record(
        {
            "score_ppm": scored.score_ppm,
            "deployment": deployment,
            "version": scored.version.hex(),
            "position": scored.position,
            "transaction": final.transaction_id.hex(),
            "height": final.height,
        }
    )


@command(app, "stream")
def stream(
    session: Session,
    deployment: DeploymentArgument,
    batch: Annotated[
        int, Option(min=1, max=BATCH_ROWS_MAX, help="Most rows that share a transaction.")
    ] = 256,
) -> None:
    """Score lines of JSON from stdin as they come: objects by name, or lists in order.

    Each line of the output has the score of a line of the input, in order, and where it stands.
    """
    lines: list[int] = []
    with session.client() as client:
        rows = _json_lines(sys.stdin, live_schema(client, deployment).features, lines)
        for place, one in enumerate(client.predict_stream(deployment, rows, batch=batch)):
            write(json.dumps({"line": lines[place], **_fields(one)}))


@command(app, "record")
def record(
    session: Session,
    deployment: DeploymentArgument,
    features: FeaturesOption,
    score_ppm: Annotated[int, Option(min=0, max=1_000_000, help="In parts per million.")],
    policy: Annotated[str, Option(help="The text under which it was made.")],
    output: Annotated[
        Path, Option("-o", "--output", help="Where to keep input and salt, to disclose them later.")
    ],
    version: Annotated[str, Option(help="Which version made it; else the live one.")] = "",
) -> None:
    """Put a prediction on record whose input stays private."""
    with session.client() as client:
        made_by = find_version(client, version) if version else live_version(client, deployment)
        values = parse_features(features, schema_of(client, deployment, made_by).features)
        salt = secrets.token_bytes(SALT_SIZE_BYTES)
        commitment = input_commitment(salt, made_by, values)
        document = {
            "format": INPUT_FORMAT,
            "deployment": deployment,
            "version": made_by.hex(),
            "salt": salt.hex(),
            "features": list(values),
            "policy": policy,
        }
        # Without the salt a commitment can never be opened, so it is kept before anything is sent.
        write_output(output, (json.dumps(document, indent=1) + "\n").encode())
        message = RecordPrediction(
            deployment, made_by, commitment, score_ppm, policy_digest(policy)
        )
        final = session.send(client, message)
        recorded = final.event(PredictionRecorded)
    session.out.record(
        {
            "deployment": deployment,
            "position": recorded.position,
            "score_ppm": score_ppm,
            "version": made_by.hex(),
            "input_commitment": commitment.hex(),
            "opening": str(output),
            "transaction": final.transaction_id.hex(),
        }
    )


@command(app, "list")
def list_predictions(
    session: Session,
    deployment: DeploymentArgument,
    limit: Annotated[int, Option(min=1, help="Most to list, the newest.")] = 50,
) -> None:
    """List a deployment's predictions, the newest last."""
    with session.reader() as reader:
        size = reader.series_size(PREDICTIONS, deployment)
        rows = [
            {
                "position": entry.position,
                "time": format_time(entry.time_ms),
                "basis": entry.record.basis,
                "score_ppm": entry.record.score_ppm,
                "version": entry.record.version.hex(),
                "transaction": entry.record.transaction_id.hex(),
                "operation": entry.record.operation_index,
            }
            for entry in reader.series(PREDICTIONS, deployment, start=max(0, size - limit))
        ]
    session.out.rows(
        ("position", "time", "basis", "score_ppm", "version", "transaction", "operation"), rows
    )


def live_version(reader: Reader, deployment: str) -> bytes:
    """Return the version that is live in a deployment.

    Raises:
        NotFoundError: There is no such deployment, or nothing is live in it.
    """
    return live_schema(reader, deployment).version


def parse_features(text: str, inputs: Sequence[Feature]) -> tuple[int, ...]:
    """Return a model's inputs, in its order, from what the user wrote.

    >>> parse_features("b=2,a=1", (Feature("a", "integer"), Feature("b", "integer")))
    (1, 2)

    Raises:
        UsageError: One is missing, unknown, or none that its input takes.
    """
    if text.startswith("@"):
        text = read_text(Path(text[1:])).strip()
    row: Any
    try:
        if text.startswith(("{", "[")):
            row = json.loads(text)
        elif "=" in text:
            pairs = (part.partition("=") for part in text.split(","))
            row = {name.strip(): value.strip() for name, _, value in pairs}
        else:
            row = [part.strip() for part in text.split(",")]
    except (ValueError, RecursionError) as error:
        names = ", ".join(one.name for one in inputs)
        raise UsageError(f"these are no features: {error}", f"inputs: {names}") from error
    return input_row(inputs, row)


def _score_file(
    session: Session, client: Client, schema: LiveSchema, file: Path, output: Path
) -> dict[str, Any]:
    """Score every row of a CSV file, and write each with its score and place; all or none."""
    columns, cells = read_rows(file)
    columns = spelled(schema.features, columns)
    inputs = inputs_of(schema.features, columns, cells)
    session.out.talk(f"{len(inputs):,} rows fit the model")
    found: list[Prediction] = []
    for start in range(0, len(inputs), ROWS_AT_ONCE):
        found += predict_inputs(client, schema, inputs[start : start + ROWS_AT_ONCE])
        if len(inputs) > ROWS_AT_ONCE:
            session.out.talk(f"{len(found):,} of {len(inputs):,} rows scored")
    names = [feature.name for feature in schema.features]
    kept = [place for place, name in enumerate(columns) if name not in names]
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow([*(columns[place] for place in kept), "row", *SCORE_COLUMNS])
    for number, (row, one) in enumerate(zip(cells, found, strict=True), start=1):
        fields = _fields(one)
        shown = [fields[name] for name in SCORE_COLUMNS]
        writer.writerow([*(row[place] for place in kept), number, *shown])
    write_output(output, text.getvalue().encode())
    return {
        "rows": len(found),
        "deployment": schema.deployment,
        "version": schema.version.hex(),
        "transactions": len(dict.fromkeys(one.transaction_id for one in found)),
        "file": str(output),
    }


def read_rows(file: Path) -> tuple[list[str], list[list[str]]]:
    """Return the columns and the rows of a CSV file, each row as long as the columns.

    Raises:
        UsageError: It has no rows, or a row has more or fewer cells.
    """
    lines = csv.reader(io.StringIO(read_text(file).removeprefix("\ufeff")), strict=True)
    try:
        columns = [name.strip() for name in next(lines, [])]
        cells = []
        for row in lines:
            if not row:
                continue
            if len(row) != len(columns):
                raise UsageError(
                    f"{file}, line {lines.line_num}: {len(row)} cells for {len(columns)} columns",
                    "quote cells that hold commas",
                )
            cells.append(row)
    except csv.Error as error:
        raise UsageError(f"{file}, line {lines.line_num}: {error}", "is it a CSV file?") from error
    if not cells:
        raise UsageError(f"{file} has no rows", "its first line names the columns")
    return columns, cells


def inputs_of(
    features: Sequence[Feature], columns: Sequence[str], cells: Sequence[Sequence[str]]
) -> list[tuple[int, ...]]:
    """Return the inputs of each row, columns by name.

    Raises:
        UsageError: A column is missing, or a cell is none that its input takes; it names both.
    """
    check_columns(features, columns)
    places = [list(columns).index(feature.name) for feature in features]
    return [
        input_row(features, [row[place] for place in places], where=f"row {number}, ")
        for number, row in enumerate(cells, start=1)
    ]


def _json_lines(
    lines: Iterable[str], features: Sequence[Feature], numbers: list[int]
) -> Iterator[Row]:
    """Yield the rows that lines of JSON hold, each checked, and note the numbers of their lines.

    Raises:
        UsageError: A line is no row of the model; it names line and column.
    """
    for number, line in enumerate(lines, start=1):
        if not line.strip():
            continue
        try:
            row = json.loads(line)
        except (ValueError, RecursionError) as error:
            raise UsageError(f"line {number} is no JSON: {error}", 'such as {"age": 31}') from error
        if not isinstance(row, dict | list):
            raise UsageError(f"line {number} is no object and no list", 'such as {"age": 31}')
        input_row(features, row, where=f"line {number}, ")
        numbers.append(number)
        yield row


SCORE_COLUMNS = ("score", "score_ppm", "position", "transaction")


def _fields(one: Prediction) -> dict[str, Any]:
    return {
        "score": one.score,
        "score_ppm": one.score_ppm,
        "position": one.position,
        "transaction": one.transaction_id.hex(),
    }
