"""What one account or terminal did lately, on one side of payments, in a bounded record.

A window counts payments in five-minute slots, clock hours and UTC days, sums their amounts, keeps
the last partners, and counts the frauds among them by the day on which they were booked.

Rules:

- A span of n slots (hours, days) is the slot (clock hour, UTC day) of the fact and the n before it.
  So it covers at least that time, and a velocity limit cannot be slipped under by waiting for the
  hour to turn.
- A window never goes back. A fact booked before the window's newest slot counts in that newest
  slot, and its distance to the last one is 0.
- Counts and sums saturate: a bucket holds at most `COUNT_MAX` facts and `SUM_MAX` units.
- A fraud counts on the day on which the payment was booked, as long as the window has that day.
- Partners are told apart by a tag; only the last `PARTNER_COUNT_MAX` are kept.

A window has at most `WINDOW_SIZE_BYTES_MAX` bytes, that of a quiet account about 90.
"""

from bisect import bisect_left
from typing import Final

from cairn.primitives.encoding import Decoder, Record, encode

SLOT_MS: Final = 300_000
HOUR_MS: Final = 3_600_000
DAY_MS: Final = 86_400_000

SLOT_COUNT_MAX: Final = 7
"""Slots kept: the newest five minutes and the half hour before."""

HOUR_COUNT_MAX: Final = 25
"""Hourly buckets kept: the newest hour and the 24 before it."""

LABEL_DELAY_DAYS: Final = 7
"""A label of a payment counts in features from this many days after the booking's day on."""

DAY_COUNT_MAX: Final = 30 + LABEL_DELAY_DAYS
"""Daily buckets kept: what a delayed rate over 30 days reaches back to."""

PARTNER_COUNT_MAX: Final = 32
TAG_SIZE_BYTES: Final = 8

COUNT_MAX: Final = 2**31 - 1
"""Where the count of a bucket stops."""

SUM_MAX: Final = 2**57
"""Where the sum of a bucket stops; 37 of them fit in int64."""

WINDOW_SIZE_BYTES_MAX: Final = 1_650

_SLOTS_PER_HOUR = HOUR_MS // SLOT_MS
_SLOTS_PER_DAY = DAY_MS // SLOT_MS

Buckets = tuple[int, ...]


class Window(Record):
    """What one account or terminal did lately, on one side of payments.

    Buckets run from the oldest to the newest; the oldest is not empty, so that a state has one
    spelling and that of a quiet account is small.
    """

    slot: int
    """The newest slot, in slots since the epoch; 0 as long as nothing was seen."""
    last_ms: int
    """Latest time of a fact so far; 0 as long as nothing was seen."""
    slot_counts: Buckets
    hour_counts: Buckets
    hour_sums: Buckets
    day_counts: Buckets
    day_sums: Buckets
    fraud_counts: Buckets
    """Payments labelled as fraud, by the day of their booking."""
    partners: tuple[bytes, ...]
    """Tags of the last partners, the most recent one last."""
    partner_days: Buckets
    """Day of the last fact with each of them, in days since the epoch."""


EMPTY: Final = Window(0, 0, (), (), (), (), (), (), (), ())
"""The window of an account that was never seen."""

ABSENT: Final = Window(2**53, 2**53, (), (), (), (), (), (), (), ())
"""Stands for a terminal where there is none: every feature of it is 0."""

_decoder: Decoder[Window] = Decoder(Window)
encode_window = encode
decode_window = _decoder.decode


def tag_of(account: bytes) -> bytes:
    """Return by what a window tells a partner apart: the first bytes of its id, which is a hash."""
    return account[:TAG_SIZE_BYTES]


def advance(window: Window, booked_at_ms: int) -> Window:
    """Return the window with `booked_at_ms` in its newest slot; itself if that is not newer."""
    slot = booked_at_ms // SLOT_MS
    gap = slot - window.slot
    if gap <= 0:
        return window
    slot_counts = _shift(window.slot_counts, gap, SLOT_COUNT_MAX)
    hour_counts, hour_sums = window.hour_counts, window.hour_sums
    day_counts, day_sums = window.day_counts, window.day_sums
    fraud_counts = window.fraud_counts
    hours = slot // _SLOTS_PER_HOUR - window.slot // _SLOTS_PER_HOUR
    if hours:
        hour_counts, hour_sums = _shift_pair(hour_counts, hour_sums, hours, HOUR_COUNT_MAX)
        days = slot // _SLOTS_PER_DAY - window.slot // _SLOTS_PER_DAY
        if days:
            day_counts, day_sums = _shift_pair(day_counts, day_sums, days, DAY_COUNT_MAX)
            if fraud_counts:
                fraud_counts = _shift(fraud_counts, days, DAY_COUNT_MAX)
    return Window(
        slot,
        window.last_ms,
        slot_counts,
        hour_counts,
        hour_sums,
        day_counts,
        day_sums,
        fraud_counts,
        window.partners,
        window.partner_days,
    )


def add(window: Window, booked_at_ms: int, amount_units: int, partner: bytes) -> Window:
    """Return the window with one more fact, counted in its newest slot after advancing.

    Args:
        window: The window so far.
        booked_at_ms: Time of the payment, above 0.
        amount_units: Above 0.
        partner: Tag of the other side.
    """
    window = advance(window, booked_at_ms)
    amount = amount_units if amount_units < SUM_MAX else SUM_MAX
    slot_counts, partners, partner_days = window.slot_counts, window.partners, window.partner_days
    hour_counts, hour_sums = _add_to(window.hour_counts, window.hour_sums, amount)
    day_counts, day_sums = _add_to(window.day_counts, window.day_sums, amount)
    newest = min(slot_counts[-1] + 1, COUNT_MAX) if slot_counts else 1
    slot_counts = (*slot_counts[:-1], newest)
    day = window.slot // _SLOTS_PER_DAY
    if not partners or partners[-1] != partner:
        if partner in partners:
            place = partners.index(partner)
            partners = (*partners[:place], *partners[place + 1 :], partner)
            partner_days = (*partner_days[:place], *partner_days[place + 1 :], day)
        else:
            first = 1 if len(partners) == PARTNER_COUNT_MAX else 0
            partners = (*partners[first:], partner)
            partner_days = (*partner_days[first:], day)
    elif partner_days[-1] != day:
        partner_days = (*partner_days[:-1], day)
    last_ms = window.last_ms
    return Window(
        window.slot,
        booked_at_ms if booked_at_ms > last_ms else last_ms,
        slot_counts,
        hour_counts,
        hour_sums,
        day_counts,
        day_sums,
        window.fraud_counts,
        partners,
        partner_days,
    )


def relabel(window: Window, booked_at_ms: int, change: int) -> Window:
    """Return the window after one of its payments was found to be fraud, or not to be.

    Args:
        window: A window that counted the payment.
        booked_at_ms: Time of the payment that the label is about.
        change: 1 if the payment is fraud now and was not, -1 for the opposite.
    """
    back = window.slot // _SLOTS_PER_DAY - booked_at_ms // DAY_MS
    if not 0 <= back < DAY_COUNT_MAX:
        return window
    counts = window.fraud_counts
    counts = (0,) * (back + 1 - len(counts)) + counts
    place = len(counts) - 1 - back
    count = min(max(counts[place] + change, 0), COUNT_MAX)
    counts = _trim((*counts[:place], count, *counts[place + 1 :]))
    return Window(
        window.slot,
        window.last_ms,
        window.slot_counts,
        window.hour_counts,
        window.hour_sums,
        window.day_counts,
        window.day_sums,
        counts,
        window.partners,
        window.partner_days,
    )


def distinct(window: Window, days: int) -> int:
    """Return how many of the last partners a window saw on its newest day and the `days` before."""
    partner_days = window.partner_days
    first = window.slot // _SLOTS_PER_DAY - days
    return len(partner_days) - bisect_left(partner_days, first)


def _add_to(counts: Buckets, sums: Buckets, amount: int) -> tuple[Buckets, Buckets]:
    """Return buckets with one more fact in the newest."""
    if not counts:
        return (1,), (amount,)
    count, total = counts[-1] + 1, sums[-1] + amount
    if count > COUNT_MAX or total > SUM_MAX:
        count, total = min(count, COUNT_MAX), min(total, SUM_MAX)
    return (*counts[:-1], count), (*sums[:-1], total)


def _shift(counts: Buckets, gap: int, size: int) -> Buckets:
    """Return the buckets `gap` later: empty new ones appended, the oldest dropped."""
    if gap >= size or not counts:
        return ()
    counts = (counts + (0,) * gap)[-size:]
    return counts if counts[0] else _trim(counts)


def _shift_pair(counts: Buckets, sums: Buckets, gap: int, size: int) -> tuple[Buckets, Buckets]:
    """Return buckets of counts and sums `gap` later; an empty one has sum 0."""
    counts = _shift(counts, gap, size)
    return counts, (sums + (0,) * gap)[-len(counts) :] if counts else ()


def _trim(counts: Buckets) -> Buckets:
    """Return buckets from the first one that is not empty on."""
    for place, count in enumerate(counts):
        if count:
            return counts[place:]
    return ()
