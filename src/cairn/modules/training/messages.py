"""The commands that put plans, training runs and evaluations on record."""

from itertools import pairwise
from typing import Annotated

from msgspec import Meta

from cairn.ledger.errors import InvalidMessageError
from cairn.ledger.messages import Message
from cairn.ledger.records import (
    CountField,
    DigestField,
    NameField,
    ObjectIdField,
    ScoreField,
)
from cairn.modules.training.records import (
    OUTCOMES,
    Estimate,
    LabelRange,
    Metric,
    RowField,
    SeedField,
    SplitPlan,
    SplitUse,
)

PARAMETERS_SIZE_BYTES_MAX = 4_096
SPLITS_MAX = 32
METRICS_MAX = 64
ID_SIZE_BYTES = 20
DIGEST_SIZE_BYTES = 32

ParametersField = Annotated[bytes, Meta(max_length=PARAMETERS_SIZE_BYTES_MAX)]
SplitsField = Annotated[tuple[SplitUse, ...], Meta(min_length=1, max_length=SPLITS_MAX)]
LabelsField = Annotated[tuple[LabelRange, ...], Meta(min_length=1, max_length=SPLITS_MAX)]
DatasetsField = Annotated[tuple[ObjectIdField, ...], Meta(min_length=1, max_length=SPLITS_MAX)]
MetricsField = Annotated[tuple[Metric, ...], Meta(max_length=METRICS_MAX)]
EstimatesField = Annotated[tuple[Estimate, ...], Meta(min_length=1, max_length=METRICS_MAX)]
ThreadsField = Annotated[int, Meta(ge=1, le=65_536)]
ResamplesField = Annotated[int, Meta(ge=0, le=1_000_000)]
VersionTextField = Annotated[str, Meta(min_length=1, max_length=64)]
OptionalIdField = Annotated[bytes, Meta(max_length=ID_SIZE_BYTES)]
OptionalDigestField = Annotated[bytes, Meta(max_length=DIGEST_SIZE_BYTES)]


class CommitPlan(Message, tag="training/commit_plan"):
    """Fix split, threshold, metric and alert budget before the first test label is known."""

    name: NameField
    datasets: DatasetsField
    """What models may be trained on, each once."""
    split: SplitPlan
    test_digest: OptionalDigestField
    """Digest of the committed dataset that is tested on; empty where it does not exist yet."""
    test_row_count: RowField
    """How many rows are tested on; 0 where that is not known yet."""
    threshold_ppm: ScoreField
    metric: NameField
    alert_budget_per_day: CountField

    def validate(self) -> None:
        """Check that each dataset stands once, and the digest's size.

        Raises:
            InvalidMessageError: They do not.
        """
        if len(dict.fromkeys(self.datasets)) != len(self.datasets):
            raise InvalidMessageError("a dataset stands twice in a plan")
        if len(self.test_digest) not in (0, DIGEST_SIZE_BYTES):
            raise InvalidMessageError("the digest of the test dataset has 32 bytes, or none")


class RecordRun(Message, tag="training/record_run"):
    """Record what a model was trained on, with what, and with what result."""

    splits: SplitsField
    code_digest: DigestField
    parameters: ParametersField
    seed: SeedField
    environment_digest: DigestField
    threads: ThreadsField
    metrics: MetricsField
    """Sorted by name, each once."""
    model_digest: DigestField
    library: NameField
    library_version: VersionTextField
    plan: OptionalIdField = b""
    """The plan under which the run was made; empty: there is none."""

    def validate(self) -> None:
        """Check the splits' ranges, the order of the metrics and the plan's id.

        Raises:
            InvalidMessageError: A range is empty, or the metrics are not sorted by name, each once,
                or the plan's id is none.
        """
        for split in self.splits:
            if split.first_row >= split.end_row:
                raise InvalidMessageError("the rows of a split are a range that is not empty")
        _check_names([metric.name for metric in self.metrics])
        if len(self.plan) not in (0, ID_SIZE_BYTES):
            raise InvalidMessageError("the id of a plan has 20 bytes, or none")


class RecordEvaluation(Message, tag="training/record_evaluation"):
    """Record how the model of a run does on labels that came on the ledger after a plan."""

    run: ObjectIdField
    plan: ObjectIdField
    labels: LabelsField
    """Where the test labels are; ranges of one source do not overlap."""
    positive_count: RowField
    threshold_ppm: ScoreField
    metrics: EstimatesField
    """Sorted by name, each once."""
    confidence_ppm: ScoreField
    resample_count: ResamplesField
    seed: SeedField
    report_digest: OptionalDigestField = b""

    def validate(self) -> None:
        """Check ranges, sources, positives and bounds.

        Raises:
            InvalidMessageError: A range is empty or overlaps another, a source is no id, there are
                more positives than rows, the metrics are not sorted by name, each once, a lower
                bound is above the upper one, or the report's digest has another size.
        """
        for label in self.labels:
            if label.first >= label.end:
                raise InvalidMessageError("test labels are a range that is not empty")
            if label.source != OUTCOMES and len(label.source) != ID_SIZE_BYTES:
                raise InvalidMessageError("labels are rows of a dataset, or outcomes")
        ordered = sorted((one.source, one.first, one.end) for one in self.labels)
        for earlier, later in pairwise(ordered):
            if earlier[0] == later[0] and later[1] < earlier[2]:
                raise InvalidMessageError("two ranges of test labels overlap")
        if self.positive_count > sum(one.end - one.first for one in self.labels):
            raise InvalidMessageError("there are more positives than rows")
        _check_names([metric.name for metric in self.metrics])
        if any(metric.lower_ppm > metric.upper_ppm for metric in self.metrics):
            raise InvalidMessageError("a lower confidence bound is above the upper one")
        if len(self.report_digest) not in (0, DIGEST_SIZE_BYTES):
            raise InvalidMessageError("the digest of a report has 32 bytes, or none")


def _check_names(names: list[str]) -> None:
    if names != sorted(dict.fromkeys(names)):
        raise InvalidMessageError("metrics are sorted by name, each once")
