"""`cairn data`: data sets, committed and registered; the data itself stays where it is."""

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from typer import Argument, Option

from cairn.cli.files import read_text, write_output
from cairn.cli.session import Session, command, new_app
from cairn.modules.data.messages import GrantUse, RevokeUse, WithdrawDataset
from cairn.modules.data.records import CONSENT_ENTRIES, DATASETS
from cairn.sdk.errors import UsageError
from cairn.sdk.names import find_id
from cairn.sdk.quantities import format_time, parse_share, parse_until

if TYPE_CHECKING:
    from cairn.learning.schemas import Schema
    from cairn.modules.data.records import Quality

app = new_app("Data sets: committed and registered; the data stays where it is.")

LabelArgument = Annotated[str, Argument(metavar="NAME[@VERSION]", help="A data set.")]
FileArgument = Annotated[Path, Argument(metavar="FILE", help="A CSV, JSON or Parquet file.")]
SchemaOption = Annotated[
    Path | None, Option("--schema", help="The columns (JSON or YAML); else they are found.")
]
LabelOption = Annotated[str, Option("--label", help="The column that a model is to predict.")]
SubjectOption = Annotated[
    str, Option("--subject", help="The column that says whom a row is about.")
]
AfterOption = Annotated[
    list[str] | None, Option("--after", help="A column that is known only after the label.")
]
KnownAtOption = Annotated[
    str, Option("--known-at", help="The time column at which a row is decided.")
]
OutputOption = Annotated[Path | None, Option("-o", "--output", help="A file to write.")]
ShareOption = Annotated[str, Option(help="At most this share, such as 5%.")]
DATA_SUFFIXES = (".csv", ".json", ".ndjson", ".jsonl", ".parquet", ".pq")
DatasetArgument = Annotated[str, Argument(metavar="ID", help="Its id, or its first digits.")]
PurposeOption = Annotated[str, Option(help="For what, such as training.")]


@command(app, "register")
def register(
    session: Session,
    label: LabelArgument,
    file: Annotated[
        Path | None, Argument(metavar="[FILE]", help="A CSV, JSON or Parquet file.")
    ] = None,
    schema: SchemaOption = None,
    croissant: Annotated[
        Path | None, Option(help="A Croissant manifest: it names the file and its columns.")
    ] = None,
    licence: Annotated[str, Option(help="Under which terms it may be used.")] = "",
    synthetic: Annotated[bool, Option("--synthetic", help="It was generated.")] = False,
    label_column: LabelOption = "",
    subject: SubjectOption = "",
    after: AfterOption = None,
    known_at: KnownAtOption = "",
    quality: Annotated[
        bool, Option("--quality/--no-quality", help="Look at every cell, and state what is found.")
    ] = True,
) -> None:
    """Commit a file row by row, and register the commitment and its quality; for a data owner."""
    from cairn.cli.registering import Request, register_file

    request = Request(
        label, file, schema, croissant, licence, synthetic, label_column, subject,
        tuple(after or ()), known_at, quality,
    )  # fmt: skip
    session.out.record(register_file(session, request))


@command(app, "schema")
def schema_of(
    session: Session,
    file: FileArgument,
    output: OutputOption = None,
    label_column: LabelOption = "",
    subject: SubjectOption = "",
) -> None:
    """Find the columns of a file and their kinds by looking at every cell."""
    from cairn.cli.registering import find_schema, show_schema

    found = find_schema(file, label_column, subject)
    if output is not None:
        write_output(output, found.to_yaml().encode())
        session.out.talk(f"wrote {output}; edit it, and give it as --schema")
    show_schema(session, found)


@command(app, "quality")
def quality(
    session: Session,
    target: Annotated[str, Argument(metavar="FILE|NAME@VERSION", help="What to look at.")],
    schema: SchemaOption = None,
    label_column: LabelOption = "",
    after: AfterOption = None,
    known_at: KnownAtOption = "",
    output: OutputOption = None,
    html: Annotated[Path | None, Option("--html", help="A page to write.")] = None,
    memory_mb: Annotated[int, Option(min=64, help="Memory before it writes to disk.")] = 1024,
) -> None:
    """Report what is missing, wrong, repeated, extreme or leaks; or show what is recorded."""
    from cairn.cli.registering import measure, read_quality

    path = Path(target)
    if path.is_file() or path.suffix.lower() in DATA_SUFFIXES:
        columns = read_schema(schema) if schema is not None else None
        report = measure(path, columns, label_column, tuple(after or ()), known_at, memory_mb)
    else:
        report = read_quality(session, target)
    if output is not None:
        write_output(output, (json.dumps(report.to_json(), indent=2) + "\n").encode())
    if html is not None:
        write_output(html, report.page(f"Data quality of {path.name}").encode())
    session.out.value(report.describe(), **report.to_json())


@command(app, "policy")
def policy(
    session: Session,
    missing: ShareOption = "",
    type_errors: ShareOption = "",
    junk_columns: ShareOption = "",
    duplicates: ShareOption = "",
    near_duplicates: ShareOption = "",
    outliers: ShareOption = "",
    leaks: Annotated[int | None, Option(min=0, help="Most columns that leak the label.")] = None,
    required: Annotated[
        bool | None, Option("--required/--not-required", help="Whether a report is a must.")
    ] = None,
) -> None:
    """Show how good the organisation's data sets must be, or set it; setting is for compliance."""
    from cairn.cli.registering import set_policy, show_policy

    shares = {
        "missing_ppm_max": missing,
        "type_errors_ppm_max": type_errors,
        "junk_columns_ppm_max": junk_columns,
        "duplicates_ppm_max": duplicates,
        "near_duplicates_ppm_max": near_duplicates,
        "outliers_ppm_max": outliers,
    }
    changes: dict[str, int | bool] = {
        name: parse_share(text) for name, text in shares.items() if text
    }
    if leaks is not None:
        changes["leaks_max"] = leaks
    if required is not None:
        changes["required"] = required
    if changes:
        set_policy(session, changes)
    else:
        show_policy(session)


@command(app, "croissant")
def croissant(
    session: Session,
    label: LabelArgument,
    file: FileArgument,
    output: Annotated[Path, Option("-o", "--output", help="The manifest to write.")],
    description: Annotated[str, Option(help="What the data is, for people.")] = "",
) -> None:
    """Write a registered data set as a Croissant manifest: columns, licence, use, quality."""
    from cairn.cli.registering import croissant_document

    document = croissant_document(session, label, file, description)
    write_output(output, (json.dumps(document, indent=2) + "\n").encode())
    session.out.record({"dataset": label, "file": str(file), "manifest": str(output)})


@command(app, "check")
def check(session: Session, label: LabelArgument, file: FileArgument) -> None:
    """Check a file against what was committed, and say which rows differ."""
    from cairn.learning.errors import ChangedDataError
    from cairn.sdk.datasets import check_dataset, parse_label

    found = check_dataset(session.workspace, parse_label(label), file)
    if not found.is_same:
        raise ChangedDataError(
            f"{file} is not {label}: {found.describe()}", "restore the committed file"
        )
    session.out.record({"dataset": label, "file": str(file), "rows": found.row_count, "same": True})


@command(app, "list")
def list_datasets(session: Session) -> None:
    """List the registered data sets."""
    with session.reader() as reader:
        names = session.names(reader)
        rows = [
            {
                "dataset": row.key[0].hex(),
                "label": f"{row.record.name}@{row.record.version}",
                "owner": names.show(row.record.owner),
                "rows": row.record.row_count,
                "registered": format_time(row.record.registered_ms),
                "synthetic": row.record.synthetic,
                "withdrawn": format_time(row.record.withdrawn_ms),
            }
            for row in reader.scan(DATASETS)
        ]
    session.out.rows(
        ("dataset", "label", "owner", "rows", "registered", "synthetic", "withdrawn"), rows
    )


@command(app, "show")
def show(session: Session, dataset: DatasetArgument) -> None:
    """Show a registered data set, and every consent and use."""
    with session.reader() as reader:
        names = session.names(reader)
        identity = find_id(reader, DATASETS, dataset, "a data set")
        row = reader.require(DATASETS, identity)
        consents = [
            f"{format_time(entry.time_ms)} {entry.record.action} "
            f"{names.show(entry.record.account)} for {entry.record.purpose}"
            + (f" until {format_time(entry.record.until_ms)}" if entry.record.until_ms else "")
            for entry in reader.series(CONSENT_ENTRIES, identity)
        ]
    session.out.record(
        {
            "dataset": identity.hex(),
            "label": f"{row.name}@{row.version}",
            "owner": names.show(row.owner),
            "registered_by": names.show(row.registered_by),
            "registered": format_time(row.registered_ms),
            "rows": row.row_count,
            "size_bytes": row.size_bytes,
            "licence": row.licence,
            "synthetic": row.synthetic,
            "quality": shown_quality(row.quality),
            "row_root": row.row_root.hex(),
            "schema_digest": row.schema_digest.hex(),
            "file_commitment": row.file_commitment.hex(),
            "withdrawn": format_time(row.withdrawn_ms),
            "consents": consents,
        }
    )


@command(app, "disclose")
def disclose(
    session: Session,
    label: LabelArgument,
    file: FileArgument,
    row: Annotated[int, Argument(min=0, metavar="ROW", help="Its number, from 0.")],
    output: Annotated[Path, Option("-o", "--output", help="The evidence file to write.")],
    column: Annotated[
        list[str] | None, Option("--column", help="A field to open; else all of them.")
    ] = None,
) -> None:
    """Disclose one row with the proof that it belongs to the registered data set."""
    disclose_to(session, label, file, row, column, output)


@command(app, "forget")
def forget(
    session: Session,
    label: LabelArgument,
    subject: Annotated[str, Argument(help="Value of the subject column.")],
) -> None:
    """Destroy the secret of one subject: nobody can open or guess his rows any more."""
    from cairn.sdk.datasets import forget_subject, open_manifest, parse_label

    manifest = open_manifest(session.workspace, parse_label(label))
    session.confirm(f"destroy for good what opens the rows of {subject!r}, in all data sets here")
    forgotten = forget_subject(session.workspace, manifest, subject)
    session.out.record({"subject": subject, "forgotten": forgotten})


@command(app, "grant")
def grant(
    session: Session,
    dataset: DatasetArgument,
    account: Annotated[str, Argument(help="Who may use it.")],
    purpose: PurposeOption = "training",
    until: Annotated[str, Option(help="A time, or a span such as 90d.")] = "365d",
) -> None:
    """Let an account use a data set for one purpose until some time; for its data owner."""
    with session.client() as client:
        identity = find_id(client, DATASETS, dataset, "a data set")
        target = session.names(client).find(account)
        until_ms = parse_until(until, session.now_ms())
        session.send(client, GrantUse(identity, target, purpose, until_ms))
    session.out.record(
        {
            "dataset": identity.hex(),
            "account": target.hex(),
            "purpose": purpose,
            "until": format_time(until_ms),
        }
    )


@command(app, "revoke")
def revoke(
    session: Session,
    dataset: DatasetArgument,
    account: Annotated[str, Argument(help="Who may no longer use it.")],
    purpose: PurposeOption = "training",
) -> None:
    """Take a consent back; for the data owner."""
    with session.client() as client:
        identity = find_id(client, DATASETS, dataset, "a data set")
        target = session.names(client).find(account)
        session.send(client, RevokeUse(identity, target, purpose))
    session.out.record({"dataset": identity.hex(), "account": target.hex(), "purpose": purpose})


@command(app, "withdraw")
def withdraw(session: Session, dataset: DatasetArgument) -> None:
    """Let nobody use a data set any more; for its data owner."""
    with session.client() as client:
        identity = find_id(client, DATASETS, dataset, "a data set")
        session.confirm(f"withdraw data set {identity.hex()}")
        session.send(client, WithdrawDataset(identity))
    session.out.record({"dataset": identity.hex(), "status": "withdrawn"})


def disclose_to(
    session: Session,
    label: str,
    file: Path,
    row: int,
    columns: list[str] | None,
    output: Path,
) -> None:
    """Write the evidence file of one row."""
    from cairn.cli.prove import write_bundle
    from cairn.evidence.bundle import RowClaim
    from cairn.sdk.datasets import find_registered, open_manifest, open_row, parse_label

    name = parse_label(label)
    disclosure = open_row(session.workspace, name, file, row, columns)
    with session.reader() as reader:
        dataset, _ = find_registered(reader, open_manifest(session.workspace, name))
        write_bundle(session, reader, RowClaim(dataset), output, disclosure=disclosure)


def shown_quality(quality: "Quality | None") -> dict[str, str] | str:
    """Return the figures of a registration for people, or that it states none."""
    from cairn.sdk.quality import figures_words

    return "none stated" if quality is None else figures_words(quality)


def read_schema(path: Path) -> "Schema":
    """Return the schema in a file.

    Raises:
        UsageError: The file is neither JSON nor YAML.
        DatasetError: It describes no schema.
    """
    from cairn.learning.schemas import schema_from_mapping

    text = read_text(path)
    document: Any
    if path.suffix.lower() == ".json":
        try:
            document = json.loads(text)
        except (ValueError, RecursionError) as error:
            raise UsageError(f"{path} is not JSON: {error}") from error
    else:
        from ruamel.yaml import YAML
        from ruamel.yaml.error import YAMLError

        try:
            document = YAML(typ="safe", pure=True).load(text)
        except (YAMLError, ValueError, RecursionError) as error:
            raise UsageError(f"{path} is not YAML: {error}") from error
    if not isinstance(document, dict):
        raise UsageError(f"{path} describes no schema", "it begins with `columns:`")
    return schema_from_mapping(document)
