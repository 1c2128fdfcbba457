"""Training features are those of the exact fold, payment by payment."""

import numpy as np
import pytest

from cairn.exact.features import FEATURES, Vector, vector
from cairn.exact.windows import ABSENT, EMPTY, LABEL_DELAY_DAYS, Window, add, tag_of
from cairn.learning.errors import TrainingError
from cairn.learning.features import LabelFact, fold_features
from cairn.primitives.hashes import sha256

HOUR_MS = 3_600_000
DAY_MS = 24 * HOUR_MS
TIMES = [10 * HOUR_MS, 10 * HOUR_MS + 5, 12 * HOUR_MS, 90 * HOUR_MS]
PAYERS = ["a", "b", "a", "a"]
PAYEES = ["m", "m", "b", "m"]
AMOUNTS = [100, 250, 400, 50]


def tag(name: str) -> bytes:
    return tag_of(sha256(name.encode()))


def test_rows_are_the_vectors_of_what_came_before() -> None:
    rows = fold_features(TIMES, PAYERS, PAYEES, AMOUNTS, terminal=["", "t", "t", "t"])
    a1 = add(EMPTY, TIMES[0], 100, tag("m"))
    a2 = add(a1, TIMES[2], 400, tag("b"))
    m1 = add(EMPTY, TIMES[0], 100, tag("a"))
    m2 = add(m1, TIMES[1], 250, tag("b"))
    t1 = add(EMPTY, TIMES[1], 250, tag("b"))
    t2 = add(t1, TIMES[2], 400, tag("a"))

    def row(number: int, payer: Window, payee: Window, terminal: Window) -> Vector:
        amount, time = AMOUNTS[number], TIMES[number]
        return vector(payer, payee, amount, time, terminal=terminal, tag=tag(PAYEES[number]))

    assert rows.dtype == np.int64
    assert [tuple(one) for one in rows.tolist()] == [
        row(0, EMPTY, EMPTY, ABSENT),
        row(1, EMPTY, m1, EMPTY),
        row(2, a1, EMPTY, t1),  # As payee b is new, although it paid before.
        row(3, a2, m2, t2),
    ]
    assert rows.shape == (4, len(FEATURES))


@pytest.mark.parametrize("start", range(5))
def test_earlier_payments_only_fill_the_windows(start: int) -> None:
    whole = fold_features(TIMES, PAYERS, PAYEES, AMOUNTS)
    part = fold_features(TIMES, PAYERS, PAYEES, AMOUNTS, start=start)
    assert part.tolist() == whole[start:].tolist()


@pytest.mark.parametrize(
    "names",
    [
        ("payer_count_1h",),
        ("payee_mean_30d", "amount_units"),
        ("amount_over_terminal_mean_ppm",),
        ("pair_first_seen",),
        ("terminal_distinct_7d", "payer_first_seen", "payee_since_last_s"),
        (),
    ],
)
def test_columns_are_those_asked_for(names: tuple[str, ...]) -> None:
    terminal = ["t"] * 4
    whole = fold_features(TIMES, PAYERS, PAYEES, AMOUNTS, terminal=terminal)
    part = fold_features(TIMES, PAYERS, PAYEES, AMOUNTS, terminal=terminal, names=names)
    assert part.tolist() == whole[:, [FEATURES.index(name) for name in names]].tolist()


def monthly(frauds: list[int]) -> dict[str, object]:
    """Return forty days of one payment a day, and which of them are fraud."""
    days = range(1, 41)
    return {
        "booked_at_ms": np.array([day * DAY_MS + 5 for day in days]),
        "payer": [b"p" * 20] * 40,
        "payee": [b"q" * 20] * 40,
        "amount_units": np.full(40, 7),
        "labels": np.array([int(day in frauds) for day in days]),
    }


def test_a_column_of_labels_counts_after_the_delay() -> None:
    rows = fold_features(
        **monthly([3, 4, 9]),  # type: ignore[arg-type]
        names=("payee_fraud_count_7d", "payer_fraud_ppm_1d"),
    )
    counts = dict(zip(range(1, 41), rows[:, 0].tolist(), strict=True))
    assert [counts[day] for day in (9, 10, 11, 16, 17, 18, 22, 23)] == [0, 1, 2, 3, 2, 1, 1, 0]
    assert [day for day, ppm in enumerate(rows[:, 1].tolist(), 1) if ppm] == [10, 11, 16]


def test_a_label_within_its_delay_makes_no_difference_and_a_late_one_does() -> None:
    facts = monthly([3, 4, 9])
    at_once = fold_features(**facts)  # type: ignore[arg-type]
    del facts["labels"]
    frauds = (2, 3, 8)  # Numbers of the payments; payment 0 is of day 1.
    for days in (0, 1, LABEL_DELAY_DAYS):
        labels = [LabelFact(n, (n + 1 + days) * DAY_MS + 5 * (days == 0), True) for n in frauds]
        folded = fold_features(**facts, label_facts=labels)  # type: ignore[arg-type]
        assert folded.tolist() == at_once.tolist()
    late = [LabelFact(n, (n + 1 + LABEL_DELAY_DAYS) * DAY_MS + 5, True) for n in frauds]
    folded = fold_features(**facts, label_facts=late)  # type: ignore[arg-type]
    assert folded.tolist() != at_once.tolist()
    corrected = [LabelFact(n, DAY_MS * 12, label) for n in frauds for label in (True, False)]
    folded = fold_features(**facts, label_facts=corrected)  # type: ignore[arg-type]
    assert not folded[:, FEATURES.index("payer_fraud_count_30d")].any()


def test_what_does_not_fit_together_is_refused() -> None:
    with pytest.raises(TrainingError, match="different lengths"):
        fold_features(TIMES, PAYERS[:-1], PAYEES, AMOUNTS)
    with pytest.raises(TrainingError, match="different lengths"):
        fold_features(TIMES, PAYERS, PAYEES, AMOUNTS, labels=[1])
    with pytest.raises(TrainingError, match="'payer_count' is no feature"):
        fold_features(TIMES, PAYERS, PAYEES, AMOUNTS, names=["payer_count"])
    facts = [LabelFact(2, TIMES[2] - 1, True)]
    with pytest.raises(TrainingError, match="before it is counted"):
        fold_features(TIMES, PAYERS, PAYEES, AMOUNTS, label_facts=facts)
