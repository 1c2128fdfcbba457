"""Trains again what a record says, and tells how close the outcome is.

Training happens in a process of its own, started with the numbers of threads that the settings say
and, if wanted, as if on another kind of core: libraries of linear algebra choose their code once,
when they are loaded. The data is checked against its commitments as in every run.

- `bitwise`: the model has the same bytes.
- `equivalent`: other bytes, and no score of the compared rows differs by more than a stated bound.
- `differs`: a score does.
"""

import json
import os
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from dataclasses import dataclass
from multiprocessing import get_context
from typing import Literal

import numpy as np

from cairn.exact.models import decode_model
from cairn.learning.errors import TrainingError
from cairn.learning.fitting import Matrix, TrainingSettings
from cairn.learning.metrics import PPM
from cairn.learning.training import (
    CommittedFile,
    Recipe,
    TrainingRecord,
    TrainingRun,
    run_training,
    score_rows,
)
from cairn.modules.models.records import model_digest

EQUIVALENT_PPM_MAX = 1_000
"""Largest difference of two scores, in parts per million, that still counts as equivalent."""
THREAD_VARIABLES = (
    "OMP_NUM_THREADS",
    "OPENBLAS_NUM_THREADS",
    "MKL_NUM_THREADS",
    "BLIS_NUM_THREADS",
    "NUMEXPR_NUM_THREADS",
)
CORE_VARIABLE = "OPENBLAS_CORETYPE"
_OUTCOMES = ("metrics", "model_digest", "source_digest")

Verdict = Literal["bitwise", "equivalent", "differs"]


@dataclass(frozen=True)
class Replay:
    """How a second run of a record came out."""

    verdict: Verdict
    difference_ppm_max: int
    """Largest difference of two scores of the compared rows, in parts per million."""
    difference_count: int
    """Rows whose scores differ at all."""
    row_count: int
    compared: str
    """Which rows were compared: `test`, or `training` where the run had no test rows."""
    differing: tuple[str, ...]
    """Fields of the record, other than outcomes, that are not the same: threads, packages …"""
    record: TrainingRecord
    """Of the second run."""

    def describe(self) -> str:
        """Return the outcome in a sentence."""
        where = f"{self.row_count:,} {self.compared} rows"
        largest = f"{self.difference_ppm_max / PPM:g}, on {self.difference_count:,} of {where}"
        text = {
            "bitwise": "bitwise: the model has the same bytes",
            "equivalent": f"equivalent: other bytes, scores differ by at most {largest}",
            "differs": f"differs: scores differ by up to {largest}",
        }[self.verdict]
        if self.differing:
            text += f"; other than recorded: {', '.join(self.differing)}"
        return text

    def __str__(self) -> str:
        return self.describe()


def replay(
    record: TrainingRecord,
    model_bytes: bytes,
    files: Sequence[CommittedFile],
    recipe: Recipe,
    *,
    threads: int | None = None,
    core_type: str = "",
    rows: Matrix | None = None,
    equivalent_ppm_max: int = EQUIVALENT_PPM_MAX,
) -> Replay:
    """Train again and compare.

    Args:
        record: What stood behind the first run.
        model_bytes: The model that it left.
        files: The committed data sets, in the run's order.
        recipe: The recipe of the run, as it was set.
        threads: Other than recorded.
        core_type: What linear algebra takes the processor for, such as `Haswell`; else what it is.
        rows: Test rows, where the run's files hold none: under a plan they are a file of their own.
        equivalent_ppm_max: Largest difference of scores that still counts as equivalent.

    Raises:
        ChangedDataError: A file is not the committed one; nothing was trained.
        TrainingError: The model, the data sets or the recipe are not those of the record.
        MissingExtraError: The machine-learning extra is not installed.
    """
    if model_digest(model_bytes) != record.model_digest:
        raise TrainingError("the model is not that of the record", "give the folder of the run")
    if tuple(file.manifest.digest for file in files) != record.datasets:
        raise TrainingError("the data sets are not those of the record", "keep the run's order")
    if (recipe.name, tuple(sorted(recipe.settings().items()))) != (
        record.recipe,
        record.recipe_settings,
    ):
        raise TrainingError(f"the recipe is not {record.recipe} as the run had it")
    settings = settings_of(record, threads=threads)
    second = train_in_child(files, recipe, settings, core_type=core_type)
    has_test = True
    if rows is None:
        prepared = recipe.build([file.read() for file in files])
        has_test = len(prepared.test) > 0
        rows = prepared.test if has_test else prepared.train
    first_scores = score_rows(decode_model(model_bytes), rows)
    second_scores = score_rows(second.trained.model, rows)
    difference = np.abs(first_scores - second_scores)
    largest = int(difference.max(initial=0))
    verdict: Verdict = "differs" if largest > equivalent_ppm_max else "equivalent"
    if second.record.model_digest == record.model_digest:
        verdict = "bitwise"
    return Replay(
        verdict=verdict,
        difference_ppm_max=largest,
        difference_count=int((difference > 0).sum()),
        row_count=len(rows),
        compared="test" if has_test else "training",
        differing=tuple(
            name
            for name in TrainingRecord.__annotations__
            if name not in _OUTCOMES and getattr(record, name) != getattr(second.record, name)
        ),
        record=second.record,
    )


def settings_of(record: TrainingRecord, *, threads: int | None = None) -> TrainingSettings:
    """Return how the run of a record was trained, with another number of threads if given."""
    return TrainingSettings(
        algorithm=record.algorithm,
        parameters={name: json.loads(text) for name, text in record.parameters},
        seed=record.seed,
        threads=threads or record.threads,
        calibration=record.calibration,
    )


def train_in_child(
    files: Sequence[CommittedFile],
    recipe: Recipe,
    settings: TrainingSettings,
    *,
    core_type: str = "",
) -> TrainingRun:
    """Return what `run_training` does in a process that has the stated threads and kind of core.

    The recipe has to be of a class that a module holds, so that the process can find it.

    Raises:
        LearningError: As `run_training`.
        TrainingError: The process died.
    """
    variables = dict.fromkeys(THREAD_VARIABLES, str(settings.threads))
    variables["PYTHONHASHSEED"] = "0"
    if core_type:
        variables[CORE_VARIABLE] = core_type
    with (
        _environment(variables),
        ProcessPoolExecutor(max_workers=1, mp_context=get_context("spawn")) as pool,
    ):
        try:
            return pool.submit(run_training, list(files), recipe, settings).result()
        except BrokenProcessPool as error:
            raise TrainingError(
                "the training process died",
                "it may have had too little memory; a script that trains needs "
                'its work below `if __name__ == "__main__":`',
            ) from error


@contextmanager
def _environment(variables: Mapping[str, str]) -> Iterator[None]:
    """Set variables of the environment for the processes that are started meanwhile."""
    before = {name: os.environ.get(name) for name in variables}
    os.environ.update(variables)
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value
