"""Training on committed data: the files are checked first, and a record says what made the model.

A run reads files only through their manifests, so it stops when a row differs. A recipe turns the
checked tables into features and labels. The model is trained with a fixed seed and a fixed number
of threads and converted to an exact model; its scores on the test rows give the metrics. The record
holds what somebody needs to do the same again, and `check_reproduced` compares two runs. The same
record gives the same bytes on the same kind of processor with the same packages; another number of
threads or another instruction set may not, which is why the record names them.

Nothing is ever unpickled: what a run leaves is the exact model's canonical bytes and, for reading,
LightGBM's own text.
"""

import hashlib
import importlib.metadata
import json
import platform
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from cairn.exact.models import ExactModel, encode_model
from cairn.exact.scoring import Scorer
from cairn.learning.commitments import SubjectKeys
from cairn.learning.conversion import ConversionReport, convert
from cairn.learning.datasets import Manifest, read_committed
from cairn.learning.errors import TrainingError
from cairn.learning.extras import Untyped, require
from cairn.learning.features import FeatureMatrix
from cairn.learning.metrics import at_budget, average_precision, ppm, roc_auc
from cairn.learning.tables import Table
from cairn.modules.models.records import model_digest
from cairn.primitives.encoding import Record, encode
from cairn.primitives.hashes import Digest, sha256, tagged_hash

RECORD_VERSION = 1
ALERT_SHARES_PPM = (1_000, 5_000, 10_000)
"""Alert budgets, as shares of the test rows, at which precision and recall are recorded."""
REFERENCE_ROWS_MAX = 50_000
"""On how many rows the exact model is compared with its source, spread over the training rows."""
FEATURE_MAX = 2**53
"""Integers up to here are exact as the floats that the training libraries take."""

_CODE_PACKAGES = ("exact", "learning", "primitives")

Labels = NDArray[np.int64]
Parameter = int | float | str | bool | None


class SplitRows(Record):
    """Rows `first_row` up to, but without, `end_row` of a data set, and what they were used for."""

    dataset: int
    """Place of the data set in the run's list."""
    split: str
    first_row: int
    end_row: int


class TrainingRecord(Record):
    """What stood behind a model; canonical, so that its digest can be signed and recorded."""

    version: int
    datasets: tuple[bytes, ...]
    """Digests of the data sets, in the order in which the recipe takes them."""
    splits: tuple[SplitRows, ...]
    recipe: str
    """Name of the recipe."""
    recipe_settings: tuple[tuple[str, int], ...]
    """Its numbers (time limits and the like), sorted by name."""
    code_digest: bytes
    """Digest of the sources of the recipe and of Cairn's exact, learning and primitives."""
    algorithm: str
    parameters: tuple[tuple[str, str], ...]
    """Name and JSON text of each parameter, sorted by name."""
    seed: int
    threads: int
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


@dataclass(frozen=True)
class TrainingSet:
    """What a recipe makes of the data."""

    splits: tuple[SplitRows, ...]

    features: tuple[str, ...]
    train: FeatureMatrix
    train_labels: Labels
    test: FeatureMatrix
    test_labels: Labels


class Recipe(Protocol):
    """How committed tables become features and labels; it must be deterministic."""

    @property
    def name(self) -> str:
        """Return the recipe's name and version."""

    def settings(self) -> Mapping[str, int]:
        """Return the numbers that the outcome depends on."""

    def sources(self) -> Sequence[Path]:
        """Return the source files that define the recipe."""

    def build(self, tables: Sequence[Table]) -> TrainingSet:
        """Return features and labels of the checked tables."""


@dataclass(frozen=True)
class TrainingSettings:
    """How to train."""

    algorithm: str = "lightgbm"
    """`lightgbm`, `random_forest` or `logistic`."""
    parameters: Mapping[str, Parameter] = field(default_factory=dict)
    """What to set differently from `DEFAULT_PARAMETERS` of the algorithm."""
    seed: int = 1
    threads: int = 1


@dataclass(frozen=True)
class TrainedModel:
    """A model with what it was converted from and how it does."""

    model: ExactModel
    model_bytes: bytes
    conversion: ConversionReport
    source_text: str
    """LightGBM's text form of the model; empty for the other algorithms."""
    test_scores_ppm: NDArray[np.int64]
    """The exact model's scores of the test rows."""
    parameters: Mapping[str, Parameter]
    """All parameters, defaults included."""


@dataclass(frozen=True)
class TrainingRun:
    """A finished run on committed data."""

    record: TrainingRecord
    trained: TrainedModel


LIBRARIES = {
    "lightgbm": "lightgbm",
    "random_forest": "scikit-learn",
    "logistic": "scikit-learn",
}

DEFAULT_PARAMETERS: Mapping[str, Mapping[str, Parameter]] = {
    "lightgbm": {
        "num_iterations": 100,
        "num_leaves": 31,
        "max_depth": 6,
        "learning_rate": 0.05,
        "min_data_in_leaf": 50,
        "feature_fraction": 0.6,
    },
    "random_forest": {"n_estimators": 100, "max_depth": 12, "min_samples_leaf": 5},
    "logistic": {"C": 1.0, "max_iter": 1000},
}


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
        seed=settings.seed,
        threads=settings.threads,
        platform=_platform(),
        environment=packages,
        environment_digest=environment_digest(packages),
        features=prepared.features,
        train_rows=len(prepared.train),
        train_positives=int(prepared.train_labels.sum()),
        test_rows=len(prepared.test),
        test_positives=int(prepared.test_labels.sum()),
        metrics=tuple(sorted(metrics_of(prepared.test_labels, trained.test_scores_ppm).items())),
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
    _check_set(prepared)
    parameters = {**_defaults(settings.algorithm), **settings.parameters}
    fitted, source_text = fit(prepared, settings, parameters)
    model, report = convert(fitted, prepared.features, _reference_rows(prepared))
    # The NumPy path: it gives the same bits as the compiled one and needs no compilation.
    _, scores = Scorer(model, kernel="numpy").score(prepared.test)
    return TrainedModel(model, encode_model(model), report, source_text, scores, parameters)


def parameter_bytes(record: TrainingRecord) -> bytes:
    """Return all settings of a run as the canonical bytes that the ledger's record of it holds."""
    return encode((record.recipe, record.recipe_settings, record.algorithm, record.parameters))


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


# --- fitting -------------------------------------------------------------------------------------


def fit(
    prepared: TrainingSet, settings: TrainingSettings, parameters: Mapping[str, Parameter]
) -> tuple[Untyped, str]:
    """Return the fitted model of the library and its text form.

    Raises:
        TrainingError: The library refuses a parameter.
    """
    fitters = {
        "lightgbm": _fit_lightgbm,
        "random_forest": _fit_random_forest,
        "logistic": _fit_logistic,
    }
    return fitters[settings.algorithm](prepared, settings, parameters)


def _reference_rows(prepared: TrainingSet) -> NDArray[np.float64]:
    """Return training rows, evenly spread and with each feature's extremes, for the conversion."""
    count = len(prepared.train)
    step = -(-count // REFERENCE_ROWS_MAX)
    picked = [np.arange(0, count, step), prepared.train.argmin(0), prepared.train.argmax(0)]
    rows: FeatureMatrix = prepared.train[np.unique(np.concatenate(picked))]
    return rows.astype(np.float64)


def _fit_lightgbm(
    prepared: TrainingSet, settings: TrainingSettings, parameters: Mapping[str, Parameter]
) -> tuple[Untyped, str]:
    lightgbm = require("lightgbm")
    fixed: dict[str, Parameter] = {
        "objective": "binary",
        "deterministic": True,
        "force_row_wise": True,
        "num_threads": settings.threads,
        "seed": settings.seed,
        "verbosity": -1,
    }
    _check_free(parameters, fixed)
    data = lightgbm.Dataset(
        prepared.train.astype(np.float64),
        prepared.train_labels,
        feature_name=list(prepared.features),
        params={"verbosity": -1},
    )
    try:
        booster = lightgbm.train({**parameters, **fixed}, data)
    except (lightgbm.basic.LightGBMError, ValueError, TypeError) as error:
        raise TrainingError(f"LightGBM refused: {error}", "see the parameters") from error
    return booster, str(booster.model_to_string())


def _fit_random_forest(
    prepared: TrainingSet, settings: TrainingSettings, parameters: Mapping[str, Parameter]
) -> tuple[Untyped, str]:
    ensemble = require("sklearn.ensemble")
    fixed: dict[str, Parameter] = {"random_state": settings.seed, "n_jobs": settings.threads}
    _check_free(parameters, fixed)
    try:
        forest = ensemble.RandomForestClassifier(**parameters, **fixed)
        forest.fit(prepared.train.astype(np.float64), prepared.train_labels)
    except (ValueError, TypeError) as error:
        raise TrainingError(f"scikit-learn refused: {error}", "see the parameters") from error
    return forest, ""


def _fit_logistic(
    prepared: TrainingSet, settings: TrainingSettings, parameters: Mapping[str, Parameter]
) -> tuple[Untyped, str]:
    linear, pipeline = require("sklearn.linear_model"), require("sklearn.pipeline")
    preprocessing = require("sklearn.preprocessing")
    fixed: dict[str, Parameter] = {"random_state": settings.seed}
    _check_free(parameters, fixed)
    try:
        chain = pipeline.make_pipeline(
            preprocessing.StandardScaler(), linear.LogisticRegression(**parameters, **fixed)
        )
        chain.fit(prepared.train.astype(np.float64), prepared.train_labels)
    except (ValueError, TypeError) as error:
        raise TrainingError(f"scikit-learn refused: {error}", "see the parameters") from error
    return chain, ""


def _defaults(algorithm: str) -> Mapping[str, Parameter]:
    """Return the parameters that an algorithm starts from."""
    if algorithm not in DEFAULT_PARAMETERS:
        raise TrainingError(
            f"unknown algorithm {algorithm!r}", f"one of {', '.join(DEFAULT_PARAMETERS)}"
        )
    return DEFAULT_PARAMETERS[algorithm]


def _check_free(parameters: Mapping[str, Parameter], fixed: Mapping[str, Parameter]) -> None:
    """Check that no parameter sets what the run itself sets."""
    for name in fixed:
        if name in parameters:
            raise TrainingError(
                f"the parameter {name!r} is set by the run", "use its seed and threads"
            )


def _check_set(prepared: TrainingSet) -> None:
    """Check shapes, classes and ranges of what a recipe made.

    Raises:
        TrainingError: They do not fit together.
    """
    width = len(prepared.features)
    for word, rows, labels in (
        ("training", prepared.train, prepared.train_labels),
        ("test", prepared.test, prepared.test_labels),
    ):
        if rows.ndim != 2 or rows.shape != (len(labels), width):
            raise TrainingError(f"the {word} rows do not fit the labels or the feature names")
        if not 0 < int(labels.sum()) < len(labels):
            raise TrainingError(
                f"the {word} rows hold {int(labels.sum())} positives of {len(labels)}",
                "both classes are needed; take a longer period",
            )
        if int(np.abs(rows).max(initial=0)) > FEATURE_MAX:
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
