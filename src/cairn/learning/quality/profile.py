"""The columns of a staged file in figures: the typed table `t`, missing cells, medians, outliers.

`t` holds `r`, the number of the row, and for each column `v0`, `v1` … the value, or NULL where the
cell is missing or no value of its kind: decimals exactly, times in milliseconds, truths as 0 and 1.
"""

import decimal
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from cairn.learning.extras import Untyped, require
from cairn.learning.rows import JSON_SUFFIXES
from cairn.learning.schema_inference import MARKERS, TIME_PATTERN, matches
from cairn.learning.schemas import Column, Kind
from cairn.learning.staging import EXAMPLES_MAX, Odd, Stage
from cairn.learning.values import FLOAT_PATTERN, INTEGER_PATTERN, format_column

OUTLIER_MADS = 6
EMPTY_PPM = 990_000
"""A column with more missing cells than this is junk."""
NUMERIC = (Kind.INTEGER, Kind.DECIMAL, Kind.FLOAT64)


@dataclass
class Profile:
    """What is known of one column; filled step by step."""

    column: Column
    number: int
    missing: int = 0
    type_errors: Odd = field(default_factory=Odd)
    marked: int = 0
    """Of the type errors those that say that the value is missing."""
    distinct: int = 0
    minimum: str = ""
    median: str = ""
    maximum: str = ""
    mad: str = ""
    outliers: Odd = field(default_factory=Odd)
    junk: str = ""
    numbers_rows: bool = False
    """Whether the column only numbers the rows: consecutive integers, each once."""

    @property
    def value(self) -> str:
        """Return what the column is called in `t`."""
        return f"v{self.number}"


def make_typed(stage: Stage, columns: Sequence[Column]) -> None:
    """Make the table `t` of typed values from the table `raw` of cells."""
    values = [f"{_value(stage, at, one)} AS v{at}" for at, one in enumerate(columns)]
    stage.run(f"CREATE TABLE t AS SELECT r, {', '.join(values)} FROM raw")


def count_cells(stage: Stage, columns: Sequence[Column]) -> list[Profile]:
    """Return the profiles of all columns with their missing and wrong cells counted."""
    present = [_present(stage, at, one) for at, one in enumerate(columns)]
    counted = stage.one(
        f"SELECT {', '.join(f'count(*) FILTER ({one})' for one in present)} FROM raw"
    )
    valued = stage.one(f"SELECT {', '.join(f'count(v{at})' for at in range(len(columns)))} FROM t")
    profiles = []
    for at, column in enumerate(columns):
        profile = Profile(column, at, missing=stage.row_count - counted[at])
        if counted[at] > valued[at]:
            _find_wrong(stage, profile, present[at], counted[at] - valued[at])
        _add_odd(stage, profile)
        profiles.append(profile)
    return profiles


def measure_column(stage: Stage, profile: Profile) -> None:
    """Fill in what is left: distinct values, smallest, median, largest, MAD, outliers, junk."""
    value, kind = profile.value, profile.column.kind
    (profile.distinct,) = stage.one(f"SELECT count(DISTINCT {value}) FROM t")
    if profile.missing * 1_000_000 > stage.row_count * EMPTY_PPM:
        profile.junk = "empty"
    elif profile.distinct == 1 and not profile.missing and not profile.type_errors.count:
        profile.junk = "constant"
    if kind is Kind.TEXT or not profile.distinct:
        return
    low, middle, high = stage.one(
        f"SELECT min({value}), quantile_disc({value}, 0.5), max({value}) FROM t"
    )
    profile.minimum, profile.median, profile.maximum = (
        _shown(kind, one) for one in (low, middle, high)
    )
    if kind not in NUMERIC:
        return
    if kind is Kind.INTEGER and profile.distinct == stage.row_count:
        profile.numbers_rows = high - low + 1 == stage.row_count
    _find_outliers(stage, profile, middle)


def _find_outliers(stage: Stage, profile: Profile, middle: Any) -> None:
    """Count the values that lie more than 6 MAD from the median; none if the MAD is 0."""
    value = profile.value
    if profile.column.kind is Kind.FLOAT64:
        distance = f"abs({value} - {float(middle)!r}::DOUBLE)"
    else:
        # Wide enough for the distance of any two values.
        distance = f"abs({value}::DECIMAL(38, {profile.column.scale}) - {middle})"
    (mad,) = stage.one(f"SELECT quantile_disc({distance}, 0.5) FROM t")
    profile.mad = _shown(profile.column.kind, mad)
    if not mad:
        return
    far = f"{distance} > {OUTLIER_MADS} * {_literal(mad)}"
    (profile.outliers.count,) = stage.one(f"SELECT count(*) FROM t WHERE {far}")
    if profile.outliers.count:
        found = stage.rows(
            f"SELECT r, {value} FROM t WHERE {far} ORDER BY {distance} DESC, r LIMIT {EXAMPLES_MAX}"
        )
        profile.outliers.examples = [(row, _shown(profile.column.kind, one)) for row, one in found]


def _find_wrong(stage: Stage, profile: Profile, present: str, count: int) -> None:
    """Name the first cells that are there and are no value of the column's kind."""
    cell, at = f"raw.c{profile.number}", profile.number
    wrong = f"FROM raw JOIN t USING (r) WHERE raw.{present} AND v{at} IS NULL"
    found = stage.rows(
        f"SELECT r, left({cell}::VARCHAR, 40) {wrong} ORDER BY r LIMIT {EXAMPLES_MAX}"
    )
    profile.type_errors = Odd(count, found)
    words = ", ".join(f"'{marker}'" for marker in MARKERS)
    (profile.marked,) = stage.one(
        f"SELECT count(*) {wrong} AND lower(trim({cell}::VARCHAR)) IN ({words})"
    )


def _add_odd(stage: Stage, profile: Profile) -> None:
    """Add what reading the file already found of the wrong type."""
    shape, kind = stage.shapes[profile.number], profile.column.kind
    odd: list[Odd] = []
    if stage.suffix in JSON_SUFFIXES and kind is Kind.TEXT:
        odd = [shape.numbers, shape.booleans, shape.broken]
    elif not stage.is_text:
        odd = [shape.broken]
    for one in odd:
        profile.type_errors.count += one.count
        examples = sorted([*profile.type_errors.examples, *one.examples])
        profile.type_errors.examples = examples[:EXAMPLES_MAX]


def _present(stage: Stage, at: int, column: Column) -> str:
    """Return the condition that a cell is not missing."""
    if stage.is_text or column.kind is Kind.TEXT:
        return f"c{at} <> ''"
    return f"c{at} IS NOT NULL"


def _value(stage: Stage, at: int, column: Column) -> str:
    """Return the expression for the typed value of a cell."""
    arrow = stage.shapes[at].arrow
    if arrow is not None and _fits(require("pyarrow").types, arrow, column):
        match column.kind:
            case Kind.FLOAT64:
                return f"CASE WHEN isfinite(c{at}) THEN c{at} END"
            case Kind.TIMESTAMP:
                return f"epoch_ms(c{at})"
            case Kind.BOOLEAN:
                return f"c{at}::TINYINT"
            case Kind.INTEGER:
                return f"TRY_CAST(c{at} AS BIGINT)"
            case Kind.DECIMAL:
                return f"TRY_CAST(c{at} AS DECIMAL(38, {column.scale}))"
    return _parsed(f"c{at}" if stage.is_text else f"c{at}::VARCHAR", column)


def _fits(types: Untyped, arrow: Untyped, column: Column) -> bool:
    """Return whether values of a Parquet type are values of a column's kind as they are."""
    match column.kind:
        case Kind.FLOAT64:
            return bool(types.is_floating(arrow))
        case Kind.TIMESTAMP:
            return bool(types.is_timestamp(arrow))
        case Kind.BOOLEAN:
            return bool(types.is_boolean(arrow))
        case Kind.INTEGER:
            return bool(types.is_integer(arrow))
        case Kind.DECIMAL:
            return bool(types.is_decimal(arrow)) and arrow.scale <= column.scale
    return False


def _parsed(cell: str, column: Column) -> str:
    """Return the expression for the value that a cell spells, as `learning.values` reads it."""
    match column.kind:
        case Kind.INTEGER:
            return f"CASE WHEN {matches(cell, INTEGER_PATTERN)} THEN TRY_CAST({cell} AS BIGINT) END"
        case Kind.DECIMAL:
            pattern = rf"[+-]?[0-9]{{1,19}}(\.[0-9]{{0,{column.scale}}}0*)?"
            spelled = f"{matches(cell, pattern)} AND NOT ends_with({cell}, '.')"
            # Units have to fit 64 bits.
            bound = decimal.Decimal(2**63 - 1).scaleb(-column.scale)
            number = f"TRY_CAST({cell} AS DECIMAL(38, {column.scale}))"
            return f"CASE WHEN {spelled} AND abs({number}) <= {bound:f} THEN {number} END"
        case Kind.FLOAT64:
            number = f"TRY_CAST({cell} AS DOUBLE)"
            return (
                f"CASE WHEN {matches(cell, FLOAT_PATTERN)} AND isfinite({number}) THEN {number} END"
            )
        case Kind.TIMESTAMP:
            time = f"epoch_ms(TRY_CAST({cell} AS TIMESTAMPTZ))"
            return f"CASE WHEN {matches(cell, TIME_PATTERN)} THEN {time} END"
        case Kind.BOOLEAN:
            yes, no = f"lower({cell}) IN ('true', '1')", f"lower({cell}) IN ('false', '0')"
            return f"CASE WHEN {yes} THEN 1::TINYINT WHEN {no} THEN 0::TINYINT END"
        case Kind.TEXT:
            return f"nullif({cell}, '')"


def _literal(value: Any) -> str:
    return f"{value!r}::DOUBLE" if isinstance(value, float) else f"{value}"


def _shown(kind: Kind, value: Any) -> str:
    """Return a statistic as text."""
    if kind is Kind.TIMESTAMP:
        return format_column(Column("", Kind.TIMESTAMP), [int(value)])[0]
    if kind is Kind.BOOLEAN:
        return "true" if value else "false"
    if isinstance(value, float):
        return repr(value).removesuffix(".0") if abs(value) < 1e15 else repr(value)
    if isinstance(value, decimal.Decimal):
        return f"{value.normalize():f}" if value else "0"
    return str(value)
