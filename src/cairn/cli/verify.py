"""`cairn verify`: checks an evidence file against a trust file; needs no node and no network."""

import time
from pathlib import Path
from typing import Annotated

import typer
from typer import Argument, Option

from cairn.cli.files import read_file
from cairn.cli.session import Session, command
from cairn.sdk.errors import UsageError
from cairn.sdk.quantities import parse_time

FileArgument = Annotated[Path, Argument(metavar="FILE", help="An evidence file.")]
TrustOption = Annotated[
    Path | None, Option(help="A trust file, which came from elsewhere than the evidence.")
]
AtOption = Annotated[str, Option(help="Time of verification; else now.")]
ReplayOption = Annotated[bool, Option("--replay", help="Compute scores and rules again.")]


def register(app: typer.Typer) -> None:
    """Add the command."""
    command(app, "verify")(verify)


def verify(
    session: Session,
    file: FileArgument,
    trust: TrustOption = None,
    at: AtOption = "",
    replay: ReplayOption = False,
) -> None:
    """Check an evidence file; say what it shows, what was checked, and who stands behind it."""
    from cairn.evidence.report import report_data, report_text
    from cairn.evidence.trust import load_trust
    from cairn.evidence.verify import verify_bundle

    if trust is None:
        raise UsageError(
            "without a trust file nothing can be verified: it says whose keys to trust",
            "give --trust TRUST, a file that came from elsewhere than the evidence",
        )
    trusted = load_trust(trust)
    at_ms = parse_time(at) if at else time.time_ns() // 1_000_000
    report = verify_bundle(read_file(file), trusted, at_ms=at_ms, replay=replay)
    if session.as_json:
        session.out.record(report_data(report))
    else:
        typer.echo(report_text(report), nl=False)
