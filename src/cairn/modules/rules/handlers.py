"""What the messages about rules do."""

from cairn.exact import rules as exact
from cairn.exact.errors import ExactError
from cairn.exact.features import FEATURES
from cairn.ledger.context import Context
from cairn.modules.identity import api as identity
from cairn.modules.models import api as models
from cairn.modules.rules import events
from cairn.modules.rules.errors import (
    AlreadyLiveError,
    MalformedRuleError,
    NotOwnerError,
    RuleNotFoundError,
    RuleNotLiveError,
    SwitchUnchangedError,
    TooManyRulesError,
    UnusableModelError,
)
from cairn.modules.rules.messages import (
    ActivateRule,
    RetireRule,
    SubmitRule,
    SwitchAllRules,
    SwitchRule,
)
from cairn.modules.rules.parameters import LIVE_MAX
from cairn.modules.rules.records import (
    ACTIVATION,
    CHANGES,
    COMPLIANCE,
    LIVE,
    NAMES,
    RISK,
    RULES,
    SWITCH,
    GlobalSwitch,
    LiveRule,
    RuleAction,
    RuleChange,
    RuleName,
    StoredRule,
    activation_subject,
    effective,
    rule_digest,
)
from cairn.primitives.encoding import replace
from cairn.primitives.errors import NonCanonicalError

NO_RULE = LiveRule(0, False, 0, False, 0)


def submit_rule(ctx: Context, message: SubmitRule) -> None:
    """Store the next version of a rule; it does not act yet."""
    organisation = identity.check_role(ctx, RISK).organisation
    rule = _open_rule(message.raw)
    name = ctx.get(NAMES, rule.name) or RuleName(organisation, 0, 0)
    if name.organisation != organisation:
        raise NotOwnerError
    version = name.version_count + 1
    digest = rule_digest(message.raw)
    ctx.put(NAMES, replace(name, version_count=version), rule.name)
    ctx.put(RULES, StoredRule(message.raw, ctx.sender, ctx.time_ms), rule.name, version)
    _record(ctx, "submitted", rule.name, version, digest=digest)
    ctx.emit(events.RuleSubmitted(rule.name, version, digest))


def activate_rule(ctx: Context, message: ActivateRule) -> None:
    """Let an approved version act from the next height on, in place of an earlier one."""
    organisation = identity.check_role(ctx, RISK).organisation
    name = ctx.get(NAMES, message.rule)
    stored = ctx.get(RULES, message.rule, message.version)
    if name is None or stored is None:
        raise RuleNotFoundError
    if name.organisation != organisation:
        raise NotOwnerError
    live = ctx.get(LIVE, message.rule) or NO_RULE
    if live.version == message.version:
        raise AlreadyLiveError
    if not live.version and _live_count(ctx) >= ctx.param(LIVE_MAX):
        raise TooManyRulesError
    for deployment in exact.models(exact.decode_rule(stored.raw)):
        _check_usable(ctx, deployment)
    digest = rule_digest(stored.raw)
    subject = activation_subject(message.rule, message.version, digest, name.activation_count)
    approvers = identity.check_approved(ctx, ACTIVATION, subject, stored.submitted_by)
    identity.spend_approval(ctx, ACTIVATION, subject)
    count = name.activation_count + 1
    ctx.put(NAMES, replace(name, activation_count=count), message.rule)
    _put_live(ctx, message.rule, live, version=message.version, is_on=True)
    _record(ctx, "activated", message.rule, message.version, digest=digest, approvers=approvers)
    ctx.emit(events.RuleActivated(message.rule, message.version, live.version, approvers))


def switch_rule(ctx: Context, message: SwitchRule) -> None:
    """Switch one rule on or off from the next height on."""
    organisation = _check_may_switch(ctx)
    live = _check_live(ctx, message.rule, organisation)
    if live.is_on == message.on:
        raise SwitchUnchangedError
    _put_live(ctx, message.rule, live, version=live.version, is_on=message.on)
    _record(ctx, "switched_on" if message.on else "switched_off", message.rule, 0)
    ctx.emit(events.RuleSwitched(message.rule, message.on))


def switch_all_rules(ctx: Context, message: SwitchAllRules) -> None:
    """Switch all rules on or off from the next height on."""
    _check_may_switch(ctx)
    switch = ctx.get(SWITCH) or GlobalSwitch(True, True, 0)
    if switch.is_on == message.on:
        raise SwitchUnchangedError
    was_on = switch.was_on if switch.changed_height == ctx.height else switch.is_on
    ctx.put(SWITCH, GlobalSwitch(message.on, was_on, ctx.height))
    _record(ctx, "switched_on" if message.on else "switched_off", "", 0)
    ctx.emit(events.AllRulesSwitched(message.on))


def retire_rule(ctx: Context, message: RetireRule) -> None:
    """Let a rule act no more from the next height on."""
    organisation = identity.check_role(ctx, RISK).organisation
    live = _check_live(ctx, message.rule, organisation)
    _put_live(ctx, message.rule, live, version=0, is_on=False)
    _record(ctx, "retired", message.rule, live.version)
    ctx.emit(events.RuleRetired(message.rule, live.version))


def _open_rule(raw: bytes) -> exact.Rule:
    try:
        return exact.decode_rule(raw)
    except (NonCanonicalError, ExactError) as error:
        raise MalformedRuleError(str(error)) from error


def _check_usable(ctx: Context, deployment: str) -> None:
    """Check that screening derives every input of the model that is live in a deployment."""
    sealed = models.get_sealed(ctx, models.live_version(ctx, deployment).model_digest)
    assert sealed is not None, "the model of a live version is sealed"
    for feature in sealed.features:
        if feature.name not in FEATURES or feature.kind != "integer" or feature.scale_bits:
            raise UnusableModelError


def _check_may_switch(ctx: Context) -> bytes:
    """Return the organisation of the sender, who holds one of the two roles that may switch."""
    sender = identity.check_active(ctx)
    if RISK in sender.roles:
        return sender.organisation
    return identity.check_role(ctx, COMPLIANCE).organisation


def _check_live(ctx: Context, rule: str, organisation: bytes) -> LiveRule:
    live = ctx.get(LIVE, rule)
    if live is None or not live.version:
        raise RuleNotLiveError
    name = ctx.get(NAMES, rule)
    if name is None or name.organisation != organisation:
        raise NotOwnerError
    return live


def _put_live(ctx: Context, rule: str, live: LiveRule, *, version: int, is_on: bool) -> None:
    """Write what is live from the next height on, and what is live until then."""
    previous_version, was_on = effective(live, ctx.height)
    row = LiveRule(version, is_on, previous_version, was_on, ctx.height)
    ctx.put(LIVE, row, rule)


def _live_count(ctx: Context) -> int:
    return sum(1 for _, row in ctx.scan(LIVE) if row.version)


def _record(
    ctx: Context,
    action: RuleAction,
    rule: str,
    version: int,
    *,
    digest: bytes = b"",
    approvers: tuple[bytes, ...] = (),
) -> None:
    change = RuleChange(action, rule, version, digest, ctx.height, ctx.sender, approvers)
    ctx.append(CHANGES, change)
