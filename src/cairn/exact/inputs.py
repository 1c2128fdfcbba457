"""Values as people and files have them, and the integers that a model reads.

Nothing here is part of consensus, which sees the integers alone. It is integer arithmetic all the
same, so that one value gives one input on every machine. A decimal text becomes the nearest float64
before it becomes an input, as it does in other programs that read the same file.
"""

import re
from difflib import get_close_matches
from struct import pack, unpack
from typing import Any, Final

from cairn.exact.errors import ModelInputError
from cairn.exact.models import FLOAT32_KEY_MAX, MISSING, UNKNOWN_CATEGORY, Feature, is_input
from cairn.exact.schema import refusal
from cairn.primitives.fixed import round_half_even_div

MISSING_WORDS: Final = ("", "na", "n/a", "nan", "none", "null")
"""Texts that say, in any case, that a number is missing. Only the empty one does for a category."""

_SHOWN_MAX: Final = 12
"""How many categories an error names."""

_TEXT_SIZE_CHARACTERS_MAX: Final = 400
_DIGITS_MAX: Final = 14
"""So many digits behind the point tell apart all multiples of 2^-40, and one more."""

_FLOAT64_WHOLE_MAX: Final = 2**53

_NUMBER: Final = re.compile(
    r"([+-]?)(?=\.?[0-9])([0-9]*)(?:\.([0-9]*))?(?:[eE]([+-]?[0-9]{1,4}))?", re.ASCII
)
_INFINITIES: Final = {"inf": 1, "+inf": 1, "-inf": -1, "infinity": 1, "-infinity": -1}

_Ratio = tuple[int, int]
"""Numerator and denominator; the denominator of an infinity is 0."""

_FLOAT32: Final = (24, -149)
_FLOAT64: Final = (53, -1074)
"""Bits of the significand, and the smallest exponent of its last bit."""


def parse_value(feature: Feature, value: Any) -> int:
    """Return the input that a value stands for.

    Args:
        feature: The input's declaration.
        value: A number, a text, a truth value, or None; NaN, NA and empty texts are missing.

    Raises:
        ModelInputError: The feature does not take the value; the message says what it takes, and
            leaves it to the caller to say where the value stands.
    """
    value = _plain(value)
    if value is None:
        found = MISSING
    elif feature.kind == "category":
        found = _index(feature, value)
    else:
        ratio = _ratio(value)
        if ratio is None:
            found = MISSING
        elif feature.kind == "float32":
            found = _float32_key(ratio)
        else:
            found = _scaled(feature, ratio, value)
    if not is_input(feature, found):
        raise ModelInputError(refusal(feature, found))
    return found


def format_value(feature: Feature, value: int) -> str:
    """Return what an input stands for, as people write it: the shortest text that reads back.

    A scaled integer of more than 53 bits is no float64 and is written out in full.

    Raises:
        ModelInputError: The feature cannot have this value.
    """
    if not is_input(feature, value):
        raise ModelInputError(f"{feature.name}: {refusal(feature, value)}")
    if value == MISSING:
        return "missing"
    if feature.kind == "category":
        return "unknown" if value == UNKNOWN_CATEGORY else feature.categories[value]
    if feature.kind == "float32":
        bits = value if value >= 0 else ~value | 0x80000000
        (number,) = unpack("<f", pack("<I", bits))
        return next(
            text
            for text in (f"{number:.{digits}g}" for digits in range(1, 10))
            if parse_value(feature, text) == value
        )
    scale_bits = feature.scale_bits
    if abs(value) < _FLOAT64_WHOLE_MAX:
        for digits in range(min(scale_bits, _DIGITS_MAX)):
            text = _decimal(value, scale_bits, digits)
            if parse_value(feature, text) == value:
                return text
    return _decimal(value, scale_bits, scale_bits)


def _plain(value: Any) -> Any:
    """Return a value of an array or a table as Python's own; None if it is missing."""
    if not isinstance(value, str | int | float) and hasattr(value, "item"):
        value = value.item()
    if type(value).__name__ in ("NAType", "NaTType"):
        return None
    return None if isinstance(value, float) and value != value else value


def _ratio(value: Any) -> _Ratio | None:
    """Return a number as a ratio, None if it is a text that says that it is missing."""
    if isinstance(value, int):
        return int(value), 1
    if isinstance(value, float):
        try:
            return value.as_integer_ratio()
        except OverflowError:
            return (1, 0) if value > 0 else (-1, 0)
    if not isinstance(value, str):
        raise ModelInputError(f"{value!r} is no number")
    text = value.strip()
    if text.lower() in MISSING_WORDS:
        return None
    if text.lower() in _INFINITIES:
        return _INFINITIES[text.lower()], 0
    match = _NUMBER.fullmatch(text) if len(text) <= _TEXT_SIZE_CHARACTERS_MAX else None
    if match is None:
        raise ModelInputError(f"{value[:60]!r} is no number; write one such as -12.5 or 3e-4")
    sign, whole, fraction, exponent = match.groups()
    digits = int(whole + (fraction or ""))
    digits = -digits if sign == "-" else digits
    power = int(exponent or 0) - len(fraction or "")
    if not power:
        return digits, 1
    return _nearest((digits * 10 ** max(power, 0), 10 ** max(-power, 0)), _FLOAT64)


def _scaled(feature: Feature, ratio: _Ratio, value: Any) -> int:
    numerator, denominator = ratio
    if not denominator or abs(numerator) >> (63 - feature.scale_bits) >= denominator:
        raise ModelInputError(f"{value} does not fit: {_bounds(feature)}")
    if not feature.scale_bits and numerator % denominator:
        raise ModelInputError(f"{value} is no whole number, and this input takes only those")
    return round_half_even_div(numerator << feature.scale_bits, denominator)


def _bounds(feature: Feature) -> str:
    return f"this input takes numbers below 2^{63 - feature.scale_bits} either way"


def _float32_key(ratio: _Ratio) -> int:
    numerator, denominator = _nearest(ratio, _FLOAT32)
    if not denominator or abs(numerator) >> 128 >= denominator:
        bits = FLOAT32_KEY_MAX
    else:
        bits = _float32_bits(abs(numerator), denominator)
    return ~bits if numerator < 0 and bits else bits


def _float32_bits(numerator: int, denominator: int) -> int:
    """Return the bits of what is a float32 already and not negative."""
    units = (numerator << 149) // denominator  # in the smallest float32, 2^-149
    shift = max(units.bit_length() - 24, 0)
    return (shift << 23) + (units >> shift)


def _nearest(ratio: _Ratio, form: tuple[int, int]) -> _Ratio:
    """Return the nearest number with so many bits, halves to the even one."""
    numerator, denominator = ratio
    if not numerator or not denominator:
        return ratio
    bits, exponent_min = form
    exponent = abs(numerator).bit_length() - denominator.bit_length() - bits
    exponent = max(exponent, exponent_min)
    while True:
        scaled_by = (numerator << max(-exponent, 0), denominator << max(exponent, 0))
        significand = round_half_even_div(*scaled_by)
        if abs(significand).bit_length() <= bits:
            return significand << max(exponent, 0), 1 << max(-exponent, 0)
        exponent += 1


def _decimal(value: int, scale_bits: int, digits: int) -> str:
    """Return a scaled integer with so many digits behind the point."""
    units = (abs(value) * 10**digits * 2 >> scale_bits) + 1 >> 1
    whole, rest = divmod(units, 10**digits)
    return f"{'-' if value < 0 else ''}{whole}" + (f".{rest:0{digits}d}" if digits else "")


def _index(feature: Feature, value: Any) -> int:
    texts = [str(value), str(value).strip()]
    if isinstance(value, float) and value.is_integer():
        texts.append(str(int(value)))
    if isinstance(value, bool):
        texts += (texts[0].lower(), str(int(value)))
    for text in texts:
        if text in feature.categories:
            return feature.categories.index(text)
    if not texts[1]:
        return MISSING
    if feature.unknown_allowed:
        return UNKNOWN_CATEGORY
    close = get_close_matches(texts[1], feature.categories)
    meant = f"; did you mean {' or '.join(map(repr, close))}?" if close else "."
    shown = ", ".join(feature.categories[:_SHOWN_MAX])
    more = f", … ({len(feature.categories)} in all)"
    more = more if len(feature.categories) > _SHOWN_MAX else ""
    raise ModelInputError(f"{texts[1][:80]!r} is an unknown category{meant} Known: {shown}{more}")
