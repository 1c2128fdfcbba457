"""A recipe for any table: some columns are the inputs, one of truth values is the label.

The rows stay in the order of the file; the first share is trained on, the last one tested, so that
a file sorted by time is tested on what came later.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from cairn.learning.errors import TrainingError
from cairn.learning.schemas import Column, Kind
from cairn.learning.tables import Table
from cairn.learning.training import FEATURE_MAX, SplitRows, TrainingSet
from cairn.primitives.fixed import PPM
from cairn.primitives.ids import is_name

INPUT_KINDS = (Kind.INTEGER, Kind.DECIMAL, Kind.BOOLEAN)
"""Kinds that are whole numbers: a decimal is read in units of its scale."""


@dataclass(frozen=True)
class TabularRecipe:
    """Columns of one table as inputs and label (see `learning.training.Recipe`)."""

    label: str
    """A boolean column, or an integer one of 0 and 1."""
    inputs: tuple[str, ...] = ()
    """The input columns; none is all that are whole numbers and neither label nor subject."""
    test_ppm: int = 300_000
    """Share of the rows, the last ones, that is tested on."""
    name: str = "tabular/columns-v1"

    def settings(self) -> Mapping[str, int]:
        """Return the numbers that the outcome depends on."""
        return {"test_ppm": self.test_ppm}

    def sources(self) -> Sequence[Path]:
        """Return the source files that define the recipe."""
        return [Path(__file__)]

    def build(self, tables: Sequence[Table]) -> TrainingSet:
        """Return inputs and labels of one table.

        Raises:
            TrainingError: A column is missing or not of whole numbers, a cell is null, the label
                has other values than 0 and 1, or one of the two parts is empty.
        """
        if len(tables) != 1:
            raise TrainingError(f"the recipe takes one file, not {len(tables)}")
        table = tables[0]
        inputs = self.inputs or self._usable(table)
        rows = np.array([_numbers(table, name) for name in inputs], np.int64).T
        labels = np.array(_numbers(table, self.label), np.int64)
        if not np.isin(labels, (0, 1)).all():
            raise TrainingError(f"the label {self.label!r} has other values than 0 and 1")
        cut = table.row_count - table.row_count * self.test_ppm // PPM
        if not 0 < cut < table.row_count:
            raise TrainingError("training or test would have no row", "choose another test share")
        return TrainingSet(
            splits=(SplitRows(0, "train", 0, cut), SplitRows(0, "test", cut, table.row_count)),
            features=inputs,
            train=np.ascontiguousarray(rows[:cut]),
            train_labels=labels[:cut],
            test=np.ascontiguousarray(rows[cut:]),
            test_labels=labels[cut:],
        )

    def _usable(self, table: Table) -> tuple[str, ...]:
        left_out = (self.label, table.schema.subject)
        names = tuple(
            column.name
            for column in table.schema.columns
            if column.kind in INPUT_KINDS and column.name not in left_out
        )
        if not names:
            raise TrainingError("no column is a whole number", "name the inputs, or change kinds")
        return names


def _numbers(table: Table, name: str) -> list[int]:
    """Return a column of whole numbers without nulls."""
    column = _column(table, name)
    if column.kind not in INPUT_KINDS:
        raise TrainingError(
            f"the column {name!r} is of kind {column.kind.value}",
            f"an input is one of: {', '.join(INPUT_KINDS)}; floats become decimals by a scale",
        )
    if not is_name(name):
        raise TrainingError(
            f"the column name {name!r} cannot name an input", "use a-z 0-9 . _ - in the file"
        )
    numbers = []
    for row, value in enumerate(table.column(name)):
        if not isinstance(value, int) or abs(value) > FEATURE_MAX:
            raise TrainingError(f"row {row}, column {name!r}: {value!r} is no number up to 2^53")
        numbers.append(int(value))
    return numbers


def _column(table: Table, name: str) -> Column:
    for column in table.schema.columns:
        if column.name == name:
            return column
    raise TrainingError(f"there is no column {name!r}", f"columns: {', '.join(table.schema.names)}")
