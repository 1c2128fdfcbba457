"""Facts about rules, and what rules found."""

from cairn.ledger.messages import Event


class RuleSubmitted(Event, tag="rules/rule_submitted"):
    """A rule has a new version."""

    rule: str
    version: int
    rule_digest: bytes


class BacktestRecorded(Event, tag="rules/backtest_recorded"):
    """A back-test of a version is on record."""

    rule: str
    version: int
    report_digest: bytes
    position: int
    """Position in the series of back-tests."""


class RuleShadowed(Event, tag="rules/rule_shadowed"):
    """A version of a rule watches from the next height on."""

    rule: str
    version: int
    replaced: int
    """The version that watched until then, or 0."""
    approvers: tuple[bytes, ...]


class ShadowEnded(Event, tag="rules/shadow_ended"):
    """A version of a rule watches no more from the next height on."""

    rule: str
    version: int
    shadowed_ms: int
    """How long it was in shadow, all its times together."""


class RuleActivated(Event, tag="rules/rule_activated"):
    """A version of a rule acts from the next height on."""

    rule: str
    version: int
    replaced: int
    """The version that acted until then, or 0."""
    approvers: tuple[bytes, ...]


class RuleSwitched(Event, tag="rules/rule_switched"):
    """A rule was switched on or off from the next height on."""

    rule: str
    on: bool


class AllRulesSwitched(Event, tag="rules/all_rules_switched"):
    """All rules were switched on or off from the next height on."""

    on: bool


class RuleRetired(Event, tag="rules/rule_retired"):
    """A rule acts no more from the next height on."""

    rule: str
    version: int


class RuleFired(Event, tag="rules/rule_fired"):
    """A rule's condition held for the operation's movement or case."""

    rule: str
    version: int
    conditions: tuple[int, ...]
    """Indexes of the comparisons in the rule that were true."""
    inputs: tuple[int | None, ...]
    """What the rule looked at: the value of each of its operands, in the order of its condition;
    none where nobody stated it."""
    actions: tuple[str, ...]
    """What the rule did: `hold refuse freeze_payer freeze_payee emit`."""


class AlertEmitted(Event, tag="rules/alert_emitted"):
    """A rule that fired wrote this label."""

    rule: str
    version: int
    label: str


class CapReached(Event, tag="rules/cap_reached"):
    """A rule fired, and its daily cap kept it from holding, refusing or freezing."""

    rule: str
    version: int
    daily_cap: int


class PayerFrozen(Event, tag="rules/payer_frozen"):
    """A rule froze the payer earlier in this block; the freeze refuses this movement."""

    rule: str
    version: int
