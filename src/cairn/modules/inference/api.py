"""What other modules may ask of inference: scores of many rows, and predictions on record."""

from collections.abc import Sequence

from cairn.exact.matrices import score_rows
from cairn.ledger.context import Context
from cairn.modules.inference.events import PaymentScored
from cairn.modules.inference.explanations import explain as explain
from cairn.modules.inference.explanations import explanation_price as explanation_price
from cairn.modules.inference.handlers import AssertedScore as AssertedScore
from cairn.modules.inference.handlers import score_asserted as score_asserted
from cairn.modules.inference.prices import SCORE_COST as SCORE_COST
from cairn.modules.inference.prices import movement_price as movement_price
from cairn.modules.inference.prices import price_block as price_block
from cairn.modules.inference.records import PREDICTIONS, Prediction
from cairn.modules.inference.scorers import scorer_of
from cairn.modules.models import api as models
from cairn.primitives.encoding import encode


def score_batch(
    ctx: Context, deployment: str, rows: Sequence[Sequence[int]]
) -> tuple[bytes, list[int]]:
    """Return the version that is live in a deployment, and its score of each row in ppm.

    Args:
        ctx: The block's context.
        deployment: Name of the deployment.
        rows: Features in the order of the version's input schema, which they fit.

    Raises:
        DeploymentNotFoundError: There is no deployment of this name.
        NoLiveVersionError: No version is live in it yet.
    """
    live = models.live_version(ctx, deployment)
    return live.version, score_rows(scorer_of(ctx, live.model_digest), rows)


def scored_event(
    deployment: str, version: bytes, features: tuple[int, ...], score_ppm: int
) -> bytes:
    """Return the encoded event that a movement was scored on derived features."""
    return encode(PaymentScored(deployment, version, features, score_ppm))


def record_prediction(
    ctx: Context,
    deployment: str,
    *,
    version: bytes,
    score_ppm: int,
    transaction_id: bytes,
    operation_index: int,
) -> int:
    """Put a prediction on features that the ledger derived on record; return its position."""
    entry = Prediction("derived", version, score_ppm, transaction_id, operation_index, b"", b"")
    return ctx.append(PREDICTIONS, entry, deployment)


def warm_up(ctx: Context, deployment: str) -> None:
    """Load and compile what the live version of a deployment needs, before a block asks for it."""
    scorer_of(ctx, models.live_version(ctx, deployment).model_digest).warm_up()
