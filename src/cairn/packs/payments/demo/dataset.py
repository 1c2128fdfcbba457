"""The payments as a committed data set, after a look at their quality."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from cairn.learning.commitments import SubjectKeys
from cairn.learning.datasets import Manifest, commit_file, manifest_path, salts_path
from cairn.learning.quality.measure import Roles, measure_quality
from cairn.learning.quality.report import PPM, QualityReport
from cairn.learning.schemas import Schema
from cairn.learning.tables import Table, write_table
from cairn.learning.training import CommittedFile
from cairn.modules.data.messages import SetQualityPolicy
from cairn.packs.payments.demo.bank import COMPLIANCE, DATA_OWNER, DemoBank
from cairn.packs.payments.demo.errors import DemoError
from cairn.packs.payments.demo.source import DemoPayments
from cairn.packs.payments.records import Payments, learning_table, table_of
from cairn.sdk.datasets import DatasetLabel, register_dataset
from cairn.sdk.errors import RejectedError
from cairn.sdk.quality import stated_quality

DATASET = "payments"
FILE = "payments.parquet"
EXPORT_FILE = "export.parquet"
LABEL = "label"
DUPLICATES_PPM_MAX = 1_000
EXPORTED_TWICE = 0.01
"""Share of the export's rows that stand in it twice."""


@dataclass(frozen=True, slots=True)
class Registered:
    """A committed file and the id of its data set on the ledger."""

    path: Path
    manifest: Manifest
    keys: SubjectKeys
    dataset: bytes
    quality: QualityReport
    export: QualityReport
    """Of the file as it came, which was refused."""
    refused: RejectedError

    @property
    def file(self) -> CommittedFile:
        """The file with what is needed to check it."""
        return CommittedFile(self.path, self.manifest, self.keys)


@dataclass(frozen=True, slots=True)
class _Committed:
    path: Path
    manifest: Manifest
    quality: QualityReport


def commit_payments(bank: DemoBank, data: DemoPayments) -> Registered:
    """Commit to the payments up to the end of training, and register what the policy lets through.

    Later ones are no part of it: their labels are not known yet.

    Raises:
        DemoError: The policy lets the file through as it came.
    """
    bank.folder.data.mkdir()
    bank.client(COMPLIANCE).submit(_policy())
    payments = data.payments.select(np.arange(data.train_end_row))
    keys = SubjectKeys()
    export = _commit(bank, data, keys, EXPORT_FILE, table_of(_with_repeats(payments)))
    try:
        _register(bank, export, keys)
    except RejectedError as error:
        refused = error
    else:
        raise DemoError("the ledger registered a file that breaks the bank's own policy")
    table = learning_table(payments)
    leaks = [name for name in export.quality.leaks if name in table.schema.names]
    table = _without(table, leaks)
    found = _commit(bank, data, keys, FILE, table)
    dataset = _register(bank, found, keys)
    keys.save(salts_path(found.path))
    found.manifest.save(manifest_path(found.path))
    bank.folder.quality.write_text(
        export.quality.page("Data quality of the payments as they came"), encoding="utf-8"
    )
    return Registered(
        found.path, found.manifest, keys, dataset, found.quality, export.quality, refused
    )


def _policy() -> SetQualityPolicy:
    """Return what the bank asks of its data: nothing twice, no wrong types, no leaks."""
    return SetQualityPolicy(
        required=True,
        missing_ppm_max=PPM,
        type_errors_ppm_max=0,
        junk_columns_ppm_max=PPM,
        duplicates_ppm_max=DUPLICATES_PPM_MAX,
        near_duplicates_ppm_max=PPM,
        outliers_ppm_max=PPM,
        leaks_max=0,
    )


def _with_repeats(payments: Payments) -> Payments:
    """Return the payments as an export that was restarted gives them: the first ones twice."""
    count = len(payments)
    repeated = max(1, round(count * EXPORTED_TWICE))
    return payments.select(np.sort(np.concatenate([np.arange(count), np.arange(repeated)])))


def _without(table: Table, names: Sequence[str]) -> Table:
    """Return a table without columns that give the label away."""
    if not names:
        return table
    kept = [at for at, name in enumerate(table.schema.names) if name not in names]
    schema = Schema(tuple(table.schema.columns[at] for at in kept), subject=table.schema.subject)
    return Table(schema, tuple(table.columns[at] for at in kept), table.row_count)


def _commit(
    bank: DemoBank, data: DemoPayments, keys: SubjectKeys, name: str, table: Table
) -> _Committed:
    """Write a table, look at its quality, and commit to every row."""
    path = bank.folder.data / name
    write_table(path, table)
    quality = measure_quality(path, table.schema, Roles(label=LABEL))
    licence = "synthetic, free to use" if data.is_synthetic else "of whoever gave --data"
    manifest = commit_file(path, table.schema, keys, licence=licence, synthetic=data.is_synthetic)
    return _Committed(path, manifest, quality)


def _register(bank: DemoBank, found: _Committed, keys: SubjectKeys) -> bytes:
    stated = stated_quality(found.quality, found.manifest, keys)
    label = DatasetLabel(DATASET, 1)
    return register_dataset(bank.client(DATA_OWNER), label, found.manifest, quality=stated)
