"""What scoring costs: by the steps that a row takes, and once a block for unpacking the model.

A unit is about a quarter of a microsecond where NumPy scores. The price of unpacking bounds how
many models one block can ask for, so that a block never unpacks one twice: the scorers of a whole
block fit in memory.
"""

from collections.abc import Sequence
from typing import Protocol, cast

from cairn.ledger.context import Context
from cairn.ledger.messages import Message
from cairn.modules.inference.messages import ScoreBatch
from cairn.modules.models import api as models

SCORE_COST = 300
"""Cost of scoring one row, beside what the model takes."""
MOVEMENT_COST = 100
"""Cost of putting one score of a movement on record."""
BATCH_ROW_COST = 80
"""Cost of each row of a batch, beside what the model takes: checking it, and its entry."""
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
        new = {m.model_digest: m for m, _ in live if m.model_digest not in self._paid}
        cost = sum(_steps_cost(model, message) for model, message in live)
        return cost + sum(
            UNPACK_COST + model.size_bytes // _UNPACK_BYTES_PER_UNIT for model in new.values()
        )

    def take(self, messages: Sequence[Message]) -> None:
        """Take note that the models of a transaction's scores are paid for."""
        for model, _ in self._live(messages):
            self._paid[model.model_digest] = None

    def _live(self, messages: Sequence[Message]) -> list[tuple[models.LiveModel, Message]]:
        """Return the model that each message asks for; none where it will be refused."""
        found = []
        for message in messages:
            model = models.find_live_model(self._ctx, cast(Scoring, message).deployment)
            if model is not None:
                found.append((model, message))
        return found


class Scoring(Protocol):
    """A message that is declared `priced`: it has something scored by what is live somewhere."""

    deployment: str


def score_batch_cost(message: ScoreBatch) -> int:
    """Return what a batch costs beside what the model takes."""
    return SCORE_COST + BATCH_ROW_COST * len(message.rows)


def _steps_cost(model: models.LiveModel, message: Message) -> int:
    if isinstance(message, ScoreBatch):
        return len(message.rows) * model.step_count // _BATCH_STEPS_PER_UNIT
    return model.step_count // _STEPS_PER_UNIT
