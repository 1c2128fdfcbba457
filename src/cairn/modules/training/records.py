"""Rows and series of training: plans, runs and evaluations."""

from typing import Annotated

from msgspec import Meta

from cairn.ledger.records import (
    CountField,
    NameField,
    ObjectIdField,
    ScoreField,
    Series,
    Table,
)
from cairn.primitives.encoding import Record
from cairn.primitives.hashes import Digest, tagged_hash

DEVELOPER = "developer"
"""Role that commits plans and records training runs."""
VALIDATOR = "validator"
"""Role that may record evaluations too."""
PURPOSE = "training"
"""Purpose under which a run uses datasets."""
EVALUATION = "evaluation"
"""Purpose under which an evaluation uses datasets."""
OUTCOMES = b""
"""In place of a dataset's id: the labels are entries of `screening/outcomes`."""

SPLIT_COLUMNS_MAX = 8

RowField = Annotated[int, Meta(ge=0, le=2**53)]
PpmField = Annotated[int, Meta(ge=-(2**63), le=2**63 - 1)]
SeedField = Annotated[int, Meta(ge=0, le=2**63 - 1)]
ColumnField = Annotated[str, Meta(min_length=1, max_length=64)]
ColumnsField = Annotated[tuple[ColumnField, ...], Meta(max_length=SPLIT_COLUMNS_MAX)]
SourceField = Annotated[bytes, Meta(max_length=20)]
"""A dataset's id, or `OUTCOMES`."""


class SplitPlan(Record):
    """How rows are divided into those that are learned from and those that are tested on."""

    method: NameField
    """Such as `time`, `group`, `component` or `rows`."""
    columns: ColumnsField
    """Columns that it goes by."""
    test_ppm: ScoreField
    """Share of the rows that is meant to be tested on; 0 where the test rows are yet to come."""
    cut: CountField
    """For a split by time: the first time of the test part, in ms since the epoch; else 0."""
    seed: SeedField


class SplitUse(Record):
    """The rows `first_row` (counted from 0) up to, but without, `end_row` of a dataset."""

    dataset: ObjectIdField
    split: NameField
    """What they were used for, such as `train`, `validation` or `test`."""
    first_row: RowField
    end_row: RowField


class LabelRange(Record):
    """Labels that a model was tested on: rows of a dataset, or entries of `screening/outcomes`."""

    source: SourceField
    """Id of the dataset, or `OUTCOMES`."""
    first: RowField
    """First row or position, counted from 0."""
    end: RowField
    """One after the last."""


class Metric(Record):
    """One figure of a run's evaluation, in parts per million."""

    name: NameField
    value_ppm: PpmField


class Estimate(Record):
    """One figure of an evaluation with its confidence bounds, in parts per million."""

    name: NameField
    value_ppm: PpmField
    lower_ppm: PpmField
    upper_ppm: PpmField


class Plan(Record):
    """What was fixed before the first test label; never changed, never deleted."""

    name: str
    developer: bytes
    organisation: bytes
    committed_ms: int
    height: int
    """Height of the block that holds it."""
    datasets: tuple[bytes, ...]
    """What models may be trained on."""
    split: SplitPlan
    test_digest: bytes
    """Digest of the dataset that is tested on, as its manifest states it; empty: not named yet."""
    test_row_count: int
    """How many rows are tested on; 0: not known yet."""
    threshold_ppm: int
    """Score from which a decision is positive."""
    metric: str
    """The figure that the model is judged by."""
    alert_budget_per_day: int
    """How many alerts a day can be looked at; 0: none stated."""


class PlanUse(Record):
    """How often a plan was used so far."""

    run_count: int
    evaluation_count: int


class Run(Record):
    """A training run, as its developer states it; never changed, never deleted."""

    developer: bytes
    organisation: bytes
    recorded_ms: int
    splits: tuple[SplitUse, ...]
    code_digest: bytes
    parameters: bytes
    """Canonical bytes of the parameters."""
    seed: int
    environment_digest: bytes
    """Digest of the environment's lock file."""
    threads: int
    metrics: tuple[Metric, ...]
    model_digest: bytes
    """Digest of the model's bytes, as `models.records.model_digest` makes it."""
    library: str
    """Name of the library that trained it."""
    library_version: str
    plan: bytes
    """The plan under which it was made; empty for a run without one."""


class Evaluation(Record):
    """How a run's model did on labels that came after a plan; never changed, never deleted."""

    run: bytes
    plan: bytes
    by: bytes
    organisation: bytes
    recorded_ms: int
    height: int
    number: int
    """How many evaluations there were under the plan by then, this one included."""
    is_blind: bool
    """Whether the run, and so the model's digest, was on record before the first label was."""
    first_label_ms: int
    """Block time at which the first of the labels came on the ledger."""
    labels: tuple[LabelRange, ...]
    row_count: int
    positive_count: int
    threshold_ppm: int
    metrics: tuple[Estimate, ...]
    confidence_ppm: int
    """Share of the resamples that lies between the bounds."""
    resample_count: int
    seed: int
    """Of the resampling."""
    report_digest: bytes
    """SHA-256 of a report for people; empty if there is none."""


class Evaluated(Record):
    """The newest evaluation of a run by an organisation."""

    evaluation: bytes
    count: int
    """How many there were, this one included."""


class RunEntry(Record):
    """Entry of `training/runs`."""

    run: bytes
    developer: bytes
    model_digest: bytes


class PlanEntry(Record):
    """Entry of `training/plans`."""

    plan: bytes
    name: str
    developer: bytes
    height: int


class EvaluationEntry(Record):
    """Entry of `training/evaluations`."""

    evaluation: bytes
    run: bytes
    plan: bytes
    by: bytes


PLANS: Table[Plan] = Table("training", "plan", (bytes,), Plan)
PLAN_USES: Table[PlanUse] = Table("training", "plan_use", (bytes,), PlanUse)
RUNS: Table[Run] = Table("training", "run", (bytes,), Run)
EVALUATIONS: Table[Evaluation] = Table("training", "evaluation", (bytes,), Evaluation)
EVALUATED: Table[Evaluated] = Table("training", "evaluated", (bytes, bytes), Evaluated)

PLAN_ENTRIES: Series[PlanEntry] = Series("training", "plans", (), PlanEntry)
RUN_ENTRIES: Series[RunEntry] = Series("training", "runs", (), RunEntry)
EVALUATION_ENTRIES: Series[EvaluationEntry] = Series("training", "evaluations", (), EvaluationEntry)


def parameters_digest(parameters: bytes) -> Digest:
    """Return the digest by which other systems name a run's parameters."""
    return tagged_hash(b"cairn/parameters", parameters)
