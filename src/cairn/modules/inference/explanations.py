"""What made a score what it is: the largest contributions of linear models and scorecards."""

from cairn.exact.explain import contributions
from cairn.ledger.context import Context
from cairn.modules.inference.events import Explained
from cairn.modules.inference.records import CONTRIBUTIONS_MAX
from cairn.modules.inference.scorers import scorer_of
from cairn.modules.models import api as models

_COST_PER_STEP = 2
_STEPS_MAX = 8_192
"""Steps that are charged: explaining looks at each column once, and there are half as many."""


def explain(ctx: Context, deployment: str, row: tuple[int, ...]) -> Explained | None:
    """Return the event that explains a score of the live version, None if its kind has none.

    Args:
        ctx: The context of the block or operation.
        deployment: Name of the deployment, in which a version is live.
        row: Features in the order of the version's input schema, which they fit.
    """
    model = scorer_of(ctx, models.live_version(ctx, deployment).model_digest).model
    found = contributions(model, row, CONTRIBUTIONS_MAX)
    if not found:
        return None
    return Explained(deployment, tuple((one.feature_index, one.raw) for one in found))


def explanation_price(ctx: Context, deployment: str) -> int:
    """Return what explaining one score of a deployment costs at most; nothing where none is."""
    live = models.find_live_model(ctx, deployment)
    if live is None or not live.is_explained:
        return 0
    return _COST_PER_STEP * min(live.step_count, _STEPS_MAX)
