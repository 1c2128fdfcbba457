"""`cairn report`: one page about a period, with what its numbers rest on."""

from pathlib import Path
from typing import Annotated

import typer
from typer import Option

from cairn.cli.files import write_output
from cairn.cli.session import Session, command
from cairn.sdk.errors import UsageError
from cairn.sdk.quantities import parse_time

OutputOption = Annotated[Path, Option("-o", "--output", help="The page to write.")]
FromOption = Annotated[str, Option("--from", help="First time; else the ledger's beginning.")]
UntilOption = Annotated[str, Option("--to", help="Time before which; else now.")]


def register(app: typer.Typer) -> None:
    """Add the command."""
    command(app, "report")(report)


def report(
    session: Session, output: OutputOption, start: FromOption = "", end: UntilOption = ""
) -> None:
    """Write a page about a period: what was decided, by what, and how well it went."""
    from cairn.modules.bank.records import ASSETS
    from cairn.sdk.report import period_report
    from cairn.sdk.report_page import report_page

    with session.reader() as reader:
        from_ms = parse_time(start) if start else 1
        until_ms = parse_time(end) if end else reader.head().time_ms + 1
        if not from_ms < until_ms:
            raise UsageError("the period ends before it begins", "change --from or --to")
        found = period_report(
            reader,
            session.names(reader),
            from_ms=from_ms,
            until_ms=until_ms,
            now_ms=session.now_ms(),
        )
        decimals = {row.key[0].decode(): row.record.decimals for row in reader.scan(ASSETS)}
    write_output(output, report_page(found, decimals=decimals).encode())
    session.out.record(
        {
            "report": str(output),
            "height": found.basis.height,
            "payments": len(found.payments),
            **found.fates,
            "alerts": found.alerts,
            "decisions": sum(found.decisions.verdicts.values()),
            **{f"decisions_{name}": count for name, count in found.decisions.verdicts.items()},
            "precision": None if found.precision is None else round(found.precision, 4),
            "recall": None if found.recall is None else round(found.recall, 4),
        }
    )
