"""What `cairn data` does with files: finding columns, measuring quality, registering, manifests."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cairn.cli.progress import progress_bar
from cairn.cli.session import Session
from cairn.learning.croissant import (
    CroissantFile,
    Permission,
    Registration,
    croissant,
    read_croissant,
)
from cairn.learning.errors import ChangedDataError
from cairn.learning.quality.measure import Roles, measure_quality
from cairn.learning.quality.report import QualityReport
from cairn.learning.quality.text import grouped, summary
from cairn.learning.rows import CSV_SUFFIXES, csv_rows
from cairn.learning.schema_inference import infer_schema
from cairn.learning.schemas import Schema
from cairn.modules.data.api import QUALITY_FIGURES
from cairn.modules.data.records import CONSENT_ENTRIES, CONSENTS
from cairn.modules.identity.records import ACCOUNTS
from cairn.packs.payments.records import PAYMENT_SCHEMA
from cairn.sdk.datasets import (
    DatasetLabel,
    check_dataset,
    commit_dataset,
    discard_manifest,
    find_registered,
    manifest_file,
    open_manifest,
    parse_label,
    register_dataset,
    subject_keys,
)
from cairn.sdk.errors import ProtocolError, RejectedError, UsageError
from cairn.sdk.quality import (
    changed_policy,
    figure_words,
    find_policy,
    is_recorded,
    open_report,
    organisation_of,
    report_file,
    save_report,
    stated_quality,
)
from cairn.sdk.quantities import format_time

FINDINGS_TOLD_MAX = 12


@dataclass(frozen=True, slots=True)
class Request:
    """What `cairn data register` was asked."""

    label: str
    file: Path | None
    schema: Path | None
    croissant: Path | None
    licence: str
    synthetic: bool
    label_column: str
    subject: str
    after: tuple[str, ...]
    known_at: str
    quality: bool


def register_file(session: Session, request: Request) -> dict[str, Any]:
    """Commit and register a file as asked; return what is to be shown.

    Raises:
        UsageError: No file is named, or two.
        DatasetError: The file is not as its schema says.
        RejectedError: The ledger refuses it, for example for its quality.
    """
    name = parse_label(request.label)
    described = None if request.croissant is None else read_croissant(request.croissant)
    file = _file_of(request, described)
    workspace = session.workspace
    with session.client() as client:
        # A manifest without a registration is what an interrupted run left.
        is_new = not manifest_file(workspace, name).exists()
        if is_new:
            schema = _schema_for(session, request, file, described)
        else:
            _check_same(session, name, file)
            schema = open_manifest(workspace, name).schema
        report = _report_for(session, request, file, schema) if request.quality else None
        if is_new:
            session.out.talk(f"committing {file}")
            licence = request.licence or (described.licence if described else "")
            commit_dataset(
                workspace, name, file, schema, licence=licence, synthetic=request.synthetic
            )
        manifest = open_manifest(workspace, name)
        keys = subject_keys(workspace)
        quality = None if report is None else stated_quality(report, manifest, keys)
        try:
            dataset = register_dataset(client, name, manifest, quality=quality)
        except RejectedError:
            if is_new:
                discard_manifest(workspace, name)
            raise
        if report is not None:
            save_report(report_file(workspace, name), report)
    return {
        "dataset": dataset.hex(),
        "label": str(name),
        "rows": manifest.row_count,
        "row_root": manifest.row_root.hex(),
        "digest": manifest.digest.hex(),
        "manifest": str(manifest_file(workspace, name)),
        "quality": str(report_file(workspace, name)) if report is not None else "none stated",
    }


def find_schema(file: Path, label: str, subject: str) -> Schema:
    """Return the schema found in a file, with a progress bar."""
    with progress_bar() as tell:
        return infer_schema(file, label=label or None, subject=subject or None, progress=tell)


def show_schema(session: Session, schema: Schema) -> None:
    """Print the columns of a schema."""
    rows = [
        {"column": c.name, "kind": c.kind.value, "scale": c.scale or "", "nullable": c.nullable}
        for c in schema.columns
    ]
    session.out.rows(("column", "kind", "scale", "nullable"), rows)


def measure(
    file: Path,
    schema: Schema | None,
    label: str,
    after: tuple[str, ...],
    known_at: str,
    memory_mb: int = 1024,
) -> QualityReport:
    """Return the quality report of a file, with a progress bar."""
    roles = Roles(label, after, known_at)
    with progress_bar() as tell:
        return measure_quality(file, schema, roles, progress=tell, memory_bytes_max=memory_mb << 20)


def read_quality(session: Session, label: str) -> QualityReport:
    """Return the recorded report of a registered data set, and tell what the ledger states.

    Raises:
        NotFoundError: It is not registered, or has no report here.
        ProtocolError: The report here is not the one that was registered.
    """
    name = parse_label(label)
    manifest = open_manifest(session.workspace, name)
    report = open_report(report_file(session.workspace, name))
    with session.reader() as reader:
        _, row = find_registered(reader, manifest)
    if row.quality is None:
        raise UsageError(f"{name} was registered without figures about its quality")
    same = is_recorded(row.quality, report, manifest, subject_keys(session.workspace))
    if same is False:
        raise ProtocolError(f"the report of {name} here is not the one that was registered")
    words = "is the registered one" if same else "cannot be compared: its salt was destroyed"
    session.out.talk(f"registered {format_time(row.registered_ms)}; the report {words}")
    return report


def set_policy(session: Session, changes: dict[str, int | bool]) -> None:
    """Set how good the acting person's organisation's data sets must be."""
    with session.client() as client:
        organisation = organisation_of(client, client.account)
        session.send(client, changed_policy(find_policy(client, organisation), changes))
    show_policy(session)


def show_policy(session: Session) -> None:
    """Print how good the data sets of each organisation must be."""
    rows = []
    with session.reader() as reader:
        names = session.names(reader)
        for account in reader.scan(ACCOUNTS):
            policy = find_policy(reader, account.key[0])
            if policy is None:
                continue
            bounds = {figure: getattr(policy, f"{figure}_max") for figure in QUALITY_FIGURES}
            rows.append(
                {
                    "organisation": names.show(account.key[0]),
                    "required": policy.required,
                    **{
                        name.removesuffix("_ppm"): "any" if one is None else figure_words(name, one)
                        for name, one in bounds.items()
                    },
                    **{f"{name}_max": one for name, one in bounds.items()},
                    "set_by": names.show(policy.set_by),
                    "set": format_time(policy.set_ms),
                }
            )
    columns = [name.removesuffix("_ppm") for name in QUALITY_FIGURES]
    session.out.rows(("organisation", "required", *columns, "set_by"), rows)


def croissant_document(
    session: Session, label: str, file: Path, description: str
) -> dict[str, Any]:
    """Return the Croissant manifest of a registered data set.

    Raises:
        ChangedDataError: The file is not the committed one.
    """
    name = parse_label(label)
    _check_same(session, name, file)
    manifest = open_manifest(session.workspace, name)
    with session.reader() as reader:
        names = session.names(reader)
        dataset, row = find_registered(reader, manifest)
        permissions = []
        for one in dict.fromkeys(
            (entry.record.account, entry.record.purpose)
            for entry in reader.series(CONSENT_ENTRIES, dataset)
        ):
            consent = reader.get(CONSENTS, dataset, *one)
            if consent is not None and not consent.revoked_ms:
                permissions.append(Permission(names.show(one[0]), one[1], consent.until_ms))
        registration = Registration(
            name=row.name,
            version=row.version,
            description=description or f"{row.row_count:,} rows of {file.name}",
            owner=names.show(row.owner),
            registered_ms=row.registered_ms,
            dataset=dataset,
            chain_id=session.workspace.trust().chain_id,
            quality=row.quality,
            permissions=tuple(permissions),
        )
    return croissant(manifest, registration, file)


def _file_of(request: Request, described: CroissantFile | None) -> Path:
    if request.file is not None:
        return request.file
    if described is None:
        raise UsageError("which file?", "give FILE, or --croissant with a manifest that names it")
    return described.file


def _check_same(session: Session, name: DatasetLabel, file: Path) -> None:
    """Check that a file is the one that was committed under a name."""
    found = check_dataset(session.workspace, name, file)
    if not found.is_same:
        raise ChangedDataError(
            f"{name} is committed already, and {file.name} is not it: {found.describe()}",
            f"choose another version: {name.name}@{name.version + 1}",
        )


def _schema_for(
    session: Session, request: Request, file: Path, described: CroissantFile | None
) -> Schema:
    """Return the schema that was given, that of payments if it fits, or what is found."""
    from cairn.cli.data import read_schema

    if request.schema is not None:
        return read_schema(request.schema)
    if described is not None and described.schema is not None:
        return described.schema
    if _has_payment_columns(file) and not request.subject:
        return PAYMENT_SCHEMA
    schema = find_schema(file, request.label_column, request.subject)
    session.out.talk(f"columns found in {file.name} (`cairn data schema -o` writes them):")
    kinds: dict[str, list[str]] = {}
    for column in schema.columns:
        scale = f" of scale {column.scale}" if column.scale else ""
        null = ", may be missing" if column.nullable else ""
        kinds.setdefault(f"{column.kind.value}{scale}{null}", []).append(column.name)
    for kind, names in kinds.items():
        session.out.talk(f"  {kind}: {', '.join(names)}")
    return schema


def _has_payment_columns(file: Path) -> bool:
    """Return whether a file has the very columns of payments."""
    if file.suffix.lower() in CSV_SUFFIXES and file.is_file() and file.stat().st_size:
        return next(csv_rows(file))[1] == PAYMENT_SCHEMA.names
    if file.suffix.lower() == ".parquet" and file.is_file():
        from cairn.learning.tables import parquet_names

        return parquet_names(file) == PAYMENT_SCHEMA.names
    return False


def _report_for(session: Session, request: Request, file: Path, schema: Schema) -> QualityReport:
    """Measure a file, and tell the most important findings."""
    report = measure(file, schema, request.label_column, request.after, request.known_at)
    session.out.talk(summary(report))
    told = [one for one in grouped(report.findings) if one[0] != "note"]
    for severity, columns, text in told[:FINDINGS_TOLD_MAX]:
        session.out.talk(f"  {severity}: {f'{columns}: ' if columns else ''}{text}")
    if len(told) > FINDINGS_TOLD_MAX:
        session.out.talk(f"  … and {len(told) - FINDINGS_TOLD_MAX} more: `cairn data quality`")
    return report
