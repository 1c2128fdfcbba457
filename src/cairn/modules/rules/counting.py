"""How much of its daily cap a rule has used: what it did that took effect.

A rule uses its cap once for each payment that it held, since the payment's value is set aside; for
each case that it decided; and otherwise once for each payment by which it stopped an account that
it had not stopped that day: the payer whose payment it refused, an account that it froze. Stopping
an account again on that day is no new power and uses nothing.
"""

from collections.abc import Sequence

from cairn.ledger.context import Context
from cairn.modules.rules.records import COUNTS, DAY_MS, STOPPED, DailyCount, StoppedAccount


def count_today(ctx: Context, rule: str) -> int:
    """Return how much of its daily cap a rule has used on the day of the context's time."""
    row = ctx.get(COUNTS, rule)
    return row.count if row is not None and row.day == ctx.time_ms // DAY_MS else 0


def count_use(ctx: Context, rule: str) -> None:
    """Let a rule use its daily cap once."""
    row = DailyCount(ctx.time_ms // DAY_MS, count_today(ctx, rule) + 1)
    ctx.put(COUNTS, row, rule)


def was_stopped(ctx: Context, rule: str, account: bytes) -> bool:
    """Return whether an account counted towards a rule's cap on the day of the context's time."""
    row = ctx.get(STOPPED, rule, account)
    return row is not None and row.day == ctx.time_ms // DAY_MS


def count_stopped(ctx: Context, rule: str, accounts: Sequence[bytes]) -> None:
    """Count accounts that a rule stopped by one payment: one use, if one of them is new today."""
    new = [account for account in accounts if not was_stopped(ctx, rule, account)]
    for account in new:
        ctx.put(STOPPED, StoppedAccount(ctx.time_ms // DAY_MS), rule, account)
    if new:
        count_use(ctx, rule)
