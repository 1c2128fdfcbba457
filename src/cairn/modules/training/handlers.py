"""What the messages about plans, training runs and evaluations do."""

from cairn.ledger.context import Context
from cairn.modules.data import api as data
from cairn.modules.identity import api as identity
from cairn.modules.training.api import check_plan, check_run
from cairn.modules.training.errors import (
    OffPlanError,
    OutsidePlanError,
    PlanTooLateError,
    RowsOutOfRangeError,
)
from cairn.modules.training.events import EvaluationRecorded, PlanCommitted, RunRecorded
from cairn.modules.training.labels import check_labels, check_test
from cairn.modules.training.messages import CommitPlan, RecordEvaluation, RecordRun
from cairn.modules.training.records import (
    DEVELOPER,
    EVALUATED,
    EVALUATION,
    EVALUATION_ENTRIES,
    EVALUATIONS,
    OUTCOMES,
    PLAN_ENTRIES,
    PLAN_USES,
    PLANS,
    PURPOSE,
    RUN_ENTRIES,
    RUNS,
    VALIDATOR,
    Evaluated,
    Evaluation,
    EvaluationEntry,
    Plan,
    PlanEntry,
    PlanUse,
    Run,
    RunEntry,
)
from cairn.primitives.encoding import replace


def commit_plan(ctx: Context, message: CommitPlan) -> None:
    """Record a plan, with the height at which it stands."""
    sender = identity.check_role(ctx, DEVELOPER)
    for dataset in message.datasets:
        data.check_use(ctx, dataset, ctx.sender, PURPOSE)
    plan = ctx.new_id()
    row = Plan(
        name=message.name,
        developer=ctx.sender,
        organisation=sender.organisation,
        committed_ms=ctx.time_ms,
        height=ctx.height,
        datasets=message.datasets,
        split=message.split,
        test_digest=message.test_digest,
        test_row_count=message.test_row_count,
        threshold_ppm=message.threshold_ppm,
        metric=message.metric,
        alert_budget_per_day=message.alert_budget_per_day,
    )
    ctx.put(PLANS, row, plan)
    ctx.put(PLAN_USES, PlanUse(0, 0), plan)
    ctx.append(PLAN_ENTRIES, PlanEntry(plan, message.name, ctx.sender, ctx.height))
    ctx.emit(PlanCommitted(plan, message.name, ctx.sender))


def record_run(ctx: Context, message: RecordRun) -> None:
    """Record a training run, and the use of its datasets."""
    sender = identity.check_role(ctx, DEVELOPER)
    plan = check_plan(ctx, message.plan) if message.plan else None
    for split in message.splits:
        dataset = data.check_use(ctx, split.dataset, ctx.sender, PURPOSE)
        if split.end_row > dataset.row_count:
            raise RowsOutOfRangeError
    if plan is not None:
        outside = any(split.dataset not in plan.datasets for split in message.splits)
        if outside or plan.organisation != sender.organisation:
            raise OutsidePlanError
    run = ctx.new_id()
    row = Run(
        developer=ctx.sender,
        organisation=sender.organisation,
        recorded_ms=ctx.time_ms,
        splits=message.splits,
        code_digest=message.code_digest,
        parameters=message.parameters,
        seed=message.seed,
        environment_digest=message.environment_digest,
        threads=message.threads,
        metrics=message.metrics,
        model_digest=message.model_digest,
        library=message.library,
        library_version=message.library_version,
        plan=message.plan,
    )
    ctx.put(RUNS, row, run)
    if plan is not None:
        use = _use_of(ctx, message.plan)
        ctx.put(PLAN_USES, replace(use, run_count=use.run_count + 1), message.plan)
    ctx.append(RUN_ENTRIES, RunEntry(run, ctx.sender, message.model_digest))
    for dataset_id in dict.fromkeys(split.dataset for split in message.splits):
        data.record_use(ctx, dataset_id, ctx.sender, PURPOSE, reference=run)
    ctx.emit(RunRecorded(run, ctx.sender, message.model_digest))


def record_evaluation(ctx: Context, message: RecordEvaluation) -> None:
    """Record how a run's model did on labels that came after a plan."""
    sender = identity.check_active(ctx)
    if VALIDATOR not in sender.roles:
        identity.check_role(ctx, DEVELOPER)
    run = check_run(ctx, message.run)
    plan = check_plan(ctx, message.plan)
    first_label_ms = check_labels(ctx, message.labels)
    check_test(ctx, plan, message.labels)
    names = [metric.name for metric in message.metrics]
    if message.threshold_ppm != plan.threshold_ppm or plan.metric not in names:
        raise OffPlanError
    # Block times never go back, so an earlier time is a lower height; the converse may not hold,
    # and a plan of the same millisecond is refused too.
    if plan.committed_ms >= first_label_ms:
        raise PlanTooLateError
    use = _use_of(ctx, message.plan)
    evaluation = ctx.new_id()
    row = Evaluation(
        run=message.run,
        plan=message.plan,
        by=ctx.sender,
        organisation=sender.organisation,
        recorded_ms=ctx.time_ms,
        height=ctx.height,
        number=use.evaluation_count + 1,
        is_blind=run.recorded_ms < first_label_ms,
        first_label_ms=first_label_ms,
        labels=message.labels,
        row_count=sum(label.end - label.first for label in message.labels),
        positive_count=message.positive_count,
        threshold_ppm=message.threshold_ppm,
        metrics=message.metrics,
        confidence_ppm=message.confidence_ppm,
        resample_count=message.resample_count,
        seed=message.seed,
        report_digest=message.report_digest,
    )
    ctx.put(EVALUATIONS, row, evaluation)
    earlier = ctx.get(EVALUATED, message.run, sender.organisation)
    count = 1 if earlier is None else earlier.count + 1
    ctx.put(EVALUATED, Evaluated(evaluation, count), message.run, sender.organisation)
    ctx.put(PLAN_USES, replace(use, evaluation_count=row.number), message.plan)
    entry = EvaluationEntry(evaluation, message.run, message.plan, ctx.sender)
    ctx.append(EVALUATION_ENTRIES, entry)
    for source in dict.fromkeys(label.source for label in message.labels):
        if source != OUTCOMES:
            data.record_use(ctx, source, ctx.sender, EVALUATION, reference=evaluation)
    ctx.emit(EvaluationRecorded(evaluation, message.run, message.plan, row.number, row.is_blind))


def _use_of(ctx: Context, plan: bytes) -> PlanUse:
    row = ctx.get(PLAN_USES, plan)
    return PlanUse(0, 0) if row is None else row
