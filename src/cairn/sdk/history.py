"""A ledger's history as data: facts about payments as of a time, and tables to take away.

What is exported as of a time T holds what was on record before T and nothing that came later, so
that a model trained on it saw what somebody could have seen then.
"""

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, TypeVar

import numpy as np

from cairn.evidence.facts import Entry
from cairn.exact.features import FEATURES
from cairn.learning.asof import ArrowTable, as_of_join, table_of
from cairn.learning.extras import require
from cairn.learning.history import FRAUD, GENUINE, Facts, LabelFact, fold_history
from cairn.ledger.records import Series, SeriesHead
from cairn.modules.bank.records import HOLD_ACTION_SERIES, HOLD_SERIES
from cairn.modules.decisions.records import DECISION_SERIES, OUTCOME_SERIES
from cairn.modules.rules.records import FIRINGS
from cairn.modules.screening.records import ATTEMPTS, OUTCOME_ENTRIES, AttemptEntry, OutcomeEntry
from cairn.primitives.encoding import Record
from cairn.primitives.hashes import Digest, sha256, tagged_hash
from cairn.sdk.errors import UsageError
from cairn.sdk.quantities import format_time
from cairn.sdk.reading import Reader

FORMATS: Final = ("parquet", "csv", "json")
TIME_MS_MAX: Final = 253_402_300_799_999
MANIFEST_NAME: Final = "manifest.json"
FORMAT: Final = "cairn-history-1"

SERIES: Final[Mapping[str, Series[Any]]] = {
    "payments": ATTEMPTS,
    "outcomes": OUTCOME_ENTRIES,
    "holds": HOLD_SERIES,
    "hold_actions": HOLD_ACTION_SERIES,
    "decisions": DECISION_SERIES,
    "decision_outcomes": OUTCOME_SERIES,
    "firings": FIRINGS,
}
"""What is exported, and the series that it comes from."""

RecordT = TypeVar("RecordT", bound=Record)


@dataclass(frozen=True, slots=True)
class SeriesState:
    """How far a series reached when it was read."""

    size: int
    root: bytes
    """RFC 6962 root over all its entries."""


@dataclass(frozen=True)
class History:
    """Entries of a ledger's series that were on record before `as_of_ms`."""

    chain_id: str
    height: int
    """Height of the ledger when it was read."""
    as_of_ms: int
    entries: Mapping[str, tuple[Entry[Any], ...]]
    """For each name of `SERIES`."""
    states: Mapping[str, SeriesState]

    def facts(self) -> Facts:
        """Return the payments and what they were found to be."""
        attempts: tuple[Entry[AttemptEntry], ...] = self.entries["payments"]
        records = [entry.record for entry in attempts]
        outcomes: tuple[Entry[OutcomeEntry], ...] = self.entries["outcomes"]
        return Facts(
            names=[str(entry.position) for entry in attempts],
            known_ms=np.array([entry.time_ms for entry in attempts], np.int64),
            booked_at_ms=np.array([one.booked_at_ms for one in records], np.int64),
            payer=[one.payer for one in records],
            payee=[one.payee for one in records],
            terminal=[one.terminal for one in records],
            asset=[one.asset for one in records],
            amount_units=np.array([one.amount_units for one in records], np.int64),
            labels=tuple(
                LabelFact(one.record.attempt, _label(one.record.label), one.time_ms)
                for one in outcomes
            ),
        )


def read_history(
    reader: Reader, *, as_of_ms: int = TIME_MS_MAX, names: Sequence[str] = tuple(SERIES)
) -> History:
    """Return what a ledger had on record before a time; with a trust file, proved and complete.

    Args:
        reader: Of the ledger.
        as_of_ms: Nothing that was recorded at this time or later is read.
        names: Which entries of `SERIES` to read.

    Raises:
        ProtocolError: The node's answer does not parse or does not verify.
    """
    head = reader.head()
    until_ms = min(as_of_ms, head.time_ms + 1)
    entries: dict[str, tuple[Entry[Any], ...]] = {}
    states = {}
    for name in names:
        series = SERIES[name]
        row: SeriesHead | None = reader.get(series.table)
        states[name] = SeriesState(0, b"") if row is None else SeriesState(row.size, row.root)
        entries[name] = tuple(before(reader, series, until_ms))
    return History(reader.chain_id, head.height, until_ms, entries, states)


def before(reader: Reader, series: Series[RecordT], until_ms: int) -> Iterator[Entry[RecordT]]:
    """Yield a series' entries from before a time."""
    for entry in reader.series(series):
        if entry.time_ms >= until_ms:
            return
        yield entry


@dataclass(frozen=True, slots=True)
class Export:
    """Files that were written, and what they rest on."""

    directory: Path
    rows: Mapping[str, int]
    digest: Digest
    """Digest of the manifest, which names every file by its digest."""


def export_history(
    history: History,
    directory: Path,
    *,
    from_ms: int = 0,
    until_ms: int = TIME_MS_MAX,
    file_format: str = "parquet",
    features: Sequence[str] = FEATURES,
) -> Export:
    """Write a history's tables, the payments' features and a manifest into a directory.

    Args:
        history: All that was on record before its time.
        directory: Made if it is not there.
        from_ms: Only what was recorded from then on; earlier payments still fill the windows.
        until_ms: Only what was recorded before then.
        file_format: One of `FORMATS`.
        features: Which features of the payments to compute.

    Raises:
        UsageError: The format is unknown, or the directory cannot be written.
    """
    if file_format not in FORMATS:
        raise UsageError(f"there is no format {file_format!r}", f"choose {', '.join(FORMATS)}")
    tables = tables_of(history, from_ms=from_ms, until_ms=until_ms, features=features)
    files, rows = {}, {}
    try:
        directory.mkdir(parents=True, exist_ok=True)
        for name, table in tables.items():
            path = directory / f"{name}.{file_format}"
            write_arrow(path, table)
            files[name] = path
            rows[name] = table.num_rows
        manifest = _manifest(history, files, tables, (from_ms, until_ms))
        raw = json.dumps(manifest, indent=2, sort_keys=True).encode() + b"\n"
        (directory / MANIFEST_NAME).write_bytes(raw)
    except OSError as error:
        raise UsageError(
            f"{directory} cannot be written: {error.strerror}", "choose another directory"
        ) from error
    return Export(directory, rows, tagged_hash(b"cairn/history", raw))


def tables_of(
    history: History,
    *,
    from_ms: int = 0,
    until_ms: int = TIME_MS_MAX,
    features: Sequence[str] = FEATURES,
) -> dict[str, ArrowTable]:
    """Return Arrow tables of what was recorded in [from_ms, until_ms), and of features."""
    tables = {}
    for name in SERIES:
        if name in history.entries:
            entries = history.entries[name]
            tables[name] = _table(name, [e for e in entries if from_ms <= e.time_ms < until_ms])
    tables["payments"] = _labelled(tables["payments"], _outcomes(history), history.as_of_ms)
    facts = history.facts()
    wanted = (facts.known_ms >= from_ms) & (facts.known_ms < until_ms)
    matrix = fold_history(facts, tuple(features), wanted)
    columns = {name: ("int", matrix[:, at].tolist()) for at, name in enumerate(features)}
    positions = np.flatnonzero(wanted).tolist()
    tables["features"] = table_of({"attempt": ("int", positions), **columns})
    return tables


def write_arrow(path: Path, table: ArrowTable) -> None:
    """Write an Arrow table as Parquet, CSV or JSON lines, by the suffix of the path."""
    if path.suffix == ".parquet":
        require("pyarrow.parquet").write_table(table, path, compression="zstd")
    elif path.suffix == ".csv":
        require("pyarrow.csv").write_csv(table, path)
    else:
        lines = [json.dumps(row, default=str) for row in table.to_pylist()]
        path.write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")


def _label(text: str) -> int:
    return FRAUD if text == "fraud" else GENUINE


def _table(name: str, entries: Sequence[Entry[Any]]) -> ArrowTable:
    """Return a table with a column for each field of a series' record."""
    position = "attempt" if name == "payments" else "position"
    columns: dict[str, tuple[str, Sequence[object]]] = {
        position: ("int", [entry.position for entry in entries]),
        "recorded_ms": ("int", [entry.time_ms for entry in entries]),
    }
    kinds = _kinds(SERIES[name])
    for field, kind in kinds.items():
        values = [_plain(getattr(entry.record, field)) for entry in entries]
        columns[field] = (kind, values)
    return table_of(columns)


def _kinds(series: Series[Any]) -> dict[str, str]:
    """Return the columns of a series' record and their types in a table."""
    hints = series.record.__annotations__
    numbers = ("int", int, bool, "bool")
    return {
        name: "int" if hints[name] in numbers or name in _WHOLE else "text"
        for name in series.record.__struct_fields__
    }


_WHOLE: Final = ("booked_at_ms", "height", "amount_units", "score_ppm", "version", "acted_ms")


def _plain(value: object) -> object:
    """Return a field as a cell: ids in hex, lists as texts with blanks."""
    if isinstance(value, bytes):
        return value.hex()
    if isinstance(value, tuple):
        return " ".join(str(_plain(one)) for one in value)
    return int(value) if isinstance(value, bool) else value


def _outcomes(history: History) -> ArrowTable:
    entries: tuple[Entry[OutcomeEntry], ...] = history.entries["outcomes"]
    return table_of(
        {
            "attempt": ("int", [entry.record.attempt for entry in entries]),
            "label": ("text", [entry.record.label for entry in entries]),
            "labelled_ms": ("int", [entry.time_ms for entry in entries]),
            "known_ms": ("int", [entry.time_ms for entry in entries]),
        }
    )


def _labelled(payments: ArrowTable, outcomes: ArrowTable, as_of_ms: int) -> ArrowTable:
    """Return payments with the label that was known last before the export's time."""
    arrow = require("pyarrow")
    moment = arrow.array([as_of_ms] * payments.num_rows, arrow.int64())
    joined = as_of_join(
        payments.append_column("as_of_ms", moment),
        outcomes,
        by=("attempt",),
        time="as_of_ms",
        right_time="known_ms",
    )
    return joined.drop_columns(["as_of_ms"])


def _manifest(
    history: History,
    files: Mapping[str, Path],
    tables: Mapping[str, ArrowTable],
    period: tuple[int, int],
) -> dict[str, Any]:
    """Return what the files are and what they rest on, in the terms of Croissant."""
    return {
        "@context": {"@vocab": "https://schema.org/", "cr": "http://mlcommons.org/croissant/"},
        "@type": "Dataset",
        "conformsTo": "http://mlcommons.org/croissant/1.0",
        "name": f"history of {history.chain_id}",
        "cairn:format": FORMAT,
        "cairn:provenance": {
            "chain_id": history.chain_id,
            "height": history.height,
            "as_of_ms": history.as_of_ms,
            "as_of": format_time(history.as_of_ms),
            "query": {"from_ms": period[0], "until_ms": period[1]},
            "series": {
                name: {
                    "key": SERIES[name].key().hex(),
                    "size": state.size,
                    "root": state.root.hex(),
                    "entries_read": len(history.entries[name]),
                }
                for name, state in sorted(history.states.items())
            },
        },
        "distribution": [_file(path) for _, path in sorted(files.items())],
        "recordSet": [_record_set(name, files[name], tables[name]) for name in sorted(files)],
    }


def _file(path: Path) -> dict[str, Any]:
    return {
        "@type": "cr:FileObject",
        "name": path.name,
        "contentUrl": path.name,
        "contentSize": f"{path.stat().st_size} B",
        "encodingFormat": _MEDIA_TYPES[path.suffix],
        "sha256": sha256(path.read_bytes()).hex(),
    }


def _record_set(name: str, path: Path, table: ArrowTable) -> dict[str, Any]:
    fields = [
        {
            "@type": "cr:Field",
            "name": f"{name}/{column.name}",
            "dataType": "sc:Integer" if str(column.type) == "int64" else "sc:Text",
            "source": {
                "fileObject": {"name": path.name},
                "extract": {"column": column.name},
            },
        }
        for column in table.schema
    ]
    return {
        "@type": "cr:RecordSet",
        "name": name,
        "cairn:rows": table.num_rows,
        "field": fields,
    }


_MEDIA_TYPES: Final = {
    ".parquet": "application/vnd.apache.parquet",
    ".csv": "text/csv",
    ".json": "application/jsonlines",
}
