"""A recipe for any table: some columns are the inputs, one of truth values is the label.

The rows stay in the order of the file; the first share is trained on, the last one tested, so that
a file sorted by time is tested on what came later. Between them there may be a share to calibrate
on. Inputs are read as the file spells them: whole numbers, decimals and floats as numbers, text as
categories, empty cells as missing.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from cairn.exact.models import CATEGORY_SIZE_CHARACTERS_MAX, Feature
from cairn.learning.errors import TrainingError
from cairn.learning.fitting import FEATURE_MAX, Labels, Matrix, SplitRows, TrainingSet
from cairn.learning.schemas import Column, Kind
from cairn.learning.tables import Table
from cairn.primitives.fixed import PPM
from cairn.primitives.ids import is_name

WHOLE_KINDS = (Kind.INTEGER, Kind.BOOLEAN)
FLOAT_KINDS = (Kind.DECIMAL, Kind.FLOAT64)
INPUT_KINDS = (*WHOLE_KINDS, *FLOAT_KINDS, Kind.TEXT)
"""Kinds of columns that can be inputs."""
CATEGORIES_MAX = 64
"""Most different texts of a column that is an input."""
_NOT_IN_NAMES = re.compile(r"[^a-z0-9._-]+")


@dataclass(frozen=True)
class TabularRecipe:
    """Columns of one table as inputs and label (see `learning.training.Recipe`)."""

    label: str
    """A boolean column, or an integer one of 0 and 1."""
    inputs: tuple[str, ...] = ()
    """The input columns; none is every one that can be an input and is neither label nor subject,
    nor the same in all rows, nor text of more than `CATEGORIES_MAX` kinds."""
    test_ppm: int = 300_000
    """Share of the rows, the last ones, that is tested on; 0 under a plan, whose test rows are a
    file of their own."""
    validation_ppm: int = 0
    """Share of the rows, those before the test, that a model is calibrated on."""
    name: str = "tabular/columns-v2"

    def settings(self) -> Mapping[str, int | str]:
        """Return the numbers and names that the outcome depends on; the record has the inputs."""
        return {
            "label": self.label,
            "test_ppm": self.test_ppm,
            "validation_ppm": self.validation_ppm,
        }

    def sources(self) -> Sequence[Path]:
        """Return the source files that define the recipe."""
        return [Path(__file__)]

    def build(self, tables: Sequence[Table]) -> TrainingSet:
        """Return inputs and labels of one table.

        Raises:
            TrainingError: A column is missing or cannot be an input, a cell is out of range, the
                label has other values than 0 and 1, or one of the parts is empty.
        """
        if len(tables) != 1:
            raise TrainingError(f"the recipe takes one file, not {len(tables)}")
        table = tables[0]
        columns = [_column(table, name) for name in self.inputs] or self._usable(table)
        features = tuple(_feature(table, column) for column in columns)
        _check_distinct(columns, features)
        rows, labels = matrix_of(table, features), labels_of(table, self.label)
        test = table.row_count - table.row_count * self.test_ppm // PPM
        cut = test - table.row_count * self.validation_ppm // PPM
        if cut <= 0 or (self.test_ppm and test == table.row_count):
            raise TrainingError("training or test would have no row", "choose another test share")
        parts = [SplitRows(0, "train", 0, cut)]
        parts += [SplitRows(0, "validation", cut, test)] if cut < test else []
        parts += [SplitRows(0, "test", test, table.row_count)] if test < table.row_count else []
        return TrainingSet(
            splits=tuple(parts),
            features=features,
            train=np.ascontiguousarray(rows[:cut]),
            train_labels=labels[:cut],
            test=np.ascontiguousarray(rows[test:]),
            test_labels=labels[test:],
            validation=np.ascontiguousarray(rows[cut:test]) if cut < test else None,
            validation_labels=labels[cut:test] if cut < test else None,
        )

    def _usable(self, table: Table) -> list[Column]:
        left_out = (self.label, table.schema.subject)
        usable = []
        for column in table.schema.columns:
            if column.kind not in INPUT_KINDS or column.name in left_out:
                continue
            different = len(dict.fromkeys(table.column(column.name)))
            if different > 1 and (column.kind is not Kind.TEXT or different <= CATEGORIES_MAX):
                usable.append(column)
        if not usable:
            raise TrainingError(
                "no column can be an input",
                "inputs are numbers, or text of few kinds, that are not the same in all rows",
            )
        return usable


def input_name(column: str) -> str:
    """Return what a model calls a column: in lower case, with `-` for what a name cannot have.

    >>> input_name("LIMIT_BAL (NT$)")
    'limit_bal-nt'
    """
    return _NOT_IN_NAMES.sub("-", column.lower()).strip("-._")[:56]


def matrix_of(table: Table, features: Sequence[Feature]) -> Matrix:
    """Return the rows of a table as a model with these features reads them, before its integers.

    Whole numbers if nothing is missing and nothing else; else floats, NaN for what is missing; else
    objects: text for categories.

    Raises:
        TrainingError: A column is missing, of another kind than its feature, or a cell is missing
            where the feature is always given.
    """
    columns = [_cells(table, _column(table, one.name), one) for one in features]
    if any(one.kind == "category" for one in features):
        objects = np.empty((table.row_count, len(features)), object)
        for place, cells in enumerate(columns):
            objects[:, place] = cells
        return objects
    whole = all(isinstance(cell, int) for cells in columns for cell in cells)
    return np.array(columns, np.int64 if whole else np.float64).T


def labels_of(table: Table, label: str) -> Labels:
    """Return the label of each row.

    Raises:
        TrainingError: There is no such column, or it has other values than 0 and 1.
    """
    column = _column(table, label)
    values = table.column(column.name)
    if not all(isinstance(value, int) and value in (0, 1) for value in values):
        other = next(value for value in values if not isinstance(value, int) or value not in (0, 1))
        raise TrainingError(
            f"the label {label!r} has other values than 0 and 1: {other!r}",
            "leave rows without a label out, and spell the label 0 and 1, or true and false",
        )
    return np.array(values, np.int64)


def _feature(table: Table, column: Column) -> Feature:
    """Return the input that a column is."""
    if column.kind not in INPUT_KINDS:
        raise TrainingError(
            f"the column {column.name!r} is of kind {column.kind.value}",
            f"an input is one of: {', '.join(INPUT_KINDS)}; make numbers of times first",
        )
    name = input_name(column.name)
    if not is_name(name):
        raise TrainingError(
            f"the column name {column.name!r} cannot name an input", "begin it with a-z or 0-9"
        )
    values = table.column(column.name)
    missing = any(value is None for value in values)
    if column.kind is Kind.TEXT:
        texts = sorted(value for value in dict.fromkeys(values) if isinstance(value, str))
        if len(texts) > CATEGORIES_MAX:
            raise TrainingError(
                f"the column {column.name!r} has {len(texts)} different texts, more than "
                f"{CATEGORIES_MAX}",
                "group rare ones in the file, or leave the column out",
            )
        if not texts:
            raise TrainingError(
                f"the column {column.name!r} has no text in any row", "leave the column out"
            )
        if any(len(text) > CATEGORY_SIZE_CHARACTERS_MAX for text in texts):
            raise TrainingError(
                f"the column {column.name!r} has texts of more than "
                f"{CATEGORY_SIZE_CHARACTERS_MAX} characters",
                "leave it out: it is no category",
            )
        return Feature(name, "category", 0, tuple(texts), missing, True)
    kind = "integer" if column.kind in WHOLE_KINDS else "float32"
    return Feature(name, "integer" if kind == "integer" else "float32", 0, (), missing, False)


def _check_distinct(columns: Sequence[Column], features: Sequence[Feature]) -> None:
    names: dict[str, str] = {}
    for column, feature in zip(columns, features, strict=True):
        other = names.setdefault(feature.name, column.name)
        if other != column.name:
            raise TrainingError(
                f"the columns {other!r} and {column.name!r} would both be called {feature.name!r}",
                "rename one of them in the file",
            )


def _cells(table: Table, column: Column, feature: Feature) -> list[object]:
    """Return the cells of one column as numbers or text, NaN for what is missing."""
    values = table.column(column.name)
    is_text = column.kind is Kind.TEXT
    if column.kind not in INPUT_KINDS or is_text != (feature.kind == "category"):
        wanted = "text" if feature.kind == "category" else "a number"
        raise TrainingError(
            f"the column {column.name!r} is of kind {column.kind.value}, the model wants {wanted}",
            "name its kind in a schema file, or correct the cells that are none",
        )
    divisor = 10**column.scale if column.kind is Kind.DECIMAL else 1
    cells: list[object] = []
    for row, value in enumerate(values):
        if value is None and not feature.nullable:
            raise TrainingError(
                f"row {row}, column {column.name!r}: the value is missing",
                "the model was trained without missing values here; fill it in",
            )
        if value is None:
            cells.append(np.nan)
        elif isinstance(value, str):
            cells.append(value)
        elif abs(value) > FEATURE_MAX:
            raise TrainingError(f"row {row}, column {column.name!r}: {value!r} is beyond 2^53")
        elif feature.kind == "integer" and column.kind in WHOLE_KINDS:
            cells.append(int(value))
        else:
            cells.append(value / divisor)
    return cells


def _column(table: Table, name: str) -> Column:
    for column in table.schema.columns:
        if column.name == name:
            return column
    for column in table.schema.columns:
        if input_name(column.name) == name:
            return column
    raise TrainingError(f"there is no column {name!r}", f"columns: {', '.join(table.schema.names)}")
