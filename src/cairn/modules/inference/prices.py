"""What scoring costs: by the steps that a row takes, and once a block for unpacking the model.

A unit is about a quarter of a microsecond where NumPy scores. The price of unpacking bounds how
many models one block can ask for, so that a block never unpacks one twice: the scorers of a whole
block fit in memory.
"""

from collections.abc import Sequence

from cairn.ledger.context import Context
from cairn.ledger.messages import Message
from cairn.modules.inference.messages import Score
from cairn.modules.models import api as models

SCORE_COST = 300
"""Cost of scoring one row, beside what the model takes."""
MOVEMENT_COST = 100
"""Cost of putting one score of a movement on record."""
UNPACK_COST = 80_000
"""Cost of using a model for the first time in a block, beside what its bytes take."""

_UNPACK_BYTES_PER_UNIT = 3
_STEPS_PER_UNIT = 8
_BATCH_STEPS_PER_UNIT = 16


def price_block(ctx: Context) -> "ScorePrices":
    """Return what the scores of a block cost."""
    return ScorePrices(ctx)


def movement_price(ctx: Context, deployment: str) -> int:
    """Return what scoring one movement in a deployment costs."""
    live = models.find_live_model(ctx, deployment)
    return 0 if live is None else MOVEMENT_COST + live.step_count // _BATCH_STEPS_PER_UNIT


class ScorePrices:
    """The prices of one block; a model is unpacked, and paid for, once."""

    def __init__(self, ctx: Context) -> None:
        """Take the models that are live when the block begins."""
        self._ctx = ctx
        self._paid: dict[bytes, None] = {}

    def price(self, messages: Sequence[Message]) -> int:
        """Return what the scores of a transaction cost beside their fixed cost."""
        live = self._live(messages)
        new = {m.model_digest: m for m in live if m.model_digest not in self._paid}
        cost = sum(model.step_count // _STEPS_PER_UNIT for model in live)
        return cost + sum(
            UNPACK_COST + model.size_bytes // _UNPACK_BYTES_PER_UNIT for model in new.values()
        )

    def take(self, messages: Sequence[Message]) -> None:
        """Take note that the models of a transaction's scores are paid for."""
        for model in self._live(messages):
            self._paid[model.model_digest] = None

    def _live(self, messages: Sequence[Message]) -> list[models.LiveModel]:
        """Return the model of each score; none where it will be refused."""
        deployments = [message.deployment for message in messages if isinstance(message, Score)]
        found = [models.find_live_model(self._ctx, deployment) for deployment in deployments]
        return [model for model in found if model is not None]
