"""Fixed-point integers against exact fractions and against the real logistic function."""

import math
from decimal import Decimal, localcontext
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from cairn.primitives.errors import FixedPointError
from cairn.primitives.fixed import (
    BPS,
    HALVING_LIMIT,
    HALVING_TABLE,
    INT64_MAX,
    INT64_MIN,
    PPM,
    SIGMOID_LIMIT,
    SIGMOID_TABLE,
    Rounding,
    bps_of,
    ceil_div,
    check_int64,
    check_ppm,
    floor_div,
    halving_ppm,
    mul_div,
    ppm_of,
    ratio_ppm,
    round_half_even_div,
    sigmoid_ppm,
)

INT64 = st.integers(INT64_MIN, INT64_MAX)
POSITIVE = st.integers(1, INT64_MAX)


@settings(max_examples=300, deadline=None)
@given(INT64, POSITIVE)
@example(INT64_MIN, 1)
@example(-7, 2)
@example(-5, 2)
@example(5, 2)
@example(7, 2)
def test_divisions_round_as_they_say(numerator: int, denominator: int) -> None:
    exact = Fraction(numerator, denominator)
    assert floor_div(numerator, denominator) == math.floor(exact)
    assert ceil_div(numerator, denominator) == math.ceil(exact)
    assert round_half_even_div(numerator, denominator) == round(exact)


@settings(max_examples=300, deadline=None)
@given(INT64, INT64, POSITIVE)
def test_mul_div_rounds_once_and_is_checked(value: int, numerator: int, denominator: int) -> None:
    exact = Fraction(value * numerator, denominator)
    for rounding, rounded in (
        (Rounding.FLOOR, math.floor(exact)),
        (Rounding.CEIL, math.ceil(exact)),
        (Rounding.HALF_EVEN, round(exact)),
    ):
        if INT64_MIN <= rounded <= INT64_MAX:
            assert mul_div(value, numerator, denominator, rounding=rounding) == rounded
        else:
            with pytest.raises(FixedPointError):
                mul_div(value, numerator, denominator, rounding=rounding)


@pytest.mark.parametrize("denominator", [0, -1, INT64_MIN])
@pytest.mark.parametrize("division", [floor_div, ceil_div, round_half_even_div])
def test_a_denominator_is_positive(division: object, denominator: int) -> None:
    assert callable(division)
    with pytest.raises(FixedPointError):
        division(1, denominator)


def test_the_range_of_int64() -> None:
    assert check_int64(INT64_MAX) == INT64_MAX
    assert check_int64(INT64_MIN) == INT64_MIN
    for value in (INT64_MAX + 1, INT64_MIN - 1):
        with pytest.raises(FixedPointError):
            check_int64(value)


def test_shares() -> None:
    assert ppm_of(1_000, 1_500, rounding=Rounding.FLOOR) == 1
    assert ppm_of(1_000, 1_500, rounding=Rounding.CEIL) == 2
    assert ppm_of(1_000, 1_500, rounding=Rounding.HALF_EVEN) == 2
    assert bps_of(10_000, 25, rounding=Rounding.FLOOR) == 25
    assert bps_of(-1, 1, rounding=Rounding.FLOOR) == -1
    assert bps_of(INT64_MAX, BPS, rounding=Rounding.CEIL) == INT64_MAX
    assert ratio_ppm(1, 3, rounding=Rounding.FLOOR) == 333_333
    assert ratio_ppm(2, 3, rounding=Rounding.CEIL) == 666_667
    assert ratio_ppm(0, 0 + 1, rounding=Rounding.CEIL) == 0
    with pytest.raises(FixedPointError):
        ratio_ppm(1, 0, rounding=Rounding.FLOOR)


def test_parts_per_million() -> None:
    assert [check_ppm(value) for value in (0, 1, PPM)] == [0, 1, PPM]
    for value in (-1, PPM + 1):
        with pytest.raises(FixedPointError):
            check_ppm(value)


def logistic(raw: int) -> float:
    """Return the real function, computed where floats are precise."""
    x = raw / 2**32
    if x < 0:
        power = math.exp(x)
        return 1e6 * power / (1 + power)
    return 1e6 / (1 + math.exp(-x))


def test_sigmoid_is_close_and_monotone_on_a_dense_grid() -> None:
    previous, worst = 0, 0.0
    step = 2**21 + 1009  # not a divisor of the table's step, so that all fractions occur
    for raw in range(-17 << 32, 17 << 32, step):
        ppm = sigmoid_ppm(raw)
        assert ppm >= previous
        worst = max(worst, abs(ppm - logistic(raw)))
        previous = ppm
    assert worst < 0.69
    assert worst > 0.5, "the grid is too coarse to see the error that the docstring states"


def test_sigmoid_is_monotone_across_every_step_of_the_table() -> None:
    for index in range(1, len(SIGMOID_TABLE)):
        edge = index << 24
        around = [sigmoid_ppm(edge + offset) for offset in (-2, -1, 0, 1, 2)]
        assert around == sorted(around)
        assert around[-1] - around[0] <= 1


def test_sigmoid_at_its_landmarks() -> None:
    assert sigmoid_ppm(0) == PPM // 2
    assert sigmoid_ppm(INT64_MAX) == sigmoid_ppm(SIGMOID_LIMIT + 1) == PPM
    assert sigmoid_ppm(INT64_MIN) == sigmoid_ppm(-SIGMOID_LIMIT - 1) == 0
    assert sigmoid_ppm(1 << 32) == 731_059
    assert sigmoid_ppm(-1 << 32) == 268_941
    for raw in (INT64_MAX + 1, INT64_MIN - 1):
        with pytest.raises(FixedPointError):
            sigmoid_ppm(raw)


@settings(max_examples=300, deadline=None)
@given(INT64)
def test_sigmoid_mirrors_and_stays_in_range(raw: int) -> None:
    ppm = sigmoid_ppm(raw)
    assert 0 <= ppm <= PPM
    if raw > INT64_MIN:
        assert sigmoid_ppm(-raw) == PPM - ppm
    assert abs(ppm - logistic(raw)) < 0.69


def test_the_table_is_the_rounded_function() -> None:
    assert len(SIGMOID_TABLE) == 4097
    assert list(SIGMOID_TABLE) == sorted(SIGMOID_TABLE)
    for index in range(0, 4097, 17):
        exact = logistic(index << 24) * 2**24
        assert abs(SIGMOID_TABLE[index] - exact) < 0.01 * 2**10  # what a float can tell


def sigmoid_ppm_array(raw: np.ndarray) -> np.ndarray:
    """The recipe of the module's docstring, on int64 arrays with overflow as an error."""
    table = np.array(SIGMOID_TABLE, dtype=np.int64)
    magnitude = np.abs(np.minimum(np.maximum(raw, -SIGMOID_LIMIT), SIGMOID_LIMIT))
    index = magnitude >> 24
    fraction = magnitude & (2**24 - 1)
    low, high = table[index], table[index + 1]
    assert int(np.max((high - low).astype(object) * fraction)) < 2**58
    ppm = (low + ((high - low) * fraction >> 24) + 2**23) >> 24
    result: np.ndarray = np.where(raw < 0, PPM - ppm, ppm)
    return result


def test_the_recipe_for_arrays_gives_the_same_bits() -> None:
    raws = [
        INT64_MIN, INT64_MIN + 1, INT64_MAX, -1, 0, 1, SIGMOID_LIMIT, -SIGMOID_LIMIT,
        *range(-17 << 32, 17 << 32, (1 << 26) + 77_777),
    ]  # fmt: skip
    array = sigmoid_ppm_array(np.array(raws, dtype=np.int64))
    assert array.dtype == np.int64
    assert array.tolist() == [sigmoid_ppm(raw) for raw in raws]


def power_of_two_ppm(raw: int) -> Decimal:
    """2^-x in ppm to forty digits, for x = raw * 2^-32."""
    with localcontext() as context:
        context.prec = 40
        return 1_000_000 * Decimal(2) ** (-Decimal(raw) / 2**32)


def test_halving_is_close_and_monotone_on_a_dense_grid() -> None:
    previous, worst = PPM, Decimal(0)
    fine = range(0, 1 << 27, (1 << 17) + 77)  # where the table's interpolation is worst
    for raw in (*fine, *range(1 << 27, 23 << 32, (1 << 25) + 1009)):
        ppm = halving_ppm(raw)
        assert ppm <= previous
        worst = max(worst, abs(ppm - power_of_two_ppm(raw)))
        previous = ppm
    assert Decimal("0.5") < worst < Decimal("0.56"), "the bound that the docstring states"


def test_halving_is_monotone_across_every_step_of_the_table() -> None:
    for whole in (0, 1, 2, 19, 20, 21):
        for index in range(0, 1025, 1 if whole < 2 else 64):
            edge = (whole << 32) + (index << 22)
            around = [halving_ppm(max(edge + offset, 0)) for offset in (-2, -1, 0, 1, 2)]
            assert around == sorted(around, reverse=True)
            assert around[0] - around[-1] <= 1


def test_halving_at_its_landmarks() -> None:
    assert [halving_ppm(whole << 32) for whole in (0, 1, 2, 6)] == [PPM, 500_000, 250_000, 15_625]
    assert halving_ppm(1 << 31) == 707_107
    assert halving_ppm(HALVING_LIMIT) == halving_ppm(HALVING_LIMIT + 1) == 0
    assert halving_ppm(INT64_MAX) == 0
    for raw in (-1, INT64_MIN, INT64_MAX + 1):
        with pytest.raises(FixedPointError):
            halving_ppm(raw)


def test_the_table_of_halvings_is_the_rounded_function() -> None:
    assert len(HALVING_TABLE) == 1025
    for index in range(1025):
        exact = power_of_two_ppm(index << 22) * 2**24
        assert abs(HALVING_TABLE[index] - exact) <= Decimal("0.5")


def test_the_recipe_of_halvings_for_arrays_gives_the_same_bits() -> None:
    raws = [0, 1, INT64_MAX, HALVING_LIMIT, *range(0, 23 << 32, (1 << 24) + 77_777)]
    table = np.array(HALVING_TABLE, np.int64)
    clipped = np.minimum(np.maximum(np.array(raws, np.int64), 0), HALVING_LIMIT)
    whole = clipped >> 32
    index = clipped >> 22 & 1023
    fraction = clipped & (2**22 - 1)
    low, high = table[index], table[index + 1]
    assert int(np.max(np.abs((high - low).astype(object) * fraction))) < 2**56
    result = (low + ((high - low) * fraction >> 22) + (2**23 << whole)) >> (24 + whole)
    assert result.dtype == np.int64
    assert result.tolist() == [halving_ppm(raw) for raw in raws]
