"""Divides the rows of a table into those that are learned from and those that are tested on.

- `rows`: each row by chance, fixed by a seed.
- `time`: the latest rows are tested on; rows of one time stay together.
- `group`: all rows of one value stay together.
- `component`: rows that share a value in one of several columns stay together, and so do rows that
  are joined through others: no payer, card or terminal of the test is known from the training.

Where groups stay together, the share that is tested on is reached as nearly as whole groups allow.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from cairn.learning.errors import TrainingError
from cairn.learning.splits import split_by_component, split_by_group, split_by_time
from cairn.learning.tables import Table
from cairn.learning.values import Value
from cairn.primitives.fixed import PPM
from cairn.primitives.hashes import sha256

METHODS = ("rows", "time", "group", "component")
TEST_PPM = 300_000


@dataclass(frozen=True, slots=True)
class Partition:
    """How a table is divided."""

    method: str = "rows"
    columns: tuple[str, ...] = ()
    test_ppm: int = TEST_PPM
    seed: int = 1

    def __post_init__(self) -> None:
        """Refuse a method that is not there, or without its columns.

        Raises:
            TrainingError: Unknown method, or more or fewer columns than it goes by.
        """
        counts = {"rows": (0, 0), "time": (1, 1), "group": (1, 1), "component": (2, 8)}
        if self.method not in counts:
            raise TrainingError(f"unknown split {self.method!r}", f"one of {', '.join(METHODS)}")
        fewest, most = counts[self.method]
        if not fewest <= len(self.columns) <= most:
            raise TrainingError(
                f"a split by {self.method} goes by {fewest} to {most} columns",
                "name them, separated by commas; one column alone makes groups",
            )

    def describe(self) -> str:
        """Return the method in words."""
        return {
            "rows": f"by chance, seed {self.seed}",
            "time": f"the latest by {', '.join(self.columns)}",
            "group": f"whole groups of {', '.join(self.columns)}, seed {self.seed}",
            "component": f"whole components of {', '.join(self.columns)}, seed {self.seed}",
        }[self.method]


@dataclass(frozen=True)
class Parts:
    """Numbers of the rows of both parts: in the order of the file, or by chance shuffled."""

    train: NDArray[np.int64]
    test: NDArray[np.int64]
    cut: int
    """For a split by time: the first time of the test part; else 0."""


def divide(table: Table, partition: Partition) -> Parts:
    """Return which rows are learned from and which are tested on.

    Raises:
        TrainingError: A column is missing or has missing values, or is no time where it has to be.
        DatasetError: A part would have no row.
    """
    columns = [_column(table, name) for name in partition.columns]
    share, seed = partition.test_ppm, partition.seed
    if partition.method == "rows":
        order = np.array(_shuffled(range(table.row_count), seed), np.int64)
        start = table.row_count - table.row_count * share // PPM
        if not 0 < start < table.row_count:
            raise TrainingError("one of the parts would have no row", "choose another share")
        return Parts(order[:start], order[start:], 0)
    if partition.method == "time":
        if not all(isinstance(value, int) for value in columns[0]):
            raise TrainingError(
                f"the column {partition.columns[0]!r} is no time",
                "a time is a timestamp or a whole number, such as a day",
            )
        times = np.array(columns[0], np.int64)
        split = split_by_time(times, share)
        return Parts(split.train, split.test, max(0, int(times[split.test].min())))
    if partition.method == "group":
        split = split_by_group(columns[0], share, seed)
    else:
        split = split_by_component(list(zip(*columns, strict=True)), share, seed)
    return Parts(split.train, split.test, 0)


def _shuffled(items: Sequence[int], seed: int) -> list[int]:
    """Return numbers in the order of a hash: the same on every machine and version."""
    start = seed.to_bytes(8, "big")
    return sorted(items, key=lambda item: sha256(start + item.to_bytes(8, "big")))


def _column(table: Table, name: str) -> list[Value]:
    if name not in table.schema.names:
        raise TrainingError(
            f"there is no column {name!r} to divide by", f"columns: {', '.join(table.schema.names)}"
        )
    values = table.column(name)
    if any(value is None for value in values):
        row = values.index(None)
        raise TrainingError(
            f"row {row} has no {name!r}, by which the rows are divided", "fill it in, or drop it"
        )
    return values
