"""Rows as people have them: arrays, pandas or Arrow tables, as one array per named column."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from cairn.learning.conversion.errors import ConversionError
from cairn.learning.extras import Untyped, require
from cairn.primitives.ids import is_name

Cells = npt.NDArray[Any]
"""One column: bool, int64 or float64 with NaN for missing, or objects with None for missing."""

_NUMBERS = (int, float, np.number, np.bool_)
_NOT_IN_NAMES = re.compile(r"[^a-z0-9._-]+")


@dataclass(frozen=True, slots=True)
class Frame:
    """Rows by column, and the form in which the source takes them."""

    names: tuple[str, ...]
    columns: tuple[Cells, ...]
    source: Untyped
    """What the caller gave: the source predicts from this, untouched."""
    named: bool
    """Whether the columns' names are the caller's own, and not mere numbers."""

    @property
    def row_count(self) -> int:
        """Return the number of rows."""
        return len(self.columns[0]) if self.columns else 0

    def select(self, names: Sequence[str]) -> "Frame":
        """Return the rows with these columns, in this order.

        Raises:
            ConversionError: One of them is not there.
        """
        places = [self.place_of(name) for name in names]
        if places == list(range(len(self.names))):
            return self
        chosen = tuple(self.names[place] for place in places)
        if hasattr(self.source, "iloc"):
            source = self.source.iloc[:, places]
        else:
            source = self.source.select(chosen) if self.named else self.source[:, places]
        return Frame(chosen, tuple(self.columns[place] for place in places), source, self.named)

    def place_of(self, name: str) -> int:
        """Return the place of the column that is called `name`, or that is spelled so as a feature.

        Raises:
            ConversionError: There is none.
        """
        if name in self.names:
            return self.names.index(name)
        slugs = feature_names(self.names)
        if name in slugs:
            return slugs.index(name)
        raise ConversionError(
            f"the rows have no column {name!r}",
            hint=f"give a column of this name; the columns are: {', '.join(self.names[:40])}",
        )


def read_frame(rows: Any) -> Frame:
    """Return rows column by column.

    Args:
        rows: A pandas or Arrow table, a mapping from names to columns, or an array of shape
            (rows, columns).

    Raises:
        ConversionError: It is none of these, or has no columns.
    """
    if isinstance(rows, Frame):
        return rows
    if isinstance(rows, Mapping):
        rows = require("pandas").DataFrame(dict(rows))
    if hasattr(rows, "column_names") and hasattr(rows, "to_pandas"):
        names = tuple(str(name) for name in rows.column_names)
        columns = tuple(_arrow(rows.column(place)) for place in range(len(names)))
        frame = Frame(names, columns, rows, named=True)
    elif hasattr(rows, "columns") and hasattr(rows, "dtypes"):
        names = tuple(str(name) for name in rows.columns)
        columns = tuple(_series(rows.iloc[:, place]) for place in range(len(names)))
        frame = Frame(names, columns, rows, named=True)
    else:
        values = np.asarray(rows)
        if values.ndim != 2:
            raise ConversionError(
                f"the rows have shape {values.shape}",
                hint="give a table, or an array with one line per row and one column per input",
            )
        names = tuple(f"f{place}" for place in range(values.shape[1]))
        columns = tuple(_cells(values[:, place]) for place in range(values.shape[1]))
        frame = Frame(names, columns, rows if hasattr(rows, "dtype") else values, named=False)
    if not frame.names or len(set(frame.names)) != len(frame.names):
        raise ConversionError("the rows have no columns, or two of one name", hint="rename them")
    return frame


def feature_names(names: Sequence[str]) -> tuple[str, ...]:
    """Return a name in the ledger's alphabet for each column, no two the same.

    >>> feature_names(["LIMIT_BAL", "Größe (m)", "limit_bal"])
    ('limit_bal', 'gr-e-m', 'limit_bal-2')
    """
    made: list[str] = []
    for place, name in enumerate(names):
        stem = _NOT_IN_NAMES.sub("-", name.lower()).strip("-._")[:56] or f"f{place}"
        candidate, number = stem, 1
        while candidate in made or not is_name(candidate):
            number += 1
            candidate = f"{stem}-{number}"
        made.append(candidate)
    return tuple(made)


def category_label(value: Any) -> str:
    """Return the text by which a category goes, whatever the type of its value.

    >>> category_label(2.0), category_label(True), category_label("red")
    ('2', 'true', 'red')
    """
    if isinstance(value, bool | np.bool_):
        return "true" if value else "false"
    if isinstance(value, _NUMBERS):
        number = float(value)
        return str(int(number)) if number.is_integer() else repr(number)
    return str(value)


def is_missing(value: Any) -> bool:
    """Return whether a cell, category or fill stands for no value."""
    return value is None or value != value or type(value).__name__ in ("NAType", "NaTType")


def _series(series: Any) -> Cells:
    kind = getattr(series.dtype, "kind", "O")
    if type(series.dtype).__name__ == "CategoricalDtype":
        return _cells(series.astype(object).to_numpy())
    if kind in "biuf" and not series.isna().any():
        return _cells(series.to_numpy())
    if kind in "biuf":
        return _cells(series.to_numpy(dtype=np.float64, na_value=np.nan))
    return _cells(series.to_numpy(dtype=object))


def _arrow(column: Untyped) -> Cells:
    kind = str(column.type)
    if kind == "bool" and not column.null_count:
        return _cells(np.array(column.to_pylist(), np.bool_))
    if kind.startswith(("int", "uint", "float", "double")) and not column.null_count:
        return _cells(column.to_numpy())
    return _cells(np.array([*column.to_pylist(), None], object)[:-1])


def _cells(values: Cells) -> Cells:
    if values.dtype.kind == "b":
        return values
    if values.dtype.kind in "iu":
        return values.astype(np.int64)
    if values.dtype.kind == "f":
        return values.astype(np.float64)
    cells = np.array([None if is_missing(value) else value for value in values], object)
    if all(isinstance(cell, (bool, np.bool_)) for cell in cells):
        return cells.astype(np.bool_)
    if all(cell is None or isinstance(cell, _NUMBERS) for cell in cells):
        return cells.astype(np.float64)
    return cells
