"""The registration of training."""

from cairn.ledger.module import OPERATION_COST, MessageSpec, Module
from cairn.modules.training import events, handlers, messages, records

_SPLIT_COST = 100
"""Cost of each split, label range or dataset: it is looked up, and the use of it noted."""


def _plan_cost(message: messages.CommitPlan) -> int:
    return OPERATION_COST + _SPLIT_COST * len(message.datasets)


def _run_cost(message: messages.RecordRun) -> int:
    return OPERATION_COST + _SPLIT_COST * len(message.splits)


def _evaluation_cost(message: messages.RecordEvaluation) -> int:
    return OPERATION_COST + _SPLIT_COST * len(message.labels)


TRAINING = Module(
    name="training",
    messages=(
        MessageSpec(messages.CommitPlan, handlers.commit_plan, cost=_plan_cost),
        MessageSpec(messages.RecordRun, handlers.record_run, cost=_run_cost),
        MessageSpec(messages.RecordEvaluation, handlers.record_evaluation, cost=_evaluation_cost),
    ),
    events=(events.PlanCommitted, events.RunRecorded, events.EvaluationRecorded),
    tables=(
        records.PLANS,
        records.PLAN_USES,
        records.RUNS,
        records.EVALUATIONS,
        records.EVALUATED,
    ),
    series=(records.PLAN_ENTRIES, records.RUN_ENTRIES, records.EVALUATION_ENTRIES),
)
