"""The payments as a committed data set: salted rows under one root, registered on the ledger."""

from dataclasses import dataclass
from pathlib import Path

from cairn.learning.commitments import SubjectKeys
from cairn.learning.datasets import (
    SALT_SCHEME,
    Manifest,
    commit_file,
    manifest_path,
    salts_path,
)
from cairn.learning.training import CommittedFile
from cairn.modules.data.events import DatasetRegistered
from cairn.modules.data.messages import RegisterDataset
from cairn.packs.payments.demo.bank import DATA_OWNER, DemoBank
from cairn.packs.payments.demo.source import DemoPayments
from cairn.packs.payments.generator import write_payments
from cairn.packs.payments.records import PAYMENT_SCHEMA

DATASET = "payments"
FILE = "payments.parquet"


@dataclass(frozen=True, slots=True)
class Registered:
    """A committed file and the id of its data set on the ledger."""

    path: Path
    manifest: Manifest
    keys: SubjectKeys
    dataset: bytes

    @property
    def file(self) -> CommittedFile:
        """The file with what is needed to check it."""
        return CommittedFile(self.path, self.manifest, self.keys)


def commit_payments(bank: DemoBank, data: DemoPayments) -> Registered:
    """Write the payments, commit to every row, and register the commitment."""
    folder = bank.folder.data
    folder.mkdir()
    path = folder / FILE
    write_payments(path, data.payments)
    keys = SubjectKeys()
    licence = "synthetic, free to use" if data.is_synthetic else "of whoever gave --data"
    manifest = commit_file(path, PAYMENT_SCHEMA, keys, licence=licence, synthetic=data.is_synthetic)
    keys.save(salts_path(path))
    manifest.save(manifest_path(path))
    format_version, row_root, row_count, schema_digest, file_commitment = manifest.commitment
    final = bank.client(DATA_OWNER).submit(
        RegisterDataset(
            DATASET,
            1,
            format_version,
            row_root,
            row_count,
            schema_digest,
            file_commitment,
            manifest.size_bytes,
            licence,
            data.is_synthetic,
            SALT_SCHEME,
        )
    )
    return Registered(path, manifest, keys, final.event(DatasetRegistered).dataset)
