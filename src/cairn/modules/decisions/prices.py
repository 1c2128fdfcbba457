"""What asking for decisions costs beside what the messages declare."""

from collections.abc import Sequence

from cairn.ledger.context import Context
from cairn.ledger.hooks import BlockPrices
from cairn.ledger.messages import Message
from cairn.modules.decisions.messages import DecideCase
from cairn.modules.inference import api as inference
from cairn.modules.rules import api as rules

DECIDE_COST = 300
"""Cost of a decision: its row, its entry, when it falls due, and what becomes of it by itself."""
CASE_COST = DECIDE_COST + inference.SCORE_COST
"""Cost of a decision on a case, beside what its model and rules take."""


def price_block(ctx: Context) -> "DecisionPrices":
    """Return what the scores and cases of a block cost."""
    return DecisionPrices(ctx)


class DecisionPrices:
    """The prices of one block: the scores' as `inference` has them, and the rules' of cases."""

    def __init__(self, ctx: Context) -> None:
        """Take the models and rules that act when the block begins."""
        self._ctx = ctx
        self._scores: BlockPrices = inference.price_block(ctx)
        self._rules: dict[str, int] = {}

    def price(self, messages: Sequence[Message]) -> int:
        """Return what the messages of a transaction cost beside their fixed cost."""
        cases = [message for message in messages if isinstance(message, DecideCase)]
        return self._scores.price(messages) + sum(self._rules_of(c.deployment) for c in cases)

    def take(self, messages: Sequence[Message]) -> None:
        """Take note that a transaction is in the block and was charged."""
        self._scores.take(messages)

    def _rules_of(self, deployment: str) -> int:
        if deployment not in self._rules:
            self._rules[deployment] = rules.case_price(self._ctx, deployment)
        return self._rules[deployment]
