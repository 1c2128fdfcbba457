"""What a trained model comes down to, whatever library it is from."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Literal, NamedTuple

import numpy as np
import numpy.typing as npt

from cairn.learning.conversion.frames import Frame
from cairn.learning.conversion.rows import Booleans, Floats
from cairn.learning.conversion.symbols import Symbol
from cairn.learning.extras import Untyped

Predict = Callable[[Untyped], Floats]
Link = Literal["identity", "logistic", "isolation"]

LEAF = -1
"""Child index that marks a leaf."""


class CategorySplit(NamedTuple):
    """A node that asks whether a code is in a set."""

    codes: frozenset[int]
    codes_go_left: bool
    known: frozenset[int] | None = None
    """Codes outside this go as missing ones; None: as those outside `codes`."""


@dataclass(frozen=True, slots=True)
class SourceTree:
    """One tree of a trained model; node 0 is the root. A child may have several parents."""

    left: npt.NDArray[np.int64]
    """Index of the left child of each node, or LEAF."""
    right: npt.NDArray[np.int64]
    features: npt.NDArray[np.int64]
    thresholds: npt.NDArray[np.float64]
    values: npt.NDArray[np.float64]
    """Value of each leaf, in units of the raw output."""
    missing_left: Booleans
    """Where a missing value goes."""
    categories: Mapping[int, CategorySplit] = field(default_factory=dict)
    """By node, where it is no comparison with a threshold."""


@dataclass(frozen=True, slots=True)
class SourceModel:
    """What every source has. Both functions take what the model's own last step takes."""

    library: str
    kind: str
    link: Link
    raw: Predict
    """The raw output of rows, by the source's own code."""
    score: Predict
    """The probability of the second class, the prediction or the anomaly score."""
    takes_missing: bool


@dataclass(frozen=True, slots=True)
class TreeSource(SourceModel):
    """An ensemble: the raw output is (base + sum over trees) / divisor."""

    trees: tuple[SourceTree, ...]
    base: float = 0.0
    divisor: int = 1
    is_strict: bool = False
    """Whether a value goes left only below the threshold, and not at it."""
    is_narrow: bool = False
    """Whether values become float32 before they are compared."""

    def goes_left(self, values: Floats, thresholds: Floats) -> Booleans:
        """Return where numbers that are not missing go, by the source's own comparison."""
        compared = values.astype(np.float32) if self.is_narrow else values
        is_left: Booleans = compared < thresholds if self.is_strict else compared <= thresholds
        return is_left


@dataclass(frozen=True, slots=True)
class LinearSource(SourceModel):
    """The raw output is intercept + coefficients times columns."""

    coefficients: Floats
    intercept: float


@dataclass(frozen=True, slots=True)
class Source:
    """A trained model, and what its columns are of the inputs."""

    model: TreeSource | LinearSource
    columns: tuple[Symbol, ...]
    frame: Frame
    """The rows, with the columns that the source takes, in its order."""
    prepare: Callable[[Untyped], Untyped]
    """From the caller's rows to what the model's last step takes, by the source's own code."""
    steps: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()


def goes_left(model: TreeSource, tree: SourceTree, node: int, values: Floats) -> Booleans:
    """Return where values, missing ones included, go at one node."""
    missing = np.isnan(values)
    with np.errstate(all="ignore"):
        split = tree.categories.get(node)
        if split is None:
            is_left = model.goes_left(values, np.full(len(values), tree.thresholds[node]))
        else:
            codes = np.where(missing, -1, values).astype(np.int64)
            in_set = np.isin(codes, list(split.codes))
            is_left = in_set if split.codes_go_left else ~in_set
            if split.known is not None:
                is_left = np.where(
                    np.isin(codes, list(split.known)), is_left, tree.missing_left[node]
                )
    result: Booleans = np.where(missing, tree.missing_left[node], is_left)
    return result


def walk(model: TreeSource, matrix: Floats) -> Floats:
    """Return the raw output of rows of columns in plain floating point, node by node."""
    total = np.zeros(len(matrix))
    for tree in model.trees:
        pending = [(0, np.arange(len(matrix)))]
        while pending:
            node, rows = pending.pop()
            if tree.left[node] == LEAF:
                total[rows] += tree.values[node]
            elif len(rows):
                is_left = goes_left(model, tree, node, matrix[rows, tree.features[node]])
                pending += [
                    (int(tree.left[node]), rows[is_left]),
                    (int(tree.right[node]), rows[~is_left]),
                ]
    raw: Floats = (model.base + total) / model.divisor
    return raw
