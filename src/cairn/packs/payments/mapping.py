"""From somebody's payments files to the canonical columns.

A mapping is a small YAML file:

    files: "tx_2018-*.parquet"        # only where the data is a folder; read in the order of names
    columns:
      tx_id:        {column: TRANSACTION_ID, kind: integer}
      booked_at:    {column: TX_DATETIME, kind: timestamp}     # or epoch_ms, epoch_s
      payer:        {column: CUSTOMER_ID, kind: integer, prefix: customer-}
      payee:        {column: TERMINAL_ID, kind: integer, prefix: terminal-}
      amount_units: {column: TX_AMOUNT, kind: float64, scale: 2}
      asset:        {constant: eur}
      label:        {column: TX_FRAUD, kind: boolean}
      scenario:     {column: TX_FRAUD_SCENARIO, kind: integer, prefix: scenario-}
      terminal:     {column: POS_ID}

`label`, `scenario` and `terminal` may be left out. Here the terminal is who is paid, so that it is
the payee already and a terminal of its own would only say it twice; where a merchant is paid at
several terminals, payee is the merchant. What a column holds is checked as in any data set, nothing
is guessed, and an error names row and column. An amount is an `integer` of units, a `decimal`, or a
`float64`, which alone is rounded, to the nearest unit, because binary floats seldom hold cents.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Any

from ruamel.yaml import YAML
from ruamel.yaml.error import MarkedYAMLError

from cairn.learning.errors import DatasetError
from cairn.learning.schemas import Column, Kind, Schema
from cairn.learning.tables import Table, Value, read_table
from cairn.packs.payments.records import (
    PAYMENT_SCHEMA,
    TERMINAL_SCHEMA,
    Payments,
    payments_of,
)

_REQUIRED = ("tx_id", "booked_at", "payer", "payee", "amount_units", "asset")
_OPTIONAL = ("label", "scenario", "terminal")
_NAMES = ("tx_id", "payer", "payee", "asset", "scenario", "terminal")
_KINDS = MappingProxyType(
    {
        "tx_id": ("text", "integer"),
        "payer": ("text", "integer"),
        "payee": ("text", "integer"),
        "asset": ("text",),
        "scenario": ("text", "integer"),
        "terminal": ("text", "integer"),
        "booked_at": ("timestamp", "epoch_ms", "epoch_s"),
        "amount_units": ("integer", "decimal", "float64"),
        "label": ("boolean",),
    }
)
_EPOCH_FACTORS = MappingProxyType({"timestamp": 1, "epoch_ms": 1, "epoch_s": 1000})


@dataclass(frozen=True)
class ColumnMapping:
    """Where one canonical column comes from."""

    column: str = ""
    """Name in the source; empty for a constant."""
    kind: str = "text"
    scale: int = 0
    prefix: str = ""
    """Put before names, so that payers and payees of two number ranges stay apart."""
    constant: str = ""


@dataclass(frozen=True)
class PaymentMapping:
    """How to read payments out of somebody's files."""

    columns: Mapping[str, ColumnMapping]
    files: str = "*"
    """Which files of a folder to read, as a glob pattern."""


FRAUD_HANDBOOK = PaymentMapping(
    files="tx_*.parquet",
    columns=MappingProxyType(
        {
            "tx_id": ColumnMapping("TRANSACTION_ID", "integer"),
            "booked_at": ColumnMapping("TX_DATETIME", "timestamp"),
            "payer": ColumnMapping("CUSTOMER_ID", "integer", prefix="customer-"),
            "payee": ColumnMapping("TERMINAL_ID", "integer", prefix="terminal-"),
            "amount_units": ColumnMapping("TX_AMOUNT", "float64", scale=2),
            "asset": ColumnMapping(constant="eur"),
            "label": ColumnMapping("TX_FRAUD", "boolean"),
            "scenario": ColumnMapping("TX_FRAUD_SCENARIO", "integer", prefix="scenario-"),
        }
    ),
)
"""The simulated card payments of the Fraud Detection Handbook, as monthly Parquet files.

The data name no merchants: a customer pays a terminal, which is the payee here and no terminal.
"""

CANONICAL = PaymentMapping(
    columns=MappingProxyType(
        {
            "tx_id": ColumnMapping("tx_id"),
            "booked_at": ColumnMapping("booked_at", "timestamp"),
            "payer": ColumnMapping("payer"),
            "payee": ColumnMapping("payee"),
            "amount_units": ColumnMapping("amount_units", "integer"),
            "asset": ColumnMapping("asset"),
            "label": ColumnMapping("label", "boolean"),
            "scenario": ColumnMapping("scenario"),
        }
    )
)
"""Files that have the canonical columns already."""

CANONICAL_TERMINALS = PaymentMapping(
    columns=MappingProxyType({**CANONICAL.columns, "terminal": ColumnMapping("terminal")})
)
"""Files that have the canonical columns, that of terminals included."""


def load_mapping(path: Path) -> PaymentMapping:
    """Return the mapping of a YAML file.

    Raises:
        DatasetError: The file is missing or not YAML (the message has the line), a key is missing
            or unknown, or a kind does not fit its column.
    """
    try:
        content = YAML(typ="safe", pure=True).load(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise DatasetError(f"the mapping {path} cannot be read: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise DatasetError(f"the mapping {path.name} is not UTF-8") from error
    except MarkedYAMLError as error:
        line = error.problem_mark.line + 1 if error.problem_mark else 1
        raise DatasetError(f"{path.name}, line {line}: {error.problem}") from error
    if not isinstance(content, dict):
        raise DatasetError(f"{path.name} is not a mapping of keys", "it begins with `columns:`")
    return mapping_of(content)


def mapping_of(content: Mapping[str, Any]) -> PaymentMapping:
    """Return the mapping that `content`, from YAML or a dict, describes.

    Raises:
        DatasetError: As for `load_mapping`.
    """
    unknown = [key for key in content if key not in ("files", "columns")]
    columns, files = content.get("columns"), content.get("files", "*")
    if unknown or not isinstance(columns, Mapping) or not isinstance(files, str):
        raise DatasetError("a mapping has `columns` and perhaps `files`, a pattern")
    for name in _REQUIRED:
        if name not in columns:
            raise DatasetError(f"the mapping says nothing about {name!r}")
    for name in columns:
        if name not in _REQUIRED + _OPTIONAL:
            known = ", ".join(_REQUIRED + _OPTIONAL)
            raise DatasetError(f"the mapping has the unknown column {name!r}", f"known: {known}")
    found = {name: _column_mapping(name, source) for name, source in columns.items()}
    return PaymentMapping(MappingProxyType(found), files)


def _column_mapping(name: str, source: object) -> ColumnMapping:
    """Return where the canonical column `name` comes from."""
    where = f"the mapping of {name!r}"
    if isinstance(source, str):
        source = {"column": source}
    if not isinstance(source, Mapping):
        raise DatasetError(f"{where} is neither a column name nor a mapping")
    types = {"column": str, "kind": str, "scale": int, "prefix": str, "constant": str}
    for key, value in source.items():
        if key not in types or type(value) is not types[key]:
            raise DatasetError(f"{where}: {key}: {value!r}", f"known: {', '.join(types)}")
    if ("column" in source) == ("constant" in source):
        raise DatasetError(f"{where} needs either a column or a constant")
    if "constant" in source and name not in ("asset", "scenario"):
        raise DatasetError(f"{where} cannot be a constant")
    mapping = ColumnMapping(**{"kind": _KINDS[name][0], **source})
    if mapping.kind not in _KINDS[name]:
        raise DatasetError(
            f"{where}: kind {mapping.kind!r}", f"it can be: {', '.join(_KINDS[name])}"
        )
    if mapping.prefix and name not in _NAMES:
        raise DatasetError(f"{where} cannot have a prefix")
    return mapping


def read_payments(path: Path, mapping: PaymentMapping = CANONICAL) -> Payments:
    """Return the payments of the file at `path`, or of all matching files of a folder, by time.

    Raises:
        DatasetError: There is no such file, or it is not as the mapping says.
    """
    files = sorted(path.glob(mapping.files)) if path.is_dir() else [path]
    if not files:
        raise DatasetError(f"no file in {path} matches {mapping.files!r}")
    return read_payment_files(files, mapping)


def read_payment_files(files: Sequence[Path], mapping: PaymentMapping) -> Payments:
    """Return the payments of `files` together, sorted by time (stable).

    Raises:
        DatasetError: A file is not as the mapping says; an amount is not positive.
    """
    schema = TERMINAL_SCHEMA if "terminal" in mapping.columns else PAYMENT_SCHEMA
    columns: list[list[Value]] = [[] for _ in schema.columns]
    for file in files:
        table = read_table(file, _source_schema(mapping), other_columns=True)
        for whole, part in zip(columns, _canonical(table, mapping, schema), strict=True):
            whole += part
    whole_table = Table(schema, tuple(columns), len(columns[0]))
    for row, amount in enumerate(whole_table.column("amount_units")):
        if not isinstance(amount, int) or amount < 0:
            raise DatasetError(f"row {row}: the amount {amount} is negative")
    return payments_of(whole_table)


def _source_schema(mapping: PaymentMapping) -> Schema:
    """Return the columns to read from a source file; one may serve several canonical ones."""
    found: dict[str, Column] = {}
    for name, source in mapping.columns.items():
        if source.column:
            kind = Kind.INTEGER if source.kind.startswith("epoch") else Kind(source.kind)
            scale = source.scale if kind is Kind.DECIMAL else 0
            column = Column(source.column, kind, scale, name in _OPTIONAL)
            if found.setdefault(source.column, column) != column:
                raise DatasetError(f"the column {source.column!r} is mapped as two kinds")
    return Schema(tuple(found.values()))


def _canonical(table: Table, mapping: PaymentMapping, schema: Schema) -> list[list[Value]]:
    """Return the canonical columns of one source file."""
    columns: list[list[Value]] = []
    for name in schema.names:
        source = mapping.columns.get(name)
        if source is None:
            columns.append([None] * table.row_count)
        elif not source.column:
            columns.append([source.constant] * table.row_count)
        else:
            columns.append(_converted(name, source, table.column(source.column)))
    return columns


def _converted(name: str, source: ColumnMapping, values: list[Value]) -> list[Value]:
    """Return the values of one source column as the canonical column `name` has them."""
    if name in _NAMES:
        if name == "scenario" and source.kind == "integer":
            return [f"{source.prefix}{value}" if value else None for value in values]
        return [None if value is None else f"{source.prefix}{value}" for value in values]
    if source.kind == "float64":
        power = 10**source.scale
        return [round(value * power) for value in values if isinstance(value, float)]
    factor = _EPOCH_FACTORS.get(source.kind, 1)
    if factor != 1:
        return [int(value) * factor for value in values if value is not None]
    return values
