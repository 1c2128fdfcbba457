"""Numbers as people read them, and round places for the ticks of an axis."""

import math
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from typing import Final

from cairn.pages.errors import PageError

MAGNITUDE_MAX: Final = 1e300
"""Larger numbers are refused: their differences would not be finite."""
MAGNITUDE_MIN: Final = 1e-290
"""Differences that are smaller count as none."""
THIN_SPACE: Final = "\u202f"
_STEPS: Final = (1.0, 2.0, 5.0, 10.0)
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_UNITS: Final = ((1e12, "T"), (1e9, "G"), (1e6, "M"))


def checked(values: Iterable[float], what: str) -> list[float]:
    """Return `values` as floats.

    Raises:
        PageError: One is NaN, infinite or beyond `MAGNITUDE_MAX`.
    """
    numbers = [float(value) for value in values]
    for number in numbers:
        if not abs(number) <= MAGNITUDE_MAX:
            raise PageError(f"{what}: {number} cannot be drawn")
    return numbers


def nice_ticks(low: float, high: float, count: int = 5) -> list[float]:
    """Return about `count` round numbers that reach from at most `low` to at least `high`.

    >>> nice_ticks(0, 93)
    [0.0, 20.0, 40.0, 60.0, 80.0, 100.0]
    """
    if high - low <= MAGNITUDE_MIN:
        spread = abs(low) * 0.1 or 1.0
        low, high = low - spread, high + spread
    raw = (high - low) / max(1, count)
    power = 10.0 ** math.floor(math.log10(raw))
    step = next(power * part for part in _STEPS if power * part >= raw * 0.999_999)
    first = math.floor(low / step + 1e-9)
    last = math.ceil(high / step - 1e-9)
    return [_rounded(place * step, step) for place in range(first, last + 1)]


def _rounded(value: float, step: float) -> float:
    digits = 1 - math.floor(math.log10(step)) if step > 0 else 0
    return round(value, digits) if -300 < digits < 300 else value


def number(value: float) -> str:
    """Return a number as a table shows it: thousands apart, at most four decimal places.

    >>> number(1234567).replace(THIN_SPACE, " "), number(0.25), number(1e20)
    ('1 234 567', '0.25', '1e+20')
    """
    if isinstance(value, int):
        return f"{value:,}".replace(",", THIN_SPACE)
    if not math.isfinite(value):
        return str(value)
    if abs(value) >= 1e15 or 0 < abs(value) < 1e-4:
        return f"{value:.4g}"
    text = f"{value:,.4f}".rstrip("0").rstrip(".")
    return text.replace(",", THIN_SPACE)


def short(value: float) -> str:
    """Return a number for a tick or a bar: four significant digits, large ones with a letter.

    >>> short(2_500_000), short(0.30000000000000004), short(5e17)
    ('2.5\u202fM', '0.3', '5e+17')
    """
    magnitude = abs(value)
    if magnitude >= 1e15:
        return f"{value:.3g}"
    for size, letter in _UNITS:
        if magnitude >= size:
            return f"{value / size:.4g}{THIN_SPACE}{letter}"
    if magnitude >= 1000:
        return f"{value:,.0f}".replace(",", THIN_SPACE)
    return f"{value:.4g}"


def percent(share: float, places: int = 1) -> str:
    """Return a share as a percentage.

    >>> percent(0.1234)
    '12.3 %'
    """
    return f"{share * 100:.{places}f} %"


def day_text(day: int) -> str:
    """Return the date of a day, counted from 1 January 1970.

    >>> day_text(0)
    '1970-01-01'
    """
    try:
        return (_EPOCH + timedelta(days=day)).date().isoformat()
    except OverflowError as error:
        raise PageError(f"day {day} is no date") from error
