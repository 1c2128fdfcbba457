"""`cairn verify`: checks an evidence file against a trust file; needs no node and no network."""

import time
from pathlib import Path
from typing import Annotated

import typer
from typer import Argument, Option

from cairn.cli.files import read_file
from cairn.cli.session import Session, command
from cairn.sdk.quantities import format_time, parse_time

FileArgument = Annotated[Path, Argument(metavar="FILE", help="An evidence file.")]
TrustOption = Annotated[
    Path, Option(help="A trust file, which came from elsewhere than the evidence.")
]
AtOption = Annotated[str, Option(help="Time of verification; else now.")]
ReplayOption = Annotated[bool, Option("--replay", help="Compute scores and rules again.")]


def register(app: typer.Typer) -> None:
    """Add the command."""
    command(app, "verify")(verify)


def verify(
    session: Session,
    file: FileArgument,
    trust: TrustOption,
    at: AtOption = "",
    replay: ReplayOption = False,
) -> None:
    """Check an evidence file; say what it shows, what was checked, and who stands behind it."""
    from cairn.evidence.trust import load_trust
    from cairn.evidence.verify import verify_bundle

    trusted = load_trust(trust)
    at_ms = parse_time(at) if at else time.time_ns() // 1_000_000
    report = verify_bundle(read_file(file), trusted, at_ms=at_ms, replay=replay)
    assurance = report.assurance
    if session.as_json:
        session.out.record(
            {
                "verified": True,
                "claim": report.claim,
                "assurance": assurance.word,
                "assurance_text": assurance.sentence,
                "witnesses": list(assurance.witnesses),
                "chain_id": report.chain_id,
                "height": report.head.height,
                "as_of": format_time(report.head.time_ms),
                "findings": list(report.findings),
                "checked": list(report.checked),
                "not_shown": list(report.not_shown),
            }
        )
        return
    lines = [
        f"verified: {report.claim}",
        "",
        *(f"  {finding}" for finding in report.findings),
        "",
        f"assurance: {assurance.word}",
        f"  {assurance.sentence}",
        f"  as of block {report.head.height} of {report.chain_id}, "
        f"{format_time(report.head.time_ms)}",
        "",
        "checked:",
        *(f"  {one}" for one in report.checked),
        "",
        "not shown:",
        *(f"  {one}" for one in report.not_shown),
    ]
    typer.echo("\n".join(lines))
