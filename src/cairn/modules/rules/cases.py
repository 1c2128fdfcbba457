"""What rules say about a case that is decided by a deployment's model, such as a loan application.

The same rules of precedence as for payments: higher priority first, then by name; every rule that
fires is on record; the first with a hold or a refusal decides; a rule whose daily cap is reached
decides nothing. A decision is final when it is made, and so it counts at once.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

from cairn.exact import rules as exact
from cairn.exact.schema import MISSING
from cairn.ledger.context import Context
from cairn.ledger.messages import Event
from cairn.modules.inference import api as inference
from cairn.modules.rules.counting import count_today, count_use
from cairn.modules.rules.events import AlertEmitted, CapReached, RuleFired
from cairn.modules.rules.live import CompiledRule, acting_rules, fate_action, shadow_rules
from cairn.modules.rules.records import FIRINGS, SHADOW_FIRINGS, Firing


@dataclass(frozen=True, slots=True)
class CaseJudgement:
    """What the rules of a deployment decided on one case."""

    verdict: Literal["allow", "hold", "refuse"]
    rule: str
    """The rule that decided; empty for `allow`."""
    version: int
    expires_at_ms: int
    """For `hold`: when it ends by itself; else 0."""
    on_expiry: Literal["", "settle", "return"]
    """For `hold`: what it ends in, `settle` (the case is allowed) or `return` (it is refused)."""
    events: tuple[Event, ...]
    """What the decision's receipt tells of the rules: to be emitted by the caller, in order."""


@dataclass(slots=True)
class _Case:
    """One case while the rules look at it."""

    ctx: Context
    known: Mapping[str, int]
    """What rules look at, by operand; what is missing is not in it."""
    score_ppm: int
    events: list[Event] = field(default_factory=list)
    decided: CompiledRule | None = None


def judge_case(
    ctx: Context, deployment: str, inputs: Mapping[str, int], *, score_ppm: int
) -> CaseJudgement:
    """Return what the rules of a deployment decide on a case, and put on record what they found.

    To be called by the handler of the operation that decides, once for each case.

    Args:
        ctx: The operation's context.
        deployment: Name of the deployment whose model scored the case.
        inputs: The case as it was scored: name to value of each input of the live version's model,
            in their order, `MISSING` where nothing is stated.
        score_ppm: Its score.
    """
    known = {"input:" + name: value for name, value in inputs.items() if value != MISSING}
    known["model:" + deployment] = score_ppm
    case = _Case(ctx, known, score_ppm)
    for rule in acting_rules(ctx, deployment):
        fired, conditions = rule.run(known)
        if fired:
            _act(case, rule, conditions)
    for rule in shadow_rules(ctx, deployment):
        if rule.run(known).fired:
            ctx.append(SHADOW_FIRINGS, _firing(case, rule, rule.all_actions))
    decided = case.decided
    if decided is None or decided.fate is None:
        return CaseJudgement("allow", "", 0, 0, "", tuple(case.events))
    explained = inference.explain(ctx, deployment, tuple(inputs.values()))
    if explained is not None:
        case.events.append(explained)
    name, version, events = decided.name, decided.version, tuple(case.events)
    if isinstance(decided.fate, exact.Refuse):
        return CaseJudgement("refuse", name, version, 0, "", events)
    expires_at_ms = ctx.time_ms + decided.fate.expiry_ms
    return CaseJudgement("hold", name, version, expires_at_ms, decided.fate.on_expiry, events)


def _act(case: _Case, rule: CompiledRule, conditions: tuple[int, ...]) -> None:
    """Do what a rule that fired does, as far as earlier rules and its cap leave it."""
    ctx = case.ctx
    fate = rule.fate if case.decided is None else None
    is_capped = fate is not None and count_today(ctx, rule.name) >= rule.daily_cap
    actions: tuple[str, ...] = ()
    if fate is not None and not is_capped:
        case.decided = rule
        count_use(ctx, rule.name)
        actions = (fate_action(fate),)
    if rule.labels:
        actions = (*actions, "emit")
    values = tuple([case.known.get(operand) for operand in rule.operands])
    case.events.append(RuleFired(rule.name, rule.version, conditions, values, actions))
    if is_capped:
        case.events.append(CapReached(rule.name, rule.version, rule.daily_cap))
    for label in rule.labels:
        case.events.append(AlertEmitted(rule.name, rule.version, label))
    ctx.append(FIRINGS, _firing(case, rule, actions))


def _firing(case: _Case, rule: CompiledRule, actions: tuple[str, ...]) -> Firing:
    score_ppm = case.score_ppm if rule.deployments else -1
    place = (case.ctx.transaction_id, case.ctx.operation_index)
    return Firing(rule.name, rule.version, actions, score_ppm, *place)
