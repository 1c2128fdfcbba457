"""What a model takes in: its features, and the columns that its input stage makes of them.

`models` states what the integers of an input stand for and what columns are.
"""

from collections.abc import Sequence
from itertools import pairwise
from typing import Final, Literal

from cairn.exact.errors import ModelFormError
from cairn.primitives.encoding import Record
from cairn.primitives.fixed import INT64_MAX, INT64_MIN
from cairn.primitives.ids import is_name

FEATURE_COUNT_MAX: Final = 1_024
CATEGORY_COUNT_MAX: Final = 1_024
"""Most categories of one feature."""

CATEGORY_TOTAL_MAX: Final = 4_096
"""Most categories of all features together."""

CATEGORY_SIZE_CHARACTERS_MAX: Final = 64
COLUMN_COUNT_MAX: Final = 4_096
MEMBER_TOTAL_MAX: Final = 131_072
"""Most members of all indicator columns together."""

SCALE_BITS_MAX: Final = 40
MISSING: Final = INT64_MIN
"""Input of a nullable feature that has no value."""

UNKNOWN_CATEGORY: Final = -1
"""Input of a category that is not among the feature's, where that is allowed."""

FLOAT32_KEY_MAX: Final = 0x7F800000
"""Key of plus infinity; what lies above is NaN."""

FLOAT32_KEY_MIN: Final = -0x7F800001
"""Key of minus infinity; what lies below is NaN."""

FLOAT32_KEY_MINUS_ZERO: Final = -1
FLOAT32_FILL_BELOW: Final = FLOAT32_KEY_MIN - 1
"""Fill of a float32 column that lies below every value, and still is an int32."""

FLOAT32_FILL_ABOVE: Final = FLOAT32_KEY_MAX + 1
"""Fill of a float32 column that lies above every value."""

_CONTROLS: Final = frozenset(map(chr, (*range(0x20), *range(0x7F, 0xA0), 0x2028, 0x2029)))


class Feature(Record):
    """One input."""

    name: str
    kind: Literal["integer", "float32", "category"]
    scale_bits: int = 0
    """For `integer`: how many bits of the number are behind the binary point."""
    categories: tuple[str, ...] = ()
    """For `category`: the texts, no two the same; an input is the index of one."""
    nullable: bool = False
    """Whether `MISSING` is an input."""
    unknown_allowed: bool = False
    """For `category`: whether `UNKNOWN_CATEGORY` is an input."""


class ValueColumn(Record, tag="value"):
    """The input itself: the number, the key of the float32 or the index of the category."""

    feature: int
    fill: int = 0
    """What stands for `MISSING`; 0 where the feature is never missing. For `float32` a key, or
    `FLOAT32_FILL_BELOW` or `FLOAT32_FILL_ABOVE`."""


class IndicatorColumn(Record, tag="indicator"):
    """1 if the input is one of the members, else 0."""

    feature: int
    members: tuple[int, ...]
    """Inputs that the feature can have, ascending, at least one."""


Column = ValueColumn | IndicatorColumn


def is_input(feature: Feature, value: int) -> bool:
    """Return whether a feature can have this value."""
    if value == MISSING:
        return feature.nullable
    if feature.kind == "integer":
        return INT64_MIN <= value <= INT64_MAX
    if feature.kind == "float32":
        return FLOAT32_KEY_MIN <= value <= FLOAT32_KEY_MAX and value != FLOAT32_KEY_MINUS_ZERO
    if value == UNKNOWN_CATEGORY:
        return feature.unknown_allowed
    return 0 <= value < len(feature.categories)


def refusal(feature: Feature, value: int) -> str:
    """Return what is wrong with a value that the feature does not allow."""
    if value == MISSING:
        return "the value is missing, and this input is always given"
    if feature.kind == "integer":
        return f"{value} does not fit in 64 bits"
    if feature.kind == "float32":
        return f"{value} is not the key of a float32"
    if value == UNKNOWN_CATEGORY:
        return "the category is unknown, and this input takes none but its own"
    return f"{value} is not the index of a category, 0 to {len(feature.categories) - 1}"


def column_order(column: Column) -> tuple[int, int, tuple[int, ...]]:
    """Return what columns are sorted by: the feature, values before indicators, fill or members."""
    if isinstance(column, ValueColumn):
        return column.feature, 0, (column.fill,)
    return column.feature, 1, column.members


def arrange_columns(wanted: Sequence[Column]) -> tuple[tuple[Column, ...], tuple[int, ...]]:
    """Return the distinct columns in the one order of a model, and the place of each wanted one."""
    distinct = {column_order(column): column for column in wanted}
    arranged = tuple(distinct[order] for order in sorted(distinct))
    places = {order: place for place, order in enumerate(sorted(distinct))}
    return arranged, tuple(places[column_order(column)] for column in wanted)


def check_features(features: tuple[Feature, ...]) -> None:
    """Check the limits and rules of an input schema.

    Raises:
        ModelFormError: The first one that is broken.
    """
    if not 1 <= len(features) <= FEATURE_COUNT_MAX:
        raise ModelFormError(f"a model has 1 to {FEATURE_COUNT_MAX} features, not {len(features)}")
    for feature in features:
        if not is_name(feature.name):
            raise ModelFormError(f"{feature.name!r} is not a name for a feature")
        scale_bits_max = SCALE_BITS_MAX if feature.kind == "integer" else 0
        if not 0 <= feature.scale_bits <= scale_bits_max:
            raise ModelFormError(f"{feature.name}: scale_bits is not within 0 to {scale_bits_max}")
        _check_categories(feature)
    if len({feature.name for feature in features}) != len(features):
        raise ModelFormError("two features have the same name")
    if sum(len(feature.categories) for feature in features) > CATEGORY_TOTAL_MAX:
        raise ModelFormError(f"the features have more than {CATEGORY_TOTAL_MAX} categories")


def check_columns(columns: tuple[Column, ...], features: tuple[Feature, ...]) -> None:
    """Check the limits and rules of an input stage over features whose form is checked.

    Raises:
        ModelFormError: The first one that is broken.
    """
    plain = not any(feature.nullable or feature.kind == "category" for feature in features)
    if not columns:
        if not plain:
            raise ModelFormError("inputs that are categories or may be missing need columns")
        return
    if len(columns) > COLUMN_COUNT_MAX:
        raise ModelFormError(f"a model has at most {COLUMN_COUNT_MAX} columns")
    member_total = 0
    for place, column in enumerate(columns):
        if not 0 <= column.feature < len(features):
            raise ModelFormError(f"column {place} is of feature {column.feature}, which is none")
        feature = features[column.feature]
        if isinstance(column, ValueColumn):
            _check_fill(column, feature)
        else:
            _check_members(column, feature)
            member_total += len(column.members)
    if member_total > MEMBER_TOTAL_MAX:
        raise ModelFormError(f"the columns have more than {MEMBER_TOTAL_MAX} members")
    if any(column_order(low) >= column_order(high) for low, high in pairwise(columns)):
        raise ModelFormError("the columns are not in order, or two are the same")
    if plain and columns == tuple(map(ValueColumn, range(len(features)))):
        raise ModelFormError("the columns are the inputs as they are, which goes without saying")


def _check_categories(feature: Feature) -> None:
    categories = feature.categories
    if feature.kind != "category":
        if categories or feature.unknown_allowed:
            raise ModelFormError(f"{feature.name}: only features of kind category have categories")
        return
    if not 1 <= len(categories) <= CATEGORY_COUNT_MAX:
        raise ModelFormError(f"{feature.name}: not 1 to {CATEGORY_COUNT_MAX} categories")
    if len(set(categories)) != len(categories):
        raise ModelFormError(f"{feature.name}: two categories are the same")
    for text in categories:
        if len(text) > CATEGORY_SIZE_CHARACTERS_MAX or any(map(_CONTROLS.__contains__, text)):
            raise ModelFormError(
                f"{feature.name}: a category has at most {CATEGORY_SIZE_CHARACTERS_MAX} "
                "characters, and no control characters"
            )


def _check_fill(column: ValueColumn, feature: Feature) -> None:
    fill = column.fill
    if not feature.nullable:
        is_fill = fill == 0
    elif feature.kind == "float32":
        outside = (FLOAT32_FILL_BELOW, FLOAT32_FILL_ABOVE)
        is_fill = fill in outside or (fill != MISSING and is_input(feature, fill))
    else:
        is_fill = INT64_MIN <= fill <= INT64_MAX
    if not is_fill:
        raise ModelFormError(f"{feature.name}: {fill} cannot fill a column of this feature")


def _check_members(column: IndicatorColumn, feature: Feature) -> None:
    members = column.members
    if not members or any(low >= high for low, high in pairwise(members)):
        raise ModelFormError(f"{feature.name}: the members of a column are not ascending")
    if not all(is_input(feature, member) for member in members):
        raise ModelFormError(f"{feature.name}: a member of a column is no input of this feature")
