"""Commands that make predictions or put one on record."""

from typing import Annotated

from msgspec import Meta

from cairn.ledger.messages import Message
from cairn.ledger.records import DigestField, NameField, ObjectIdField, ScoreField

FEATURE_COUNT_MAX = 1_024
BATCH_ROWS_MAX = 1_024
"""Most rows of one batch; a transaction's size bounds them too."""

FeatureField = Annotated[int, Meta(ge=-(2**63), le=2**63 - 1)]
FeaturesField = Annotated[
    tuple[FeatureField, ...], Meta(min_length=1, max_length=FEATURE_COUNT_MAX)
]

RowsField = Annotated[tuple[FeaturesField, ...], Meta(min_length=1, max_length=BATCH_ROWS_MAX)]


class Score(Message, tag="inference/score"):
    """Let the ledger score features, given in the clear, with the live version."""

    deployment: NameField
    features: FeaturesField
    """In the order of the version's input schema."""


class ScoreBatch(Message, tag="inference/score_batch"):
    """Let the ledger score many rows, given in the clear, with the live version."""

    deployment: NameField
    rows: RowsField
    """Each in the order of the version's input schema."""


class RecordPrediction(Message, tag="inference/record_prediction"):
    """Put on record a prediction that was computed elsewhere."""

    deployment: NameField
    version: ObjectIdField
    input_commitment: DigestField
    """Made by `records.input_commitment`."""
    score_ppm: ScoreField
    policy_digest: DigestField
    """Made by `records.policy_digest`."""
