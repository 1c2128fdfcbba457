"""`cairn training`: plans, trains on committed data, evaluates, and trains again to compare."""

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from typer import Argument, Option

from cairn.cli.files import read_file
from cairn.cli.plans import (
    PlanOptions,
    people_of,
    plan_options,
    restored_recipe,
    schema_of,
)
from cairn.cli.session import Session, command, new_app
from cairn.modules.training.records import (
    EVALUATION_ENTRIES,
    EVALUATIONS,
    PLAN_ENTRIES,
    PLAN_USES,
    PLANS,
    RUN_ENTRIES,
    RUNS,
)
from cairn.sdk.errors import UsageError
from cairn.sdk.names import find_id
from cairn.sdk.quantities import format_time
from cairn.sdk.reading import Reader

if TYPE_CHECKING:
    from cairn.learning.evaluation import EvaluationReport
    from cairn.learning.fitting import Matrix
    from cairn.learning.training import CommittedFile, Recipe, TrainingSettings
    from cairn.sdk.plans import People, PlanFolder

app = new_app("Plans, training on committed data, evaluations, replays.")

ALGORITHMS = {"forest": "random_forest"}
"""Other names of algorithms."""

FolderArgument = Annotated[Path, Argument(metavar="RUN", help="The folder of a run.")]
PlanArgument = Annotated[Path, Argument(metavar="PLAN", help="The folder of a plan.")]
SourceArgument = Annotated[
    str, Argument(metavar="SOURCE", help="Your file; or NAME[@VERSION] of a committed data set.")
]
FileArgument = Annotated[
    Path | None, Argument(metavar="[FILE]", help="The file of a committed data set.")
]
OwnerOption = Annotated[str, Option(help="Who registers the data; else whoever may.")]
AlgorithmOption = Annotated[
    str,
    Option("--model", "--algorithm", help="lightgbm, xgboost, logistic, scorecard or forest."),
]
ParameterOption = Annotated[
    list[str] | None, Option("--parameter", metavar="NAME=VALUE", help="Of the algorithm.")
]
CalibrationOption = Annotated[str, Option("--calibrate", help="platt, or none.")]
SeedOption = Annotated[int, Option(min=0, help="Of the training.")]
ThreadsOption = Annotated[int, Option(min=1, help="Of the training.")]


@command(app, "run")
@plan_options
def run(
    session: Session,
    options: PlanOptions,
    source: SourceArgument,
    file: FileArgument = None,
    recipe: Annotated[str, Option(help="Committed data: payments, or tabular.")] = "payments",
    delay_days: Annotated[int, Option(min=0, help="payments: gap before the test.")] = 7,
    algorithm: AlgorithmOption = "lightgbm",
    parameter: ParameterOption = None,
    calibrate: CalibrationOption = "none",
    seed: SeedOption = 1,
    threads: ThreadsOption = 1,
) -> None:
    """Divide a file, plan, train, record and evaluate; or train on a committed data set alone."""
    from cairn.learning.fitting import TrainingSettings, check_algorithm
    from cairn.sdk.plans import evaluate_planned, record_planned, train_planned

    settings = TrainingSettings(
        ALGORITHMS.get(algorithm, algorithm),
        dict(_parameter(text) for text in parameter or ()),
        seed,
        threads,
        calibrate,
    )
    check_algorithm(settings)
    if file is not None:
        committed = _committed(session, source, file)
        chosen = _recipe(recipe, committed, options, settings, delay_days)
        _run_committed(session, committed, chosen, settings, options.output)
        return
    tell, workspace = session.out.talk, session.workspace
    with people_of(session, options.owner) as people:
        folder = _plan(session, people, Path(source), options)
        train_planned(folder, workspace, settings, tell=tell)
        record_planned(people, folder, workspace, tell=tell)
        report = evaluate_planned(people, folder, workspace, tell=tell)
    _print_report(session, folder, report)


@command(app, "plan")
@plan_options
def plan(
    session: Session,
    options: PlanOptions,
    file: Annotated[Path, Argument(metavar="FILE", help="Your file.")],
) -> None:
    """Divide a file and fix how it will be tested, before training; fit your own model then."""
    with people_of(session, options.owner) as people:
        folder = _plan(session, people, file, options)
    state = folder.state
    session.out.record(
        {
            "folder": str(folder.directory),
            "plan": state["plan"],
            "dataset": state["dataset"],
            "train": str(folder.part("train")),
            "test": str(folder.part("test")),
        }
    )


def _plan(session: Session, people: "People", file: Path, options: PlanOptions) -> "PlanFolder":
    from cairn.sdk.plans import plan_file

    terms = options.terms(file)
    return plan_file(
        people,
        session.workspace,
        file,
        terms,
        options.output or Path(terms.name),
        schema=schema_of(options.schema),
        tell=session.out.talk,
    )


@command(app, "adopt")
def adopt(
    session: Session,
    plan: PlanArgument,
    model: Annotated[Path, Argument(metavar="MODEL", help="Of `cairn model convert`.")],
    library: Annotated[str, Option(help="What fitted it: NAME==VERSION.")] = "scikit-learn",
    script: Annotated[Path | None, Option(help="The script that fitted it.")] = None,
) -> None:
    """Put a model that you fitted yourself on record under a plan; for a developer."""
    from importlib import metadata

    from cairn.sdk.plans import OwnModel, People, PlanFolder, adopt_model

    package, mark, version = library.partition("==")
    if not mark:
        try:
            version = metadata.version(package)
        except metadata.PackageNotFoundError as error:
            raise UsageError(
                f"which version of {package} was it?", f"write --library {package}==1.2.3"
            ) from error
    own = OwnModel(read_file(model), package, version, read_file(script) if script else b"")
    folder = PlanFolder(plan)
    with session.client() as client:
        identity = adopt_model(
            People(client, client), folder, session.workspace, own, tell=session.out.talk
        )
    session.out.record({"run": identity.hex(), "model": str(model)})


@command(app, "evaluate")
def evaluate(
    session: Session,
    plan: PlanArgument,
    owner: OwnerOption = "",
    resamples: Annotated[int, Option(min=0, help="For the confidence bounds.")] = 1_000,
) -> None:
    """Register the test part of a plan, score it, and put the figures on record."""
    from cairn.learning.resampling import Resampling
    from cairn.sdk.plans import PlanFolder, evaluate_planned

    folder = PlanFolder(plan)
    with people_of(session, owner) as people:
        report = evaluate_planned(
            people,
            folder,
            session.workspace,
            resampling=Resampling(resamples),
            tell=session.out.talk,
        )
    _print_report(session, folder, report)


@command(app, "replay")
def replay(
    session: Session,
    run: FolderArgument,
    source: Annotated[
        list[str] | None,
        Option("--data", metavar="NAME[@V]=FILE", help="Its data sets, in order; none for a plan."),
    ] = None,
    threads: Annotated[int, Option(min=0, help="Other than recorded.")] = 0,
    core_type: Annotated[
        str, Option(help="As if on this kind of core, such as Haswell or Prescott.")
    ] = "",
) -> None:
    """Train again from the committed data, and tell whether the model comes out the same."""
    from cairn.learning.replay import replay as train_again
    from cairn.sdk.models import RunFolder

    folder = RunFolder(run)
    record = folder.record()
    files, rows = _replayed(session, run, source or [])
    session.out.talk(f"training {record.algorithm} again, {threads or record.threads} threads")
    found = train_again(
        record,
        folder.model(),
        files,
        restored_recipe(record),
        threads=threads or None,
        core_type=core_type,
        rows=rows,
    )
    session.out.record(
        {
            "outcome": found.verdict,
            "in_words": found.describe(),
            "difference_max": f"{found.difference_ppm_max / 1e6:g}",
            "rows": found.row_count,
            "compared": found.compared,
            "other_than_recorded": list(found.differing),
            "threads": found.record.threads,
            "core_type": found.record.core_type,
            "model_digest": found.record.model_digest.hex(),
        }
    )


def _replayed(
    session: Session, run: Path, sources: list[str]
) -> "tuple[list[CommittedFile], Matrix | None]":
    """Return the data of a run, and under a plan the rows that it was tested on."""
    from cairn.sdk.plans import PLAN_FILE, PlanFolder
    from cairn.sdk.tabular import matrix_of

    files = []
    for text in sources:
        label, mark, path = text.partition("=")
        if not mark:
            raise UsageError(f"{text!r} names no file", "write --data NAME=FILE")
        files.append(_committed(session, label, Path(path)))
    if files:
        return files, None
    if not (run / PLAN_FILE).exists():
        raise UsageError("replay needs the data", "give --data NAME=FILE for each data set")
    planned = PlanFolder(run)
    test = _committed(session, str(planned.test_label), planned.part("test")).read()
    train = _committed(session, str(planned.train_label), planned.part("train"))
    return [train], matrix_of(test, planned.model().features)


@command(app, "record")
def record(
    session: Session,
    run: FolderArgument,
    dataset: Annotated[list[str], Option("--dataset", help="The data sets, in the run's order.")],
    plan: Annotated[str, Option(help="Id of the plan that it was made under.")] = "",
) -> None:
    """Put a run on record; for a developer."""
    from cairn.sdk.datasets import committed_file, parse_label
    from cairn.sdk.models import RunFolder, record_run

    stated = RunFolder(run).record()
    files = [committed_file(session.workspace, parse_label(one), Path()) for one in dataset]
    if [one.manifest.digest for one in files] != list(stated.datasets):
        raise UsageError("the run was trained on other data sets", "name them in the run's order")
    with session.client() as client:
        under = find_id(client, PLANS, plan, "a plan") if plan else b""
        identity = record_run(client, stated, files, plan=under)
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


@command(app, "plans")
def list_plans(session: Session) -> None:
    """List the plans, and how often each was used."""
    with session.reader() as reader:
        names = session.names(reader)
        rows = []
        for entry in reader.series(PLAN_ENTRIES):
            row = reader.require(PLANS, entry.record.plan)
            use = reader.require(PLAN_USES, entry.record.plan)
            rows.append(
                {
                    "plan": entry.record.plan.hex(),
                    "name": row.name,
                    "developer": names.show(row.developer),
                    "height": row.height,
                    "split": " ".join([row.split.method, *row.split.columns]),
                    "test_rows": row.test_row_count,
                    "threshold": f"{row.threshold_ppm / 1e6:g}",
                    "metric": row.metric,
                    "alerts_per_day": row.alert_budget_per_day,
                    "runs": use.run_count,
                    "evaluations": use.evaluation_count,
                }
            )
    shown = ("plan", "name", "height", "split", "test_rows", "threshold", "metric", "runs")
    session.out.rows((*shown, "evaluations"), rows)


@command(app, "show")
def show(
    session: Session, run: Annotated[str, Argument(help="Its id, or its first digits.")]
) -> None:
    """Show a training run on record."""
    with session.reader() as reader:
        names = session.names(reader)
        identity = find_id(reader, RUNS, run, "a run")
        row = reader.require(RUNS, identity)
        evaluations = [
            _evaluation_line(reader, entry.record.evaluation)
            for entry in reader.series(EVALUATION_ENTRIES)
            if entry.record.run == identity
        ]
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
            "plan": row.plan.hex(),
            "evaluations": evaluations,
        }
    )


def _evaluation_line(reader: Reader, evaluation: bytes) -> str:
    row = reader.require(EVALUATIONS, evaluation)
    plan = reader.require(PLANS, row.plan)
    judged = next(one for one in row.metrics if one.name == plan.metric)
    blind = "blind" if row.is_blind else "not blind"
    return (
        f"{evaluation.hex()}: number {row.number} of plan {row.plan.hex()}, {blind}, "
        f"{judged.name} {judged.value_ppm / 1e6:.4f} ({judged.lower_ppm / 1e6:.4f} to "
        f"{judged.upper_ppm / 1e6:.4f}) on {row.row_count} rows"
    )


def _committed(session: Session, dataset: str, file: Path) -> "CommittedFile":
    from cairn.sdk.datasets import committed_file, parse_label

    return committed_file(session.workspace, parse_label(dataset), file)


def _recipe(
    name: str,
    file: "CommittedFile",
    options: PlanOptions,
    settings: "TrainingSettings",
    delay_days: int,
) -> "Recipe":
    if name == "tabular":
        from cairn.sdk.plans import VALIDATION_PPM
        from cairn.sdk.tabular import TabularRecipe

        share = VALIDATION_PPM if settings.calibration != "none" else 0
        return TabularRecipe(options.label, tuple(options.column or ()), options.test_ppm(), share)
    if name != "payments":
        raise UsageError(f"there is no recipe {name!r}", "payments, or tabular")
    from cairn.packs.payments.evaluate import PaymentRecipe, split_by_share
    from cairn.packs.payments.records import payments_of

    payments = payments_of(file.read())
    train_share = 1 - options.test_ppm() / 1e6
    return PaymentRecipe(split_by_share(payments, train_share=train_share, delay_days=delay_days))


def _run_committed(
    session: Session,
    file: "CommittedFile",
    recipe: "Recipe",
    settings: "TrainingSettings",
    output: Path | None,
) -> None:
    """Train on a committed data set, and leave the run in a folder."""
    from cairn.sdk.models import train

    if output is None:
        raise UsageError("where shall the run be written?", "name a new folder: -o run")
    session.out.talk(f"training {settings.algorithm} on {file.path}")
    folder, done = train([file], recipe, settings, output, in_child=True)
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


def _print_report(session: Session, folder: "PlanFolder", report: "EvaluationReport") -> None:
    state = folder.state
    figures = {
        name: f"{one.value:.4f} ({one.lower:.4f} to {one.upper:.4f})"
        for name, one in report.figures.items()
    }
    session.out.record(
        {
            "folder": str(folder.directory),
            "plan": state["plan"],
            "run": state["run"],
            "evaluation": state["evaluation"],
            "test_rows": report.row_count,
            "test_positives": report.positive_count,
            "judged_by": report.protocol.metric,
            "figures": figures if session.as_json else [f"{n} {v}" for n, v in figures.items()],
            "page": str(folder.directory / "report.html"),
        }
    )


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
