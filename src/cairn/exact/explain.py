"""Why a score is what it is: how far each input moves the raw output away from a reference.

Linear models and scorecards state a reference for each column: the value, or the points, that count
as no contribution. A column contributes its weight times the distance of the clamped value from the
reference, or the distance of its points from the reference points; an input contributes what its
columns do, together. With the output at the reference the contributions make up the raw output: to
the bit in a scorecard; in a linear model up to one unit of 2^-32 for each input and one more,
because each is rounded down by itself. Trees have no such parts, and none are named.
"""

from bisect import bisect_left
from collections.abc import Sequence
from typing import NamedTuple

from cairn.exact.models import ExactModel, Linear, Trees
from cairn.exact.reference import column_values

LIMIT = 4
"""How many contributions are named unless told otherwise."""


class Contribution(NamedTuple):
    """What one input adds to the raw output."""

    feature_index: int
    raw: int
    """In 2^-32; never 0."""


def is_explained(model: ExactModel) -> bool:
    """Return whether a model's scores have contributions at all."""
    return not isinstance(model.body, Trees)


def contributions(
    model: ExactModel, row: Sequence[int], limit: int = LIMIT
) -> tuple[Contribution, ...]:
    """Return the largest contributions, those of equal magnitude in the order of the features.

    Args:
        model: A model whose form is checked.
        row: Inputs that fit its schema.
        limit: Most that are returned.
    """
    body = model.body
    if isinstance(body, Trees):
        return ()
    values = column_values(model, row)
    places = [column.feature for column in model.columns] or range(len(row))
    totals = [0] * len(row)
    if isinstance(body, Linear):
        for feature, value, entry in zip(places, values, body.weights, strict=True):
            clamped = min(max(value, entry.low), entry.high)
            totals[feature] += entry.weight * (clamped - entry.reference)
        totals = [total >> body.shift_bits for total in totals]
    else:
        for bins in body.bins:
            points = bins.points[bisect_left(bins.upper_bounds, values[bins.column])]
            distance = points - bins.reference_points
            totals[places[bins.column]] += distance * body.raw_per_point
    found = [Contribution(place, raw) for place, raw in enumerate(totals) if raw]
    return tuple(sorted(found, key=lambda one: (-abs(one.raw), one.feature_index))[:limit])
