"""Scoring of many rows for callers that hold no arrays themselves."""

from collections.abc import Sequence

import numpy as np

from cairn.exact.scoring import Scorer


def score_rows(scorer: Scorer, rows: Sequence[Sequence[int]]) -> list[int]:
    """Return the score in parts per million of each row; every row fits the model's schema.

    Raises:
        ModelInputError: The rows have another number of values than the model has features.
    """
    if not rows:
        return []
    _, scores = scorer.score(np.array(rows, np.int64))
    return [int(score) for score in scores.tolist()]
