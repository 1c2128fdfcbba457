"""What the messages about predictions do."""

from collections.abc import Sequence
from typing import NamedTuple

from cairn.exact.errors import ModelInputError
from cairn.exact.matrices import score_rows
from cairn.exact.models import check_row
from cairn.exact.scoring import Scorer
from cairn.ledger.context import Context
from cairn.modules.identity import api as identity
from cairn.modules.inference.errors import BadFeaturesError, VersionNotInServiceError
from cairn.modules.inference.events import BatchScored, FeaturesScored, PredictionRecorded
from cairn.modules.inference.messages import RecordPrediction, Score, ScoreBatch
from cairn.modules.inference.records import PREDICTIONS, Prediction
from cairn.modules.inference.scorers import scorer_of
from cairn.modules.models import api as models


def score(ctx: Context, message: Score) -> None:
    """Score the sender's features with the live version."""
    identity.check_active(ctx)
    score_asserted(ctx, message.deployment, message.features)


def score_batch(ctx: Context, message: ScoreBatch) -> None:
    """Score the sender's rows with the live version, all at once."""
    identity.check_active(ctx)
    live = models.live_version(ctx, message.deployment)
    scorer = scorer_of(ctx, live.model_digest)
    for row in message.rows:
        _check_fits(scorer, row)

    scores = score_rows(scorer, message.rows)
    first = ctx.series_size(PREDICTIONS, message.deployment)
    for score_ppm in scores:
        ctx.append(PREDICTIONS, _asserted(ctx, live.version, score_ppm), message.deployment)
    ctx.emit(BatchScored(message.deployment, live.version, first, tuple(scores)))


def record_prediction(ctx: Context, message: RecordPrediction) -> None:
    """Put a prediction that was made elsewhere on record."""
    identity.check_active(ctx)
    if not models.has_served(ctx, message.deployment, message.version):
        raise VersionNotInServiceError
    entry = Prediction(
        "committed",
        message.version,
        message.score_ppm,
        ctx.transaction_id,
        ctx.operation_index,
        message.input_commitment,
        message.policy_digest,
    )
    position = ctx.append(PREDICTIONS, entry, message.deployment)
    ctx.emit(
        PredictionRecorded(
            message.deployment,
            message.version,
            message.input_commitment,
            message.score_ppm,
            message.policy_digest,
            position,
        )
    )


class AssertedScore(NamedTuple):
    """A score of features that the sender handed in, on record."""

    version: bytes
    score_ppm: int
    position: int
    """Position in the deployment's series of predictions."""
    inputs: dict[str, int]
    """The features by their names."""


def score_asserted(ctx: Context, deployment: str, features: tuple[int, ...]) -> AssertedScore:
    """Score the sender's features with the live version, and put the prediction on record.

    Raises:
        DeploymentNotFoundError: There is no deployment of this name.
        NoLiveVersionError: No version is live in it yet.
        BadFeaturesError: The features do not fit the version's input schema.
    """
    live = models.live_version(ctx, deployment)
    scorer = scorer_of(ctx, live.model_digest)
    _check_fits(scorer, features)

    _, score_ppm = scorer.score_one(features)
    position = ctx.append(PREDICTIONS, _asserted(ctx, live.version, score_ppm), deployment)
    ctx.emit(FeaturesScored(deployment, live.version, features, score_ppm, position))
    names = [feature.name for feature in scorer.model.features]
    inputs = dict(zip(names, features, strict=True))
    return AssertedScore(live.version, score_ppm, position, inputs)


def _check_fits(scorer: Scorer, row: Sequence[int]) -> None:
    """Check that a row fits the live version's input schema.

    Raises:
        BadFeaturesError: It does not.
    """
    try:
        check_row(scorer.model, row)
    except ModelInputError as error:
        raise BadFeaturesError(str(error)) from error


def _asserted(ctx: Context, version: bytes, score_ppm: int) -> Prediction:
    place = (ctx.transaction_id, ctx.operation_index)
    return Prediction("asserted", version, score_ppm, *place, b"", b"")
