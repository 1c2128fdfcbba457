"""Training on committed data: the files are checked first, and a record says what made the model.

A run reads files only through their manifests, so it stops when a row differs. A recipe turns the
checked tables into features and labels. The model is trained with a fixed seed and a fixed number
of threads and converted to an exact model; its scores on the test rows give the metrics, if the
files hold any: under a plan the test rows come later, and are evaluated by `evaluation`. The record
holds what somebody needs to do the same again, and `replay` does. The same record gives the same
bytes on the same kind of processor with the same packages; another number of threads or another
kind of core may not, which is why the record names them.

Nothing is ever unpickled: what a run leaves is the exact model's canonical bytes and, for reading,
LightGBM's own text.
"""

import hashlib
import importlib.metadata
import json
import platform
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from cairn.exact.models import ExactModel, encode_model
from cairn.exact.scoring import Scorer
from cairn.learning.calibration import Platt, fit_platt, fold
from cairn.learning.commitments import SubjectKeys
from cairn.learning.conversion.report import ConversionReport
from cairn.learning.datasets import Manifest, read_committed
from cairn.learning.errors import MissingExtraError, TrainingError
from cairn.learning.extras import require
from cairn.learning.fitting import FEATURE_MAX as FEATURE_MAX
from cairn.learning.fitting import LIBRARIES, Fit, Labels, Matrix, Parameter, exact_rows, fit_exact
from cairn.learning.fitting import SplitRows as SplitRows
from cairn.learning.fitting import TrainingSet as TrainingSet
from cairn.learning.fitting import TrainingSettings as TrainingSettings
from cairn.learning.metrics import at_budget, average_precision, ppm, roc_auc
from cairn.learning.tables import Table
from cairn.modules.models.records import model_digest
from cairn.primitives.encoding import Record, encode
from cairn.primitives.fixed import RAW_BITS
from cairn.primitives.hashes import Digest, sha256, tagged_hash

RECORD_VERSION = 2
ALERT_SHARES_PPM = (1_000, 5_000, 10_000)
"""Alert budgets, as shares of the test rows, at which precision and recall are recorded."""
VALIDATION_SPLIT = "validation"
"""What the rows are called that a model is calibrated on."""

_CODE_PACKAGES = ("exact", "learning", "primitives")

Setting = int | str
"""A number or a name that a recipe's outcome depends on."""


class TrainingRecord(Record):
    """What stood behind a model; canonical, so that its digest can be signed and recorded."""

    version: int
    datasets: tuple[bytes, ...]
    """Digests of the data sets, in the order in which the recipe takes them."""
    splits: tuple[SplitRows, ...]
    recipe: str
    """Name of the recipe."""
    recipe_settings: tuple[tuple[str, Setting], ...]
    """Its numbers and names (time limits, the label), sorted by name."""
    code_digest: bytes
    """Digest of the sources of the recipe and of Cairn's exact, learning and primitives."""
    algorithm: str
    parameters: tuple[tuple[str, str], ...]
    """Name and JSON text of each parameter, sorted by name."""
    calibration: str
    """`platt`, or `none`."""
    seed: int
    threads: int
    core_type: str
    """Kinds of core that the linear algebra libraries were made for, as they say themselves."""
    platform: str
    """Python version, system and processor: floats differ between them."""
    environment: tuple[tuple[str, str], ...]
    """Name and version of every installed package, sorted by name."""
    environment_digest: bytes
    features: tuple[str, ...]
    train_rows: int
    train_positives: int
    test_rows: int
    test_positives: int
    metrics: tuple[tuple[str, int], ...]
    """Name and parts per million, sorted by name, of the exact model's scores on the test rows."""
    source_digest: bytes
    """SHA-256 of the trained model's own text form; empty where it has none."""
    model_digest: bytes
    """Digest of the exact model's bytes, as the ledger names the model."""
    library: str
    """The library that trained the model; its version is in `environment` too."""
    library_version: str


def record_digest(record: TrainingRecord) -> Digest:
    """Return the digest that stands for a run."""
    return tagged_hash(b"cairn/training", encode(record))


@dataclass(frozen=True)
class CommittedFile:
    """A data file with what is needed to check it."""

    path: Path
    manifest: Manifest
    keys: SubjectKeys

    def read(self) -> Table:
        """Return its rows.

        Raises:
            ChangedDataError: The file is not the committed one; the message names the rows.
            DatasetError: It cannot be read by its schema.
        """
        return read_committed(self.path, self.manifest, self.keys)


class Recipe(Protocol):
    """How committed tables become features and labels; it must be deterministic."""

    @property
    def name(self) -> str:
        """Return the recipe's name and version."""

    def settings(self) -> Mapping[str, Setting]:
        """Return the numbers and names that the outcome depends on."""

    def sources(self) -> Sequence[Path]:
        """Return the source files that define the recipe."""

    def build(self, tables: Sequence[Table]) -> TrainingSet:
        """Return features and labels of the checked tables."""


@dataclass(frozen=True)
class TrainedModel:
    """A model with what it was converted from and how it does."""

    model: ExactModel
    model_bytes: bytes
    conversion: ConversionReport
    source_text: str
    """LightGBM's text form of the model; empty for the other algorithms."""
    test_scores_ppm: NDArray[np.int64]
    """The exact model's scores of the test rows; none where the set has no test rows."""
    parameters: Mapping[str, Parameter]
    """All parameters, defaults included."""
    calibration: Platt | None = None
    """What was folded into the model, if it was calibrated."""


@dataclass(frozen=True)
class TrainingRun:
    """A finished run on committed data."""

    record: TrainingRecord
    trained: TrainedModel


def run_training(
    files: Sequence[CommittedFile], recipe: Recipe, settings: TrainingSettings
) -> TrainingRun:
    """Return a model trained on committed `files`, with the record of how.

    Raises:
        ChangedDataError: A file is not the committed one; nothing was trained.
        DatasetError: A file cannot be read by its schema.
        TrainingError: Unknown algorithm or parameter, or features and labels do not fit together.
        MissingExtraError: The machine-learning extra is not installed.
    """
    prepared = recipe.build([file.read() for file in files])
    trained = train_model(prepared, settings)
    library = LIBRARIES[settings.algorithm]
    packages = environment()
    record = TrainingRecord(
        version=RECORD_VERSION,
        datasets=tuple(file.manifest.digest for file in files),
        splits=prepared.splits,
        recipe=recipe.name,
        recipe_settings=tuple(sorted(recipe.settings().items())),
        code_digest=code_digest(recipe.sources()),
        algorithm=settings.algorithm,
        parameters=tuple(
            sorted((name, json.dumps(value)) for name, value in trained.parameters.items())
        ),
        calibration=settings.calibration,
        seed=settings.seed,
        threads=settings.threads,
        core_type=core_type(),
        platform=_platform(),
        environment=packages,
        environment_digest=environment_digest(packages),
        features=prepared.names,
        train_rows=len(prepared.train),
        train_positives=int(prepared.train_labels.sum()),
        test_rows=len(prepared.test),
        test_positives=int(prepared.test_labels.sum()),
        metrics=_metrics(prepared, trained),
        source_digest=sha256(trained.source_text.encode()) if trained.source_text else b"",
        model_digest=model_digest(trained.model_bytes),
        library=library,
        library_version=importlib.metadata.version(library),
    )
    return TrainingRun(record, trained)


def train_model(prepared: TrainingSet, settings: TrainingSettings) -> TrainedModel:
    """Return a model trained on rows in memory, without a record.

    Raises:
        TrainingError: Unknown algorithm or parameter, or features and labels do not fit together.
        ConversionError: The trained model has no exact form, or breaks a limit.
        MissingExtraError: The machine-learning extra is not installed.
    """
    check_set(prepared)
    made = fit_exact(prepared, settings)
    platt = None
    if settings.calibration != "none":
        platt = _platt(made, prepared)
        made = made.with_model(fold(made.model, platt))
    return TrainedModel(
        model=made.model,
        model_bytes=encode_model(made.model),
        conversion=made.report,
        source_text=made.source_text,
        test_scores_ppm=score_rows(made.model, prepared.test),
        parameters=made.parameters,
        calibration=platt,
    )


def score_rows(model: ExactModel, rows: Matrix) -> NDArray[np.int64]:
    """Return the exact model's scores of rows as a recipe makes them, in parts per million."""
    if not len(rows):
        return np.empty(0, np.int64)
    # The NumPy path: it gives the same bits as the compiled one and needs no compilation.
    scores: NDArray[np.int64] = Scorer(model, kernel="numpy").score(exact_rows(model, rows))[1]
    return scores


def _platt(made: Fit, prepared: TrainingSet) -> Platt:
    if prepared.validation is None or prepared.validation_labels is None:
        raise TrainingError(
            "calibration needs rows that the model was not trained on",
            "give the recipe a validation share, or calibrate with `none`",
        )
    scorer = Scorer(made.model, kernel="numpy")
    raw, _ = scorer.score(exact_rows(made.model, prepared.validation))
    return fit_platt(prepared.validation_labels, raw / 2.0**RAW_BITS)


def _metrics(prepared: TrainingSet, trained: TrainedModel) -> tuple[tuple[str, int], ...]:
    if not len(prepared.test):
        return ()
    return tuple(sorted(metrics_of(prepared.test_labels, trained.test_scores_ppm).items()))


def parameter_bytes(record: TrainingRecord) -> bytes:
    """Return all settings of a run as the canonical bytes that the ledger's record of it holds."""
    return encode(
        (
            record.recipe,
            record.recipe_settings,
            record.algorithm,
            record.parameters,
            record.calibration,
            record.core_type,
            record.platform,
        )
    )


def check_reproduced(first: TrainingRecord, second: TrainingRecord) -> None:
    """Check that two runs were of the same inputs and gave the same model.

    Raises:
        TrainingError: It names every field in which they differ, inputs before outcomes.
    """
    names = list(TrainingRecord.__annotations__)
    differing = [name for name in names if getattr(first, name) != getattr(second, name)]
    if differing:
        raise TrainingError(
            f"the runs differ in: {', '.join(differing)}",
            "train again with the recorded data, code, packages, seed and threads",
        )


def metrics_of(labels: Labels, scores: NDArray[np.int64]) -> dict[str, int]:
    """Return the metrics of scores on test rows, in parts per million."""
    metrics = {
        "average_precision": ppm(average_precision(labels, scores)),
        "roc_auc": ppm(roc_auc(labels, scores)),
    }
    for share in ALERT_SHARES_PPM:
        quality = at_budget(labels, scores, len(labels) * share // 1_000_000)
        metrics[f"precision_at_{share}ppm_alerts"] = ppm(quality.precision)
        metrics[f"recall_at_{share}ppm_alerts"] = ppm(quality.recall)
    return metrics


def check_set(prepared: TrainingSet) -> None:
    """Check shapes, classes and ranges of what a recipe made.

    Raises:
        TrainingError: They do not fit together.
    """
    parts: list[tuple[str, Matrix | None, Labels | None]] = [
        ("training", prepared.train, prepared.train_labels),
        (VALIDATION_SPLIT, prepared.validation, prepared.validation_labels),
        ("test", prepared.test, prepared.test_labels),
    ]
    for word, rows, labels in parts:
        if rows is None or labels is None or (word == "test" and not len(rows)):
            continue
        if rows.ndim != 2 or rows.shape != (len(labels), len(prepared.features)):
            raise TrainingError(f"the {word} rows do not fit the labels or the feature names")
        if not 0 < int(labels.sum()) < len(labels):
            raise TrainingError(
                f"the {word} rows hold {int(labels.sum())} positives of {len(labels)}",
                "both classes are needed; take a longer period",
            )
        if rows.dtype.kind == "i" and int(np.abs(rows).max(initial=0)) > FEATURE_MAX:
            raise TrainingError(f"a feature of the {word} rows is beyond 2^53")


# --- what the record says about code and environment ---------------------------------------------


def code_digest(recipe_sources: Sequence[Path]) -> Digest:
    """Return the digest of the sources that a run depends on: Cairn's own and the recipe's.

    The parts are name and SHA-256 of each file, sorted by name within each group, so that the place
    of the installation does not matter.
    """
    root = Path(__file__).parent.parent
    own = sorted(path for package in _CODE_PACKAGES for path in (root / package).rglob("*.py"))
    parts = [part for path in own for part in _named_digest(path.relative_to(root), path)]
    for path in sorted(recipe_sources):
        parts += _named_digest(Path(path.name), path)
    return tagged_hash(b"cairn/code", *parts)


def _named_digest(name: Path, path: Path) -> list[bytes]:
    return [name.as_posix().encode(), hashlib.sha256(path.read_bytes()).digest()]


def environment() -> tuple[tuple[str, str], ...]:
    """Return name and version of every installed package, sorted, as a lock."""
    found = {}
    for distribution in importlib.metadata.distributions():
        name = distribution.metadata["Name"]
        if name:
            found[re.sub(r"[-_.]+", "-", name).lower()] = distribution.version
    return tuple(sorted(found.items()))


def environment_digest(packages: Sequence[tuple[str, str]]) -> Digest:
    """Return the digest of a list of packages, over `name==version` lines."""
    lines = "".join(f"{name}=={version}\n" for name, version in packages)
    return tagged_hash(b"cairn/environment", lines.encode())


def _platform() -> str:
    return f"Python {platform.python_version()} {platform.system()} {platform.machine()}"


def core_type() -> str:
    """Return for which kinds of core the loaded linear algebra libraries were made.

    The libraries choose at their start; the variable `OPENBLAS_CORETYPE` makes them choose another.
    Empty where none of them says.
    """
    try:
        found = require("threadpoolctl").threadpool_info()
    except MissingExtraError:
        return ""
    names = [
        f"{one['internal_api']}:{one['architecture']}" for one in found if "architecture" in one
    ]
    return " ".join(sorted(dict.fromkeys(names)))
