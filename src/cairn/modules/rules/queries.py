"""Read-only questions about rules."""

from cairn.ledger.context import Context
from cairn.modules.inference import api as inference
from cairn.modules.rules.live import acting_rules, deployments_of
from cairn.modules.rules.records import (
    CHANGES,
    COUNTS,
    DAY_MS,
    FIRINGS,
    LIVE,
    NAMES,
    RULES,
    SWITCH,
    Firing,
    LiveRule,
    RuleChange,
    RuleName,
    StoredRule,
)

LIMIT_MAX = 1_000


def get_name(ctx: Context, rule: str) -> RuleName | None:
    """Return who submits a rule, how many versions there are and how many activations, or None."""
    return ctx.get(NAMES, rule)


def get_rule(ctx: Context, rule: str, version: int) -> StoredRule | None:
    """Return a submitted version of a rule, or None."""
    return ctx.get(RULES, rule, version)


def get_live(ctx: Context, rule: str) -> LiveRule | None:
    """Return which version of a rule is live, or None if none ever was."""
    return ctx.get(LIVE, rule)


def list_live(ctx: Context) -> list[tuple[str, LiveRule]]:
    """Return `(name, row)` of the rules that are live from the next height on, by name."""
    return [(name.decode(), row) for (name,), row in ctx.scan(LIVE) if row.version]


def is_switched_on(ctx: Context) -> bool:
    """Return whether rules act at all from the next height on."""
    switch = ctx.get(SWITCH)
    return switch is None or switch.is_on


def count_today(ctx: Context, rule: str) -> int:
    """Return how many payments a rule held, refused or froze on the context's day."""
    row = ctx.get(COUNTS, rule)
    return row.count if row is not None and row.day == ctx.time_ms // DAY_MS else 0


def list_changes(
    ctx: Context, *, start: int = 0, limit: int = LIMIT_MAX
) -> list[tuple[int, RuleChange]]:
    """Return `(time, entry)` of the changes of rules from position `start` on."""
    end = min(ctx.series_size(CHANGES), start + min(limit, LIMIT_MAX))
    return [ctx.series_get(CHANGES, position) for position in range(start, end)]


def list_firings(
    ctx: Context, *, start: int = 0, limit: int = LIMIT_MAX
) -> list[tuple[int, Firing]]:
    """Return `(time, entry)` of the firings of rules from position `start` on."""
    end = min(ctx.series_size(FIRINGS), start + min(limit, LIMIT_MAX))
    return [ctx.series_get(FIRINGS, position) for position in range(start, end)]


def warm_up(ctx: Context) -> tuple[str, ...]:
    """Load the models that the acting rules look at; return their deployments.

    A node does this when it starts: compiling a model takes seconds that no block should wait for.
    """
    deployments = deployments_of(acting_rules(ctx))
    for deployment in deployments:
        inference.warm_up(ctx, deployment)
    return deployments
