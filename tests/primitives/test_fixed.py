"""Fixed-point integers against exact fractions and against the real logistic function."""

import math
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from cairn.primitives.errors import FixedPointError
from cairn.primitives.fixed import (
    BPS,
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
