"""Where test labels stand, when the first of them came, and whether a plan means them.

Labels are rows of datasets, which come on the ledger with the dataset's registration, or outcomes
of payments. Of outcomes only the block time is read, which every entry of every series has; so this
module needs nothing of `screening`, which stands above it, but the name of the series.
"""

from cairn.ledger.context import Context
from cairn.ledger.records import Series
from cairn.modules.data import api as data
from cairn.modules.training.errors import (
    DifferentTestError,
    OutcomeNotFoundError,
    RowsOutOfRangeError,
)
from cairn.modules.training.records import EVALUATION, OUTCOMES, LabelRange, Plan
from cairn.primitives.encoding import Record, encode
from cairn.primitives.hashes import tagged_hash

_OUTCOME_TIMES: Series[Record] = Series("screening", "outcomes", (), Record)


def check_labels(ctx: Context, labels: tuple[LabelRange, ...]) -> int:
    """Return the block time at which the first of the labels came on the ledger.

    Raises:
        DatasetNotFoundError, DatasetWithdrawnError, UseNotAllowedError: The dataset of a range is
            not there, or the sender may not use it for the purpose `evaluation`.
        RowsOutOfRangeError: A range ends beyond its dataset's last row.
        OutcomeNotFoundError: A range ends beyond the last outcome.
    """
    return min(_first_ms(ctx, label) for label in labels)


def _first_ms(ctx: Context, label: LabelRange) -> int:
    if label.source == OUTCOMES:
        if label.end > ctx.series_size(_OUTCOME_TIMES):
            raise OutcomeNotFoundError
        entry = ctx.state.series_entry(_OUTCOME_TIMES, _OUTCOME_TIMES.key(), label.first)
        return entry.time_ms
    dataset = data.check_use(ctx, label.source, ctx.sender, EVALUATION)
    if label.end > dataset.row_count:
        raise RowsOutOfRangeError
    return dataset.registered_ms


def check_test(ctx: Context, plan: Plan, labels: tuple[LabelRange, ...]) -> None:
    """Check that labels whose sources `check_labels` found are those that a plan means.

    Raises:
        DifferentTestError: The plan names a dataset, and the labels are not all of its rows, or it
            states a number of rows, and they are more or less.
    """
    row_count = sum(label.end - label.first for label in labels)
    if plan.test_row_count and row_count != plan.test_row_count:
        raise DifferentTestError
    if not plan.test_digest:
        return
    sources = list(dict.fromkeys(label.source for label in labels))
    if len(sources) > 1 or sources[0] == OUTCOMES:
        raise DifferentTestError
    dataset = data.check_dataset(ctx, sources[0])
    # What a manifest calls the digest of its dataset; see `cairn.evidence.rows`.
    commitment = (
        dataset.format_version,
        dataset.row_root,
        dataset.row_count,
        dataset.schema_digest,
        dataset.file_commitment,
    )
    digest = tagged_hash(b"cairn/dataset", encode(commitment))
    if digest != plan.test_digest or row_count != dataset.row_count:
        raise DifferentTestError
