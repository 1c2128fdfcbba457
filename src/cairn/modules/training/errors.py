"""Refusals about plans, training runs and evaluations."""

from cairn.ledger.errors import Rejection


class RowsOutOfRangeError(Rejection):
    """A split or a range of labels ends beyond the last row of its dataset."""

    code = "training/rows_out_of_range"


class RunNotFoundError(Rejection):
    """There is no training run of this id."""

    code = "training/run_not_found"


class PlanNotFoundError(Rejection):
    """There is no plan of this id."""

    code = "training/plan_not_found"


class OutsidePlanError(Rejection):
    """The run uses a dataset that its plan does not name, or the plan is another organisation's."""

    code = "training/outside_plan"


class OutcomeNotFoundError(Rejection):
    """A range of labels ends beyond the last outcome on the ledger."""

    code = "training/outcome_not_found"


class DifferentTestError(Rejection):
    """The test labels are not the dataset, or not as many rows, as the plan says."""

    code = "training/test_differs"


class OffPlanError(Rejection):
    """The threshold is not the plan's, or the metric that it names is missing."""

    code = "training/off_plan"


class PlanTooLateError(Rejection):
    """A test label was on the ledger when the plan was committed, or came in the same block."""

    code = "training/plan_too_late"
