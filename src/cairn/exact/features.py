"""The one integer definition of derived features, for block execution and for training.

The features of a payment describe what its payer, its payee and its terminal did before, as their
windows (`exact.windows`) have it; the payment itself is added afterwards.

- `count`, `sum`, `mean`: of payments within the span; `10m` to `24h` and `7d`, `30d` as the rules
  of windows say. A mean over nothing is 0.
- `since_last_s`: seconds since the last one, 0 if none; `first_seen`: 1 if there was none.
- `distinct`: partners within the span, among the last 32; a payer's partners are payees, those of
  a payee and of a terminal are payers. `pair_first_seen`: the payee is none of the payer's.
- `fraud_count`, `fraud_ppm`: payments labelled as fraud, and their share among all, of those booked
  on the n days that end `LABEL_DELAY_DAYS` before the window's newest day. So a label counts only
  after its delay, and it makes no difference when within the delay it became known.
- What is said of the terminal is 0 where there is none.
"""

from collections.abc import Callable
from functools import lru_cache
from typing import Final

from cairn.exact.windows import (
    ABSENT,
    DAY_MS,
    HOUR_MS,
    LABEL_DELAY_DAYS,
    Window,
    advance,
    distinct,
)

RATIO_PPM_MAX: Final = 10**12
"""Where a ratio of amounts stops: a million times."""

NIGHT_END_HOUR: Final = 6
"""Night is from 00:00 to 05:59 UTC."""

SIDES: Final = ("payer", "payee", "terminal")

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
    "payer_count_10m",
    "payer_count_30m",
    "payer_mean_1d",
    "payer_mean_7d",
    "payer_distinct_1d",
    "payer_distinct_7d",
    "payer_distinct_30d",
    "payer_fraud_count_1d",
    "payer_fraud_count_7d",
    "payer_fraud_count_30d",
    "payer_fraud_ppm_1d",
    "payer_fraud_ppm_7d",
    "payer_fraud_ppm_30d",
    "payee_count_10m",
    "payee_count_30m",
    "payee_sum_1h",
    "payee_sum_7d",
    "payee_mean_1d",
    "payee_mean_7d",
    "payee_mean_30d",
    "payee_distinct_1d",
    "payee_distinct_7d",
    "payee_distinct_30d",
    "payee_fraud_count_1d",
    "payee_fraud_count_7d",
    "payee_fraud_count_30d",
    "payee_fraud_ppm_1d",
    "payee_fraud_ppm_7d",
    "payee_fraud_ppm_30d",
    "terminal_count_10m",
    "terminal_count_30m",
    "terminal_count_1h",
    "terminal_count_24h",
    "terminal_count_7d",
    "terminal_count_30d",
    "terminal_sum_1h",
    "terminal_sum_24h",
    "terminal_sum_7d",
    "terminal_sum_30d",
    "terminal_mean_1d",
    "terminal_mean_7d",
    "terminal_mean_30d",
    "terminal_since_last_s",
    "terminal_first_seen",
    "terminal_distinct_1d",
    "terminal_distinct_7d",
    "terminal_distinct_30d",
    "terminal_fraud_count_1d",
    "terminal_fraud_count_7d",
    "terminal_fraud_count_30d",
    "terminal_fraud_ppm_1d",
    "terminal_fraud_ppm_7d",
    "terminal_fraud_ppm_30d",
    "pair_first_seen",
    "amount_over_payee_mean_ppm",
    "amount_over_terminal_mean_ppm",
)
"""Names of the entries of `vector`. Counts and sums are of facts before this one."""

Vector = tuple[int, ...]
Extractor = Callable[[Window, Window, Window, int, int, bytes], Vector]
"""Features from the windows of payer, payee and terminal, amount, booking time and payee's tag.

The windows are advanced to the booking time; that of a terminal that is not there is `ABSENT`.
"""

_SideReader = Callable[[Window], int]
_FactReader = Callable[[Window, Window, Window, int, int, bytes], int]


@lru_cache(maxsize=64)
def extractor(names: tuple[str, ...]) -> Extractor:
    """Return what gives the features of these names, in their order; it costs what they cost.

    Args:
        names: Entries of `FEATURES`.
    """
    readers: dict[str, list[_SideReader]] = {side: [] for side in SIDES}
    order: dict[str, list[str]] = {side: [] for side in (*SIDES, "")}
    facts: list[_FactReader] = []
    for name in names:
        side, _, what = name.partition("_")
        if name in _FACT_READERS:
            order[""].append(name)
            facts.append(_FACT_READERS[name])
        else:
            order[side].append(name)
            readers[side].append(_SIDE_READERS[what])
    payers, payees, terminals = (tuple(readers[side]) for side in SIDES)
    fact_readers = tuple(facts)
    found = [name for side in (*SIDES, "") for name in order[side]]
    places = None if found == list(names) else [found.index(name) for name in names]

    def extract(
        payer: Window, payee: Window, terminal: Window, amount: int, time: int, tag: bytes
    ) -> Vector:
        values = [read(payer) for read in payers]
        values += [read(payee) for read in payees]
        values += [read(terminal) for read in terminals]
        values += [read(payer, payee, terminal, amount, time, tag) for read in fact_readers]
        return tuple(values if places is None else [values[place] for place in places])

    return extract


def vector(
    payer: Window,
    payee: Window,
    amount_units: int,
    booked_at_ms: int,
    *,
    terminal: Window = ABSENT,
    tag: bytes = b"",
) -> Vector:
    """Return all features of a payment, in the order of `FEATURES`.

    Args:
        payer: What the payer paid before, its window as payer.
        payee: What the payee was paid before, its window as payee.
        amount_units: 1 to 2^63 - 1.
        booked_at_ms: Time of the payment, above 0.
        terminal: What was paid at the terminal before, its window.
        tag: The payee's tag.
    """
    payer, payee = advance(payer, booked_at_ms), advance(payee, booked_at_ms)
    terminal = advance(terminal, booked_at_ms)
    return extractor(FEATURES)(payer, payee, terminal, amount_units, booked_at_ms, tag)


def _mean(window: Window, days: int) -> int:
    count = sum(window.day_counts[-1 - days :])
    return sum(window.day_sums[-1 - days :]) // count if count else 0


def _fraud_count(window: Window, days: int) -> int:
    return sum(window.fraud_counts[-LABEL_DELAY_DAYS - days : -LABEL_DELAY_DAYS])


def _fraud_ppm(window: Window, days: int) -> int:
    """Return the delayed share of frauds; at most all, where late bookings blur the days."""
    frauds = sum(window.fraud_counts[-LABEL_DELAY_DAYS - days : -LABEL_DELAY_DAYS])
    if not frauds:
        return 0
    count = sum(window.day_counts[-LABEL_DELAY_DAYS - days : -LABEL_DELAY_DAYS])
    return min(frauds * 1_000_000 // count, 1_000_000) if count else 0


def _since_last_s(window: Window, booked_at_ms: int) -> int:
    last_ms = window.last_ms
    return (booked_at_ms - last_ms) // 1000 if 0 < last_ms < booked_at_ms else 0


def _over_mean_ppm(window: Window, amount_units: int) -> int:
    mean = _mean(window, 30)
    return min(amount_units * 1_000_000 // mean, RATIO_PPM_MAX) if mean else 0


_SIDE_READERS: Final[dict[str, _SideReader]] = {
    "count_10m": lambda w: sum(w.slot_counts[-3:]),
    "count_30m": lambda w: sum(w.slot_counts),
    "count_1h": lambda w: sum(w.hour_counts[-2:]),
    "count_24h": lambda w: sum(w.hour_counts),
    "count_7d": lambda w: sum(w.day_counts[-8:]),
    "count_30d": lambda w: sum(w.day_counts[-31:]),
    "sum_1h": lambda w: sum(w.hour_sums[-2:]),
    "sum_24h": lambda w: sum(w.hour_sums),
    "sum_7d": lambda w: sum(w.day_sums[-8:]),
    "sum_30d": lambda w: sum(w.day_sums[-31:]),
    "mean_1d": lambda w: _mean(w, 1),
    "mean_7d": lambda w: _mean(w, 7),
    "mean_30d": lambda w: _mean(w, 30),
    "first_seen": lambda w: 0 if w.last_ms else 1,
    "distinct_1d": lambda w: distinct(w, 1),
    "distinct_7d": lambda w: distinct(w, 7),
    "distinct_30d": lambda w: distinct(w, 30),
    "fraud_count_1d": lambda w: _fraud_count(w, 1),
    "fraud_count_7d": lambda w: _fraud_count(w, 7),
    "fraud_count_30d": lambda w: _fraud_count(w, 30),
    "fraud_ppm_1d": lambda w: _fraud_ppm(w, 1),
    "fraud_ppm_7d": lambda w: _fraud_ppm(w, 7),
    "fraud_ppm_30d": lambda w: _fraud_ppm(w, 30),
}
"""Features of one side, from its window advanced to the payment's time."""

_FACT_READERS: Final[dict[str, _FactReader]] = {
    "amount_units": lambda _p, _q, _t, amount, _time, _tag: amount,
    "hour_of_day": lambda _p, _q, _t, _amount, time, _tag: time // HOUR_MS % 24,
    "is_night": lambda _p, _q, _t, _amount, time, _tag: (
        1 if time // HOUR_MS % 24 < NIGHT_END_HOUR else 0
    ),
    # 1 January 1970 was a Thursday.
    "is_weekend": lambda _p, _q, _t, _amount, time, _tag: 1 if (time // DAY_MS + 3) % 7 >= 5 else 0,
    "payer_since_last_s": lambda p, _q, _t, _amount, time, _tag: _since_last_s(p, time),
    "payee_since_last_s": lambda _p, q, _t, _amount, time, _tag: _since_last_s(q, time),
    "terminal_since_last_s": lambda _p, _q, t, _amount, time, _tag: _since_last_s(t, time),
    "pair_first_seen": lambda p, _q, _t, _amount, _time, tag: 0 if tag in p.partners else 1,
    "amount_over_payer_mean_ppm": lambda p, _q, _t, amount, _time, _tag: _over_mean_ppm(p, amount),
    "amount_over_payee_mean_ppm": lambda _p, q, _t, amount, _time, _tag: _over_mean_ppm(q, amount),
    "amount_over_terminal_mean_ppm": (
        lambda _p, _q, t, amount, _time, _tag: _over_mean_ppm(t, amount)
    ),
}
"""Features of the payment beside its sides."""
