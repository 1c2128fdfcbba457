"""A training run: it refuses changed data, records what it did, and can be repeated bit for bit."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pytest

from cairn.exact.models import decode_model
from cairn.exact.reference import score_one_pure
from cairn.learning.commitments import SubjectKeys
from cairn.learning.datasets import commit_file
from cairn.learning.errors import ChangedDataError, TrainingError
from cairn.learning.schemas import Column, Kind, Schema
from cairn.learning.tables import Table, Value, write_table
from cairn.learning.training import (
    CommittedFile,
    SplitRows,
    TrainingRecord,
    TrainingRun,
    TrainingSet,
    TrainingSettings,
    check_reproduced,
    code_digest,
    environment,
    environment_digest,
    metrics_of,
    parameter_bytes,
    record_digest,
    run_training,
    train_model,
)
from cairn.modules.models.records import model_digest
from cairn.primitives.encoding import Decoder, encode

SCHEMA = Schema(
    (
        Column("a", Kind.INTEGER),
        Column("b", Kind.INTEGER),
        Column("label", Kind.BOOLEAN),
    )
)
ROW_COUNT = 600
SMALL: Mapping[str, Mapping[str, int | float]] = {
    "lightgbm": {"num_iterations": 10},
    "random_forest": {"n_estimators": 5, "max_depth": 4},
    "logistic": {},
}


@dataclass(frozen=True)
class HalfRecipe:
    """Train on the first half of the rows, test on the second."""

    name: str = "tests/half"

    def settings(self) -> Mapping[str, int]:
        return {"share_ppm": 500_000}

    def sources(self) -> Sequence[Path]:
        return [Path(__file__)]

    def build(self, tables: Sequence[Table]) -> TrainingSet:
        (table,) = tables
        rows = np.array([table.column("a"), table.column("b")], np.int64).T
        labels = np.array(table.column("label"), np.int64)
        half = len(rows) // 2
        return TrainingSet(
            splits=(SplitRows(0, "train", 0, half), SplitRows(0, "test", half, len(rows))),
            features=("a", "b"),
            train=rows[:half],
            train_labels=labels[:half],
            test=rows[half:],
            test_labels=labels[half:],
        )


def columns() -> list[list[Value]]:
    rng = np.random.default_rng(7)
    rows = rng.integers(-1_000, 1_000, (ROW_COUNT, 2))
    labels = rows[:, 0] + rows[:, 1] + rng.integers(-300, 300, ROW_COUNT) > 600
    return [rows[:, 0].tolist(), rows[:, 1].tolist(), labels.tolist()]


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> CommittedFile:
    path = tmp_path_factory.mktemp("training") / "data.parquet"
    write_table(path, Table(SCHEMA, tuple(columns()), ROW_COUNT))
    keys = SubjectKeys()
    return CommittedFile(path, commit_file(path, SCHEMA, keys), keys)


def run(data: CommittedFile, algorithm: str = "lightgbm", seed: int = 3) -> TrainingRun:
    settings = TrainingSettings(algorithm, SMALL[algorithm], seed=seed)
    return run_training([data], HalfRecipe(), settings)


@pytest.mark.parametrize("algorithm", ["lightgbm", "random_forest", "logistic"])
def test_the_same_run_gives_the_same_record(data: CommittedFile, algorithm: str) -> None:
    first, second = run(data, algorithm), run(data, algorithm)
    check_reproduced(first.record, second.record)
    assert first.trained.model_bytes == second.trained.model_bytes
    assert record_digest(first.record) == record_digest(second.record)
    assert dict(first.record.metrics)["roc_auc"] > 900_000


def test_the_record_says_what_stood_behind_the_model(data: CommittedFile) -> None:
    made = run(data)
    record = made.record
    assert record.datasets == (data.manifest.digest,)
    assert record.splits == (SplitRows(0, "train", 0, 300), SplitRows(0, "test", 300, 600))
    assert record.code_digest == code_digest([Path(__file__)])
    assert record.model_digest == model_digest(made.trained.model_bytes)
    assert (record.seed, record.threads, record.features) == (3, 1, ("a", "b"))
    assert ("num_iterations", "10") in record.parameters
    assert ("max_depth", "6") in record.parameters
    assert ("lightgbm", record.library_version) in record.environment
    assert record.environment_digest == environment_digest(environment())
    assert (record.train_rows, record.test_rows) == (300, 300)
    assert record.test_positives == sum(map(bool, columns()[2][300:]))
    names = [name for name, _ in record.metrics]
    assert names == sorted(names)
    assert "tree_sizes" in made.trained.source_text
    decoder: Decoder[TrainingRecord] = Decoder(TrainingRecord)
    assert decoder.decode(encode(record)) == record
    assert len(parameter_bytes(record)) < 4_096


def test_the_metrics_are_those_of_the_exact_model(data: CommittedFile) -> None:
    made = run(data)
    model = decode_model(made.trained.model_bytes)
    table = data.read()
    rows = zip(table.column("a")[300:], table.column("b")[300:], strict=True)
    scores = [score_one_pure(model, (int(a or 0), int(b or 0)))[1] for a, b in rows]
    assert made.trained.test_scores_ppm.tolist() == scores
    labels = np.array(table.column("label")[300:], np.int64)
    assert dict(made.record.metrics) == metrics_of(labels, np.array(scores))


def test_another_seed_is_named_as_the_difference(data: CommittedFile) -> None:
    first = run(data, "random_forest", seed=1)
    second = run(data, "random_forest", seed=2)
    with pytest.raises(TrainingError, match=r"the runs differ in: seed, .*model_digest"):
        check_reproduced(first.record, second.record)


def test_training_refuses_changed_data_and_names_the_row(
    data: CommittedFile, tmp_path: Path
) -> None:
    changed = columns()
    changed[2][123] = not changed[2][123]
    path = tmp_path / "data.parquet"
    write_table(path, Table(SCHEMA, tuple(changed), ROW_COUNT))
    with pytest.raises(ChangedDataError, match=r"rows 1 changed \(123\)"):
        run(replace(data, path=path))


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        (TrainingSettings("neural"), "unknown algorithm 'neural'"),
        (TrainingSettings("lightgbm", {"seed": 4}), "'seed' is set by the run"),
        (TrainingSettings("random_forest", {"n_jobs": 4}), "'n_jobs' is set by the run"),
        (TrainingSettings("random_forest", {"trees": 4}), "scikit-learn refused"),
        (TrainingSettings("logistic", {"C": -1.0}), "scikit-learn refused"),
        (TrainingSettings("lightgbm", {"num_leaves": 1}), "LightGBM refused"),
    ],
)
def test_settings_that_cannot_be_are_refused(
    data: CommittedFile, settings: TrainingSettings, message: str
) -> None:
    with pytest.raises(TrainingError, match=message):
        run_training([data], HalfRecipe(), settings)


def test_sets_that_do_not_fit_are_refused(data: CommittedFile) -> None:
    good = HalfRecipe().build([data.read()])
    bad = [
        (replace(good, features=("a",)), "training rows do not fit"),
        (replace(good, test_labels=good.test_labels[1:]), "test rows do not fit"),
        (replace(good, train_labels=good.train_labels * 0), "hold 0 positives of 300"),
        (replace(good, test_labels=good.test_labels * 0 + 1), "hold 300 positives of 300"),
        (replace(good, test=good.test * 2**50), "beyond 2\\^53"),
    ]
    for prepared, message in bad:
        with pytest.raises(TrainingError, match=message):
            train_model(prepared, TrainingSettings())


def test_the_code_digest_follows_the_recipe(tmp_path: Path) -> None:
    source = tmp_path / "recipe.py"
    source.write_text("a = 1\n")
    first = code_digest([source])
    source.write_text("a = 2\n")
    assert code_digest([source]) != first
    source.write_text("a = 1\n")
    assert code_digest([source]) == first
