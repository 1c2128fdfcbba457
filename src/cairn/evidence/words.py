"""Facts in words: how times, amounts, shares, ids and records are written in a report."""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

from cairn.modules.data.records import Quality
from cairn.primitives.encoding import Record

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_UNITS_MS = (("day", 86_400_000), ("hour", 3_600_000), ("minute", 60_000), ("second", 1_000))
_TIME_MS_MAX = 253_402_300_799_999
"""The last millisecond of the year 9999."""


def time_words(time_ms: int) -> str:
    """Return a block's time in UTC, to the millisecond."""
    if not 0 <= time_ms <= _TIME_MS_MAX:
        return f"{time_ms} ms after 1970"
    at = _EPOCH + timedelta(milliseconds=time_ms)
    return at.strftime("%Y-%m-%d %H:%M:%S.") + f"{time_ms % 1000:03d} UTC"


def duration_words(span_ms: int) -> str:
    """Return a length of time in its two largest units; what is under a second in milliseconds."""
    told = []
    left_ms = span_ms
    for unit, unit_ms in _UNITS_MS:
        count, left_ms = divmod(left_ms, unit_ms)
        if count:
            told.append(count_words(count, unit))
        if len(told) == 2:
            break
    return " ".join(told) or f"{span_ms} ms"


def amount_words(units: int, asset: str, decimals: int) -> str:
    """Return an amount of an asset with its point where people write it."""
    if not decimals:
        return f"{units:,} {asset}"
    whole, rest = divmod(abs(units), 10**decimals)
    sign = "-" if units < 0 else ""
    return f"{sign}{whole:,}.{rest:0{decimals}d} {asset}"


def share_words(ppm: int) -> str:
    """Return a score in parts per million as a number from 0 to 1 with six digits."""
    sign = "-" if ppm < 0 else ""
    whole, rest = divmod(abs(ppm), 1_000_000)
    return f"{sign}{whole}.{rest:06d}"


def count_words(count: int, one: str, many: str = "") -> str:
    """Return a count with its noun."""
    return f"{count:,} {one if count == 1 else many or one + 's'}"


def list_words(words: Sequence[str]) -> str:
    """Return words joined by commas and a last `and`; `nobody` for none."""
    if not words:
        return "nobody"
    return " and ".join([", ".join(words[:-1]), words[-1]] if len(words) > 1 else list(words))


def record_words(record: Record) -> str:
    """Return a record's fields by name, bytes in hex."""
    fields = record.__struct_fields__  # type: ignore[attr-defined]
    return ", ".join(f"{name}: {value_words(getattr(record, name))}" for name in fields)


def value_words(value: object) -> str:
    """Return a field's value: bytes in hex, long ones shortened."""
    if isinstance(value, bytes):
        text = value.hex()
        return text if len(text) <= 80 else f"{text[:64]}… ({len(value):,} bytes)"
    if isinstance(value, tuple):
        return "[" + ", ".join(value_words(part) for part in value) + "]"
    if isinstance(value, Record):
        return "{" + record_words(value) + "}"
    return "none" if value is None else str(value)


def quality_words(quality: Quality | None) -> str:
    """Return what the owner of a dataset stated about its quality."""
    if quality is None:
        return "its owner stated nothing about its quality"
    leaks = "not looked for" if quality.leaks is None else f"{quality.leaks:,} columns"
    shares = (
        ("missing", quality.missing_ppm),
        ("of the wrong type", quality.type_errors_ppm),
        ("junk columns", quality.junk_columns_ppm),
        ("duplicates", quality.duplicates_ppm),
        ("near duplicates", quality.near_duplicates_ppm),
        ("outliers", quality.outliers_ppm),
    )
    stated = ", ".join(f"{name} {share_words(ppm)}" for name, ppm in shares)
    return (
        f"its owner stated about its quality ({quality.method}): {stated}; columns that give the "
        f"label away: {leaks}"
    )
