"""The registration of rules."""

from cairn.ledger.module import Invariant, MessageSpec, Module
from cairn.modules.rules import (
    events,
    handlers,
    invariants,
    judging,
    live,
    messages,
    parameters,
    records,
)

ACTIVATE_COST = 6_000
"""Cost of an activation or a shadow: up to 64 approvals and 64 deployments are looked at."""

RULES = Module(
    name="rules",
    messages=(
        MessageSpec(messages.SubmitRule, handlers.submit_rule),
        MessageSpec(messages.RecordBacktest, handlers.record_backtest),
        MessageSpec(messages.ShadowRule, handlers.shadow_rule, cost=ACTIVATE_COST),
        MessageSpec(messages.EndShadow, handlers.end_shadow),
        MessageSpec(messages.ActivateRule, handlers.activate_rule, cost=ACTIVATE_COST),
        MessageSpec(messages.SwitchRule, handlers.switch_rule),
        MessageSpec(messages.SwitchAllRules, handlers.switch_all_rules),
        MessageSpec(messages.RetireRule, handlers.retire_rule),
    ),
    events=(
        events.RuleSubmitted,
        events.BacktestRecorded,
        events.RuleShadowed,
        events.ShadowEnded,
        events.RuleActivated,
        events.RuleSwitched,
        events.AllRulesSwitched,
        events.RuleRetired,
        events.RuleFired,
        events.AlertEmitted,
        events.CapReached,
        events.PayerFrozen,
    ),
    tables=(
        records.NAMES,
        records.RULES,
        records.LIVE,
        records.SHADOWS,
        records.STAGES,
        records.SWITCH,
        records.COUNTS,
        records.ASKED_COUNTS,
        records.STOPPED,
    ),
    series=(records.CHANGES, records.BACKTESTS, records.FIRINGS, records.SHADOW_FIRINGS),
    parameters=(parameters.LIVE_MAX, parameters.BACKTEST_REQUIRED, parameters.SHADOW_MS_MIN),
    movement_price=live.movement_price,
    prepare_block=judging.judge_movements,
    after_operations=judging.after_operations,
    invariants=(Invariant("rules/live", invariants.check_live),),
)
