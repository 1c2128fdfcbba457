"""Derived features: a fold against a plain recount, spans, labels, and extraction by name."""

from dataclasses import dataclass

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cairn.exact.features import FEATURES, RATIO_PPM_MAX, extractor, vector
from cairn.exact.windows import (
    ABSENT,
    DAY_COUNT_MAX,
    DAY_MS,
    EMPTY,
    HOUR_MS,
    LABEL_DELAY_DAYS,
    SLOT_MS,
    SUM_MAX,
    Window,
    add,
    advance,
    relabel,
)

START_MS = 1_700_000_000_000  # Tuesday 14 November 2023, 22:13:20 UTC
FRIEND = b"friend.."
SPANS = {"10m": (SLOT_MS, 2), "30m": (SLOT_MS, 6), "1h": (HOUR_MS, 1), "24h": (HOUR_MS, 24)}
DAYS = {"1d": 1, "7d": 7, "30d": 30}


def features(
    payer: Window, payee: Window, amount: int, booked_at_ms: int, terminal: Window = ABSENT
) -> dict[str, int]:
    found = vector(payer, payee, amount, booked_at_ms, terminal=terminal, tag=FRIEND)
    return dict(zip(FEATURES, found, strict=True))


def fold(facts: list[tuple[int, int]]) -> Window:
    window = EMPTY
    for booked_at_ms, amount in facts:
        window = add(window, booked_at_ms, amount, FRIEND)
    return window


# A plain recount of what one side did, for comparison


@dataclass
class Fact:
    counted_ms: int
    booked_at_ms: int
    amount: int
    partner: bytes
    is_fraud: bool = False


def recount(side: str, facts: list[Fact], booked_at_ms: int) -> dict[str, int]:
    """Return the features of one side from a list of all its facts."""
    now = max([booked_at_ms // SLOT_MS * SLOT_MS, *(fact.counted_ms for fact in facts)])
    today = now // DAY_MS
    found = {}
    for name, (unit, back) in {**SPANS, "7d": (DAY_MS, 7), "30d": (DAY_MS, 30)}.items():
        inside = [f.amount for f in facts if f.counted_ms // unit >= now // unit - back]
        found[f"{side}_count_{name}"] = len(inside)
        if name not in ("10m", "30m"):
            found[f"{side}_sum_{name}"] = sum(inside)
    last_partners = list(dict.fromkeys(fact.partner for fact in reversed(facts)))[:32]
    for name, back in DAYS.items():
        inside = [f.amount for f in facts if f.counted_ms // DAY_MS >= today - back]
        found[f"{side}_mean_{name}"] = sum(inside) // len(inside) if inside else 0
        seen = {f.partner for f in facts if f.counted_ms // DAY_MS >= today - back}
        found[f"{side}_distinct_{name}"] = len(seen.intersection(last_partners))
        delayed = range(today - LABEL_DELAY_DAYS - back + 1, today - LABEL_DELAY_DAYS + 1)
        frauds = sum(f.is_fraud and f.booked_at_ms // DAY_MS in delayed for f in facts)
        count = sum(f.counted_ms // DAY_MS in delayed for f in facts)
        found[f"{side}_fraud_count_{name}"] = frauds
        ppm = frauds * 1_000_000 // count if count else 0
        found[f"{side}_fraud_ppm_{name}"] = min(ppm, 1_000_000)
    last_ms = max([fact.booked_at_ms for fact in facts], default=0)
    found[f"{side}_first_seen"] = int(not facts)
    found[f"{side}_since_last_s"] = max(0, booked_at_ms - last_ms) // 1000 if last_ms else 0
    return found


GAPS = st.one_of(
    st.integers(0, 400_000),
    st.integers(0, 3 * HOUR_MS),
    st.integers(0, 9 * DAY_MS),
    st.integers(0, 40 * DAY_MS),
    st.integers(-2 * DAY_MS, 0),
)
STEPS = st.lists(
    st.tuples(GAPS, st.integers(1, 10**9), st.integers(0, 40), st.integers(0, 60)),
    min_size=1,
    max_size=50,
)


@settings(max_examples=150, deadline=None)
@given(STEPS, st.sampled_from(["payer", "payee", "terminal"]))
def test_a_fold_counts_what_a_plain_recount_counts(
    steps: list[tuple[int, int, int, int]], side: str
) -> None:
    now, window = START_MS, EMPTY
    facts: list[Fact] = []
    for gap, amount, partner, labelled in steps:
        now += gap
        windows = {"payer": EMPTY, "payee": EMPTY, "terminal": ABSENT, side: window}
        found = features(windows["payer"], windows["payee"], amount, now, windows["terminal"])
        expected = recount(side, facts, now)
        assert {name: found[name] for name in expected} == expected
        mean = expected[f"{side}_mean_30d"]
        ratio = min(amount * 1_000_000 // mean, RATIO_PPM_MAX) if mean else 0
        assert found[f"amount_over_{side}_mean_ppm"] == ratio
        tag = partner.to_bytes(8, "big")
        counted_ms = max([now // SLOT_MS * SLOT_MS, *(fact.counted_ms for fact in facts)])
        facts.append(Fact(counted_ms, now, amount, tag))
        window = add(window, now, amount, tag)
        if labelled < len(facts):
            fact = facts[labelled]
            fact.is_fraud = not fact.is_fraud
            window = relabel(window, fact.booked_at_ms, 1 if fact.is_fraud else -1)


def test_the_recount_covers_every_feature_of_a_side() -> None:
    names = {name for side in ("payer", "payee", "terminal") for name in recount(side, [], 1)}
    whole = {"amount_units", "hour_of_day", "is_night", "is_weekend", "pair_first_seen"}
    ratios = {f"amount_over_{side}_mean_ppm" for side in ("payer", "payee", "terminal")}
    assert names | whole | ratios == set(FEATURES)
    assert len(set(FEATURES)) == len(FEATURES)


def test_the_first_payment_is_told_as_such() -> None:
    found = features(EMPTY, EMPTY, 1234, START_MS, EMPTY)
    assert found.pop("amount_units") == 1234
    assert found.pop("hour_of_day") == 22
    assert found.pop("payer_first_seen") == found.pop("payee_first_seen") == 1
    assert found.pop("terminal_first_seen") == found.pop("pair_first_seen") == 1
    assert set(found.values()) == {0}


def test_where_there_is_no_terminal_its_features_are_zero() -> None:
    window = fold([(START_MS, 100)])
    found = features(window, window, 50, START_MS + DAY_MS)
    values = {name: value for name, value in found.items() if "terminal" in name}
    assert len(values) == 25
    assert set(values.values()) == {0}


def test_a_span_reaches_over_the_turn_of_the_hour() -> None:
    hour = START_MS // HOUR_MS * HOUR_MS
    window = fold([(hour + HOUR_MS - 1, 10)])
    assert features(window, EMPTY, 1, hour + HOUR_MS)["payer_count_1h"] == 1
    assert features(window, EMPTY, 1, hour + 2 * HOUR_MS - 1)["payer_count_1h"] == 1
    assert features(window, EMPTY, 1, hour + 2 * HOUR_MS)["payer_count_1h"] == 0
    assert features(window, EMPTY, 1, hour + HOUR_MS + 2 * SLOT_MS - 1)["payer_count_10m"] == 1
    assert features(window, EMPTY, 1, hour + HOUR_MS + 2 * SLOT_MS)["payer_count_10m"] == 0


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


def test_a_late_fact_has_no_distance() -> None:
    window = fold([(START_MS, 100)])
    found = features(window, window, 50, START_MS - 5 * DAY_MS)
    assert found["payer_count_1h"] == 1
    assert found["payer_since_last_s"] == found["payee_since_last_s"] == 0
    assert found["hour_of_day"] == 22


def test_distance_mean_and_ratio() -> None:
    payer = fold([(START_MS, 100), (START_MS + 1_000, 301)])
    payee = fold([(START_MS - 90_500, 5)])
    found = features(payer, payee, 600, START_MS + 3_999)
    assert found["payer_since_last_s"] == 2
    assert found["payee_since_last_s"] == 94
    assert found["payer_mean_30d"] == 200
    assert found["amount_over_payer_mean_ppm"] == 3_000_000
    assert found["amount_over_payee_mean_ppm"] == 120_000_000
    assert found["payer_first_seen"] == found["pair_first_seen"] == 0


@pytest.mark.parametrize("delay_days", range(LABEL_DELAY_DAYS - 1, LABEL_DELAY_DAYS + 40))
def test_a_fraud_counts_only_after_its_delay(delay_days: int) -> None:
    day = START_MS // DAY_MS * DAY_MS
    window = relabel(fold([(day, 1), (day, 1), (day, 1)]), day, 1)
    found = features(EMPTY, window, 1, day + delay_days * DAY_MS)
    for name, days in DAYS.items():
        is_inside = LABEL_DELAY_DAYS <= delay_days < LABEL_DELAY_DAYS + days
        assert found[f"payee_fraud_count_{name}"] == int(is_inside)
        assert found[f"payee_fraud_ppm_{name}"] == 333_333 * is_inside


def test_everything_stays_within_64_bits() -> None:
    largest = 2**63 - 1
    window = EMPTY
    for day in range(DAY_COUNT_MAX):
        for _ in range(3):
            window = add(window, START_MS + day * DAY_MS, largest, FRIEND)
    found = features(window, window, largest, START_MS + 36 * DAY_MS, window)
    assert found["payer_sum_30d"] == 31 * SUM_MAX < largest
    assert max(found.values()) == largest
    one = add(EMPTY, START_MS, 1, FRIEND)
    assert features(one, one, largest, START_MS)["amount_over_payer_mean_ppm"] == RATIO_PPM_MAX


@settings(max_examples=40, deadline=None)
@given(STEPS, st.lists(st.sampled_from(FEATURES), unique=True, max_size=30))
def test_extraction_by_name_gives_the_entries_of_the_vector(
    steps: list[tuple[int, int, int, int]], names: list[str]
) -> None:
    now, windows = START_MS, [EMPTY, EMPTY, EMPTY]
    for gap, amount, partner, _ in steps:
        now += gap
        side = partner % 3
        windows[side] = add(windows[side], now, amount, partner.to_bytes(8, "big"))
    payer, payee, terminal = (advance(window, now) for window in windows)
    found = extractor(tuple(names))(payer, payee, terminal, 77, now, FRIEND)
    whole = features(payer, payee, 77, now, terminal)
    assert found == tuple(whole[name] for name in names)


@pytest.mark.parametrize("gap", [0, 1, HOUR_MS, DAY_MS, 31 * DAY_MS, 400 * DAY_MS])
def test_an_old_account_is_still_known(gap: int) -> None:
    window = advance(fold([(START_MS, 5)]), START_MS + gap)
    found = features(window, EMPTY, 1, START_MS + gap)
    assert found["payer_first_seen"] == found["pair_first_seen"] == 0
    assert found["payer_since_last_s"] == gap // 1000
