"""Read-only questions about rules."""

from cairn.ledger.context import Context
from cairn.modules.inference import api as inference
from cairn.modules.rules.counting import count_today as count_today
from cairn.modules.rules.live import acting_rules, deployments_of, shadow_rules
from cairn.modules.rules.records import (
    BACKTESTS,
    CHANGES,
    FIRINGS,
    LIVE,
    NAMES,
    NO_STAGE,
    RULES,
    SHADOW_FIRINGS,
    SHADOWS,
    STAGES,
    SWITCH,
    Backtest,
    Firing,
    LiveRule,
    RuleChange,
    RuleName,
    RuleStage,
    ShadowRule,
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


def get_shadow(ctx: Context, rule: str) -> ShadowRule | None:
    """Return which version of a rule is in shadow, or None if none ever was."""
    return ctx.get(SHADOWS, rule)


def get_stage(ctx: Context, rule: str, version: int) -> RuleStage:
    """Return which steps a version took towards going live."""
    return ctx.get(STAGES, rule, version) or NO_STAGE


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


def list_shadow_firings(
    ctx: Context, *, start: int = 0, limit: int = LIMIT_MAX
) -> list[tuple[int, Firing]]:
    """Return `(time, entry)` of what rules in shadow would have done, from `start` on."""
    end = min(ctx.series_size(SHADOW_FIRINGS), start + min(limit, LIMIT_MAX))
    return [ctx.series_get(SHADOW_FIRINGS, position) for position in range(start, end)]


def list_backtests(
    ctx: Context, *, start: int = 0, limit: int = LIMIT_MAX
) -> list[tuple[int, Backtest]]:
    """Return `(time, entry)` of the back-tests on record from position `start` on."""
    end = min(ctx.series_size(BACKTESTS), start + min(limit, LIMIT_MAX))
    return [ctx.series_get(BACKTESTS, position) for position in range(start, end)]


def warm_up(ctx: Context) -> tuple[str, ...]:
    """Load the models that payments' rules look at, live or in shadow; return their deployments.

    A node does this when it starts: compiling a model takes seconds that no block should wait for.
    """
    deployments = deployments_of([*acting_rules(ctx), *shadow_rules(ctx)])
    for deployment in deployments:
        inference.warm_up(ctx, deployment)
    return deployments
