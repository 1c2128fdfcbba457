"""Step 10 of verification: scores and rules computed again from proved bytes and recorded inputs.

One row at a time the arithmetic is `exact.reference`, in plain integers. Many rows go through NumPy
where it is installed; the bits are the same, which tests compare.
"""

from collections.abc import Sequence
from importlib.util import find_spec

from cairn.evidence.errors import ReplayError
from cairn.evidence.words import share_words
from cairn.exact.errors import ExactError
from cairn.exact.models import ExactModel, check_row
from cairn.exact.reference import ReferenceScorer

ROWS_FOR_ARRAYS = 256
"""From so many rows on, laying a model out in arrays pays."""


class Scorer:
    """Scores rows by one proved model."""

    def __init__(self, model: ExactModel) -> None:
        """Score by `model`, whose form is checked."""
        self._model = model
        self._reference: ReferenceScorer | None = None

    def scores(self, rows: Sequence[tuple[int, ...]]) -> list[int]:
        """Return the score of each row in parts per million.

        Raises:
            ReplayError: A row does not fit the model's inputs.
        """
        try:
            if len(rows) >= ROWS_FOR_ARRAYS and find_spec("numpy") is not None:
                return _scores_by_arrays(self._model, rows)
            if self._reference is None:
                self._reference = ReferenceScorer(self._model)
            return [self._reference.score(row)[1] for row in rows]
        except ExactError as error:
            raise ReplayError(f"a recorded input does not fit the model: {error}") from error


def check_score(scorer: Scorer, features: tuple[int, ...], score_ppm: int) -> None:
    """Check that a model gives the score on record.

    Raises:
        ReplayError: It gives another one.
    """
    check_scores(scorer, [features], [score_ppm])


def check_scores(scorer: Scorer, rows: Sequence[tuple[int, ...]], scores: Sequence[int]) -> None:
    """Check that a model gives the scores on record.

    Raises:
        ReplayError: It gives another one for a row.
    """
    for place, (found, recorded) in enumerate(zip(scorer.scores(rows), scores, strict=True)):
        if found != recorded:
            raise ReplayError(
                f"the model gives {share_words(found)} for row {place}, on record is "
                f"{share_words(recorded)}"
            )


def _scores_by_arrays(model: ExactModel, rows: Sequence[tuple[int, ...]]) -> list[int]:
    import numpy as np

    from cairn.exact.scoring import Scorer as ArrayScorer

    for row in rows:
        check_row(model, row)
    _, scores = ArrayScorer(model, kernel="numpy").score(np.array(rows, np.int64))
    return [int(score) for score in scores.tolist()]
