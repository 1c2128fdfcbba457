"""The command that puts a training run on record."""

from typing import Annotated

from msgspec import Meta

from cairn.ledger.errors import InvalidMessageError
from cairn.ledger.messages import Message
from cairn.ledger.records import DigestField, NameField
from cairn.modules.training.records import Metric, SplitUse

PARAMETERS_SIZE_BYTES_MAX = 4_096
SPLITS_MAX = 32
METRICS_MAX = 64

ParametersField = Annotated[bytes, Meta(max_length=PARAMETERS_SIZE_BYTES_MAX)]
SplitsField = Annotated[tuple[SplitUse, ...], Meta(min_length=1, max_length=SPLITS_MAX)]
MetricsField = Annotated[tuple[Metric, ...], Meta(max_length=METRICS_MAX)]
ThreadsField = Annotated[int, Meta(ge=1, le=65_536)]
SeedField = Annotated[int, Meta(ge=0, le=2**63 - 1)]
VersionTextField = Annotated[str, Meta(min_length=1, max_length=64)]


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

    def validate(self) -> None:
        """Check the splits' ranges and the order of the metrics.

        Raises:
            InvalidMessageError: A range is empty, or the metrics are not sorted by name, each once.
        """
        for split in self.splits:
            if split.first_row >= split.end_row:
                raise InvalidMessageError("the rows of a split are a range that is not empty")
        names = [metric.name for metric in self.metrics]
        if names != sorted(dict.fromkeys(names)):
            raise InvalidMessageError("metrics are sorted by name, each once")
