"""Training again: bitwise on the same settings, and an honest word where it is not."""

import os
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from cairn.learning import replay as replaying
from cairn.learning.commitments import SubjectKeys
from cairn.learning.datasets import commit_file
from cairn.learning.errors import ChangedDataError, TrainingError
from cairn.learning.replay import replay, settings_of, train_in_child
from cairn.learning.schemas import Column, Kind, Schema
from cairn.learning.training import (
    CommittedFile,
    TrainingRecord,
    TrainingRun,
    TrainingSettings,
    run_training,
)
from cairn.primitives.encoding import replace as changed
from cairn.sdk.tabular import TabularRecipe, matrix_of

SCHEMA = Schema(
    (Column("a", Kind.INTEGER), Column("b", Kind.FLOAT64), Column("label", Kind.BOOLEAN))
)
RECIPE = TabularRecipe("label")


def write(path: Path, seed: int = 1) -> None:
    rng = np.random.default_rng(seed)
    lines = ["a,b,label"]
    for _ in range(400):
        a, b = int(rng.integers(0, 100)), float(rng.normal())
        lines.append(f"{a},{b:.4f},{int(a + 30 * b + rng.normal() * 20 > 60)}")
    path.write_text("\n".join(lines) + "\n")


@pytest.fixture
def data(tmp_path: Path) -> CommittedFile:
    path = tmp_path / "data.csv"
    write(path)
    keys = SubjectKeys()
    return CommittedFile(path, commit_file(path, SCHEMA, keys), keys)


def run(data: CommittedFile, **fields: object) -> TrainingRun:
    stated = {"algorithm": "logistic", "seed": 3, **fields}
    return run_training([data], RECIPE, TrainingSettings(**stated))  # type: ignore[arg-type]


def test_a_run_replays_in_a_process_of_its_own(data: CommittedFile) -> None:
    before = dict(os.environ)
    first = train_in_child([data], RECIPE, TrainingSettings("logistic", seed=3))
    found = replay(
        first.record, first.trained.model_bytes, [data], RECIPE, core_type="Prescott", threads=2
    )
    assert found.verdict in ("bitwise", "equivalent")
    assert found.difference_ppm_max <= 1
    assert set(found.differing) <= {"threads", "core_type"}
    assert "threads" in found.differing
    assert (found.compared, found.row_count) == ("test", 120)
    assert dict(os.environ) == before


@pytest.fixture
def here(monkeypatch: pytest.MonkeyPatch) -> None:
    """Replays in this process: starting others takes seconds."""

    def at_once(*arguments: object, core_type: str = "") -> TrainingRun:
        return run_training(*arguments)  # type: ignore[arg-type]

    monkeypatch.setattr(replaying, "train_in_child", at_once)


@pytest.mark.usefixtures("here")
def test_the_same_settings_give_the_same_bytes(data: CommittedFile) -> None:
    first = run(data)
    found = replay(first.record, first.trained.model_bytes, [data], RECIPE)
    assert (found.verdict, found.differing, found.difference_count) == ("bitwise", (), 0)
    assert "same bytes" in found.describe()


@pytest.mark.usefixtures("here")
def test_another_model_is_measured(data: CommittedFile) -> None:
    first, other = run(data), run(data, parameters={"C": 0.9})
    record = replace_record(first, other)
    near = replay(record, other.trained.model_bytes, [data], RECIPE, equivalent_ppm_max=500_000)
    far = replay(record, other.trained.model_bytes, [data], RECIPE, equivalent_ppm_max=1)
    assert (near.verdict, far.verdict) == ("equivalent", "differs")
    scores = first.trained.test_scores_ppm - other.trained.test_scores_ppm
    assert far.difference_ppm_max == int(np.abs(scores).max()) > 1
    assert far.difference_count == int((scores != 0).sum())
    assert "differs: scores differ by up to 0.0" in far.describe()
    rows = matrix_of(data.read(), first.trained.model.features)[:7]
    given = replay(record, other.trained.model_bytes, [data], RECIPE, rows=rows)
    assert (given.row_count, given.compared) == (7, "test")


def replace_record(first: TrainingRun, other: TrainingRun) -> TrainingRecord:
    """Return the record of the first run as if it had made the model of the other."""
    return changed(first.record, model_digest=other.record.model_digest)


@pytest.mark.usefixtures("here")
def test_what_is_not_of_the_record_is_refused(data: CommittedFile, tmp_path: Path) -> None:
    first = run(data)
    record, raw = first.record, first.trained.model_bytes
    with pytest.raises(TrainingError, match="model is not that"):
        replay(record, raw + b"x", [data], RECIPE)
    with pytest.raises(TrainingError, match="data sets are not those"):
        replay(record, raw, [], RECIPE)
    with pytest.raises(TrainingError, match="recipe is not tabular"):
        replay(record, raw, [data], TabularRecipe("label", test_ppm=200_000))
    other = tmp_path / "other.csv"
    write(other, seed=2)
    with pytest.raises(ChangedDataError):
        replay(record, raw, [replace(data, path=other)], RECIPE)


def test_the_record_holds_all_settings(data: CommittedFile) -> None:
    settings = TrainingSettings("logistic", {"C": 0.5}, seed=9, threads=2, calibration="platt")
    recipe = TabularRecipe("label", validation_ppm=200_000)
    first = run_training([data], recipe, settings)
    again = settings_of(first.record)
    assert (again.algorithm, again.seed, again.threads) == ("logistic", 9, 2)
    assert again.calibration == "platt"
    assert again.parameters == first.trained.parameters
    assert first.trained.calibration is not None
    assert settings_of(first.record, threads=1).threads == 1
    assert first.record.core_type
    assert [split.split for split in first.record.splits] == ["train", "validation", "test"]
