"""What the messages about predictions do."""

from cairn.exact.errors import ModelInputError
from cairn.exact.models import check_row
from cairn.ledger.context import Context
from cairn.modules.identity import api as identity
from cairn.modules.inference.errors import BadFeaturesError, VersionNotInServiceError
from cairn.modules.inference.events import FeaturesScored, PredictionRecorded
from cairn.modules.inference.messages import RecordPrediction, Score
from cairn.modules.inference.records import PREDICTIONS, Prediction
from cairn.modules.inference.scorers import scorer_of
from cairn.modules.models import api as models


def score(ctx: Context, message: Score) -> None:
    """Score the sender's features with the live version."""
    identity.check_active(ctx)
    live = models.live_version(ctx, message.deployment)
    scorer = scorer_of(ctx, live.model_digest)
    try:
        check_row(scorer.model, message.features)
    except ModelInputError as error:
        raise BadFeaturesError(str(error)) from error
    _, score_ppm = scorer.score_one(message.features)
    entry = Prediction(
        "asserted", live.version, score_ppm, ctx.transaction_id, ctx.operation_index, b"", b""
    )
    position = ctx.append(PREDICTIONS, entry, message.deployment)
    ctx.emit(
        FeaturesScored(message.deployment, live.version, message.features, score_ppm, position)
    )


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
