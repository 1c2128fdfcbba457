"""Splits leak nothing: no entity and no later moment on both sides, whatever the rows are."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cairn.learning.errors import DatasetError
from cairn.learning.splits import Split, split_by_component, split_by_group, split_by_time

SHARES = st.integers(50_000, 900_000)


def check_whole(split: Split, rows: int) -> None:
    assert sorted([*split.train, *split.test]) == list(range(rows))
    assert split.train.size
    assert split.test.size
    assert list(split.train) == sorted(split.train)


@settings(max_examples=80, deadline=None)
@given(times=st.lists(st.integers(0, 40), min_size=2, max_size=60), share=SHARES)
def test_tests_are_later(times: list[int], share: int) -> None:
    try:
        split = split_by_time(times, share)
    except DatasetError:
        assert times.count(min(times)) + share * len(times) // 1_000_000 >= len(times)
        return
    check_whole(split, len(times))
    moments = np.array(times)
    assert moments[split.train].max() < moments[split.test].min()
    assert split.test.size >= max(1, share * len(times) // 1_000_000)


@settings(max_examples=80, deadline=None)
@given(
    groups=st.lists(st.sampled_from("abcdefghij"), min_size=2, max_size=60),
    share=SHARES,
    seed=st.integers(0, 9),
)
def test_groups_stay_whole(groups: list[str], share: int, seed: int) -> None:
    if len({*groups}) == 1:
        with pytest.raises(DatasetError, match="cannot be split"):
            split_by_group(groups, share, seed)
        return
    split = split_by_group(groups, share, seed)
    check_whole(split, len(groups))
    assert not {groups[row] for row in split.train} & {groups[row] for row in split.test}
    assert split.group_count == len({*groups})


@settings(max_examples=80, deadline=None)
@given(
    pairs=st.lists(st.tuples(st.integers(0, 25), st.integers(0, 25)), min_size=2, max_size=40),
    share=SHARES,
    seed=st.integers(0, 9),
)
def test_nobody_of_one_side_meets_the_other(
    pairs: list[tuple[int, int]], share: int, seed: int
) -> None:
    try:
        split = split_by_component(pairs, share, seed)
    except DatasetError:
        # One component only: spreading from the first row reaches all.
        reached = {*pairs[0]}
        for _ in pairs:
            reached |= {one for pair in pairs if {*pair} & reached for one in pair}
        assert all({*pair} <= reached for pair in pairs)
        return
    check_whole(split, len(pairs))
    sides = [{one for row in rows for one in pairs[row]} for rows in (split.train, split.test)]
    assert not sides[0] & sides[1]


def test_the_same_seed_draws_the_same_groups_in_any_order() -> None:
    groups = [f"g{n % 40}" for n in range(400)]
    first = split_by_group(groups, 200_000, 3)
    tested = {groups[row] for row in first.test}
    backwards = groups[::-1]
    again = split_by_group(backwards, 200_000, 3)
    assert {backwards[row] for row in again.test} == tested
    other = split_by_group(groups, 200_000, 4)
    assert {groups[row] for row in other.test} != tested
    assert first.test_ppm == 200_000
    assert "80 to test on (20.0 %)" in first.describe()
    numbers = [n % 40 for n in range(400)]
    plain = split_by_group(numbers, 200_000, 3)
    assert list(split_by_group(np.array(numbers), 200_000, 3).test) == list(plain.test)


def test_a_large_component_is_not_drawn_into_a_small_test() -> None:
    pairs = [("hub", n) for n in range(90)] + [(f"a{n}", f"b{n}") for n in range(10)]
    split = split_by_component(pairs, 100_000, 1)
    assert list(split.test) == list(range(90, 100))
    assert split.largest_group == 90


@pytest.mark.parametrize("share", [0, 1_000_000, -5])
def test_shares_that_leave_a_side_empty(share: int) -> None:
    with pytest.raises(DatasetError, match="not between none and all"):
        split_by_time([1, 2, 3], share)
