"""`cairn data export`: a ledger's history as tables, never looking ahead."""

from pathlib import Path
from typing import Annotated

import typer
from typer import Option

from cairn.cli.session import Session, command
from cairn.sdk.quantities import parse_time

OutputOption = Annotated[Path, Option("-o", "--output", help="The folder to write.")]
FromOption = Annotated[str, Option("--from", help="Only what was recorded from this time on.")]
UntilOption = Annotated[str, Option("--to", help="Only what was recorded before this time.")]
AsOfOption = Annotated[str, Option(help="What was known before this time; else now.")]
FormatOption = Annotated[str, Option("--format", help="parquet, csv or json.")]


def register(app: typer.Typer) -> None:
    """Add the command to the group of datasets."""
    command(app, "export")(export)


def export(
    session: Session,
    output: OutputOption,
    start: FromOption = "",
    end: UntilOption = "",
    as_of: AsOfOption = "",
    file_format: FormatOption = "parquet",
) -> None:
    """Write payments, features, labels, holds and decisions as tables, with a manifest."""
    from cairn.sdk.history import TIME_MS_MAX, export_history, read_history

    with session.reader() as reader:
        history = read_history(reader, as_of_ms=parse_time(as_of) if as_of else TIME_MS_MAX)
    done = export_history(
        history,
        output,
        from_ms=parse_time(start) if start else 0,
        until_ms=parse_time(end) if end else TIME_MS_MAX,
        file_format=file_format,
    )
    session.out.record(
        {
            "folder": str(done.directory),
            "height": history.height,
            "rows": dict(done.rows),
            "manifest_digest": done.digest.hex(),
        }
    )
