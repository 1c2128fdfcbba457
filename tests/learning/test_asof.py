"""As-of joins: against a plain loop, in order, with nulls, ties and odd names."""

import pyarrow
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cairn.learning.asof import as_of_join
from cairn.learning.errors import DatasetError

ROWS = st.lists(st.tuples(st.integers(0, 3), st.integers(0, 20)), max_size=25)


def tables(left: list[tuple[int, int]], right: list[tuple[int, int]]) -> tuple[object, object]:
    integers = pyarrow.int64()
    return (
        pyarrow.table(
            {
                "who": pyarrow.array([who for who, _ in left], integers),
                "at": pyarrow.array([at for _, at in left], integers),
            }
        ),
        pyarrow.table(
            {
                "who": pyarrow.array([who for who, _ in right], integers),
                "known": pyarrow.array([at for _, at in right], integers),
                "value": pyarrow.array(list(range(len(right))), integers),
            }
        ),
    )


def expected(
    left: list[tuple[int, int]], right: list[tuple[int, int]], *, before: bool
) -> list[int | None]:
    found = []
    for who, at in left:
        seen = [
            (known, place)
            for place, (other, known) in enumerate(right)
            if other == who and (known < at if before else known <= at)
        ]
        found.append(max(seen)[1] if seen else None)
    return found


@settings(max_examples=40, deadline=None)
@given(ROWS, ROWS, st.booleans())
def test_it_is_what_a_plain_loop_finds(
    left: list[tuple[int, int]], right: list[tuple[int, int]], before: bool
) -> None:
    one, other = tables(left, right)
    joined = as_of_join(one, other, by=("who",), time="at", right_time="known", before=before)
    assert joined.column_names == ["who", "at", "value"]
    assert joined["value"].to_pylist() == expected(left, right, before=before)
    assert joined["at"].to_pylist() == [at for _, at in left]


@settings(max_examples=25, deadline=None)
@given(ROWS, ROWS, ROWS)
def test_what_becomes_known_later_changes_nothing(
    left: list[tuple[int, int]], right: list[tuple[int, int]], late: list[tuple[int, int]]
) -> None:
    one, other = tables(left, right)
    newest = max((at for _, at in left), default=0)
    _, more = tables(left, right + [(who, newest + at) for who, at in late])
    joined = [
        as_of_join(one, table, by=("who",), time="at", right_time="known")["value"].to_pylist()
        for table in (other, more)
    ]
    assert joined[0] == joined[1]


def test_names_of_columns_are_only_names() -> None:
    evil = 'x"; DROP TABLE left_; --'
    one = pyarrow.table({evil: [1], "at": [5]})
    other = pyarrow.table({evil: [1], "at": [4], 'v"': ["a"]})
    assert as_of_join(one, other, by=(evil,), time="at")['v"'].to_pylist() == ["a"]


def test_columns_that_are_missing_or_twice_there_are_named() -> None:
    one = pyarrow.table({"who": [1], "at": [5], "value": [1]})
    other = pyarrow.table({"who": [1], "at": [4], "value": [2]})
    with pytest.raises(DatasetError, match="both tables of the join have the column 'value'"):
        as_of_join(one, other, by=("who",), time="at")
    with pytest.raises(DatasetError, match="left table of the join has no column 'x'"):
        as_of_join(one, other, by=("x",), time="at")
