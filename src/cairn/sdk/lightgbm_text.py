"""Converts a model in LightGBM's own text form; nothing is unpickled."""

import csv
from pathlib import Path

import numpy as np

from cairn.exact.models import ExactModel
from cairn.learning.conversion import ConversionReport, convert
from cairn.learning.extras import require
from cairn.sdk.errors import UsageError

ROWS_MAX = 1_000_000


def convert_text(model: Path, rows: Path) -> tuple[ExactModel, ConversionReport]:
    """Return the exact form of a model, compared with it on reference rows.

    Args:
        model: A file that LightGBM's `save_model` wrote.
        rows: A CSV file of whole numbers with a header; its columns are the inputs in order.

    Raises:
        UsageError: A file cannot be read or is malformed.
        ConversionError: The model has no exact form, or breaks a limit.
        MissingExtraError: LightGBM is not installed.
    """
    lightgbm = require("lightgbm")
    names, values = _read_rows(rows)
    try:
        text = model.read_text(encoding="utf-8")
        booster = lightgbm.Booster(model_str=text)
    except (OSError, UnicodeDecodeError) as error:
        raise UsageError(f"{model} cannot be read: {error}") from error
    except lightgbm.basic.LightGBMError as error:
        raise UsageError(
            f"{model} is not a model in LightGBM's text form: {error}", "write it by save_model"
        ) from error
    if booster.num_feature() != len(names):
        raise UsageError(
            f"the model takes {booster.num_feature()} inputs, {rows} has {len(names)} columns",
            "give the inputs' columns in the model's order",
        )
    exact, report = convert(booster, names, values)
    return exact, report


def _read_rows(path: Path) -> tuple[list[str], "np.ndarray[tuple[int, ...], np.dtype[np.int64]]"]:
    try:
        with path.open(encoding="utf-8", newline="") as file:
            reader = csv.reader(file)
            names = next(reader, [])
            rows = [[int(cell) for cell in row] for row, _ in zip(reader, range(ROWS_MAX))]  # noqa: B905 - the shorter one ends it
    except (OSError, UnicodeDecodeError) as error:
        raise UsageError(f"{path} cannot be read: {error}") from error
    except (ValueError, csv.Error) as error:
        raise UsageError(f"{path} does not hold whole numbers alone: {error}") from error
    if not rows or any(len(row) != len(names) for row in rows):
        raise UsageError(f"{path} has no rows, or rows of another length than its header")
    return names, np.array(rows, np.int64)
