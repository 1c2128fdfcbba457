"""The registration of inference."""

from cairn.ledger.module import MessageSpec, Module
from cairn.modules.inference import events, handlers, messages, prices, records

INFERENCE = Module(
    name="inference",
    messages=(
        MessageSpec(messages.Score, handlers.score, cost=prices.SCORE_COST, priced=True),
        MessageSpec(messages.RecordPrediction, handlers.record_prediction),
    ),
    events=(events.PaymentScored, events.FeaturesScored, events.PredictionRecorded),
    series=(records.PREDICTIONS,),
    price_block=prices.price_block,
)
