"""Committed data sets: commit a file, check a file against its commitment, disclose one row.

Committing `payments.parquet` leaves three files beside it:

    payments.parquet.manifest.json  what was committed, for people and programs; nothing secret
    payments.parquet.rows           the row commitments, 32 bytes each, in the order of the file
    payments.parquet.salts          the secret keys of the subjects (see `commitments`)

What is published is `Manifest.commitment`: root, number of rows, digest of the schema, and a salted
commitment to the bytes of the file. Its digest names the data set.
"""

import hashlib
import json
import secrets
from collections.abc import Collection, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from struct import Struct
from typing import Any

from cairn.learning.commitments import (
    CONTEXT_SIZE_BYTES,
    RowCommitter,
    SubjectKeys,
    file_commitment,
    row_salts,
)
from cairn.learning.errors import ChangedDataError, DatasetError, ManifestError
from cairn.learning.schemas import Kind, Schema, schema_from_mapping
from cairn.learning.tables import Table, read_table
from cairn.primitives.encoding import encode
from cairn.primitives.hashes import DIGEST_SIZE_BYTES, Digest, tagged_hash
from cairn.primitives.merkle import inclusion_proof_of, leaf_hash, root_of

ROW_FORMAT_VERSION = 1
MANIFEST_FORMAT = "cairn-dataset-manifest"
SALT_SCHEME = "subject-hmac-shake256"
"""Name of how the salts are derived, as a registration states it; see `commitments`."""
MANIFEST_SUFFIX = ".manifest.json"
ROWS_SUFFIX = ".rows"
SALTS_SUFFIX = ".salts"
ROWS_NAMED_MAX = 10
"""How many differing rows an error names; all are counted."""
LOOKAHEAD_ROWS_MAX = 32
"""How far `check_file` looks for the next row that fits after one that does not."""
RESYNC_FAILURES_MAX = 64
"""After so many rows in a run that fit nowhere near, `check_file` compares row by row."""

_MANIFEST_KEYS = (
    "format",
    "version",
    "name",
    "size_bytes",
    "licence",
    "synthetic",
    "schema",
    "context",
    "row_count",
    "row_root",
    "schema_digest",
    "file_commitment",
    "dataset_digest",
)
_float64 = Struct(">d")


@dataclass(frozen=True)
class Manifest:
    """What was committed of one file."""

    name: str
    """Name of the file, for people."""
    schema: Schema
    context: bytes
    file_commitment: bytes
    rows: tuple[bytes, ...] = field(repr=False)
    """The row commitments in order."""
    row_root: bytes
    size_bytes: int
    """Size of the file."""
    licence: str = ""
    """Under which terms the data may be used, for people."""
    synthetic: bool = False
    """Whether the rows were generated; it travels with the data set everywhere."""

    @property
    def row_count(self) -> int:
        """Return the number of rows."""
        return len(self.rows)

    @property
    def commitment(self) -> tuple[int, bytes, int, bytes, bytes]:
        """Return what is published: the fields of `evidence.rows.DatasetCommitment` in order."""
        return (
            ROW_FORMAT_VERSION,
            self.row_root,
            self.row_count,
            self.schema.digest,
            self.file_commitment,
        )

    @property
    def digest(self) -> Digest:
        """Return the digest that names the data set."""
        return tagged_hash(b"cairn/dataset", encode(self.commitment))

    def save(self, path: Path) -> None:
        """Write the manifest to `path` and the row commitments beside it."""
        content = {
            "format": MANIFEST_FORMAT,
            "version": ROW_FORMAT_VERSION,
            "name": self.name,
            "size_bytes": self.size_bytes,
            "licence": self.licence,
            "synthetic": self.synthetic,
            "schema": self.schema.to_mapping(),
            "context": self.context.hex(),
            "row_count": self.row_count,
            "row_root": self.row_root.hex(),
            "schema_digest": self.schema.digest.hex(),
            "file_commitment": self.file_commitment.hex(),
            "dataset_digest": self.digest.hex(),
        }
        rows_path(path).write_bytes(b"".join(self.rows))
        path.write_text(json.dumps(content, indent=2) + "\n", encoding="utf-8")


def manifest_path(data: Path) -> Path:
    """Return where the manifest of the file `data` stands."""
    return data.with_name(data.name + MANIFEST_SUFFIX)


def salts_path(data: Path) -> Path:
    """Return where the salt file of the file `data` stands."""
    return data.with_name(data.name + SALTS_SUFFIX)


def rows_path(manifest: Path) -> Path:
    """Return where the row commitments of a manifest file stand."""
    return manifest.with_name(manifest.name.removesuffix(MANIFEST_SUFFIX) + ROWS_SUFFIX)


def load_manifest(path: Path) -> Manifest:
    """Return the manifest at `path` with the row commitments beside it.

    Raises:
        ManifestError: A file is missing or malformed, has unknown or missing keys, or root and
            digests are not those of its content.
    """
    try:
        content = json.loads(path.read_text(encoding="utf-8"), object_pairs_hook=_unique_keys)
        raw_rows = rows_path(path).read_bytes()
    except OSError as error:
        raise ManifestError(f"{error.filename} cannot be read: {error.strerror}") from error
    except ValueError as error:
        raise ManifestError(f"{path} is not a manifest: {error}") from error
    if not isinstance(content, dict) or sorted(content) != sorted(_MANIFEST_KEYS):
        raise ManifestError(
            f"{path} is not a manifest", f"its keys are: {', '.join(_MANIFEST_KEYS)}"
        )
    if content["format"] != MANIFEST_FORMAT or content["version"] != ROW_FORMAT_VERSION:
        raise ManifestError(f"{path} is a manifest of another format or version")
    types = {"name": str, "size_bytes": int, "licence": str, "synthetic": bool, "schema": dict}
    for key, kind in types.items():
        if type(content[key]) is not kind:
            raise ManifestError(f"{path}: {key} is not of the kind {kind.__name__}")
    try:
        schema = schema_from_mapping(content["schema"])
        context = bytes.fromhex(content["context"])
        committed_file = bytes.fromhex(content["file_commitment"])
    except (DatasetError, ValueError, TypeError) as error:
        raise ManifestError(f"{path} is malformed: {error}") from error
    rows = _split_rows(path, raw_rows)
    manifest = Manifest(
        name=content["name"],
        schema=schema,
        context=context,
        file_commitment=committed_file,
        rows=rows,
        row_root=root_of(leaf_hash(row) for row in rows),
        size_bytes=content["size_bytes"],
        licence=content["licence"],
        synthetic=content["synthetic"],
    )
    _check_stated(path, content, manifest)
    return manifest


def _split_rows(path: Path, raw: bytes) -> tuple[bytes, ...]:
    """Return the row commitments of the file beside a manifest."""
    count, rest = divmod(len(raw), DIGEST_SIZE_BYTES)
    if rest or not count:
        raise ManifestError(f"{rows_path(path)} does not hold whole row commitments")
    ends = range(DIGEST_SIZE_BYTES, len(raw) + 1, DIGEST_SIZE_BYTES)
    return tuple(raw[end - DIGEST_SIZE_BYTES : end] for end in ends)


def _unique_keys(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """Return a JSON object as a dict; two values for a key are an error."""
    found = dict(pairs)
    if len(found) != len(pairs):
        raise ValueError("a key stands twice in an object")
    return found


def _check_stated(path: Path, content: dict[str, Any], manifest: Manifest) -> None:
    """Check that what a manifest file states about itself is so."""
    stated = {
        "row_count": manifest.row_count,
        "row_root": manifest.row_root.hex(),
        "schema_digest": manifest.schema.digest.hex(),
        "dataset_digest": manifest.digest.hex(),
    }
    for key, value in stated.items():
        if content[key] != value:
            raise ManifestError(
                f"{path}: {key} is not that of the content",
                f"the manifest or {rows_path(path).name} was changed; commit the file again",
            )


# --- committing ----------------------------------------------------------------------------------


def commit_file(
    path: Path, schema: Schema, keys: SubjectKeys, *, licence: str = "", synthetic: bool = False
) -> Manifest:
    """Return the manifest of the file at `path`; `keys` gains what the data set needs.

    Save `keys` before the commitment is published: without them it can never be opened.

    Raises:
        DatasetError: The file is not as the schema says.
    """
    table = read_table(path, schema)
    context = secrets.token_bytes(CONTEXT_SIZE_BYTES)
    fields = canonical_rows(table)
    subjects = _subjects(schema, context, fields)
    keys.ensure(subjects)
    committer = RowCommitter(context, len(schema.columns))
    rows = tuple(
        committer.row(keys.key(subject), row, values)
        for row, (subject, values) in enumerate(zip(subjects, fields, strict=True))
    )
    return Manifest(
        name=path.name,
        schema=schema,
        context=context,
        file_commitment=file_commitment(keys.new_file_salt(context), _file_digest(path)),
        rows=rows,
        row_root=root_of(leaf_hash(row) for row in rows),
        size_bytes=path.stat().st_size,
        licence=licence,
        synthetic=synthetic,
    )


def canonical_rows(table: Table) -> list[tuple[bytes, ...]]:
    """Return the canonical field bytes of each row."""
    columns = []
    for column, values in zip(table.schema.columns, table.columns, strict=True):
        if column.kind is Kind.FLOAT64:
            packed = [None if value is None else _float64.pack(value) for value in values]
            columns.append([encode(value) for value in packed])
        else:
            columns.append([encode(value) for value in values])
    return list(zip(*columns, strict=True))


def _subjects(schema: Schema, context: bytes, rows: Sequence[tuple[bytes, ...]]) -> list[bytes]:
    """Return whom each row is about: the subject column's bytes, or the row itself."""
    number = schema.subject_number
    if number is not None:
        return [row[number] for row in rows]
    return [row_subject(context, row) for row in range(len(rows))]


def row_subject(context: bytes, row: int) -> bytes:
    """Return the subject that a row is in a data set without a subject column."""
    return encode((context, row))


def _file_digest(path: Path) -> bytes:
    """Return the SHA-256 of the file."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").digest()


# --- checking ------------------------------------------------------------------------------------


@dataclass(frozen=True)
class FileCheck:
    """How a file differs from what was committed; row numbers start at 0."""

    row_count: int
    changed: tuple[int, ...] = ()
    """Rows of the file that stand for a committed row and differ from it."""
    missing: tuple[int, ...] = ()
    """Committed rows that the file does not have."""
    added: tuple[int, ...] = ()
    """Rows of the file that were not committed."""
    other_bytes: bool = False
    """All rows are the same, but the file is written otherwise (quoting, compression)."""

    @property
    def differing(self) -> list[int]:
        """Return the numbers of all rows that differ, sorted."""
        rows = (*self.changed, *self.missing, *self.added)
        return sorted(dict.fromkeys(rows))

    @property
    def is_same(self) -> bool:
        """Return whether the file is the committed one."""
        return not self.differing and not self.other_bytes

    def describe(self) -> str:
        """Return one sentence: how many rows of each sort, the first of them by number."""
        if self.other_bytes:
            return "all rows are the same, but the bytes of the file are not"
        parts = []
        for word in ("changed", "missing", "added"):
            rows: tuple[int, ...] = getattr(self, word)
            if rows:
                named = ", ".join(str(row) for row in rows[:ROWS_NAMED_MAX])
                more = ", …" if len(rows) > ROWS_NAMED_MAX else ""
                parts.append(f"{len(rows)} {word} ({named}{more})")
        return "rows " + "; ".join(parts) if parts else "the file is the committed one"


def check_file(path: Path, manifest: Manifest, keys: SubjectKeys) -> FileCheck:
    """Return how the file at `path` differs from what was committed.

    When rows were removed or inserted, the rows after them are matched again, looking at most
    `LOOKAHEAD_ROWS_MAX` rows ahead. A row whose subject's key was destroyed fits no commitment.

    Raises:
        DatasetError: The file cannot be read by the committed schema; the message names the row.
    """
    return _compare(path, read_table(path, manifest.schema), manifest, keys)


def read_committed(path: Path, manifest: Manifest, keys: SubjectKeys) -> Table:
    """Return the rows of the file at `path`, which must be the committed one.

    Raises:
        DatasetError: The file cannot be read by the committed schema.
        ChangedDataError: It differs from what was committed; the message names the rows.
    """
    table = read_table(path, manifest.schema)
    found = _compare(path, table, manifest, keys)
    if not found.is_same:
        raise ChangedDataError(
            f"{path.name} is not the committed data set: {found.describe()}",
            "restore the committed file, or commit this one as a new data set",
        )
    return table


def _compare(path: Path, table: Table, manifest: Manifest, keys: SubjectKeys) -> FileCheck:
    """Return how `table`, read from `path`, differs from what was committed."""
    salt = keys.file_salt(manifest.context)
    same_bytes = (
        salt is not None and file_commitment(salt, _file_digest(path)) == manifest.file_commitment
    )
    if same_bytes and table.row_count == manifest.row_count:
        return FileCheck(table.row_count)
    matcher = _RowMatcher(manifest, keys, canonical_rows(table))
    changed, missing, added = matcher.run()
    found = FileCheck(table.row_count, tuple(changed), tuple(missing), tuple(added))
    if salt is None or found.differing:
        return found
    return FileCheck(table.row_count, other_bytes=True)


class _RowMatcher:
    """Walks the committed rows and the rows of a file side by side."""

    def __init__(
        self, manifest: Manifest, keys: SubjectKeys, rows: Sequence[tuple[bytes, ...]]
    ) -> None:
        self._manifest = manifest
        self._keys = keys
        self._rows = rows
        self._subject = manifest.schema.subject_number
        self._committer = RowCommitter(manifest.context, len(manifest.schema.columns))

    def run(self) -> tuple[list[int], list[int], list[int]]:
        """Return the numbers of changed, missing and added rows."""
        changed: list[int] = []
        missing: list[int] = []
        added: list[int] = []
        row, committed, failures = 0, 0, 0
        while row < len(self._rows) and committed < self._manifest.row_count:
            if self._fits(row, committed):
                row, committed, failures = row + 1, committed + 1, 0
                continue
            skip_rows, skip_committed = self._resync(row, committed, failures)
            pairs = min(skip_rows, skip_committed)
            changed += range(row, row + pairs)
            added += range(row + pairs, row + skip_rows)
            missing += range(committed + pairs, committed + skip_committed)
            row, committed, failures = row + skip_rows, committed + skip_committed, failures + 1
        added += range(row, len(self._rows))
        missing += range(committed, self._manifest.row_count)
        return changed, missing, added

    def _fits(self, row: int, committed: int) -> bool:
        """Return whether `row` of the file is the committed row number `committed`."""
        if row >= len(self._rows) or committed >= self._manifest.row_count:
            return False
        values = self._rows[row]
        if self._subject is None:
            subject = row_subject(self._manifest.context, committed)
        else:
            subject = values[self._subject]
        key = self._keys.find(subject)
        if key is None:
            return False
        return self._committer.row(key, committed, values) == self._manifest.rows[committed]

    def _resync(self, row: int, committed: int, failures: int) -> tuple[int, int]:
        """Return how many rows of each side to skip until they fit again."""
        if failures < RESYNC_FAILURES_MAX:
            for ahead in range(1, LOOKAHEAD_ROWS_MAX + 1):
                for skip in ((ahead, ahead), (0, ahead), (ahead, 0)):
                    if self._fits(row + skip[0], committed + skip[1]):
                        return skip
        return 1, 1


# --- disclosing ----------------------------------------------------------------------------------


def disclose_row(
    table: Table,
    manifest: Manifest,
    keys: SubjectKeys,
    index: int,
    columns: Collection[str] | None = None,
) -> bytes:
    """Return canonical bytes of an `evidence.rows.RowDisclosure` of one row.

    Args:
        table: The committed file as read.
        manifest: Its manifest.
        keys: The salts.
        index: Number of the row, from 0.
        columns: Which fields to open; None opens all.

    Raises:
        DatasetError: There is no such row or column, or the row is not the committed one.
        ForgottenSubjectError: The subject's key was destroyed.
    """
    if not 0 <= index < manifest.row_count or index >= table.row_count:
        raise DatasetError(f"there is no row {index}", f"rows are 0 to {manifest.row_count - 1}")
    names = manifest.schema.names
    for name in columns or ():
        if name not in names:
            raise DatasetError(f"there is no column {name!r}", f"columns: {', '.join(names)}")
    cells: tuple[list[Any], ...] = tuple([values[index]] for values in table.columns)
    values = canonical_rows(Table(table.schema, cells, 1))[0]
    number = manifest.schema.subject_number
    subject = row_subject(manifest.context, index) if number is None else values[number]
    key = keys.key(subject)
    committer = RowCommitter(manifest.context, len(names))
    if committer.row(key, index, values) != manifest.rows[index]:
        raise DatasetError(f"row {index} is not the committed one", "check the file first")
    salts = row_salts(key, manifest.context, index, len(names))
    commitments = committer.fields(key, index, values)
    fields = tuple(
        (salts[at], values[at]) if columns is None or name in columns else commitments[at]
        for at, name in enumerate(names)
    )
    leaves = [leaf_hash(row) for row in manifest.rows]
    path = tuple(inclusion_proof_of(leaves, index))
    return encode((ROW_FORMAT_VERSION, manifest.schema.canonical(), index, fields, path))
