"""Read-only questions about predictions."""

from cairn.ledger.context import Context
from cairn.modules.inference.records import PREDICTIONS, Prediction

LIMIT_MAX = 1_000


def count_predictions(ctx: Context, deployment: str) -> int:
    """Return how many predictions a deployment has on record."""
    return ctx.series_size(PREDICTIONS, deployment)


def list_predictions(
    ctx: Context, deployment: str, *, start: int = 0, limit: int = LIMIT_MAX
) -> list[tuple[int, Prediction]]:
    """Return `(time, entry)` of a deployment's predictions from position `start` on."""
    end = min(count_predictions(ctx, deployment), start + min(limit, LIMIT_MAX))
    return [ctx.series_get(PREDICTIONS, position, deployment) for position in range(start, end)]
