"""The registration of inference."""

from cairn.ledger.module import MessageSpec, Module
from cairn.modules.inference import events, handlers, messages, prices, records

INFERENCE = Module(
    name="inference",
    messages=(
        MessageSpec(messages.Score, handlers.score, cost=prices.SCORE_COST, priced=True),
        MessageSpec(
            messages.ScoreBatch, handlers.score_batch, cost=prices.score_batch_cost, priced=True
        ),
        MessageSpec(messages.RecordPrediction, handlers.record_prediction),
    ),
    events=(
        events.PaymentScored,
        events.FeaturesScored,
        events.BatchScored,
        events.PredictionRecorded,
        events.Explained,
    ),
    series=(records.PREDICTIONS,),
)
