"""The rules that act or watch at a height, ready to be evaluated."""

from collections.abc import Sequence
from dataclasses import dataclass

from cairn.exact import rules as exact
from cairn.ledger.context import Context
from cairn.ledger.errors import Fault
from cairn.modules.inference import api as inference
from cairn.modules.models import api as models
from cairn.modules.rules.records import LIVE, RULES, SHADOWS, SWITCH, effective, shadowing

COMPILED_MAX = 256
"""How many compiled rules are kept in memory."""

RULE_COST = 20
"""Cost of one rule for one movement or case, as if it fired, beside that of its nodes."""
NODE_COST = 4
"""Cost of each node: evaluating it, and what it adds to the receipt."""
FEATURE_COST = 2
"""Cost of each derived feature that rules or their models name: computing it for one movement."""

DERIVED = ("feature:", "field:")
"""Operands that the ledger derives from payments, by their kind."""


@dataclass(frozen=True, slots=True)
class CompiledRule:
    """A version of a rule, taken apart for evaluation."""

    name: str
    version: int
    run: exact.CompiledRule
    operands: tuple[str, ...]
    deployments: tuple[str, ...]
    fate: exact.Hold | exact.Refuse | None
    freezes: tuple[exact.Freeze, ...]
    labels: tuple[str, ...]
    daily_cap: int
    priority: int
    node_count: int
    scope: str

    @property
    def freeze_actions(self) -> tuple[str, ...]:
        """What its freezes are called in events and firings."""
        return tuple("freeze_" + freeze.party for freeze in self.freezes)

    @property
    def all_actions(self) -> tuple[str, ...]:
        """What it does if nothing keeps it from it."""
        fate = () if self.fate is None else (fate_action(self.fate),)
        return (*fate, *self.freeze_actions, *(("emit",) if self.labels else ()))


_compiled: dict[tuple[int, bytes], CompiledRule] = {}


def acting_rules(ctx: Context, scope: str = "") -> list[CompiledRule]:
    """Return the rules of a scope that act at this height: higher priority first, then by name."""
    switch = ctx.get(SWITCH)
    if switch is not None:
        is_on = switch.was_on if ctx.height <= switch.changed_height else switch.is_on
        if not is_on:
            return []
    acting = []
    for (name,), row in ctx.scan(LIVE):
        version, is_on = effective(row, ctx.height)
        if version and is_on:
            acting.append(find_rule(ctx, name.decode(), version))
    return _in_order(acting, scope)


def shadow_rules(ctx: Context, scope: str = "") -> list[CompiledRule]:
    """Return the rules of a scope that watch at this height, in the same order.

    A switch takes power away; these have none, and go on watching.
    """
    found = [
        find_rule(ctx, name.decode(), version)
        for (name,), row in ctx.scan(SHADOWS)
        if (version := shadowing(row, ctx.height))
    ]
    return _in_order(found, scope)


def movement_price(ctx: Context) -> int:
    """Return what judging one movement costs: the rules that look at it, and their models."""
    rules = [*acting_rules(ctx), *shadow_rules(ctx)]
    deployments = deployments_of(rules)
    cost = sum(RULE_COST + NODE_COST * rule.node_count for rule in rules)
    cost += FEATURE_COST * len(_features_of(ctx, rules, deployments))
    cost += sum(inference.movement_price(ctx, name) for name in deployments)
    return cost + sum(inference.explanation_price(ctx, name) for name in deployments)


def _features_of(
    ctx: Context, rules: Sequence[CompiledRule], deployments: Sequence[str]
) -> tuple[str, ...]:
    """Return the derived features that rules and the models of deployments look at, each once."""
    live = [models.find_live_model(ctx, name) for name in deployments]
    names = [name for model in live if model is not None for name in model.inputs]
    names += [o.partition(":")[2] for o in operands_of(rules) if o.startswith(DERIVED)]
    return tuple(dict.fromkeys(names))


def case_price(ctx: Context, deployment: str) -> int:
    """Return what judging one case of a deployment costs, beside the case's score."""
    rules = [*acting_rules(ctx, deployment), *shadow_rules(ctx, deployment)]
    cost = sum(RULE_COST + NODE_COST * rule.node_count for rule in rules)
    looked_up = sum(1 for _ in ctx.scan(LIVE)) + sum(1 for _ in ctx.scan(SHADOWS))
    return cost + RULE_COST * looked_up + inference.explanation_price(ctx, deployment)


def _in_order(rules: list[CompiledRule], scope: str) -> list[CompiledRule]:
    chosen = [rule for rule in rules if rule.scope == scope]
    chosen.sort(key=lambda rule: (-rule.priority, rule.name))
    return chosen


def fate_action(fate: exact.Hold | exact.Refuse) -> str:
    """Return what deciding a fate is called in events and firings."""
    return "hold" if isinstance(fate, exact.Hold) else "refuse"


def deployments_of(rules: Sequence[CompiledRule]) -> tuple[str, ...]:
    """Return the deployments that rules look at, each once, in order of first use."""
    return tuple(dict.fromkeys(name for rule in rules for name in rule.deployments))


def operands_of(rules: Sequence[CompiledRule]) -> tuple[str, ...]:
    """Return what rules look at, each once, in order of first use."""
    return tuple(dict.fromkeys(operand for rule in rules for operand in rule.operands))


def find_rule(ctx: Context, name: str, version: int) -> CompiledRule:
    """Return a stored rule, compiled once: a memo, which the rule's bytes make pure."""
    stored = ctx.get(RULES, name, version)
    if stored is None:
        raise Fault(f"version {version} of the rule {name} is missing")
    key = (version, stored.raw)
    rule = _compiled.get(key)
    if rule is None:
        if len(_compiled) >= COMPILED_MAX:
            del _compiled[next(iter(_compiled))]
        rule = _compiled[key] = _compile(exact.decode_rule(stored.raw), version)
    return rule


def _compile(rule: exact.Rule, version: int) -> CompiledRule:
    fates = [a for a in rule.actions if isinstance(a, exact.Hold | exact.Refuse)]
    return CompiledRule(
        name=rule.name,
        version=version,
        run=exact.compile_rule(rule),
        operands=exact.operands(rule),
        deployments=exact.models(rule),
        fate=fates[0] if fates else None,
        freezes=tuple(a for a in rule.actions if isinstance(a, exact.Freeze)),
        labels=tuple(a.label for a in rule.actions if isinstance(a, exact.Emit)),
        daily_cap=rule.daily_cap,
        priority=rule.priority,
        node_count=len(rule.condition),
        scope=rule.scope,
    )
