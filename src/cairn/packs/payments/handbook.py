"""The weekly protocol of the Fraud Detection Handbook: a yardstick with published figures.

Train on 25 to 31 July 2018, wait seven days for the labels, test on 8 to 14 August, leaving out
cards whose fraud was known by then. The book reports, for gradient boosting on features that know
the terminals' past frauds: AUC .862, average precision .639, card precision@100 .273.

Source: Le Borgne, Siblini, Lebichot, Bontempi: Reproducible Machine Learning for Credit Card Fraud
Detection, https://fraud-detection-handbook.github.io, chapters 3 to 5.
"""

from dataclasses import dataclass
from pathlib import Path

from cairn.exact.features import FEATURES
from cairn.learning.conversion.report import ConversionReport
from cairn.learning.errors import DatasetError
from cairn.learning.training import TrainingSettings, train_model
from cairn.packs.payments.evaluate import (
    DAY_MS,
    HISTORY_MS,
    Comparison,
    PaymentRecipe,
    TimeSplit,
    compare,
)
from cairn.packs.payments.mapping import FRAUD_HANDBOOK, read_payment_files
from cairn.packs.payments.records import Payments

TRAIN_START_MS = 1_532_476_800_000
"""25 July 2018, UTC."""
SPLIT = TimeSplit(
    train_start_ms=TRAIN_START_MS,
    train_end_ms=TRAIN_START_MS + 7 * DAY_MS,
    test_start_ms=TRAIN_START_MS + 14 * DAY_MS,
    test_end_ms=TRAIN_START_MS + 21 * DAY_MS,
)
FILES = ("tx_2018-06.parquet", "tx_2018-07.parquet", "tx_2018-08.parquet")
ALERTS_PER_DAY = 100
PUBLISHED_AVERAGE_PRECISION = 0.639
"""What the book reports for gradient boosting."""
HANDBOOK_FEATURES = tuple(
    name
    for name in FEATURES
    if "terminal_" not in name and name not in ("payee_first_seen", "payer_first_seen")
)
"""The terminal is the payee here, so that its own columns would all be empty."""


@dataclass(frozen=True)
class HandbookResult:
    """What the protocol gives."""

    train_rows: int
    train_frauds: int
    test_rows: int
    test_frauds: int
    comparison: Comparison
    conversion: ConversionReport


def read_handbook(folder: Path) -> Payments:
    """Return the payments that the protocol needs, history included.

    Raises:
        DatasetError: The folder does not hold the monthly files.
    """
    missing = [name for name in FILES if not (folder / name).is_file()]
    if missing:
        raise DatasetError(
            f"{folder} has no {missing[0]}",
            "give the folder with the handbook's payments as monthly Parquet files",
        )
    payments = read_payment_files([folder / name for name in FILES], FRAUD_HANDBOOK)
    return payments.between(SPLIT.train_start_ms - HISTORY_MS, SPLIT.test_end_ms)


def run_protocol(payments: Payments, settings: TrainingSettings) -> HandbookResult:
    """Return how a model trained with `settings` does by the weekly protocol."""
    recipe = PaymentRecipe(SPLIT, block_known_victims=True, features=HANDBOOK_FEATURES)
    prepared = recipe.build_payments(payments)
    trained = train_model(prepared, settings)
    comparison = compare(
        recipe.train_payments(payments),
        recipe.test_payments(payments),
        trained.test_scores_ppm,
        alerts_per_day=ALERTS_PER_DAY,
    )
    return HandbookResult(
        train_rows=len(prepared.train),
        train_frauds=int(prepared.train_labels.sum()),
        test_rows=len(prepared.test),
        test_frauds=int(prepared.test_labels.sum()),
        comparison=comparison,
        conversion=trained.conversion,
    )
