"""The input stage of a model on arrays: rows of inputs become rows of columns.

`reference.column_values` specifies it; `kernels.expand` is the compiled form.
"""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from cairn.exact.layouts import Bytes, Int32s, Int64s
from cairn.exact.models import MISSING, ExactModel, IndicatorColumn, ValueColumn

IS_VALUE, IS_EQUAL, IS_LISTED, IS_FOUND = range(4)
"""What a column does: the value or the fill; equality with the fill; a look into the table, by the
index of a category; a search among the members."""

TABLE_FIRST = 2
"""Place of category 0 in a table; before it come `MISSING` and `UNKNOWN_CATEGORY`."""


class StageArrays(NamedTuple):
    """Columns as arrays, of the first five one entry per column."""

    features: Int32s
    kinds: Bytes
    fills: Int64s
    starts: Int64s
    """Where the column's part of `members`, or of `table`, begins."""
    sizes: Int64s
    """How long it is."""
    members: Int64s
    table: Bytes
    """1 at the place of each member among the categories of its feature."""


class Stage:
    """Makes the columns of rows that fit the input schema, by NumPy or one at a time."""

    def __init__(self, model: ExactModel) -> None:
        """Prepare a model's columns."""
        self._columns = model.columns
        self._values = [
            (place, column.feature, column.fill)
            for place, column in enumerate(model.columns)
            if isinstance(column, ValueColumn)
        ]
        # For each feature with indicators: which columns are 1 at which input.
        ones: dict[int, dict[int, list[int]]] = {}
        for place, column in enumerate(model.columns):
            if isinstance(column, IndicatorColumn):
                at = ones.setdefault(column.feature, {})
                for member in column.members:
                    at.setdefault(member, []).append(place)
        self._ones = list(ones.items())

    def one(self, row: Sequence[int]) -> list[int]:
        """Return the columns of one row."""
        values = [0] * len(self._columns)
        for place, feature, fill in self._values:
            value = row[feature]
            values[place] = fill if value == MISSING else value
        for feature, ones in self._ones:
            for place in ones.get(row[feature], ()):
                values[place] = 1
        return values

    def many(self, rows: Int64s) -> Int64s:
        """Return the columns of many rows, shape (rows, columns)."""
        values = np.empty((len(rows), len(self._columns)), np.int64)
        for place, column in enumerate(self._columns):
            inputs = rows[:, column.feature]
            if isinstance(column, ValueColumn):
                values[:, place] = np.where(inputs == MISSING, column.fill, inputs)
            else:
                members = np.array(column.members, np.int64)
                nearest = np.searchsorted(members, inputs).clip(max=len(members) - 1)
                values[:, place] = members[nearest] == inputs
        return values


def lay_out_stage(model: ExactModel) -> StageArrays:
    """Return the arrays that `kernels.expand` reads."""
    count = len(model.columns)
    kinds, fills = np.zeros(count, np.uint8), np.zeros(count, np.int64)
    starts, sizes = np.zeros(count, np.int64), np.zeros(count, np.int64)
    members: list[int] = []
    table = bytearray()
    for place, column in enumerate(model.columns):
        if isinstance(column, ValueColumn):
            kinds[place], fills[place] = IS_VALUE, column.fill
        elif len(column.members) == 1:
            kinds[place], fills[place] = IS_EQUAL, column.members[0]
        elif categories := model.features[column.feature].categories:
            part = bytearray(len(categories) + TABLE_FIRST)
            for member in column.members:
                part[0 if member == MISSING else member + TABLE_FIRST] = 1
            kinds[place], starts[place], sizes[place] = IS_LISTED, len(table), len(part)
            table += part
        else:
            kinds[place], starts[place] = IS_FOUND, len(members)
            sizes[place] = len(column.members)
            members += column.members
    return StageArrays(
        features=np.array([column.feature for column in model.columns], np.int32),
        kinds=kinds,
        fills=fills,
        starts=starts,
        sizes=sizes,
        members=np.array(members, np.int64),
        table=np.frombuffer(bytes(table), np.uint8),
    )
