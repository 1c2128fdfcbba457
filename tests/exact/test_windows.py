"""Windows: bounds, saturation, late facts, partners and labels."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cairn.exact.windows import (
    ABSENT,
    COUNT_MAX,
    DAY_COUNT_MAX,
    DAY_MS,
    EMPTY,
    HOUR_COUNT_MAX,
    HOUR_MS,
    LABEL_DELAY_DAYS,
    PARTNER_COUNT_MAX,
    SLOT_COUNT_MAX,
    SLOT_MS,
    SUM_MAX,
    WINDOW_SIZE_BYTES_MAX,
    Window,
    add,
    advance,
    decode_window,
    distinct,
    encode_window,
    relabel,
    tag_of,
)

START_MS = 1_700_000_000_000  # Tuesday 14 November 2023, 22:13:20 UTC
FRIEND = b"friend.."


def tag(number: int) -> bytes:
    return number.to_bytes(8, "big")


def fold(facts: list[tuple[int, int]]) -> Window:
    window = EMPTY
    for booked_at_ms, amount in facts:
        window = add(window, booked_at_ms, amount, FRIEND)
    return window


GAPS = st.one_of(
    st.integers(0, 400_000),
    st.integers(0, 30 * HOUR_MS),
    st.integers(0, 60 * DAY_MS),
    st.integers(-9 * DAY_MS, 0),
)
STEPS = st.lists(st.tuples(GAPS, st.integers(0, 50), st.integers(-1, 1)), min_size=1, max_size=60)


@settings(max_examples=150, deadline=None)
@given(STEPS)
def test_windows_have_one_spelling_and_keep_their_bounds(steps: list[tuple[int, int, int]]) -> None:
    now, window, booked = START_MS, EMPTY, []
    for gap, partner, label in steps:
        now += gap
        booked.append(now)
        window = add(window, now, 5, tag(partner))
        window = relabel(window, booked[len(booked) // 2], label)
        rings = (
            (window.slot_counts, SLOT_COUNT_MAX),
            (window.hour_counts, HOUR_COUNT_MAX),
            (window.day_counts, DAY_COUNT_MAX),
        )
        for counts, size in rings:
            assert 1 <= len(counts) <= size
            assert counts[0] > 0
            assert counts[-1] > 0
        assert len(window.hour_sums) == len(window.hour_counts)
        assert len(window.day_sums) == len(window.day_counts)
        frauds = window.fraud_counts
        assert len(frauds) <= DAY_COUNT_MAX
        assert not frauds or frauds[0] > 0
        assert len(dict.fromkeys(window.partners)) == len(window.partner_days) <= PARTNER_COUNT_MAX
        assert list(window.partner_days) == sorted(window.partner_days)
        assert decode_window(encode_window(window)) == window


@settings(max_examples=100, deadline=None)
@given(STEPS, GAPS, st.integers(0, 50 * DAY_MS))
def test_advancing_first_changes_nothing(
    steps: list[tuple[int, int, int]], gap: int, back: int
) -> None:
    now, window = START_MS, EMPTY
    for step, partner, label in steps:
        now += step
        window = relabel(add(window, now, 7, tag(partner)), now, label)
    ahead = advance(window, now + gap)
    assert add(ahead, now + gap, 7, FRIEND) == add(window, now + gap, 7, FRIEND)
    assert advance(ahead, now + gap - back) == ahead


def test_the_fullest_window_is_within_the_stated_bound() -> None:
    full = Window(
        slot=2**53 // SLOT_MS,
        last_ms=2**53,
        slot_counts=(COUNT_MAX,) * SLOT_COUNT_MAX,
        hour_counts=(COUNT_MAX,) * HOUR_COUNT_MAX,
        hour_sums=(SUM_MAX,) * HOUR_COUNT_MAX,
        day_counts=(COUNT_MAX,) * DAY_COUNT_MAX,
        day_sums=(SUM_MAX,) * DAY_COUNT_MAX,
        fraud_counts=(COUNT_MAX,) * DAY_COUNT_MAX,
        partners=tuple(tag(number) for number in range(PARTNER_COUNT_MAX)),
        partner_days=(2**53 // DAY_MS,) * PARTNER_COUNT_MAX,
    )
    again = relabel(add(full, 2**53, 2**63 - 1, tag(77)), 2**53, 1)
    for window in (full, again):
        assert 1_500 < len(encode_window(window)) <= WINDOW_SIZE_BYTES_MAX
    assert again.day_counts[-1] == again.fraud_counts[-1] == COUNT_MAX
    assert again.day_sums[-1] == again.hour_sums[-1] == SUM_MAX
    assert again.slot_counts == full.slot_counts
    assert SUM_MAX * DAY_COUNT_MAX < 2**63
    assert len(encode_window(fold([(START_MS, 5_000)]))) < 70


def test_a_busy_account_reaches_every_bucket_and_no_more() -> None:
    window = EMPTY
    for slot in range(40 * 288):
        booked_at_ms = START_MS + slot * SLOT_MS
        window = add(window, booked_at_ms, 2**63 - 1, tag(slot % 40))
        if slot % 288 == 0:
            window = relabel(window, booked_at_ms, 1)
    assert len(window.slot_counts) == SLOT_COUNT_MAX
    assert len(window.hour_counts) == HOUR_COUNT_MAX
    assert len(window.day_counts) == len(window.fraud_counts) == DAY_COUNT_MAX
    assert len(window.partners) == PARTNER_COUNT_MAX
    assert len(encode_window(window)) <= WINDOW_SIZE_BYTES_MAX


def test_a_late_fact_counts_in_the_newest_buckets() -> None:
    window = fold([(START_MS, 100)])
    after = add(window, START_MS - 5 * DAY_MS, 50, FRIEND)
    assert (after.slot, after.last_ms) == (window.slot, window.last_ms)
    assert after.slot_counts == after.hour_counts == after.day_counts == (2,)
    assert after.hour_sums == after.day_sums == (150,)


def test_a_label_counts_on_the_day_of_its_booking() -> None:
    window = fold([(START_MS, 1), (START_MS + 2 * DAY_MS, 1), (START_MS + 3 * DAY_MS, 1)])
    first = relabel(window, START_MS, 1)
    assert first.fraud_counts == (1, 0, 0, 0)
    both = relabel(first, START_MS + 3 * DAY_MS, 1)
    assert both.fraud_counts == (1, 0, 0, 1)
    assert relabel(both, START_MS, -1).fraud_counts == (1,)
    assert relabel(first, START_MS, -1) == window
    late = add(window, START_MS - 2 * DAY_MS, 1, FRIEND)
    assert relabel(late, START_MS - 2 * DAY_MS, 1).fraud_counts == (1, 0, 0, 0, 0, 0)


def test_a_label_older_than_the_window_counts_nowhere() -> None:
    window = fold([(START_MS, 1), (START_MS + (DAY_COUNT_MAX - 1) * DAY_MS, 1)])
    assert sum(relabel(window, START_MS, 1).fraud_counts) == 1
    older = advance(window, START_MS + DAY_COUNT_MAX * DAY_MS)
    assert relabel(older, START_MS, 1) == older
    assert relabel(older, START_MS, -1) == older
    marked = relabel(window, START_MS, 1)
    assert advance(marked, START_MS + DAY_COUNT_MAX * DAY_MS).fraud_counts == ()
    assert relabel(EMPTY, START_MS, 1) == EMPTY


def test_the_last_partners_are_kept_by_their_latest_fact() -> None:
    window = EMPTY
    for number in range(PARTNER_COUNT_MAX):
        window = add(window, START_MS, 1, tag(number))
    window = add(window, START_MS + DAY_MS, 1, tag(0))
    assert window.partners[-1] == tag(0)
    assert (distinct(window, 0), distinct(window, 1)) == (1, PARTNER_COUNT_MAX)
    window = add(window, START_MS + DAY_MS, 1, tag(99))
    assert tag(1) not in window.partners
    assert tag(0) in window.partners
    assert distinct(window, 30) == PARTNER_COUNT_MAX
    again = add(window, START_MS + 3 * DAY_MS, 1, tag(99))
    assert again.partners == window.partners
    assert distinct(again, 1) == 1


@pytest.mark.parametrize("booked_at_ms", [1, START_MS, 2**53])
def test_where_there_is_no_terminal_nothing_moves(booked_at_ms: int) -> None:
    assert advance(ABSENT, booked_at_ms) == ABSENT


def test_names_of_the_definition() -> None:
    assert DAY_COUNT_MAX == 30 + LABEL_DELAY_DAYS
    assert tag_of(bytes(range(20))) == bytes(range(8))
