"""Writes the trees of a trained ensemble in the columns of an exact model."""

from collections.abc import Sequence
from dataclasses import dataclass
from struct import pack

import numpy as np
import numpy.typing as npt

from cairn.exact.models import (
    LEFT_IS_LEAF,
    RIGHT_IS_LEAF,
    Feature,
    Trees,
    feature_width,
    leaf_index_width,
)
from cairn.learning.conversion_errors import ConversionError
from cairn.learning.conversion_rows import threshold_key
from cairn.primitives.fixed import RAW_BITS

LEAF = -1
"""Child index that marks a leaf."""

_CODES = {1: "B", 2: "H"}


@dataclass(frozen=True, slots=True)
class SourceTree:
    """One tree of a trained model; node 0 is the root, rows at most the threshold go left."""

    left: npt.NDArray[np.int64]
    """Index of the left child of each node, or LEAF."""
    right: npt.NDArray[np.int64]
    features: npt.NDArray[np.int64]
    thresholds: npt.NDArray[np.float64]
    values: npt.NDArray[np.float64]
    """Value of each leaf, in units of the raw output."""


def write_trees(
    sources: Sequence[SourceTree], features: Sequence[Feature], *, base: float, divisor: int
) -> Trees:
    """Return the trees with thresholds rounded down and leaves rounded to 2^-32, half to even.

    Raises:
        ConversionError: A leaf or the base is not finite or too large.
    """
    writer = _Writer(features)
    for source in sources:
        writer.add(source)
    return writer.finish(base=quantise(base), divisor=divisor)


def quantise(value: float) -> int:
    """Return a raw output as a multiple of 2^-32, rounded half to even.

    Raises:
        ConversionError: It is not finite or too large.
    """
    if not abs(value) < 2.0**30:  # also refuses NaN
        raise ConversionError(
            f"the model adds {value}, which is not a finite number below 2^30",
            hint="scale the target down before training",
        )
    return round(value * 2.0**RAW_BITS)


class _Writer:
    """Collects the columns, level by level within each tree."""

    def __init__(self, features: Sequence[Feature]) -> None:
        self._schema = features
        self._sizes: list[int] = []
        self._flags = bytearray()
        self._features: list[int] = []
        self._thresholds: list[int] = []
        self._leaves: list[int] = []

    def add(self, source: SourceTree) -> None:
        left, right = source.left.tolist(), source.right.tolist()
        features, thresholds = source.features.tolist(), source.thresholds.tolist()
        values = source.values
        if left[0] == LEAF:
            self._sizes.append(0)
            self._leaves.append(quantise(float(values[0])))
            return
        queue = [0]
        for node in queue:
            flags = 0
            for child, flag in ((left[node], LEFT_IS_LEAF), (right[node], RIGHT_IS_LEAF)):
                if left[child] == LEAF:
                    flags |= flag
                    self._leaves.append(quantise(float(values[child])))
                else:
                    queue.append(child)
            self._flags.append(flags)
            self._features.append(features[node])
            self._thresholds.append(threshold_key(self._schema[features[node]], thresholds[node]))
        self._sizes.append(len(queue))

    def finish(self, *, base: int, divisor: int) -> Trees:
        thresholds = self._thresholds
        narrow = all(-(2**31) <= threshold < 2**31 for threshold in thresholds)
        values = sorted(set(self._leaves))
        width = leaf_index_width(len(self._leaves), len(values))
        places = {value: place for place, value in enumerate(values)}
        return Trees(
            base=base,
            divisor=divisor,
            tree_sizes=_column("I", self._sizes),
            leaf_flags=bytes(self._flags),
            features=_column(_CODES[feature_width(len(self._schema))], self._features),
            thresholds=_column("i" if narrow else "q", thresholds),
            leaf_values=_column("q", values if width else self._leaves),
            leaf_index=_column(_CODES[width], [places[leaf] for leaf in self._leaves])
            if width
            else b"",
        )


def _column(code: str, values: Sequence[int]) -> bytes:
    return pack(f"<{len(values)}{code}", *values)
