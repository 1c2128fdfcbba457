"""The registration of inference."""

from cairn.ledger.module import MessageSpec, Module
from cairn.modules.inference import events, handlers, messages, records

SCORE_COST = 1_000
"""Cost of scoring one row: a model takes at most 131,072 steps."""

INFERENCE = Module(
    name="inference",
    messages=(
        MessageSpec(messages.Score, handlers.score, cost=SCORE_COST),
        MessageSpec(messages.RecordPrediction, handlers.record_prediction),
    ),
    events=(events.PaymentScored, events.FeaturesScored, events.PredictionRecorded),
    series=(records.PREDICTIONS,),
)
