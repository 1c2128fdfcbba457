"""Read-only questions about windows, attempts and outcomes."""

from cairn.exact.windows import EMPTY, Window
from cairn.ledger.context import Context
from cairn.modules.screening.records import (
    ATTEMPTS,
    OUTCOME_ENTRIES,
    OUTCOMES,
    AttemptEntry,
    Outcome,
    OutcomeEntry,
)
from cairn.modules.screening.windows import PAYEE_WINDOWS, PAYER_WINDOWS, TERMINAL_WINDOWS

LIMIT_MAX = 1_000


def get_windows(ctx: Context, asset: str, account: bytes) -> tuple[Window, Window]:
    """Return what an account paid and was paid lately in an asset."""
    payer = ctx.get(PAYER_WINDOWS, asset, account)
    payee = ctx.get(PAYEE_WINDOWS, asset, account)
    return payer or EMPTY, payee or EMPTY


def get_terminal_window(ctx: Context, asset: str, terminal: bytes) -> Window:
    """Return what was paid lately at a terminal in an asset."""
    return ctx.get(TERMINAL_WINDOWS, asset, terminal) or EMPTY


def get_attempt(ctx: Context, position: int) -> AttemptEntry | None:
    """Return the attempt at a position, or None; a payment's receipt states its position."""
    if not 0 <= position < ctx.series_size(ATTEMPTS):
        return None
    return ctx.series_get(ATTEMPTS, position)[1]


def list_attempts(
    ctx: Context, *, start: int = 0, limit: int = LIMIT_MAX
) -> list[tuple[int, AttemptEntry]]:
    """Return `(time, entry)` of the attempts from position `start` on."""
    end = min(ctx.series_size(ATTEMPTS), start + min(limit, LIMIT_MAX))
    return [ctx.series_get(ATTEMPTS, position) for position in range(start, end)]


def get_outcome(ctx: Context, transaction_id: bytes, operation_index: int) -> Outcome | None:
    """Return what a payment turned out to be, or None."""
    return ctx.get(OUTCOMES, transaction_id, operation_index)


def list_outcomes(
    ctx: Context, *, start: int = 0, limit: int = LIMIT_MAX
) -> list[tuple[int, OutcomeEntry]]:
    """Return `(time, entry)` of the outcomes from position `start` on."""
    end = min(ctx.series_size(OUTCOME_ENTRIES), start + min(limit, LIMIT_MAX))
    return [ctx.series_get(OUTCOME_ENTRIES, position) for position in range(start, end)]
