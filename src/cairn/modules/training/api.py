"""What other modules may ask of training."""

from cairn.ledger.context import Context
from cairn.modules.training.errors import PlanNotFoundError, RunNotFoundError
from cairn.modules.training.records import PLANS, RUNS, Plan, Run


def check_run(ctx: Context, run: bytes) -> Run:
    """Return a training run.

    Raises:
        RunNotFoundError: There is none of this id.
    """
    found = ctx.get(RUNS, run)
    if found is None:
        raise RunNotFoundError
    return found


def check_plan(ctx: Context, plan: bytes) -> Plan:
    """Return a plan.

    Raises:
        PlanNotFoundError: There is none of this id.
    """
    found = ctx.get(PLANS, plan)
    if found is None:
        raise PlanNotFoundError
    return found
