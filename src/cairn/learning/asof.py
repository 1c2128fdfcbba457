"""As-of joins: to each row, what was known at its time and nothing that came later."""

from collections.abc import Mapping, Sequence
from typing import Any

from cairn.learning.errors import DatasetError
from cairn.learning.extras import Untyped, require

ArrowTable = Any
"""A `pyarrow.Table`."""

_PLACE = "__place"


def as_of_join(
    left: ArrowTable,
    right: ArrowTable,
    *,
    by: Sequence[str],
    time: str,
    right_time: str = "",
    before: bool = True,
) -> ArrowTable:
    """Return `left` with the columns of the newest row of `right` that its time allows.

    Rows keep the order of `left`; where `right` has nothing yet, its columns are null. Of rows of
    `right` with the same keys and time the last one counts.

    Args:
        left: The rows to look up for.
        right: Facts and when each became known; its other columns must not be columns of `left`.
        by: Columns that have to be equal.
        time: The column of `left` with the time to look at.
        right_time: That of `right`, if it has another name; it is not in the result then.
        before: Only what was known before that time, not at it.

    Raises:
        DatasetError: A column is missing, or stands in both tables.
        MissingExtraError: DuckDB is not installed.
    """
    right_time = right_time or time
    added = [name for name in right.column_names if name not in (*by, right_time)]
    _check_columns(left, right, (*by, time), (*by, right_time), added)
    compare = ">" if before else ">="
    keys = "".join(f"l.{_name(key)} = r.{_name(key)} AND " for key in by)
    groups = ", ".join(map(_name, (*by, right_time)))
    found = "".join(f", r.{_name(name)}" for name in added)
    with connected(left=_placed(left), right=_placed(right)) as link:
        joined = link.sql(
            f"WITH r AS (SELECT * FROM right_ QUALIFY row_number() OVER"  # noqa: S608 - names are quoted
            f" (PARTITION BY {groups} ORDER BY {_PLACE} DESC) = 1)"
            f" SELECT l.*{found} FROM left_ l ASOF LEFT JOIN r"
            f" ON {keys}l.{_name(time)} {compare} r.{_name(right_time)} ORDER BY l.{_PLACE}"
        )
        return joined.to_arrow_table().drop_columns([_PLACE])


def connected(**tables: ArrowTable) -> Untyped:
    """Return a database in memory that knows Arrow tables, each by its name and `_`.

    It reads and writes no file, and takes nothing from outside.
    """
    link = require("duckdb").connect(":memory:", config={"threads": 1})
    link.execute("SET enable_external_access = false")
    for name, table in tables.items():
        link.register(f"{name}_", table)
    return link


def table_of(columns: Mapping[str, tuple[str, Sequence[object]]]) -> ArrowTable:
    """Return an Arrow table from columns, each with the name of its type."""
    arrow = require("pyarrow")
    types = {
        "int": arrow.int64(),
        "text": arrow.string(),
        "bool": arrow.bool_(),
        "time": arrow.timestamp("ms", tz="UTC"),
    }
    return arrow.table(
        {name: arrow.array(values, types[kind]) for name, (kind, values) in columns.items()}
    )


def _placed(table: ArrowTable) -> ArrowTable:
    arrow = require("pyarrow")
    return table.append_column(_PLACE, arrow.array(range(table.num_rows), arrow.int64()))


def _name(column: str) -> str:
    return '"' + column.replace('"', '""') + '"'


def _check_columns(
    left: ArrowTable,
    right: ArrowTable,
    left_needs: Sequence[str],
    right_needs: Sequence[str],
    added: Sequence[str],
) -> None:
    for table, side, needs in ((left, "left", left_needs), (right, "right", right_needs)):
        for name in needs:
            if name not in table.column_names:
                raise DatasetError(f"the {side} table of the join has no column {name!r}")
    for name in added:
        if name in left.column_names:
            raise DatasetError(f"both tables of the join have the column {name!r}")
