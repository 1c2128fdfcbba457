"""Facts about predictions."""

from cairn.ledger.messages import Event


class PaymentScored(Event, tag="inference/payment_scored"):
    """A movement was scored in its block, on features that the ledger derived."""

    deployment: str
    version: bytes
    features: tuple[int, ...]
    """In the order of the version's input schema."""
    score_ppm: int


class FeaturesScored(Event, tag="inference/features_scored"):
    """The ledger scored features that the sender asserted."""

    deployment: str
    version: bytes
    features: tuple[int, ...]
    score_ppm: int
    position: int
    """Position in the deployment's series of predictions."""


class PredictionRecorded(Event, tag="inference/prediction_recorded"):
    """A prediction made elsewhere was put on record."""

    deployment: str
    version: bytes
    input_commitment: bytes
    score_ppm: int
    policy_digest: bytes
    position: int
