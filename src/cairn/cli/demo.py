"""`cairn demo` and `cairn bench`: the main job from beginning to end, and the measurements."""

import importlib.util
import subprocess
import sys
from pathlib import Path
from typing import Annotated

import typer
from typer import Argument, Option

import cairn
from cairn.cli.session import Session, command
from cairn.sdk.errors import UsageError

DEMO = "cairn.packs.payments.demo"


def register(app: typer.Typer) -> None:
    """Add the commands."""
    if importlib.util.find_spec(DEMO) is not None:
        command(app, "demo")(demo)
    command(app, "bench")(bench)


def demo(
    session: Session,
    seed: Annotated[int, Option(help="Of the generated payments.")] = 1,
    data: Annotated[
        Path | None, Option(help="Payments instead: a file or folder of CSV or Parquet.")
    ] = None,
    mapping: Annotated[Path | None, Option(help="Which columns of --data are what (YAML).")] = None,
) -> None:
    """Run the main job from data to evidence, and attacks on it, by itself."""
    run_demo = importlib.import_module(DEMO).run_demo
    directory = session.directory or Path("build/demo")
    code = run_demo(directory, seed=seed, data=data, mapping=mapping)
    if code:
        raise typer.Exit(code)


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
