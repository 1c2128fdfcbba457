"""A workspace's data sets: committed files, registered on the ledger, disclosed row by row.

Manifests and row commitments stand under `data/` as `NAME@VERSION`; one salt file holds the keys
of all subjects, so that forgetting somebody closes all of his rows at once. The data stays where
it is.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from cairn.evidence.rows import RowDisclosure
from cairn.learning.commitments import SubjectKeys, load_subject_keys
from cairn.learning.datasets import (
    MANIFEST_SUFFIX,
    ROW_FORMAT_VERSION,
    SALT_SCHEME,
    FileCheck,
    Manifest,
    check_file,
    commit_file,
    disclose_row,
    load_manifest,
    rows_path,
)
from cairn.learning.schemas import Kind, Schema
from cairn.learning.tables import read_table
from cairn.learning.training import CommittedFile
from cairn.modules.data.events import DatasetRegistered
from cairn.modules.data.messages import RegisterDataset
from cairn.modules.data.records import DATASETS, Dataset, Quality
from cairn.primitives.encoding import Decoder, encode
from cairn.primitives.ids import is_name
from cairn.sdk.client import Client
from cairn.sdk.errors import NotFoundError, RejectedError, UsageError
from cairn.sdk.quality import explain_refusal
from cairn.sdk.reading import Reader
from cairn.sdk.workspace import Workspace

SALTS_FILE = "subjects.salts"
_LABEL = re.compile(r"([^@]+)(?:@([0-9]{1,9}))?")
_disclosures: Decoder[RowDisclosure] = Decoder(RowDisclosure)


@dataclass(frozen=True, slots=True)
class DatasetLabel:
    """What a workspace calls a data set: `payments` is `payments@1`."""

    name: str
    version: int

    def __str__(self) -> str:
        return f"{self.name}@{self.version}"


def parse_label(text: str) -> DatasetLabel:
    """Return the label that `text` spells.

    >>> print(parse_label("payments"))
    payments@1

    Raises:
        UsageError: It spells none.
    """
    match = _LABEL.fullmatch(text)
    if match is None or not is_name(match[1]) or int(match[2] or 1) < 1:
        raise UsageError(f"{text!r} is not a data set", "write NAME or NAME@VERSION")
    return DatasetLabel(match[1], int(match[2] or 1))


def commit_dataset(
    workspace: Workspace,
    label: DatasetLabel,
    file: Path,
    schema: Schema,
    *,
    licence: str = "",
    synthetic: bool = False,
) -> Manifest:
    """Commit a file, and write its manifest and the salts into the workspace.

    Raises:
        UsageError: The workspace has a manifest of this label.
        DatasetError: The file is not as the schema says.
    """
    path = manifest_file(workspace, label)
    if path.exists():
        raise UsageError(f"{label} is committed already", f"choose another version: {label.name}@2")
    keys = subject_keys(workspace)
    manifest = commit_file(file, schema, keys, licence=licence, synthetic=synthetic)
    workspace.data_directory.mkdir(exist_ok=True)
    keys.save(workspace.data_directory / SALTS_FILE)
    manifest.save(path)
    return manifest


def register_dataset(
    client: Client, label: DatasetLabel, manifest: Manifest, *, quality: Quality | None = None
) -> bytes:
    """Register a committed data set as the acting data owner's; return its id.

    Raises:
        RejectedError: The ledger refuses it; of figures that the organisation's policy does not let
            through the message names each.
    """
    message = RegisterDataset(
        name=label.name,
        version=label.version,
        format_version=ROW_FORMAT_VERSION,
        row_root=manifest.row_root,
        row_count=manifest.row_count,
        schema_digest=manifest.schema.digest,
        file_commitment=manifest.file_commitment,
        size_bytes=manifest.size_bytes,
        licence=manifest.licence,
        synthetic=manifest.synthetic,
        salt_scheme=SALT_SCHEME,
        quality=quality,
    )
    try:
        return client.submit(message).event(DatasetRegistered).dataset
    except RejectedError as error:
        raise explain_refusal(client, error, quality) from error


def discard_manifest(workspace: Workspace, label: DatasetLabel) -> None:
    """Remove the manifest of a data set whose registration was refused; it can be redone."""
    path = manifest_file(workspace, label)
    path.unlink(missing_ok=True)
    rows_path(path).unlink(missing_ok=True)


def find_registered(reader: Reader, manifest: Manifest) -> tuple[bytes, Dataset]:
    """Return id and row of the data set on the ledger that a manifest commits.

    Raises:
        NotFoundError: It is not registered.
    """
    for row in reader.scan(DATASETS):
        stated = (row.record.row_root, row.record.schema_digest, row.record.file_commitment)
        if stated == (manifest.row_root, manifest.schema.digest, manifest.file_commitment):
            return row.key[0], row.record
    raise NotFoundError(
        f"{manifest.name} is committed here and not registered on the ledger",
        "register it: `cairn data register`",
    )


def open_manifest(workspace: Workspace, label: DatasetLabel) -> Manifest:
    """Return the manifest of a data set.

    Raises:
        NotFoundError: The workspace has none.
        ManifestError: It is damaged.
    """
    path = manifest_file(workspace, label)
    if not path.exists():
        known = ", ".join(str(one) for one in labels(workspace)) or "none"
        raise NotFoundError(f"there is no data set {label} here", f"committed here: {known}")
    return load_manifest(path)


def labels(workspace: Workspace) -> list[DatasetLabel]:
    """Return the data sets that the workspace has committed."""
    names = sorted(path.name for path in workspace.data_directory.glob("*" + MANIFEST_SUFFIX))
    return [parse_label(name.removesuffix(MANIFEST_SUFFIX)) for name in names]


def committed_file(workspace: Workspace, label: DatasetLabel, file: Path) -> CommittedFile:
    """Return a data file with what is needed to check it."""
    return CommittedFile(file, open_manifest(workspace, label), subject_keys(workspace))


def check_dataset(workspace: Workspace, label: DatasetLabel, file: Path) -> FileCheck:
    """Return how a file differs from what was committed."""
    return check_file(file, open_manifest(workspace, label), subject_keys(workspace))


def open_row(
    workspace: Workspace,
    label: DatasetLabel,
    file: Path,
    index: int,
    columns: Sequence[str] | None,
) -> RowDisclosure:
    """Return the disclosure of one row, opening the named columns, or all.

    Only this row has to be as committed, so that rows can be shown after others were forgotten.

    Raises:
        DatasetError: There is no such row or column, or the row is not the committed one.
        ForgottenSubjectError: The subject's key was destroyed.
    """
    manifest, keys = open_manifest(workspace, label), subject_keys(workspace)
    table = read_table(file, manifest.schema)
    return _disclosures.decode(disclose_row(table, manifest, keys, index, columns))


def forget_subject(workspace: Workspace, manifest: Manifest, subject: str) -> bool:
    """Destroy the key of a subject, so that nobody can open or guess his rows; tell whether it was.

    Raises:
        UsageError: The data set says nothing about subjects, or this is no value of that column.
    """
    number = manifest.schema.subject_number
    if number is None:
        raise UsageError(
            f"the rows of {manifest.name} name no subject", "commit it with a subject column"
        )
    value: str | int = subject
    if manifest.schema.columns[number].kind is not Kind.TEXT:
        try:
            value = int(subject)
        except ValueError as error:
            raise UsageError(f"{subject!r} is not a number, as subjects here are") from error
    keys = subject_keys(workspace)
    forgotten = keys.forget(encode(value))
    if forgotten:
        keys.save(workspace.data_directory / SALTS_FILE)
    return forgotten


def subject_keys(workspace: Workspace) -> SubjectKeys:
    """Return the keys of the workspace's subjects; none before the first data set.

    Raises:
        ManifestError: The salt file is damaged.
    """
    path = workspace.data_directory / SALTS_FILE
    return load_subject_keys(path) if path.exists() else SubjectKeys()


def manifest_file(workspace: Workspace, label: DatasetLabel) -> Path:
    """Return where the manifest of a data set stands."""
    return workspace.data_directory / (str(label) + MANIFEST_SUFFIX)
