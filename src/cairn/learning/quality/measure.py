"""Measuring: from a data file to its quality report, in bounded memory."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from cairn.learning.errors import DatasetError
from cairn.learning.quality.duplicates import Pairs, find_duplicates, find_near_duplicates
from cairn.learning.quality.findings import Findings
from cairn.learning.quality.leaks import (
    Leak,
    is_later,
    judge_column,
    leak_columns,
    read_target,
)
from cairn.learning.quality.profile import Profile, count_cells, make_typed, measure_column
from cairn.learning.quality.report import METHOD, NOT_JUDGED, ColumnProfile, QualityReport
from cairn.learning.schema_inference import columns_of, looks_like_data
from cairn.learning.schemas import Column, Kind, Schema
from cairn.learning.staging import MEMORY_BYTES_MAX, Progress, Stage, no_progress

_NO_LEAK = Leak(0, "")


@dataclass(frozen=True, slots=True)
class Roles:
    """What somebody knows about columns that no program can see."""

    label: str = ""
    """The outcome that a model is to predict."""
    after: tuple[str, ...] = ()
    """Columns that are known only after the label."""
    known_at: str = ""
    """Time column: when the row is decided."""


def measure_quality(
    path: Path,
    schema: Schema | None = None,
    roles: Roles = Roles(),
    *,
    progress: Progress = no_progress,
    memory_bytes_max: int = MEMORY_BYTES_MAX,
) -> QualityReport:
    """Return the quality report of the file at `path`.

    Args:
        path: A CSV, JSON or Parquet file.
        schema: Its columns; None finds their kinds by looking at every cell.
        roles: Which column is the label, and what is known about others.
        progress: Told how far the work is.
        memory_bytes_max: Memory of the database before it writes to a temporary folder.

    Raises:
        DatasetError: The file cannot be read, has other columns than the schema, or a role names a
            column that is not there.
    """
    with Stage(path, memory_bytes_max=memory_bytes_max) as stage:
        stage.fill(lambda what, share: progress(what, share * 0.4))
        progress("finding the kinds of the columns", 0.4)
        columns = _columns(stage, schema)
        _check_roles(stage, columns, roles)
        return _measure(stage, columns, roles, progress)


def _measure(
    stage: Stage, columns: Sequence[Column], roles: Roles, progress: Progress
) -> QualityReport:
    make_typed(stage, columns)
    profiles = count_cells(stage, columns)
    for at, profile in enumerate(profiles):
        progress(f"column {profile.column.name}", 0.5 + 0.2 * at / len(profiles))
        measure_column(stage, profile)
    progress("looking for rows that stand twice", 0.7)
    exact, exact_pairs = find_duplicates(stage)
    nearly, near_pairs = find_near_duplicates(stage, profiles)
    near = max(0, nearly - exact)
    found = Findings(stage.row_count)
    found.names(stage.names, looks_like_data(stage.names))
    leaks = _leaks(stage, profiles, roles, found, progress)
    for profile in profiles:
        found.column(profile, leaks.get(profile.number, _NO_LEAK))
    found.duplicates(exact, _told(exact, exact_pairs), near, _told(near, near_pairs))
    progress("done", 1.0)
    return QualityReport(
        method=METHOD,
        row_count=stage.row_count,
        label=roles.label,
        duplicates=exact,
        near_duplicates=near,
        columns=tuple(_column(one, leaks.get(one.number, _NO_LEAK)) for one in profiles),
        findings=found.sorted(),
    )


def _leaks(
    stage: Stage, profiles: list[Profile], roles: Roles, found: Findings, progress: Progress
) -> dict[int, Leak]:
    """Return what the leak check says of each column, by its number."""
    leaks: dict[int, Leak] = {}
    by_name = {one.column.name: one for one in profiles}
    judged = leak_columns(profiles, roles.label)
    if roles.label:
        target = read_target(stage, by_name[roles.label])
        if isinstance(target, str):
            found.note(NOT_JUDGED, roles.label, f"{target}, so leaks were not looked for")
        else:
            for at, profile in enumerate(judged):
                progress(f"leak check of {profile.column.name}", 0.75 + 0.25 * at / len(judged))
                leaks[profile.number] = judge_column(stage, profile, target)
    else:
        found.note(
            "no_label",
            "",
            "no label was named, so columns that give it away were not "
            "looked for; name it with --label",
        )
    for profile in judged:
        before = leaks.get(profile.number, _NO_LEAK)
        if profile.column.name in roles.after:
            leaks[profile.number] = Leak(
                before.auc_ppm, "it is declared known after the label only"
            )
        elif roles.known_at and not before.reason:
            reason = is_later(stage, profile, by_name[roles.known_at])
            leaks[profile.number] = Leak(before.auc_ppm, reason)
    return leaks


def _told(count: int, pairs: Pairs) -> Pairs:
    return pairs if count else []


def _columns(stage: Stage, schema: Schema | None) -> list[Column]:
    """Return the columns by the schema, in the order of the file.

    Raises:
        DatasetError: The file has other columns than the schema.
    """
    if schema is None:
        return _named(columns_of(stage))
    by_name = {column.name: column for column in schema.columns}
    for name in schema.names:
        if name not in stage.names:
            raise DatasetError(f"{stage.path.name} has no column {name!r}")
    for name in stage.names:
        if name not in by_name or stage.names.count(name) > 1:
            raise DatasetError(
                f"{stage.path.name} has the column {name!r}, which is unknown or stands twice",
                f"the schema has: {', '.join(schema.names)}",
            )
    return [by_name[name] for name in stage.names]


def _named(columns: list[Column]) -> list[Column]:
    """Return columns each of which has a name of its own, so that a report can speak of it."""
    taken: dict[str, int] = {}
    named = []
    for number, column in enumerate(columns):
        name = column.name if column.name.strip() else f"column {number + 1}"
        while name in taken:
            taken[name] += 1
            name = f"{name} ({taken[name]})"
        taken[name] = 1
        named.append(Column(name, column.kind, column.scale, column.nullable))
    return named


def _check_roles(stage: Stage, columns: Sequence[Column], roles: Roles) -> None:
    kinds = {column.name: column.kind for column in columns}
    for name in (roles.label, roles.known_at, *roles.after):
        if name and name not in kinds:
            raise DatasetError(
                f"{stage.path.name} has no column {name!r}", f"columns: {', '.join(kinds)[:500]}"
            )
    if roles.known_at and kinds[roles.known_at] is not Kind.TIMESTAMP:
        raise DatasetError(f"the column {roles.known_at!r} holds no times")


def _column(profile: Profile, leak: Leak) -> ColumnProfile:
    return ColumnProfile(
        name=profile.column.name,
        kind=profile.column.kind.value,
        missing=profile.missing,
        type_errors=profile.type_errors.count,
        distinct=profile.distinct,
        minimum=profile.minimum,
        median=profile.median,
        maximum=profile.maximum,
        mad=profile.mad,
        outliers=profile.outliers.count,
        junk=profile.junk,
        auc_ppm=leak.auc_ppm,
        leak=leak.reason,
    )
