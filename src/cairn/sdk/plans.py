"""From one file to an evaluation that nobody can have tuned for: plan first, test labels later.

    folder = plan_file(people, workspace, Path("credit.csv"), terms, Path("credit"))
    train_planned(folder, workspace, TrainingSettings("lightgbm"))     # on the train part
    record_planned(people, folder)                                     # the model's digest
    report = evaluate_planned(people, folder, workspace)               # the test part comes last

The file is divided in two. Both parts are committed here, the train part is registered, and the
plan names the digest of the test part: so it is fixed what is tested on, and nobody can know its
labels from the ledger, where they come last. What was done so far stands in the folder, so that
each step can be a command of its own.
"""

import json
import shutil
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cairn.exact.models import ExactModel, decode_model
from cairn.learning.datasets import Manifest
from cairn.learning.errors import TrainingError
from cairn.learning.evaluation import EvaluationReport, Protocol, evaluate
from cairn.learning.metrics import PPM, ppm
from cairn.learning.quality.measure import Roles, measure_quality
from cairn.learning.quality.text import summary
from cairn.learning.replay import train_in_child
from cairn.learning.resampling import Resampling
from cairn.learning.schema_inference import infer_schema
from cairn.learning.schemas import Kind, Schema
from cairn.learning.tables import Table, read_table, write_table
from cairn.learning.training import (
    TrainingRun,
    TrainingSettings,
    environment,
    environment_digest,
    score_rows,
)
from cairn.modules.models.records import model_digest
from cairn.modules.training.events import EvaluationRecorded, PlanCommitted, RunRecorded
from cairn.modules.training.messages import CommitPlan, RecordEvaluation, RecordRun
from cairn.modules.training.records import Estimate, LabelRange, SplitPlan, SplitUse
from cairn.primitives.encoding import encode
from cairn.primitives.hashes import sha256
from cairn.sdk.client import Client
from cairn.sdk.datasets import (
    DatasetLabel,
    commit_dataset,
    committed_file,
    discard_manifest,
    find_registered,
    open_manifest,
    register_dataset,
    subject_keys,
)
from cairn.sdk.errors import NotFoundError, RejectedError, UsageError
from cairn.sdk.models import MODEL_FILE, RunFolder, record_run, save_run, slug
from cairn.sdk.partition import Partition, Parts, divide
from cairn.sdk.quality import report_file, save_report, stated_quality
from cairn.sdk.tabular import TabularRecipe, labels_of, matrix_of
from cairn.sdk.workspace import Workspace, write_file

PLAN_FILE = "plan.json"
REPORT_FILE = "report.json"
PAGE_FILE = "report.html"
FORMAT = "cairn-plan/1"
TEST_SUFFIX = ".test"
VALIDATION_PPM = 200_000
"""Share of the train part that a model is calibrated on, if it is calibrated."""
DAY_MS = 86_400_000

Tell = Callable[[str], None]


def quiet(_text: str) -> None:
    """Tell nobody."""


@dataclass(frozen=True, slots=True)
class People:
    """Who acts: a data owner registers the parts, a developer plans, records and evaluates."""

    owner: Client
    developer: Client


@dataclass(frozen=True, slots=True)
class Terms:
    """What a plan fixes before anybody can know the test labels."""

    label: str
    """The column to predict: true or false, or 0 and 1."""
    name: str
    """Of the plan, the data set and, later, the model."""
    version: int = 1
    """Of the data set."""
    partition: Partition = field(default_factory=Partition)
    protocol: Protocol = field(default_factory=Protocol)
    inputs: tuple[str, ...] = ()
    """The input columns; none is all that can be inputs."""
    subject: str | None = None
    """Column that says whom a row is about."""
    licence: str = ""
    synthetic: bool = False


@dataclass(frozen=True)
class PlanFolder:
    """Where a plan stands: its terms, the two parts of the file, and what was done since."""

    directory: Path

    @property
    def state(self) -> dict[str, Any]:
        """Return what the folder says.

        Raises:
            UsageError: It is not the folder of a plan.
        """
        path = self.directory / PLAN_FILE
        try:
            found = json.loads(path.read_text(encoding="utf-8"))
        except (OSError, ValueError) as error:
            raise UsageError(
                f"{self.directory} is not the folder of a plan", "see `cairn training plan`"
            ) from error
        if not isinstance(found, dict) or found.get("format") != FORMAT:
            raise UsageError(f"{path} is of another format or version")
        return found

    def update(self, **fields: Any) -> None:
        """Keep what was done."""
        state = self.state if (self.directory / PLAN_FILE).exists() else {"format": FORMAT}
        text = json.dumps({**state, **fields}, indent=2) + "\n"
        write_file(self.directory / PLAN_FILE, text.encode(), mode=0o644)

    def identity(self, what: str) -> bytes:
        """Return the id of the plan, run or evaluation.

        Raises:
            UsageError: It is not there yet.
        """
        found = self.state.get(what)
        if not isinstance(found, str):
            step = {"run": "adopt` a model of your own", "plan": "plan`"}.get(what, "evaluate`")
            raise UsageError(f"there is no {what} yet", f"first: `cairn training {step}")
        return bytes.fromhex(found)

    @property
    def terms(self) -> Terms:
        """Return the terms of the plan."""
        stated = self.state["terms"]
        return Terms(
            **{
                **stated,
                "partition": Partition(**_tupled(stated["partition"])),
                "protocol": Protocol(**stated["protocol"]),
                "inputs": tuple(stated["inputs"]),
            }
        )

    @property
    def train_label(self) -> DatasetLabel:
        """Return what the workspace calls the train part."""
        return DatasetLabel(self.terms.name, self.terms.version)

    @property
    def test_label(self) -> DatasetLabel:
        """Return what the workspace calls the test part."""
        return DatasetLabel(self.terms.name + TEST_SUFFIX, self.terms.version)

    def part(self, which: str) -> Path:
        """Return the file of the train or test part."""
        return self.directory / str(self.state[which])

    def model_bytes(self) -> bytes:
        """Return the bytes of the model that was trained or adopted."""
        return RunFolder(self.directory).model()

    def model(self) -> ExactModel:
        """Return the model that was trained or adopted."""
        return decode_model(self.model_bytes())


def plan_file(
    people: People,
    workspace: Workspace,
    file: Path,
    terms: Terms,
    directory: Path,
    *,
    schema: Schema | None = None,
    tell: Tell = quiet,
) -> PlanFolder:
    """Divide a file, commit both parts, register the train part, and commit the plan.

    Raises:
        DatasetError: The file cannot be read, or not as the schema says.
        TrainingError: The label has other values than 0 and 1, or a part would miss a class.
        UsageError: The folder, or a data set of this name and version, is there already.
        RejectedError: The ledger refuses, for one because the quality is below the policy; if it
            refuses the data, nothing is left behind.
    """
    if directory.exists():
        raise UsageError(f"{directory} exists", "choose another folder: a plan is never changed")
    known = schema or infer_schema(file, label=terms.label, subject=terms.subject)
    table = read_table(file, known)
    parts = _divided(table, terms)
    folder = PlanFolder(directory)
    suffix = ".csv" if file.suffix.lower() == ".csv" else ".parquet"
    folder.update(terms=asdict(terms), train=f"train{suffix}", test=f"test{suffix}")
    manifests = {}
    for name, rows, place in (
        ("train", parts.train, folder.train_label),
        ("test", parts.test, folder.test_label),
    ):
        write_table(folder.part(name), _rows_of(table, rows))
        manifests[name] = commit_dataset(
            workspace,
            place,
            folder.part(name),
            known,
            licence=terms.licence,
            synthetic=terms.synthetic,
        )
    tell(
        f"divided {file.name}: {len(parts.train):,} rows to learn from, {len(parts.test):,} to "
        f"test on ({terms.partition.describe()})"
    )
    try:
        dataset = _register_part(people, workspace, folder, "train", tell)
    except RejectedError:
        for place in (folder.train_label, folder.test_label):
            discard_manifest(workspace, place)
        shutil.rmtree(directory)
        raise
    message = _plan_message(terms, dataset, manifests["test"], cut=parts.cut)
    plan = people.developer.submit(message).event(PlanCommitted).plan
    folder.update(plan=plan.hex(), dataset=dataset.hex())
    tell(f"committed the plan {terms.name}, test rows and threshold included: {plan.hex()}")
    return folder


def _register_part(
    people: People, workspace: Workspace, folder: PlanFolder, which: str, tell: Tell
) -> bytes:
    """Register the train or test part with its quality; return its id."""
    place = folder.train_label if which == "train" else folder.test_label
    manifest = open_manifest(workspace, place)
    report = measure_quality(folder.part(which), manifest.schema, Roles(folder.terms.label))
    tell(f"quality of the {which} part: {'; '.join(summary(report).splitlines())}")
    quality = stated_quality(report, manifest, subject_keys(workspace))
    dataset = register_dataset(people.owner, place, manifest, quality=quality)
    save_report(report_file(workspace, place), report)
    labels = ", labels included," if which == "test" else ""
    tell(f"registered the {which} part{labels} as {place}, with its quality: {dataset.hex()}")
    return dataset


def _divided(table: Table, terms: Terms) -> Parts:
    """Return both parts of a table; what could not be trained on is told before any commitment."""
    labels = labels_of(table, terms.label)
    if not 0 < int(labels.sum()) < len(labels):
        raise TrainingError(f"all {len(labels)} rows have the same label", "both are needed")
    parts = divide(table, terms.partition)
    for name, rows in (("train", parts.train), ("test", parts.test)):
        if not 0 < int(labels[rows].sum()) < len(rows):
            raise TrainingError(
                f"the {name} part has {len(rows)} rows, {int(labels[rows].sum())} of them positive",
                "both classes are needed; choose another share or another way to divide",
            )
    TabularRecipe(terms.label, terms.inputs, 0).build([_rows_of(table, parts.train)])
    return parts


def _plan_message(terms: Terms, dataset: bytes, test: Manifest, *, cut: int) -> CommitPlan:
    partition = terms.partition
    return CommitPlan(
        name=terms.name,
        datasets=(dataset,),
        split=SplitPlan(
            partition.method,
            tuple(column[:64] for column in partition.columns),
            partition.test_ppm,
            cut,
            partition.seed,
        ),
        test_digest=test.digest,
        test_row_count=test.row_count,
        threshold_ppm=terms.protocol.threshold_ppm,
        metric=terms.protocol.metric,
        alert_budget_per_day=terms.protocol.alert_budget_per_day,
    )


def train_planned(
    folder: PlanFolder, workspace: Workspace, settings: TrainingSettings, *, tell: Tell = quiet
) -> TrainingRun:
    """Train on the train part, in a process of its own, and keep the model in the folder.

    Raises:
        LearningError: As `run_training`.
        UsageError: The folder has a model already.
    """
    if (folder.directory / MODEL_FILE).exists():
        raise UsageError(f"{folder.directory} has a model", "make another plan for another model")
    terms = folder.terms
    share = VALIDATION_PPM if settings.calibration != "none" else 0
    recipe = TabularRecipe(terms.label, terms.inputs, 0, share)
    file = committed_file(workspace, folder.train_label, folder.part("train"))
    run = train_in_child([file], recipe, settings)
    save_run(run, folder.directory)
    tell(
        f"trained {settings.algorithm} on {run.record.train_rows:,} rows; "
        f"exact model: {run.trained.conversion.summary()}"
    )
    return run


def record_planned(
    people: People, folder: PlanFolder, workspace: Workspace, *, tell: Tell = quiet
) -> bytes:
    """Put the run of the folder on record under its plan; return its id.

    Raises:
        UsageError: There is no plan or no run yet.
        RejectedError: The ledger refuses it.
    """
    plan = folder.identity("plan")
    file = committed_file(workspace, folder.train_label, folder.part("train"))
    record = RunFolder(folder.directory).record()
    run = record_run(people.developer, record, [file], plan=plan)
    folder.update(run=run.hex())
    tell(f"recorded the run, and with it the model's digest, under the plan: {run.hex()}")
    return run


@dataclass(frozen=True, slots=True)
class OwnModel:
    """An exact model that somebody fitted elsewhere and converted, with what he states of it."""

    raw: bytes
    library: str
    library_version: str
    code: bytes = b""
    """The script that fitted it, if it is at hand; its digest goes on record."""
    parameters: Mapping[str, str] | None = None
    seed: int = 0
    threads: int = 1


def adopt_model(
    people: People, folder: PlanFolder, workspace: Workspace, own: OwnModel, *, tell: Tell = quiet
) -> bytes:
    """Put a model that was fitted elsewhere on record under the plan; return the run's id.

    Raises:
        ModelFormError, NonCanonicalError: The bytes are no exact model.
        UsageError: The folder has another model already.
        RejectedError: The ledger refuses it.
    """
    decode_model(own.raw)
    plan = folder.identity("plan")
    if (folder.directory / MODEL_FILE).exists():
        raise UsageError(f"{folder.directory} has a model", "make another plan for another model")
    manifest = open_manifest(workspace, folder.train_label)
    dataset, _ = find_registered(people.developer, manifest)
    stated = tuple(sorted((own.parameters or {}).items()))
    message = RecordRun(
        splits=(SplitUse(dataset, "train", 0, manifest.row_count),),
        code_digest=sha256(own.code),
        parameters=encode(("fitted elsewhere", stated)),
        seed=own.seed,
        environment_digest=environment_digest(environment()),
        threads=own.threads,
        metrics=(),
        model_digest=model_digest(own.raw),
        library=slug(own.library),
        library_version=own.library_version,
        plan=plan,
    )
    run = people.developer.submit(message).event(RunRecorded).run
    write_file(folder.directory / MODEL_FILE, own.raw, mode=0o644)
    card = {"format": "cairn-model-card/1", "model_digest": model_digest(own.raw).hex()}
    card |= {"library": f"{own.library} {own.library_version}", "run": run.hex()}
    text = json.dumps(card, indent=2) + "\n"
    write_file(folder.directory / "card.json", text.encode(), mode=0o644)
    folder.update(run=run.hex())
    tell(f"recorded the run, and with it the model's digest, under the plan: {run.hex()}")
    return run


def evaluate_planned(
    people: People,
    folder: PlanFolder,
    workspace: Workspace,
    *,
    resampling: Resampling | None = None,
    tell: Tell = quiet,
) -> EvaluationReport:
    """Register the test part, score it with the exact model, and put the figures on record.

    Raises:
        ChangedDataError: The test part is not the one that the plan named.
        TrainingError: Its columns do not fit the model.
        UsageError: There is no plan or no run yet.
        RejectedError: The ledger refuses, for one because the plan came too late.
    """
    plan, run, terms = folder.identity("plan"), folder.identity("run"), folder.terms
    file = committed_file(workspace, folder.test_label, folder.part("test"))
    table = file.read()
    try:
        dataset = find_registered(people.owner, file.manifest)[0]
    except NotFoundError:
        dataset = _register_part(people, workspace, folder, "test", tell)
    report = evaluate_model(
        folder.model(),
        table,
        terms,
        resampling=resampling,
        facts={"plan": plan.hex(), "run": run.hex(), "test data": dataset.hex()},
    )
    write_file(folder.directory / REPORT_FILE, report.to_json().encode(), mode=0o644)
    write_file(folder.directory / PAGE_FILE, report.to_html().encode(), mode=0o644)
    labels = (LabelRange(dataset, 0, table.row_count),)
    recorded = record_evaluation(people.developer, run, plan, labels, report)
    folder.update(evaluation=recorded.evaluation.hex())
    blind = "blind" if recorded.is_blind else "not blind"
    tell(f"recorded evaluation {recorded.number} of the plan, {blind}: {recorded.evaluation.hex()}")
    return report


def evaluate_model(
    model: ExactModel,
    table: Table,
    terms: Terms,
    *,
    resampling: Resampling | None = None,
    facts: Mapping[str, str] | None = None,
) -> EvaluationReport:
    """Return what a model is worth on the labelled rows of a table.

    Raises:
        TrainingError: A column is missing or of another kind than the model's input.
    """
    scores = score_rows(model, matrix_of(table, model.features))
    return evaluate(
        labels_of(table, terms.label),
        scores,
        terms.protocol,
        days=_days(table, terms.partition),
        resampling=resampling,
        title=f"Evaluation of {terms.name}",
        facts=facts,
    )


def record_evaluation(
    client: Client,
    run: bytes,
    plan: bytes,
    labels: tuple[LabelRange, ...],
    report: EvaluationReport,
) -> EvaluationRecorded:
    """Put an evaluation on record.

    Args:
        client: Acts for a developer or validator.
        run: Id of the run whose model was tested.
        plan: Id of the plan.
        labels: Where the test labels stand: rows of data sets, or outcomes.
        report: What came out.

    Raises:
        RejectedError: The ledger refuses, for one because the plan came too late.
    """
    message = RecordEvaluation(
        run=run,
        plan=plan,
        labels=labels,
        positive_count=report.positive_count,
        threshold_ppm=report.protocol.threshold_ppm,
        metrics=tuple(Estimate(*figure) for figure in report.figures_ppm()),
        confidence_ppm=ppm(report.resampling.confidence),
        resample_count=report.resampling.count,
        seed=report.resampling.seed,
        report_digest=report.digest,
    )
    return client.submit(message).event(EvaluationRecorded)


def _rows_of(table: Table, rows: NDArray[np.int64]) -> Table:
    picked = rows.tolist()
    columns = tuple([values[row] for row in picked] for values in table.columns)
    return Table(table.schema, columns, len(picked))


def _days(table: Table, partition: Partition) -> NDArray[np.int64] | None:
    """Return the day of each row where the split goes by a time, else None."""
    if partition.method != "time":
        return None
    place = table.schema.names.index(partition.columns[0])
    if table.schema.columns[place].kind is not Kind.TIMESTAMP:
        return None
    return np.array(table.columns[place], np.int64) // DAY_MS


def _tupled(fields: Mapping[str, Any]) -> dict[str, Any]:
    return {name: tuple(one) if isinstance(one, list) else one for name, one in fields.items()}


def share_ppm(text: str) -> int:
    """Return a share as people write it, `30%` or `0.3`, in parts per million.

    >>> share_ppm("30%"), share_ppm("0.25")
    (300000, 250000)

    Raises:
        UsageError: It is none above 0 and below 1.
    """
    number, mark, _ = text.strip().partition("%")
    try:
        share = float(number) / (100 if mark else 1)
    except ValueError as error:
        raise UsageError(f"{text!r} is not a share", "write 30% or 0.3") from error
    if not 0 < share < 1:
        raise UsageError(f"{text!r} is not a share above 0 and below 1", "write 30% or 0.3")
    return round(share * PPM)
