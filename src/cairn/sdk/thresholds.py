"""Thresholds of rules on cases: from what people write to what a model's inputs are, and back.

Numbers and categories become what `exact.inputs` makes of them. Only a whole number that is
compared with a fraction needs more: above 2.5 is above 2, and at least 2.5 is at least 3.
"""

from fractions import Fraction
from math import ceil, floor, isfinite

from cairn.exact.errors import ModelInputError
from cairn.exact.inputs import format_value, parse_value
from cairn.exact.rules import Operator
from cairn.exact.schema import MISSING, Feature

ORDERED: tuple[Operator, ...] = ("<", "<=", ">", ">=")
"""Operators that only numbers have."""


class ThresholdError(ValueError):
    """The value cannot be compared with this input; the message says why."""


def threshold_of(feature: Feature, operator: Operator, value: object) -> int:
    """Return the integer with which an input is compared.

    Raises:
        ThresholdError: The input is of another kind, or has no such value.
    """
    if feature.kind == "category":
        return _category(feature, operator, value)
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        raise ThresholdError(f"{feature.name} is a number, and {value!r} is none")
    is_whole = feature.kind == "integer" and not feature.scale_bits
    if is_whole and isinstance(value, float) and isfinite(value) and not value.is_integer():
        if operator not in ORDERED:
            raise ThresholdError(f"{feature.name} is a whole number and never equals {value}")
        value = floor(Fraction(value)) if operator in (">", "<=") else ceil(Fraction(value))
    try:
        found = parse_value(feature, value)
    except ModelInputError as error:
        raise ThresholdError(str(error)) from error
    if found == MISSING:
        raise ThresholdError(f"{value} is not a number")
    return found


def show_threshold(feature: Feature, value: int) -> int | float | str:
    """Return how people write a value of an input; `threshold_of` of it gives the value back."""
    text = format_value(feature, value)
    if feature.kind == "category":
        return text
    number = int(text) if text.lstrip("-").isdigit() else float(text)
    return number if parse_value(feature, number) == value else text


def _category(feature: Feature, operator: Operator, value: object) -> int:
    if operator in ORDERED:
        raise ThresholdError(f"{feature.name} is a category, and categories have no order")
    text = str(value) if isinstance(value, int | float | str) else None
    if text is None or text not in feature.categories:
        raise ThresholdError(f"{feature.name} has no category {value!r}")
    return feature.categories.index(text)
