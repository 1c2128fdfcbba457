"""Amounts, times, spans and ids as people write and read them."""

import re
from datetime import UTC, datetime, timedelta

from cairn.sdk.errors import UsageError

UNITS_MAX = 2**63 - 1
_TIME_MS_MAX = 253_402_300_799_999
"""The last millisecond of the year 9999."""
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_AMOUNT = re.compile(r"([0-9]{1,19})(?:\.([0-9]{1,18}))?", re.ASCII)
_SPAN = re.compile(r"([0-9]{1,12})(ms|s|m|h|d)", re.ASCII)
_SPANS_MS = {"ms": 1, "s": 1_000, "m": 60_000, "h": 3_600_000, "d": 86_400_000}
_SHARE = re.compile(r"([0-9]{1,3})(?:\.([0-9]{1,4}))? ?(%)?")


def parse_amount(text: str, decimals: int) -> int:
    """Return an amount in the asset's smallest unit.

    >>> parse_amount("12.5", 2)
    1250

    Raises:
        UsageError: Not a positive number, more decimals than the asset has, or too large.
    """
    match = _AMOUNT.fullmatch(text)
    if match is None:
        raise UsageError(f"{text!r} is not an amount", "write digits and a point, such as 12.50")
    whole, fraction = match[1], match[2] or ""
    if len(fraction) > decimals:
        raise UsageError(
            f"{text} has more than {decimals} decimals", "the asset has no smaller unit"
        )
    units: int = int(whole) * 10**decimals + int(fraction.ljust(decimals, "0") or "0")
    if not 0 < units <= UNITS_MAX:
        raise UsageError(f"{text} is out of bounds", "write an amount above zero")
    return units


def format_amount(units: int, decimals: int) -> str:
    """Return an amount with its point where people write it.

    >>> format_amount(1250, 2)
    '12.50'
    """
    if not decimals:
        return str(units)
    whole, rest = divmod(abs(units), 10**decimals)
    return f"{'-' if units < 0 else ''}{whole}.{rest:0{decimals}d}"


def format_time(time_ms: int) -> str:
    """Return a time in ISO 8601, UTC; nothing for 0.

    >>> format_time(1_767_225_600_000)
    '2026-01-01T00:00:00.000Z'
    """
    if not time_ms:
        return ""
    if not 0 <= time_ms <= _TIME_MS_MAX:
        return f"{time_ms} ms"
    at = _EPOCH + timedelta(milliseconds=time_ms)
    return at.strftime("%Y-%m-%dT%H:%M:%S.") + f"{time_ms % 1000:03d}Z"


def parse_time(text: str) -> int:
    """Return a time in milliseconds since the epoch; without an offset it is UTC.

    >>> parse_time("2026-01-01")
    1767225600000
    >>> parse_time("2026-01-01T01:00:00+01:00")
    1767225600000

    Raises:
        UsageError: Not ISO 8601, or before 1970.
    """
    hint = "write 2026-01-31, 2026-01-31T12:00:00Z"
    try:
        at = datetime.fromisoformat(text)
    except ValueError as error:
        raise UsageError(f"{text!r} is not a time", hint) from error
    if at.tzinfo is None:
        at = at.replace(tzinfo=UTC)
    time_ms = (at - _EPOCH) // timedelta(milliseconds=1)
    if not 0 <= time_ms <= _TIME_MS_MAX:
        raise UsageError(f"{text!r} is out of bounds", hint)
    return time_ms


def parse_until(text: str, now_ms: int) -> int:
    """Return a time that is given as such, or as a span from now.

    >>> parse_until("24h", 1000)
    86401000
    """
    match = _SPAN.fullmatch(text)
    if match is not None:
        return now_ms + int(match[1]) * _SPANS_MS[match[2]]
    try:
        return parse_time(text)
    except UsageError as error:
        raise UsageError(str(error), error.hint + ", or a span such as 24h or 7d") from error


def parse_hex(text: str, size_bytes: int, what: str) -> bytes:
    r"""Return bytes written in hex.

    >>> parse_hex("00ff", 2, "a mark")
    b'\x00\xff'

    Raises:
        UsageError: Not hex, or of another length.
    """
    try:
        raw = bytes.fromhex(text)
    except ValueError as error:
        raise UsageError(f"{text!r} is not {what}", f"write {2 * size_bytes} hex digits") from error
    if len(raw) != size_bytes:
        raise UsageError(f"{text!r} is not {what}", f"write {2 * size_bytes} hex digits")
    return raw


def parse_share(text: str) -> int:
    """Return a share in parts per million.

    >>> parse_share("5%"), parse_share("0.5 %"), parse_share("0")
    (50000, 5000, 0)

    Raises:
        UsageError: Not a percentage from 0 to 100 with at most four decimals.
    """
    match = _SHARE.fullmatch(text)
    if match is not None:
        ppm = int(match[1]) * 10_000 + int((match[2] or "").ljust(4, "0"))
        if ppm <= 1_000_000 and (match[3] or not ppm):
            return ppm
    raise UsageError(f"{text!r} is not a share", "write a percentage, such as 5% or 0.5%")
