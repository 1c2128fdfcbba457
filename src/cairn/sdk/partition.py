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
from cairn.learning.tables import Table
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
        counts = {"rows": (0, 0), "time": (1, 1), "group": (1, 1), "component": (1, 8)}
        if self.method not in counts:
            raise TrainingError(f"unknown split {self.method!r}", f"one of {', '.join(METHODS)}")
        fewest, most = counts[self.method]
        if not fewest <= len(self.columns) <= most:
            raise TrainingError(f"a split by {self.method} goes by {fewest} to {most} columns")

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
        TrainingError: A column is missing or has missing values, or a part would have no row.
    """
    columns = [_column(table, name) for name in partition.columns]
    cut = 0
    if partition.method == "time":
        times = np.array(columns[0])
        if times.dtype.kind not in "if":
            raise TrainingError(
                f"the column {partition.columns[0]!r} is no time",
                "a time is a timestamp or a number, such as a day",
            )
        ordered = np.sort(times)
        first = ordered[min(len(ordered) - 1, _test_start(len(ordered), partition))]
        is_test = times >= first
        cut = max(0, int(first))
    elif partition.method != "rows":
        is_test = _whole_groups(_groups(columns), partition)
    if partition.method == "rows":
        order = np.array(_shuffled(range(table.row_count), partition.seed), np.int64)
        start = _test_start(table.row_count, partition)
        parts = Parts(order[:start], order[start:], cut)
    else:
        parts = Parts(np.flatnonzero(~is_test), np.flatnonzero(is_test), cut)
    if not len(parts.train) or not len(parts.test):
        raise TrainingError(
            "one of the parts would have no row", "choose another share or another way to divide"
        )
    return parts


def _test_start(count: int, partition: Partition) -> int:
    return count - count * partition.test_ppm // PPM


def _shuffled(items: Sequence[int], seed: int) -> list[int]:
    """Return numbers in the order of a hash: the same on every machine and version."""
    start = seed.to_bytes(8, "big")
    return sorted(items, key=lambda item: sha256(start + item.to_bytes(8, "big")))


def _groups(columns: Sequence[Sequence[object]]) -> NDArray[np.int64]:
    """Return a group of each row: rows that share a value in a column, and rows joined so."""
    count = len(columns[0])
    parent = list(range(count))

    def root(row: int) -> int:
        while parent[row] != row:
            parent[row] = parent[parent[row]]
            row = parent[row]
        return row

    for values in columns:
        first: dict[object, int] = {}
        for row, value in enumerate(values):
            one, other = root(first.setdefault(value, row)), root(row)
            parent[max(one, other)] = min(one, other)
    return np.array([root(row) for row in range(count)], np.int64)


def _whole_groups(groups: NDArray[np.int64], partition: Partition) -> NDArray[np.bool_]:
    """Return which rows are tested on: groups by chance, as long as they fit into the share."""
    names, sizes = np.unique(groups, return_counts=True)
    wanted = len(groups) * partition.test_ppm // PPM
    order = _shuffled(range(len(names)), partition.seed)
    picked, taken = [], 0
    for place in order:
        if taken + int(sizes[place]) <= wanted:
            picked.append(place)
            taken += int(sizes[place])
    return np.isin(groups, names[picked])


def _column(table: Table, name: str) -> list[object]:
    if name not in table.schema.names:
        raise TrainingError(
            f"there is no column {name!r} to divide by", f"columns: {', '.join(table.schema.names)}"
        )
    values: list[object] = list(table.column(name))
    if any(value is None for value in values):
        row = values.index(None)
        raise TrainingError(
            f"row {row} has no {name!r}, by which the rows are divided", "fill it in, or drop it"
        )
    return values
