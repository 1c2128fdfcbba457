"""Values as people have them: the same inputs as the arrays of a conversion, and clear refusals."""

import struct
from fractions import Fraction
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from cairn.exact.errors import ModelInputError
from cairn.exact.inputs import format_value, parse_value
from cairn.exact.models import (
    FLOAT32_KEY_MAX,
    FLOAT32_KEY_MIN,
    MISSING,
    UNKNOWN_CATEGORY,
    Feature,
    is_input,
)
from tests.exact.model_cases import inputs_of

WHOLE = Feature("count", "integer")
SCALED = Feature("share", "integer", 30)
RATIO = Feature("ratio", "float32")
COLOUR = Feature("colour", "category", 0, ("red", "green", "dark green", "5", "True"))
MAYBE = (
    Feature("count", "integer", nullable=True),
    Feature("ratio", "float32", nullable=True),
    Feature("colour", "category", 0, ("red", "NA"), nullable=True, unknown_allowed=True),
)


def key_of(value: float) -> int:
    """The key of the nearest float32, by the hardware's rounding."""
    with np.errstate(over="ignore"):
        bits = struct.unpack("<i", struct.pack("<f", np.float32(value)))[0]
    return 0 if bits == -(2**31) else bits ^ ((bits >> 31) & 0x7FFFFFFF)


@settings(max_examples=400, deadline=None)
@given(st.floats(allow_nan=False))
@example(-0.0)
@example(2.0**-150)
@example(2.0**-149)
@example(3.0 * 2.0**-150)
@example(3.4028235677973366e38)
@example(3.4028235677973362e38)
@example(float("inf"))
@example(16777217.0)
def test_float32_rounds_as_the_hardware_does(value: float) -> None:
    expected = key_of(value)
    assert parse_value(RATIO, value) == expected
    assert parse_value(RATIO, repr(value)) == expected
    assert parse_value(RATIO, np.float64(value)) == expected
    assert parse_value(RATIO, format_value(RATIO, expected)) == expected


@settings(max_examples=200, deadline=None)
@given(st.floats(-(2.0**32), 2.0**32))
@example(0.1)
@example(2.0**-31)
@example(3 * 2.0**-31)
def test_scaled_integers_round_half_to_even(value: float) -> None:
    expected = int(np.rint(np.ldexp(value, 30)))
    assert parse_value(SCALED, value) == expected
    assert parse_value(SCALED, f"{value!r}") == expected


@settings(max_examples=300, deadline=None)
@given(st.data())
def test_every_input_reads_back(data: st.DataObject) -> None:
    features = (*MAYBE, WHOLE, SCALED, Feature("fine", "integer", 40), RATIO)
    feature = data.draw(st.sampled_from(features))
    value = data.draw(inputs_of(feature))
    text = format_value(feature, value)
    assert text
    if feature.scale_bits and abs(value) >= 2**53:
        assert Fraction(text) == Fraction(value, 2**feature.scale_bits)
    elif feature.kind != "category" or value >= 0:
        assert parse_value(feature, "" if value == MISSING else text) == value


@pytest.mark.parametrize(
    ("feature", "value", "expected"),
    [
        (WHOLE, 3, 3),
        (WHOLE, True, 1),
        (WHOLE, " -7 ", -7),
        (WHOLE, "+1.50e2", 150),
        (WHOLE, 4.0, 4),
        (WHOLE, "9223372036854775807", 2**63 - 1),
        (WHOLE, np.int64(5), 5),
        (WHOLE, np.uint8(5), 5),
        (SCALED, "0.5", 2**29),
        (SCALED, np.float32(0.5), 2**29),
        (RATIO, ".5", key_of(0.5)),
        (RATIO, "-inf", FLOAT32_KEY_MIN),
        (RATIO, "1e999", FLOAT32_KEY_MAX),
        (RATIO, "1e-999", 0),
        (COLOUR, "green", 1),
        (COLOUR, " green", 1),
        (COLOUR, np.str_("red"), 0),
        (COLOUR, 5, 3),
        (COLOUR, 5.0, 3),
        (COLOUR, True, 4),
        *[(MAYBE[0], value, MISSING) for value in (None, float("nan"), "", " NaN", "n/a", pd.NA)],
        *[(MAYBE[1], value, MISSING) for value in (None, np.float32("nan"), "null", pd.NaT)],
        *[(MAYBE[2], value, MISSING) for value in (None, float("nan"), "", "  ")],
        (MAYBE[2], "NA", 1),
        (MAYBE[2], "blue", UNKNOWN_CATEGORY),
        (MAYBE[2], 7, UNKNOWN_CATEGORY),
    ],
)
def test_values_become_inputs(feature: Feature, value: Any, expected: int) -> None:
    assert parse_value(feature, value) == expected
    assert is_input(feature, expected)


@pytest.mark.parametrize(
    ("feature", "value", "reason"),
    [
        (WHOLE, "twelve", "'twelve' is no number; write one such as"),
        (WHOLE, "1,5", "no number"),
        (WHOLE, "1_000", "no number"),
        (WHOLE, "\u0663", "no number"),
        (WHOLE, "0x10", "no number"),
        (WHOLE, ".", "no number"),
        (WHOLE, "1" * 401, "no number"),
        (WHOLE, [1], "no number"),
        (WHOLE, 2.5, "2.5 is no whole number"),
        (WHOLE, "1e-1", "1e-1 is no whole number"),
        (WHOLE, 2**63, "does not fit: .* below 2\\^63"),
        (WHOLE, -(2**63), "does not fit"),
        (WHOLE, float("inf"), "does not fit"),
        (WHOLE, None, "missing, and this input is always given"),
        (WHOLE, float("nan"), "missing, and this input is always given"),
        (SCALED, 2**33, "below 2\\^33"),
        (RATIO, "", "missing"),
        (COLOUR, "gren", "'gren' is an unknown category; did you mean 'green'.* Known: red, green"),
        (COLOUR, "blue", "'blue' is an unknown category. Known: red, green, dark green, 5, True"),
        (COLOUR, "", "missing"),
        (COLOUR, None, "missing"),
        (Feature("c", "category", 0, tuple(map(str, range(40)))), "x", "… \\(40 in all\\)"),
    ],
)
def test_a_value_that_is_no_input_is_refused_with_what_to_do(
    feature: Feature, value: Any, reason: str
) -> None:
    with pytest.raises(ModelInputError, match=reason):
        parse_value(feature, value)


def test_inputs_are_written_as_people_write_them() -> None:
    maybe_count, maybe_ratio, maybe_colour = MAYBE
    for feature, value, text in (
        (WHOLE, -12, "-12"),
        (SCALED, 2**29, "0.5"),
        (SCALED, -(2**30) - 2**28, "-1.25"),
        (Feature("tenth", "integer", 20), round(0.1 * 2**20), "0.1"),
        (RATIO, key_of(0.1), "0.1"),
        (RATIO, key_of(-1234.5), "-1234.5"),
        (RATIO, FLOAT32_KEY_MIN, "-inf"),
        (maybe_count, MISSING, "missing"),
        (maybe_ratio, MISSING, "missing"),
        (maybe_colour, UNKNOWN_CATEGORY, "unknown"),
        (COLOUR, 2, "dark green"),
    ):
        assert format_value(feature, value) == text
    with pytest.raises(ModelInputError, match="colour: 9 is not the index"):
        format_value(COLOUR, 9)
