"""What the message about training runs does."""

from cairn.ledger.context import Context
from cairn.modules.data import api as data
from cairn.modules.identity import api as identity
from cairn.modules.training.errors import RowsOutOfRangeError
from cairn.modules.training.events import RunRecorded
from cairn.modules.training.messages import RecordRun
from cairn.modules.training.records import DEVELOPER, PURPOSE, RUN_ENTRIES, RUNS, Run, RunEntry


def record_run(ctx: Context, message: RecordRun) -> None:
    """Record a training run, and the use of its datasets."""
    sender = identity.check_role(ctx, DEVELOPER)
    for split in message.splits:
        dataset = data.check_use(ctx, split.dataset, ctx.sender, PURPOSE)
        if split.end_row > dataset.row_count:
            raise RowsOutOfRangeError
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
    )
    ctx.put(RUNS, row, run)
    ctx.append(RUN_ENTRIES, RunEntry(run, ctx.sender, message.model_digest))
    for dataset_id in dict.fromkeys(split.dataset for split in message.splits):
        data.record_use(ctx, dataset_id, ctx.sender, PURPOSE, reference=run)
    ctx.emit(RunRecorded(run, ctx.sender, message.model_digest))
