"""Fixed-point integers: every division says how it rounds, every result fits in int64.

Consensus holds fractions as integers with a fixed denominator: parts per million (`ppm`) for
scores, basis points (`bps`) for fees and quorums, multiples of 2^-32 for raw model outputs.

`sigmoid_ppm` is the logistic function on integers. Over |x| < 16 it interpolates linearly between
4,097 table values 1/256 apart, held as ppm at 2^-24, and rounds half up; beyond that it is 0 or
1,000,000. Negative inputs mirror: `sigmoid_ppm(-x) == PPM - sigmoid_ppm(x)`. It is monotone, and
the largest error against the real function is below 0.69 ppm: 0.50 from rounding and, at
|x| = 1.3, 0.19 from the interpolation ((1/256)^2 / 8 * 0.0963). The table is computed at import
with integers of 160 fractional bits, so it is the same everywhere.

To vectorise it bit for bit, do the same on int64 arrays; no step leaves int64 (the largest, the
product, stays below 2^58):

    clipped   = minimum(maximum(raw, -SIGMOID_LIMIT), SIGMOID_LIMIT)
    magnitude = abs(clipped)
    index     = magnitude >> 24
    fraction  = magnitude & (2**24 - 1)
    low, high = table[index], table[index + 1]
    ppm       = (low + ((high - low) * fraction >> 24) + 2**23) >> 24
    result    = where(raw < 0, PPM - ppm, ppm)

`halving_ppm` is 2^-x on integers, the score of an isolation forest. The whole part of x shifts, for
the rest it interpolates linearly between 1,025 table values 1/1024 apart, held as ppm at 2^-24, and
rounds half up once; from x = 22 on it is 0. It is monotone, and the largest error is below 0.56
ppm: 0.50 from rounding and, at x = 0, 0.06 from the interpolation ((1/1024)^2 / 8 * ln(2)^2).
To vectorise it, again without leaving int64 (the product stays below 2^56):

    clipped   = minimum(maximum(raw, 0), HALVING_LIMIT)
    whole     = clipped >> 32
    index     = clipped >> 22 & 1023
    fraction  = clipped & (2**22 - 1)
    low, high = table[index], table[index + 1]
    result    = (low + ((high - low) * fraction >> 22) + (2**23 << whole)) >> (24 + whole)
"""

from enum import Enum

from cairn.primitives.errors import FixedPointError

INT64_MAX = 2**63 - 1
INT64_MIN = -(2**63)

PPM = 1_000_000
"""Parts per million in one."""

BPS = 10_000
"""Basis points in one."""

RAW_BITS = 32
"""Fractional bits of a raw model output."""


class Rounding(Enum):
    """Where a quotient goes that is not whole."""

    FLOOR = "floor"
    CEIL = "ceil"
    HALF_EVEN = "half_even"


def check_int64(value: int) -> int:
    """Return `value` if it fits in a signed 64-bit integer.

    Raises:
        FixedPointError: It does not.
    """
    if not INT64_MIN <= value <= INT64_MAX:
        raise FixedPointError("the value does not fit in 64 bits")
    return value


def floor_div(numerator: int, denominator: int) -> int:
    """Return the quotient rounded towards minus infinity.

    Raises:
        FixedPointError: The denominator is not positive, or the quotient does not fit in 64 bits.
    """
    _check_denominator(denominator)
    return check_int64(numerator // denominator)


def ceil_div(numerator: int, denominator: int) -> int:
    """Return the quotient rounded towards plus infinity.

    Raises:
        FixedPointError: As for `floor_div`.
    """
    _check_denominator(denominator)
    return check_int64(-(-numerator // denominator))


def round_half_even_div(numerator: int, denominator: int) -> int:
    """Return the nearest integer to the quotient, the even one of two that are equally near.

    Raises:
        FixedPointError: As for `floor_div`.
    """
    _check_denominator(denominator)
    quotient, remainder = divmod(numerator, denominator)
    twice = 2 * remainder
    if twice > denominator or (twice == denominator and quotient & 1):
        quotient += 1
    return check_int64(quotient)


_DIVISIONS = {
    Rounding.FLOOR: floor_div,
    Rounding.CEIL: ceil_div,
    Rounding.HALF_EVEN: round_half_even_div,
}


def mul_div(value: int, numerator: int, denominator: int, *, rounding: Rounding) -> int:
    """Return `value * numerator / denominator`, rounded once; the product may exceed 64 bits.

    Raises:
        FixedPointError: As for `floor_div`.
    """
    return _DIVISIONS[rounding](value * numerator, denominator)


def check_ppm(value: int) -> int:
    """Return `value` if it is a share in parts per million, 0 to 1,000,000.

    Raises:
        FixedPointError: It is not.
    """
    if not 0 <= value <= PPM:
        raise FixedPointError("parts per million run from 0 to 1000000")
    return value


def ppm_of(amount: int, share_ppm: int, *, rounding: Rounding) -> int:
    """Return the share `share_ppm` of `amount`."""
    return mul_div(amount, share_ppm, PPM, rounding=rounding)


def bps_of(amount: int, share_bps: int, *, rounding: Rounding) -> int:
    """Return the share `share_bps` of `amount`."""
    return mul_div(amount, share_bps, BPS, rounding=rounding)


def ratio_ppm(part: int, whole: int, *, rounding: Rounding) -> int:
    """Return `part / whole` in parts per million."""
    return mul_div(part, PPM, whole, rounding=rounding)


def _check_denominator(denominator: int) -> None:
    if denominator <= 0:
        raise FixedPointError("the denominator is not positive")


_STEP_BITS = 8
"""The table holds the function at multiples of 2^-8."""

_FRACTION_BITS = RAW_BITS - _STEP_BITS
_FRACTION_MASK = (1 << _FRACTION_BITS) - 1
_VALUE_BITS = 24
"""Fractional bits of a table value, in ppm."""

_VALUE_HALF = 1 << (_VALUE_BITS - 1)
_TABLE_INPUT_MAX = 16

SIGMOID_LIMIT = (_TABLE_INPUT_MAX << RAW_BITS) - 1
"""Raw outputs are clipped to plus and minus this before the table is read."""


_TABLE_BITS = 160
"""Fractional bits of the integers that tables are computed with."""


def _exp_of_negative(exponent: int) -> int:
    """Return e^-x by its alternating series, for 0 < x < 1; both at 2^-160."""
    power = term = 1 << _TABLE_BITS
    order = 0
    while term:
        order += 1
        term = (term * exponent >> _TABLE_BITS) // order
        power += -term if order & 1 else term
    return power


def _make_sigmoid_table() -> tuple[int, ...]:
    """Return round(PPM * 2^24 / (1 + e^-x)) for x = 0, 1/256, 2/256 … 16."""
    one = power = 1 << _TABLE_BITS
    decay = _exp_of_negative(one >> _STEP_BITS)
    table = []
    for _ in range((_TABLE_INPUT_MAX << _STEP_BITS) + 1):
        table.append(round_half_even_div(PPM * one << _VALUE_BITS, one + power))
        power = power * decay >> _TABLE_BITS
    return tuple(table)


SIGMOID_TABLE = _make_sigmoid_table()
"""The table that `sigmoid_ppm` interpolates, 4,097 values of ppm at 2^-24."""


def sigmoid_ppm(raw: int) -> int:
    """Return 1 / (1 + e^-x) in parts per million, 0 to 1,000,000, for x = `raw` * 2^-32.

    The module's docstring states the algorithm, its error and how to vectorise it.

    Raises:
        FixedPointError: `raw` does not fit in 64 bits.
    """
    magnitude = min(abs(check_int64(raw)), SIGMOID_LIMIT)
    index = magnitude >> _FRACTION_BITS
    low = SIGMOID_TABLE[index]
    rise = SIGMOID_TABLE[index + 1] - low
    value = low + (rise * (magnitude & _FRACTION_MASK) >> _FRACTION_BITS)
    ppm = (value + _VALUE_HALF) >> _VALUE_BITS
    return PPM - ppm if raw < 0 else ppm


_HALVING_STEP_BITS = 10
"""The table holds the function at multiples of 2^-10, from 0 to 1."""

_HALVING_FRACTION_BITS = RAW_BITS - _HALVING_STEP_BITS
_HALVING_FRACTION_MASK = (1 << _HALVING_FRACTION_BITS) - 1
_HALVING_INDEX_MASK = (1 << _HALVING_STEP_BITS) - 1
_HALVING_INPUT_MAX = 22

HALVING_LIMIT = (_HALVING_INPUT_MAX << RAW_BITS) - 1
"""Raw outputs above this count as this, at which the function is 0 ppm."""


def _make_halving_table() -> tuple[int, ...]:
    """Return round(PPM * 2^24 * 2^-x) for x = 0, 1/1024, 2/1024 … 1."""
    one = power = 1 << _TABLE_BITS
    # ln(2) is the sum of 1 / (k * 2^k).
    ln2 = sum((one >> order) // order for order in range(1, _TABLE_BITS + 1))
    decay = _exp_of_negative(ln2 >> _HALVING_STEP_BITS)
    table = []
    for _ in range((1 << _HALVING_STEP_BITS) + 1):
        table.append(round_half_even_div(PPM * power << _VALUE_BITS, one))
        power = power * decay >> _TABLE_BITS
    return tuple(table)


HALVING_TABLE = _make_halving_table()
"""The table that `halving_ppm` interpolates, 1,025 values of ppm at 2^-24."""


def halving_ppm(raw: int) -> int:
    """Return 2^-x in parts per million, 0 to 1,000,000, for x = `raw` * 2^-32, not negative.

    The module's docstring states the algorithm, its error and how to vectorise it.

    Raises:
        FixedPointError: `raw` is negative or does not fit in 64 bits.
    """
    if raw < 0:
        raise FixedPointError("2^-x is within one only where x is not negative")
    clipped = min(check_int64(raw), HALVING_LIMIT)
    whole = clipped >> RAW_BITS
    index = clipped >> _HALVING_FRACTION_BITS & _HALVING_INDEX_MASK
    low = HALVING_TABLE[index]
    rise = HALVING_TABLE[index + 1] - low
    value = low + (rise * (clipped & _HALVING_FRACTION_MASK) >> _HALVING_FRACTION_BITS)
    return (value + (_VALUE_HALF << whole)) >> (_VALUE_BITS + whole)
