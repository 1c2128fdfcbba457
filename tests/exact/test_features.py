"""Derived features: spans, late facts, bounds, and a fold against a plain recount."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cairn.exact.features import (
    BUCKET_SUM_MAX,
    DAY_COUNT_MAX,
    EMPTY,
    FEATURES,
    HOUR_COUNT_MAX,
    HOUR_MS,
    RATIO_PPM_MAX,
    Window,
    add,
    advance,
    decode_window,
    encode_window,
    vector,
)

DAY_MS = 24 * HOUR_MS
START_MS = 1_700_000_000_000  # Tuesday 14 November 2023, 22:13:20 UTC


def features(payer: Window, payee: Window, amount: int, booked_at_ms: int) -> dict[str, int]:
    return dict(zip(FEATURES, vector(payer, payee, amount, booked_at_ms), strict=True))


def fold(facts: list[tuple[int, int]]) -> Window:
    window = EMPTY
    for booked_at_ms, amount in facts:
        window = add(window, booked_at_ms, amount)
    return window


# Gaps from milliseconds to weeks, and steps back.
GAPS = st.one_of(
    st.integers(0, 5_000),
    st.integers(0, 3 * HOUR_MS),
    st.integers(0, 9 * DAY_MS),
    st.integers(0, 40 * DAY_MS),
    st.integers(-2 * DAY_MS, 0),
)
FACTS = st.lists(st.tuples(GAPS, st.integers(1, 10**9)), min_size=1, max_size=40)


def times_of(facts: list[tuple[int, int]]) -> list[tuple[int, int]]:
    now, timed = START_MS, []
    for gap, amount in facts:
        now += gap
        timed.append((now, amount))
    return timed


@settings(max_examples=200, deadline=None)
@given(FACTS)
def test_windows_count_what_a_plain_recount_counts(facts: list[tuple[int, int]]) -> None:
    timed = times_of(facts)
    window = EMPTY
    counted: list[tuple[int, int]] = []
    for booked_at_ms, amount in timed:
        now = max([booked_at_ms // HOUR_MS, *(hour for hour, _ in counted)])
        expected = {}
        for name, unit, span in (("1h", 1, 1), ("24h", 1, 24), ("7d", 24, 7), ("30d", 24, 30)):
            inside = [a for hour, a in counted if hour // unit >= now // unit - span]
            expected[f"payer_count_{name}"] = len(inside)
            expected[f"payer_sum_{name}"] = sum(inside)
        found = features(window, EMPTY, amount, booked_at_ms)
        assert {name: found[name] for name in expected} == expected
        window = add(window, booked_at_ms, amount)
        counted.append((now, amount))
        assert len(window.hour_counts) <= HOUR_COUNT_MAX
        assert len(window.day_counts) <= DAY_COUNT_MAX
        assert window.hour_counts[0] > 0
        assert window.day_counts[0] > 0
        assert decode_window(encode_window(window)) == window


@settings(max_examples=100, deadline=None)
@given(FACTS, GAPS, st.integers(0, 10 * DAY_MS))
def test_advancing_first_changes_no_feature(
    facts: list[tuple[int, int]], gap: int, back: int
) -> None:
    timed = times_of(facts)
    window = fold(timed)
    now = timed[-1][0] + gap
    ahead = advance(window, now)
    assert vector(ahead, ahead, 7, now) == vector(window, window, 7, now)
    assert add(ahead, now, 7) == add(window, now, 7)
    assert advance(ahead, now - back) == ahead


def test_the_first_payment_is_told_as_such() -> None:
    found = features(EMPTY, EMPTY, 1234, START_MS)
    assert found.pop("amount_units") == 1234
    assert found.pop("hour_of_day") == 22
    assert found.pop("payer_first_seen") == found.pop("payee_first_seen") == 1
    assert set(found.values()) == {0}


def test_a_span_reaches_over_the_turn_of_the_hour() -> None:
    hour = START_MS // HOUR_MS * HOUR_MS
    window = fold([(hour + HOUR_MS - 1, 10)])
    assert features(window, EMPTY, 1, hour + HOUR_MS)["payer_count_1h"] == 1
    assert features(window, EMPTY, 1, hour + 2 * HOUR_MS - 1)["payer_count_1h"] == 1
    assert features(window, EMPTY, 1, hour + 2 * HOUR_MS)["payer_count_1h"] == 0


def test_night_and_weekend_are_those_of_utc() -> None:
    saturday = START_MS + 4 * DAY_MS
    for booked_at_ms, night, weekend in (
        (START_MS, 0, 0),
        (START_MS + 2 * HOUR_MS, 1, 0),
        (START_MS + 8 * HOUR_MS, 0, 0),
        (saturday - 22 * HOUR_MS - 800_000, 1, 1),
        (saturday + DAY_MS, 0, 1),
        (saturday + DAY_MS + 2 * HOUR_MS, 1, 0),
    ):
        found = features(EMPTY, EMPTY, 1, booked_at_ms)
        assert (found["is_night"], found["is_weekend"]) == (night, weekend)


def test_a_late_fact_counts_in_the_newest_hour() -> None:
    window = fold([(START_MS, 100)])
    late = START_MS - 5 * DAY_MS
    found = features(window, window, 50, late)
    assert found["payer_count_1h"] == 1
    assert found["payer_since_last_s"] == found["payee_since_last_s"] == 0
    assert found["hour_of_day"] == 22
    after = add(window, late, 50)
    assert after.last_ms == window.last_ms
    assert after.hour_counts == (2,)
    assert after.hour_sums == after.day_sums == (150,)


def test_distance_mean_and_ratio() -> None:
    payer = fold([(START_MS, 100), (START_MS + 1_000, 301)])
    payee = fold([(START_MS - 90_500, 5)])
    found = features(payer, payee, 600, START_MS + 3_999)
    assert found["payer_since_last_s"] == 2
    assert found["payee_since_last_s"] == 94
    assert found["payer_mean_30d"] == 200
    assert found["amount_over_payer_mean_ppm"] == 3_000_000
    assert found["payer_first_seen"] == found["payee_first_seen"] == 0


def test_everything_stays_within_64_bits() -> None:
    largest = 2**63 - 1
    window = EMPTY
    for day in range(DAY_COUNT_MAX):
        for _ in range(3):
            window = add(window, START_MS + day * DAY_MS, largest)
    found = features(window, window, largest, START_MS + 30 * DAY_MS)
    assert found["payer_sum_30d"] == DAY_COUNT_MAX * BUCKET_SUM_MAX < largest
    assert max(found.values()) == largest
    one = add(EMPTY, START_MS, 1)
    assert features(one, one, largest, START_MS)["amount_over_payer_mean_ppm"] == RATIO_PPM_MAX
    busy = EMPTY
    for hour in range(24 * DAY_COUNT_MAX):
        busy = add(busy, START_MS + hour * HOUR_MS, largest)
    assert len(encode_window(busy)) < 1_100


@pytest.mark.parametrize("gap", [0, 1, HOUR_MS, DAY_MS, 31 * DAY_MS, 400 * DAY_MS])
def test_an_old_account_is_still_known(gap: int) -> None:
    window = advance(fold([(START_MS, 5)]), START_MS + gap)
    found = features(window, EMPTY, 1, START_MS + gap)
    assert found["payer_first_seen"] == 0
    assert found["payer_since_last_s"] == gap // 1000
    assert window.first_ms == START_MS
