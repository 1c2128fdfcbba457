"""The series of predictions, and how an input that stays private is committed to."""

from typing import Literal

from cairn.ledger.records import Series
from cairn.primitives.encoding import Record, encode
from cairn.primitives.hashes import Digest, tagged_hash

SALT_SIZE_BYTES_MIN = 16
CONTRIBUTIONS_MAX = 5
"""How many contributions explain a score on record."""


class Prediction(Record):
    """Entry of `inference/predictions`: one score and where it came from."""

    basis: Literal["derived", "asserted", "committed"]
    """`derived`: features that the ledger computed from its own facts. `asserted`: features that
    the sender handed in, the ledger computed the score. `committed`: computed elsewhere; whoever
    is shown input and salt can check it."""
    version: bytes
    """Version of the model."""
    score_ppm: int
    transaction_id: bytes
    """With the operation's index it names the receipt, which holds the features in the clear."""
    operation_index: int
    input_commitment: bytes
    """For `committed`: commitment to the features; else empty."""
    policy_digest: bytes
    """For `committed`: digest of the text under which the prediction was made; else empty."""


PREDICTIONS: Series[Prediction] = Series("inference", "predictions", (str,), Prediction)
"""One series for each deployment."""


def input_commitment(salt: bytes, version: bytes, features: tuple[int, ...]) -> Digest:
    """Return the commitment to the features of one prediction.

    It is the tagged hash `cairn/prediction_input` over the salt, the version's id and the canonical
    bytes of the features. The salt is secret, random, at least 16 bytes, and used once: features
    are few and guessable, the salt is what hides them.
    """
    if len(salt) < SALT_SIZE_BYTES_MIN:
        raise ValueError(f"a salt has at least {SALT_SIZE_BYTES_MIN} bytes")
    return tagged_hash(b"cairn/prediction_input", salt, version, encode(features))


def policy_digest(text: str) -> Digest:
    """Return the digest by which a prediction names the policy it was made under."""
    return tagged_hash(b"cairn/prediction_policy", text.encode())
