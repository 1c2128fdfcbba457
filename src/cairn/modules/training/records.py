"""Rows and series of the training runs."""

from typing import Annotated

from msgspec import Meta

from cairn.ledger.records import NameField, ObjectIdField, Series, Table
from cairn.primitives.encoding import Record
from cairn.primitives.hashes import Digest, tagged_hash

DEVELOPER = "developer"
"""Role that records training runs."""
PURPOSE = "training"
"""Purpose under which a run uses datasets."""


RowField = Annotated[int, Meta(ge=0, le=2**53)]
PpmField = Annotated[int, Meta(ge=-(2**63), le=2**63 - 1)]


class SplitUse(Record):
    """The rows `first_row` (counted from 0) up to, but without, `end_row` of a dataset."""

    dataset: ObjectIdField
    split: NameField
    """What they were used for, such as `train`, `validation` or `test`."""
    first_row: RowField
    end_row: RowField


class Metric(Record):
    """One figure of a run's evaluation, in parts per million."""

    name: NameField
    value_ppm: PpmField


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


class RunEntry(Record):
    """Entry of `training/runs`."""

    run: bytes
    developer: bytes
    model_digest: bytes


RUNS: Table[Run] = Table("training", "run", (bytes,), Run)
RUN_ENTRIES: Series[RunEntry] = Series("training", "runs", (), RunEntry)


def parameters_digest(parameters: bytes) -> Digest:
    """Return the digest by which other systems name a run's parameters."""
    return tagged_hash(b"cairn/parameters", parameters)
