"""Somebody's files become canonical payments."""

import datetime
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from cairn.learning.errors import DatasetError
from cairn.packs.payments.generator import GeneratorSettings, generate_payments, write_payments
from cairn.packs.payments.mapping import (
    CANONICAL,
    CANONICAL_TERMINALS,
    FRAUD_HANDBOOK,
    load_mapping,
    mapping_of,
    read_payments,
)
from cairn.packs.payments.records import LABEL_UNKNOWN, table_of

MAPPING = """
columns:
  tx_id: id
  booked_at: {column: when, kind: epoch_s}
  payer: {column: from, prefix: p-}
  payee: {column: to, kind: integer, prefix: q-}
  amount_units: {column: amount, kind: decimal, scale: 2}
  asset: {constant: usd}
"""
CSV = "id,when,from,to,amount,remark\nx,20,b,7,1.5,hello\ny,10,a,8,2,\n"


def write(folder: Path, name: str, text: str) -> Path:
    path = folder / name
    path.write_text(text)
    return path


def test_a_strangers_csv_becomes_payments_in_the_order_of_time(tmp_path: Path) -> None:
    mapping = load_mapping(write(tmp_path, "mapping.yaml", MAPPING))
    payments = read_payments(write(tmp_path, "data.csv", CSV), mapping)
    assert payments.tx_id == ["y", "x"]
    assert payments.booked_at.tolist() == [10_000, 20_000]
    assert (payments.payer, payments.payee) == (["p-a", "p-b"], ["q-8", "q-7"])
    assert payments.amount_units.tolist() == [200, 150]
    assert payments.asset == ["usd", "usd"]
    assert payments.label.tolist() == [LABEL_UNKNOWN, LABEL_UNKNOWN]
    assert payments.scenario == ["", ""]


def handbook_month(day: int) -> pa.Table:
    moment = datetime.datetime(2018, 7, day, 12, 0, 1, tzinfo=datetime.UTC).replace(tzinfo=None)
    return pa.table(
        {
            "TRANSACTION_ID": [day],
            "TX_DATETIME": pa.array([moment], pa.timestamp("ns")),
            "CUSTOMER_ID": pa.array([5], pa.int32()),
            "TERMINAL_ID": pa.array([6], pa.int32()),
            "TX_AMOUNT": [206.64999999999998],
            "TX_TIME_SECONDS": pa.array([1], pa.int32()),
            "TX_TIME_DAYS": pa.array([1], pa.int32()),
            "TX_FRAUD": pa.array([day % 2], pa.int8()),
            "TX_FRAUD_SCENARIO": pa.array([2 * (day % 2)], pa.int8()),
        }
    )


def test_a_folder_of_monthly_files_is_read_as_one(tmp_path: Path) -> None:
    pq.write_table(handbook_month(25), tmp_path / "tx_2018-07.parquet")
    pq.write_table(handbook_month(2), tmp_path / "tx_2018-08.parquet")
    (tmp_path / "README.md").write_text("not data")
    payments = read_payments(tmp_path, FRAUD_HANDBOOK)
    assert payments.tx_id == ["2", "25"]
    assert payments.payer[0] == "customer-5"
    assert payments.payee[0] == "terminal-6"
    assert payments.amount_units.tolist() == [20_665, 20_665]
    assert payments.label.tolist() == [0, 1]
    assert payments.scenario == ["", "scenario-2"]
    assert payments.booked_at[1] - payments.booked_at[0] == 23 * 86_400_000


def test_canonical_files_need_no_mapping(tmp_path: Path) -> None:
    payments = generate_payments(GeneratorSettings(seed=1, payments=500, customers=100))
    write_payments(tmp_path / "data.csv", payments)
    assert table_of(read_payments(tmp_path / "data.csv")) == table_of(payments)
    assert read_payments(tmp_path / "data.csv", CANONICAL).tx_id == payments.tx_id


def test_terminals_are_read_where_the_mapping_has_them(tmp_path: Path) -> None:
    settings = GeneratorSettings(seed=1, payments=500, customers=100, terminals=2)
    payments = generate_payments(settings)
    write_payments(tmp_path / "data.csv", payments)
    assert table_of(read_payments(tmp_path / "data.csv", CANONICAL_TERMINALS)) == table_of(payments)
    assert read_payments(tmp_path / "data.csv").terminal == []
    whole = read_payments(tmp_path / "data.csv", CANONICAL_TERMINALS)
    assert whole.select(whole.label == 1).terminal == [
        name for name, label in zip(payments.terminal, payments.label, strict=True) if label
    ]


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("  tx_id: id\n", "", "nothing about 'tx_id'"),
        ("asset: {constant: usd}", "asset: {constant: usd, column: x}", "a column or a constant"),
        ("payer: {column: from, prefix: p-}", "payer: {constant: x}", "cannot be a constant"),
        ("kind: epoch_s", "kind: text", "kind 'text'"),
        ("kind: epoch_s", "kind: epoch_s, prefix: x", "cannot have a prefix"),
        ("scale: 2", "scale: two", "scale: 'two'"),
        ("scale: 2", "digits: 2", "digits: 2"),
        ("columns:", "rows: 1\ncolumns:", "`columns` and perhaps `files`"),
        ("  tx_id: id\n", "  tx_id: id\n  colour: id\n", "unknown column 'colour'"),
        ("tx_id: id", "tx_id: [id]", "neither a column name nor a mapping"),
        ("tx_id: id", "tx_id: {column: id", "line 4"),
        ("columns:", "columns: 3\nx:", "`columns` and perhaps"),
    ],
)
def test_a_bad_mapping_is_refused(tmp_path: Path, old: str, new: str, message: str) -> None:
    assert old in MAPPING
    with pytest.raises(DatasetError, match=message):
        load_mapping(write(tmp_path, "mapping.yaml", MAPPING.replace(old, new)))


def test_files_that_are_no_mapping_are_refused(tmp_path: Path) -> None:
    for content in (b"", b"- 1\n", b"\xff", b"!!python/object:os.system {}"):
        path = tmp_path / "mapping.yaml"
        path.write_bytes(content)
        with pytest.raises(DatasetError):
            load_mapping(path)
    with pytest.raises(DatasetError, match="cannot be read"):
        load_mapping(tmp_path / "none.yaml")


def test_one_column_cannot_be_two_kinds(tmp_path: Path) -> None:
    text = MAPPING.replace("column: to, kind: integer", "column: when, kind: text")
    mapping = load_mapping(write(tmp_path, "mapping.yaml", text))
    with pytest.raises(DatasetError, match="'when' is mapped as two kinds"):
        read_payments(write(tmp_path, "data.csv", CSV), mapping)


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("1.5", "-1.5", "amount -150 is negative"),
        ("1.5", "1.555", r"row 0 \(line 2\), column 'amount'"),
        ("20", "soon", r"row 0 \(line 2\), column 'when'"),
    ],
)
def test_rows_that_do_not_fit_are_named(tmp_path: Path, old: str, new: str, message: str) -> None:
    mapping = load_mapping(write(tmp_path, "mapping.yaml", MAPPING))
    with pytest.raises(DatasetError, match=message):
        read_payments(write(tmp_path, "data.csv", CSV.replace(old, new)), mapping)


def test_an_empty_folder_is_named(tmp_path: Path) -> None:
    with pytest.raises(DatasetError, match=r"matches 'tx_\*\.parquet'"):
        read_payments(tmp_path, FRAUD_HANDBOOK)


def test_mappings_are_plain_data() -> None:
    content = {
        "columns": {name: name for name in ("tx_id", "booked_at", "payer", "payee", "asset")}
        | {"amount_units": {"column": "amount_units", "kind": "integer"}}
    }
    assert mapping_of(content).columns["booked_at"].kind == "timestamp"
