"""Training features are those of the exact fold, payment by payment."""

import numpy as np
import pytest

from cairn.exact.features import EMPTY, FEATURES, add, vector
from cairn.learning.errors import TrainingError
from cairn.learning.features import fold_features

HOUR_MS = 3_600_000
TIMES = [10 * HOUR_MS, 10 * HOUR_MS + 5, 12 * HOUR_MS, 90 * HOUR_MS]
PAYERS = ["a", "b", "a", "a"]
PAYEES = ["m", "m", "b", "m"]
AMOUNTS = [100, 250, 400, 50]


def test_rows_are_the_vectors_of_what_came_before() -> None:
    rows = fold_features(TIMES, PAYERS, PAYEES, AMOUNTS)
    a1 = add(EMPTY, TIMES[0], 100)
    a2 = add(a1, TIMES[2], 400)
    m1 = add(EMPTY, TIMES[0], 100)
    m2 = add(m1, TIMES[1], 250)
    expected = [
        vector(EMPTY, EMPTY, 100, TIMES[0]),
        vector(EMPTY, m1, 250, TIMES[1]),
        # As payee b is new, although it paid before.
        vector(a1, EMPTY, 400, TIMES[2]),
        vector(a2, m2, 50, TIMES[3]),
    ]
    assert rows.dtype == np.int64
    assert [tuple(row) for row in rows.tolist()] == expected
    assert rows.shape == (4, len(FEATURES))


@pytest.mark.parametrize("start", range(5))
def test_earlier_payments_only_fill_the_windows(start: int) -> None:
    whole = fold_features(TIMES, PAYERS, PAYEES, AMOUNTS)
    part = fold_features(TIMES, PAYERS, PAYEES, AMOUNTS, start=start)
    assert part.tolist() == whole[start:].tolist()


def test_columns_of_different_lengths_are_refused() -> None:
    with pytest.raises(TrainingError):
        fold_features(TIMES, PAYERS[:-1], PAYEES, AMOUNTS)
