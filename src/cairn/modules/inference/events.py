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


class BatchScored(Event, tag="inference/batch_scored"):
    """The ledger scored many rows that the sender asserted; the operation holds them."""

    deployment: str
    version: bytes
    first_position: int
    """Position of the first row in the deployment's series; the others follow in order."""
    scores_ppm: tuple[int, ...]
    """Of each row."""


class PredictionRecorded(Event, tag="inference/prediction_recorded"):
    """A prediction made elsewhere was put on record."""

    deployment: str
    version: bytes
    input_commitment: bytes
    score_ppm: int
    policy_digest: bytes
    position: int


class Explained(Event, tag="inference/explained"):
    """What made the score of a payment or case that a rule held or refused what it is.

    For linear models and scorecards; others have no such event.
    """

    deployment: str
    contributions: tuple[tuple[int, int], ...]
    """Index of the input, and what it adds to the raw output in 2^-32; largest magnitude first."""
