"""A data file in a database of its own: what looks at every cell of a big file works on this.

The rows of the file go, in batches, into a DuckDB table in a temporary folder, under a bound on
memory; columns are called `c0`, `c1` … there, because names in files may be empty, repeated or
differ by case alone. Cells of CSV and JSON files stay text as spelled; those of Parquet files keep
their type. Row numbers start at 0, as in every message about data files.
"""

import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Any

from cairn.learning.errors import DatasetError
from cairn.learning.extras import Untyped, require
from cairn.learning.rows import (
    CSV_SUFFIXES,
    JSON_SUFFIXES,
    NoValue,
    NumberText,
    check_file,
    csv_rows,
    json_rows,
)
from cairn.learning.schemas import COLUMNS_MAX

MEMORY_BYTES_MAX = 1 << 30
"""Memory that the database may use before it writes to disk."""
BATCH_CELLS = 1 << 19
"""Cells of a text file that are held at once before they go into the database."""
PARQUET_BATCH_ROWS = 1 << 15
EXAMPLES_MAX = 3
"""Rows that are named as examples of something."""

Progress = Callable[[str, float], None]
"""Told what is being done and which share of all work is behind, from 0 to 1."""


def no_progress(_what: str, _share: float) -> None:
    """Tell nobody."""


@dataclass
class Odd:
    """Cells of one column that are no value of the type that most of it has."""

    count: int = 0
    examples: list[tuple[int, str]] = field(default_factory=list)
    """The first rows, and what stands there."""

    def add(self, row: int, text: str) -> None:
        """Count a cell."""
        self.count += 1
        if len(self.examples) < EXAMPLES_MAX:
            self.examples.append((row, text[:64]))


@dataclass
class Shape:
    """What is known of a column before its cells are looked at."""

    name: str
    arrow: Untyped = None
    """Type in a Parquet file; None for text that is still to be read."""
    numbers: Odd = field(default_factory=Odd)
    """JSON: values that are numbers."""
    booleans: Odd = field(default_factory=Odd)
    """JSON: values that are true or false."""
    texts: Odd = field(default_factory=Odd)
    """JSON: values that are text."""
    broken: Odd = field(default_factory=Odd)
    """Values that no kind of column has: an object, NaN, a time finer than a millisecond."""


class Stage:
    """A staged file; close it to remove the database."""

    def __init__(
        self, path: Path, *, memory_bytes_max: int = MEMORY_BYTES_MAX, threads: int = 2
    ) -> None:
        """Open an empty database for the file at `path`."""
        self.path = path
        self.suffix = check_file(path)
        self.shapes: list[Shape] = []
        self.row_count = 0
        self._arrow = require("pyarrow")
        duckdb = require("duckdb")
        self.error: type[Exception] = duckdb.Error
        self._folder = tempfile.TemporaryDirectory(prefix="cairn-stage-")
        folder = Path(self._folder.name)
        # What a query could load from elsewhere stays off: only files that are staged are read.
        self._database = duckdb.connect(
            str(folder / "stage.duckdb"),
            config={
                "memory_limit": f"{memory_bytes_max // (1 << 20)}MB",
                "temp_directory": str(folder / "spill"),
                "threads": threads,
                "preserve_insertion_order": True,
                "autoinstall_known_extensions": False,
                "autoload_known_extensions": False,
            },
        )
        self._database.execute("SET TimeZone = 'UTC'")
        # In a notebook it cannot even be switched off where ipywidgets are not installed.
        setting = self._database.execute("SELECT current_setting('enable_progress_bar')")
        if setting.fetchall()[0][0]:
            self._database.execute("SET enable_progress_bar = false")

    def __enter__(self) -> "Stage":
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        """Remove the database."""
        self._database.close()
        self._folder.cleanup()

    @property
    def is_text(self) -> bool:
        """Return whether cells are text as spelled in the file."""
        return self.suffix in (*CSV_SUFFIXES, *JSON_SUFFIXES)

    @property
    def names(self) -> list[str]:
        """Return the names of the columns as the file has them."""
        return [shape.name for shape in self.shapes]

    def fill(self, progress: Progress = no_progress) -> None:
        """Read the whole file into the table `raw`.

        Raises:
            DatasetError: It cannot be read; the message says where.
        """
        if self.suffix in CSV_SUFFIXES:
            self._fill_csv(progress)
        elif self.suffix in JSON_SUFFIXES:
            self._fill_json(progress)
        else:
            self._fill_parquet(progress)
        if not self.row_count:
            raise DatasetError(f"{self.path.name} has no rows", "a data set needs at least one")

    def one(self, query: str) -> tuple[Any, ...]:
        """Return the one row that a query gives."""
        return self.rows(query)[0]

    def rows(self, query: str) -> list[tuple[Any, ...]]:
        """Return the rows that a query gives.

        Raises:
            DatasetError: It needs more memory than there may be used, or the disk is full.
        """
        found: list[tuple[Any, ...]] = self._run(query, lambda result: list(result.fetchall()))
        return found

    def arrays(self, query: str) -> dict[str, Untyped]:
        """Return the columns that a query gives as masked numpy arrays."""
        found: dict[str, Untyped] = self._run(query, lambda result: dict(result.fetchnumpy()))
        return found

    def run(self, statement: str) -> None:
        """Run a statement that gives nothing."""
        self._run(statement, lambda _: None)

    def _run(self, query: str, take: Callable[[Untyped], Any]) -> Any:
        duckdb = require("duckdb")
        try:
            return take(self._database.execute(query))
        except (duckdb.OutOfMemoryException, duckdb.IOException) as error:
            raise DatasetError(
                f"{self.path.name}: the check ran out of memory or disk: {error}",
                "give it more memory, or a temporary folder (TMPDIR) with more space",
            ) from error

    # Text files

    def _fill_csv(self, progress: Progress) -> None:
        size = self.path.stat().st_size
        rows = csv_rows(self.path, lambda done: progress("reading the file", done / size))
        header = next(rows)[1]
        self._take_names(header)
        batch: list[list[str]] = []
        full = max(1, BATCH_CELLS // len(header))
        for _, row in rows:
            batch.append(row)
            if len(batch) == full:
                self._insert_text(list(zip(*batch, strict=True)))
                batch.clear()
        if batch:
            self._insert_text(list(zip(*batch, strict=True)))

    def _fill_json(self, progress: Progress) -> None:
        size = self.path.stat().st_size
        shapes: dict[str, Shape] = {}
        cells: dict[str, list[str | None]] = {}
        waiting = 0
        self._take_names([])
        for row in json_rows(self.path, lambda done: progress("reading the file", done / size)):
            for name in row.cells:
                if name in shapes:
                    continue
                if len(shapes) >= COLUMNS_MAX:
                    raise self._too_many(f"more than {COLUMNS_MAX}")
                self._check_name(name)
                shapes[name] = Shape(name)
                cells[name] = [None] * waiting
            for name, values in cells.items():
                values.append(_staged(shapes[name], self.row_count + waiting, row.cells.get(name)))
            waiting += 1
            if waiting * max(1, len(shapes)) >= BATCH_CELLS:
                self._insert_json(shapes, cells)
                waiting = 0
        if waiting:
            self._insert_json(shapes, cells)
        if self.row_count and not shapes:
            raise DatasetError(f"{self.path.name}: its objects have no keys")

    def _insert_json(self, shapes: dict[str, Shape], cells: dict[str, list[str | None]]) -> None:
        for name in list(shapes)[len(self.shapes) :]:
            self.run(f"ALTER TABLE raw ADD COLUMN c{len(self.shapes)} VARCHAR")
            self.shapes.append(shapes[name])
        self._insert_text([cells[shape.name] for shape in self.shapes])
        for values in cells.values():
            values.clear()

    def _take_names(self, names: list[str]) -> None:
        if len(names) > COLUMNS_MAX:
            raise self._too_many(str(len(names)))
        for name in names:
            self._check_name(name)
        self.shapes = [Shape(name) for name in names]
        columns = ["r BIGINT", *(f"c{number} VARCHAR" for number in range(len(names)))]
        self.run(f"CREATE TABLE raw ({', '.join(columns)})")

    def _check_name(self, name: str) -> None:
        try:
            name.encode()
        except UnicodeEncodeError as error:
            raise DatasetError(f"{self.path.name}: the column name {name!r} is no text") from error

    def _too_many(self, found: str) -> DatasetError:
        return DatasetError(
            f"{self.path.name} has {found} columns, a data set has at most {COLUMNS_MAX}",
            "leave out those that nobody needs",
        )

    def _insert_text(self, columns: list[Any]) -> None:
        arrow = self._arrow
        count = len(columns[0]) if columns else 0
        numbers = arrow.array(range(self.row_count, self.row_count + count), arrow.int64())
        arrays = [numbers, *(arrow.array(cells, arrow.string()) for cells in columns)]
        names = ["r", *(f"c{number}" for number in range(len(columns)))]
        self._insert(arrow.table(dict(zip(names, arrays, strict=True))), count)

    def _insert(self, batch: Untyped, count: int) -> None:
        self._database.register("batch", batch)
        self.run("INSERT INTO raw SELECT * FROM batch")
        self._database.unregister("batch")
        self.row_count += count

    # Parquet files

    def _fill_parquet(self, progress: Progress) -> None:
        arrow, parquet = self._arrow, require("pyarrow.parquet")
        try:
            found = parquet.ParquetFile(self.path)
            fields = list(found.schema_arrow)
            if len(fields) > COLUMNS_MAX:
                raise self._too_many(str(len(fields)))
            self.shapes = [Shape(one.name, _plain_type(arrow, self.path, one)) for one in fields]
            total = max(1, found.metadata.num_rows)
            first = True
            for batch in found.iter_batches(batch_size=PARQUET_BATCH_ROWS):
                batch.validate(full=True)
                self._insert_arrow(batch, create=first)
                first = False
                progress("reading the file", self.row_count / total)
        except (arrow.ArrowException, OSError, UnicodeDecodeError, OverflowError) as error:
            raise DatasetError(
                f"{self.path.name} is not a readable Parquet file: {error}",
                "write it again; it may have been cut off while it was copied",
            ) from error

    def _insert_arrow(self, batch: Untyped, *, create: bool) -> None:
        arrow = self._arrow
        count = batch.num_rows
        columns = {"r": arrow.array(range(self.row_count, self.row_count + count), arrow.int64())}
        for number, shape in enumerate(self.shapes):
            columns[f"c{number}"] = _plain(arrow, shape, batch.column(number), self.row_count)
        table = arrow.table(columns)
        if create:
            self._database.register("batch", table)
            self.run("CREATE TABLE raw AS SELECT * FROM batch LIMIT 0")
            self._database.unregister("batch")
        self._insert(table, count)


def _staged(shape: Shape, row: int, cell: str | bool | None) -> str | None:
    """Return a JSON value as text, and count of which type it was."""
    if cell is None:
        return None
    if isinstance(cell, bool):
        shape.booleans.add(row, str(cell).lower())
        return str(cell).lower()
    if isinstance(cell, NoValue):
        shape.broken.add(row, cell)
        return str(cell)
    if isinstance(cell, NumberText):
        shape.numbers.add(row, cell)
        return str(cell)
    shape.texts.add(row, cell)
    if not cell.isascii():
        # A lone surrogate cannot be stored; reading it with a schema refuses it by its row.
        return cell.encode("utf-8", "replace").decode()
    return cell


def _plain_type(arrow: Untyped, path: Path, field: Untyped) -> Untyped:
    """Return the type in which a Parquet column is staged.

    Raises:
        DatasetError: It holds what no kind of column holds.
    """
    types, kind = arrow.types, field.type
    if types.is_dictionary(kind):
        kind = kind.value_type
    if types.is_floating(kind):
        return arrow.float64()
    if types.is_timestamp(kind) or types.is_date32(kind):
        return arrow.timestamp("ms")
    if types.is_null(kind) or types.is_string(kind) or types.is_large_string(kind):
        return arrow.string()
    if types.is_boolean(kind) or types.is_integer(kind) or types.is_decimal128(kind):
        return kind
    raise DatasetError(
        f"{path.name}: column {field.name!r} holds {field.type}, which is no kind of column",
        "leave it out, or convert it to numbers, text or times",
    )


def _plain(arrow: Untyped, shape: Shape, cells: Untyped, first_row: int) -> Untyped:
    """Return cells in the type in which they are staged; count times finer than milliseconds."""
    kind = cells.type
    if arrow.types.is_dictionary(kind):
        cells = cells.cast(kind.value_type)
        kind = kind.value_type
    if arrow.types.is_date32(kind):
        return cells.cast(arrow.timestamp("ms"))
    if not arrow.types.is_timestamp(kind):
        return cells if kind == shape.arrow else cells.cast(shape.arrow)
    unit = {"s": 0, "ms": 1, "us": 1_000, "ns": 1_000_000}[kind.unit]
    naive = cells.cast(arrow.timestamp(kind.unit))
    if unit > 1:
        numbers = naive.cast(arrow.int64()).to_numpy(zero_copy_only=False)
        if naive.null_count:
            numbers = numbers[~naive.is_null().to_numpy(zero_copy_only=False)]
        if (numbers.astype("int64") % unit).any():
            for row, cell in _fine(naive, unit):
                shape.broken.add(first_row + row, f"{cell} is finer than a millisecond")
    return naive.cast(arrow.timestamp("ms"), safe=unit <= 1)


def _fine(cells: Untyped, unit: int) -> Iterator[tuple[int, str]]:
    """Yield (row, time) of times that are finer than a millisecond."""
    numbers = cells.cast("int64").to_pylist()
    for row, number in enumerate(numbers):
        if number is not None and number % unit:
            yield row, str(cells[row])
