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
    AlreadyShadowedError,
    MalformedRuleError,
    NotBacktestedError,
    NotOwnerError,
    NotShadowedError,
    NotShadowedLongEnoughError,
    OtherScopeError,
    RuleNotFoundError,
    RuleNotLiveError,
    SwitchUnchangedError,
    TooManyRulesError,
    UnknownInputError,
    UnusableModelError,
)
from cairn.modules.rules.messages import (
    ActivateRule,
    EndShadow,
    RecordBacktest,
    RetireRule,
    ShadowRule,
    SubmitRule,
    SwitchAllRules,
    SwitchRule,
)
from cairn.modules.rules.parameters import BACKTEST_REQUIRED, LIVE_MAX, SHADOW_MS_MIN
from cairn.modules.rules.records import (
    ACTIVATION,
    BACKTESTS,
    CHANGES,
    COMPLIANCE,
    LIVE,
    NAMES,
    NO_STAGE,
    RISK,
    RULES,
    SHADOWS,
    STAGES,
    SWITCH,
    Backtest,
    GlobalSwitch,
    LiveRule,
    RuleAction,
    RuleChange,
    RuleName,
    RuleStage,
    StoredRule,
    activation_subject,
    effective,
    rule_digest,
    shadow_subject,
    shadow_time_ms,
    shadowing,
)
from cairn.modules.rules.records import ShadowRule as ShadowRow
from cairn.primitives.encoding import replace
from cairn.primitives.errors import NonCanonicalError

NO_RULE = LiveRule(0, False, 0, False, 0)
NO_SHADOW = ShadowRow(0, 0, 0)


def submit_rule(ctx: Context, message: SubmitRule) -> None:
    """Store the next version of a rule; it does not act yet."""
    organisation = identity.check_role(ctx, RISK).organisation
    rule = _open_rule(message.raw)
    name = ctx.get(NAMES, rule.name) or RuleName(organisation, 0, 0, 0, rule.scope)
    if name.organisation != organisation:
        raise NotOwnerError
    if name.scope != rule.scope:
        raise OtherScopeError
    version = name.version_count + 1
    digest = rule_digest(message.raw)
    ctx.put(NAMES, replace(name, version_count=version), rule.name)
    ctx.put(RULES, StoredRule(message.raw, ctx.sender, ctx.time_ms), rule.name, version)
    _record(ctx, "submitted", rule.name, version, digest=digest)
    ctx.emit(events.RuleSubmitted(rule.name, version, digest))


def record_backtest(ctx: Context, message: RecordBacktest) -> None:
    """Put on record what a version would have done to payments that are past."""
    _, stored = _check_version(ctx, message.rule, message.version)
    stage = _stage_of(ctx, message.rule, message.version)
    count = stage.backtest_count + 1
    _put_stage(
        ctx,
        message.rule,
        message.version,
        replace(stage, backtest_count=count, backtest_digest=message.report_digest),
    )
    entry = Backtest(
        message.rule,
        message.version,
        message.report_digest,
        message.first_ms,
        message.end_ms,
        message.payments,
        message.alerts,
        message.value_held_units,
        message.labelled,
        message.precision_ppm,
        message.recall_ppm,
        ctx.sender,
    )
    position = ctx.append(BACKTESTS, entry)
    digest = rule_digest(stored.raw)
    tested = message.report_digest
    _record(ctx, "backtested", message.rule, message.version, digest=digest, backtest=tested)
    ctx.emit(events.BacktestRecorded(message.rule, message.version, tested, position))


def shadow_rule(ctx: Context, message: ShadowRule) -> None:
    """Let an approved version watch from the next height on, in place of one that watches."""
    name, stored = _check_version(ctx, message.rule, message.version)
    live = ctx.get(LIVE, message.rule) or NO_RULE
    shadow = ctx.get(SHADOWS, message.rule) or NO_SHADOW
    if live.version == message.version:
        raise AlreadyLiveError
    if shadow.version == message.version:
        raise AlreadyShadowedError
    if not shadow.version:
        _check_room(ctx)
    _check_operands(ctx, stored, name.organisation)
    digest = rule_digest(stored.raw)
    subject = shadow_subject(message.rule, message.version, digest, name.shadow_count)
    approvers = identity.check_approved(ctx, ACTIVATION, subject, stored.submitted_by)
    identity.spend_approval(ctx, ACTIVATION, subject)
    ctx.put(NAMES, replace(name, shadow_count=name.shadow_count + 1), message.rule)
    if shadow.version:
        _leave_shadow(ctx, message.rule, shadow.version)
    _put_shadow(ctx, message.rule, shadow, message.version)
    stage = _stage_of(ctx, message.rule, message.version)
    _put_stage(ctx, message.rule, message.version, replace(stage, shadow_since_ms=ctx.time_ms))
    _record(
        ctx,
        "shadowed",
        message.rule,
        message.version,
        digest=digest,
        approvers=approvers,
        backtest=stage.backtest_digest,
    )
    ctx.emit(events.RuleShadowed(message.rule, message.version, shadow.version, approvers))


def end_shadow(ctx: Context, message: EndShadow) -> None:
    """Let the version in shadow watch no more from the next height on."""
    organisation = identity.check_role(ctx, RISK).organisation
    shadow = ctx.get(SHADOWS, message.rule)
    if shadow is None or not shadow.version:
        raise NotShadowedError
    name = ctx.get(NAMES, message.rule)
    if name is None or name.organisation != organisation:
        raise NotOwnerError
    shadowed_ms = _leave_shadow(ctx, message.rule, shadow.version)
    _put_shadow(ctx, message.rule, shadow, 0)
    _record(ctx, "shadow_ended", message.rule, shadow.version, shadowed_ms=shadowed_ms)
    ctx.emit(events.ShadowEnded(message.rule, shadow.version, shadowed_ms))


def activate_rule(ctx: Context, message: ActivateRule) -> None:
    """Let an approved version act from the next height on, in place of an earlier one."""
    name, stored = _check_version(ctx, message.rule, message.version)
    live = ctx.get(LIVE, message.rule) or NO_RULE
    shadow = ctx.get(SHADOWS, message.rule) or NO_SHADOW
    is_watching = shadow.version == message.version
    if live.version == message.version:
        raise AlreadyLiveError
    if not live.version and not is_watching:
        _check_room(ctx)
    stage = _stage_of(ctx, message.rule, message.version)
    shadowed_ms = shadow_time_ms(stage, ctx.time_ms)
    if ctx.param(BACKTEST_REQUIRED) and not stage.backtest_count:
        raise NotBacktestedError
    if shadowed_ms < ctx.param(SHADOW_MS_MIN):
        raise NotShadowedLongEnoughError
    _check_operands(ctx, stored, name.organisation)
    digest = rule_digest(stored.raw)
    subject = activation_subject(message.rule, message.version, digest, name.activation_count)
    approvers = identity.check_approved(ctx, ACTIVATION, subject, stored.submitted_by)
    identity.spend_approval(ctx, ACTIVATION, subject)
    count = name.activation_count + 1
    ctx.put(NAMES, replace(name, activation_count=count), message.rule)
    if is_watching:
        _leave_shadow(ctx, message.rule, message.version)
        _put_shadow(ctx, message.rule, shadow, 0)
    _put_live(ctx, message.rule, live, version=message.version, is_on=True)
    _record(
        ctx,
        "activated",
        message.rule,
        message.version,
        digest=digest,
        approvers=approvers,
        backtest=stage.backtest_digest,
        shadowed_ms=shadowed_ms,
    )
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


def _check_version(ctx: Context, rule: str, version: int) -> tuple[RuleName, StoredRule]:
    """Return a version of a rule that the sender, in charge of risk, may take to its next stage."""
    organisation = identity.check_role(ctx, RISK).organisation
    name = ctx.get(NAMES, rule)
    stored = ctx.get(RULES, rule, version)
    if name is None or stored is None:
        raise RuleNotFoundError
    if name.organisation != organisation:
        raise NotOwnerError
    return name, stored


def _check_operands(ctx: Context, stored: StoredRule, organisation: bytes) -> None:
    """Check that what a rule looks at is there."""
    rule = exact.decode_rule(stored.raw)
    if rule.scope:
        _check_case_inputs(ctx, rule, organisation)
        return
    for deployment in exact.models(rule):
        for feature in _inputs_of(ctx, deployment):
            if feature.name not in FEATURES or feature.kind != "integer" or feature.scale_bits:
                raise UnusableModelError


def _check_case_inputs(ctx: Context, rule: exact.Rule, organisation: bytes) -> None:
    """Check that a rule on decisions is its deployment's owner's, and that its inputs are there."""
    if models.check_deployment(ctx, rule.scope).organisation != organisation:
        raise NotOwnerError
    names = [feature.name for feature in _inputs_of(ctx, rule.scope)]
    if not all(name in names for name in exact.case_inputs(rule)):
        raise UnknownInputError


def _inputs_of(ctx: Context, deployment: str) -> tuple[models.InputFeature, ...]:
    """Return the inputs of the model that is live in a deployment."""
    sealed = models.get_sealed(ctx, models.live_version(ctx, deployment).model_digest)
    assert sealed is not None, "the model of a live version is sealed"
    return sealed.features


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


def _put_shadow(ctx: Context, rule: str, shadow: ShadowRow, version: int) -> None:
    """Write what watches from the next height on, and what watches until then."""
    row = ShadowRow(version, shadowing(shadow, ctx.height), ctx.height)
    ctx.put(SHADOWS, row, rule)


def _leave_shadow(ctx: Context, rule: str, version: int) -> int:
    """Write that a version's shadow is over; return how long it was in shadow altogether."""
    stage = _stage_of(ctx, rule, version)
    shadowed_ms = shadow_time_ms(stage, ctx.time_ms)
    _put_stage(ctx, rule, version, replace(stage, shadow_since_ms=0, shadowed_ms=shadowed_ms))
    return shadowed_ms


def _stage_of(ctx: Context, rule: str, version: int) -> RuleStage:
    return ctx.get(STAGES, rule, version) or NO_STAGE


def _put_stage(ctx: Context, rule: str, version: int, stage: RuleStage) -> None:
    ctx.put(STAGES, stage, rule, version)


def _check_room(ctx: Context) -> None:
    """Check that one more rule may be live or in shadow.

    Raises:
        TooManyRulesError: As many are as may be.
    """
    count = sum(1 for _, row in ctx.scan(LIVE) if row.version)
    count += sum(1 for _, shadow in ctx.scan(SHADOWS) if shadow.version)
    if count >= ctx.param(LIVE_MAX):
        raise TooManyRulesError


def _record(
    ctx: Context,
    action: RuleAction,
    rule: str,
    version: int,
    *,
    digest: bytes = b"",
    approvers: tuple[bytes, ...] = (),
    backtest: bytes = b"",
    shadowed_ms: int = 0,
) -> None:
    steps = (backtest, shadowed_ms)
    change = RuleChange(action, rule, version, digest, ctx.height, ctx.sender, approvers, *steps)
    ctx.append(CHANGES, change)
