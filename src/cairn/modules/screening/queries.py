"""Read-only questions about windows and outcomes."""

from cairn.exact.features import EMPTY, Window
from cairn.ledger.context import Context
from cairn.modules.screening.records import OUTCOME_ENTRIES, OUTCOMES, Outcome, OutcomeEntry
from cairn.modules.screening.windows import PAYEE_WINDOWS, PAYER_WINDOWS

LIMIT_MAX = 1_000


def get_windows(ctx: Context, asset: str, account: bytes) -> tuple[Window, Window]:
    """Return what an account paid and was paid lately in an asset."""
    payer = ctx.get(PAYER_WINDOWS, asset, account)
    payee = ctx.get(PAYEE_WINDOWS, asset, account)
    return payer or EMPTY, payee or EMPTY


def get_outcome(ctx: Context, transaction_id: bytes, operation_index: int) -> Outcome | None:
    """Return what an operation turned out to be, or None."""
    return ctx.get(OUTCOMES, transaction_id, operation_index)


def list_outcomes(
    ctx: Context, *, start: int = 0, limit: int = LIMIT_MAX
) -> list[tuple[int, OutcomeEntry]]:
    """Return `(time, entry)` of the outcomes from position `start` on."""
    end = min(ctx.series_size(OUTCOME_ENTRIES), start + min(limit, LIMIT_MAX))
    return [ctx.series_get(OUTCOME_ENTRIES, position) for position in range(start, end)]
