"""Read-only questions about plans, training runs and evaluations."""

from typing import TypeVar

from cairn.ledger.context import Context
from cairn.ledger.records import Series
from cairn.modules.training.records import (
    EVALUATION_ENTRIES,
    EVALUATIONS,
    PLAN_ENTRIES,
    PLAN_USES,
    PLANS,
    RUN_ENTRIES,
    RUNS,
    Evaluation,
    EvaluationEntry,
    Plan,
    PlanEntry,
    PlanUse,
    Run,
    RunEntry,
)
from cairn.primitives.encoding import Record

LIMIT_MAX = 1_000

RecordT = TypeVar("RecordT", bound=Record)


def get_plan(ctx: Context, plan: bytes) -> Plan | None:
    """Return a plan, or None."""
    return ctx.get(PLANS, plan)


def get_plan_use(ctx: Context, plan: bytes) -> PlanUse | None:
    """Return how often a plan was used, or None if there is no such plan."""
    return ctx.get(PLAN_USES, plan)


def get_run(ctx: Context, run: bytes) -> Run | None:
    """Return a training run, or None."""
    return ctx.get(RUNS, run)


def get_evaluation(ctx: Context, evaluation: bytes) -> Evaluation | None:
    """Return an evaluation, or None."""
    return ctx.get(EVALUATIONS, evaluation)


def list_plans(
    ctx: Context, *, start: int = 0, limit: int = LIMIT_MAX
) -> list[tuple[int, PlanEntry]]:
    """Return `(time, entry)` of the plans from position `start` on."""
    return _entries(ctx, PLAN_ENTRIES, start, limit)


def list_runs(
    ctx: Context, *, start: int = 0, limit: int = LIMIT_MAX
) -> list[tuple[int, RunEntry]]:
    """Return `(time, entry)` of the runs from position `start` on."""
    return _entries(ctx, RUN_ENTRIES, start, limit)


def list_evaluations(
    ctx: Context, *, start: int = 0, limit: int = LIMIT_MAX
) -> list[tuple[int, EvaluationEntry]]:
    """Return `(time, entry)` of the evaluations from position `start` on."""
    return _entries(ctx, EVALUATION_ENTRIES, start, limit)


def _entries(
    ctx: Context, series: Series[RecordT], start: int, limit: int
) -> list[tuple[int, RecordT]]:
    end = min(ctx.series_size(series), start + min(limit, LIMIT_MAX))
    return [ctx.series_get(series, position) for position in range(start, end)]
