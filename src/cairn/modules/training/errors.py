"""Refusals about training runs."""

from cairn.ledger.errors import Rejection


class RowsOutOfRangeError(Rejection):
    """A split ends beyond the last row of its dataset."""

    code = "training/rows_out_of_range"


class RunNotFoundError(Rejection):
    """There is no training run of this id."""

    code = "training/run_not_found"
