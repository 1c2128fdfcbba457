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
"""Cost of an activation: up to 64 approvals and 64 deployments are looked at."""

RULES = Module(
    name="rules",
    messages=(
        MessageSpec(messages.SubmitRule, handlers.submit_rule),
        MessageSpec(messages.ActivateRule, handlers.activate_rule, cost=ACTIVATE_COST),
        MessageSpec(messages.SwitchRule, handlers.switch_rule),
        MessageSpec(messages.SwitchAllRules, handlers.switch_all_rules),
        MessageSpec(messages.RetireRule, handlers.retire_rule),
    ),
    events=(
        events.RuleSubmitted,
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
        records.SWITCH,
        records.COUNTS,
        records.FREEZES,
    ),
    series=(records.CHANGES, records.FIRINGS),
    parameters=(parameters.LIVE_MAX,),
    movement_price=live.movement_price,
    prepare_block=judging.judge_movements,
    end_block=judging.end_block,
    invariants=(Invariant("rules/live", invariants.check_live),),
)
