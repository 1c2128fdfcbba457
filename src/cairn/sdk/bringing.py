"""Bringing a model that was fitted elsewhere: from its file to a version that people can approve.

    brought = bring_model(people, workspace, ModelFiles(
        "credit-risk", Path("model.skops"), Path("credit.csv"), "default", Path("kept-back.csv")))
    print(brought.conversion.describe(), brought.evaluation)

Whatever can be wrong with the files is found before anything goes on the ledger. What is on the
ledger already is not put there again, so that a command that broke off is simply given once more.

The rows that were kept back are the test. Their labels come on the ledger after a plan that names
the committed file, the threshold and the figure to judge by, and after the run that names the
model: so the evaluation is blind. Where nothing was kept back there is nothing to evaluate by.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np

from cairn.exact.models import ExactModel, encode_model
from cairn.exact.rules import encode_rule
from cairn.exact.scoring import Scorer
from cairn.learning.backtest import BacktestReport, file_digest
from cairn.learning.conversion.convert import LARGEST_DIFFERENCE_MAX, convert
from cairn.learning.conversion.errors import ConversionError
from cairn.learning.conversion.reading import input_names
from cairn.learning.conversion.report import ConversionReport
from cairn.learning.conversion.rows import encode_rows
from cairn.learning.datasets import Manifest
from cairn.learning.errors import TrainingError
from cairn.learning.evaluation import EvaluationReport, Protocol, evaluate
from cairn.learning.extras import Untyped
from cairn.learning.model_files import load_model
from cairn.learning.quality.measure import Roles, measure_quality
from cairn.learning.schema_inference import infer_schema
from cairn.learning.training import environment, environment_digest
from cairn.modules.models.messages import CreateDeployment
from cairn.modules.models.records import DEPLOYMENTS, VERSION_ENTRIES, VERSIONS, model_digest
from cairn.modules.rules.events import RuleSubmitted
from cairn.modules.rules.messages import SubmitRule
from cairn.modules.rules.records import NAMES as RULE_NAMES
from cairn.modules.rules.records import RULES
from cairn.modules.training.events import PlanCommitted, RunRecorded
from cairn.modules.training.messages import CommitPlan, RecordRun
from cairn.modules.training.records import (
    EVALUATION_ENTRIES,
    EVALUATIONS,
    PLAN_ENTRIES,
    PLANS,
    RUN_ENTRIES,
    RUNS,
    LabelRange,
    SplitPlan,
    SplitUse,
)
from cairn.primitives.encoding import encode
from cairn.primitives.hashes import sha256
from cairn.sdk.backtests import backtest_rows, live_model, read_cases, record_backtest
from cairn.sdk.client import Client
from cairn.sdk.conversions import read_rows
from cairn.sdk.datasets import (
    DatasetLabel,
    check_dataset,
    commit_dataset,
    find_registered,
    labels,
    open_manifest,
    register_dataset,
    subject_keys,
)
from cairn.sdk.errors import NotFoundError, UsageError
from cairn.sdk.models import CARD_FILE, MODEL_FILE, register_version, slug, upload_model
from cairn.sdk.plans import People, Tell, quiet, record_evaluation
from cairn.sdk.quality import report_file, save_report, stated_quality
from cairn.sdk.quantities import format_time
from cairn.sdk.rule_yaml import parse_rule
from cairn.sdk.rules import schemas
from cairn.sdk.tabular import input_name
from cairn.sdk.workspace import Workspace, write_file

MODELS_FOLDER = "models"
CONVERSION_FILE = "conversion.json"
EVALUATION_FILE = "evaluation.json"
EVALUATION_PAGE = "evaluation.html"
KEPT_BACK = "kept-back"
"""The way to divide that a plan of somebody else's model states: by whoever fitted it."""
PPM = 1_000_000
LIBRARIES = {"sklearn": "scikit-learn"}


@dataclass(frozen=True, slots=True)
class ModelFiles:
    """A fitted model, the rows that it learned from, and rows that it has not seen."""

    name: str
    """Of the model and of the deployment where it is to go live."""
    model: Path
    data: Path
    label: str
    """The column with what each row turned out to be: 0 or 1."""
    test: Path | None = None
    without: tuple[str, ...] = ()
    """Columns that are no inputs, for a model that was fitted without column names."""
    protocol: Protocol = field(default_factory=lambda: Protocol(metric="roc_auc"))
    largest_difference_max: float = LARGEST_DIFFERENCE_MAX
    licence: str = ""
    policy: str = "models"
    purpose: str = ""


@dataclass(frozen=True, slots=True)
class BroughtModel:
    """What came of it."""

    name: str
    number: int
    version: bytes
    digest: bytes
    inputs: tuple[str, ...]
    conversion: ConversionReport
    evaluation: EvaluationReport | None
    """None where no rows were kept back."""
    is_blind: bool
    """Whether model and threshold were fixed before the test labels were on the ledger."""
    folder: Path
    """Model, card and reports."""


@dataclass(frozen=True, slots=True)
class _Read:
    """The files as they were read, before anything went on the ledger."""

    model: ExactModel
    raw: bytes
    conversion: ConversionReport
    evaluation: EvaluationReport | None


def bring_model(
    people: People, workspace: Workspace, files: ModelFiles, *, tell: Tell = quiet
) -> BroughtModel:
    """Convert, evaluate, record, upload and register a model, and make its deployment.

    Raises:
        ConversionError: The model cannot be converted, or comes out too different.
        TrainingError: The label is no column of 0 and 1.
        UsageError: A file cannot be read.
        RejectedError: The ledger refuses a step; those before it stand, and are not repeated.
    """
    read = _read_files(files)
    if files.test is not None:
        _check_unseen(people, workspace, files, files.test)
    tell(f"exact model: {read.conversion.summary()}")
    data, dataset = registered_file(people, workspace, files.data, files.label, files.licence, tell)
    digest = model_digest(read.raw)
    evaluation, is_blind = read.evaluation, False
    if evaluation is None or files.test is None:
        run = _run_of(people, read, (dataset, data.row_count), b"", files)
    else:
        test = _committed(workspace, files.test, files.label, files.licence, tell)
        plan = _plan_of(people, files, (dataset, test))
        run = _run_of(people, read, (dataset, data.row_count), plan, files)
        evaluation, is_blind = _evaluated(people, workspace, files, evaluation, (plan, run))
        tell(f"evaluated on {test.row_count:,} rows, {'blind' if is_blind else 'not blind'}")
    folder = workspace.directory / MODELS_FOLDER / f"{files.name}-{digest.hex()[:12]}"
    card = _write_folder(folder, read, evaluation, run)
    version = _version_of(people, files.name, read.raw, run=run, card=card)
    row = people.developer.require(VERSIONS, version)
    if people.developer.get(DEPLOYMENTS, files.name) is None:
        people.developer.submit(CreateDeployment(files.name, files.policy, files.purpose))
    tell(f"registered as {row.name}@{row.number}; it is not live before people approve it")
    return BroughtModel(
        name=row.name,
        number=row.number,
        version=version,
        digest=digest,
        inputs=tuple(feature.name for feature in read.model.features),
        conversion=read.conversion,
        evaluation=evaluation,
        is_blind=is_blind,
        folder=folder,
    )


@dataclass(frozen=True, slots=True)
class BroughtRule:
    """A rule that was handed in, and what it would have done to past cases."""

    name: str
    number: int
    report: BacktestReport
    position: int
    """Of the back-test on record."""


def bring_rule(
    client: Client, text: str, data: Path, label: str = "", *, time: str = ""
) -> BroughtRule:
    """Check a rule on decisions, back-test it, hand it in, and put the back-test on record.

    Args:
        client: Acts for risk.
        text: The rule, in YAML.
        data: Past cases: a file with the columns of the model.
        label: The column with what each turned out to be; empty for none.
        time: The column with when each was; empty if they have no time.

    Raises:
        UsageError: The rule is none, is on payments, or looks at an input that is not there; or a
            row does not fit the model.
        RejectedError: The ledger refuses it.
    """
    rule = parse_rule(text, schemas(client))
    if not rule.scope:
        raise UsageError(
            f"{rule.name} is a rule on payments, and these are cases",
            "name the deployment whose decisions it judges: `decisions: NAME`; for payments: "
            "`cairn rule submit` and `cairn rule backtest`",
        )
    model, digest = live_model(client, rule.scope)
    cases = read_cases(data)
    report = backtest_rows(
        rule,
        cases,
        model=model,
        label=label,
        source={"data": data.name, "data_sha256": file_digest(data.read_bytes())},
        digest=digest,
    )
    raw = encode_rule(rule)
    known = client.get(RULE_NAMES, rule.name)
    number = 0 if known is None else known.version_count
    if not number or client.require(RULES, rule.name, number).raw != raw:
        number = client.submit(SubmitRule(raw)).event(RuleSubmitted).version
    return BroughtRule(rule.name, number, report, record_backtest(client, report).position)


def registered_file(
    people: People, workspace: Workspace, file: Path, label: str, licence: str, tell: Tell
) -> tuple[Manifest, bytes]:
    """Return manifest and id of a file's data set, registering it if nobody has.

    Raises:
        DatasetError: The file is none.
        RejectedError: The ledger refuses it, for example for its quality.
    """
    manifest = _committed(workspace, file, label, licence, tell)
    try:
        return manifest, find_registered(people.owner, manifest)[0]
    except NotFoundError:
        pass
    name = _label_of(workspace, manifest)
    report = measure_quality(file, manifest.schema, Roles(label))
    quality = stated_quality(report, manifest, subject_keys(workspace))
    dataset = register_dataset(people.owner, name, manifest, quality=quality)
    save_report(report_file(workspace, name), report)
    tell(f"registered {file.name} as {name}, with its quality")
    return manifest, dataset


def card_of(workspace: Workspace, card_digest: bytes) -> Mapping[str, Any]:
    """Return the card that a version was registered with, nothing if it is not here."""
    for path in sorted((workspace.directory / MODELS_FOLDER).glob(f"*/{CARD_FILE}")):
        raw = path.read_bytes()
        if sha256(raw) == card_digest:
            card: Mapping[str, Any] = json.loads(raw)
            return card
    return {}


def score_table(model: ExactModel, rows: Untyped) -> np.ndarray[Any, np.dtype[np.int64]]:
    """Return the exact model's scores of the rows of a table, in parts per million."""
    found: np.ndarray[Any, np.dtype[np.int64]]
    found = Scorer(model, kernel="numpy").score(encode_rows(model.features, rows))[1]
    return found


def labels_of(rows: Untyped, label: str, file: str) -> list[int]:
    """Return the label of each row.

    Raises:
        TrainingError: There is no such column, or it has other values than 0 and 1.
    """
    if label not in rows.column_names:
        raise TrainingError(
            f"{file} has no column {label!r}, which should hold the label",
            f"choose it with --label; columns: {', '.join(rows.column_names[:40])}",
        )
    values = rows.column(label).to_pylist()
    for number, value in enumerate(values):
        if value not in (0, 1) or isinstance(value, str):
            shown = "nothing" if value is None else repr(value)
            raise TrainingError(
                f"{file}, row {number}: the label {label!r} is {shown}, not 0 or 1",
                "spell the label 0 and 1, and leave rows without one out",
            )
    if len(set(values)) < 2:
        raise TrainingError(
            f"{file}: all {len(values)} rows have the same label", "both 0 and 1 are needed"
        )
    return [int(value) for value in values]


def _read_files(files: ModelFiles) -> _Read:
    """Read, convert and score everything; nothing is written."""
    source = load_model(files.model)
    rows = read_rows(files.data)
    labels_of(rows, files.label, files.data.name)
    left_out = [name for name in (files.label, *files.without) if name in rows.column_names]
    inputs = rows if input_names(source) else rows.drop_columns(left_out)
    try:
        model, report = convert(
            source,
            rows=inputs,
            threshold=files.protocol.threshold_ppm / PPM,
            largest_difference_max=files.largest_difference_max,
        )
    except ConversionError as error:
        if input_names(source) or "columns" not in str(error):
            raise
        more = "the model knows no names: leave other columns out by --without COLUMN"
        raise ConversionError(str(error), more) from error
    evaluation = None
    if files.test is not None:
        if files.test.resolve() == files.data.resolve():
            raise UsageError(
                "the test has to be of other rows than the model learned from",
                "keep rows back before fitting, and give them as --test; or leave --test out",
            )
        test = read_rows(files.test)
        known = labels_of(test, files.label, files.test.name)
        try:
            scores = score_table(model, test)
        except ConversionError as error:
            raise ConversionError(f"{files.test.name}, {error}", error.hint) from error
        title = f"Evaluation of {files.name}"
        evaluation = evaluate(known, scores, files.protocol, title=title)
    return _Read(model, encode_model(model), report, evaluation)


def _find_committed(workspace: Workspace, file: Path) -> Manifest | None:
    """Return the manifest of a file, None if it was never committed."""
    try:
        size_bytes = file.stat().st_size
    except OSError as error:
        raise UsageError(f"{file} cannot be read: {error.strerror}", "name a file") from error
    for name in labels(workspace):
        manifest = open_manifest(workspace, name)
        if manifest.size_bytes == size_bytes and check_dataset(workspace, name, file).is_same:
            return manifest
    return None


def _committed(workspace: Workspace, file: Path, label: str, licence: str, tell: Tell) -> Manifest:
    """Return the manifest of a file, which is committed if it is not yet."""
    found = _find_committed(workspace, file)
    if found is not None:
        return found
    stem = input_name(file.stem)[:50]
    if not stem:
        raise UsageError(f"{file.name} names no data set", "rename the file: letters, digits, -")
    taken = [one.version for one in labels(workspace) if one.name == stem]
    name = DatasetLabel(stem, max(taken, default=0) + 1)
    schema = infer_schema(file, label=label)
    tell(f"committing {file.name} as {name}")
    return commit_dataset(workspace, name, file, schema, licence=licence)


def _check_unseen(people: People, workspace: Workspace, files: ModelFiles, test: Path) -> None:
    """Check that the labels of a test are not on the ledger, unless its plan was there before.

    Raises:
        UsageError: They are, so that no evaluation by them can be recorded.
    """
    manifest = _find_committed(workspace, test)
    if manifest is None:
        return
    try:
        registered_ms = find_registered(people.developer, manifest)[1].registered_ms
    except NotFoundError:
        return
    learned = _find_committed(workspace, files.data)
    try:
        dataset = b"" if learned is None else find_registered(people.developer, learned)[0]
    except NotFoundError:
        dataset = b""
    plan = _find_plan(people.developer, files, dataset, manifest.digest)
    if plan and people.developer.require(PLANS, plan).committed_ms < registered_ms:
        return
    raise UsageError(
        f"{test.name} is registered since {format_time(registered_ms)}, labels included, and no "
        f"plan for models of {files.data.name} with this threshold and figure was made before: "
        "whoever knew them could have chosen the model by them",
        "give rows as --test that nobody has registered; or leave --test out",
    )


def _find_plan(client: Client, files: ModelFiles, dataset: bytes, test_digest: bytes) -> bytes:
    """Return the first plan for this data, test, threshold and figure; empty if there is none.

    It may be of a model of another name: the evaluation is then the next one under that plan, which
    tells how many were tried on these rows.
    """
    wanted = ((dataset,), test_digest, files.protocol.threshold_ppm, files.protocol.metric)
    for entry in client.series(PLAN_ENTRIES):
        row = client.require(PLANS, entry.record.plan)
        if (row.datasets, row.test_digest, row.threshold_ppm, row.metric) == wanted:
            return entry.record.plan
    return b""


def _label_of(workspace: Workspace, manifest: Manifest) -> DatasetLabel:
    """Return what the workspace calls a data set."""
    return next(
        name
        for name in labels(workspace)
        if open_manifest(workspace, name).digest == manifest.digest
    )


def _plan_of(people: People, files: ModelFiles, data: tuple[bytes, Manifest]) -> bytes:
    """Return the plan that names the test file and how it is read, committing it if there is none.

    Args:
        people: A developer commits it.
        files: Threshold and figure.
        data: Id of the data set that was learned from, and the manifest of the test.
    """
    dataset, test = data
    found = _find_plan(people.developer, files, dataset, test.digest)
    if found:
        return found
    message = CommitPlan(
        name=files.name,
        datasets=(dataset,),
        split=SplitPlan(KEPT_BACK, (), 0, 0, 0),
        test_digest=test.digest,
        test_row_count=test.row_count,
        threshold_ppm=files.protocol.threshold_ppm,
        metric=files.protocol.metric,
        alert_budget_per_day=files.protocol.alert_budget_per_day,
    )
    return people.developer.submit(message).event(PlanCommitted).plan


def _run_of(
    people: People, read: _Read, data: tuple[bytes, int], plan: bytes, files: ModelFiles
) -> bytes:
    """Return the run on record of this model under this plan, recording it if there is none."""
    dataset, row_count = data
    digest = model_digest(read.raw)
    client = people.developer
    for entry in client.series(RUN_ENTRIES):
        if entry.record.model_digest == digest:
            row = client.require(RUNS, entry.record.run)
            if row.plan == plan and any(split.dataset == dataset for split in row.splits):
                return entry.record.run
    library = read.conversion.library
    source = sha256(files.model.read_bytes())
    message = RecordRun(
        splits=(SplitUse(dataset, "train", 0, row_count),),
        code_digest=sha256(b""),
        parameters=encode(("fitted elsewhere", (("file", files.model.name), ("sha256", source)))),
        seed=0,
        environment_digest=environment_digest(environment()),
        threads=1,
        metrics=(),
        model_digest=digest,
        library=slug(LIBRARIES.get(library, library)),
        library_version=read.conversion.library_version or "unknown",
        plan=plan,
    )
    return client.submit(message).event(RunRecorded).run


def _evaluated(
    people: People,
    workspace: Workspace,
    files: ModelFiles,
    report: EvaluationReport,
    place: tuple[bytes, bytes],
) -> tuple[EvaluationReport, bool]:
    """Return the evaluation with what it rests on, and whether it is blind; it is on record then.

    Args:
        people: The owner registers the test; the developer records.
        workspace: Where the test is committed.
        files: The files.
        report: What came out.
        place: Ids of plan and run.
    """
    assert files.test is not None
    plan, run = place
    manifest, dataset = registered_file(
        people, workspace, files.test, files.label, files.licence, quiet
    )
    facts = {"plan": plan.hex(), "run": run.hex(), "test data": dataset.hex()}
    stated = replace(report, facts=facts)
    for entry in people.developer.series(EVALUATION_ENTRIES):
        if entry.record.run == run:
            row = people.developer.require(EVALUATIONS, entry.record.evaluation)
            return stated, row.is_blind
    ranges = (LabelRange(dataset, 0, manifest.row_count),)
    return stated, record_evaluation(people.developer, run, plan, ranges, stated).is_blind


def _write_folder(
    folder: Path, read: _Read, evaluation: EvaluationReport | None, run: bytes
) -> bytes:
    """Write model, card and reports; return the digest of the card."""
    card: dict[str, Any] = {
        "format": "cairn-model-card/1",
        "model_digest": model_digest(read.raw).hex(),
        "run": run.hex(),
        "kind": read.conversion.kind,
        "library": f"{read.conversion.library} {read.conversion.library_version}",
        "inputs": [feature.name for feature in read.model.features],
        "conversion": read.conversion.to_dict(),
    }
    if evaluation is not None:
        card["evaluation_ppm"] = {
            name: list(figures) for name, *figures in evaluation.figures_ppm()
        }
        write_file(folder / EVALUATION_FILE, evaluation.to_json().encode(), mode=0o644)
        write_file(folder / EVALUATION_PAGE, evaluation.to_html().encode(), mode=0o644)
    raw = (json.dumps(card, indent=2) + "\n").encode()
    write_file(folder / MODEL_FILE, read.raw, mode=0o644)
    write_file(folder / CONVERSION_FILE, read.conversion.to_json().encode(), mode=0o644)
    write_file(folder / CARD_FILE, raw, mode=0o644)
    return sha256(raw)


def _version_of(people: People, name: str, raw: bytes, *, run: bytes, card: bytes) -> bytes:
    """Return the version of this model under this name, uploading and registering it if need be."""
    client = people.developer
    digest = model_digest(raw)
    for entry in client.series(VERSION_ENTRIES):
        if entry.record.name == name and entry.record.action == "registered":
            row = client.require(VERSIONS, entry.record.version)
            if row.model_digest == digest and row.run == run and not row.retired_ms:
                return entry.record.version
    upload_model(client, raw)
    return register_version(client, name, run=run, digest=digest, card_digest=card).version
