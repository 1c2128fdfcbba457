"""Training features from committed payments: the same exact fold that runs inside blocks."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from cairn.exact.features import EMPTY, FEATURES, Window, add, vector
from cairn.learning.errors import TrainingError

FeatureMatrix = NDArray[np.int64]
"""One row per payment, one column per entry of `exact.features.FEATURES`."""


def fold_features(
    booked_at_ms: Sequence[int],
    payer: Sequence[str],
    payee: Sequence[str],
    amount_units: Sequence[int],
    *,
    start: int = 0,
) -> FeatureMatrix:
    """Return the features of the payments from number `start` on; those before only fill windows.

    Args:
        booked_at_ms: Time of each payment, in the order in which they are counted.
        payer: Who pays; as payer an account has one window.
        payee: Who is paid; as payee an account has another.
        amount_units: Above 0.
        start: First payment to return a row for.

    Raises:
        TrainingError: The columns have different lengths.
    """
    count = len(booked_at_ms)
    if not len(payer) == len(payee) == len(amount_units) == count:
        raise TrainingError("the columns of the payments have different lengths")
    payers: dict[str, Window] = {}
    payees: dict[str, Window] = {}
    rows = np.empty((max(0, count - start), len(FEATURES)), np.int64)
    facts = zip(booked_at_ms, payer, payee, amount_units, strict=True)
    for number, (time, sender, receiver, amount) in enumerate(facts, -start):
        sent = payers.get(sender, EMPTY)
        received = payees.get(receiver, EMPTY)
        if number >= 0:
            rows[number] = vector(sent, received, amount, time)
        payers[sender] = add(sent, time, amount)
        payees[receiver] = add(received, time, amount)
    return rows
