"""`cairn demo` and `cairn bench`: the main job from beginning to end, and the measurements."""

import subprocess
import sys
from pathlib import Path
from typing import Annotated

import typer
from typer import Argument, Option

import cairn
from cairn.cli.session import Session, command
from cairn.sdk.errors import UsageError


def register(app: typer.Typer) -> None:
    """Add the commands."""
    command(app, "demo")(demo)
    command(app, "bench")(bench)


def demo(
    session: Session,
    seed: Annotated[int, Option(help="Of the generated payments and of training.", min=0)] = 1,
    data: Annotated[
        Path | None, Option(help="Payments instead: a file or folder of CSV or Parquet.")
    ] = None,
    mapping: Annotated[Path | None, Option(help="Which columns of --data are what (YAML).")] = None,
    limit: Annotated[int | None, Option(help="Most payments to use.", min=1)] = None,
) -> None:
    """Run the main job from data to evidence, and attacks on it, by itself."""
    from cairn.packs.payments.demo.printing import Printer
    from cairn.packs.payments.demo.run import run_demo

    result = run_demo(
        session.directory or Path("build/demo"),
        seed=seed,
        data=data,
        mapping=mapping,
        limit=limit,
        out=Printer(sys.stdout, is_quiet=session.as_json),
    )
    if session.as_json:
        session.out.record(result.figures)


def bench(
    session: Session,
    arguments: Annotated[list[str] | None, Argument(metavar="GROUP…", help="Else all.")] = None,
    output: Annotated[Path, Option(help="Where the figures go.")] = Path("build/bench.json"),
) -> None:
    """Measure; needs a checkout of the repository."""
    checkout = Path(cairn.__file__).parents[2]
    if not (checkout / "bench" / "__main__.py").is_file():
        raise UsageError(
            "the measurements are part of the repository, not of the installed package",
            "clone the repository and run `make bench` there",
        )
    session.out.talk(f"measuring; the figures go to {output}")
    target = output.absolute()
    target.parent.mkdir(parents=True, exist_ok=True)
    done = subprocess.run(  # noqa: S603 - our own interpreter and our own module
        [sys.executable, "-m", "bench", *(arguments or ()), "--output", str(target)],
        cwd=checkout,
        check=False,
    )
    if done.returncode:
        raise typer.Exit(done.returncode)
