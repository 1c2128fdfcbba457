"""`cairn training`: trains on committed data, and puts runs on record."""

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from typer import Argument, Option

from cairn.cli.session import Session, command, new_app
from cairn.modules.training.records import RUN_ENTRIES, RUNS
from cairn.sdk.errors import UsageError
from cairn.sdk.names import find_id
from cairn.sdk.quantities import format_time

if TYPE_CHECKING:
    from cairn.learning.training import CommittedFile, Recipe

app = new_app("Training on committed data.")

LabelArgument = Annotated[str, Argument(metavar="NAME[@VERSION]", help="A data set.")]
FileArgument = Annotated[Path, Argument(metavar="FILE", help="The committed file.")]
FolderArgument = Annotated[Path, Argument(metavar="RUN", help="The folder of a run.")]


@command(app, "run")
def run(
    session: Session,
    dataset: LabelArgument,
    file: FileArgument,
    output: Annotated[Path, Option("-o", "--output", help="A new folder for the run.")],
    recipe: Annotated[str, Option(help="payments, or tabular.")] = "payments",
    label: Annotated[str, Option(help="tabular: the column to predict.")] = "label",
    column: Annotated[
        list[str] | None, Option("--column", help="tabular: an input; else all numbers.")
    ] = None,
    test_share: Annotated[float, Option(min=0.01, max=0.9, help="Share tested on.")] = 0.3,
    delay_days: Annotated[int, Option(min=0, help="payments: gap before the test.")] = 7,
    algorithm: Annotated[str, Option(help="lightgbm, random_forest or logistic.")] = "lightgbm",
    parameter: Annotated[
        list[str] | None, Option("--parameter", metavar="NAME=VALUE", help="Of the algorithm.")
    ] = None,
    seed: Annotated[int, Option(min=0, help="Of the training.")] = 1,
    threads: Annotated[int, Option(min=1, help="Of the training.")] = 1,
) -> None:
    """Train a model on a committed file; nothing is trained if a row differs."""
    from cairn.learning.training import TrainingSettings
    from cairn.sdk.datasets import committed_file, parse_label
    from cairn.sdk.models import train

    committed = committed_file(session.workspace, parse_label(dataset), file)
    chosen = _recipe(
        recipe,
        committed,
        label=label,
        columns=tuple(column or ()),
        test_share=test_share,
        delay_days=delay_days,
    )
    settings = TrainingSettings(
        algorithm, dict(_parameter(text) for text in parameter or ()), seed, threads
    )
    session.out.talk(f"training {algorithm} on {dataset}")
    folder, done = train([committed], chosen, settings, output)
    record = done.record
    session.out.record(
        {
            "run": str(folder.directory),
            "model_digest": record.model_digest.hex(),
            "size_bytes": len(done.trained.model_bytes),
            "train_rows": record.train_rows,
            "test_rows": record.test_rows,
            "metrics": [f"{name} {value / 1e6:.6f}" for name, value in record.metrics],
            "conversion": done.trained.conversion.summary(),
        }
    )


@command(app, "record")
def record(
    session: Session,
    run: FolderArgument,
    dataset: Annotated[list[str], Option("--dataset", help="The data sets, in the run's order.")],
) -> None:
    """Put a run on record; for a developer."""
    from cairn.sdk.datasets import committed_file, parse_label
    from cairn.sdk.models import RunFolder, record_run

    stated = RunFolder(run).record()
    files = [committed_file(session.workspace, parse_label(one), Path()) for one in dataset]
    if [one.manifest.digest for one in files] != list(stated.datasets):
        raise UsageError("the run was trained on other data sets", "name them in the run's order")
    with session.client() as client:
        identity = record_run(client, stated, files)
    session.out.record({"run": identity.hex(), "model_digest": stated.model_digest.hex()})


@command(app, "list")
def list_runs(session: Session) -> None:
    """List the training runs on record."""
    with session.reader() as reader:
        names = session.names(reader)
        rows = [
            {
                "run": entry.record.run.hex(),
                "developer": names.show(entry.record.developer),
                "recorded": format_time(entry.time_ms),
                "model_digest": entry.record.model_digest.hex(),
            }
            for entry in reader.series(RUN_ENTRIES)
        ]
    session.out.rows(("run", "developer", "recorded", "model_digest"), rows)


@command(app, "show")
def show(
    session: Session, run: Annotated[str, Argument(help="Its id, or its first digits.")]
) -> None:
    """Show a training run on record."""
    with session.reader() as reader:
        names = session.names(reader)
        identity = find_id(reader, RUNS, run, "a run")
        row = reader.require(RUNS, identity)
    session.out.record(
        {
            "run": identity.hex(),
            "developer": names.show(row.developer),
            "recorded": format_time(row.recorded_ms),
            "splits": [
                f"{one.split}: rows {one.first_row} to {one.end_row - 1} of {one.dataset.hex()}"
                for one in row.splits
            ],
            "library": f"{row.library} {row.library_version}",
            "seed": row.seed,
            "threads": row.threads,
            "metrics": [f"{one.name} {one.value_ppm / 1e6:.6f}" for one in row.metrics],
            "model_digest": row.model_digest.hex(),
            "code_digest": row.code_digest.hex(),
            "environment_digest": row.environment_digest.hex(),
        }
    )


def _recipe(
    name: str,
    file: "CommittedFile",
    *,
    label: str,
    columns: tuple[str, ...],
    test_share: float,
    delay_days: int,
) -> "Recipe":
    if name == "tabular":
        from cairn.sdk.tabular import TabularRecipe

        return TabularRecipe(label, columns, round(test_share * 1_000_000))
    if name != "payments":
        raise UsageError(f"there is no recipe {name!r}", "payments, or tabular")
    from cairn.packs.payments.evaluate import PaymentRecipe, split_by_share
    from cairn.packs.payments.records import payments_of

    payments = payments_of(file.read())
    split = split_by_share(payments, train_share=1 - test_share, delay_days=delay_days)
    return PaymentRecipe(split)


def _parameter(text: str) -> tuple[str, Any]:
    name, _, value = text.partition("=")
    if not name or not value:
        raise UsageError(f"{text!r} is not a parameter", "write num_leaves=31")
    try:
        parsed = json.loads(value)
    except ValueError:
        parsed = value
    if isinstance(parsed, dict | list):
        raise UsageError(
            f"{text!r} is not a parameter", "a parameter is a number, text or truth value"
        )
    return name, parsed
