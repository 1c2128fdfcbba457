"""The report of a divergence: where execution left the record, and by which rows it differs."""

import json
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path

from cairn.engine.base import LogEntry
from cairn.ledger.changes import StateReader
from cairn.ledger.errors import DivergenceError
from cairn.ledger.execution import BlockResult
from cairn.ledger.module import Registry
from cairn.ledger.records import describe_key, split_key

DIVERGENCE_FILE = "divergence.json"
NO_ROW = "no row"
ROWS_MAX = 200
"""Most rows in one report."""


@dataclass(frozen=True, slots=True)
class RowDifference:
    """A row that execution wrote, beside what the record has in its place."""

    module: str
    table: str
    key: str
    computed: str
    recorded: str
    """Empty if nothing recorded is at hand to compare with."""


@dataclass(frozen=True, slots=True)
class ReceiptDifference:
    """A receipt that came out differently."""

    position: int
    computed: str
    recorded: str


@dataclass(frozen=True, slots=True)
class DivergenceReport:
    """Where and how execution left the record."""

    chain_id: str
    height: int
    """Block whose execution differs."""
    what: str
    """`app_hash`, `receipts` or `results`."""
    computed: str
    recorded: str
    rows: tuple[RowDifference, ...]
    receipts: tuple[ReceiptDifference, ...]

    def summary(self) -> str:
        """Return the report in one line; it names the first row."""
        text = (
            f"block {self.height} of {self.chain_id} diverges: {self.what} is {self.computed}, "
            f"recorded is {self.recorded}"
        )
        if self.rows:
            row = self.rows[0]
            text += f"; first row: module {row.module}, table {row.table}, key {row.key}"
            text += f", computed {row.computed}, recorded {row.recorded or 'unknown'}"
        return text

    def write(self, directory: Path) -> None:
        """Write the report into the node's directory, for people and programs."""
        text = json.dumps(asdict(self), indent=2)
        (directory / DIVERGENCE_FILE).write_text(text + "\n", encoding="utf-8")


class DivergedError(DivergenceError):
    """Execution gave another root or result than the one on record; `report` says where."""

    def __init__(self, report: DivergenceReport) -> None:
        """Carry the report."""
        super().__init__(report.summary())
        self.report = report


def row_differences(
    registry: Registry, result: BlockResult, recorded: StateReader | None
) -> tuple[RowDifference, ...]:
    """Return the rows of a block that differ from the recorded state, or all it wrote if none do.

    Rows that both states have come first: a row that one lacks may be of a later block's making.

    Args:
        registry: Reads the rows.
        result: What the block came to.
        recorded: The recorded state, which may be some blocks newer; None if there is none.
    """
    written = list(_written_rows(registry, result, recorded))
    differing = [row for row in written if row.recorded and row.computed != row.recorded]
    differing.sort(key=lambda row: NO_ROW in (row.computed, row.recorded))
    return tuple((differing or written)[:ROWS_MAX])


def state_differences(
    registry: Registry, computed: StateReader, recorded: StateReader
) -> tuple[RowDifference, ...]:
    """Return every row that differs between two states of the same height."""
    ours, theirs = dict(computed.scan(b"")), dict(recorded.scan(b""))
    keys = sorted(key for key in ours.keys() | theirs.keys() if ours.get(key) != theirs.get(key))
    return tuple(
        _difference(registry, key, ours.get(key), _show(registry, key, theirs.get(key)))
        for key in keys[:ROWS_MAX]
    )


def receipt_differences(entry: LogEntry, result: BlockResult) -> tuple[ReceiptDifference, ...]:
    """Return the receipts of a block that came out differently."""
    count = max(len(entry.receipts), len(result.receipts))
    pairs = (
        (place, _hex_at(result.receipts, place), _hex_at(entry.receipts, place))
        for place in range(count)
    )
    return tuple(ReceiptDifference(*pair) for pair in pairs if pair[1] != pair[2])


def _written_rows(
    registry: Registry, result: BlockResult, recorded: StateReader | None
) -> Iterator[RowDifference]:
    for key, value in sorted(result.changes.state.items()):
        shown = "" if recorded is None else _show(registry, key, recorded.get(key))
        yield _difference(registry, key, value, shown)


def _difference(
    registry: Registry, key: bytes, computed: bytes | None, recorded: str
) -> RowDifference:
    module, table, *_ = split_key(key)
    return RowDifference(
        module.decode(),
        table.decode(),
        describe_key(key),
        _show(registry, key, computed),
        recorded,
    )


def _show(registry: Registry, key: bytes, value: bytes | None) -> str:
    """Return a row as people read it."""
    if value is None:
        return NO_ROW
    for prefix, table in registry.tables.items():
        if key.startswith(prefix):
            return repr(table.decoder.decode_trusted(value))
    return value.hex()


def _hex_at(values: list[bytes] | tuple[bytes, ...], place: int) -> str:
    return values[place].hex() if place < len(values) else "no receipt"
