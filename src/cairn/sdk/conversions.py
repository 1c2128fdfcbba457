"""Converts model files by rows in a data file; nothing is unpickled, nothing in them is run."""

from pathlib import Path

from cairn.learning.conversion.convert import LARGEST_DIFFERENCE_MAX, Conversion, convert
from cairn.learning.extras import Untyped, require
from cairn.learning.model_files import load_model
from cairn.sdk.errors import UsageError

DATA_SUFFIXES = (".csv", ".parquet", ".pq", ".ndjson", ".jsonl")


def convert_file(
    model: Path,
    data: Path,
    *,
    threshold: float = 0.5,
    largest_difference_max: float = LARGEST_DIFFERENCE_MAX,
) -> Conversion:
    """Return the exact form of a model, compared with it on the rows of a data file.

    Args:
        model: XGBoost's `.json` or `.ubj`, LightGBM's `.txt`, or a `.skops` file of scikit-learn.
        data: Rows like those to score, with the model's input columns by name; other columns are
            passed over.
        threshold: Score from which a decision is positive.
        largest_difference_max: Refuse if a row's two scores are further apart.

    Raises:
        UsageError: The data file cannot be read.
        ConversionError: As `model_files.load_model` and `conversion.convert`.
        MissingExtraError: A library that the model needs is not installed.
    """
    source = load_model(model)
    return convert(
        source,
        rows=read_rows(data),
        threshold=threshold,
        largest_difference_max=largest_difference_max,
    )


def read_rows(path: Path) -> Untyped:
    """Return the rows of a CSV, Parquet or line-by-line JSON file as an Arrow table.

    Raises:
        UsageError: The file is missing, of another kind or malformed.
    """
    arrow = require("pyarrow")
    if path.suffix.lower() not in DATA_SUFFIXES:
        raise UsageError(
            f"{path.name} is no data file that can be read",
            f"give one of: {', '.join(DATA_SUFFIXES)}",
        )
    try:
        # One block, so that every cell has a say in what its column is.
        size = max(1 << 20, path.stat().st_size + 1)
        if path.suffix.lower() == ".csv":
            csv = require("pyarrow.csv")
            return csv.read_csv(
                path,
                read_options=csv.ReadOptions(block_size=min(size, 2**31 - 1)),
                convert_options=csv.ConvertOptions(strings_can_be_null=True),
            )
        if path.suffix.lower() in (".parquet", ".pq"):
            return require("pyarrow.parquet").read_table(path)
        json = require("pyarrow.json")
        return json.read_json(path, read_options=json.ReadOptions(block_size=min(size, 2**31 - 1)))
    except OSError as error:
        raise UsageError(
            f"{path} cannot be read: {error.strerror or error}", "name a file that exists"
        ) from error
    except arrow.ArrowException as error:
        raise UsageError(
            f"{path} is malformed: {str(error).splitlines()[0]}", "save it again with a header"
        ) from error
