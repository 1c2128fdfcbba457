"""Scorers, made once for each model: a memo, which the digest makes pure."""

from cairn.exact.models import decode_model
from cairn.exact.scoring import Scorer
from cairn.ledger.context import Context
from cairn.modules.models import api as models

SCORERS_MAX = 64
"""How many scorers are kept in memory: more than one block can pay for, see `prices`."""

_scorers: dict[bytes, Scorer] = {}


def scorer_of(ctx: Context, model_digest: bytes) -> Scorer:
    """Return the scorer of a sealed model."""
    scorer = _scorers.pop(model_digest, None)
    if scorer is None:
        scorer = Scorer(decode_model(models.model_bytes(ctx, model_digest)))
        if len(_scorers) >= SCORERS_MAX:
            del _scorers[next(iter(_scorers))]
    _scorers[model_digest] = scorer  # The one used last goes last.
    return scorer
