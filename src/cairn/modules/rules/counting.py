"""How much of its daily cap a rule has used: what it did that took effect.

A rule uses its cap once for each payment that it held, since the payment's value is set aside; for
each case that it decided; and otherwise once for each payment by which it stopped an account that
it had not stopped that day: the payer whose payment it refused, an account that it froze. Stopping
an account again on that day is no new power and uses nothing.

Payments on other rails count apart, for each organisation that asks: asking takes no value, so that
whoever asks could use the cap up for nothing, and then pay past the rule or let others do so.
"""

from collections.abc import Sequence

from cairn.ledger.context import Context
from cairn.modules.rules.records import (
    ASKED_COUNTS,
    COUNTS,
    DAY_MS,
    STOPPED,
    DailyCount,
    StoppedAccount,
)


def count_today(ctx: Context, rule: str, asker: bytes = b"") -> int:
    """Return how much of its daily cap a rule has used on the day of the context's time.

    `asker` is the organisation whose payments on other rails are meant; empty: what happens here.
    """
    row = ctx.get(ASKED_COUNTS, rule, asker) if asker else ctx.get(COUNTS, rule)
    return row.count if row is not None and row.day == ctx.time_ms // DAY_MS else 0


def count_use(ctx: Context, rule: str, asker: bytes = b"") -> None:
    """Let a rule use its daily cap once."""
    row = DailyCount(ctx.time_ms // DAY_MS, count_today(ctx, rule, asker) + 1)
    if asker:
        ctx.put(ASKED_COUNTS, row, rule, asker)
    else:
        ctx.put(COUNTS, row, rule)


def was_stopped(ctx: Context, rule: str, account: bytes) -> bool:
    """Return whether an account counted towards a rule's cap on the day of the context's time."""
    row = ctx.get(STOPPED, rule, account)
    return row is not None and row.day == ctx.time_ms // DAY_MS


def count_stopped(ctx: Context, rule: str, accounts: Sequence[bytes], asker: bytes = b"") -> None:
    """Count accounts that a rule stopped by one payment: one use, if one of them is new today."""
    new = [account for account in accounts if not was_stopped(ctx, rule, account)]
    for account in new:
        ctx.put(STOPPED, StoppedAccount(ctx.time_ms // DAY_MS), rule, account)
    if new:
        count_use(ctx, rule, asker)
