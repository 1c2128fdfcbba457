"""`cairn predict`: scores that the ledger computes, and predictions made elsewhere."""

import json
import secrets
from pathlib import Path
from typing import Annotated

from typer import Argument, Option

from cairn.cli.files import read_text, write_output
from cairn.cli.model import find_version
from cairn.cli.session import Session, command, new_app
from cairn.modules.inference.events import FeaturesScored, PredictionRecorded
from cairn.modules.inference.messages import RecordPrediction, Score
from cairn.modules.inference.records import PREDICTIONS, input_commitment, policy_digest
from cairn.modules.models.records import DEPLOYMENTS, SEALED, VERSIONS
from cairn.sdk.errors import NotFoundError, UsageError
from cairn.sdk.quantities import format_time
from cairn.sdk.reading import Reader

app = new_app("Scores that the ledger computes, and predictions made elsewhere.")

SALT_SIZE_BYTES = 32
INPUT_FORMAT = "cairn-prediction-input/1"
DeploymentArgument = Annotated[str, Argument(metavar="DEPLOYMENT", help="Its name.")]
FeaturesOption = Annotated[
    str, Option(help="NAME=INTEGER,… or a list of integers in the model's order, or @FILE.json.")
]


@command(app, "score")
def score(session: Session, deployment: DeploymentArgument, features: FeaturesOption) -> None:
    """Let the ledger score features, in the clear, with the version that is live."""
    with session.client() as client:
        version = live_version(client, deployment)
        values = parse_features(features, _inputs(client, version))
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
        values = parse_features(features, _inputs(client, made_by))
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
    row = reader.get(DEPLOYMENTS, deployment)
    if row is None or not row.current:
        raise NotFoundError(
            f"no version is live in {deployment!r}", "promote one: `cairn model promote`"
        )
    return row.current


def parse_features(text: str, inputs: tuple[str, ...]) -> tuple[int, ...]:
    """Return a model's inputs, in its order, from what the user wrote.

    >>> parse_features("b=2,a=1", ("a", "b"))
    (1, 2)

    Raises:
        UsageError: One is missing, unknown, or no whole number.
    """
    if text.startswith("@"):
        text = read_text(Path(text[1:])).strip()
    hint = f"inputs: {', '.join(inputs)}"
    try:
        if text.startswith("{"):
            named = dict(json.loads(text))
        elif "=" in text:
            pairs = (part.partition("=") for part in text.split(","))
            named = {name.strip(): int(value) for name, _, value in pairs}
        else:
            values = [int(part) for part in text.strip("[]").split(",")]
            named = dict(zip(inputs, values, strict=True))
    except (ValueError, TypeError, RecursionError) as error:
        raise UsageError(f"these are no features: {error}", hint) from error
    wrong = [name for name in (*inputs, *named) if name not in named or name not in inputs]
    if wrong or any(type(value) is not int for value in named.values()):
        what = f"{wrong[0]!r} is missing or unknown" if wrong else "a feature is no whole number"
        raise UsageError(what, hint)
    return tuple(named[name] for name in inputs)


def _inputs(reader: Reader, version: bytes) -> tuple[str, ...]:
    digest = reader.require(VERSIONS, version).model_digest
    return tuple(one.name for one in reader.require(SEALED, digest).features)
