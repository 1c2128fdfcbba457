"""Scores rows by an exact model: compiled with Numba, or with NumPy; the bits are the same.

`reference` specifies the arithmetic. Which kernel runs is the caller's explicit choice and never
changes a result.
"""

from collections.abc import Sequence
from functools import cache
from importlib.util import find_spec
from typing import Any, Literal

import numpy as np

from cairn.exact import walks
from cairn.exact.errors import KernelUnavailableError, ModelInputError
from cairn.exact.layouts import Int64s, PerfectTrees, lay_out
from cairn.exact.models import ExactModel, Linear, Scorecard, Trees, column_count
from cairn.exact.reference import RAW_ONE, linear_raw, score_of_raw, scorecard_raw
from cairn.exact.stages import Stage, lay_out_stage
from cairn.primitives.fixed import (
    HALVING_LIMIT,
    HALVING_TABLE,
    PPM,
    RAW_BITS,
    SIGMOID_LIMIT,
    SIGMOID_TABLE,
)

Kernel = Literal["auto", "numba", "numpy"]

_FRACTION_BITS = 24
"""Bits of a raw output below the step of the sigmoid's table; the table's values have as many."""

_SIGMOID_TABLE = np.array(SIGMOID_TABLE, np.int64)

_HALVING_FRACTION_BITS = 22
"""Bits of a raw output below the step of the table of powers of two."""

_HALVING_TABLE = np.array(HALVING_TABLE, np.int64)

_STAGE_CELLS = 2**18
"""Cells of columns that are made at a time, 2 MB, so that they stay in the cache."""

_STAGE_ROWS_MIN = 64
_ARRAY_WEIGHTS_MIN = 128
"""With more weights, making an array of one row pays."""


@cache
def has_numba() -> bool:
    """Return whether the compiled kernels can be used here."""
    return find_spec("numba") is not None


class Scorer:
    """Scores rows by one model whose form is checked. Threads may share it."""

    def __init__(self, model: ExactModel, *, kernel: Kernel = "auto") -> None:
        """Unpack the model; `auto` compiles where Numba is installed.

        Raises:
            KernelUnavailableError: `numba` was asked for and is not installed.
        """
        if kernel == "numba" and not has_numba():
            raise KernelUnavailableError("Numba is not installed; choose the kernel 'numpy'")
        self.model = model
        self.kernel: Kernel = "numba" if kernel != "numpy" and has_numba() else "numpy"
        self._feature_count = len(model.features)
        self._stage: Stage | None = None
        if model.columns:
            self._stage = _CompiledStage(model) if self.kernel == "numba" else Stage(model)
        self._raw: _ScorecardRaw | _LinearRaw | _TreesRaw
        if isinstance(model.body, Scorecard):
            self._raw = _ScorecardRaw(model.body)
        elif isinstance(model.body, Linear):
            self._raw = _LinearRaw(model.body)
        elif self.kernel == "numba":
            self._raw = _CompiledTreesRaw(model.body, column_count(model))
        else:
            self._raw = _TreesRaw(model.body, column_count(model))

    def warm_up(self) -> None:
        """Compile what this model needs, in under a second; later calls are fast."""
        row = (0,) * self._feature_count
        self.score_one(row)
        self.score(np.array([row], np.int64))

    def score(self, rows: Int64s) -> tuple[Int64s, Int64s]:
        """Return the raw output in 2^-32 and the score in parts per million of each row.

        Args:
            rows: Shape (rows, features), int64. Each row fits the input schema (`check_row`).

        Raises:
            ModelInputError: Another shape or type.
        """
        if rows.ndim != 2 or rows.shape[1] != self._feature_count or rows.dtype != np.int64:
            raise ModelInputError(f"rows are int64 of shape (n, {self._feature_count})")
        raw = self._raw_of_rows(np.require(rows, requirements=("C", "W")))
        return raw, scores_of_raw(raw, self.model.link)

    def score_one(self, row: Sequence[int]) -> tuple[int, int]:
        """Return the raw output and the score of one row, which fits the input schema.

        Raises:
            ModelInputError: Another number of values.
        """
        if len(row) != self._feature_count:
            raise ModelInputError(f"the row has {len(row)} values, not {self._feature_count}")
        raw = self._raw.one(row if self._stage is None else self._stage.one(row))
        return raw, score_of_raw(raw, self.model.link)

    def _raw_of_rows(self, rows: Int64s) -> Int64s:
        stage = self._stage
        if stage is None:
            return self._raw.many(rows)
        raw = np.empty(len(rows), np.int64)
        step = max(_STAGE_ROWS_MIN, _STAGE_CELLS // column_count(self.model))
        for start in range(0, len(rows), step):
            raw[start : start + step] = self._raw.many(stage.many(rows[start : start + step]))
        return raw


def scores_of_raw(raw: Int64s, link: str) -> Int64s:
    """Return `reference.score_of_raw` of each raw output."""
    if link == "identity":
        return (np.clip(raw, 0, RAW_ONE) * PPM + RAW_ONE // 2) >> RAW_BITS
    if link == "isolation":
        return _halvings(np.clip(raw, 0, HALVING_LIMIT))
    magnitude = np.abs(np.clip(raw, -SIGMOID_LIMIT, SIGMOID_LIMIT))
    index = magnitude >> _FRACTION_BITS
    low = _SIGMOID_TABLE[index]
    rise = _SIGMOID_TABLE[index + 1] - low
    fraction = magnitude & ((1 << _FRACTION_BITS) - 1)
    half = 1 << (_FRACTION_BITS - 1)
    ppm = (low + (rise * fraction >> _FRACTION_BITS) + half) >> _FRACTION_BITS
    scores: Int64s = np.where(raw < 0, PPM - ppm, ppm)
    return scores


def _halvings(raw: Int64s) -> Int64s:
    whole, below = raw >> RAW_BITS, raw & (RAW_ONE - 1)
    index = below >> _HALVING_FRACTION_BITS
    low = _HALVING_TABLE[index]
    rise = _HALVING_TABLE[index + 1] - low
    fraction = below & ((1 << _HALVING_FRACTION_BITS) - 1)
    value = low + (rise * fraction >> _HALVING_FRACTION_BITS)
    half = np.int64(1 << (_FRACTION_BITS - 1))
    scores: Int64s = (value + (half << whole)) >> (_FRACTION_BITS + whole)
    return scores


class _CompiledStage(Stage):
    def __init__(self, model: ExactModel) -> None:
        super().__init__(model)
        from cairn.exact import kernels  # Importing Numba takes half a second.

        self._arrays = lay_out_stage(model)
        self._expand = kernels.expand

    def many(self, rows: Int64s) -> Int64s:
        values: Int64s = self._expand(rows, self._arrays)
        return values


class _ScorecardRaw:
    def __init__(self, card: Scorecard) -> None:
        self._card = card
        self._bounds = [np.array(entry.upper_bounds, np.int64) for entry in card.bins]
        self._points = [np.array(entry.points, np.int64) for entry in card.bins]

    def one(self, row: Sequence[int]) -> int:
        return scorecard_raw(self._card, row)

    def many(self, rows: Int64s) -> Int64s:
        card = self._card
        points = np.full(len(rows), card.base_points, np.int64)
        for entry, bounds, bin_points in zip(card.bins, self._bounds, self._points, strict=True):
            points += bin_points[np.searchsorted(bounds, rows[:, entry.column], side="left")]
        raw: Int64s = card.base + points * card.raw_per_point
        return raw


class _LinearRaw:
    def __init__(self, linear: Linear) -> None:
        self._linear = linear
        self._weights = np.array([entry.weight for entry in linear.weights], np.int64)
        self._lows = np.array([entry.low for entry in linear.weights], np.int64)
        self._highs = np.array([entry.high for entry in linear.weights], np.int64)

    def one(self, row: Sequence[int]) -> int:
        if len(row) > _ARRAY_WEIGHTS_MIN:
            return int(self.many(np.array([row], np.int64))[0])
        return linear_raw(self._linear, row)

    def many(self, rows: Int64s) -> Int64s:
        total = (np.clip(rows, self._lows, self._highs) * self._weights).sum(axis=1)
        raw: Int64s = self._linear.base + (total >> self._linear.shift_bits)
        return raw


class _TreesRaw:
    def __init__(self, trees: Trees, feature_count: int) -> None:
        self._layout = lay_out(trees, feature_count)
        self._offset = trees.base + trees.divisor // 2
        self._divisor = trees.divisor

    def one(self, row: Sequence[int]) -> int:
        return (self._sum_one(np.array(row, np.int64)) + self._offset) // self._divisor

    def many(self, rows: Int64s) -> Int64s:
        return (self._sum_many(rows) + self._offset) // self._divisor

    def _sum_one(self, row: Int64s) -> int:
        return int(walks.sum_leaves(self._layout, row[None, :])[0])

    def _sum_many(self, rows: Int64s) -> Int64s:
        return walks.sum_leaves(self._layout, rows)


class _CompiledTreesRaw(_TreesRaw):
    def __init__(self, trees: Trees, feature_count: int) -> None:
        super().__init__(trees, feature_count)
        from cairn.exact import kernels  # Importing Numba takes half a second.

        layout = self._layout
        if isinstance(layout, PerfectTrees):
            self._arrays: tuple[Any, ...] = (
                layout.features,
                layout.thresholds,
                layout.leaves,
                layout.depth,
            )
            self._one_kernel, self._many_kernel = kernels.sum_perfect_one, kernels.sum_perfect
        else:
            self._arrays = (
                layout.roots,
                layout.features,
                layout.thresholds,
                layout.children,
                layout.leaves,
            )
            self._one_kernel, self._many_kernel = kernels.sum_sparse_one, kernels.sum_sparse

    def _sum_one(self, row: Int64s) -> int:
        return int(self._one_kernel(row, *self._arrays))

    def _sum_many(self, rows: Int64s) -> Int64s:
        sums: Int64s = self._many_kernel(rows, *self._arrays)
        return sums
