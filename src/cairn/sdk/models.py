"""Models and runs on the ledger: upload, register, record, and which version is live."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from cairn.learning.replay import train_in_child
from cairn.learning.training import (
    CommittedFile,
    Recipe,
    TrainedModel,
    TrainingRecord,
    TrainingRun,
    TrainingSettings,
    parameter_bytes,
    record_digest,
    run_training,
)
from cairn.modules.models.events import VersionRegistered
from cairn.modules.models.messages import RegisterVersion, SealModel, UploadChunk
from cairn.modules.models.records import (
    CHUNK_COUNT_MAX,
    CHUNK_SIZE_BYTES_MAX,
    CHUNKS,
    SEALED,
    model_digest,
)
from cairn.modules.training.events import RunRecorded
from cairn.modules.training.messages import RecordRun
from cairn.modules.training.records import Metric, SplitUse
from cairn.primitives.encoding import Decoder, NonCanonicalError, encode
from cairn.primitives.hashes import sha256
from cairn.sdk.client import Client
from cairn.sdk.datasets import find_registered
from cairn.sdk.errors import UsageError
from cairn.sdk.workspace import write_file

MODEL_FILE = "model.cairn"
RECORD_FILE = "record.cairn"
CARD_FILE = "card.json"
SOURCE_FILE = "source.txt"
NAME_CHARACTERS = frozenset("abcdefghijklmnopqrstuvwxyz0123456789._-")
_records: Decoder[TrainingRecord] = Decoder(TrainingRecord)


@dataclass(frozen=True, slots=True)
class RunFolder:
    """What a training run left: the exact model, the record of how, and a card for people."""

    directory: Path

    def model(self) -> bytes:
        """Return the exact model's bytes.

        Raises:
            UsageError: The file is missing.
        """
        return _read(self.directory / MODEL_FILE)

    def record(self) -> TrainingRecord:
        """Return the record of the run.

        Raises:
            UsageError: The file is missing or damaged.
        """
        path = self.directory / RECORD_FILE
        try:
            return _records.decode(_read(path))
        except NonCanonicalError as error:
            raise UsageError(f"{path} is damaged: {error}") from error

    def card_digest(self) -> bytes:
        """Return the digest by which a registered version names its card.

        Raises:
            UsageError: The file is missing.
        """
        return sha256(_read(self.directory / CARD_FILE))


def train(
    files: Sequence[CommittedFile],
    recipe: Recipe,
    settings: TrainingSettings,
    output: Path,
    *,
    in_child: bool = False,
) -> tuple[RunFolder, TrainingRun]:
    """Train on committed files, and write what came of it into a new folder.

    Args:
        files: In the order in which the recipe takes them.
        recipe: How the tables become features and labels.
        settings: How to train.
        output: A folder that is not there yet.
        in_child: Train in a process of its own that has the stated number of threads from its
            start, so that the record's environment is what it was; else in this one.

    Raises:
        LearningError: As `run_training`; nothing is written then.
        UsageError: The folder is there already, or cannot be written.
    """
    if output.exists():
        raise UsageError(f"{output} exists", "choose another folder; a run is never overwritten")
    start = train_in_child if in_child else run_training
    run = start(files, recipe, settings)
    return save_run(run, output), run


def save_run(run: TrainingRun, directory: Path) -> RunFolder:
    """Write what came of a run into a folder; the record comes last.

    Raises:
        UsageError: A file cannot be written.
    """
    card = json.dumps(_card(run.record, run.trained), indent=2) + "\n"
    write_file(directory / MODEL_FILE, run.trained.model_bytes, mode=0o644)
    write_file(directory / CARD_FILE, card.encode(), mode=0o644)
    if run.trained.source_text:
        write_file(directory / SOURCE_FILE, run.trained.source_text.encode(), mode=0o644)
    write_file(directory / RECORD_FILE, encode(run.record), mode=0o644)
    return RunFolder(directory)


def record_run(
    client: Client, record: TrainingRecord, files: Sequence[CommittedFile], *, plan: bytes = b""
) -> bytes:
    """Put a run on record as the acting developer's; return its id.

    Args:
        client: Acts for a developer.
        record: What stood behind the model.
        files: The data sets of the run, in its order; their manifests are needed alone.
        plan: Id of the plan under which the run was made; empty for none.

    Raises:
        NotFoundError: A data set is not registered.
        RejectedError: The ledger refuses it.
    """
    datasets = [find_registered(client, file.manifest)[0] for file in files]
    message = RecordRun(
        splits=tuple(
            SplitUse(datasets[one.dataset], one.split, one.first_row, one.end_row)
            for one in record.splits
        ),
        code_digest=record.code_digest,
        parameters=parameter_bytes(record),
        seed=record.seed,
        environment_digest=record.environment_digest,
        threads=record.threads,
        metrics=tuple(Metric(slug(name), value) for name, value in record.metrics),
        model_digest=record.model_digest,
        library=slug(record.library),
        library_version=record.library_version,
        plan=plan,
    )
    return client.submit(message).event(RunRecorded).run


def upload_model(client: Client, raw: bytes) -> bytes:
    """Upload a model's bytes in chunks and seal them, unless that was done; return the digest.

    An upload that broke off goes on where it was.

    Raises:
        RejectedError: The ledger refuses it, for one because the bytes are no exact model.
        UsageError: It is larger than any ledger takes.
    """
    digest = model_digest(raw)
    if client.get(SEALED, digest) is not None:
        return digest
    starts = range(0, len(raw), CHUNK_SIZE_BYTES_MAX)
    if not raw or len(starts) > CHUNK_COUNT_MAX:
        raise UsageError(f"a model of {len(raw):,} bytes cannot be uploaded", "train a smaller one")
    chunks = [
        UploadChunk(digest, index, len(starts), raw[start : start + CHUNK_SIZE_BYTES_MAX])
        for index, start in enumerate(starts)
        if client.get(CHUNKS, client.account, digest, index) is None
    ]
    for final in client.submit_many([[chunk] for chunk in chunks]):
        final.check()
    client.submit(SealModel(digest, len(raw)))
    return digest


def register_version(
    client: Client, name: str, *, run: bytes, digest: bytes, card_digest: bytes
) -> VersionRegistered:
    """Register a sealed model as the next version of a name.

    Raises:
        RejectedError: The ledger refuses it.
    """
    return client.submit(RegisterVersion(name, run, digest, card_digest)).event(VersionRegistered)


def slug(text: str) -> str:
    """Return a name in the ledger's alphabet for what a library calls something.

    >>> slug("ROC AUC@10")
    'roc-auc-10'
    """
    return "".join(c if c in NAME_CHARACTERS else "-" for c in text.lower())[:64]


def _card(record: TrainingRecord, trained: TrainedModel) -> dict[str, object]:
    """Return what people should know of a model."""
    platt = trained.calibration
    return {
        "format": "cairn-model-card/1",
        "model_digest": record.model_digest.hex(),
        "training_record": record_digest(record).hex(),
        "recipe": record.recipe,
        "algorithm": record.algorithm,
        "library": f"{record.library} {record.library_version}",
        "parameters": {name: json.loads(text) for name, text in record.parameters},
        "seed": record.seed,
        "threads": record.threads,
        "platform": record.platform,
        "data_sets": [digest.hex() for digest in record.datasets],
        "rows": {
            "train": record.train_rows,
            "train_positives": record.train_positives,
            "test": record.test_rows,
            "test_positives": record.test_positives,
        },
        "features": list(record.features),
        "metrics_ppm": dict(record.metrics),
        "calibration": record.calibration
        if platt is None
        else f"platt: sigmoid({platt.slope:.6g} * raw + {platt.offset:.6g})",
        "core_type": record.core_type,
        "conversion": trained.conversion.summary(),
    }


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise UsageError(
            f"{path} cannot be read: {error.strerror}", "give the folder of `cairn training run`"
        ) from error
