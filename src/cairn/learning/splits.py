"""Splits of rows into training and test that do not leak: by time, by group, by component.

Every split is a pair of ascending row numbers, and says its sizes. The share of test rows is a
wish: groups stay whole, so the share that comes out is stated and can differ.
"""

import hashlib
from collections.abc import Hashable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from cairn.learning.errors import DatasetError

PPM = 1_000_000
Rows = NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class Split:
    """Which rows are trained on and which are tested on."""

    train: Rows
    test: Rows
    group_count: int
    """Groups or components that were kept whole; for a split by time, moments."""
    largest_group: int
    """Rows of the largest of them."""

    @property
    def test_ppm(self) -> int:
        """Return the share of test rows that came out."""
        return self.test.size * PPM // (self.train.size + self.test.size)

    def describe(self) -> str:
        """Return the sizes in a sentence."""
        return (
            f"{self.train.size:,} rows to train on, {self.test.size:,} to test on "
            f"({self.test_ppm / 10_000:.1f} %), {self.group_count:,} groups kept whole, the "
            f"largest of {self.largest_group:,} rows"
        )


def split_by_time(times: Sequence[int] | NDArray[np.int64], test_ppm: int) -> Split:
    """Return the split whose test rows are all later than its training rows.

    Rows of the same moment stay together: the moment at which the wished share begins, and all
    after it, are tested on.

    Raises:
        DatasetError: A side would be empty.
    """
    moments = np.asarray(times, dtype=np.int64)
    _check(moments.size, test_ppm)
    ordered = np.sort(moments)
    first = ordered[moments.size - _wished(moments.size, test_ppm)]
    distinct, counts = np.unique(moments, return_counts=True)
    return _split(moments >= first, distinct.size, int(counts.max()))


def split_by_group(groups: Sequence[Hashable], test_ppm: int, seed: int) -> Split:
    """Return a split in which no group (a customer, a shop) has rows on both sides.

    Args:
        groups: Group of each row: text, an integer or bytes.
        test_ppm: Wished share of test rows.
        seed: Another seed draws other groups; the same gives the same split everywhere.

    Raises:
        DatasetError: A side would be empty, as with a single group.
    """
    _check(len(groups), test_ppm)
    numbers: dict[Hashable, int] = {}
    codes = np.fromiter((numbers.setdefault(one, len(numbers)) for one in groups), np.int64)
    keys = [_key(one, seed) for one in numbers]
    return _take_groups(codes, keys, test_ppm)


def split_by_component(
    pairs: Sequence[tuple[Hashable, Hashable]], test_ppm: int, seed: int
) -> Split:
    """Return a split in which nobody of one side ever had to do with anybody of the other.

    Two rows are connected if they share an entity in any place of the pair, directly or through
    other rows; each connected component goes to one side as a whole.

    Args:
        pairs: Entities of each row, such as payer and payee; more than two are possible.
        test_ppm: Wished share of test rows.
        seed: Another seed draws other components.

    Raises:
        DatasetError: A side would be empty; often all payments hang together in one component,
            and then there is no such split.
    """
    _check(len(pairs), test_ppm)
    forest = _Forest()
    for row in pairs:
        first = forest.find(forest.number(row[0]))
        for other in row[1:]:
            first = forest.join(first, forest.find(forest.number(other)))
    roots = [forest.find(forest.number(row[0])) for row in pairs]
    # A component is drawn by its smallest key, whatever the order of the rows is.
    least: dict[int, bytes] = {}
    for entity, number in forest.numbers.items():
        root, key = forest.find(number), _key(entity, seed)
        least[root] = min(least.get(root, key), key)
    places = {root: place for place, root in enumerate(least)}
    codes = np.fromiter((places[root] for root in roots), np.int64)
    return _take_groups(codes, list(least.values()), test_ppm)


class _Forest:
    """Disjoint sets of entities, with path halving and union by size."""

    def __init__(self) -> None:
        self.numbers: dict[Hashable, int] = {}
        self._parents: list[int] = []
        self._sizes: list[int] = []

    def number(self, entity: Hashable) -> int:
        """Return the number of an entity, a new one if it is new."""
        found = self.numbers.get(entity)
        if found is None:
            found = self.numbers[entity] = len(self._parents)
            self._parents.append(found)
            self._sizes.append(1)
        return found

    def find(self, number: int) -> int:
        """Return the root of the set that a number is in."""
        parents = self._parents
        while parents[number] != number:
            parents[number] = parents[parents[number]]
            number = parents[number]
        return number

    def join(self, one: int, other: int) -> int:
        """Join the sets of two roots; return the root of both."""
        if one == other:
            return one
        if self._sizes[one] < self._sizes[other]:
            one, other = other, one
        self._parents[other] = one
        self._sizes[one] += self._sizes[other]
        return one


def _take_groups(codes: Rows, keys: list[bytes], test_ppm: int) -> Split:
    """Return the split that fills the test side with whole groups in the order of their keys.

    A group that would make the test side larger than wished is passed over, unless none fits: then
    the smallest is taken.
    """
    sizes = np.bincount(codes, minlength=len(keys))
    wished = _wished(codes.size, test_ppm)
    chosen = np.zeros(len(keys), dtype=bool)
    taken = 0
    for group in sorted(range(len(keys)), key=keys.__getitem__):
        if taken + int(sizes[group]) <= wished:
            chosen[group] = True
            taken += int(sizes[group])
    if not taken:
        chosen[min(range(len(keys)), key=lambda group: (int(sizes[group]), keys[group]))] = True
    return _split(chosen[codes], len(keys), int(sizes.max()))


def _split(is_test: NDArray[np.bool_], group_count: int, largest: int) -> Split:
    train, test = np.flatnonzero(~is_test), np.flatnonzero(is_test)
    if not train.size or not test.size:
        raise DatasetError(
            f"the rows cannot be split: {group_count:,} groups, the largest of {largest:,} rows",
            "all rows hang together; split by time, or by another column",
        )
    return Split(train.astype(np.int64), test.astype(np.int64), group_count, largest)


def _key(entity: Hashable, seed: int) -> bytes:
    """Return by what groups are ordered: a hash of entity and seed, the same on every machine."""
    if isinstance(entity, np.generic):
        entity = entity.item()
    return hashlib.sha256(f"{seed} {type(entity).__name__} {entity!r}".encode()).digest()


def _wished(rows: int, test_ppm: int) -> int:
    return min(rows, max(1, rows * test_ppm // PPM))


def _check(rows: int, test_ppm: int) -> None:
    if rows < 2:
        raise DatasetError("fewer than two rows cannot be split")
    if not 0 < test_ppm < PPM:
        raise DatasetError(f"a share of {test_ppm} ppm is not between none and all")
