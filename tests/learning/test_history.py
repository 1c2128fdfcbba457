"""Facts as of a time: nothing that came later changes them, and the fold is the ledger's own."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cairn.exact.features import FEATURES
from cairn.learning.errors import DatasetError
from cairn.learning.features import fold_features
from cairn.learning.history import (
    FRAUD,
    GENUINE,
    UNKNOWN,
    Facts,
    LabelFact,
    facts_of_columns,
    fold_history,
)

HOUR_MS = 3_600_000
START_MS = 20_000 * 24 * HOUR_MS

Payment = tuple[int, int, int, int, int, int]
PAYMENTS = st.lists(
    st.tuples(
        st.integers(0, 40 * 24),  # hours until it is on record
        st.integers(0, 60),  # hours by which it was booked before
        st.integers(0, 3),  # payer
        st.integers(0, 3),  # payee
        st.integers(0, 2),  # terminal, 0 for none
        st.integers(0, 1),  # asset
    ),
    min_size=1,
    max_size=30,
)
LABELS = st.lists(
    st.tuples(st.integers(0, 1_000), st.integers(0, 30 * 24), st.sampled_from((FRAUD, GENUINE))),
    max_size=15,
)


def facts_of(payments: list[Payment], labels: list[tuple[int, int, int]]) -> Facts:
    ordered = sorted(payments)
    known = [START_MS + hours * HOUR_MS for hours, *_ in ordered]
    found = [
        LabelFact(
            number % len(ordered),
            label,
            known[number % len(ordered)] + 1 + hours * HOUR_MS,
        )
        for number, hours, label in labels
    ]
    return Facts(
        names=[str(at) for at in range(len(ordered))],
        known_ms=np.array(known, np.int64),
        booked_at_ms=np.array(
            [time - row[1] * HOUR_MS for time, row in zip(known, ordered, strict=True)], np.int64
        ),
        payer=[bytes([row[2]]) * 20 for row in ordered],
        payee=[bytes([9 + row[3]]) * 20 for row in ordered],
        terminal=[bytes([90 + row[4]]) * 20 if row[4] else b"" for row in ordered],
        asset=["eur" if row[5] else "usd" for row in ordered],
        amount_units=np.array([100 + at for at in range(len(ordered))], np.int64),
        labels=tuple(sorted(found, key=lambda fact: fact.known_ms)),
    )


def rows(facts: Facts) -> list[list[int]]:
    everything = np.ones(len(facts), np.bool_)
    found: list[list[int]] = fold_history(facts, FEATURES, everything).tolist()
    return found


@settings(max_examples=40, deadline=None)
@given(PAYMENTS, LABELS, PAYMENTS, LABELS, st.integers(0, 40 * 24))
def test_late_facts_never_change_what_was_known(
    payments: list[Payment],
    labels: list[tuple[int, int, int]],
    late: list[Payment],
    late_labels: list[tuple[int, int, int]],
    moment: int,
) -> None:
    """Late payments are booked as early as any; late labels are about early payments."""
    before_ms = START_MS + moment * HOUR_MS
    early = [row for row in payments if row[0] < moment] or [(0, 0, 0, 0, 0, 0)]
    before_ms = max(before_ms, START_MS + 1)
    seen = facts_of(early, labels).as_of(before_ms)

    later = [(moment + 1 + row[0], row[1] + moment, *row[2:]) for row in late]
    full = facts_of(early + later, [])
    known = [
        LabelFact(number % len(early), label, before_ms + hours * HOUR_MS)
        for number, hours, label in late_labels
    ]
    changed = Facts(
        names=full.names,
        known_ms=full.known_ms,
        booked_at_ms=full.booked_at_ms,
        payer=full.payer,
        payee=full.payee,
        terminal=full.terminal,
        asset=full.asset,
        amount_units=full.amount_units,
        labels=tuple(sorted((*seen.labels, *known), key=lambda fact: fact.known_ms)),
    )
    again = changed.as_of(before_ms)
    assert again.names == seen.names
    assert again.booked_at_ms.tolist() == seen.booked_at_ms.tolist()
    assert again.last_labels().tolist() == seen.last_labels().tolist()
    assert rows(again) == rows(seen)
    # Rows of early payments do not change in the longer history either.
    wanted = changed.known_ms < before_ms
    assert fold_history(changed, FEATURES, wanted).tolist() == rows(seen)


@settings(max_examples=25, deadline=None)
@given(PAYMENTS, LABELS)
def test_each_asset_has_windows_of_its_own(
    payments: list[Payment], labels: list[tuple[int, int, int]]
) -> None:
    facts = facts_of(payments, labels)
    together = rows(facts)
    for asset in ("eur", "usd"):
        places = [at for at, one in enumerate(facts.asset) if one == asset]
        if not places:
            continue
        alone = facts_of(
            [row for row in sorted(payments) if ("eur" if row[5] else "usd") == asset], []
        )
        number = {place: at for at, place in enumerate(places)}
        kept = tuple(
            LabelFact(number[one.payment], one.label, one.known_ms)
            for one in facts.labels
            if one.payment in number
        )
        amounts = facts.amount_units[places]
        only = Facts(
            alone.names,
            alone.known_ms,
            alone.booked_at_ms,
            alone.payer,
            alone.payee,
            alone.terminal,
            alone.asset,
            amounts,
            kept,
        )
        assert rows(only) == [together[place] for place in places]


def test_a_file_of_payments_gives_the_features_of_training() -> None:
    times = [START_MS + at * 7 * HOUR_MS for at in range(60)]
    payers = [f"p{at % 5}" for at in range(60)]
    payees = [f"q{at % 7}" for at in range(60)]
    places = [f"t{at % 3}" if at % 4 else "" for at in range(60)]
    amounts = [100 + at for at in range(60)]
    labels = [(FRAUD, GENUINE, UNKNOWN)[at % 3] for at in range(60)]
    facts = facts_of_columns(
        payers, times, (payers, payees, places), (["eur"] * 60, amounts), labels
    )
    expected = fold_features(
        times, payers, payees, amounts, terminal=places, labels=[int(x == FRAUD) for x in labels]
    )
    assert rows(facts) == expected.tolist()
    assert facts.last_labels().tolist() == labels
    assert sum(facts.between(times[3], times[9])) == 6


def test_columns_that_do_not_fit_are_refused() -> None:
    with pytest.raises(DatasetError, match="different lengths"):
        facts_of_columns(["a"], [1], (["p"], ["q"], []), (["eur"], [1]), [])
    with pytest.raises(DatasetError, match="not in the order in which they were known"):
        facts_of_columns(
            ["a", "b"], [2, 1], (["p"] * 2, ["q"] * 2, [""] * 2), (["e"] * 2, [1, 1]), []
        )
