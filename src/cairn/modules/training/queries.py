"""Read-only questions about training runs."""

from cairn.ledger.context import Context
from cairn.modules.training.records import RUN_ENTRIES, RUNS, Run, RunEntry

LIMIT_MAX = 1_000


def get_run(ctx: Context, run: bytes) -> Run | None:
    """Return a training run, or None."""
    return ctx.get(RUNS, run)


def list_runs(
    ctx: Context, *, start: int = 0, limit: int = LIMIT_MAX
) -> list[tuple[int, RunEntry]]:
    """Return `(time, entry)` of the runs from position `start` on."""
    end = min(ctx.series_size(RUN_ENTRIES), start + min(limit, LIMIT_MAX))
    return [ctx.series_get(RUN_ENTRIES, position) for position in range(start, end)]
