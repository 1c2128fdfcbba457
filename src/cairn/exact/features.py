"""The one integer definition of derived features, for block execution and for training.

A window sums up what one account paid, or was paid, in clock hours and UTC days. It is bounded: at
most 25 hours and 31 days of count and sum, at most about 1.1 kB.

Rules:

- A span of n hours (days) is the clock hour (UTC day) of the fact and the n before it. So it covers
  at least the n hours before the fact, and a velocity limit cannot be slipped under by waiting for
  the hour to turn.
- A window never goes back. A fact booked before the window's newest hour counts in that newest
  hour, and its distance to the last one is 0.
- The features of a fact describe what came before it; the fact itself is added afterwards.
- Sums saturate: a bucket holds at most `BUCKET_SUM_MAX`.
"""

from typing import Final

from cairn.primitives.encoding import Decoder, Record, encode

HOUR_MS: Final = 3_600_000
HOUR_COUNT_MAX: Final = 25
"""Hourly buckets kept: the newest hour and the 24 before it."""

DAY_COUNT_MAX: Final = 31
"""Daily buckets kept: the newest day and the 30 before it."""

BUCKET_SUM_MAX: Final = 2**57
"""Where the sum of a bucket stops; 31 of them fit in int64."""

RATIO_PPM_MAX: Final = 10**12
"""Where a ratio stops: a million times."""

NIGHT_END_HOUR: Final = 6
"""Night is from 00:00 to 05:59 UTC."""

FEATURES: Final = (
    "amount_units",
    "hour_of_day",
    "is_night",
    "is_weekend",
    "payer_count_1h",
    "payer_count_24h",
    "payer_count_7d",
    "payer_count_30d",
    "payer_sum_1h",
    "payer_sum_24h",
    "payer_sum_7d",
    "payer_sum_30d",
    "payer_mean_30d",
    "payer_since_last_s",
    "payer_first_seen",
    "payee_count_1h",
    "payee_count_24h",
    "payee_count_7d",
    "payee_count_30d",
    "payee_sum_24h",
    "payee_sum_30d",
    "payee_since_last_s",
    "payee_first_seen",
    "amount_over_payer_mean_ppm",
)
"""Names of the entries of `vector`. Counts and sums are of facts before this one."""


class Window(Record):
    """What one account did lately, on one side of payments.

    Buckets run from the oldest to the newest; the oldest is not empty, so that an account has one
    spelling and a quiet one is small.
    """

    hour: int
    """The newest clock hour, in hours since the epoch; 0 as long as nothing was seen."""
    first_ms: int
    last_ms: int
    """Latest time of a fact so far."""
    hour_counts: tuple[int, ...]
    hour_sums: tuple[int, ...]
    day_counts: tuple[int, ...]
    day_sums: tuple[int, ...]


EMPTY: Final = Window(0, 0, 0, (), (), (), ())
"""The window of an account that was never seen."""

Vector = tuple[int, ...]

_decoder: Decoder[Window] = Decoder(Window)
encode_window = encode
decode_window = _decoder.decode


def advance(window: Window, booked_at_ms: int) -> Window:
    """Return the window with `booked_at_ms` in its newest hour; itself if that is not newer."""
    hour = booked_at_ms // HOUR_MS
    gap = hour - window.hour
    if gap <= 0:
        return window
    days = hour // 24 - window.hour // 24
    hour_counts, hour_sums = _shift(window.hour_counts, window.hour_sums, gap, HOUR_COUNT_MAX)
    day_counts, day_sums = window.day_counts, window.day_sums
    if days:
        day_counts, day_sums = _shift(day_counts, day_sums, days, DAY_COUNT_MAX)
    return Window(
        hour, window.first_ms, window.last_ms, hour_counts, hour_sums, day_counts, day_sums
    )


def add(window: Window, booked_at_ms: int, amount_units: int) -> Window:
    """Return the window with one more fact, counted in its newest hour after advancing."""
    window = advance(window, booked_at_ms)
    amount = min(amount_units, BUCKET_SUM_MAX)
    hour_counts, day_counts = window.hour_counts, window.day_counts
    hour_sums, day_sums = window.hour_sums, window.day_sums
    if hour_counts:
        hour_counts = (*hour_counts[:-1], hour_counts[-1] + 1)
        hour_sums = (*hour_sums[:-1], min(hour_sums[-1] + amount, BUCKET_SUM_MAX))
    else:
        hour_counts, hour_sums = (1,), (amount,)
    if day_counts:
        day_counts = (*day_counts[:-1], day_counts[-1] + 1)
        day_sums = (*day_sums[:-1], min(day_sums[-1] + amount, BUCKET_SUM_MAX))
    else:
        day_counts, day_sums = (1,), (amount,)
    return Window(
        window.hour,
        window.first_ms or booked_at_ms,
        max(window.last_ms, booked_at_ms),
        hour_counts,
        hour_sums,
        day_counts,
        day_sums,
    )


def vector(payer: Window, payee: Window, amount_units: int, booked_at_ms: int) -> Vector:
    """Return the features of a payment, in the order of `FEATURES`.

    Args:
        payer: What the payer paid before, its window as payer.
        payee: What the payee was paid before, its window as payee.
        amount_units: 1 to 2^63 - 1.
        booked_at_ms: Time of the payment, above 0.
    """
    payer = advance(payer, booked_at_ms)
    payee = advance(payee, booked_at_ms)
    days, hour = divmod(booked_at_ms // HOUR_MS, 24)
    hour_counts, hour_sums = payer.hour_counts, payer.hour_sums
    day_counts, day_sums = payer.day_counts, payer.day_sums
    payer_count, payer_sum = sum(day_counts), sum(day_sums)
    payer_mean = payer_sum // payer_count if payer_count else 0
    ratio_ppm = min(amount_units * 1_000_000 // payer_mean, RATIO_PPM_MAX) if payer_mean else 0
    payer_last, payee_last = payer.last_ms, payee.last_ms
    payee_hours, payee_days = payee.hour_counts, payee.day_counts
    return (
        amount_units,
        hour,
        1 if hour < NIGHT_END_HOUR else 0,
        1 if (days + 3) % 7 >= 5 else 0,  # 1 January 1970 was a Thursday.
        sum(hour_counts[-2:]),
        sum(hour_counts),
        sum(day_counts[-8:]),
        payer_count,
        sum(hour_sums[-2:]),
        sum(hour_sums),
        sum(day_sums[-8:]),
        payer_sum,
        payer_mean,
        (booked_at_ms - payer_last) // 1000 if 0 < payer_last < booked_at_ms else 0,
        0 if payer_last else 1,
        sum(payee_hours[-2:]),
        sum(payee_hours),
        sum(payee_days[-8:]),
        sum(payee_days),
        sum(payee.hour_sums),
        sum(payee.day_sums),
        (booked_at_ms - payee_last) // 1000 if 0 < payee_last < booked_at_ms else 0,
        0 if payee_last else 1,
        ratio_ppm,
    )


def _shift(
    counts: tuple[int, ...], sums: tuple[int, ...], gap: int, size: int
) -> tuple[tuple[int, ...], tuple[int, ...]]:
    """Return the buckets `gap` later: empty new ones appended, the oldest dropped."""
    if gap >= size or not counts:
        return (), ()
    fresh = (0,) * gap
    counts = (counts + fresh)[-size:]
    sums = (sums + fresh)[-size:]
    if not counts[0]:
        oldest = next((place for place, count in enumerate(counts) if count), size)
        counts, sums = counts[oldest:], sums[oldest:]
    return counts, sums
